"""The figures of the report: drawn, captioned, and with their finding in words for those who do not see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stackopt.comparison import figures
from stackopt.comparison.drawing import again, svg
from stackopt.comparison.figures import called, is_number
from stackopt.display import number

Json = Mapping[str, Any]

#: Runs count as answered in section 4 when certified within this share of the exact value.
GAP = 0.01


class Drawn(NamedTuple):
    """A figure of the page."""

    id: str
    svg: Any
    caption: str


def span(values: Sequence[float]) -> str:
    """``0.1 to 0.7``; a dash for nothing."""
    return f"{number(min(values), 3)} to {number(max(values), 3)}" if values else "–"


def markup(text: str) -> Any:
    """A figure as it stands in the page, not escaped once more."""
    from markupsafe import Markup

    return Markup(text)  # made by `drawing.svg`, which escapes what it is given


def temperature_figure(comparison: Json, name: str, quantity: str, id: str) -> Drawn | None:
    """The error (``quantity="error"``) or the follower's regret (``"follower_regret"``) against temperature; None without a figure to show."""
    families = figures.ladder(comparison, name)
    if not any(is_number(r[quantity]) for rows in families.values() for r in rows):
        return None
    closed = comparison["problems"][name].get("closed")
    draw, what = {
        "error": (figures.error_figure, "error of the certified value" if closed else "gap of the certified value to the best value known"),
        "follower_regret": (figures.regret_figure, "follower's regret"),
    }[quantity]
    parts = []
    for family, rows in families.items():
        answered = [r for r in rows if is_number(r[quantity])]
        if answered:
            high, low = answered[0], answered[-1]
            first, last = (f"{number(r[quantity], 3)} at temperature {number(r['temperature'])}" for r in (high, low))
            parts.append(f"{called(family)}, {first} and {last}")
    finding = f"{name}, {what} against temperature: " + "; ".join(parts)
    caption = f"{what[0].upper()}{what[1:]} against temperature, with the bound proved for it. Both axes are logarithmic; open marks are zeros to rounding."
    return Drawn(id, markup(svg(draw(comparison, name), id, finding)), caption)


def second_view(drawn: Drawn | None, id: str) -> Drawn | None:
    """The same figure once more, for section 1."""
    if drawn is None:
        return None
    caption = f"{drawn.caption.split(',')[0]}; its numbers are in section 3."
    return Drawn(id, markup(again(str(drawn.svg), drawn.id, id)), caption)


def residual_figures(comparison: Json, name: str, id: str) -> list[Drawn]:
    """One figure for each family of methods that kept its residuals."""
    drawn = []
    for i, family in enumerate(figures.families_of(comparison)):
        found = [h[1][-1] for c in comparison["cells"] if (c["problem"], c["family"]) == (name, family) and (h := figures.residual_history(c))]
        if found:
            finding = f"{name}, {called(family)}, residual by iteration: the last residuals of {len(found)} runs range over {span(found)}"
            caption = f"{called(family)}: residual by iteration, median over seeds, range shaded where there are several."
            drawn.append(Drawn(f"{id}-{i}", markup(svg(figures.residual_figure(comparison, name, family), f"{id}-{i}", finding)), caption))
    return drawn


def performance_figure(comparison: Json) -> Drawn | None:
    """Time to a certified answer; None if nothing ran."""
    ran = [c for c in comparison["cells"] if c["status"] != "REFUSED" and is_number((c["stats"] or {}).get("cpu_seconds"))]
    if not ran:
        return None
    good = sum(figures.within_gap(comparison, c, GAP) for c in ran)
    finding = f"Share of runs by CPU time: {good} of {len(ran)} runs gave a certified answer within {100 * GAP:g} percent of the exact value"
    caption = (
        f"Share of runs certified within {100 * GAP:g} % of the exact (or best known) value, by CPU time. "
        "Every temperature is a run; high ones cannot come close. "
        "Open marks are runs that ended without such an answer."
    )
    return Drawn("time-figure", markup(svg(figures.performance_figure(comparison, GAP), "time-figure", finding)), caption)
