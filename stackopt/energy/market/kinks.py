r"""Prices that are not unique: the least and the largest multiplier of each balance, which are the cost's left and right derivatives.

At an optimum x the multipliers are all (y, r) with :math:`\nabla f(x)=A^\top y+r`, r and the multipliers of inequality rows signed by the
sides that are active. Directions in which y can move keep every free column: the null space of :math:`A_F^\top`. It is zero exactly where the
prices are unique for want of room; else a small linear program in its coordinates gives the range. Hours that nothing links are
separate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stackopt.backends.matrix import minimise
from stackopt.energy.market.program import Program
from stackopt.solution import Status

Array = NDArray[np.float64]

#: Distance to a side at which it counts as active, relative to the point.
ACTIVE = 1e-7


def multiplier_range(program: Program, x: Array, y: Array, count: int) -> tuple[Array, Array]:
    """(least, largest) multipliers [count] of the first `count` rows at the optimum `x` with multipliers `y`; infinite where unbounded."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    tolerance = ACTIVE * (1.0 + np.abs(x).max(initial=0.0))
    activity = program.matrix @ x
    row_low, row_high = activity <= program.row_lower + tolerance, activity >= program.row_upper - tolerance
    col_low, col_high = x <= program.lower + tolerance, x >= program.upper - tolerance
    rows, columns = np.flatnonzero(row_low | row_high), np.flatnonzero(~(col_low | col_high))
    low, high = y[:count].copy(), y[:count].copy()
    inner = sparse.csr_array(program.matrix[rows][:, columns])
    links = sparse.block_array([[None, inner], [inner.T, None]], format="csr")
    part = connected_components(links, directed=False)[1][: len(rows)]
    reduced = np.asarray(program.linear + program.hessian @ x - program.matrix.T @ y, float)
    # free directions of each part; parts share columns at bounds, so their ranges are one linear program
    where, directions = [], []
    for p in np.unique(part):
        own = np.flatnonzero(part == p)
        touched = np.unique(inner[own].indices)
        null = _null_space(inner[own][:, touched].toarray().T) if len(touched) else np.eye(len(own))
        for z in null.T:
            where.append(rows[own])
            directions.append(z)
    if not directions:
        return low, high
    d = len(directions)
    sizes = np.cumsum([0, *map(len, where)])
    moves = sparse.csc_array((np.concatenate(directions), np.concatenate(where), sizes), shape=(program.matrix.shape[0], d))
    return _extremes(program, moves, (y, reduced), (row_low, row_high, col_low, col_high), low, high)


def _extremes(
    program: Program, moves: object, at: tuple[Array, Array], active: tuple[NDArray[np.bool_], ...], low: Array, high: Array
) -> tuple[Array, Array]:
    """Two small programs for each price that can move: over t, y + moves t and r - A' moves t keep their signs."""
    from scipy import sparse

    y, r = at
    row_low, row_high, col_low, col_high = active
    moves = sparse.csc_array(moves)
    change = sparse.csr_array(-(program.matrix.T @ moves))
    signed = [(sparse.csr_array(moves), y, row_low, row_high), (change, r, col_low, col_high)]
    blocks, least, most = [], [], []
    for block, value, at_low, at_high in signed:
        one_sided = np.flatnonzero((at_low ^ at_high) & (np.diff(block.indptr) > 0))
        up = at_low[one_sided]  # multipliers of lower sides are at least 0, of upper sides at most 0
        blocks.append(block[one_sided])
        slack = value[one_sided]
        least.append(np.where(up, -np.maximum(slack, 0.0), -np.inf))
        most.append(np.where(up, np.inf, np.maximum(-slack, 0.0)))
    matrix = sparse.csr_array(sparse.vstack(blocks, format="csr"))
    d = matrix.shape[1]
    free = np.full(d, np.inf)
    prices = sparse.csr_array(moves)[: len(low)]
    for k in np.flatnonzero(np.abs(prices).max(axis=1).toarray().ravel() > 1e-9):
        gain = prices[[k]].toarray().ravel()
        gain[np.abs(gain) < 1e-12] = 0.0
        for sign, side in ((1.0, low), (-1.0, high)):
            found = minimise(sign * gain, matrix, np.concatenate(least), np.concatenate(most), -free, free)
            least_gain = {Status.OPTIMAL: found.value, Status.UNBOUNDED: -np.inf}.get(found.status, np.nan)
            side[k] += sign * least_gain
    return low, high


def _null_space(matrix: Array) -> Array:
    """Orthonormal columns that `matrix` takes to zero."""
    _, values, rows = np.linalg.svd(matrix)
    rank = int((values > 1e-10 * max(values.max(initial=0.0), 1.0)).sum())
    found: Array = rows[rank:].T
    return found
