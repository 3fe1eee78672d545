"""`compare`: every method on every problem with every seed, side by side, measured errors beside proved bounds.

The JSON form, schema ``stackopt.comparison/1`` (`Comparison.to_json`), is all that reports and figures are made of. Numbers
are finite or ``null`` (NaN, or not known); an infinite one is the string ``"inf"`` or ``"-inf"``. Keys::

    schema      "stackopt.comparison/1"
    verdict     {"text": one sentence, "good": bool}      good is false when a bound is violated
    seeds       [int, ...]
    problems    {name: {"fingerprint", "text": printed form, "lower", "upper", "closed": bool, "reference": one sentence,
                        "weak_lower", "weak_upper", "weak_closed", "lower_by": method label, "upper_reference": tag,
                        "about": {"title", "source", "model", "parameters", "known", "unit"}}}      about: what was passed
    methods     {label: {"name", "class", ...settings}}   per-problem settings, where they differ, are in the cells
    cells       [cell, ...]        one per (problem, method, seed), in that order
    rows        [row, ...]         one per (problem, method), over seeds: the table
    bounds      [bound, ...]       every bound of every cell, flat
    failures    [failure, ...]     every cell that is not certified: refusals, limits, faults
    violations  [violation, ...]   measured above proved; empty when all is well
    provenance  {"python", "machine", "packages", "started" (ISO 8601, null under SOURCE_DATE_EPOCH), "command", "cpu_count",
                 "parallel": bool}

    cell        {"key", "problem", "method", "seed", "cached": bool, "settings": {"class", ...}, "family", "concept",
                 "response", "temperature", "status", "certified": bool, "because",
                 "values": {"strong", "weak", "own_follower", "follower", "follower_regret", "leader_regret", ...},
                 "objective": key of values, "claim", "bounds": [bound without problem, method, seed, status],
                 "checks": [{"name", "residual", "tolerance", "passed", "because"}], "notes": [str],
                 "stats": {"seconds", "cpu_seconds", ...}, "history": {name: [number, ...]} thinned to 400 points,
                 "history_step": iterations between two points, "policies": file name in the store or null,
                 "provenance", "refusal": null | {"code", "text", "where", "help"},
                 "failure": null | {"type", "text", "traceback"}, "reproduce": {"python", "command"}}
                status is one of PROVED OPTIMAL CONVERGED LIMIT INFEASIBLE UNBOUNDED FAILED REFUSED
    row         {"problem", "method", "family", "concept", "response", "temperature", "target": "strong" | "weak",
                 "status": worst over seeds, "certified": bool, "seeds": how many, "finished": how many have a value,
                 "value", "value_low", "value_high"      certified: the follower best-responds (mean, least, greatest)
                 "soft_value"                            under the method's own soft follower; null for a best-responding one
                 "error"                                 measured gap to the exact value; to the best known one unless closed
                 "error_at_most"                         gap to the proved upper bound
                 "bound", "bound_reference"              proved bound on the gap, without looking at other methods
                 "follower_regret", "leader_regret", "cpu_seconds", "seconds" (medians), "cached": how many,
                 "violations": how many, "note": one line for refused and failed rows}
    bound       {"problem", "method", "seed", "status", "of", "reference", "sense": "upper" | "lower", "value", "applies": bool,
                 "measured": number | null, "verdict": "holds" | "violated" | "not applicable" | "not measured",
                 "tightness": number | null, "because": why it does not apply, "remedy", "origin": "search" | "certificate" |
                 "examination" | "comparison", "assumptions": [{"statement", "holds", "because"}]}
    failure     {"problem", "method", "seed", "status", "code", "reason", "remedy", "python", "command"}
    violation   {"problem", "method", "seed", "of", "reference", "measured", "bound", "text"}
"""
