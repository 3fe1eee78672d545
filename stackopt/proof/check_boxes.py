"""check_boxes.py GAME.json PROOF.txt: an interval for the strong value of a game whose randomised leader moves the state.

Needs Python's standard library, check.py and check_games.py beside it. A cell is a box of leader policies, the responses that may be played, and
a range of the follower's optimal values there; its system is written anew for every leaf. Soundness: docs/proofs-games.md.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction as Q
from typing import Any

if __package__:
    from stackopt.proof.check import leaf_bound, need, number, vector
    from stackopt.proof.check_games import Game, Rows, read, statement
else:
    from check import leaf_bound, need, number, vector  # type: ignore[import-not-found,no-redef]
    from check_games import Game, Rows, read, statement  # type: ignore[import-not-found,no-redef]

Terms = list[tuple[int, Q]]


@dataclass(frozen=True)
class Cell:
    """least[o, a] <= x(a|o) <= most[o, a]; played[s, b]: (0, 1), or decided; low[s] <= V_F(s) <= up[s]."""

    least: dict[tuple[int, int], Q]
    most: dict[tuple[int, int], Q]
    played: dict[tuple[int, int], tuple[int, int]]
    low: Sequence[Q]
    up: Sequence[Q]

    def mixed(self, G: Game, s: int, values: list[Q], side: int) -> Q:
        """The greatest (side 1) or least mean of values [A] over the box's policies in s."""
        o, actions = G.classes[s], range(len(values))
        weights = [self.least[o, a] for a in actions]
        left = 1 - sum(weights)
        for a in sorted(actions, key=lambda a: -side * values[a]):
            more = min(left, self.most[o, a] - weights[a])
            weights[a], left = weights[a] + more, left - more
        return sum((w * v for w, v in zip(weights, values)), Q(0))

    def tight(self) -> "Cell":
        """The box with the bounds that follow because weights add up to 1."""
        least, most = dict(self.least), dict(self.most)
        for at, low in self.least.items():
            others = [other for other in least if other[0] == at[0] and other != at]
            least[at] = max(low, 1 - sum((self.most[other] for other in others), Q(0)))
            most[at] = min(self.most[at], 1 - sum((self.least[other] for other in others), Q(0)))
        return replace(self, least=least, most=most)

    def ranged(self, G: Game, low: Sequence[Q], up: Sequence[Q]) -> "Cell":
        """The cell with another range, which must satisfy its Bellman inequalities; a box without a policy satisfies any."""
        S, A, B = G.size
        need(len(low) == len(up) == S, "a range for each state")
        for s in range(S):
            allowed = [b for b in range(B) if self.played[s, b][1]]
            best, worst = ([[G.q("F", list(v), s, a, b) for a in range(A)] for b in range(B)] for v in (up, low))
            need(all(up[s] >= self.mixed(G, s, best[b], 1) for b in allowed), f"upper value of state {s}")
            need(any(low[s] <= self.mixed(G, s, q, -1) for q in worst), f"lower value of state {s}")
        return replace(self, low=low, up=up)


def whole(G: Game) -> Cell:
    """All policies and responses, with the range that rewards alone give."""
    S, A, B = G.size
    places = [(o, a) for o in set(G.classes) for a in range(A)]
    ends = [f(r for m in G.r["F"] for row in m for r in row) / (1 - G.g["F"]) for f in (min, max)]
    return Cell(dict.fromkeys(places, Q(0)), dict.fromkeys(places, Q(1)), {(s, b): (0, 1) for s in range(S) for b in range(B)}, [ends[0]] * S, [ends[1]] * S)


def lower_cell(G: Game, cell: Cell) -> Rows:
    """Rows that every policy of the cell with a best response in it satisfies; the least cost bounds minus its value.

    Columns: visits m(s, a, b) = d(s) x(a|s) y(b|s), weights x, responses y, values F, products u(o, a, t) = x(a|o) F(t).
    """
    (S, A, B), T, g, end = G.size, Rows(), G.g["F"], 1 / (1 - G.g["L"])
    T.sense = -1
    m = {i: T.column(0, end) for i in G.triples}
    x = {at: T.column(cell.least[at], cell.most[at]) for at in sorted(cell.least)}
    y = {at: T.column(*cell.played[at]) for at in sorted(cell.played)}
    F = [T.column(a, b) for a, b in zip(cell.low, cell.up)]
    u = {(o, a, t): T.column(min(Q(0), cell.low[t]), max(Q(0), cell.up[t])) for o, a in x for t in range(S)}
    T.cost = {m[s, a, b]: -G.r["L"][s][a][b] for s, a, b in G.triples}

    def times(product: Terms, at: tuple[int, int], factor: Terms, low: Q, up: Q) -> None:
        """product = x[at] * factor, the factor in [low, up]: McCormick's four rows."""
        for side, p, q in ((1, cell.least[at], low), (1, cell.most[at], up), (-1, cell.most[at], low), (-1, cell.least[at], up)):
            T.row([*((j, side * c) for j, c in product), *((j, -side * p * c) for j, c in factor), (x[at], -side * q)], -side * p * q)

    for t in range(S):
        T.row(((m[s, a, b], (s == t) - G.g["L"] * G.P[s][a][b][t]) for s, a, b in G.triples), G.rho[t], True)
    for o in set(G.classes):
        T.row(((x[o, a], Q(1)) for a in range(A)), 1, True)
        for t in range(S):
            T.row([(F[t], Q(-1)), *((u[o, a, t], Q(1)) for a in range(A))], 0, True)
            for a in range(A):
                times([(u[o, a, t], Q(1))], (o, a), [(F[t], Q(1))], cell.low[t], cell.up[t])
    for s in range(S):
        o, visits = G.classes[s], [(m[s, a, b], Q(1)) for a in range(A) for b in range(B)]
        T.row(((y[s, b], Q(1)) for b in range(B)), 1, True)
        for a in range(A):
            times([(m[s, a, b], Q(1)) for b in range(B)], (o, a), visits, G.rho[s], end)
        for b in range(B):
            mine = [(m[s, a, b], Q(1)) for a in range(A)]
            T.row([(y[s, b], end), *((j, -c) for j, c in mine)])
            for a in range(A):  # m(s, a, b) is the share x(a|s) of the visits that b gets
                T.row([mine[a], *((j, -cell.least[o, a]) for j, _ in mine)])
                T.row([(mine[a][0], Q(-1)), *((j, cell.most[o, a]) for j, _ in mine)])
            gives = [*((x[o, a], G.r["F"][s][a][b]) for a in range(A)), *((u[o, a, t], g * G.P[s][a][b][t]) for a in range(A) for t in range(S))]
            M = max(Q(0), cell.up[s] - cell.mixed(G, s, [G.q("F", list(cell.low), s, a, b) for a in range(A)], -1))
            T.row([(F[s], Q(1)), *((j, -c) for j, c in gives)])
            T.row([(F[s], Q(-1)), *gives, (y[s, b], -M)], -M)
            for c in range(B):  # what is played is at least as good as c, whatever the values in the range
                moved = [[p - q for p, q in zip(G.P[s][a][b], G.P[s][a][c])] for a in range(A)]
                ahead = [sum((d * (v if d > 0 else w) for d, v, w in zip(moved[a], cell.up, cell.low)), Q(0)) for a in range(A)]
                T.row([(m[s, a, b], G.r["F"][s][a][b] - G.r["F"][s][a][c] + g * ahead[a]) for a in range(A)] if b != c else [])
    if g == G.g["L"]:
        T.row([*((m[s, a, b], G.r["F"][s][a][b]) for s, a, b in G.triples), *((j, -p) for j, p in zip(F, G.rho))], 0, True)
    return T


def attained(G: Game, x: list[Q], y: list[int], F: list[Q], L: list[Q]) -> Q:
    """The leader's value of a policy, if y is a best response: F and L satisfy their Bellman equations, and no action improves on F."""
    S, A, B = G.size
    need(len(x) == A * len(set(G.classes)) and len(y) == len(F) == len(L) == S and all(0 <= b < B for b in y), "policy: lengths")
    rows = [x[o * A : (o + 1) * A] for o in G.classes]
    need(min(x) >= 0 and all(sum(row) == 1 for row in rows), "policy: not a distribution")
    for s, row in enumerate(rows):
        q = {who: [sum((p * G.q(who, V, s, a, b) for a, p in enumerate(row)), Q(0)) for b in range(B)] for who, V in (("F", F), ("L", L))}
        need(q["F"][y[s]] == F[s] == max(q["F"]) and q["L"][y[s]] == L[s], f"policy: values of state {s}")
    return sum((p * v for p, v in zip(G.rho, L)), Q(0))


def check(game_text: str, proof_text: str) -> dict[str, Any]:
    """Verify a proof of an interval for the strong value of the game in a JSON text."""
    G, lines = read(game_text), iter([line.split() for line in proof_text.split("\n")])

    def field(key: str) -> list[str]:
        first, *rest = next(lines)
        need(first == key, f"expected {key}")
        return rest

    need(field("stackopt-box-proof") == ["1"], "version")
    need(field("problem") == [lower_cell(G, whole(G)).digest()], "the proof is of another problem")
    (bound,) = field("upper")
    U, x, y, F, L = number(bound), field("policy"), field("response"), field("follower-value"), field("leader-value")
    low = attained(G, [number(v) for v in x], [int(b) for b in y], [number(v) for v in F], [number(v) for v in L])
    need(field("tree") == [] and low <= U, "lower above upper")
    stack, nodes = [whole(G)], 0
    for op, *arg in lines:
        if op == "end":
            break
        cell, nodes = stack.pop(), nodes + 1
        if op == "v":  # a better range
            stack.append(cell.ranged(G, [number(v) for v in arg[::2]], [number(v) for v in arg[1::2]]))
        elif op == "y":  # not played, then played
            s, b = map(int, arg)
            need(cell.played[s, b] == (0, 1), "a response that is decided")
            alone = {(s, c): (int(c == b), int(c == b)) for c in range(G.size[2])}
            stack += [replace(cell, played={**cell.played, **alone}), replace(cell, played={**cell.played, (s, b): (0, 0)})]
        elif op == "x":  # at most q, then at least q
            at, q = (int(arg[0]), int(arg[1])), number(arg[2])
            need(cell.least[at] <= q <= cell.most[at], "a cut outside the box")
            stack += [replace(cell, least={**cell.least, at: q}).tight(), replace(cell, most={**cell.most, at: q}).tight()]
        elif op == "e":  # the range is empty
            need(cell.low[int(arg[0])] > cell.up[int(arg[0])], "the range is not empty")
        else:
            need(op in ("d", "f"), "unknown line")
            T = lower_cell(G, cell)
            found = leaf_bound(T, (), int(op == "d"), vector(arg, len(T.rows)))
            need(found >= -U if op == "d" else found > 0, "leaf: bound above the claim, or not a Farkas vector")
    else:
        need(False, "no end")
    need(not stack and not any(lines), "cells left uncovered, or text after end")
    return {"status": "optimal", "sense": -1, "lower": -U, "upper": -low, "nodes": nodes, "over": "randomised"}


def main(arguments: list[str]) -> int:
    """Print the verdict; 0 if verified, 1 if rejected."""
    try:
        game, proof = (open(path, encoding="utf-8").read() for path in arguments)  # noqa: SIM115
        print(statement(check(game, proof)))  # noqa: T201
    except Exception as error:
        print("REJECTED:", type(error).__name__, error)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
