"""check.py PROBLEM.json PROOF.txt: verifies the proof of a bilevel optimum in exact rational arithmetic.

Needs Python's standard library alone and believes nothing that a solver said. docs/proofs.md has the format and why a yes is a theorem.
"""
import hashlib, json, math, sys
from collections.abc import Sequence
from fractions import Fraction as Q
from typing import Any

Row = dict[int, Q]  # a linear function of the columns
class Rejected(Exception): """The text does not prove what it says; the message says where it fails."""
def need(holds: bool, why: str) -> None:
    """Reject unless `holds`."""
    if not holds: raise Rejected(why)
def number(s: str) -> Q:
    """The number that is written, never its binary rounding."""; need(len(s.lower().partition("e")[2]) < 5, "an exponent of four digits or more"); return Q(s)
def load(text: str) -> Any:
    """The problem in a JSON text."""
    def once(items: list[tuple[str, Any]]) -> dict[str, Any]: need(len(dict(items)) == len(items), "a key twice in one object"); return dict(items)
    return json.loads(text, parse_float=number, parse_int=number, parse_constant=lambda s: need(False, f"the number {s}"), object_pairs_hook=once)
class System:
    """Minimise const + cost.v + v'quad v / 2 over `lb` <= v <= `ub`, v integer in `ints`, the rows, and pairs of which one member is zero.

    `rows[i]` = (coefficients, equation?, b) says coefficients.v >= b, or == b. `pairs[p]` = (kind, index, multiplier column): the slack
    is that of rows[index] for the kind "row", and of a bound of column index for "lb" and "ub". `sense` is -1 for a negated maximum.
    """
    def __init__(self) -> None:
        self.names = list[str](); self.lb = list[Q | None](); self.ub = list[Q | None](); self.ints = list[int]()
        self.rows = list[tuple[Row, bool, Q]](); self.pairs = list[tuple[str, int, int]]()
        self.sense = 1; self.cost: Row = {}; self.const = Q(0); self.quad = dict[int, Row]()
    def digest(self) -> str:
        """What a proof names the problem by: a hash of everything here but names."""
        def plain(c: Row) -> Any: return sorted([j, str(a)] for j, a in c.items() if a)
        rows = [[plain(c), equal, str(b)] for c, equal, b in self.rows]; quad = sorted([j, plain(c)] for j, c in self.quad.items())
        told = [*map(str, self.lb)], [*map(str, self.ub)], self.ints, rows, self.pairs, self.sense, plain(self.cost), str(self.const), quad
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()
    def add_column(self, low: Q | None, up: Q | None) -> int: """Append a column."""; self.lb.append(low); self.ub.append(up); return len(self.lb) - 1
def only(given: Any, keys: str) -> Any:
    """An object without keys that would be passed over."""; need(set(given) <= set(keys.split()), f"a key other than {keys}"); return given
def lower(P: Any) -> System:
    """For each follower its rows and the conditions of its optimum (stationarity, signs, complementarity); then the leader's rows."""
    only(P, "schema name title class optimistic variables duals leader followers known verified verification source note notes tolerance")
    need(P.get("optimistic", True) is True, "ties are not broken for the leader")
    S, owner, teams, symbol, marginal = System(), [v["owner"] for v in P["variables"]], [f["name"] for f in P["followers"]], dict[str, Row](), dict[Any, Row]()
    need(len({*teams, "leader"}) == len(teams) + 1 and {*owner} <= {*teams, "leader"}, "players: a name twice, or an owner that does not exist")
    for j, v in enumerate(P["variables"]):
        low, up, kind = v.get("lb"), v.get("ub"), only(v, "name owner lb ub type").get("type", "continuous")
        need(kind in ("continuous", "integer", "binary") and (kind == "continuous" or owner[j] == "leader"), "an integer follower")
        if kind == "binary": low, up = max(Q(0), Q(low or 0)), min(Q(1), Q(1 if up is None else up))
        need(v["name"] not in symbol, "a variable name twice"); need(all(x is None or isinstance(x, Q) for x in (low, up)), "a bound that is no number")
        S.names.append(v["name"]); symbol[v["name"]] = {S.add_column(low, up): Q(1)}; S.ints += [j] if kind != "continuous" else []
    def linear(terms: Any, sign: int) -> Row:
        out: Row = {}
        for n, a in (terms or {}).items():
            for j, x in symbol[n].items(): out[j] = out.get(j, Q(0)) + sign * a * x
        return out
    def add(c: Any) -> list[tuple[int, int]]:  # the rows of a constraint, with -1 for those that were turned round
        op, b, low, up = (only(c, "name linear quadratic op rhs lower upper").get(k) for k in ("op", "rhs", "lower", "upper"))
        need(not c.get("quadratic") and op in ("<=", ">=", "==", None) and (op is None) == (b is None), "a quadratic constraint, or no operator")
        if op: need(low is None and up is None, "two right-hand sides"); low, up = (None if op == "<=" else b), (None if op == ">=" else b)
        equal = low is not None and low == up; first = len(S.rows); sides = [(s, x) for s, x in ((1, low), (-1, up)) if x is not None][: 1 if equal else 2]
        S.rows.extend((linear(c.get("linear"), s), equal, s * x) for s, x in sides); return [(first + k, s) for k, (s, _) in enumerate(sides)]
    def objective(o: Any) -> tuple[int, Row, Q, dict[int, Row]]:
        s = {"min": 1, "max": -1}[only(o, "sense linear constant quadratic")["sense"]]; H = dict[int, Row]()
        for n, m, c in o.get("quadratic") or []:
            for left, right in ((symbol[n], symbol[m]), (symbol[m], symbol[n])):
                for i, x in left.items():
                    for j, y in right.items(): H.setdefault(i, {})[j] = H.get(i, {}).get(j, Q(0)) + s * c * x * y
        return s, linear(o.get("linear"), s), s * Q(o.get("constant", 0)), H
    for f in P["followers"]:
        mine = [j for j, o in enumerate(owner) if o == only(f, "name objective constraints")["name"]]; s, lin, _, H = objective(f["objective"])
        grad = {j: dict(H.get(j, {})) for j in mine}; convex(H, mine)  # stationarity: gradient - sum_i a_ij lam_i - mu_lb + mu_ub = 0
        for at, c in enumerate(f.get("constraints", [])):
            own: Row = {}; marginal.setdefault((f["name"], c.get("name", f"row[{at}]")), own)
            for i, side in add(c):
                coef, equal, _ = S.rows[i]; m = S.add_column(None if equal else Q(0), None); own[m] = Q(s * side)
                S.pairs += [] if equal else [("row", i, m)]
                for j in grad.keys() & coef.keys(): grad[j][m] = -coef[j]
        for j in mine:
            own, fixed = {}, S.lb[j] is not None and S.lb[j] == S.ub[j]; marginal.setdefault((f["name"], S.names[j]), own)  # a row's name comes first
            for kind, b, side in (("lb", S.lb[j], 1), ("ub", S.ub[j], -1))[: 1 if fixed else 2]:
                if b is None: continue
                m = S.add_column(None if fixed else Q(0), None); grad[j][m] = Q(-side); own[m] = Q(s * side); S.pairs += [] if fixed else [(kind, j, m)]
        S.rows.extend((grad[j], True, -lin.get(j, Q(0))) for j in mine)
    for d in P.get("duals") or []:
        need(d["name"] not in symbol, "a symbol twice"); symbol[d["name"]] = marginal[d["follower"], d["constraint"]]
    for c in only(P["leader"], "name objective constraints").get("constraints", []): add(c)
    S.rows = [({j: short(a) for j, a in coef.items()}, equal, short(b)) for coef, equal, b in S.rows]
    S.sense, S.cost, S.const, S.quad = objective(P["leader"]["objective"]); convex(S.quad, sorted(S.quad)); return S
def short(a: Any) -> Any:
    """The same number, as an integer if it is one: integers are added faster."""; return a.numerator if a.denominator == 1 else a
def convex(quad: dict[int, Row], columns: list[int]) -> None:
    """Exact symmetric elimination: a negative pivot, or a zero pivot with a nonzero row, refutes convexity."""
    H, n = [[quad.get(i, {}).get(j, Q(0)) for j in columns] for i in columns], len(columns)
    for k in range(n):
        need(H[k][k] > 0 or not any(H[k][k:]), "an objective that is not convex")
        for i in range(k + 1, n) if H[k][k] else ():
            t = H[i][k] / H[k][k]
            for j in range(k, n): H[i][j] -= t * H[k][j]
def dot(c: Row, v: Sequence[Q]) -> Q: """c.v."""; return sum((a * v[j] for j, a in c.items()), Q(0))
def slack(S: System, p: int, v: Sequence[Q], b: int = 1) -> Q:
    """The slack of a pair at v; with b = 0 its rate along the direction v."""
    kind, i, _ = S.pairs[p]
    return dot(S.rows[i][0], v) - b * S.rows[i][2] if kind == "row" else v[i] - b * Q(S.lb[i] or 0) if kind == "lb" else b * Q(S.ub[i] or 0) - v[i]
def tangent(S: System, u: Row) -> tuple[Row, Q]:
    """(cost, constant) of a linear function that is nowhere above the objective, and equal to it at u."""
    if not S.quad: return S.cost, S.const
    v = [u.get(j, Q(0)) for j in range(len(S.lb))]; bend = {j: dot(c, v) for j, c in S.quad.items()}
    return {j: S.cost.get(j, Q(0)) + bend.get(j, Q(0)) for j in S.cost.keys() | bend.keys()}, S.const - dot(bend, v) / 2
def check_point(S: System, v: Sequence[Q]) -> Q:
    """The objective at v, which satisfies every row, bound and integrality, and whose pairs are complementary: v is bilevel feasible."""
    for j, (x, low, up) in enumerate(zip(v, S.lb, S.ub)): need((low is None or x >= low) and (up is None or x <= up), f"point: bound of column {j}")
    for j in S.ints: need(v[j].denominator == 1, f"point: column {j} is not an integer")
    for i, (c, equal, b) in enumerate(S.rows): need(dot(c, v) == b if equal else dot(c, v) >= b, f"point: row {i}")
    for p, (_, _, m) in enumerate(S.pairs): need(slack(S, p, v) * v[m] == 0, f"point: pair {p} is not complementary")
    cost, const = tangent(S, dict(enumerate(v))); return dot(cost, v) + const
def check_ray(S: System, v: Sequence[Q], d: Sequence[Q]) -> None:
    """All of v + s d, s >= 0, is bilevel feasible, and the objective falls along it without end."""
    for j, (x, low, up) in enumerate(zip(d, S.lb, S.ub)): need((low is None or x >= 0) and (up is None or x <= 0), f"ray: bound of column {j}")
    for i, (c, equal, _) in enumerate(S.rows): need(dot(c, d) == 0 if equal else dot(c, d) >= 0, f"ray: row {i}")
    for p, (_, _, m) in enumerate(S.pairs): need(slack(S, p, v) * d[m] == slack(S, p, d, 0) * v[m] == slack(S, p, d, 0) * d[m] == 0, f"ray: pair {p}")
    need(not any(dot(c, d) for c in S.quad.values()) and dot(tangent(S, {})[0], d) < 0, "ray: the objective does not fall along it")
Decision = tuple[str, int, Q]
def restrict(S: System, cell: Sequence[Decision]) -> tuple[list[Q | None], list[Q | None], set[int]]:
    """Bounds, and which rows are equations, in the cell that these decisions lead to."""
    lb, ub, eq = S.lb[:], S.ub[:], set[int]()
    for kind, a, b in cell:
        if kind == "M": ub[S.pairs[a][2]] = Q(0)  # multiplier = 0
        elif kind == "S":  # slack = 0
            side, i, _ = S.pairs[a]
            if side == "row": eq.add(i)
            elif side == "lb": ub[i] = S.lb[i]
            else: lb[i] = S.ub[i]
        elif kind == "<": old = ub[a]; ub[a] = b if old is None else min(old, b)
        else: old = lb[a]; lb[a] = b if old is None else max(old, b)
    return lb, ub, eq
def leaf_bound(S: System, cell: Sequence[Decision], t: int, w: Row, u: Row | None = None) -> Q:
    """Weak duality: on the cell, t * objective >= the number returned. With t = 0 and a positive number the cell is empty."""
    lb, ub, eq = restrict(S, cell); cost, const = tangent(S, u or {}); D = math.lcm(*(x.denominator for x in w.values()))  # everything times D
    r, beta = {j: short(t * D * a) for j, a in cost.items()}, t * D * const
    for i, x in w.items():
        c, equal, b = S.rows[i]; need(equal or i in eq or x >= 0, f"leaf: multiplier of row {i} has the wrong sign"); y = short(x * D); beta += y * b
        for j, a in c.items(): r[j] = r.get(j, 0) - y * a
    for j, x in ((j, x) for j, x in r.items() if x):
        side = lb[j] if x > 0 else ub[j]; need(side is not None, f"leaf: column {j} has no bound on the side of its reduced cost"); beta += x * (side or 0)
    return Q(beta) / D
def vector(words: Sequence[str], n: int) -> Row:
    """A sparse vector i:value ... with indices below n."""
    out: Row = {}
    for word in words:
        at, x = word.split(":"); i = int(at); need(0 <= i < n and i not in out, "sparse vector"); out[i] = number(x)
    return out
def verify(S: System, proof_text: str) -> dict[str, Any]:
    """What the proof proves of S; an exception of any kind means: nothing."""
    lines = iter([line.split() for line in proof_text.split("\n")]); L = U = None; n = len(S.lb)
    def field(key: str) -> list[str]: words = next(lines, [""]); need(words[:1] == [key], f"expected {key}"); return words[1:]
    def dense(key: str) -> list[Q]: v = vector(field(key), n); return [v.get(j, Q(0)) for j in range(n)]
    need(field("stackopt-proof") == ["1"], "version"); need(field("problem") == [S.digest()], "the proof is of another problem")
    (status,) = field("status"); need(status in ("optimal", "bound", "infeasible", "unbounded"), "status")
    if status == "optimal": (upper,) = field("upper"); U = number(upper)
    if status in ("optimal", "bound"): (low,) = field("lower"); L = number(low)
    if status == "optimal": need(check_point(S, dense("point")) == U and L <= U, "point: its value is not the upper, or below the lower bound")  # type: ignore[operator]
    if status == "unbounded": v = dense("point"); check_point(S, v); check_ray(S, v, dense("ray"))
    field("tree"); leaves = list[tuple[str, Row, Row]](); nodes = 0
    stack: list[tuple[Decision, ...]] = [] if status == "unbounded" else [()]  # cells still to be covered; first the whole space
    for words in lines:
        if words == ["end"]: break
        need(bool(stack and words), "more nodes than cells, or a blank line"); cell, op, arg, nodes = stack.pop(), words[0], words[1:], nodes + 1
        if op == "b": (p,) = map(int, arg); need(0 <= p < len(S.pairs), "no such pair"); stack += [(*cell, ("M", p, Q(0))), (*cell, ("S", p, Q(0)))]
        elif op == "i": j, k = map(int, arg); need(j in S.ints, "column is not an integer"); stack += [(*cell, (">", j, Q(k + 1))), (*cell, ("<", j, Q(k)))]
        elif op == "e":  # decisions that contradict each other on one column
            (j,) = map(int, arg); need(0 <= j < n, "column"); lb, ub, _ = restrict(S, cell)
            need(lb[j] is not None and ub[j] is not None and lb[j] > ub[j], "column is not empty")  # type: ignore[operator]
        else:
            if op == "r": (k,) = map(int, arg); need(0 <= k < len(leaves), "no such leaf")
            else:
                need(op in ("d", "f"), "unknown line"); at = arg.index("at") if "at" in arg else len(arg); k = len(leaves)
                leaves.append((op, vector(arg[:at], len(S.rows)), vector(arg[at + 1 :], n)))
            op, w, u = leaves[k]
            if op == "d": need(L is not None and leaf_bound(S, cell, 1, w, u) >= L, 'leaf: bound below "lower"')
            else: need(leaf_bound(S, cell, 0, w) > 0, "leaf: not a Farkas vector")
    else: need(False, "no end")
    need(not stack, "cells left uncovered"); need(not any(lines), "text after end")
    return {"status": status, "sense": S.sense, "lower": L, "upper": U, "nodes": nodes}
def check(problem_text: str, proof_text: str) -> dict[str, Any]:
    """Verify a proof of the problem in a JSON text."""; return verify(lower(load(problem_text)), proof_text)
def statement(found: dict[str, Any]) -> str:
    """The theorem, in a sentence."""
    s, L, U, count = found["sense"], found["lower"], found["upper"], f"({found['nodes']} node{'s' * (found['nodes'] != 1)})"
    if found["status"] == "infeasible": return f"VERIFIED: the problem has no feasible point {count}"
    if found["status"] == "unbounded": return "VERIFIED: the problem is unbounded, along a half-line of feasible points"
    if found["status"] == "bound": return f"VERIFIED: no feasible point has a value {'below' if s == 1 else 'above'} {s * L} {count}"
    if L == U: return f"VERIFIED: optimum = {s * U} exactly {count}"
    return f"VERIFIED: {min(s * L, s * U)} <= optimum <= {max(s * L, s * U)}, width {float(U - L):.3g} {count}"
def main(arguments: Sequence[str]) -> int:
    """Print the verdict; 0 if verified, 1 if rejected."""
    try: problem, proof = (open(path, encoding="utf-8").read() for path in arguments); found = check(problem, proof)
    except Exception as error: print("REJECTED:", type(error).__name__, error); return 1
    print(statement(found)); return 0
if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
