r"""The law that a policy brings about: where the population is at each stage when everybody plays it.

Finite horizons are followed forward. On a cyclic one the law is stationary, :math:`\mu=\mu P^\pi(y)`, with y the statistics of this very
law. Where transitions do not depend on the population this is linear; else it is a fixed point, found by accelerated iteration
and, failing that, by following the (lazy) dynamics themselves. The residual is always measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.games.mean_field import operators
from stackopt.games.operators import Array

if TYPE_CHECKING:
    from stackopt.games.mean_field.game import MeanFieldStackelbergGame

#: Cyclic horizons of at most this many states are solved directly.
DIRECT_STATES = 400
#: Of a stationary law, in the 1-norm: where its search stops.
LAW_TOLERANCE = 1e-13
#: The most iterations of each search.
ITERATIONS = 2_000
#: A chain whose fundamental matrix has larger entries mixes so slowly that its classes are counted.
SLOW = 1e8
#: Transition probabilities that rounding explains.
IMPOSSIBLE = 1e-13
#: Iterates that the acceleration looks back on.
MEMORY = 5


@dataclass(frozen=True, eq=False)
class Law:
    """Where the population is.

    Attributes
    ----------
    mean_field : array [K, T, S]
        Before acting.
    y : array [T, J]
        Its statistics.
    residual : float
        How far one period moves it: the largest 1-norm over types, of law and statistics; 0 for finite horizons.
    several : bool
        Whether the chain of some type has several recurrent classes, so that the law depends on where it began.
    """

    mean_field: Array
    y: Array
    residual: float = 0.0
    several: bool = False


def law(game: MeanFieldStackelbergGame, policy: Array, theta: Array, start: Array | None = None) -> Law:
    """The law of `policy` [K, T, S, B] under theta [D], begun at `start` [K, T, S] on cyclic horizons (uniform by default)."""
    K, T, S, _ = game.shape
    if not game.cyclic:
        return _forward(game, policy, theta)
    begun = np.full((K, S), 1.0 / S) if start is None else start[:, 0]
    if game.kernel_is_fixed:
        mu, several = stationary(game.kernel(np.empty((T, 0)), theta), policy, begun)
        return _measured(game, mu, policy, theta, several)
    found = _accelerated(game, policy, theta, np.broadcast_to(begun[:, None], (K, T, S)) if start is None else start)
    if not found.residual <= 1e-11:
        found = min(found, _followed(game, policy, theta, begun), key=lambda f: f.residual if np.isfinite(f.residual) else np.inf)
    return found


def _forward(game: MeanFieldStackelbergGame, policy: Array, theta: Array) -> Law:
    """Stage by stage from the first distribution."""
    K, T, S, _ = game.shape
    mu, y = np.empty((K, T, S)), np.empty((T, game.statistics))
    here = game.initial[:, None]
    for t in range(T):
        stage = np.array([t])
        mu[:, t] = here[:, 0]
        flows = operators.flow(here, policy[:, t : t + 1])
        y[t] = _statistics(game, flows, t)
        if t + 1 < T:
            here = game.kernel(y[t : t + 1], theta, stage).push(flows)
    return Law(mu, y)


def _statistics(game: MeanFieldStackelbergGame, flows: Array, t: int) -> Array:
    """y [J] of stage t alone, from its masses [K, 1, S, B]."""
    statistic = game.statistic
    if not isinstance(statistic, str) and statistic.shape[1] > 1:
        statistic = statistic[:, t : t + 1]
    y: Array = operators.aggregate(flows, game.weights, statistic)[0]
    return y


def period(kernel: Any, policy: Array, first: Array) -> tuple[Array, Array]:
    """Laws [K, T, S] of the stages from that of stage 0 [K, S], and where stage 0 of the next period is [K, S]."""
    K, T, S, _ = policy.shape
    mu, here = np.empty((K, T, S), first.dtype), first[:, None]
    for t in range(T):
        mu[:, t] = here[:, 0]
        here = kernel.stages(np.array([t])).push(operators.flow(here, policy[:, t : t + 1]))
    return mu, here[:, 0]


def stationary(kernel: Any, policy: Array, start: Array) -> tuple[Array, bool]:
    """The law [K, T, S] that a period of a fixed kernel leaves as it is, and whether some type's chain has several.

    Where there are several, the limit of the averages over time from `start` [K, S].
    """
    K, _, S, _ = policy.shape
    several = False
    if S > DIRECT_STATES:
        return period(kernel, policy, _by_iteration(kernel, policy, start))[0], False
    from stackopt.games.mean_field.dynamics import product, stage_matrices

    matrix = product(stage_matrices(kernel, policy))
    first = np.empty((K, S))
    for k in range(K):
        first[k], more = _stationary_of(matrix[min(k, len(matrix) - 1)], start[k])
        several = several or more
    return period(kernel, policy, first)[0], several


def _stationary_of(matrix: Array, start: Array) -> tuple[Array, bool]:
    r""":math:`\mu=\mu P` of one chain [S, S]; unichain: :math:`\mu^\top=u^\top(I-P+\mathbf 1u^\top)^{-1}` for any distribution u with positive weights."""
    S = len(matrix)
    u = np.full(S, 1.0 / S)
    system = np.eye(S) - matrix + np.outer(np.ones(S), u)
    try:
        mu, amplified = np.linalg.solve(system.T, np.stack([u, np.cos(np.arange(S))], axis=-1)).T
        good = np.isfinite(mu).all() and np.abs(mu @ matrix - mu).sum() <= 1e-10 and mu.min() >= -1e-12
        # rounding can make the singular matrix of a chain with several classes invertible; any of its laws would then pass
        good = good and (np.abs(amplified).max() < SLOW or recurrent_classes(matrix) == 1)
    except np.linalg.LinAlgError:
        good = False
    if good:
        mu = np.maximum(mu, 0.0)
        return mu / mu.sum(), False
    if not np.isfinite(matrix).all() or matrix.min() < -1e-9:  # at statistics that no population has
        return start, False
    lazy = 0.5 * (np.eye(S) + matrix)  # aperiodic, with the same laws; squaring it runs 2 ** 60 steps
    for _ in range(60):
        lazy = lazy @ lazy
        lazy /= lazy.sum(-1, keepdims=True)
    mu = start @ lazy
    return mu / mu.sum(), True


def recurrent_classes(matrix: Array) -> int:
    """Sets of states of a chain [S, S] that are never left; probabilities of `IMPOSSIBLE` or less count as none."""
    from scipy.sparse.csgraph import connected_components

    moves = np.abs(matrix) > IMPOSSIBLE
    count, label = connected_components(moves, directed=True, connection="strong")
    left = np.zeros(count, bool)
    source, target = np.nonzero(moves)
    left[label[source[label[source] != label[target]]]] = True
    return int((~left).sum())


def _by_iteration(kernel: Any, policy: Array, start: Array) -> Array:
    """Lazy periods until they no longer move the law, accelerated; for chains too large to write out."""
    K, S = start.shape

    def move(first: Array) -> Array:
        return 0.5 * (first + period(kernel, policy, first.reshape(K, S))[1].ravel())

    first: Array = np.maximum(_anderson(move, start.ravel(), LAW_TOLERANCE).reshape(K, S), 0.0)
    first /= first.sum(-1, keepdims=True)
    return first


def _accelerated(game: MeanFieldStackelbergGame, policy: Array, theta: Array, start: Array) -> Law:
    """Iterate on the statistics: the stationary law of the chain they freeze has new statistics."""
    several = False
    mu = start

    def move(flat: Array) -> Array:
        nonlocal mu, several
        mu, several = stationary(game.kernel(flat.reshape(game.shape[1], -1), theta), policy, mu[:, 0])
        return game.aggregate(operators.flow(mu, policy)).ravel()

    y = _anderson(move, game.aggregate(operators.flow(start, policy)).ravel(), LAW_TOLERANCE)
    mu, several = stationary(game.kernel(y.reshape(game.shape[1], -1), theta), policy, mu[:, 0])
    return _measured(game, mu, policy, theta, several)


def _followed(game: MeanFieldStackelbergGame, policy: Array, theta: Array, start: Array) -> Law:
    """The dynamics themselves, half a step at a time: they settle where the accelerated iteration jumps about."""
    here = start
    for _ in range(10 * ITERATIONS):
        mu, after = _own_period(game, policy, theta, here)
        if np.abs(after - here).sum(-1).max() <= LAW_TOLERANCE:
            break
        here = 0.5 * (here + after)
    return _measured(game, mu, policy, theta, False)


def _own_period(game: MeanFieldStackelbergGame, policy: Array, theta: Array, first: Array) -> tuple[Array, Array]:
    """A period in which each stage's kernel is that of its own statistics."""
    K, T, S, _ = game.shape
    mu, here = np.empty((K, T, S)), first[:, None]
    for t in range(T):
        mu[:, t] = here[:, 0]
        flows = operators.flow(here, policy[:, t : t + 1])
        here = game.kernel(_statistics(game, flows, t)[None], theta, np.array([t])).push(flows)
    return mu, here[:, 0]


def _measured(game: MeanFieldStackelbergGame, mu: Array, policy: Array, theta: Array, several: bool) -> Law:
    mu = np.maximum(mu, 0.0)
    mu = mu / mu.sum(-1, keepdims=True)
    return Law(mu, game.aggregate(operators.flow(mu, policy)), consistency(game, mu, policy, theta), several)


def consistency(game: MeanFieldStackelbergGame, mu: Array, policy: Array, theta: Array) -> float:
    r""":math:`\max_{k,t}\|\mu_{k,t+1}-\mu_{kt}P^\pi_k(y)\|_1`: how far a law is from the one that its policy brings about  [B6.4]."""
    flows = operators.flow(mu, policy)
    pushed = game.kernel(game.aggregate(flows), theta).push(flows)
    if game.cyclic:
        return float(np.abs(pushed - np.roll(mu, -1, axis=1)).sum(-1).max())
    first = float(np.abs(mu[:, 0] - game.initial).sum(-1).max())
    return max(first, float(np.abs(pushed[:, :-1] - mu[:, 1:]).sum(-1).max(initial=0.0)))


def _anderson(move: Any, x: Array, tolerance: float) -> Array:
    """A fixed point of `move` by Anderson's acceleration with a memory of `MEMORY`; a step that doubles the residual is not extrapolated."""
    points: list[Array] = []
    steps: list[Array] = []
    best, best_size = x, np.inf
    for _ in range(ITERATIONS):
        moved = move(x)
        step = moved - x
        size = float(np.abs(step).sum())
        if size < best_size:
            best, best_size = moved, size
        if not np.isfinite(size) or size <= tolerance:
            break
        if size > 2.0 * best_size and points:
            points, steps = [], []  # begin again from the best, without memory
            x = best
            if size > 1e3 * best_size:
                break
            continue
        points, steps = [*points[-MEMORY:], x], [*steps[-MEMORY:], step]
        x = moved
        if len(points) > 1:
            change = np.stack([steps[-1] - s for s in steps[:-1]], axis=1)
            weights = np.linalg.lstsq(change, steps[-1], rcond=1e-12)[0]
            x = moved - np.stack([(points[-1] + steps[-1]) - (p + s) for p, s in zip(points[:-1], steps[:-1], strict=True)], axis=1) @ weights
    return best
