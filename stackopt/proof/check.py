"""check.py PROBLEM.json PROOF.txt: verifies the proof of a bilevel optimum in exact rational arithmetic.

Needs nothing but Python's standard library and believes nothing that a solver said. Format and soundness: docs/proofs.md.
"""

import hashlib
import json
import sys
from collections.abc import Iterable
from fractions import Fraction as Q
from typing import Any

Row = dict[int, Q]  # a linear function: coefficients by column


class Rejected(Exception):
    """The proof does not prove what it says; the text says where it fails."""


def need(holds: bool, why: str) -> None:
    """Reject unless `holds`."""
    if not holds:
        raise Rejected(why)


def load(text: str) -> Any:
    """The problem's JSON; its numbers are the decimals that are written, never their binary rounding."""

    def once(items: list[tuple[str, Any]]) -> dict[str, Any]:
        need(len({key for key, _ in items}) == len(items), "a key twice in one object of the problem")
        return dict(items)

    return json.loads(text, parse_float=Q, parse_int=Q, parse_constant=lambda name: need(False, f"the number {name}"), object_pairs_hook=once)


class System:
    """Minimise cost.v + const over rows, bounds and pairs of which one side is zero; `rows[i]` = (coefficients, equation?, right-hand side).

    A row says coefficients.v >= (or ==) right-hand side. `pairs[p]` = (kind, index, multiplier column): the slack is that of rows[index]
    for the kind "row", and of a bound of column index for "lb" and "ub".
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.col: dict[str, int] = {}
        self.lb: list[Q | None] = []
        self.ub: list[Q | None] = []
        self.ints: list[int] = []
        self.rows: list[tuple[Row, bool, Q]] = []
        self.pairs: list[tuple[str, int, int]] = []
        self.sense, self.cost, self.const = 1, dict[int, Q](), Q(0)

    def digest(self) -> str:
        """What a proof names the problem by: a hash of everything above but names."""
        rows = [(sorted((j, str(a)) for j, a in c.items() if a), eq, str(b)) for c, eq, b in self.rows]
        cost = (self.sense, sorted((j, str(a)) for j, a in self.cost.items() if a), str(self.const))
        return hashlib.sha256(json.dumps([[str(b) for b in self.lb], [str(b) for b in self.ub], self.ints, rows, self.pairs, cost]).encode()).hexdigest()


def lower(P: Any) -> System:
    """Leader rows, follower rows, and of each follower the conditions of its optimum: stationarity, signs and complementarity."""
    need(P.get("optimistic", True) is True, "only the optimistic problem is covered")
    need(not P.get("duals"), "follower multipliers in the leader")
    S, variables = System(), P["variables"]
    S.names = [v["name"] for v in variables]
    S.col = {n: j for j, n in enumerate(S.names)}
    need(len(S.col) == len(S.names), "a variable name twice")
    owner, teams = [v["owner"] for v in variables], [f["name"] for f in P["followers"]]
    need(len({*teams, "leader"}) == len(teams) + 1, "a player's name twice")
    need(set(owner) <= {*teams, "leader"}, "an owner that does not exist")
    for j, v in enumerate(variables):
        low, up, kind = v.get("lb"), v.get("ub"), v.get("type", "continuous")
        need(kind in ("continuous", "integer", "binary"), "type of a variable")
        if kind != "continuous":
            need(owner[j] == "leader", "an integer follower")
            S.ints.append(j)
        if kind == "binary":
            low, up = max(Q(0), Q(low or 0)), min(Q(1), Q(1 if up is None else up))
        S.lb.append(low)
        S.ub.append(up)

    def multiplier(free: bool = False) -> int:
        S.lb.append(None if free else Q(0))
        S.ub.append(None)
        return len(S.lb) - 1

    def linear(terms: Any, sign: int) -> Row:
        return {S.col[n]: sign * a for n, a in (terms or {}).items() if a}

    def row(c: Any) -> list[int]:
        """The rows of a constraint, each as something >= or == a number."""
        need(not c.get("quadratic"), "a quadratic constraint")
        op = c.get("op")
        need(op in ("<=", ">=", "==") if "rhs" in c else op is None, "operator of a constraint")
        low, up = (c["rhs"] if op != "<=" else None, c["rhs"] if op == "<=" else None) if op else (c.get("lower"), c.get("upper"))
        equal = op == "==" or (low is not None and low == up)
        sides = [(1, low)] if equal else [(s, b) for s, b in ((1, low), (-1, up)) if b is not None]
        S.rows.extend((linear(c.get("linear"), s), equal, s * b) for s, b in sides)
        return list(range(len(S.rows) - len(sides), len(S.rows)))

    def objective(o: Any) -> tuple[int, Row, Q, list[tuple[int, int, Q]]]:
        s = {"min": 1, "max": -1}[o["sense"]]
        return s, linear(o.get("linear"), s), s * Q(o.get("constant", 0)), [(S.col[a], S.col[b], s * c) for a, b, c in o.get("quadratic") or []]

    S.sense, S.cost, S.const, quad = objective(P["leader"]["objective"])
    need(not quad, "a quadratic leader objective")
    for c in P["leader"].get("constraints", []):
        row(c)
    for f in P["followers"]:
        mine = [j for j, o in enumerate(owner) if o == f["name"]]
        _, lin, _, quad = objective(f["objective"])
        grad: dict[int, Row] = {j: {} for j in mine}  # stationarity: grad_j - sum_i a_ij lam_i - mu_lb + mu_ub = 0
        for a, b, c in quad:
            for u, w in ((a, b), (b, a)):
                if u in grad:
                    grad[u][w] = grad[u].get(w, Q(0)) + c
        psd([[grad[i].get(j, Q(0)) for j in mine] for i in mine])
        for c in f.get("constraints", []):
            for i in row(c):
                m = multiplier(S.rows[i][1])
                if not S.rows[i][1]:
                    S.pairs.append(("row", i, m))
                for j, a in S.rows[i][0].items():
                    if j in grad:
                        grad[j][m] = -a
        for j in mine:
            if S.lb[j] is not None and S.lb[j] == S.ub[j]:
                grad[j][multiplier(True)] = Q(-1)
                continue
            for kind, b, s in (("lb", S.lb[j], -1), ("ub", S.ub[j], 1)):
                if b is not None:
                    m = multiplier()
                    S.pairs.append((kind, j, m))
                    grad[j][m] = Q(s)
        S.rows.extend((grad[j], True, -lin.get(j, Q(0))) for j in mine)
    return S


def psd(H: list[list[Q]]) -> None:
    """Exact symmetric elimination: a negative pivot, or a zero pivot with a nonzero row, refutes convexity."""
    n, H = len(H), [r[:] for r in H]
    for k in range(n):
        need(H[k][k] > 0 or not any(H[k][k:]), "an objective that is not convex")
        for i in range(k + 1, n) if H[k][k] else ():
            t = H[i][k] / H[k][k]
            for j in range(k, n):
                H[i][j] -= t * H[k][j]


def value(coef: Row, v: list[Q]) -> Q:
    """coef.v."""
    return sum((a * v[j] for j, a in coef.items()), Q(0))


def slack(S: System, pair: tuple[str, int, int], v: list[Q]) -> Q:
    """The slack of a pair at v."""
    kind, i, _ = pair
    return value(S.rows[i][0], v) - S.rows[i][2] if kind == "row" else v[i] - S.lb[i] if kind == "lb" else S.ub[i] - v[i]  # type: ignore[operator]


def check_point(S: System, v: list[Q]) -> Q:
    """The objective at v, if v is bilevel feasible: every row, bound and integrality, and every pair complementary."""
    need(len(v) == len(S.lb), "point: length")
    for j, (x, low, up) in enumerate(zip(v, S.lb, S.ub)):
        need((low is None or x >= low) and (up is None or x <= up), f"point: bound of column {j}")
    for j in S.ints:
        need(v[j].denominator == 1, f"point: column {j} is not an integer")
    for i, (c, equal, b) in enumerate(S.rows):
        t = value(c, v)
        need(t == b if equal else t >= b, f"point: row {i}")
    for p, pair in enumerate(S.pairs):
        need(slack(S, pair, v) * v[pair[2]] == 0, f"point: pair {p} is not complementary")
    return value(S.cost, v) + S.const


Decision = tuple[str, int, Q]


def restrict(S: System, cell: Iterable[Decision]) -> tuple[list[Q | None], list[Q | None], set[int]]:
    """Bounds, and rows that are equations, in the cell that these decisions lead to."""
    lb, ub, eq = S.lb[:], S.ub[:], set[int]()
    for kind, a, b in cell:
        if kind == "M":  # multiplier = 0
            ub[S.pairs[a][2]] = Q(0)
        elif kind == "S":  # slack = 0
            side, i, _ = S.pairs[a]
            if side == "row":
                eq.add(i)
            elif side == "lb":
                ub[i] = S.lb[i]
            else:
                lb[i] = S.ub[i]
        elif kind == "<":
            old = ub[a]
            ub[a] = b if old is None else min(old, b)
        else:
            old = lb[a]
            lb[a] = b if old is None else max(old, b)
    return lb, ub, eq


def leaf_bound(S: System, cell: Iterable[Decision], t: int, w: Row) -> Q:
    """Weak duality: on the cell, t * objective >= the number returned. t = 1: a bound; t = 0: > 0 means that the cell is empty."""
    lb, ub, eq = restrict(S, cell)
    r, beta = {j: t * a for j, a in S.cost.items()}, t * S.const
    for i, wi in w.items():
        c, equal, b = S.rows[i]
        need(equal or i in eq or wi >= 0, f"leaf: multiplier of row {i} has the wrong sign")
        beta += wi * b
        for j, a in c.items():
            r[j] = r.get(j, Q(0)) - wi * a
    for j, x in r.items():
        if x:
            bound = lb[j] if x > 0 else ub[j]
            if bound is None:
                raise Rejected(f"leaf: column {j} has no bound on the side that its reduced cost needs")
            beta += x * bound
    return beta


def vector(words: list[str], n: int) -> Row:
    """A sparse vector i:value ... with indices below n."""
    out: Row = {}
    for word in words:
        at, x = word.split(":")
        i = int(at)
        need(0 <= i < n and i not in out, "sparse vector")
        out[i] = Q(x)
    return out


def verify(S: System, proof_text: str) -> dict[str, Any]:
    """What the proof proves of S; raises (Rejected, or whatever a malformed line leads to) if it does not."""
    lines = iter([line.split() for line in proof_text.split("\n")])

    def field(key: str) -> list[str]:
        words = next(lines, [""])
        need(words[:1] == [key], f"expected {key}")
        return words[1:]

    need(field("stackopt-proof") == ["1"], "version")
    need(field("problem") == [S.digest()], "the proof is for another problem")
    (status,) = field("status")
    need(status in ("optimal", "infeasible"), "status")
    L = U = None
    if status == "optimal":
        (upper,), (low,) = field("upper"), field("lower")
        U, L = Q(upper), Q(low)
        need(L <= U, "lower above upper")
        v = vector(field("point"), len(S.lb))
        need(check_point(S, [v.get(j, Q(0)) for j in range(len(S.lb))]) == U, 'point: its value is not "upper"')
    field("tree")
    stack: list[tuple[Decision, ...]] = [()]  # cells still to be covered: first the whole space
    leaves, nodes = list[tuple[str, Row]](), 0
    for words in lines:
        if words == ["end"]:
            break
        need(bool(stack and words), "more nodes than cells, or a blank line")
        cell, op, arg, nodes = stack.pop(), words[0], words[1:], nodes + 1
        if op == "b":
            (p,) = map(int, arg)
            need(0 <= p < len(S.pairs), "no such pair")
            stack += [(*cell, ("M", p, Q(0))), (*cell, ("S", p, Q(0)))]
        elif op == "i":
            j, k = map(int, arg)
            need(j in S.ints, "integer branching on a continuous column")
            stack += [(*cell, (">", j, Q(k + 1))), (*cell, ("<", j, Q(k)))]
        elif op == "e":  # decisions that contradict each other on one column
            (j,) = map(int, arg)
            lb, ub, _ = restrict(S, cell)
            need(0 <= j < len(lb) and None not in (lb[j], ub[j]) and lb[j] > ub[j], "column is not empty")  # type: ignore[operator]
        else:
            if op == "r":
                (k,) = map(int, arg)
                need(0 <= k < len(leaves), "no such leaf")
                op, w = leaves[k]
            else:
                need(op in ("d", "f"), f"unknown line {op}")
                w = vector(arg, len(S.rows))
                leaves.append((op, w))
            if op == "d":
                need(L is not None and leaf_bound(S, cell, 1, w) >= L, 'leaf: bound below "lower"')
            else:
                need(leaf_bound(S, cell, 0, w) > 0, "leaf: not a Farkas vector")
    else:
        need(False, "no end")
    need(not stack, "cells left uncovered")
    need(not any(lines), "text after end")
    return {"status": status, "sense": S.sense, "lower": L, "upper": U, "nodes": nodes}


def check(problem_text: str, proof_text: str) -> dict[str, Any]:
    """Verify a proof of the problem in a JSON text."""
    return verify(lower(load(problem_text)), proof_text)


def statement(found: dict[str, Any]) -> str:
    """The theorem, in a sentence."""
    count = f"({found['nodes']} node{'s' if found['nodes'] != 1 else ''})"
    if found["status"] == "infeasible":
        return f"VERIFIED: the bilevel problem has no feasible point {count}"
    lo, up = (found["lower"], found["upper"]) if found["sense"] == 1 else (-found["upper"], -found["lower"])
    return f"VERIFIED: optimum = {lo} exactly {count}" if lo == up else f"VERIFIED: {lo} <= optimum <= {up}, width {float(up - lo):.3g} {count}"


if __name__ == "__main__":
    try:
        with open(sys.argv[1], encoding="utf-8") as problem, open(sys.argv[2], encoding="utf-8") as proof:
            print(statement(check(problem.read(), proof.read())))  # noqa: T201
    except Exception as error:
        print("REJECTED:", type(error).__name__, error)  # noqa: T201
        sys.exit(1)
