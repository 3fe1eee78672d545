"""The optimum of a tiny bilevel program by trying every pattern of active rows: what proofs are held against.

Reads the JSON record itself and shares nothing with the checker's lowering: bounds of followers are rows here, slopes are differences of
the objective, and every pattern is a linear program of its own. Floating point: values agree to `AGREE`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from stackopt.backends.matrix import minimise
from stackopt.backends.warm import WarmLp
from stackopt.solution import Status

Point = dict[str, Fraction]
#: Values within this of each other, relative to one plus their size, agree.
AGREE = 1e-6


@dataclass(frozen=True)
class Optimum:
    """What enumeration found.

    Attributes
    ----------
    status : str
        ``optimal``, ``infeasible``, ``unbounded``, or ``undecided`` if a linear program failed.
    value : float
        The leader's optimal value, in its own sense; NaN if there is none.
    patterns : int
        Linear programs solved.
    accuracy : float
        To which the value is known, relative to one plus its size.
    """

    status: str
    value: float
    patterns: int
    accuracy: float = AGREE


def objective_at(objective: Mapping[str, Any], point: Mapping[str, Any]) -> Any:
    """The objective's value at a point, in the arithmetic of the point."""
    total = _exact(objective.get("constant", 0)) + sum(_exact(a) * point[v] for v, a in objective.get("linear", {}).items())
    return total + sum(_exact(a) * point[v] * point[w] for v, w, a in objective.get("quadratic") or [])


def slope(objective: Mapping[str, Any], name: str, point: Point) -> Fraction:
    """The derivative with respect to a variable: a central difference, which is exact for a quadratic."""
    up, down = objective_at(objective, {**point, name: point[name] + 1}), objective_at(objective, {**point, name: point[name] - 1})
    return Fraction(up - down) / 2


def inequalities(level: Mapping[str, Any], variables: list[Mapping[str, Any]]) -> Iterator[tuple[dict[str, float], float, float]]:
    """Rows and bounds of a follower as (coefficients, least, most)."""
    for row in level["constraints"]:
        yield _row(row)
    for variable in variables:
        low, up = variable["lb"], variable["ub"]
        if low is not None or up is not None:
            yield {variable["name"]: 1.0}, -np.inf if low is None else float(low), np.inf if up is None else float(up)


def _row(row: Mapping[str, Any]) -> tuple[dict[str, float], float, float]:
    if "op" in row:
        b = float(row["rhs"])
        return row["linear"], (-np.inf if row["op"] == "<=" else b), (np.inf if row["op"] == ">=" else b)
    low, up = row.get("lower"), row.get("upper")
    return row["linear"], -np.inf if low is None else float(low), np.inf if up is None else float(up)


def enumerated(record: Mapping[str, Any]) -> Optimum:
    """The optimum over all patterns and all values of integer leaders (which must have bounds)."""
    program = _Patterns(record)
    spans = []
    for variable in record["variables"]:
        if variable["type"] == "continuous":
            spans.append([None])
            continue
        low, up = (0, 1) if variable["type"] == "binary" else (variable["lb"], variable["ub"])
        spans.append(list(range(int(np.ceil(low)), int(np.floor(up)) + 1)))  # type: ignore[arg-type]
    for whole in itertools.product(*spans):
        program.fix(whole)
        program.tried(0)
    sign = 1 if record["leader"]["objective"]["sense"] == "min" else -1
    if program.unbounded:
        return Optimum("unbounded", np.nan, program.lp.solves)
    if program.failed:
        return Optimum("undecided", np.nan, program.lp.solves)
    if program.best == np.inf:
        return Optimum("infeasible", np.nan, program.lp.solves)
    value = sign * program.best + float(record["leader"]["objective"].get("constant", 0))
    return Optimum("optimal", value, program.lp.solves, AGREE if program.hessian is None else 10 * AGREE)


class _Patterns:
    """Columns: the variables, then one weight >= 0 for each side of each inequality, a free one for each equation. Rows: the leader's,
    the followers', then slope = weighted sum of the rows' coefficients, for every variable of a follower. A multiplier that the leader
    sees is a column too: the derivative of the follower's optimum by the right-hand side, that is the weights of the constraint's sides,
    where more of a lower side costs and more of an upper side saves.
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        from scipy import sparse

        names = [v["name"] for v in record["variables"]]
        duals = record.get("duals") or []
        at = {name: j for j, name in enumerate([*names, *(dual["name"] for dual in duals)])}
        derivative: dict[tuple[str, str], dict[int, float]] = {}
        self.low = [-np.inf if v["lb"] is None else float(v["lb"]) for v in record["variables"]]
        self.up = [np.inf if v["ub"] is None else float(v["ub"]) for v in record["variables"]]
        self.binary = [v["type"] == "binary" for v in record["variables"]]
        rows = [({at[v]: a for v, a in linear.items()}, low, up) for linear, low, up in map(_row, record["leader"]["constraints"])]
        lower, upper = [*self.low, *(-np.inf for _ in duals)], [*self.up, *(np.inf for _ in duals)]
        #: (row, its side, the weight): the row is at that side or the weight is zero
        self.pairs: list[tuple[int, float, int]] = []
        slopes: list[tuple[dict[int, float], float, float]] = []
        for follower in record["followers"]:
            own = [v for v in record["variables"] if v["owner"] == follower["name"]]
            sign = 1 if follower["objective"]["sense"] == "min" else -1
            weights: dict[str, dict[int, float]] = {v["name"]: {} for v in own}
            called = [row.get("name") for row in follower["constraints"]]
            called += [v["name"] for v in own if v["lb"] is not None or v["ub"] is not None]
            for name, (linear, low, up) in zip(called, inequalities(follower, own)):
                i = len(rows)
                rows.append(({at[v]: a for v, a in linear.items()}, low, up))
                sides = [(0.0, low)] if low == up else [(1.0, low), (-1.0, up)]
                for direction, side in sides:
                    if not np.isfinite(side):
                        continue
                    k = len(lower)
                    lower.append(0.0 if direction else -np.inf)
                    upper.append(np.inf)
                    if direction:
                        self.pairs.append((i, side, k))
                    derivative.setdefault((follower["name"], str(name)), {})[k] = sign * (direction or 1.0)
                    for mine, used in weights.items():
                        used[k] = (direction or 1.0) * float(linear.get(mine, 0.0))
            for name, used in weights.items():
                origin = dict.fromkeys(names, Fraction(0))
                constant = slope(follower["objective"], name, origin)
                terms = {at[v]: sign * float(slope(follower["objective"], name, {**origin, v: Fraction(1)}) - constant) for v in names}
                slopes.append((terms | {k: -a for k, a in used.items()}, -sign * float(constant), -sign * float(constant)))
            for v in own:  # their bounds are rows
                lower[at[v["name"]]], upper[at[v["name"]]] = -np.inf, np.inf
        rows += slopes
        for dual in duals:
            rows.append(({at[dual["name"]]: -1.0, **derivative.get((dual["follower"], dual["constraint"]), {})}, 0.0, 0.0))
        entries = [(i, j, float(a)) for i, (linear, _, _) in enumerate(rows) for j, a in linear.items() if a]
        places = np.array([entry[:2] for entry in entries], int).reshape(-1, 2)
        matrix = sparse.csr_array((np.array([a for _, _, a in entries], float), (places[:, 0], places[:, 1])), shape=(len(rows), len(lower)))
        cost = np.zeros(len(lower))
        goal = record["leader"]["objective"]
        for v, value in goal["linear"].items():
            cost[at[v]] = (1 if goal["sense"] == "min" else -1) * float(value)
        self.sides = [(low, up) for _, low, up in rows]
        self.cost, self.matrix, self.hessian = cost, matrix, None
        if goal.get("quadratic"):
            dense = np.zeros((len(cost), len(cost)))
            for v, w, value in goal["quadratic"]:
                dense[at[v], at[w]] += (1 if goal["sense"] == "min" else -1) * float(value)
            self.hessian = sparse.csr_array(dense + dense.T)
            cost = 0 * cost  # a quadratic program for each pattern; until then points only
        self.lower, self.upper = lower, upper
        self.lp = WarmLp(cost, matrix, [low for low, _ in self.sides], [up for _, up in self.sides], lower, upper)
        self.best, self.unbounded, self.failed = np.inf, False, 0

    def fix(self, whole: tuple[int | None, ...]) -> None:
        for j, value in enumerate(whole):
            if value is not None:
                fits = self.low[j] <= value <= self.up[j]
                self._bounds(j, value if fits else 1.0, value if fits else 0.0)

    def _bounds(self, j: int, low: float, up: float) -> None:
        self.lower[j], self.upper[j] = low, up
        self.lp.bounds([j], low, up)

    def tried(self, depth: int) -> None:
        """All patterns of the pairs from `depth` on; parts without a point are left out."""
        status = self.lp.solve()
        if status is Status.INFEASIBLE:
            return
        if depth == len(self.pairs):
            value = self.lp.value
            if self.hessian is not None:
                low, up = np.array(self.sides).T
                found = minimise(self.cost, self.matrix, low, up, np.array(self.lower, float), np.array(self.upper, float), hessian=self.hessian)
                status, value = found.status, found.value
            if status is Status.INFEASIBLE:
                return
            if status is Status.UNBOUNDED:
                self.unbounded = True
            elif status is Status.OPTIMAL:
                self.best = min(self.best, value)
            else:
                self.failed += 1
            return
        i, side, k = self.pairs[depth]
        low, up = self.sides[i]
        self.sides[i] = (side, side)
        self.lp.row_bounds([i], side, side)
        if low <= side <= up:  # the other side of this row is not taken already
            self.tried(depth + 1)
        self.sides[i] = (low, up)
        self.lp.row_bounds([i], low, up)
        self._bounds(k, 0.0, 0.0)
        self.tried(depth + 1)
        self._bounds(k, 0.0, np.inf)


def regret(record: Mapping[str, Any], point: Point) -> float:
    """How much some follower could gain at a point, to first order; 0 (up to rounding) exactly if all respond optimally.

    The follower's objective is convex, so its response is optimal if no feasible response lies down its slope. No multiplier occurs.
    """
    from scipy.optimize import linprog

    worst = 0.0
    for follower in record["followers"]:
        own = [v for v in record["variables"] if v["owner"] == follower["name"]]
        sign = 1 if follower["objective"]["sense"] == "min" else -1
        cost = np.array([float(sign * slope(follower["objective"], v["name"], point)) for v in own])
        matrix, most = [], []
        for linear, low, up in inequalities(follower, []):
            others = sum(_exact(a) * point[v] for v, a in linear.items() if v not in {w["name"] for w in own})
            coefficients = [float(linear.get(v["name"], 0.0)) for v in own]
            for direction, side in ((1.0, up), (-1.0, low)):
                if np.isfinite(side):
                    matrix.append([direction * a for a in coefficients])
                    most.append(direction * float(_exact(side) - others))
        found = linprog(cost, matrix or None, most or None, bounds=[(v["lb"], v["ub"]) for v in own])
        here = float(cost @ np.array([float(point[v["name"]]) for v in own]))
        worst = max(worst, here - found.fun if found.status == 0 else np.inf)
    return worst


def _exact(value: Any) -> Fraction:
    """The decimal as written: Python prints the shortest decimal that gives a float."""
    return Fraction(str(value)) if isinstance(value, float) else Fraction(value)
