r"""Local search between pieces: each set of tight pairs that supports multipliers leaves the leader a linear program.

At the optimum of a piece, the leader's own multiplier of a tight pair says whether loosening it would help. It may be loosened if other
multipliers of the followers vanish on it and are supported by what is tight at this point; then their support is the next
piece, which contains the point and has an optimum at least as good. The search stops where no pair can be loosened with gain:
a vertex from which no adjacent piece descends. It only ever finds points; it proves nothing.
"""

from __future__ import annotations

import time

import numpy as np

from stackopt.exact.branching.cell import TIGHT, ZERO, Array, Cell, Flags
from stackopt.exact.branching.clauses import SUPPORT, Clauses
from stackopt.exact.branching.incumbent import Incumbent
from stackopt.exact.branching.relaxation import Relaxation
from stackopt.programs.mpec import Mpec
from stackopt.solution import Status

#: A slack below this is tight where alternatives are looked for.
TOUCHING = 1e-9
#: How many ends of climbs are kept.
ENDS = 8


class Climbing:
    """The local search, on a relaxation of its own so that the tree's basis is left alone."""

    def __init__(self, mpec: Mpec, clauses: Clauses, incumbent: Incumbent) -> None:
        self.mpec, self.clauses, self.incumbent = mpec, clauses, incumbent
        self.relaxation = Relaxation(mpec, coupled=False)
        first = len(mpec.leader_lower)
        self.row = np.where(mpec.pair_row >= 0, first + mpec.pair_row, 0)
        self.on_row = mpec.pair_row >= 0
        self.visited = set[bytes]()
        self.best = list[tuple[float, Flags]]()  # values and tight pairs of the best ends of a climb, best first
        self.solves = 0

    def from_multipliers(self, mu: Array, whole: Array, time_limit: float) -> float:
        """Climb from the piece of the followers' multipliers `mu` [M], integers at `whole` [I]; the value reached in `time_limit` seconds."""
        best, end, until = np.inf, None, time.perf_counter() + time_limit
        mpec, P = self.mpec, self.mpec.pairs
        for _ in range(200):
            tight = mu[:P] > SUPPORT * max(1e-300, np.abs(mu).max(initial=0.0))
            found = self._piece(tight, whole, until - time.perf_counter())
            if found is None or found[1] >= best - 1e-9 * (1.0 + abs(found[1])):
                break
            z, best, gain = found
            end = tight
            self.incumbent.offer(np.concatenate([z, mu]))
            touching = mpec.slack(z) <= TOUCHING * (1.0 + np.abs(z).max(initial=0.0))
            following = self._alternative(tight & (gain > 1e-9), gain, touching, until)
            if following is None:
                break
            mu = following
        if end is not None:
            self.best = sorted([*self.best, (best, end)], key=lambda entry: entry[0])[:ENDS]
        return best

    def _piece(self, tight: Flags, whole: Array, time_limit: float) -> tuple[Array, float, Array] | None:
        """The leader's optimum with these pairs tight: (z, value, gain [P] per unit of loosening each); None if there is none or it was seen."""
        key = tight.tobytes() + whole.tobytes()
        if key in self.visited or time_limit <= 0:
            return None
        self.visited.add(key)
        if not self.relaxation.enter(Cell(np.where(tight, TIGHT, ZERO).astype(np.int8), whole, whole)):
            return None
        self.solves += 1
        if self.relaxation.solve(time_limit) is not Status.OPTIMAL:
            return None
        mpec = self.mpec
        rows, columns = self.relaxation.lp.row_dual, self.relaxation.lp.col_dual
        of_row = rows[self.row] if len(rows) else 0.0  # there may be bounds only
        dual = np.where(self.on_row, of_row, columns[np.maximum(mpec.pair_column, 0)])
        return self.relaxation.w, self.relaxation.value, dual * mpec.pair_side

    def _alternative(self, loosen: Flags, gain: Array, touching: Flags, until: float) -> Array | None:
        """Multipliers supported by what is touching that vanish on one of the pairs to loosen, the most rewarding first."""
        for p in np.argsort(-np.where(loosen, gain, -np.inf))[: int(loosen.sum())]:
            allowed = touching.copy()
            allowed[p] = False
            known = self.clauses.known(allowed)
            if known is not None:
                return known
            if self.clauses.refuted(allowed):
                continue
            left = until - time.perf_counter()
            if left <= 0:
                return None
            if self.clauses.supported(allowed, left):
                return self.clauses.latest
        return None
