"""check_integer.py PROBLEM.json PROOF.txt: verifies the proof of a bilevel optimum whose one linear follower has integer variables.

Needs nothing but Python's standard library and check.py beside it; believes nothing that a solver said. Soundness, in four steps:

1. A point is bilevel feasible if it satisfies the rows, bounds and integrality of both players and q.y is the least that the follower's
   own program allows at its x (ties are the leader's to break). `point` satisfies them; the section `follower` is a proof by check.py
   that the follower's program with x fixed there has no value below the point's. So `upper` is the value of a feasible point.
2. The tree's first cell is everything; `i j k` divides a cell by an integer column into j <= k and j >= k + 1, so no point is lost.
3. A `reply` y* is integral where it must be and within the follower's bounds. Where every follower row holds with y* for all x within a
   cell's bounds, y* is one of the follower's choices there, so each bilevel feasible point of the cell satisfies q.y <= q.y*. A leaf may
   give that row a multiplier only after this test in its own cell.
4. A leaf is weak duality over rows, such cuts and bounds (`check.leaf_bound`): the value in its cell is at least `lower`, or it is empty.
"""

import copy
import hashlib
import sys
from collections.abc import Sequence
from fractions import Fraction as Q
from typing import Any

if __package__:
    from stackopt.proof.check import Decision, Row, System, check_point, dot, leaf_bound, load, lower, need, number, only, restrict, statement, vector, verify
else:
    from check import (  # type: ignore[import-not-found,no-redef]  # noqa: I001
        Decision, Row, System, check_point, dot, leaf_bound, load, lower, need, number, only, restrict, statement, vector, verify,
    )  # fmt: skip


class Bilevel:
    """A program: `joint` of both players' rows under the leader's objective, `own` of the follower's rows under its objective.

    Both are minimised, over the same columns. `mine` are the follower's columns; `cost` is q, its objective over these alone.
    """

    def __init__(self, data: Any) -> None:
        need(len(data["followers"]) == 1 and not data.get("duals"), "one follower, whose multipliers nobody uses")
        follower, leader = only(data["followers"][0], "name objective constraints"), data["leader"]
        self.mine = [j for j, v in enumerate(data["variables"]) if v["owner"] == follower["name"]]
        need({"leader"} != {"leader", follower["name"]} >= {v["owner"] for v in data["variables"]}, "an owner that does not exist")
        columns, rows = [{**v, "owner": "leader"} for v in data["variables"]], follower.get("constraints", [])
        plain = {**data, "variables": columns, "followers": []}
        self.joint = lower({**plain, "leader": {**leader, "constraints": [*leader.get("constraints", []), *rows]}})
        self.own = lower({**plain, "leader": {"objective": follower["objective"], "constraints": rows}})
        need(not self.joint.quad and not self.own.quad, "an objective that is not linear")
        self.cost: Row = {j: self.own.cost[j] for j in self.mine if self.own.cost.get(j)}

    def digest(self) -> str:
        """What a proof names the problem by."""
        return hashlib.sha256(f"{self.joint.digest()} {self.own.digest()} {self.mine}".encode()).hexdigest()

    def reacting(self, v: Sequence[Q]) -> System:
        """The follower's program with all other columns fixed at v."""
        fixed, mine = copy.copy(self.own), set(self.mine)
        fixed.lb, fixed.ub = ([old if j in mine else x for j, (x, old) in enumerate(zip(v, ends))] for ends in (fixed.lb, fixed.ub))
        return fixed

    def reply(self, y: Row) -> Row:
        """y, if it is integral where it must be and within the follower's bounds; entries of other columns are not used."""
        for j in self.mine:
            x, low, up = y.get(j, Q(0)), self.own.lb[j], self.own.ub[j]
            need((low is None or x >= low) and (up is None or x <= up), f"reply: bound of column {j}")
            need(j not in self.own.ints or x.denominator == 1, f"reply: column {j} is not an integer")
        return y

    def fits(self, y: Row, lb: Sequence[Q | None], ub: Sequence[Q | None]) -> bool:
        """Whether every follower row holds with y for all x within these bounds."""
        return all(x is not None and x >= 0 for i in range(len(self.own.rows)) for x in self.least(i, y, lb, ub))

    def least(self, i: int, y: Row, lb: Sequence[Q | None], ub: Sequence[Q | None]) -> list[Q | None]:
        """The least slack of row i (of an equation: and of its negative) with y, over the bounds of x; None if there is no least."""
        coef, equal, b = self.own.rows[i]
        found = list[Q | None]()
        for sign in (1, -1) if equal else (1,):
            slack: Q | None = sign * (sum((a * y.get(j, 0) for j, a in coef.items() if j in self.mine), Q(0)) - b)
            for j, a in coef.items():
                if a and j not in self.mine and slack is not None:
                    side = lb[j] if sign * a > 0 else ub[j]
                    slack = None if side is None else slack + sign * a * side
            found.append(slack)
        return found

    def with_cuts(self, replies: Sequence[Row]) -> System:
        """`joint` and, behind its rows, q.y <= q.y* for each reply."""
        cut = copy.copy(self.joint)
        cut.rows = [*cut.rows, *(({j: -a for j, a in self.cost.items()}, False, -sum((a * y.get(j, 0) for j, a in self.cost.items()), Q(0))) for y in replies)]
        return cut


def check(problem_text: str, proof_text: str) -> dict[str, Any]:
    """Verify a proof of the optimum of the program in a JSON text; an exception of any kind means that nothing is proved."""
    B, lines = Bilevel(load(problem_text)), iter(proof_text.split("\n"))
    n = len(B.joint.lb)

    def field(key: str) -> list[str]:
        words = next(lines).split()
        need(words[:1] == [key], f"expected {key}")
        return words[1:]

    version, problem, (up,), (low,) = field("stackopt-integer-proof"), field("problem"), field("upper"), field("lower")
    need(version == ["1"], "version")
    need(problem == [B.digest()], "the proof is of another problem")
    point, (count,) = vector(field("point"), n), field("replies")
    U, L, v = number(up), number(low), [point.get(j, Q(0)) for j in range(n)]
    need(check_point(B.joint, v) == U and L <= U, "point: its value is not the upper, or below the lower bound")
    replies = [B.reply(vector(field("reply"), n)) for _ in range(int(count))]
    field("follower")
    rest = [*lines]
    middle = rest.index("end") + 1
    best = verify(B.reacting(v), "\n".join(rest[:middle]))["lower"]
    need(best is not None and best >= dot(B.own.cost, v) + B.own.const, "the follower may have a better answer to the point")
    need(rest[middle : middle + 1] == ["tree"], "expected tree")
    last = rest.index("end", middle)
    S, base, stack, nodes = B.with_cuts(replies), len(B.joint.rows), [list[Decision]()], 0
    for line in rest[middle + 1 : last]:
        op, *arg = line.split()
        cell, nodes = stack.pop(), nodes + 1
        if op == "i":
            j, k = map(int, arg)
            need(j in S.ints, "column is not an integer")
            stack += [[*cell, (">", j, Q(k + 1))], [*cell, ("<", j, Q(k))]]
            continue
        need(op in ("d", "f", "e"), "unknown line")
        lb, ub, _ = restrict(S, cell)
        if op == "e":
            least, most = lb[int(arg[0])], ub[int(arg[0])]
            need(least is not None and most is not None and least > most, "column is not empty")
            continue
        w = vector(arg, len(S.rows))
        for i in w:
            need(i < base or B.fits(replies[i - base], lb, ub), "leaf: a reply that some x of the cell does not allow")
        beta = leaf_bound(S, cell, int(op == "d"), w)
        need(beta >= L if op == "d" else beta > 0, "leaf: bound below the lower one, or not a Farkas vector")
    need(not stack and not any(rest[last + 1 :]), "cells left uncovered, or text after end")
    return {"status": "optimal", "sense": B.joint.sense, "lower": L, "upper": U, "nodes": nodes}


def main(arguments: Sequence[str]) -> int:
    """Print the verdict; 0 if verified, 1 if rejected."""
    try:
        problem, proof = (open(path, encoding="utf-8").read() for path in arguments)  # noqa: SIM115
        print(statement(check(problem, proof)))  # noqa: T201
        return 0
    except Exception as error:
        print("REJECTED:", type(error).__name__, error)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
