"""A stage's transitions of one type as a matrix [S * B, S], dense or CSR: what Jacobians are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.games.mean_field.factored import Factored
from stackopt.games.mean_field.kernels import Dense, Sparse
from stackopt.games.mean_field.memory import require

#: Dense rows are kept dense up to this many next states; matrix products are then faster than skipping zeros.
DENSE_STATES = 60


def rows(kernel: Any, k: int) -> Any:
    """Transitions of type k in a kernel of one stage: ndarray or CSR array [S * B, S]."""
    if isinstance(kernel, Sparse):
        return kernel.matrices[k if kernel.shape[0] > 1 else 0][0]
    if isinstance(kernel, Factored):
        return _factored(kernel, k)
    _, _, S, B = kernel.shape
    if not isinstance(kernel, Dense):
        require(8 * S * B * S, "the rows of a kernel", where=f"S * B * S = {S} * {B} * {S} float64")
    array = kernel.dense()
    matrix = np.ascontiguousarray(array[k if array.shape[0] > 1 else 0, 0]).reshape(S * B, S)
    if S <= DENSE_STATES or np.count_nonzero(matrix) > 0.1 * matrix.size:
        return matrix
    from scipy.sparse import csr_array

    return csr_array(matrix)


def _factored(kernel: Factored, k: int) -> Any:
    """CSR rows of a signal times an own part: R * M entries each."""
    from scipy.sparse import csr_array

    def of(array: Any) -> Any:
        return array[k if array.shape[0] > 1 else 0, 0]

    move, signal = of(kernel.move), of(kernel.signal)
    if kernel.probability is None:
        move, chance = move[..., None], np.ones((*move.shape, 1))
    else:
        chance = of(kernel.probability)
    (C, B, M), R = move.shape, len(signal)
    row = np.arange(R * C * B).reshape(R, 1, C, B, 1)
    column = np.arange(R).reshape(1, R, 1, 1, 1) * C + move
    weight = signal.reshape(R, R, 1, 1, 1) * chance
    full = (R, R, C, B, M)
    entries = (np.broadcast_to(weight, full).ravel(), (np.broadcast_to(row, full).ravel(), np.broadcast_to(column, full).ravel()))
    matrix = csr_array(entries, shape=(R * C * B, R * C))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
