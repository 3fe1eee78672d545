"""The figures of a comparison, each a pure function of the stored JSON (schema ``stackopt.comparison/1``).

An exact zero has no place on a logarithmic axis: it is drawn as an open mark on a dotted line labelled 0, below all other
points. A bound that does not apply is absent, and the panel says which.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from stackopt.comparison.drawing import INK, SOFT, legend_below, look, panels, plain, title
from stackopt.display import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = Mapping[str, Any]

#: An error below this, relative to 1 + |exact value|, is zero to rounding.
ROUNDING = 1e-9


_AS_BOUND = {"linestyle": (0, (2, 1.6)), "marker": "v", "linewidth": 1.0, "markersize": 4.5}


def rounding(comparison: Json, problem: str) -> float:
    """What counts as an error of zero for this problem, in the unit of its values."""
    exact = comparison["problems"][problem].get("lower")
    return ROUNDING * (1.0 + abs(exact if is_number(exact) else 0.0))


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a stored figure is a finite number (null and "inf" are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def ladder(comparison: Json, problem: str) -> dict[str, list[Json]]:
    """Rows of the methods with a temperature, by family, each family by falling temperature."""
    families: dict[str, list[Json]] = {}
    for row in comparison["rows"]:
        if row["problem"] == problem and is_number(row["temperature"]):
            families.setdefault(row["family"], []).append(row)
    return {family: sorted(rows, key=lambda r: -r["temperature"]) for family, rows in families.items()}


def families_of(comparison: Json) -> list[str]:
    """All families, those with a temperature first: the position fixes colour, marker and dash in every figure."""
    cells = comparison["cells"]
    order = list(dict.fromkeys(c["family"] for c in cells))
    return sorted(order, key=lambda family: not any(c["temperature"] for c in cells if c["family"] == family))


def called(family: str) -> str:
    """A family of methods in words: ``SoftmaxPolicyIteration fixed_point max-ent`` is ``softmax fixed point, max-ent``."""
    words = family.replace("SoftmaxPolicyIteration", "softmax").replace("fixed_point", "fixed point")
    for response in ("max-ent", "boltzmann"):
        words = words.replace(f" {response}", f", {response}")
    return words[:1].lower() + words[1:]


def cell_error(comparison: Json, cell: Json) -> float | None:
    """Gap of one cell's certified value to the exact (or best known) value of what its method aims at; None without a value."""
    target = next((r["target"] for r in comparison["rows"] if (r["problem"], r["method"]) == (cell["problem"], cell["method"])), "strong")
    exact = comparison["problems"][cell["problem"]]["weak_lower" if target == "weak" else "lower"]
    value = (cell["values"] or {}).get(cell.get("objective") if target == "weak" and cell.get("objective") else target)
    return float(exact) - float(value) if is_number(exact) and is_number(value) else None


def regret_bounds(comparison: Json, problem: str, method: str) -> list[Json]:
    """The applicable bounds on the follower's regret of a method on a problem, from every seed.

    Where a bound known before the run applies, those that use what the run itself measured are left out: the former are
    the predictions.
    """
    found = [
        b for b in comparison["bounds"]
        if (b["problem"], b["method"]) == (problem, method) and b["applies"] and b["sense"] == "upper"
        and b["of"] in ("follower's loss", "follower's regret") and is_number(b["value"])
    ]  # fmt: skip
    return [b for b in found if "a posteriori" not in b["reference"]] or found


def regret_bound(comparison: Json, row: Json) -> float | None:
    """The least of `regret_bounds` of each seed, the largest over seeds; None if none applies."""
    least: dict[int, float] = {}
    for b in regret_bounds(comparison, row["problem"], row["method"]):
        least[b["seed"]] = min(least.get(b["seed"], math.inf), b["value"])
    return max(least.values(), default=None)


# --- error and regret against temperature -----------------------------------------------------------------------------


def error_figure(comparison: Json, problem: str | None = None) -> Figure:
    """Measured error and proved bound against temperature, both logarithmic: one panel per problem, all concepts.

    Parameters
    ----------
    comparison : dict
        The stored JSON.
    problem : str, optional
        Only this problem; all by default.

    Returns
    -------
    matplotlib Figure
        The error is the gap between the exact value and the certified one, in the unit of the leader's reward.

    Raises
    ------
    MissingPackage
        If Matplotlib is not installed.
    """
    return _against_temperature(comparison, problem, "error")


def regret_figure(comparison: Json, problem: str | None = None) -> Figure:
    """The follower's regret under its own soft policy, and the bound proved for it, against temperature  [B2.1, B2.2, B11.3].

    Parameters, return value and errors as `error_figure`.
    """
    return _against_temperature(comparison, problem, "follower_regret")


def _against_temperature(comparison: Json, problem: str | None, quantity: str) -> Figure:
    names = [problem] if problem is not None else list(comparison["problems"])
    columns = min(len(names), 2) or 1
    figure, axes = panels(columns, max(1, math.ceil(len(names) / columns)), feature="a figure")
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    families = families_of(comparison)
    for name, ax in zip(names, axes, strict=False):
        _temperature_panel(comparison, name, quantity, ax, families, named=problem is None)
    legend_below(figure, axes)
    return figure


def _temperature_panel(comparison: Json, problem: str, quantity: str, ax: Axes, families: Sequence[str], *, named: bool) -> None:
    by_family = ladder(comparison, problem)
    zero = rounding(comparison, problem)
    if named:
        title(ax, problem)
    series = []
    absent: list[str] = []
    for family, rows in by_family.items():
        style = look(families.index(family))
        bounds = [_bound(comparison, row, quantity) for row in rows]
        series.append((family, style, [r["temperature"] for r in rows], [_finite(r[quantity]) for r in rows], bounds, rows))
        missing = [f"{r['temperature']:g}" for r, b in zip(rows, bounds, strict=True) if b is None and is_number(r[quantity])]
        absent += [f"no bound applies to {called(family)} at {_join(missing)}"] if missing else []
        silent = [f"{r['temperature']:g}" for r in rows if not is_number(r[quantity])]
        absent += [f"no answer from {called(family)} at {_join(silent)}"] if silent else []
    measured = [y for _, _, _, ys, bounds, _ in series for y in [*ys, *bounds] if is_number(y)]
    if not measured:
        _empty(ax, "no method with a temperature gave an answer here")
        return
    floor = _floor(measured, zero)
    drew_zero = False
    for family, style, xs, ys, bounds, rows in series:
        spread = [_spread(r) if quantity == "error" else (0.0, 0.0) for r in rows]
        drew_zero |= _draw(ax, xs, ys, zero, floor, label=f"{called(family)}: measured", spread=spread, **style)
        drew_zero |= _draw(ax, xs, bounds, zero, floor, label=f"{called(family)}: proved bound", **{**style, **_AS_BOUND})
    stopped = [(x, y) for _, _, xs, ys, _, rows in series for x, y, r in zip(xs, ys, rows, strict=True) if y is not None and not r["certified"]]
    if stopped:
        crosses: dict[str, Any] = {"linestyle": "none", "marker": "x", "markersize": 10, "color": INK, "label": "crossed: not certified, e.g. at a limit"}
        ax.plot([x for x, _ in stopped], [max(y, floor) for _, y in stopped], **crosses)
    ax.set_xscale("log")
    ax.set_yscale("log")
    _ticks(ax, sorted({x for _, _, xs, _, _, _ in series for x in xs}), [y for y in measured if y > zero])
    if drew_zero:
        ax.axhline(floor, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
        ax.annotate("0 to rounding (open mark)", (0.99, floor), xycoords=("axes fraction", "data"), xytext=(0, 4),
                    textcoords="offset points", ha="right", fontsize=8, color=SOFT)  # fmt: skip
        ax.set_ylim(bottom=floor / 1.8)
    closed = comparison["problems"][problem].get("closed", True)
    what = {"error": "gap to the exact value" if closed else "gap to the best known value", "follower_regret": "follower's regret"}[quantity]
    unit = (comparison["problems"][problem].get("about") or {}).get("unit") or ""
    ax.set_ylabel(plain(f"{what}\nin {unit}") if unit else what)
    ax.set_xlabel(plain("temperature\n" + "\n".join(absent) if absent else "temperature"), fontsize=9)


def _finite(value: Any) -> float | None:
    return float(value) if is_number(value) else None


def _bound(comparison: Json, row: Json, quantity: str) -> float | None:
    if quantity == "error":
        return _finite(row["bound"])
    return regret_bound(comparison, row)


def _spread(row: Json) -> tuple[float, float]:
    """How far the error lies below and above its mean over seeds."""
    if not all(is_number(row[k]) for k in ("value", "value_low", "value_high")):
        return 0.0, 0.0
    return max(row["value_high"] - row["value"], 0.0), max(row["value"] - row["value_low"], 0.0)


def _draw(
    ax: Axes, xs: Sequence[float], ys: Sequence[float | None], zero: float, floor: float, *, label: str,
    spread: Sequence[tuple[float, float]] = (), **style: Any,
) -> bool:  # fmt: skip
    """Draw one series; whether some of it is zero and was put on the floor."""
    if all(y is None for y in ys):
        return False
    positive = [y if y is not None and y > zero else math.nan for y in ys]
    ax.plot(xs, positive, label=label, **style)
    for x, y, (below, above) in zip(xs, positive, spread, strict=False):
        if below + above > zero and not math.isnan(y):
            ax.vlines(x, max(y - below, floor), y + above, color=style["color"], linewidth=1.0, alpha=0.7)
    zeros = [x for x, y in zip(xs, ys, strict=True) if y is not None and y <= zero]
    if zeros:
        ax.plot(zeros, [floor] * len(zeros), **{**style, "linestyle": "none", "markerfacecolor": "#ffffff"})
    return bool(zeros)


def _floor(values: Iterable[float], zero: float) -> float:
    """Where zeros are drawn: half a decade below the smallest positive value."""
    positive = [v for v in values if v > zero]
    return min(positive) / 3.0 if positive else 1e-9


def _ticks(ax: Axes, temperatures: Sequence[float], positive: Sequence[float]) -> None:
    """Ticks at the temperatures themselves, and at round figures among the positive values."""
    if len(temperatures) <= 8:
        ax.set_xticks(list(temperatures), [f"{t:g}" for t in temperatures])
        ax.set_xticks([], minor=True)
    if positive:
        low, high = min(positive) / 1.8, max(positive) * 1.8
        ax.set_ylim(low, high)
        round_ = _round_figures(low, high)
        ax.set_yticks(round_, [number(t, 3) for t in round_])
    ax.set_yticks([], minor=True)


def _round_figures(low: float, high: float, most: int = 7) -> list[float]:
    """Powers of ten between `low` and `high`, with 2 and 5 times them where that leaves at most `most` ticks."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        ticks = [d * 10.0**k for k in decades for d in digits if low <= d * 10.0**k <= high]
        if len(ticks) <= most:
            return ticks
    return ticks[:: -math.ceil(len(ticks) / most)]


def _join(temperatures: Sequence[str]) -> str:
    return ", ".join(temperatures) if len(temperatures) <= 4 else f"{temperatures[0]} to {temperatures[-1]}"


def _empty(ax: Axes, because: str) -> None:
    ax.text(0.5, 0.5, because, ha="center", va="center", transform=ax.transAxes, color=SOFT, fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])


# --- time to an answer ------------------------------------------------------------------------------------------------


def within_gap(comparison: Json, cell: Json, gap: float) -> bool:
    """Whether a cell is certified and its error is at most `gap` times the exact value (times 1 if that is 0)."""
    error = cell_error(comparison, cell)
    exact = comparison["problems"][cell["problem"]].get("lower")
    scale = abs(exact) if is_number(exact) and exact else 1.0
    return bool(cell["certified"]) and error is not None and error <= gap * scale + rounding(comparison, cell["problem"])


def performance_figure(comparison: Json, gap: float = 0.01) -> Figure:
    """Share of runs that gave a certified answer within `gap` of the exact value, by CPU time, per family of methods.

    Runs that ended without such an answer are censored: an open mark at the time they took, at the height of their curve.

    Parameters
    ----------
    comparison : dict
        The stored JSON.
    gap : float
        Relative to the exact value.

    Raises
    ------
    MissingPackage
        If Matplotlib is not installed.
    """
    figure, (ax,) = panels(1, feature="a figure")
    families: dict[str, list[tuple[float, bool]]] = {}
    for cell in comparison["cells"]:
        seconds = (cell["stats"] or {}).get("cpu_seconds")
        if cell["status"] != "REFUSED" and is_number(seconds):
            families.setdefault(cell["family"], []).append((max(float(seconds), 1e-4), within_gap(comparison, cell, gap)))
    if not families:
        _empty(ax, "no run to show")
        return figure
    times = [t for runs in families.values() for t, _ in runs]
    longest = max(times)
    order = families_of(comparison)
    for family, runs in sorted(families.items(), key=lambda item: order.index(item[0])):
        style = look(order.index(family))
        done = sorted(t for t, good in runs if good)
        share = [(k + 1) / len(runs) for k in range(len(done))]
        ax.step([*done, longest * 1.3] if done else [], [*share, share[-1]] if done else [], where="post", color=style["color"], linestyle=style["linestyle"])
        ax.plot(done, share, color=style["color"], marker=style["marker"], linestyle="none", label=f"{called(family)}: {len(done)} of {len(runs)} runs")
        censored = [t for t, good in runs if not good]
        height = [sum(d <= t for d in done) / len(runs) for t in censored]
        ax.plot(censored, height, color=style["color"], marker=style["marker"], linestyle="none", markerfacecolor="#ffffff", zorder=3)
    ax.set_xscale("log")
    ticks = _round_figures(min(times) / 1.5, longest * 1.5)
    ax.set_xticks(ticks, [number(t, 3) for t in ticks])
    ax.set_xticks([], minor=True)
    ax.set_ylim(-0.05, 1.05)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "all"])
    ax.set_xlabel(f"CPU seconds until certified within {100 * gap:g} % of the exact value\nopen marks: runs that ended without such an answer", fontsize=9)
    ax.set_ylabel("share of runs")
    legend_below(figure, [ax])
    return figure


# --- residual by iteration --------------------------------------------------------------------------------------------


def residual_history(cell: Json) -> tuple[str, list[float]] | None:
    """The name and values of a cell's residual by iteration; None if it kept none."""
    for name, values in (cell["history"] or {}).items():
        if "residual" in name and values:
            return name, [float(v) if is_number(v) else math.nan for v in values]
    return None


def residual_figure(comparison: Json, problem: str | None = None, family: str | None = None, lines: int = 4) -> Figure:
    """Residual by iteration, median over seeds with the range shaded: one panel per family of methods.

    Parameters
    ----------
    comparison : dict
        The stored JSON.
    problem, family : str, optional
        Only these; all by default.
    lines : int
        At most so many temperatures of a family are drawn, from the highest to the lowest.

    Raises
    ------
    MissingPackage
        If Matplotlib is not installed.
    """
    families: dict[str, dict[str, list[Json]]] = {}
    for cell in comparison["cells"]:
        if problem in (None, cell["problem"]) and family in (None, cell["family"]) and residual_history(cell):
            label = cell["method"] if problem is not None else f"{cell['problem']}, {cell['method']}"
            families.setdefault(cell["family"], {}).setdefault(label, []).append(cell)
    columns = min(2, len(families)) or 1
    figure, axes = panels(columns, max(1, math.ceil(len(families) / columns)), feature="a figure", height=3.4)
    for ax in axes[len(families) :]:
        ax.set_visible(not families)
    if not families:
        _empty(axes[0], "no method kept its residuals")
        return figure
    from matplotlib.ticker import MaxNLocator

    for (name, methods), ax in zip(families.items(), axes, strict=False):
        labels = sorted(methods, key=lambda label: -(methods[label][0]["temperature"] or 0.0))
        chosen = labels if len(labels) <= lines else [labels[round(i * (len(labels) - 1) / (lines - 1))] for i in range(lines)]
        for i, label in enumerate(chosen):
            _residual_line(ax, methods[label], i)
        left_out = len(labels) - len(chosen)
        title(ax, called(name))
        ax.set_yscale("log")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set_xlabel("iteration" + (f"; {left_out} more in the table" if left_out else ""), fontsize=9)
        ax.set_ylabel("residual")
        ax.legend(fontsize=8.5, handlelength=3.0, labelcolor=INK, frameon=False)
    return figure


def _residual_line(ax: Axes, cells: Sequence[Json], index: int) -> None:
    import numpy as np

    histories = [np.asarray(found[1]) for cell in cells if (found := residual_history(cell))]
    length = max(len(h) for h in histories)
    table = np.full((len(histories), length), np.nan)
    for row, h in zip(table, histories, strict=True):
        row[: len(h)] = np.where(h > 0, h, np.nan)
    steps = np.arange(length) * float(cells[0].get("history_step") or 1)
    filled = ~np.isnan(table).all(0)
    steps, table = steps[filled], table[:, filled]
    if not steps.size:
        return
    style = look(index)
    temperature = cells[0]["temperature"]
    label = f"temperature {number(temperature, 3)}" if is_number(temperature) else plain(cells[0]["method"])
    ax.plot(steps, np.nanmedian(table, 0), label=label, markevery=max(1, steps.size // 6), **{**style, "markersize": 4.5})
    if len(histories) > 1:
        ax.fill_between(steps, np.nanmin(table, 0), np.nanmax(table, 0), color=style["color"], alpha=0.18, linewidth=0)


