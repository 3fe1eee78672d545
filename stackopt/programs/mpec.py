r"""A mathematical program with complementarity constraints: the followers' optimality conditions as rows and pairs.

Columns are :math:`w = (z, \mu)`: the n variables of a bilevel program, then M follower multipliers. The first P multipliers are
non-negative, each paired with a slack of which it may be positive only if the slack is zero; the others, of equations, are free.

.. math::
    \min\ & c_0 + c^\top w + \tfrac12 w^\top H w \\
    \text{s.t. } & \text{leader rows in } w, \quad \text{follower rows in } z, \quad \text{bounds, integrality} \\
    & \nabla_{y_j} f_k(z) + \sum_{\text{upper}} \mu_p g_{pj} - \sum_{\text{lower}} \mu_p g_{pj} + \sum_{\text{equations}} \nu_e g_{ej} = 0
      \quad \text{for each follower variable } y_j \\
    & 0 \le \mu_p \perp \text{slack}_p(z) \ge 0

All followers are minimised here; a leader that maximises has its objective negated (`sign`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from stackopt.programs.quadratic import QuadraticProgram

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class Mpec:
    """See the module for the program and its columns.

    Attributes
    ----------
    names : tuple of str, n + M
    lower, upper : array [n + M]
        Follower variables keep their bounds, which are pairs as well.
    integer : bool array [n + M]
    owner : int array [n]
        -1 for the leader, k for follower k.
    linear : array [n + M]
    hessian : sparse [n + M, n + M], symmetric
    constant : float
    sign : float
        -1 if the leader maximises and its objective was negated, else +1.
    leader_rows : sparse [m_L, n + M]
    leader_lower, leader_upper : array [m_L]
    leader_names : tuple of str
    follower_rows : sparse [m_F, n]
    follower_lower, follower_upper : array [m_F]
    follower_names : tuple of str
    follower_of_row : int array [m_F]
    stationarity : sparse [n_Y, n + M]
    stationarity_rhs : array [n_Y]
    stationarity_column : int array [n_Y]
        The follower variable of each stationarity row.
    pair_row, pair_column, pair_side, pair_follower : int array [P]
        Follower row or -1; variable whose bound it is or -1; +1 upper, -1 lower side; whose it is.
    free_row, free_column, free_follower : int array [M - P]
        The equation, or the fixed variable, of each free multiplier.
    leader_quadratic : mapping of int to sparse [n + M, n + M]
        Symmetric matrices F of leader rows with a term 1/2 w'Fw.
    name : str
    """

    names: tuple[str, ...]
    lower: Array
    upper: Array
    integer: NDArray[np.bool_]
    owner: Ints
    linear: Array
    hessian: csr_array
    constant: float
    sign: float
    leader_rows: csr_array
    leader_lower: Array
    leader_upper: Array
    leader_names: tuple[str, ...]
    follower_rows: csr_array
    follower_lower: Array
    follower_upper: Array
    follower_names: tuple[str, ...]
    follower_of_row: Ints
    stationarity: csr_array
    stationarity_rhs: Array
    stationarity_column: Ints
    pair_row: Ints
    pair_column: Ints
    pair_side: Ints
    pair_follower: Ints
    free_row: Ints
    free_column: Ints
    free_follower: Ints
    leader_quadratic: Mapping[int, csr_array] = field(default_factory=dict)
    name: str = "program"

    @property
    def variables(self) -> int:
        """n."""
        return len(self.owner)

    @property
    def pairs(self) -> int:
        """P."""
        return len(self.pair_row)

    @property
    def curved(self) -> bool:
        """Whether the leader's objective has quadratic terms."""
        return bool(self.hessian.nnz)

    def slack(self, z: Array) -> Array:
        """Slacks of the pairs at `z` [n]; [P], non-negative where feasible."""
        activity = np.asarray(self.follower_rows @ z, float)
        found = np.empty(self.pairs)
        rows, upper = self.pair_row >= 0, self.pair_side > 0
        for mine, at, low, high in (
            (rows, activity, self.follower_lower, self.follower_upper),
            (~rows, z, self.lower[: self.variables], self.upper[: self.variables]),
        ):
            which = np.where(mine, self.pair_row if at is activity else self.pair_column, 0)
            pick = mine & upper
            found[pick] = high[which[pick]] - at[which[pick]]
            pick = mine & ~upper
            found[pick] = at[which[pick]] - low[which[pick]]
        return found

    def value(self, w: Array) -> float:
        """The minimised objective at `w` [n + M]."""
        return self.constant + float(self.linear @ w) + 0.5 * float(w @ (self.hessian @ w))

    def gap(self, w: Array) -> float:
        """Sum of multiplier times slack at `w`: zero at a complementary point."""
        n = self.variables
        return float(w[n : n + self.pairs] @ self.slack(w[:n]))

    def pair_label(self, p: int) -> str:
        """What the multiplier of a pair belongs to, e.g. ``road, upper``."""
        row = self.pair_row[p]
        what = self.follower_names[row] if row >= 0 else self.names[self.pair_column[p]]
        return f"{what}, {'upper' if self.pair_side[p] > 0 else 'lower'}"

    def without_complementarity(self) -> QuadraticProgram:
        """Leader rows, follower rows and stationarity over the columns, in the leader's own sense."""
        from scipy import sparse

        from stackopt.programs.quadratic import QuadraticProgram, distinct, upper_triangle

        width, followers = len(self.names), len(self.follower_names)
        wide = sparse.csr_array((self.follower_rows.data, self.follower_rows.indices, self.follower_rows.indptr), shape=(followers, width))
        stationarity = tuple(f"stationarity({self.names[j]})" for j in self.stationarity_column)
        return QuadraticProgram(
            names=self.names,
            lower=self.lower,
            upper=self.upper,
            integer=self.integer,
            linear=self.sign * self.linear,
            row_names=distinct((*self.leader_names, *self.follower_names, *stationarity)),
            matrix=sparse.csr_array(sparse.vstack([self.leader_rows, wide, self.stationarity], format="csr")),
            row_lower=np.concatenate([self.leader_lower, self.follower_lower, self.stationarity_rhs]),
            row_upper=np.concatenate([self.leader_upper, self.follower_upper, self.stationarity_rhs]),
            quadratic=upper_triangle(self.sign * self.hessian) if self.curved else None,
            constant=self.sign * self.constant,
            sense="min" if self.sign > 0 else "max",
            row_quadratic={i: upper_triangle(form) for i, form in self.leader_quadratic.items()},
            name=self.name,
        )

    def algebra(self) -> str:
        """The program as a person writes it, with the user's names.

        The LP and MPS formats have no complementarity: a reformulation's `target` is written to them, e.g. that of ``Sos1``.
        """
        from stackopt.programs.quadratic_text import algebra

        n = self.variables
        pairs = [f"{self.names[n + p]} > 0 only if {self.pair_label(p)} side is tight" for p in range(self.pairs)]
        return algebra(self.without_complementarity(), pairs)

    def block(self) -> Block:
        """The printed form."""
        n, m = self.variables, len(self.names)
        title = f'Mpec "{self.name}": minimise, {n} variables, {m - n} multipliers, {self.pairs} complementarity pairs'
        return Block(title, (
            ("rows", f"{len(self.leader_names)} of the leader, {len(self.follower_names)} of followers, {len(self.stationarity_rhs)} of stationarity"),
            ("integer", str(int(self.integer.sum()))),
            ("more", ".algebra()"),
        ))

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()
