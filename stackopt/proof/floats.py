"""The checker's system in floating point: matrices for a search, in units in which a solver's absolute tolerances mean what they say.

They are made from `check.lower`'s rows and from nothing else, so what is searched is what is proved. Units are powers of two, which change no
digit: v = column * v', rows and objective multiplied by `row` and `unit`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stackopt.proof.check import Decision, System

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]
#: Sizes outside are scaled.
USUAL = (1e-2, 1e5)


@dataclass(frozen=True, eq=False)
class Floats:
    """Minimise ``cost @ v + constant + v @ hessian @ v / 2`` over ``matrix @ v >= rhs`` (== where `equal`) and bounds.

    Attributes
    ----------
    system : System
    variables : int
        How many columns are variables; the others are multipliers.
    matrix : sparse [m, n]
    rhs : array [m]
    equal : bool array [m]
    cost : array [n]
    constant : float
    hessian : sparse [n, n] or None
    lower, upper : array [n]
    column, row : array [n], [m]
        Units: powers of two.
    unit : float
        What the objective was multiplied by.
    slack_row, slack_column, multiplier : int array [P]
        The row of each pair's slack, or -1; the column whose bound it is, or -1; its multiplier's column.
    side : int array [P]
        +1 where the slack is to a lower bound or of a row, -1 where it is to an upper bound.
    """

    system: System
    variables: int
    matrix: csr_array
    rhs: Array
    equal: NDArray[np.bool_]
    cost: Array
    constant: float
    hessian: csr_array | None
    lower: Array
    upper: Array
    column: Array
    row: Array
    unit: float
    slack_row: NDArray[np.int64]
    slack_column: NDArray[np.int64]
    multiplier: NDArray[np.int64]
    side: NDArray[np.int64]

    @property
    def pairs(self) -> int:
        """How many complementarity pairs there are."""
        return len(self.multiplier)

    @property
    def separable(self) -> bool:
        """Whether no row and no objective holds both variables and multipliers."""
        n = self.variables
        mixed = np.diff(self.matrix[:, :n].indptr) * np.diff(self.matrix[:, n:].indptr)
        return not mixed.any() and not self.cost[n:].any() and self.hessian is None

    def slack(self, v: Array) -> Array:
        """Slacks of the pairs at `v` [n]; [P]."""
        rows = self.matrix @ v - self.rhs
        bound = np.where(self.side > 0, self.lower[self.slack_column], self.upper[self.slack_column])
        found: Array = np.where(self.slack_row >= 0, rows[self.slack_row] if len(rows) else 0.0, self.side * (v[self.slack_column] - bound))
        return found

    def cell(self, decisions: Iterable[Decision]) -> tuple[Array, Array, Array]:
        """(lower [n], upper [n], upper sides of rows [m]) in a cell; what `check.restrict` says exactly."""
        lower, upper, high = self.lower.copy(), self.upper.copy(), np.where(self.equal, self.rhs, np.inf)
        for kind, a, b in decisions:
            if kind == "M":
                upper[self.multiplier[a]] = 0.0
            elif kind == "<":
                upper[a] = min(upper[a], float(b))
            elif kind == ">":
                lower[a] = max(lower[a], float(b))
            elif (row := self.slack_row[a]) >= 0:
                high[row] = self.rhs[row]
            elif self.side[a] > 0:
                upper[self.slack_column[a]] = self.lower[self.slack_column[a]]
            else:
                lower[self.slack_column[a]] = self.upper[self.slack_column[a]]
        return lower, upper, high


def floats(system: System) -> Floats:
    """The system in floating point."""
    from scipy import sparse

    n, m = len(system.lb), len(system.rows)
    entries = [(i, j, float(a)) for i, (c, _, _) in enumerate(system.rows) for j, a in c.items() if a]
    i, j, a = (np.array(part) for part in zip(*entries)) if entries else (np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    i, j = i.astype(np.int64), j.astype(np.int64)
    lower, upper = _bounds(system.lb, -np.inf), _bounds(system.ub, np.inf)
    size = np.maximum(np.abs(lower), np.abs(upper))
    column = np.where(np.isfinite(size), _power(size), 1.0)
    column[system.ints] = 1.0
    variables = len(system.names)
    largest = np.zeros(n)
    np.maximum.at(largest, j, np.abs(a))
    column[variables:] = 1.0 / _power(largest[variables:])
    largest = np.zeros(m)
    np.maximum.at(largest, i, np.abs(a) * column[j])
    row = 1.0 / _power(largest)
    cost = np.zeros(n)
    for k, x in system.cost.items():
        cost[k] = float(x)
    bend = [(k, c, float(x)) for k, part in system.quad.items() for c, x in part.items() if x]
    hessian = None
    if bend:
        p, q, h = (np.array(part) for part in zip(*bend))
        hessian = sparse.csr_array((h * column[p] * column[q], (p, q)), shape=(n, n))
    cost = cost * column
    top = max(np.abs(cost).max(initial=0.0), 0.0 if hessian is None else np.abs(hessian.data).max())
    unit = float(1.0 / _power(np.array([top]))[0])
    pairs = system.pairs
    return Floats(
        system=system, variables=variables, matrix=sparse.csr_array((a * row[i] * column[j], (i, j)), shape=(m, n)),
        rhs=np.array([float(b) for _, _, b in system.rows]) * row, equal=np.array([e for _, e, _ in system.rows], bool),
        cost=cost * unit, constant=float(system.const) * unit, hessian=None if hessian is None else sparse.csr_array(hessian * unit),
        lower=lower / column, upper=upper / column, column=column, row=row, unit=unit,
        slack_row=np.array([k if kind == "row" else -1 for kind, k, _ in pairs], np.int64),
        slack_column=np.array([-1 if kind == "row" else k for kind, k, _ in pairs], np.int64),
        multiplier=np.array([c for _, _, c in pairs], np.int64),
        side=np.array([-1 if kind == "ub" else 1 for kind, _, _ in pairs], np.int64),
    )  # fmt: skip


def _bounds(given: Sequence[Fraction | None], infinite: float) -> Array:
    return np.array([infinite if b is None else float(b) for b in given])


def _power(size: Array) -> Array:
    """The power of two next to each size that is out of the usual range, 1 for the others and for zero."""
    out = (size > 0) & ((size < USUAL[0]) | (size > USUAL[1]))
    found: Array = np.where(out, 2.0 ** np.round(np.log2(np.where(size > 0, size, 1.0))), 1.0)
    return found
