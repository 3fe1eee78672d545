"""Leader policies found without any solver: their values refute a solver's bound that is too low, and give it a start."""

from __future__ import annotations

import numpy as np

from stackopt.exact.guarded import Evaluator, Worth
from stackopt.games.operators import Array

#: Policies evaluated at most, per search.
EVALUATIONS = 150


def local_search(observations: np.ndarray, points: Array, value: Evaluator, seed: int) -> list[Array]:
    """Policies that no change of one class's choice among `points` [J, A] improves, as far as `EVALUATIONS` reach.

    Starts: the best constant policy, then random ones. Returns policies [S, A], the best last.
    """
    rng = np.random.default_rng(seed)
    classes, J = int(observations.max()) + 1, len(points)
    left = EVALUATIONS
    found: list[tuple[float, int, Array]] = []

    def evaluate(pick: np.ndarray) -> Worth:
        nonlocal left
        left -= 1
        return value.worth(points[pick][observations])

    constants = [np.full(classes, j) for j in rng.permutation(J)[: max(EVALUATIONS // 3, 1)]]
    values = [evaluate(pick).value for pick in constants]
    pick, best = constants[int(np.argmax(values))], max(values)
    while True:
        improved = True
        while improved and left > 0:
            improved = False
            for o in rng.permutation(classes):
                for j in rng.permutation(J):
                    if j == pick[o] or left <= 0:
                        continue
                    trial = pick.copy()
                    trial[o] = j
                    new = evaluate(trial).value
                    if new > best + 1e-12 * (1 + abs(best)):
                        pick, best, improved = trial, new, True
        found.append((best, len(found), points[pick][observations]))
        if left <= 0:
            return [policy for _, _, policy in sorted(found, key=lambda f: f[:2])]
        pick = rng.integers(J, size=classes)
        best = evaluate(pick).value
