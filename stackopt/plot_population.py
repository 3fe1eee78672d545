"""A population of N followers drawn: distance to the mean field and what a deviator gains, measured and predicted, against N."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackopt.comparison.drawing import INK, look, panels, title
from stackopt.games.mean_field.finite_population import FinitePopulation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def population_figure(found: FinitePopulation) -> Figure:
    """Two panels over N, both axes logarithmic: the law's error with two standard errors, and a deviator's gain beyond the mean field.

    Parameters
    ----------
    found : FinitePopulation
        Of `finite_population`.

    Returns
    -------
    matplotlib Figure
        Predictions are drawn where they apply; a note says why one does not.

    Raises
    ------
    MissingPackage
        If Matplotlib is not installed.
    """
    figure, (left, right) = panels(2, feature="a figure", width=4.4, height=3.5)
    N = np.asarray(found.followers, float)
    for ax, heading in ((left, "distance of the law to the mean field"), (right, "what a deviator gains beyond the mean field")):
        title(ax, heading)
        ax.set_xlabel("followers N")
        ax.set_xscale("log")
        ax.set_yscale("log")
    left.errorbar(N, found.law_error, yerr=2.0 * found.law_standard_error, label=f"simulated, N^{found.slope():.2f}", capsize=2.5, **look(0))
    predicted = np.array([b.value if b.applies else np.nan for b in found.law_bounds])
    _predicted(left, N, predicted, f"at most  [{found.law_bounds[0].reference}]", found.law_bounds[0].because)
    gain = found.deviation - found.mean_field_deviation
    if (gain > 0).any():
        right.plot(N, np.where(gain > 0, gain, np.nan), label=f"exact, N^{found.slope('deviation'):.2f}", **look(0))
    most = np.array([b.value - found.mean_field_deviation if b.applies else np.nan for b in found.deviation_bounds])
    _predicted(right, N, most, f"at most  [{found.deviation_bounds[0].reference}]", found.deviation_bounds[0].because)
    return figure


def _predicted(ax, N, values, label, why_not) -> None:  # type: ignore[no-untyped-def]
    if np.isfinite(values).any():
        ax.plot(N, values, label=label, **look(1))
    else:
        ax.text(0.5, 0.06, f"no bound: {why_not}", ha="center", transform=ax.transAxes, color=INK, fontsize=8, wrap=True)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=8.5, frameon=False, labelcolor=INK)
