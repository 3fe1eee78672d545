"""What the report says in sentences, rendered from the unrounded figures of the stored JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stackopt.comparison import figures
from stackopt.comparison.figures import called, is_number
from stackopt.display import number
from stackopt.solution import STRONG_VALUE

Json = Mapping[str, Any]

#: The words of the report, explained once.
WORDS = (
    ("Leader and follower", "The leader commits to a policy and announces it; the follower sees it and answers with what is best for itself."),
    ("Strong and weak", "When several answers are equally good for the follower, the strong value gives the leader the best of them, the weak "
                        "value the worst."),
    ("Certified value", "The leader's value when the follower truly best-responds, recomputed from the problem's own data."),
    ("Own soft follower", "The leader's value if the follower were as soft as the method assumes. Another follower, so another question: "
                                    "it may lie above or below the certified value."),
    ("Error", "The exact value less the certified value: what the leader gives up by using this policy. Where the exact value is open, the gap "
              "to the best value known."),
    ("Bound on the error", "The most that can be given up, proved for this very policy without knowing the exact answer."),
    ("Regret", "What a player could still gain by changing its policy while the other's stays as it is. No regret on both sides is an equilibrium "
               "of simultaneous moves; it says nothing about the best commitment."),
    ("Commitment and fixed point", "In a commitment the leader takes the follower's reaction into account. In a fixed point each answers the "
                                   "other's policy as given, so the leader does not anticipate, and its value can stay lower at every temperature."),
    ("Temperature", "How soft a follower is, in units of its reward. max-ent and Boltzmann are two different soft followers."),
    ("Status", "OPTIMAL: the search closed its gap and the problem confirmed the value. CONVERGED: the stopping rule was met. LIMIT: it was not; "
               "never a success. REFUSED: the method does not solve this problem. FAILED: it broke off, or the problem refuted its answer."),
)  # fmt: skip


def headline(comparison: Json) -> tuple[str, str]:
    """The first words of the page and their tone: ``"good"``, ``"wait"`` (nothing is wrong, something is missing) or ``"bad"``."""
    verdicts = [b["verdict"] for b in comparison["bounds"]]
    failed = sum(c["status"] == "FAILED" for c in comparison["cells"])
    if comparison["violations"] or not comparison["verdict"]["good"]:
        return "✗ A proved bound is violated", "bad"
    holds = "Every bound that applies holds" if "holds" in verdicts else "No bound could be held against a measurement"
    if failed or "holds" not in verdicts:
        return f"! {holds}" + (f"; {failed} run{'s' if failed > 1 else ''} failed" if failed else ""), "wait"
    return f"✓ {holds}", "good"


def unit_of(comparison: Json, name: str) -> str:
    """The unit of a problem's values with a space before it, or nothing."""
    unit = (comparison["problems"][name].get("about") or {}).get("unit") or ""
    return f" {unit}" if unit else ""


def findings(comparison: Json, name: str) -> list[str]:
    """What was found on one problem: the exact answer, then what each family of soft learners reaches."""
    p, unit = comparison["problems"][name], unit_of(comparison, name)
    least = p.get("sense") == "min"  # the leader minimises: what was attained is the upper side
    attained, bound = (p.get("upper"), p.get("lower")) if least else (p.get("lower"), p.get("upper"))
    game = p.get("quantity", STRONG_VALUE) == STRONG_VALUE
    sentences = []
    if not is_number(attained):
        sentences.append("No method gave a value here, so there is nothing to compare with.")
    elif p.get("closed"):
        sentences.append(
            f"The {'exact strong commitment value' if game else 'optimal value of the leader'} is {number(attained, 7)}{unit}: "
            f"{p.get('lower_by') or 'a method'} attains it, and a proved {'lower' if least else 'upper'} bound [{p.get('upper_reference')}] meets it."
        )
    else:
        limit = f"no leader {'policy' if game else 'decision'} can {'get below' if least else 'exceed'}"
        proved = f", and {limit} {number(bound, 7)}{unit} [{p.get('upper_reference')}]" if is_number(bound) else ""
        sentences.append(
            f"The methods run here leave the exact value open. The best {'policy' if game else 'decision'} found attains {number(attained, 7)}{unit} "
            f"({p.get('lower_by')}){proved}. Errors below are gaps to the value attained."
        )
    known = (p.get("about") or {}).get("known") or {}
    answer = known.get("strong", known.get("value"))
    if is_number(answer) and not p.get("closed"):
        source = f" ({known['reference']})" if known.get("reference") else ""
        sentences.append(f"Known from elsewhere: {number(answer, 7)}{unit}{source}.")
    if game and is_number(p.get("weak_lower")):
        how = "is exactly" if p.get("weak_closed") else "found is"
        sentences.append(f"If ties go against the leader (weak), the best value {how} {number(p['weak_lower'], 7)}{unit}.")
    return sentences + [_of_family(comparison, name, family, rows) for family, rows in figures.ladder(comparison, name).items()]


def _of_family(comparison: Json, name: str, family: str, rows: Sequence[Json]) -> str:
    """What the soft learners of one family reach, from the highest to the lowest temperature."""
    p, zero = comparison["problems"][name], figures.rounding(comparison, name)
    answered = [r for r in rows if is_number(r["error"])]
    title = called(family)[:1].upper() + called(family)[1:]
    if not answered:
        reason = next((r["note"] for r in rows if r["note"]), "")
        return f"{title}: no answer. {reason[:1].upper()}{reason[1:]}." if reason else f"{title}: no answer; see section 7."
    best = min(answered, key=lambda r: r["error"])
    exact, of = p.get("lower"), "the exact value" if p.get("closed") else "the best value known"

    def words(row: Json) -> str:
        share = f" ({number(100 * row['error'] / abs(exact), 3)}\u00a0% of {of})" if is_number(exact) and exact else ""
        return ("zero to rounding" if abs(row["error"]) <= zero else number(row["error"], 3) + share) + f" at temperature {number(row['temperature'])}"

    worst = max(answered, key=lambda r: r["error"])
    text = f"{title}: the error is least, {words(best)}"
    text += f", and greatest, {words(worst)}." if worst is not best else "."
    if is_number(best["soft_value"]):
        text += f" At its best the leader gets {number(best['value'], 7)} certified"
        text += f" and {number(best['soft_value'], 7)} under its own soft follower."
    return text


def violation(v: Json) -> str:
    """One violated bound, with where it was found."""
    text = v.get("text") or f"{v['of']}: measured {number(v['measured'])}, proved {number(v['bound'])} [{v['reference']}]"
    return f"{v['problem']}, {v['method']}, seed {v['seed']}: {text}"
