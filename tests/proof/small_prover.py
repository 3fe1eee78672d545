"""Proofs of small programs by the plainest means, for tests: every complementarity tried, linear programs by scipy, multipliers rounded.

It shares nothing with the package's own search and repair but the checker, which judges every leaf before it is written.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from scipy.optimize import linprog

from stackopt.proof import check


class NoProof(Exception):
    """Rounding was not enough, or the program is unbounded."""


def proof(problem_text: str, nodes: int = 2000) -> str:
    """A proof of the program in a JSON text.

    Raises
    ------
    NoProof
        If it finds none within `nodes` cells.
    """
    system = check.lower(check.load(problem_text))
    if system.quad:
        raise NoProof("a quadratic leader")
    return _Prover(system, nodes).text()


class _Prover:
    def __init__(self, system: check.System, nodes: int) -> None:
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
        best = self.search((), (None, Fraction(10) ** 30))
        head = ["stackopt-proof 1", f"problem {self.S.digest()}"]
        if best[0] is None:
            head += ["status infeasible"]
        else:
            point = " ".join(f"{j}:{x}" for j, x in enumerate(best[0]) if x)
            head += ["status optimal", f"upper {best[1]}", f"lower {best[1]}", f"point {point}"]
        return "\n".join([*head, "tree", *self.tree((), None if best[0] is None else best[1]), "end", ""])

    def solve(self, cell, elastic=False):
        """(status, x, weights of the rows) of the relaxation in a cell; with `elastic`, of the least violation of its rows."""
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

    def empty(self, cell):
        """A column whose bounds cross in the cell, or None."""
        lb, ub, _ = check.restrict(self.S, cell)
        return next((j for j, (low, up) in enumerate(zip(lb, ub)) if low is not None and up is not None and low > up), None)

    def split(self, cell, x):
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

    def slack(self, pair, x):
        kind, i, _ = pair
        row, side = (self.matrix[i] @ x, self.rhs[i]) if kind == "row" else (x[i], float(self.S.lb[i] if kind == "lb" else self.S.ub[i]))
        return row - side if kind != "ub" else side - row

    def search(self, cell, best):
        """The best exact point and its value, so far."""
        self.left -= 1
        if self.left < 0:
            raise NoProof("too many cells")
        if self.empty(cell) is not None:
            return best
        status, x, _ = self.solve(cell)
        if status == 2:
            return best
        if status != 0:
            raise NoProof("unbounded")
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

    def tree(self, cell, target):
        """The lines that cover a cell."""
        self.left -= 1
        if self.left < 0:
            raise NoProof("too many cells")
        column = self.empty(cell)
        if column is not None:
            return [f"e {column}"]
        status, x, weights = self.solve(cell)
        if status == 0 and target is not None and self.certifies(cell, 1, weights, target) is not None:
            return [self.certifies(cell, 1, weights, target)]
        if status == 2:
            _, x, weights = self.solve(cell, elastic=True)
            line = None if weights is None else self.certifies(cell, 0, weights, None)
            if line is not None:
                return [line]
        if x is None:
            x = np.zeros(len(self.S.lb))
        parts = self.split(cell, x)
        if parts is None:
            raise NoProof("a leaf whose multipliers cannot be rounded")
        return [parts[0], *self.tree(parts[1], target), *self.tree(parts[2], target)]

    def certifies(self, cell, t, weights, target):
        """The line of a leaf whose rounded weights do what they should, or None."""
        for bound in (10, 1000, 10**6):
            w = {i: q for i, one in enumerate(weights) if (q := Fraction(float(one)).limit_denominator(bound))}
            try:
                beta = check.leaf_bound(self.S, cell, t, w)
            except check.Rejected:
                continue
            if beta >= target if t else beta > 0:
                return " ".join(["d" if t else "f", *(f"{i}:{q}" for i, q in w.items())])
        return None
