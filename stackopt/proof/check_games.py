"""check_games.py GAME.json PROOF.txt: verifies the proof of a strong Stackelberg value in exact rational arithmetic.

Needs nothing but Python's standard library and check.py beside it; believes nothing that a solver said. Soundness: docs/proofs-games.md.
"""

import sys
from collections.abc import Iterable
from fractions import Fraction as Q
from typing import Any

if __package__:
    from stackopt.proof.check import Row, System, load, need, number, verify
else:
    from check import Row, System, load, need, number, verify  # type: ignore[import-not-found,no-redef]

KEYS = {"leader_reward", "follower_reward", "transition", "discount", "leader_discount", "follower_discount", "initial", "leader_observes"}
LABELS = {"states", "leader_actions", "follower_actions", "name"}
VALUES = ("follower-lower", "follower-upper", "leader-lower", "leader-upper")
OVER = {"randomised": "randomised", "deterministic": "deterministic", "stagewise": "randomised"}


class Game:
    """A game's JSON in rationals: r["L"], r["F"] [S][A][B]; P [S][A][B][S]; discounts g["L"], g["F"]; rho [S]; classes seen [S]."""

    def __init__(self, data: Any) -> None:
        need(set(data) <= KEYS | LABELS and {"leader_reward", "follower_reward"} <= set(data), "keys of a game")
        self.r = {"L": data["leader_reward"], "F": data["follower_reward"]}
        self.size = S, A, B = len(self.r["L"]), len(self.r["L"][0]), len(self.r["L"][0][0])
        self.triples = [(s, a, b) for s in range(S) for a in range(A) for b in range(B)]
        stays = [[[[Q(s == t) for t in range(S)]] * B] * A for s in range(S)]
        P, rho, sees = data.get("transition", stays), data.get("initial") or [Q(1, S)] * S, data.get("leader_observes")
        sees = range(S) if sees is None else sees
        for array, shape in ((self.r["L"], (S, A, B)), (self.r["F"], (S, A, B)), (P, (S, A, B, S)), (rho, (S,)), (sees, (S,))):
            need(shaped(array, shape), "the shape of an array")
        one = data.get("discount") if "transition" in data else data.get("discount", Q(0))
        self.g = {"L": either(data.get("leader_discount"), one), "F": either(data.get("follower_discount"), one)}
        need(all(0 <= g < 1 for g in self.g.values()), "a discount in [0, 1)")
        self.P, self.rho = [[[share(P[s][a][b]) for b in range(B)] for a in range(A)] for s in range(S)], share(rho)
        seen = [repr(v) for v in sees]
        self.classes = [sorted(set(seen), key=seen.index).index(v) for v in seen]

    def q(self, who: str, v: list[Q], s: int, a: int, b: int) -> Q:
        """The value of (s, a, b) if `v` comes after."""
        total: Q = self.r[who][s][a][b] + self.g[who] * sum((p * x for p, x in zip(self.P[s][a][b], v) if p), Q(0))
        return total


def either(first: Any, second: Any) -> Any:
    """The first, or the second where there is none."""
    return second if first is None else first


def shaped(array: Any, shape: tuple[int, ...]) -> bool:
    """Whether an array has exactly this shape."""
    return not shape or (isinstance(array, list | range) and len(array) == shape[0] and all(shaped(part, shape[1:]) for part in array))


def share(row: list[Q]) -> list[Q]:
    """A distribution: decimals that sum to 1 but for rounding, divided by their sum."""
    total = sum(row, Q(0))
    need(min(row) >= 0 and abs(total - 1) <= Q(1, 10**8), "a distribution")
    return [Q(p) / total for p in row]


class Rows(System):
    """A system that is written row by row."""

    def column(self, low: Q | int, up: Q | int, whole: bool = False) -> int:
        """A new column with these bounds."""
        self.lb.append(Q(low))
        self.ub.append(Q(up))
        self.ints += [len(self.lb) - 1] * whole
        return len(self.lb) - 1

    def row(self, terms: Iterable[tuple[int, Q | int]], least: Q | int = 0, equal: bool = False) -> None:
        """The sum of the terms is at least (or equal to) a number."""
        row: Row = {}
        for j, a in terms:
            row[j] = row.get(j, Q(0)) + a
        self.rows.append(({j: a for j, a in row.items() if a}, equal, Q(least)))


def lower_game(G: Game, kind: str, values: dict[str, list[Q]]) -> Rows:
    """The game as a system of which the least cost is minus its strong value; `values` are bounds on values, proved here.

    Columns: the leader's weights x, responses y, their products z, visits w; values F and (where the leader mixes) L.
    """
    S, A, B = G.size
    T, gF, gL, pure = Rows(), G.g["F"], G.g["L"], kind == "deterministic"
    T.sense = -1
    w = {i: T.column(0, 1 / (1 - gL)) for i in G.triples}
    earned: list[tuple[int, Q]] = [(w[s, a, b], G.r["L"][s][a][b]) for s, a, b in G.triples]
    for t in range(S):
        T.row(((w[s, a, b], (s == t) - gL * G.P[s][a][b][t]) for s, a, b in G.triples), G.rho[t], True)
    if kind == "stagewise":  # what the follower prefers in a state depends on what the leader does there, and on nothing else
        need(gF == 0 or all(G.P[s][a][b] == G.P[s][a][0] for s, a, b in G.triples), "the follower is not myopic and moves the state")
        need(len(set(G.classes)) == S, "the leader does not see the state")
        for s, b, c in ((s, b, c) for s in range(S) for b in range(B) for c in range(B) if b != c):
            T.row((w[s, a, b], G.r["F"][s][a][b] - G.r["F"][s][a][c]) for a in range(A))
        T.cost = {j: -r for j, r in earned if r}
        return T
    need(pure or all(G.P[s][a][b] == G.P[s][0][b] for s, a, b in G.triples), "the leader's action moves the state")
    need(all(len(v) == S for v in values.values()), "a value for each state")
    low, up = {"F": values["follower-lower"]}, {"F": values["follower-upper"]}
    if not pure:
        low["L"], up["L"] = values["leader-lower"], values["leader-upper"]
    for who, s in ((who, s) for who in low for s in range(S)):
        worst, best = ([[G.q(who, v, s, a, b) for b in range(B)] for a in range(A)] for v in (low[who], up[who]))
        need(up[who][s] >= max(map(max, best)), f"upper value of state {s}")
        # below every pair of policies; the follower's below its best responses
        floor = min(map(min, worst)) if who == "L" else min(map(max, worst)) if pure else max(map(min, zip(*worst)))
        need(low[who][s] <= floor, f"lower value of state {s}")
    x = [[T.column(0, 1, pure) for _ in range(A)] for _ in set(G.classes)]
    y = [[T.column(0, 1, True) for _ in range(B)] for _ in range(S)]
    z = {i: T.column(0, 1) for i in G.triples}
    V = {who: [T.column(low[who][s], up[who][s]) for s in range(S)] for who in low}
    for weights in x + y:
        T.row(((j, 1) for j in weights), 1, True)
    for s, a, b in G.triples:  # the initial mass is visited, and nothing more often than always
        T.row([(z[s, a, b], 1 / (1 - gL)), (w[s, a, b], -1)])
        T.row([(w[s, a, b], 1), (z[s, a, b], -G.rho[s])])
    for s in range(S):
        mine = x[G.classes[s]]
        for a in range(A):
            T.row([(mine[a], -1), *((z[s, a, b], 1) for b in range(B))], 0, True)
        for b in range(B):
            T.row([(y[s][b], -1), *((z[s, a, b], 1) for a in range(A))], 0, True)
        for who, b, a in ((who, b, a) for who in V for b in range(B) for a in (range(A) if pure else [0])):
            reward, factors = G.r[who][s], [(s == t) - G.g[who] * G.P[s][a][b][t] for t in range(S)]
            here = list(zip(V[who], factors))  # V(s) - g P V, over the box at most `most` and at least `least`
            most = sum((k * (v if k > 0 else u) for k, u, v in zip(factors, low[who], up[who])), Q(0))
            least = sum((k * (u if k > 0 else v) for k, u, v in zip(factors, low[who], up[who])), Q(0))
            pay = [] if pure else [(mine[k], reward[k][b]) for k in range(A)]
            sure, on = (reward[a][b], z[s, a, b]) if pure else (Q(0), y[s][b])
            M = most - (sure if pure else min(reward[k][b] for k in range(A)))
            T.row([*((j, -k) for j, k in here), *pay, (on, -M)], -sure - M)  # no more than what is played gives
            if who == "F":  # no less than what any action gives
                N = sure - least if pure else Q(0)
                T.row([*here, *((j, -k) for j, k in pay), (mine[a], -N)], sure - N)
    if gF == gL:
        T.row([*((w[s, a, b], G.r["F"][s][a][b]) for s, a, b in G.triples), *((j, -p) for j, p in zip(V["F"], G.rho))], 0, True)
    if not pure:
        T.row([*earned, *((j, -p) for j, p in zip(V["L"], G.rho))])
        earned = list(zip(V["L"], G.rho))
    T.cost = {j: -r for j, r in earned if r}
    return T


def read(text: str) -> Game:
    """The game of a JSON text: the arrays themselves, or a recorded game that holds them."""
    data = load(text)
    if "game" in data:
        kind, data = data.get("kind"), data["game"]
        need(kind in ("markov", "matrix"), "a recorded game of this kind")
        data = data if kind == "markov" else {"leader_reward": [data["leader_reward"]], "follower_reward": [data["follower_reward"]]}
    return Game(data)


def check(game_text: str, proof_text: str) -> dict[str, Any]:
    """Verify a proof of the strong value of the game in a JSON text."""
    lines = iter(proof_text.split("\n"))
    name, version, kind = next(lines).split()
    need((name, version) == ("stackopt-game-proof", "1") and kind in OVER, "first line")
    values = dict[str, list[Q]]()
    for key in () if kind == "stagewise" else VALUES:
        first, *numbers = next(lines).split()
        need(first == key, f"expected {key}")
        values[key] = [number(v) for v in numbers]
    found = verify(lower_game(read(game_text), kind, values), "\n".join(lines))
    need(found["status"] == "optimal", "a commitment always exists")
    return {**found, "over": OVER[kind]}


def statement(found: dict[str, Any]) -> str:
    """The theorem, in a sentence."""
    lo, up = -found["upper"], -found["lower"]
    down, higher = Q(lo * 10**9 // 1, 10**9), -Q(-up * 10**9 // 1, 10**9)  # rounded outwards
    said = f"= {lo} exactly" if lo == up else f"in [{float(down)!r}, {float(higher)!r}], width {float(up - lo):.3g}"
    return f"VERIFIED: strong Stackelberg value over {found['over']} leader policies {said} ({found['nodes']} node{'s' * (found['nodes'] != 1)})"


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
