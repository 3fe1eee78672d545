"""A mixed-integer quadratic program with SOS1 sets and indicator rows: what reformulations produce and back ends read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from stackopt.display import Block, number
from stackopt.errors import InvalidProgram
from stackopt.programs.milp import Array

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Implication:
    """A row that holds when a binary column has a given value: ``open = 1 -> 2 flow <= 7``.

    Attributes
    ----------
    name : str
    binary : int
        The column that decides.
    active : bool
        The value of it, 1 or 0, at which the row holds.
    columns, values : int array [k], array [k]
    upper : float
        The row says ``values @ v[columns] <= upper``.
    """

    name: str
    binary: int
    active: bool
    columns: NDArray[np.int64]
    values: Array
    upper: float

    def excess(self, v: Array) -> float:
        """How far `v` [n] is from satisfying it, negative if it does: the smaller of the distance to switch it off and of the row's excess."""
        off = v[self.binary] if self.active else 1.0 - v[self.binary]
        return float(min(off, self.values @ v[self.columns] - self.upper))


@dataclass(frozen=True, eq=False, repr=False)
class QuadraticProgram:
    r"""Optimise :math:`c_0 + c^\top v + \sum_{i \le j} q_{ij} v_i v_j` over rows, bounds, integrality, SOS1 sets and implications.

    Rows may have quadratic terms too; nothing has to be convex.

    Parameters
    ----------
    names : tuple of str
        Of the columns, distinct, printable, as the user wrote them where they are the user's.
    lower, upper : array [n]
    integer : bool array [n]
    linear : array [n]
    quadratic : sparse [n, n] or None
        Upper triangle: the coefficient of each product, once.
    constant : float
    sense : str
        ``"min"`` or ``"max"``.
    row_names : tuple of str, distinct
    matrix : sparse [m, n]
    row_lower, row_upper : array [m]
    row_quadratic : mapping of int to sparse [n, n]
        Upper triangles, for the rows that have quadratic terms.
    sos1 : tuple of (str, int array)
        Named sets of columns of which at most one is not zero.
    implications : tuple of Implication
    name : str

    Raises
    ------
    InvalidProgram
        If shapes do not fit together, bounds cross, or names repeat.
    """

    names: tuple[str, ...]
    lower: Array
    upper: Array
    integer: NDArray[np.bool_]
    linear: Array
    row_names: tuple[str, ...]
    matrix: csr_array
    row_lower: Array
    row_upper: Array
    quadratic: csr_array | None = None
    constant: float = 0.0
    sense: Literal["min", "max"] = "min"
    row_quadratic: Mapping[int, csr_array] = field(default_factory=dict)
    sos1: tuple[tuple[str, NDArray[np.int64]], ...] = ()
    implications: tuple[Implication, ...] = ()
    name: str = "program"

    def __post_init__(self) -> None:
        n, m = len(self.names), len(self.row_names)
        for what, length in (("lower", n), ("upper", n), ("integer", n), ("linear", n), ("row_lower", m), ("row_upper", m)):
            if np.shape(getattr(self, what)) != (length,):
                raise InvalidProgram("program", law=f"one entry of `{what}` each", where=f"shape {np.shape(getattr(self, what))} for {length}")
        if self.matrix.shape != (m, n):
            raise InvalidProgram("program", law="a coefficient matrix [rows, columns]", where=f"{self.matrix.shape} for {(m, n)}")
        for what, low, high, names in (("column", self.lower, self.upper, self.names), ("row", self.row_lower, self.row_upper, self.row_names)):
            bad = ~(low <= high)  # also catches NaN
            if bad.any():
                i = int(np.flatnonzero(bad)[0])
                raise InvalidProgram("program", law=f"{what} bounds in order", where=f"{what} {names[i]}: [{low[i]}, {high[i]}]")
            if len(set(names)) < len(names):
                raise InvalidProgram("program", law=f"distinct {what} names", where=next(a for a in names if names.count(a) > 1))

    # --- evaluation ----------------------------------------------------------------------------------------------

    def value(self, v: Array) -> float:
        """The objective at `v` [n]."""
        products = 0.0 if self.quadratic is None else float(v @ (self.quadratic @ v))
        return self.constant + float(self.linear @ v) + products

    def activity(self, v: Array) -> Array:
        """The rows' left-hand sides at `v` [n]; [m]."""
        found = np.asarray(self.matrix @ v, float)
        for row, form in self.row_quadratic.items():
            found[row] += v @ (form @ v)
        return found

    def violation(self, v: Array) -> float:
        """The largest amount by which `v` [n] breaks anything: rows, bounds, integrality, SOS1 sets (the second largest
        member), implications; infinity if `v` is not finite."""
        if np.shape(v) != (len(self.names),) or not np.isfinite(v).all():
            return np.inf
        activity = self.activity(v)
        worst = [0.0, *(float(part.max(initial=0.0)) for part in (
            self.lower - v, v - self.upper, self.row_lower - activity, activity - self.row_upper, np.abs(v - np.round(v))[self.integer]))]
        worst += [float(np.sort(np.abs(v[members]))[-2]) for _, members in self.sos1 if len(members) > 1]
        worst += [implication.excess(v) for implication in self.implications]
        return max(worst)

    @property
    def linear_only(self) -> bool:
        """Whether it is a mixed-integer linear program: no products, SOS1 sets or implications."""
        return not (self.curved or self.row_quadratic or self.sos1 or self.implications)

    @property
    def curved(self) -> bool:
        """Whether the objective has quadratic terms."""
        return self.quadratic is not None and bool(np.abs(self.quadratic.data).max(initial=0.0) > 0)

    def with_rows(self, names: tuple[str, ...], matrix: Any, lower: Array, upper: Array) -> QuadraticProgram:
        """The program with more linear rows."""
        from scipy import sparse

        return replace(
            self,
            row_names=(*self.row_names, *names),
            matrix=sparse.csr_array(sparse.vstack([self.matrix, sparse.csr_array(matrix)], format="csr")),
            row_lower=np.concatenate([self.row_lower, lower]),
            row_upper=np.concatenate([self.row_upper, upper]),
        )

    # --- how it prints -------------------------------------------------------------------------------------------

    def algebra(self) -> str:
        """The program as a person writes it, with the user's names; see `stackopt.programs.quadratic_text`."""
        from stackopt.programs.quadratic_text import algebra

        return algebra(self)

    def lp(self) -> str:
        """The program in the LP text format, 17 digits; names that the format does not allow are replaced and listed in comments."""
        from stackopt.programs.quadratic_text import lp

        return lp(self)

    def mps(self) -> str:
        """The program in the free MPS format, 17 digits, with the sections QUADOBJ, QCMATRIX, SOS and INDICATORS where needed."""
        from stackopt.programs.quadratic_text import mps

        return mps(self)

    def block(self) -> Block:
        """The printed form."""
        kinds = [
            f"{number(count)} {what}"
            for what, count in (
                ("integer columns", int(self.integer.sum())), ("quadratic rows", len(self.row_quadratic)),
                ("SOS1 sets", len(self.sos1)), ("implications", len(self.implications)),
            )
            if count
        ]
        word = "minimise" if self.sense == "min" else "maximise"
        shape = "quadratic" if self.curved else "linear"
        title = f'QuadraticProgram "{self.name}": {word}, {len(self.names)} columns, {len(self.row_names)} rows, {shape} objective'
        rows = [("also", ", ".join(kinds))] if kinds else []
        return Block(title, (*rows, ("more", ".algebra()  .lp()  .mps()")))

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()


def upper_triangle(symmetric: csr_array) -> csr_array:
    """The products of ``1/2 x'Fx`` for a symmetric F, each once: half the diagonal, and what is above it."""
    from scipy import sparse

    found = symmetric.tocoo()
    i, j = found.coords
    keep = (i <= j) & (found.data != 0)
    values = np.where(i == j, 0.5, 1.0)[keep] * found.data[keep]
    return sparse.csr_array((values, (i[keep], j[keep])), shape=symmetric.shape)


def distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, those that repeat numbered: ``cap``, ``cap (2)``."""
    used, found = set[str](), []
    for name in names:
        count, unique = 1, name
        while unique in used:
            count += 1
            unique = f"{name} ({count})"
        used.add(unique)
        found.append(unique)
    return tuple(found)
