r"""Transition kernels :math:`P_t(s'\mid s,b)` of a continuum of followers, in the layout that suits their structure.

Axes: K types, T stages, S states, B actions. A kernel answers two questions, backward and forward:

    expect(values [K, n, S])   -> [K, n, S, B]   E[V(s') | s, b], where `values` are those of the *next* stage
    push(flow [K, n, S, B])    -> [K, n, S]      mass of each next state, where `flow` is mass per state and action

and gives the kernel of some stages (`stages`) or types (`types`). `shape` is (K, T, S, B); a 1 in front means "the same for all".

    Dense      any probabilities                       memory  K T S B S
    Sparse     CSR matrices [S * B, S]                 memory  non-zeros
    Factored   own part moves, a signal is Markov      memory  K T (C B + R R) for S = R C

`Dense` and `Factored` use functions of the array API standard only, so arrays of JAX, PyTorch or `array_api_strict` stay what they
are; `Sparse` is SciPy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from stackopt.errors import InvalidGame
from stackopt.games.mean_field.factored import Factored
from stackopt.games.mean_field.kernel_checks import MASS_TOLERANCE, distributions, floats, swapped, take, transpose, with_axes
from stackopt.games.mean_field.memory import require
from stackopt.games.mean_field.namespace import namespace

__all__ = ["Dense", "Factored", "Kernel", "Sparse", "as_kernel", "policy_matrix"]


class Kernel(Protocol):
    """What every kernel offers."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(K, T, S, B); K and T are 1 where nothing differs between types or stages."""

    def expect(self, values: Any) -> Any:
        """Expected value of the next state, [K, n, S, B], from values [K, n, S]."""

    def push(self, flow: Any) -> Any:
        """Mass of the next state, [K, n, S], from mass per state and action [K, n, S, B]."""

    def stages(self, t: Any) -> Kernel:
        """The kernel of the stages t [n]."""

    def types(self, k: Any) -> Kernel:
        """The kernel of some types, a slice or an index array."""

    def dense(self) -> Any:
        """All probabilities, [K, T, S, B, S]."""


@dataclass(frozen=True, eq=False)
class Dense:
    """All probabilities written out.

    Parameters
    ----------
    array : array [K, T, S, B, S]
        Leading axes may be left out or have length 1. Rows sum to 1 (up to 1e-9; the rest is normalised away).
    checked : bool
        False skips the check: for arrays that a game computes from checked parts, complex ones of a derivative by complex
        step among them.

    Raises
    ------
    InvalidGame
        ``kernel-axes`` or ``kernel-rows``.
    """

    array: Any
    checked: bool = field(default=True, repr=False)

    def __post_init__(self) -> None:
        array = self.array if hasattr(self.array, "ndim") else floats("transition", self.array)
        if not 3 <= array.ndim <= 5 or array.shape[-1] != array.shape[-3] or 0 in array.shape:
            raise InvalidGame("kernel-axes", array="transition", axes="[K, T, S, B, S]", got=array.shape)
        if self.checked:
            array = distributions("transition", array, "k t s b")
        object.__setattr__(self, "array", with_axes(array, 5))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(K, T, S, B)."""
        K, T, S, B, _ = self.array.shape
        return K, T, S, B

    def expect(self, values: Any) -> Any:
        """E[V(s') | s, b], [K, n, S, B]."""
        xp = namespace(self.array, values)
        K, T, S, B = self.shape
        rows = xp.reshape(self.array, (K, T, S * B, S))
        # shared by all types: one matrix product
        found = swapped(xp.matmul(swapped(values), transpose(rows[0, ...]))) if K == 1 else xp.matmul(rows, values[..., None])[..., 0]
        return xp.reshape(found, (*found.shape[:2], S, B))

    def push(self, flow: Any) -> Any:
        """Mass of each next state, [K, n, S]."""
        xp = namespace(self.array, flow)
        K, T, S, B = self.shape
        rows = xp.reshape(self.array, (K, T, S * B, S))
        mass = xp.reshape(flow, (*flow.shape[:2], S * B))
        if K == 1:
            return swapped(xp.matmul(swapped(mass), rows[0, ...]))
        return xp.matmul(mass[..., None, :], rows)[..., 0, :]

    def stages(self, t: Any) -> Dense:
        """The kernel of the stages t [n]."""
        return self if self.array.shape[1] == 1 else Dense(take(self.array, t, 1), checked=False)

    def types(self, k: Any) -> Dense:
        """The kernel of some types."""
        return self if self.array.shape[0] == 1 else Dense(take(self.array, k, 0), checked=False)

    def dense(self) -> Any:
        """The array itself, [K, T, S, B, S]."""
        return self.array


@dataclass(frozen=True, eq=False)
class Sparse:
    """Compressed rows: one matrix [S * B, S] for all types and stages, or nested sequences [K][T] of them.

    Parameters
    ----------
    matrices : CSR matrix, or sequence [T] or [K][T] of CSR matrices
        Row ``s * B + b`` holds the probabilities of the next state.

    Raises
    ------
    InvalidGame
        ``kernel-axes`` or ``kernel-rows``.
    """

    matrices: Any
    checked: bool = field(default=True, repr=False)

    def __post_init__(self) -> None:
        given = self.matrices
        if hasattr(given, "tocsr"):
            given = ((given,),)
        elif given and hasattr(given[0], "tocsr"):
            given = (tuple(given),)
        table = tuple(tuple(_csr(m, k, t, self.checked) for t, m in enumerate(row)) for k, row in enumerate(given))
        shapes = sorted({m.shape for row in table for m in row})
        lengths = {len(row) for row in table}
        if len(shapes) != 1 or len(lengths) != 1 or 0 in shapes[0] or shapes[0][0] % shapes[0][1]:
            got = f"{sorted(lengths)} stages, matrices of {', '.join(map(str, shapes)) or 'no shape'}"
            raise InvalidGame("kernel-axes", array="transition", axes="matrices [S * B, S], the same number of stages for each type", got=got)
        object.__setattr__(self, "matrices", table)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(K, T, S, B)."""
        rows, S = self.matrices[0][0].shape
        return len(self.matrices), len(self.matrices[0]), S, rows // S

    def _each(self, K: int, n: int) -> list[tuple[Any, Any, Any]]:
        """(type index or all, stage index or all, matrix) of a [K, n, ...] argument; all where one matrix serves many."""
        own_types, own_stages = self.shape[0] > 1, self.shape[1] > 1
        return [
            (k, t, self.matrices[k if own_types else 0][t if own_stages else 0])
            for k in (range(K) if own_types else [slice(None)])
            for t in (range(n) if own_stages else [slice(None)])
        ]

    def expect(self, values: Any) -> Any:
        """E[V(s') | s, b], [K, n, S, B]."""
        _, _, S, B = self.shape
        found = np.empty((*values.shape, B), np.result_type(values.dtype, np.float64))
        for k, t, matrix in self._each(*values.shape[:2]):
            part = values[k, t]
            found[k, t] = (matrix @ part.reshape(-1, S).T).T.reshape(*part.shape, B)
        return found

    def push(self, flow: Any) -> Any:
        """Mass of each next state, [K, n, S]."""
        _, _, S, B = self.shape
        found = np.empty(flow.shape[:-1], np.result_type(flow.dtype, np.float64))
        for k, t, matrix in self._each(*flow.shape[:2]):
            part = flow[k, t]
            found[k, t] = (matrix.T @ part.reshape(-1, S * B).T).T.reshape(part.shape[:-1])
        return found

    def stages(self, t: Any) -> Sparse:
        """The kernel of the stages t [n]."""
        return self if self.shape[1] == 1 else Sparse([[row[int(i)] for i in np.atleast_1d(t)] for row in self.matrices], checked=False)

    def types(self, k: Any) -> Sparse:
        """The kernel of some types."""
        return self if self.shape[0] == 1 else Sparse([self.matrices[int(i)] for i in np.arange(self.shape[0])[k]], checked=False)

    def dense(self) -> Any:
        """All probabilities, [K, T, S, B, S].

        Raises
        ------
        Refused
            ``memory``, before anything is allocated.
        """
        K, T, S, B = self.shape
        require(8 * K * T * S * B * S, "the dense kernel", where=f"K * T * S * B * S = {K} * {T} * {S} * {B} * {S} float64")
        return np.stack([np.stack([m.toarray().reshape(S, B, S) for m in row]) for row in self.matrices])


def as_kernel(transition: Any) -> Kernel:
    """A kernel from what a user gives: a kernel object, SciPy matrices, or probabilities [..., S, B, S].

    Raises
    ------
    InvalidGame
        ``kernel-axes`` or ``kernel-rows``.
    """
    if isinstance(transition, Dense | Sparse | Factored) or (hasattr(transition, "expect") and hasattr(transition, "push")):
        kernel: Kernel = transition
        return kernel
    if hasattr(transition, "tocsr") or (isinstance(transition, Sequence) and len(transition) and _holds_sparse(transition)):
        return Sparse(transition)
    return Dense(transition)


def policy_matrix(kernel: Kernel, policy: Any) -> Any:
    r""":math:`P^\pi_t(s'\mid s)=\sum_b\pi(b\mid s)P_t(s'\mid s,b)`, dense [K, n, S, S], for a policy [K, n, S, B].

    Raises
    ------
    Refused
        ``memory``, before anything is allocated.
    """
    K, n, S, B = policy.shape
    _, T, _, _ = kernel.shape
    if isinstance(kernel, Factored):
        require(8 * S * S * K * n, "the matrix of a policy", where=f"K * n * S * S = {K} * {n} * {S} * {S} in float64")
        return kernel.under(policy)
    require(8 * S * S * (K * n + kernel.shape[0] * T * B), "the matrix of a policy", where=f"(K * n + K * T * B) * S * S = with S = {S} in float64")
    xp = namespace(policy)
    return xp.matmul(policy[..., None, :], kernel.dense())[..., 0, :]


def _holds_sparse(given: Sequence[Any]) -> bool:
    first = given[0]
    return hasattr(first, "tocsr") or (isinstance(first, Sequence) and len(first) > 0 and hasattr(first[0], "tocsr"))


def _csr(matrix: Any, k: int, t: int, check: bool) -> Any:
    """One matrix of a `Sparse` kernel, checked and normalised."""
    matrix = matrix.tocsr().astype(np.float64, copy=False)
    if check:
        matrix = matrix.copy()
        matrix.sum_duplicates()
        mass = np.asarray(matrix.sum(axis=1)).ravel()
        lowest = matrix.min() if matrix.nnz else 0.0
        bad = ~(np.abs(mass - 1.0) <= MASS_TOLERANCE)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            more = f"; {int(bad.sum()) - 1} more rows" if bad.sum() > 1 else ""
            raise InvalidGame("kernel-rows", array="transition", where=f"(k, t) = ({k}, {t}), row s * B + b = {row} sums to {mass[row]:.10g}{more}")
        if lowest < 0:
            raise InvalidGame("kernel-rows", array="transition", where=f"(k, t) = ({k}, {t}) holds {lowest:.6g}")
        matrix.data /= np.repeat(mass, np.diff(matrix.indptr))
    return matrix
