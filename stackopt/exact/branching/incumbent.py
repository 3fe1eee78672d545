"""The best bilevel-feasible point so far; nothing becomes one without its rows, signs and duality gap being recomputed."""

from __future__ import annotations

import numpy as np

from stackopt.exact.branching.cell import Array
from stackopt.programs.mpec import Mpec

#: Violations of rows and bounds, relative to the largest entry of the variables, that a point may have.
FEASIBILITY = 1e-7
#: Duality gap of the followers that a point may have, relative to its terms.
GAP = 1e-7


class Incumbent:
    """The best point.

    Attributes
    ----------
    w : array [n + M] or None
    value : float
        The (minimised) leader's value; infinity without a point.
    rejected : int
        Points that did not pass.
    """

    def __init__(self, mpec: Mpec) -> None:
        self.mpec = mpec
        self.w: Array | None = None
        self.value = np.inf
        self.rejected = 0
        self.found = 0

    def offer(self, w: Array) -> float:
        """Keep `w` if it is bilevel feasible and better; its value, or infinity if it is not feasible.

        The sum of multiplier times slack bounds what the followers could still gain (weak duality), so no linear program has
        to be solved again.
        """
        w = w.copy()
        whole = self.mpec.integer
        w[whole] = np.round(w[whole])
        if not feasible(self.mpec, w):
            self.rejected += 1
            return np.inf
        value = self.mpec.value(w)
        if value < self.value:
            self.w, self.value = w, value
            self.found += 1
        return value


def feasible(mpec: Mpec, w: Array) -> bool:
    """Whether `w` [n + M] satisfies the rows, bounds, stationarity and complementarity of `mpec`."""
    if not np.isfinite(w).all():
        return False
    n = mpec.variables
    z, mu = w[:n], w[n:]
    allowed = FEASIBILITY * (1.0 + np.abs(z).max(initial=0.0))
    everything = FEASIBILITY * (1.0 + np.abs(w).max(initial=0.0))
    leader, rows = mpec.leader_rows @ w, mpec.follower_rows @ z
    broken = (
        (mpec.lower[:n] - z, allowed), (z - mpec.upper[:n], allowed), (mpec.lower[n:] - mu, everything),
        (mpec.leader_lower - leader, everything), (leader - mpec.leader_upper, everything),
        (mpec.follower_lower - rows, allowed), (rows - mpec.follower_upper, allowed),
        (np.abs(mpec.stationarity @ w - mpec.stationarity_rhs), everything),
    )
    if any(part.max(initial=0.0) > most for part, most in broken):
        return False
    slack, mu = np.maximum(mpec.slack(z), 0.0), np.maximum(mu[: mpec.pairs], 0.0)
    return bool(mu @ slack <= GAP * (1.0 + mu.sum()) * (1.0 + np.abs(z).max(initial=0.0)))
