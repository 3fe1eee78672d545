"""What the report of a tariff study says in sentences, each rendered from the unrounded figures of the stored tables."""

from __future__ import annotations

from stackopt.comparison.figures import is_number
from stackopt.display import number
from stackopt.energy.exhibits.table import decimals
from stackopt.energy.reports.stored import ONE, Stored
from stackopt.solution import Status

#: The words of the report, explained once.
WORDS = (
    ("Cost", "What all of society gives up a day, per household: generation and battery wear, less what the energy is worth to those who use it. Its "
             "zero is arbitrary, so only differences mean anything."),
    ("Burden and gap", "A group's bills as a share of its income; the gap is the largest burden less the smallest, in points of income."),
    ("Peak and ramp", "Of the load averaged over weather, hour by hour, in the worst season: the highest hour, and the steepest rise over three hours. The "
                      "load of one sky alone may be higher."),
    ("Suits index", "0 if bills are proportional to income, below 0 where they weigh more on the poor, above 0 where more on the rich."),
    ("Lorenz curve", "Share of all bills paid by the poorest so many per cent of households; close to the curve of income is close to proportional."),
    ("Net metering and net billing", "With net metering a kWh sold is worth a kWh bought; with net billing it is worth its wholesale price."),
    ("Pass-through", "The part of the wholesale price that a rate follows hour by hour; the rest is an adder."),
    ("Exploitability", "What a household could still gain by another plan at the prices found; zero in an exact equilibrium."),
    ("Spectral radius", "Below 1, prices found by plain iteration settle; above 1 they cycle. The method used here needs neither."),
    ("Consumer, with panels, with panels and battery", "The kinds of household, C, PV and PVB in the tables."),
    ("Reconstructed, recalled, assumption", "Inputs that nobody has verified: rebuilt because the published ones are not public, quoted from memory, or "
                                            "supposed. Figures that rest on them are illustrations until they are replaced."),
)  # fmt: skip


def headline(stored: Stored) -> tuple[str, str, str]:
    """First word, first sentence and tone (``"good"``, ``"wait"``, ``"bad"``) of the page."""
    data, status = stored.data, Status(stored.data["status"])
    sentence = f'Tariff study "{data["study"]}", {data["command"]}: {status}'
    if status.success and not stored.failed:
        return "✓ Everything that was asked for holds", sentence, "good"
    if status.success:
        return f"! Holds, but {len(stored.failed)} of the tariffs asked for do not", sentence, "wait"
    if status is Status.INFEASIBLE:
        return "! A revenue requirement is out of reach", sentence, "wait"
    return "! Not everything that was asked for holds", sentence, "wait"


def found(stored: Stored) -> list[str]:
    """The answer in a few sentences."""
    said = [] if stored.summary else ["No tariff of this study holds, so there is nothing to compare."]
    if not stored.has("summary"):
        said = []
    if len(stored.equal) == 1:
        said.append(f"Only {stored.equal[0]} recovers the requirement, so there is nothing to compare.")
    elif stored.equal:
        said += [_against(stored), _cheapest(stored), _fairest(stored), _graded(stored), _steadiest(stored)]
    if above := _above_cap(stored):
        said.append(above)
    if rises := _rises(stored):
        said.append(rises)
    said += [f"{row['tariff']} does not hold ({row['status']}): {row['because']}." for row in stored.failed]
    said += [f"{k}: {v}." if k else f"{v}." for k, v in stored.data["findings"]] if not stored.has("summary") else []
    if not stored.failed and not Status(stored.data["status"]).success:  # why, where every tariff that was computed holds
        said += [f"{k[:1].upper()}{k[1:]}: {v}." for k, v in stored.data["findings"] if k == "stopped"]
    unequal = [n for n in stored.summary if n not in stored.equal]
    if unequal:
        said.append(f"{', '.join(unequal)}: as given, not made to recover the same revenue, so left out of comparisons.")
    return [s for s in said if s]


def _difference(stored: Stored, name: str) -> str:
    old, new = stored.summary[stored.before], stored.summary[name]
    return (
        f"cost {new['cost'] - old['cost']:+.3f} $ a day and household, gap of burdens {new['gap of burdens'] - old['gap of burdens']:+.2f} points, "
        f"peak {new['peak'] - old['peak']:+.{decimals(old['peak'])}f} MW"
    )


def _against(stored: Stored) -> str:
    if stored.before not in stored.equal or stored.subject not in stored.equal or stored.data["command"] not in ONE:
        return ""
    return f"{stored.subject} against {stored.before}, today's tariff, at equal revenue: {_difference(stored, stored.subject)}."


def _cheapest(stored: Stored) -> str:
    best = stored.least("cost")
    if best == stored.before:
        return f"Of {len(stored.equal)} tariffs at equal revenue none costs less than today's, {best}."
    if stored.before not in stored.equal:
        return f"Of {len(stored.equal)} tariffs at equal revenue {best} costs least."
    return f"{best} costs least of {len(stored.equal)} tariffs; against {stored.before}, at equal revenue: {_difference(stored, best)}."


def _fairest(stored: Stored) -> str:
    best, cheap = stored.least("gap of burdens"), stored.least("cost")
    row = stored.summary[best]
    if best == cheap:
        return f"The same tariff, {best}, has the smallest gap of burdens, {row['gap of burdens']:.2f} points of income."
    more = row["cost"] - stored.summary[cheap]["cost"]
    gap = f"{row['gap of burdens']:.2f} points of income"
    return f"{best} has the smallest gap of burdens, {gap}, and costs {more:.3f} $ a day and household more than {cheap}."


def _steadiest(stored: Stored) -> str:
    best, cheap = stored.least("peak"), stored.least("cost")
    row = stored.summary[best]
    if best == cheap:
        return f"The same tariff has the lowest peak, {row['peak']:.{decimals(row['peak'])}f} MW."
    more, few = stored.summary[cheap]["peak"] - row["peak"], decimals(row["peak"])
    return f"Stability pulls elsewhere: {best} has the lowest peak, {row['peak']:.{few}f} MW, {more:.{few}f} MW below {cheap}."


def _graded(stored: Stored) -> str:
    """That a small gap comes from fixed charges by group too, not from energy rates alone."""
    best = stored.least("gap of burdens")
    rows = [r for r in stored.rows("fixed_charges", tariff=best) if is_number(r["fixed"])]
    if not rows:
        return ""
    low, high = min(rows, key=lambda r: r["fixed"]), max(rows, key=lambda r: r["fixed"])
    if high["fixed"] - low["fixed"] < 0.005:
        return ""
    charges = f"from {low['fixed']:.2f} ({low['group']}) to {high['fixed']:.2f} $ a month ({high['group']})"
    return f"{best} has fixed charges by group, {charges}: its gap rests on them too."


def _above_cap(stored: Stored) -> str:
    """Named tariffs that a design may not choose, for their fixed charges."""
    cap = stored.data["settings"]["tariff"]["cap"] if stored.data["command"] == "design" else None
    highest = {n: max(r["fixed"] for r in stored.rows("fixed_charges", tariff=n)) for n in stored.equal}
    above = [f"{n} (up to {f:.2f})" for n, f in highest.items() if is_number(cap) and f > cap + 1e-6]
    return f"The design keeps fixed charges within {cap:g} $ a month; these do not: {', '.join(above)}." if above else ""


def _rises(stored: Stored) -> str:
    name = stored.subject if stored.data["command"] in ONE else stored.least("cost")
    rows = stored.rows("bills", tariff=name, group="all", kind="all") if name else []
    return f"Under {name}, {rows[0]['with rise > 5 %']:.1f} % of households pay over 5 % more than under {stored.before}." if rows else ""


def reliance(stored: Stored) -> list[str]:
    """Whether the figures can be relied on: what was checked, and what was not."""
    said = [f"Inputs: {stored.data['basis']}."]
    rows = [r for r in stored.rows("convergence") if r["tariff"] in stored.summary]
    if rows:
        worst = max(rows, key=lambda r: r["exploitability"])
        but = "; those that do not are rows of the tables of sections 1 and 10, and in no figure" if stored.failed else ""
        said.append(f"{len(rows)} of {len(rows) + len(stored.failed)} tariffs hold{but}.")
        said.append(f"Largest residual of prices {number(max(r['price residual'] for r in rows), 2)} $/kWh; largest shortfall of revenue among the tariffs "
                    f"compared {number(max((abs(stored.summary[n]['shortfall']) for n in stored.equal), default=None), 2)} $ a day and household.")  # fmt: skip
        said.append(f"Households choose with a temperature, so not quite best: on average they could still gain {number(worst['exploitability'], 2)} $ a day "
                    f"under {worst['tariff']}, the most of all. Smaller differences of cost may come from this alone.")  # fmt: skip
        cycling = [r["tariff"] for r in rows if r["spectral radius"] > 1]
        said.append(f"Undamped iteration of prices would cycle under {', '.join(cycling)}." if cycling else "Undamped iteration of prices would settle too.")
        unsure = [r["tariff"] for r in rows if r["locally one equilibrium"] != "yes"]
        said.append(f"That the equilibrium is locally the only one is not shown for {', '.join(unsure)}." if unsure
                    else "Demand falls with prices around each equilibrium, so each is locally the only one.")  # fmt: skip
    if stored.has("frontier"):
        said.append("Designs are the best of the local optima that the search found; a better one cannot be excluded.")
    return said
