"""A mixed-integer linear program, maximised: immutable, printable, and able to say how far a point violates it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stackopt.display import Block, number
from stackopt.errors import InvalidProgram

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class Milp:
    r"""Maximise :math:`c^\top x + c_0` subject to row and column bounds, some columns integer.

    Build one with `MilpBuilder`; the fields are what a back end reads.

    Parameters
    ----------
    columns, rows : tuple of str
        Distinct names: letters, digits and underscores, starting with a letter.
    objective : array [n]
    offset : float
        The constant :math:`c_0`.
    lower, upper : array [n]
        Bounds of the columns; infinities allowed.
    integer : bool array [n]
        Columns that must be whole numbers.
    entry_row, entry_column : int array [k]
        Positions of the non-zero coefficients, sorted by row.
    entry_value : array [k]
    row_lower, row_upper : array [m]
    name : str

    Raises
    ------
    InvalidProgram
        With the first offending entry.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    objective: Array
    offset: float
    lower: Array
    upper: Array
    integer: NDArray[np.bool_]
    entry_row: Ints
    entry_column: Ints
    entry_value: Array
    row_lower: Array
    row_upper: Array
    name: str = "program"

    def __post_init__(self) -> None:
        n, m = len(self.columns), len(self.rows)
        for name, length in (("objective", n), ("lower", n), ("upper", n), ("integer", n), ("row_lower", m), ("row_upper", m)):
            if np.shape(getattr(self, name)) != (length,):
                raise InvalidProgram("program", law=f"one entry of `{name}` each", where=f"shape {np.shape(getattr(self, name))} for {length}")
        if not len(self.entry_row) == len(self.entry_column) == len(self.entry_value):
            raise InvalidProgram("program", law="a row, a column and a value for each coefficient")
        if len(self.entry_row) and not (
            self.entry_row.min() >= 0 and self.entry_row.max() < m and self.entry_column.min() >= 0 and self.entry_column.max() < n
        ):
            raise InvalidProgram("program", law="coefficients inside its rows and columns")
        if (np.diff(self.entry_row) < 0).any():
            raise InvalidProgram("program", law="coefficients sorted by row")
        for name in ("objective", "entry_value"):
            if not np.isfinite(getattr(self, name)).all():
                raise InvalidProgram("program", law=f"finite numbers in `{name}`")
        for what, low, high, names in (("column", self.lower, self.upper, self.columns), ("row", self.row_lower, self.row_upper, self.rows)):
            bad = ~(low <= high)  # also catches NaN
            if bad.any():
                i = int(np.flatnonzero(bad)[0])
                raise InvalidProgram("program", law=f"{what} bounds in order", where=f"{what} {names[i]}: [{low[i]}, {high[i]}]")
            if len(set(names)) < len(names):
                raise InvalidProgram("program", law=f"distinct {what} names")
            odd = next((c for c in names if not (c[:1].isalpha() and c.replace("_", "a").isalnum() and c.isascii())), None)
            if odd is not None:
                raise InvalidProgram("program", law=f"{what} names of letters, digits and underscores", where=repr(odd))
        for array in (self.objective, self.lower, self.upper, self.integer, self.entry_row, self.entry_column, self.entry_value,
                      self.row_lower, self.row_upper):
            array.flags.writeable = False

    def value(self, x: Array) -> float:
        """The objective at `x` [n]."""
        return float(self.objective @ x) + self.offset

    def activity(self, x: Array) -> Array:
        """The rows' left-hand sides at `x` [n]; [m]."""
        sums = np.bincount(self.entry_row, weights=self.entry_value * x[self.entry_column], minlength=len(self.rows))
        return sums.astype(np.float64)

    def violation(self, x: Array, *, integrality: bool = True) -> float:
        """The largest amount by which `x` [n] breaks a row, a bound or integrality; infinity if `x` is not finite.

        Parameters
        ----------
        x : array [n]
        integrality : bool
            Count the distance of integer columns to the nearest whole number.
        """
        if np.shape(x) != (len(self.columns),) or not np.isfinite(x).all():
            return np.inf
        activity = self.activity(x)
        worst = [0.0, *(part.max(initial=0.0) for part in (
            self.lower - x, x - self.upper, self.row_lower - activity, activity - self.row_upper))]
        if integrality and self.integer.any():
            whole = x[self.integer]
            worst.append(float(np.abs(whole - np.round(whole)).max()))
        return float(max(worst))

    def fixed(self, columns: np.ndarray, values: np.ndarray) -> Milp:
        """The program with some columns fixed; integer ones among them become continuous."""
        lower, upper, integer = self.lower.copy(), self.upper.copy(), self.integer.copy()
        lower[columns], upper[columns] = values, values
        integer[columns] = False
        return replace(self, lower=lower, upper=upper, integer=integer)

    def with_row(self, name: str, coefficients: Array, lower: float = -np.inf, upper: float = np.inf) -> Milp:
        """The program with one more row, given by its dense coefficients [n]."""
        where = np.flatnonzero(coefficients)
        return replace(
            self,
            rows=(*self.rows, name),
            entry_row=np.concatenate([self.entry_row, np.full(len(where), len(self.rows))]),
            entry_column=np.concatenate([self.entry_column, where]),
            entry_value=np.concatenate([self.entry_value, coefficients[where]]),
            row_lower=np.append(self.row_lower, lower),
            row_upper=np.append(self.row_upper, upper),
        )

    def plus(self, row: int, columns: np.ndarray, amount: float) -> Milp:
        """The program with `amount` added to the coefficients of some columns in one row."""
        at = int(np.searchsorted(self.entry_row, row, side="right"))
        extra = np.asarray(columns).ravel()
        return replace(
            self,
            entry_row=np.insert(self.entry_row, at, np.full(len(extra), row)),
            entry_column=np.insert(self.entry_column, at, extra),
            entry_value=np.insert(self.entry_value, at, np.full(len(extra), amount)),
        ).merged()

    def merged(self) -> Milp:
        """The program with coefficients that share a place added up."""
        key, first, inverse = np.unique(self.entry_row * len(self.columns) + self.entry_column, return_index=True, return_inverse=True)
        return replace(
            self,
            entry_row=self.entry_row[first],
            entry_column=self.entry_column[first],
            entry_value=np.bincount(inverse, weights=self.entry_value, minlength=len(key)).astype(np.float64),
        )

    # --- how it prints -------------------------------------------------------------------------------------------

    def lp(self) -> str:
        """The program in the LP text format that every solver reads; 17 digits, so nothing is lost."""
        starts = np.searchsorted(self.entry_row, np.arange(len(self.rows) + 1))
        lines = [f"\\ {self.name}", "Maximize"]
        where = np.flatnonzero(self.objective)
        constant = f" {self.offset:+.17g}" if self.offset else ""
        lines.append(" objective: " + (self._sum(where, self.objective[where]) or f"0 {self.columns[0]}") + constant)
        lines.append("Subject To")
        for i, row in enumerate(self.rows):
            part = slice(starts[i], starts[i + 1])
            left = self._sum(self.entry_column[part], self.entry_value[part]) or f"0 {self.columns[0]}"
            low, high = self.row_lower[i], self.row_upper[i]
            if low == high:
                lines.append(f" {row}: {left} = {low:.17g}")
                continue
            if np.isfinite(low):
                lines.append(f" {row}{'_low' if np.isfinite(high) else ''}: {left} >= {low:.17g}")
            if np.isfinite(high):
                lines.append(f" {row}: {left} <= {high:.17g}")
        lines.append("Bounds")
        lines += [f" {_end(low)} <= {c} <= {_end(high)}" for c, low, high in zip(self.columns, self.lower, self.upper)]
        if self.integer.any():
            lines += ["General", *(f" {self.columns[j]}" for j in np.flatnonzero(self.integer))]
        return "\n".join([*lines, "End", ""])

    def _sum(self, where: np.ndarray, values: Array) -> str:
        return " ".join(f"{value:+.17g} {self.columns[j]}" for j, value in zip(where, values))

    def block(self) -> Block:
        """The printed form."""
        binary = int(self.integer.sum())
        title = f'Milp "{self.name}": maximise, {len(self.columns)} columns ({binary} integer), {len(self.rows)} rows, {len(self.entry_value)} non-zeros'
        if not len(self.entry_value):
            return Block(title, ())
        size = np.abs(self.entry_value)
        return Block(title, (("coefficients", f"{number(size.min())} .. {number(size.max())} in size"),))

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()


def _end(bound: float) -> str:
    if np.isinf(bound):
        return "+inf" if bound > 0 else "-inf"
    return f"{bound:.17g}"


@dataclass(eq=False)
class MilpBuilder:
    """Collects columns and rows; `build` freezes them into a `Milp`.

    Examples
    --------
    >>> b = MilpBuilder("knapsack")
    >>> take = b.columns("take", (3,), 0, 1, integer=True, objective=[3.0, 4.0, 5.0])
    >>> b.row("weight", take, [2.0, 3.0, 4.0], upper=5.0)
    0
    >>> b.build().value([1.0, 1.0, 0.0])
    7.0
    """

    name: str = "program"
    offset: float = 0.0
    _names: list[str] = field(default_factory=list)
    _objective: list[Array] = field(default_factory=list)
    _lower: list[Array] = field(default_factory=list)
    _upper: list[Array] = field(default_factory=list)
    _integer: list[NDArray[np.bool_]] = field(default_factory=list)
    _rows: list[str] = field(default_factory=list)
    _entries: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    _row_lower: list[float] = field(default_factory=list)
    _row_upper: list[float] = field(default_factory=list)

    def columns(
        self,
        name: str,
        shape: tuple[int, ...],
        lower: ArrayLike = -np.inf,
        upper: ArrayLike = np.inf,
        *,
        integer: bool = False,
        objective: ArrayLike = 0.0,
    ) -> Ints:
        """New columns ``name_i_j`` for every index of `shape`; returns their numbers as an array of that shape.

        `lower`, `upper` and `objective` are broadcast to `shape`.
        """
        first = len(self._names)
        self._names += ["_".join([name, *map(str, index)]) for index in np.ndindex(*shape)]
        for store, values in ((self._objective, objective), (self._lower, lower), (self._upper, upper)):
            store.append(np.broadcast_to(np.asarray(values, float), shape).ravel())
        count = len(self._names) - first
        self._integer.append(np.full(count, integer))
        return np.arange(first, first + count).reshape(shape)

    def row(self, name: str, columns: ArrayLike, values: ArrayLike, lower: ArrayLike = -np.inf, upper: ArrayLike = np.inf) -> int:
        """One row, and its number; a column named twice has its coefficients added up."""
        where = np.asarray(columns).ravel()
        coefficients = np.broadcast_to(np.asarray(values, float), np.shape(columns)).ravel()
        unique, inverse = np.unique(where, return_inverse=True)
        sums = np.bincount(inverse, weights=coefficients, minlength=len(unique))
        keep = sums != 0
        self._entries.append((unique[keep], sums[keep]))
        self._rows.append(name)
        self._row_lower.append(float(np.asarray(lower)))
        self._row_upper.append(float(np.asarray(upper)))
        return len(self._rows) - 1

    def build(self) -> Milp:
        """The finished program.

        Raises
        ------
        InvalidProgram
            If anything collected breaks a law of `Milp`.
        """
        empty = np.zeros(0)
        return Milp(
            columns=tuple(self._names),
            rows=tuple(self._rows),
            objective=np.concatenate([empty, *self._objective]),
            offset=self.offset,
            lower=np.concatenate([empty, *self._lower]),
            upper=np.concatenate([empty, *self._upper]),
            integer=np.concatenate([np.zeros(0, bool), *self._integer]),
            entry_row=np.repeat(np.arange(len(self._rows)), [len(where) for where, _ in self._entries]),
            entry_column=np.concatenate([np.zeros(0, np.int64), *(where for where, _ in self._entries)]),
            entry_value=np.concatenate([empty, *(values for _, values in self._entries)]),
            row_lower=np.asarray(self._row_lower, float),
            row_upper=np.asarray(self._row_upper, float),
            name=self.name,
        )
