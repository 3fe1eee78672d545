"""A figure for each finding, a pure function of what is stored. Every case that has an answer is drawn, the study's own settings stand out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stackopt.comparison.drawing import INK, SOFT, legend_below, look, panels, plain, title
from stackopt.energy.findings.cases import AXES
from stackopt.energy.findings.counted import Finding
from stackopt.energy.findings.finding import Findings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
_FEATURE = "a figure"
#: Welfare gaps below this are not told from 0, $/day.
TOLD = 2e-7


def figures(found: Findings) -> dict[str, Figure]:
    """Figures by name of the finding; none for a finding that was not examined.

    Raises
    ------
    MissingPackage
        Without Matplotlib.
    """
    return {f.name: DRAWN[f.name](f, found.settings) for f in found.findings if f.examined}


def _own(row: Row, settings: Mapping[str, Any]) -> bool:
    """Whether a case has the study's own settings."""
    at = [(row[axis], settings[section][key]) for axis, ((section, key), _, _) in AXES.items() if row.get(axis) is not None]
    return all(math.isclose(a, b, rel_tol=1e-9) for a, b in at)


def _cases(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows of one setting together, in their order."""
    kept: dict[Any, list[Row]] = {}
    for r in rows:
        kept.setdefault(tuple(r.get(axis) for axis in AXES), []).append(r)
    return list(kept.values())


def _path(ax: Axes, points: list[tuple[float, float]], own: bool, series: int, label: str, marks: list[str] | None = None) -> None:
    """A line through the steps of a case; the study's own is thick, and its steps are named."""
    style = look(series)
    if not own:
        style = {"color": style["color"], "linestyle": "-", "linewidth": 0.7, "alpha": 0.45, "marker": style["marker"], "markersize": 2.2}
    ax.plot([x for x, _ in points], [y for _, y in points], **style, label=f"{label}, own settings" if own else label)
    for (x, y), text in zip(points if own else [], marks or [], strict=False):
        ax.annotate(text, (x, y), xytext=(5, -10), textcoords="offset points", fontsize=8, color=INK)


def net_billing_figure(finding: Finding, settings: Mapping[str, Any]) -> Figure:
    """What net billing changes against net metering, a mark for each case: cost saved against the gap of burdens narrowed, and against the peak."""
    figure, axes = panels(2, feature=_FEATURE, width=4.3, height=3.9)
    for ax, key, sign, words in ((axes[0], "gap", -1.0, "gap of burdens narrower by, points of income"), (axes[1], "peak", 1.0, "change of the peak, MW")):
        title(ax, {"gap": "Cost and gap of burdens", "peak": "Cost and peak"}[key])
        ax.axhline(0.0, color=INK, linewidth=0.9)
        ax.axvline(0.0, color=INK, linewidth=0.9)
        for i, (rate, name) in enumerate((("flat", "flat rate"), ("tou", "time of use"))):
            points = []
            for r in finding.rows(rate=rate):
                nem, nb = ((r[f"{key}, {kind}"], r[f"cost, {kind}"]) for kind in ("net metering", "net billing"))
                if None not in (*nem, *nb):
                    points.append((sign * (nb[0] - nem[0]), nem[1] - nb[1], _own(r, settings)))
            style = {**look(i), "linestyle": "none", "markersize": 5}
            ax.plot([x for x, _, _ in points], [y for _, y, _ in points], **{**style, "markerfacecolor": "none"}, label=name)
            ax.plot([x for x, _, own in points if own], [y for _, y, own in points if own], **{**style, "markersize": 9}, label=f"{name}, own settings")
        ax.set_xlabel(words)
        ax.set_ylabel(plain("cost saved, $/day and household"))
    legend_below(figure, axes)
    return figure


def fixed_charges_figure(finding: Finding, settings: Mapping[str, Any]) -> Figure:
    """What is lost against the share of fixed costs that fixed charges recover: a line for each case, by how energy is priced."""
    kinds = list(dict.fromkeys(r["energy at"] for r in finding.rows()))
    figure, axes = panels(2, math.ceil(len(kinds) / 2), feature=_FEATURE, width=4.3, height=3.1)
    for i, (ax, kind) in enumerate(zip(axes, kinds, strict=False)):
        title(ax, kind)
        for case in _cases(finding.rows(**{"energy at": kind})):
            some = [r for r in case if r["loss"] is not None]
            if kind.startswith("one hour"):
                ax.plot([r["share by fixed charges"] for r in some], [r["loss in closed form"] for r in some], color=INK, linewidth=1.0, label="closed form")
                ax.plot([r["share by fixed charges"] for r in some], [r["loss"] for r in some], **{**look(i), "linestyle": "none"}, label="welfare lost")
            elif len(some) > 1:
                points = [(r["share by fixed charges"], r["loss"]) for r in some]
                _path(ax, points, _own(case[0], settings), 0, "other settings" if not _own(case[0], settings) else "loss")
        ax.set_xlim(0.0, 1.02)
        ax.set_xlabel("share recovered by fixed charges")
        if i % 2 == 0:
            ax.set_ylabel(plain("loss, $/day and household"))
    day = [ax for ax, kind in zip(axes, kinds, strict=False) if not kind.startswith("one hour")]
    for ax in axes:
        ax.set_ylim(0.0, max(other.get_ylim()[1] for other in (day if ax in day else [ax])))
        ax.set_visible(ax in axes[: len(kinds)])
    legend_below(figure, axes[: len(kinds)])
    return figure


def discounts_figure(finding: Finding, settings: Mapping[str, Any]) -> Figure:
    """What each discount adds to the cost, against by how much it narrows the gap: from no discount at 0, a line for each case; own settings beside."""
    figure, axes = panels(2, feature=_FEATURE, width=4.4, height=4.0)
    paths, graded = [], []
    for i, rate in enumerate(("flat", "tou")):
        for case in _cases(finding.rows(rate=rate)):
            some = list(itertools.takewhile(lambda r: r["cost"] is not None, case))
            if not some:
                continue
            none, own = some[0], _own(case[0], settings)
            paths.append((i, own, [(none["gap"] - r["gap"], r["cost"] - none["cost"]) for r in some], [f"{100 * r['discount']:.0f} %" for r in some]))
            for r in finding.rows(rate="graded fixed charges (cpuc)") if rate == "flat" else ():
                if all(r.get(axis) == none.get(axis) for axis in AXES) and r["cost"] is not None:
                    graded.append((none["gap"] - r["gap"], r["cost"] - none["cost"], own))
    for ax, words in zip(axes, ("Every setting", "The study's own settings"), strict=True):
        title(ax, words)
        ax.axhline(0.0, color=INK, linewidth=0.9)
        every = ax is axes[0]
        for i, own, points, marks in paths:
            if own or (every and i == 0):
                label = ("discount on a flat rate", "on a time-of-use rate")[i] if own else "discount on a flat rate, other settings"
                _path(ax, points, own, i, label, marks if i == 0 and not every else None)
        for mine, size in ((False, 3), (True, 8)):
            some_graded = [(x, y) for x, y, own in graded if own == mine and (own or every)]
            style = {**look(2), "linestyle": "none", "markersize": size}
            ax.plot([x for x, _ in some_graded], [y for _, y in some_graded], **style, label="graded fixed charges (cpuc)" if mine else None)
        ax.set_xlabel("gap of burdens narrowed by, points of income")
        ax.set_ylabel(plain("added cost, $/day"))
    legend_below(figure, axes)
    return figure


def welfare_figure(finding: Finding, settings: Mapping[str, Any]) -> Figure:
    """The welfare gap against the exploitability, a mark for each temperature and slope: on or below the line where both sides pay the wholesale price."""
    figure, (ax,) = panels(1, feature=_FEATURE, width=6.4, height=4.4)
    rows = [r for r in finding.rows() if r["welfare gap"] is not None and r["welfare gap"] > TOLD and r["exploitability"] > TOLD]
    slopes = list(dict.fromkeys(r["slope"] for r in finding.rows()))
    for i, slope in enumerate(slopes):
        for credit in (1.0, 0.5):
            some = [r for r in rows if r["slope"] == slope and r["export credit"] == credit]
            style = {**look(i), "linestyle": look(i)["linestyle"] if credit == 1.0 else "none"}
            if credit != 1.0:
                style["markerfacecolor"] = "none"
            words = "exports at the wholesale price" if credit == 1.0 else "at half of it"
            ax.plot([r["exploitability"] for r in some], [r["welfare gap"] for r in some], **style, label=f"slope {slope:g}, {words}")
    ends = [f(v for r in rows for v in (r["exploitability"], r["welfare gap"])) for f in (min, max)]
    ax.plot(ends, ends, color=INK, linewidth=1.0, label="gap = exploitability")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel(plain("exploitability, $/day and household"))
    ax.set_ylabel(plain("cost above the optimum, $/day"))
    legend_below(figure, [ax])
    return figure


def stability_figure(finding: Finding, settings: Mapping[str, Any]) -> Figure:
    """Cost against stability: named tariffs beside wholesale prices passed through, then what dearer peaks and more batteries do."""
    parts = list(dict.fromkeys(r["part"] for r in finding.rows()))
    figure, axes = panels(len(parts), feature=_FEATURE, width=3.7, height=3.9)
    first = axes[0]
    title(first, "Against prices passed through")
    names = [n for n in dict.fromkeys(r["tariff"] for r in finding.rows(part="tariffs")) if n != "lmp"]
    for case in _cases(finding.rows(part="tariffs")):
        base = next(r for r in case if r["tariff"] == "lmp")
        own = _own(base, settings)
        for r in case:
            if r["tariff"] != "lmp" and r["cost"] is not None and base["cost"] is not None:
                style = {**look(names.index(r["tariff"])), "linestyle": "none", "markersize": 8 if own else 3, "alpha": 1.0 if own else 0.5}
                first.plot([r["cost"] - base["cost"]], [r["peak"] - base["peak"]], **style, label=r["tariff"] if own else None)
    first.plot([0.0], [0.0], marker="P", markersize=9, color=INK, linestyle="none", label="prices passed through")
    first.set_xlabel(plain("added cost, $/day"))
    first.set_ylabel("change of the peak, MW")
    for ax, part in zip(axes[1:], parts[1:], strict=True):
        title(ax, {"peak rate": "Dearer peak, ratio 1 to 3", "batteries": "Batteries, from none to all"}[part])
        kinds = {"peak rate": ["net billing", "net metering"], "batteries": ["flat_nb", "tou_nb"]}[part]
        for i, kind in enumerate(kinds):
            for case in _cases(finding.rows(part=part, tariff=kind)):
                some = list(itertools.takewhile(lambda r: r["cost"] is not None, case))
                own = _own(case[0], settings)
                if len(some) > 1 and (own or i == 0):
                    points = [(some[0]["price spread"] - r["price spread"], r["cost"] - some[0]["cost"]) for r in some]
                    words = f"{'peak' if part == 'peak rate' else 'batteries'}: {kind}"
                    _path(ax, points, own, i, words if own else f"{words}, other settings")
        ax.axhline(0.0, color=SOFT, linewidth=0.8)
        ax.set_xlabel(plain("spread of prices less by, $/MWh"))
        ax.set_ylabel(plain("added cost, $/day"))
    legend_below(figure, axes)
    return figure


#: By name of the finding.
DRAWN: Mapping[str, Callable[[Finding, Mapping[str, Any]], Figure]] = {
    "net_billing": net_billing_figure, "fixed_charges": fixed_charges_figure, "discounts": discounts_figure, "welfare": welfare_figure,
    "stability": stability_figure,
}  # fmt: skip
