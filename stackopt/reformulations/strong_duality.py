r"""Complementarity of each follower as one row: its objective equals its dual objective. No binaries of its own.

With stationarity, the sum of multiplier times slack is

.. math:: \sum_p \mu_p s_p(z) = \sum_p \mu_p (b_p - a_p^\top x) + \sum_e \nu_e (b_e - a_e^\top x) + y^\top \nabla_y f(x, y),

where x is what others decide. Requiring it to be at most 0 is complementarity, since no term of the sum on the left is negative. Products
of a multiplier (or of y) with x disappear where the others do not enter the follower's right-hand sides (or its objective's
coefficients). Otherwise they are exact for whole-number x in finite bounds: x is written in binaries, and a product with a binary is
four linear rows (McCormick), which need a bound of the other factor: a proved one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from stackopt.bilevel.kkt import Kkt
from stackopt.bilevel.point import Array
from stackopt.certificate import Bound
from stackopt.errors import Refused
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.reformulations.first_order import first_order, multiplier_follower, slack_map, widened
from stackopt.reformulations.multiplier_bounds import Bounds, constraint_of, multiplier_bounds
from stackopt.reformulations.reduction import Reduction

#: Whole-number variables with more values than this are not written in binaries.
VALUES = 2**16


def strong_duality(kkt: Kkt, *, proved: Bounds | None = None) -> Reduction:
    """The optimality conditions with one row of strong duality for each follower; equivalent to the bilevel program.

    A follower with a quadratic objective gives a convex quadratic row.

    Raises
    ------
    Refused
        ``strong-duality-form`` if a product with a continuous or unbounded variable of others remains; ``big-m-unproven`` if a
        product's other factor has no proved bound.
    """
    products = [_gap(kkt, k) for k in range(len(kkt.program.followers))]
    _refuse_continuous(kkt, products)
    if proved is None and any(found for _, found, _ in products):
        proved = multiplier_bounds(kkt)
    return _Builder(kkt, proved).build(products)


#: Linear coefficients [n + M] of a follower's gap; products (factor, integer variable, coefficient); own quadratic terms (i, j, coefficient).
Gap = tuple[Array, list[tuple[int, int, float]], list[tuple[int, int, float]]]


def _gap(kkt: Kkt, k: int) -> Gap:
    """Follower k's sum of multiplier times slack, in the form above."""
    mpec, n = kkt.mpec, kkt.mpec.variables
    linear, products, own = np.zeros(len(mpec.names)), dict[tuple[int, int], float](), dict[tuple[int, int], float]()
    slope, side = slack_map(mpec)
    foreign = mpec.owner != k
    whose = multiplier_follower(mpec)
    for p in np.flatnonzero(whose[: mpec.pairs] == k).tolist():
        linear[n + p] = side[p]
        for i, a in _entries(slope, p):
            if foreign[i]:
                products[n + p, i] = products.get((n + p, i), 0.0) + a
    for e in np.flatnonzero(mpec.free_follower == k).tolist():
        column = n + mpec.pairs + e
        row = int(mpec.free_row[e])
        if row < 0:
            linear[column] = mpec.lower[mpec.free_column[e]]
            continue
        linear[column] = mpec.follower_lower[row]
        for i, a in _entries(mpec.follower_rows, row):
            if foreign[i]:
                products[column, i] = products.get((column, i), 0.0) - a
    for j in np.flatnonzero(mpec.owner[mpec.stationarity_column] == k).tolist():
        y = int(mpec.stationarity_column[j])
        linear[y] -= mpec.stationarity_rhs[j]
        for i, a in _entries(mpec.stationarity, j):
            if i >= n:
                continue
            if foreign[i]:
                products[y, i] = products.get((y, i), 0.0) + a
            else:
                key = (min(y, i), max(y, i))
                own[key] = own.get(key, 0.0) + a
    return linear, [(c, i, a) for (c, i), a in products.items() if a], [(i, j, a) for (i, j), a in own.items() if a]


def _entries(matrix: Any, row: int) -> list[tuple[int, float]]:
    part = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return [(int(i), float(a)) for i, a in zip(matrix.indices[part], matrix.data[part]) if a]


def _refuse_continuous(kkt: Kkt, gaps: list[Gap]) -> None:
    mpec, n = kkt.mpec, kkt.mpec.variables
    for _, products, _ in gaps:
        for column, i, _ in products:
            name = mpec.names[i]
            where = f"the objective multiplies `{mpec.names[column]}` by `{name}`"
            if column >= n:
                where = f"row `{constraint_of(kkt, column - n)}` contains `{name}`"
            if not mpec.integer[i]:
                raise Refused("strong-duality-form", where=f"{where}, which is continuous")
            if not mpec.upper[i] - mpec.lower[i] < VALUES:
                raise Refused("strong-duality-form", where=f"{where}, which takes more than {VALUES} values")


class _Builder:
    """Adds binaries and products to the first-order program as they are needed."""

    def __init__(self, kkt: Kkt, proved: Bounds | None) -> None:
        self.kkt, self.proved = kkt, proved
        self.target: QuadraticProgram = first_order(kkt)
        self.bits: dict[int, list[int]] = {}
        self.made: dict[tuple[int, int], int] = {}
        self.used: dict[int, Bound] = {}
        self.recipe: list[tuple[str, int, int]] = []

    def build(self, gaps: list[Gap]) -> Reduction:
        followers = self.kkt.program.followers
        for k, (linear, products, own) in enumerate(gaps):
            row: dict[int, float] = {int(j): float(linear[j]) for j in np.flatnonzero(linear)}
            for column, i, a in products:
                low = self.target.lower[i]
                row[column] = row.get(column, 0.0) + a * low
                for place, bit in enumerate(self.binaries(i)):
                    w = self.product(column, bit)
                    row[w] = row.get(w, 0.0) + a * 2.0**place
            self.add(f"strong duality({followers[k].name})" if len(followers) > 1 else "strong duality", row, upper=0.0, own=own)
        recipe = list(self.recipe)
        return Reduction("strong duality", self.kkt, self.target, lambda w: _completed(w, recipe, self.kkt.mpec.lower), tuple(self.used.values()))

    def binaries(self, i: int) -> list[int]:
        """Columns whose weighted sum is variable i less its lower bound; itself, if it is binary."""
        if i in self.bits:
            return self.bits[i]
        low, high, name = self.target.lower[i], self.target.upper[i], self.target.names[i]
        if (low, high) == (0.0, 1.0):
            self.bits[i] = [i]
            return [i]
        count = int(high - low).bit_length()
        first = len(self.target.names)
        self.target = widened(self.target, [f"bit({name}, {2**t})" for t in range(count)], 0.0, 1.0, integer=True)
        self.recipe += [("bit", i, t) for t in range(count)]
        self.bits[i] = list(range(first, first + count))
        self.add(f"bits({name})", {i: -1.0} | {b: 2.0**t for t, b in enumerate(self.bits[i])}, lower=-low, upper=-low)
        return self.bits[i]

    def product(self, column: int, bit: int) -> int:
        """A column that equals factor times binary."""
        if (column, bit) in self.made:
            return self.made[column, bit]
        low, high = self.factor(column)
        names = self.target.names
        label = f"{names[column]}*{names[bit]}"
        w = len(names)
        self.target = widened(self.target, [label], min(low, 0.0), max(high, 0.0))
        self.recipe.append(("product", column, bit))
        self.made[column, bit] = w
        self.add(f"{label} from above", {w: 1.0, bit: -high}, upper=0.0)
        self.add(f"{label} from below", {w: -1.0, bit: low}, upper=0.0)
        self.add(f"{label} up to the factor", {w: 1.0, column: -1.0, bit: -low}, upper=-low)
        self.add(f"{label} down to the factor", {w: -1.0, column: 1.0, bit: high}, upper=high)
        return w

    def factor(self, column: int) -> tuple[float, float]:
        """Finite bounds of a factor: its own, or proved for a multiplier."""
        kkt, n = self.kkt, self.kkt.mpec.variables
        low, high = float(self.target.lower[column]), float(self.target.upper[column])
        if column < n:
            if not (np.isfinite(low) and np.isfinite(high)):
                raise Refused("strong-duality-form", where=f"`{kkt.mpec.names[column]}` is multiplied by others' variables and has no bounds")
            return low, high
        assert self.proved is not None
        bound = self.proved.multipliers[column - n]
        if not bound.applies or not np.isfinite(bound.value):
            row = constraint_of(kkt, column - n)
            raise Refused("big-m-unproven", what="multiplier", row=row, where=bound.assumptions[0].because, help="so.Exact() needs none")
        self.used[column] = bound
        lower, upper = self.target.lower.copy(), self.target.upper.copy()
        upper[column] = bound.value
        lower[column] = max(low, -bound.value)
        self.target = replace(self.target, lower=lower, upper=upper)
        return float(lower[column]), float(upper[column])

    def add(self, name: str, row: dict[int, float], *, lower: float = -np.inf, upper: float, own: list[tuple[int, int, float]] | None = None) -> None:
        from scipy import sparse

        width, at = len(self.target.names), len(self.target.row_names)
        dense = np.zeros(width)
        for j, a in row.items():
            dense[j] = a
        self.target = self.target.with_rows((name,), dense[None], np.array([lower]), np.array([upper]))
        if own:
            where = ([i for i, _, _ in own], [j for _, j, _ in own])
            form = sparse.csr_array(([a for *_, a in own], where), shape=(width, width))
            self.target = replace(self.target, row_quadratic={**self.target.row_quadratic, at: form})


def _completed(w: Array, recipe: list[tuple[str, int, int]], lower: Array) -> Array:
    """Bits and products of a point, in the order in which they were made."""
    values = list(map(float, w))
    for what, a, b in recipe:
        values.append(float((round(values[a] - lower[a]) >> b) & 1) if what == "bit" else values[a] * values[b])
    return np.array(values[len(w) :])
