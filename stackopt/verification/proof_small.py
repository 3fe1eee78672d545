"""Proofs of small programs by the plainest means: every complementarity tried, linear programs by scipy, multipliers rounded.

It shares nothing with the package's own search and repair but the checker, which judges every leaf before it is written. It serves the
corpus of proofs, also of problems that a checker must refuse, and as a second prover beside the package's own.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.proof import check

Array = NDArray[np.float64]
Cell = tuple[tuple[str, int, Fraction], ...]
Best = tuple[list[Fraction] | None, Fraction]


class NoProof(Exception):
    """Rounding was not enough, or the program is unbounded."""


def proof(problem: str, nodes: int = 2000, checker: Any = check) -> str:
    """A proof of the program in a JSON text.

    Parameters
    ----------
    problem : str
    nodes : int
        Cells examined at most.
    checker : module
        Reads and lowers the problem; one that takes what the real checker refuses gives proofs that only the refusal stops.

    Raises
    ------
    NoProof
        If it finds none: quadratic leaders, and multipliers that are no short fractions.
    """
    system = checker.lower(checker.load(problem))
    if system.quad:
        raise NoProof("a quadratic leader")
    return _Prover(system, nodes).text()


class _Falls(Exception):
    """The objective falls for ever: a point and a direction."""


class _Prover:
    def __init__(self, system: Any, nodes: int) -> None:
        self.S, self.left = system, nodes
        n = len(system.lb)
        self.matrix = np.zeros((len(system.rows), n))
        for i, (row, _, _) in enumerate(system.rows):
            for j, a in row.items():
                self.matrix[i, j] = float(a)
        self.rhs = np.array([float(b) for _, _, b in system.rows])
        self.cost = np.zeros(n)
        for j, a in system.cost.items():
            self.cost[j] = float(a)

    def text(self) -> str:
        head = ["stackopt-proof 1", f"problem {self.S.digest()}"]
        try:
            best = self.search((), (None, Fraction(10) ** 30))
        except _Falls as found:
            point, ray = (" ".join(f"{j}:{x}" for j, x in enumerate(v) if x) for v in found.args)
            return "\n".join([*head, "status unbounded", f"point {point}", f"ray {ray}", "tree", "end", ""])
        if best[0] is None:
            head += ["status infeasible"]
        else:
            point = " ".join(f"{j}:{x}" for j, x in enumerate(best[0]) if x)
            head += ["status optimal", f"upper {best[1]}", f"lower {best[1]}", f"point {point}"]
        return "\n".join([*head, "tree", *self.tree((), None if best[0] is None else best[1]), "end", ""])

    def solve(self, cell: Cell, elastic: bool = False) -> tuple[int, Array | None, Array | None]:
        """(status, x, weights of the rows) of the relaxation in a cell; with `elastic`, of the least violation of its rows."""
        from scipy.optimize import linprog

        lb, ub, eq = check.restrict(self.S, cell)
        equal = np.array([same or i in eq for i, (_, same, _) in enumerate(self.S.rows)], bool)
        bounds = [(None if low is None else float(low), None if up is None else float(up)) for low, up in zip(lb, ub)]
        m, n = self.matrix.shape
        matrix, cost = self.matrix, self.cost
        if elastic:
            signs = np.where(equal, -1.0, 0.0)
            matrix = np.hstack([matrix, np.eye(m), np.diag(signs)])
            cost = np.concatenate([np.zeros(n), np.ones(2 * m)])
            bounds += [(0, None)] * (2 * m)
        found = linprog(
            cost, -matrix[~equal] if (~equal).any() else None, -self.rhs[~equal] if (~equal).any() else None, matrix[equal] if equal.any() else None,
            self.rhs[equal] if equal.any() else None, bounds=bounds, method="highs-ds", options={"presolve": False},
        )
        if found.status != 0:
            return found.status, None, None
        weights = np.zeros(m)
        if (~equal).any():
            weights[~equal] = -found.ineqlin.marginals
        if equal.any():
            weights[equal] = found.eqlin.marginals
        return 0, found.x[:n], weights

    def empty(self, cell: Cell) -> int | None:
        """A column whose bounds cross in the cell, or None."""
        lb, ub, _ = check.restrict(self.S, cell)
        return next((j for j, (low, up) in enumerate(zip(lb, ub)) if low is not None and up is not None and low > up), None)

    def split(self, cell: Cell, x: Array) -> tuple[str, Cell, Cell] | None:
        """The two lines' cells and the line that divides this one; None if nothing is left to decide."""
        for j in self.S.ints:
            if abs(x[j] - round(x[j])) > 1e-7:
                k = int(np.floor(x[j]))
                return f"i {j} {k}", (*cell, ("<", j, Fraction(k))), (*cell, (">", j, Fraction(k + 1)))
        done = {a for kind, a, _ in cell if kind in "SM"}
        slack = [0.0 if p in done else min(abs(self.slack(pair, x)), abs(x[pair[2]])) for p, pair in enumerate(self.S.pairs)]
        if not slack or max(slack) < 1e-8:
            slack = [0.0 if p in done else 1.0 for p in range(len(self.S.pairs))]
        if not any(slack):
            return None
        p = int(np.argmax(slack))
        return f"b {p}", (*cell, ("S", p, Fraction(0))), (*cell, ("M", p, Fraction(0)))

    def slack(self, pair: tuple[str, int, int], x: Array) -> float:
        kind, i, _ = pair
        row, side = (self.matrix[i] @ x, self.rhs[i]) if kind == "row" else (x[i], float(self.S.lb[i] if kind == "lb" else self.S.ub[i]))
        return float(row - side if kind != "ub" else side - row)

    def search(self, cell: Cell, best: Best) -> Best:
        """The best exact point and its value, so far."""
        self.left -= 1
        if self.left < 0:
            raise NoProof("too many cells")
        if self.empty(cell) is not None:
            return best
        status, x, _ = self.solve(cell)
        if status == 2:
            return best
        if status == 3:
            parts = self.split(cell, np.zeros(len(self.S.lb)))
            if parts is None:
                raise _Falls(*self.half_line(cell))
            return self.search(parts[2], self.search(parts[1], best))
        if status != 0 or x is None:
            raise NoProof("a failure of the solver")
        if float(self.cost @ x) + float(self.S.const) > float(best[1]) - 1e-9:
            return best
        for rounded in ([Fraction(float(one)).limit_denominator(bound) for one in x] for bound in (100, 10_000)):
            try:
                value = check.check_point(self.S, rounded)
            except check.Rejected:
                continue
            if value < best[1]:
                best = (rounded, value)
            break
        parts = self.split(cell, x)
        if parts is None:
            return best
        return self.search(parts[2], self.search(parts[1], best))

    def half_line(self, cell: Cell) -> list[list[Fraction]]:
        """A feasible point of a cell and a direction along which the objective falls."""
        from scipy.optimize import linprog

        lb, ub, eq = check.restrict(self.S, cell)
        equal = np.array([same or i in eq for i, (_, same, _) in enumerate(self.S.rows)], bool)
        found = []
        for cost, rhs, bounds in (
            (0 * self.cost, self.rhs, [(None if low is None else float(low), None if up is None else float(up)) for low, up in zip(lb, ub)]),
            (self.cost, 0 * self.rhs, [(-1 if low is None else 0, 1 if up is None else 0) for low, up in zip(lb, ub)]),
        ):
            done = linprog(cost, -self.matrix[~equal], -rhs[~equal], self.matrix[equal], rhs[equal], bounds=bounds, method="highs-ds")
            if done.status != 0:
                raise NoProof("no half-line")
            found.append([Fraction(float(x)).limit_denominator(1000) for x in done.x])
        try:
            check.check_point(self.S, found[0])
            check.check_ray(self.S, *found)
        except check.Rejected:
            raise NoProof("a half-line that cannot be rounded") from None
        return found

    def tree(self, cell: Cell, target: Fraction | None) -> list[str]:
        """The lines that cover a cell."""
        self.left -= 1
        if self.left < 0:
            raise NoProof("too many cells")
        column = self.empty(cell)
        if column is not None:
            return [f"e {column}"]
        status, x, weights = self.solve(cell)
        if status == 2:
            _, x, weights = self.solve(cell, elastic=True)
        if weights is not None and (status == 2 or target is not None):
            line = self.certifies(cell, None if status == 2 else target, weights)
            if line is not None:
                return [line]
        if x is None:
            x = np.zeros(len(self.S.lb))
        parts = self.split(cell, x)
        if parts is None:
            raise NoProof("a leaf whose multipliers cannot be rounded")
        return [parts[0], *self.tree(parts[1], target), *self.tree(parts[2], target)]

    def certifies(self, cell: Cell, target: Fraction | None, weights: Array) -> str | None:
        """The line of a leaf whose rounded weights show the target, or with None that the cell is empty; None if they do not."""
        for bound in (10, 1000, 10**6):
            w = {i: q for i, one in enumerate(weights) if (q := Fraction(float(one)).limit_denominator(bound))}
            try:
                beta = check.leaf_bound(self.S, cell, 0 if target is None else 1, w)
            except check.Rejected:
                continue
            if beta > 0 if target is None else beta >= target:
                return " ".join(["f" if target is None else "d", *(f"{i}:{q}" for i, q in w.items())])
        return None
