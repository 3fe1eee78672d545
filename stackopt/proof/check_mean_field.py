"""check_mean_field.py GAME.json PROOF.txt: verifies what a leader earns at best (or at worst) over all mean-field equilibria.

Needs Python's standard library, check.py and check_games.py beside it. Followers have fixed kernels and rewards that are affine in statistics of
the population and in the leader's decision, which is one of a menu, or of a box. Soundness: docs/proofs-games.md.
"""

import itertools
import sys
from collections.abc import Iterable
from fractions import Fraction as Q
from typing import Any

if __package__:
    from stackopt.proof.check import load, need, number, only, verify
    from stackopt.proof.check_games import Rows, shaped, share
else:
    from check import load, need, number, only, verify  # type: ignore[import-not-found,no-redef]
    from check_games import Rows, shaped, share  # type: ignore[import-not-found,no-redef]

#: Arrays by type k, stage t, state s, action b; then the next state, a statistic j, or a parameter d of the leader.
KEYS = "reward transition statistic reward_population reward_leader leader_reward leader_reward_leader weights discount cyclic initial menu box name"


class Followers:
    """The game's JSON in rationals. Stage t is followed by `after(t)`; `points` are the corners of the leader's decisions."""

    def __init__(self, data: Any) -> None:
        only(data, KEYS)
        self.r, self.H, self.cyclic, self.g = data["reward"], data["statistic"], data["cyclic"], data["discount"]
        need(self.cyclic in (True, False) and (0 <= self.g < 1 if self.cyclic else 0 <= self.g <= 1), "the discount")
        need(("menu" in data) != ("box" in data), "a menu or a box")
        self.menu, self.box = data.get("menu"), data.get("box")
        self.size = K, T, S, B = len(self.r), len(self.r[0]), len(self.r[0][0]), len(self.r[0][0][0])
        J, D = len(self.H[0][0][0][0]), len(self.menu[0] if self.menu is not None else self.box[0])
        self.statistics, self.parameters = J, D
        self.R1, self.R2, self.L0, self.L1 = (data[key] for key in ("reward_population", "reward_leader", "leader_reward", "leader_reward_leader"))
        full, law = (K, T, S, B), data["transition"]
        tails = ((self.r, ()), (self.H, (J,)), (self.R1, (J,)), (self.R2, (D,)), (self.L0, ()), (self.L1, (D,)), (law, (S,)))
        need(all(shaped(array, full + tail) for array, tail in tails), "the shape of an array")
        need(shaped(data["weights"], (K,)) and (self.cyclic or shaped(data["initial"], (K, S))), "the shape of weights or of the first law")
        self.w, self.start = share(data["weights"]), [] if self.cyclic else [share(row) for row in data["initial"]]
        self.P = [[[[share(row) for row in state] for state in stage] for stage in kind] for kind in law]
        self.places = list(itertools.product(range(K), range(T), range(S), range(B)))
        if self.menu is None:
            need(shaped(self.box, (2, D)) and all(a <= b for a, b in zip(*self.box)), "the box")
            need(not any(v for k, t, s, b in self.places for v in self.L1[k][t][s][b]), "a leader paid in proportion to a decision from a box")
        else:
            need(bool(self.menu) and shaped(self.menu, (len(self.menu), D)), "the menu")
        self.points = self.menu if self.menu is not None else list(itertools.product(*zip(*self.box)))

    def after(self, t: int) -> int | None:
        """The stage after t, or None after the last."""
        T = self.size[1]
        return (t + 1) % T if self.cyclic or t + 1 < T else None

    def earned(self, side: int, k: int, t: int, s: int, b: int) -> Q:
        """The most (side 1) or least that an action earns whatever the population and the leader do."""
        pick, low, total = (max if side > 0 else min), (self.R1[k][t][s][b], self.R2[k][t][s][b]), self.r[k][t][s][b]
        for kind, w in enumerate(self.w):  # the statistics are means, over types, of rows of H
            total += w * pick(inner(low[0], self.H[kind][t][z][c]) for z in range(self.size[2]) for c in range(self.size[3]))
        return Q(total + pick(inner(low[1], point) for point in self.points))

    def next_value(self, V: dict[Any, Q], k: int, t: int, s: int, b: int) -> Q:
        """The discounted mean of what comes after."""
        after = self.after(t)
        return Q(0) if after is None else Q(self.g) * inner(self.P[k][t][s][b], [V[k, after, z] for z in range(self.size[2])])


def inner(a: Iterable[Q], b: Iterable[Q]) -> Q:
    """The inner product."""
    return sum((x * y for x, y in zip(a, b)), Q(0))


def lower_followers(G: Followers, side: int, low: dict[Any, Q], up: dict[Any, Q]) -> Rows:
    """All equilibria and decisions; the least cost is minus the leader's best (side 1) or its worst value. `low`, `up` bound values.

    Columns: masses m(k, t, s, b), whether an action may be played, values V(k, t, s), the decision, what a point of the menu adds.
    """
    (K, T, S, B), R = G.size, Rows()
    R.sense = -side
    for k, t, s in itertools.product(range(K), range(T), range(S)):
        for bound, at in ((up, 1), (low, -1)):
            worth = max(G.earned(at, k, t, s, b) + G.next_value(bound, k, t, s, b) for b in range(B))
            need(at * bound[k, t, s] >= at * worth, f"{'upper' if at > 0 else 'lower'} value of {k, t, s}")
    m = {i: R.column(0, 1) for i in G.places}
    may = {i: R.column(0, 1, True) for i in G.places}
    V = {i: R.column(low[i], up[i]) for i in itertools.product(range(K), range(T), range(S))}
    measured = {(t, j): [(m[k, t, s, b], G.w[k] * G.H[k][t][s][b][j]) for k, r, s, b in G.places if r == t] for t in range(T) for j in range(G.statistics)}
    picked = [R.column(0, 1, True) for _ in G.menu] if G.menu is not None else [R.column(a, b) for a, b in zip(*G.box)]
    if G.menu is not None:
        R.row(((u, 1) for u in picked), 1, True)
    for k, t in itertools.product(range(K), range(T)):
        R.row(((m[k, t, s, b], 1) for s in range(S) for b in range(B)), 1, True)
        for s in range(S):
            R.row(((may[k, t, s, b], 1) for b in range(B)), 1)
            mine, before = [(m[k, t, s, b], Q(1)) for b in range(B)], (t - 1) % T
            if t == 0 and not G.cyclic:
                R.row(mine, G.start[k][s], True)
            else:
                R.row([*mine, *((m[k, before, z, b], -G.P[k][before][z][b][s]) for z in range(S) for b in range(B))], 0, True)
    for k, t, s, b in G.places:
        after, effect = G.after(t), G.R2[k][t][s][b]
        ahead = {} if after is None else {V[k, after, z]: -G.g * p for z, p in enumerate(G.P[k][t][s][b])}
        here = {**ahead, V[k, t, s]: 1 + ahead.get(V[k, t, s], Q(0))}
        moved = [(u, -inner(effect, p)) for u, p in zip(picked, G.menu)] if G.menu is not None else [(u, -e) for u, e in zip(picked, effect)]
        crowd = [(j, -r * c) for i, r in enumerate(G.R1[k][t][s][b]) if r for j, c in measured[t, i]]
        loses, reward = [*here.items(), *moved, *crowd], G.r[k][t][s][b]  # V - r - R1 y - R2 theta - g P V
        M = sum((c * Q((R.ub if c > 0 else R.lb)[j] or 0) for j, c in here.items()), Q(0)) - G.earned(-1, k, t, s, b)
        R.row(loses, reward)
        R.row([*((j, -c) for j, c in loses), (may[k, t, s, b], -M)], -reward - M)
        R.row([(may[k, t, s, b], 1), (m[k, t, s, b], -1)])
    pays = [(m[k, t, s, b], G.w[k] * G.L0[k][t][s][b]) for k, t, s, b in G.places]
    for u, point in zip(picked, G.menu or []):  # what a picked point adds, exactly: nothing unless it is picked
        paid = {i: G.w[i[0]] * inner(G.L1[i[0]][i[1]][i[2]][i[3]], point) for i in G.places}
        if any(paid.values()):
            least, most = (sum(f(v for i, v in paid.items() if i[:2] == kt) for kt in itertools.product(range(K), range(T))) for f in (min, max))
            a, terms = R.column(min(Q(0), least), max(Q(0), most)), [(m[i], v) for i, v in paid.items()]
            R.row([(a, 1), (u, -least)])
            R.row([(a, -1), (u, most)])
            R.row([(a, 1), *((j, -v) for j, v in terms), (u, -most)], -most)
            R.row([(a, -1), *terms, (u, least)], least)
            pays.append((a, Q(1)))
    for j, c in pays:
        R.cost[j] = R.cost.get(j, Q(0)) - side * c
    return R


def ranges(G: Followers, lines: list[str]) -> list[dict[Any, Q]]:
    """The lines of lower and of upper bounds on values."""
    states, ends = list(itertools.product(*map(range, G.size[:3]))), list[dict[Any, Q]]()
    for key, line in zip(("lower", "upper"), lines):
        word, *numbers = line.split()
        need(word == key and len(numbers) == len(states), f"expected {key}")
        ends.append({at: number(v) for at, v in zip(states, numbers)})
    return ends


def check(game_text: str, proof_text: str) -> dict[str, Any]:
    """Verify a proof about all equilibria of the game in a JSON text."""
    G, (first, *rest) = Followers(load(game_text)), proof_text.split("\n")
    name, version, which = first.split()
    need((name, version) == ("stackopt-mean-field-proof", "1") and which in ("best", "worst"), "first line")
    need(which == "best" or len(G.points) == 1, "the worst equilibrium is that of one decision")
    found = verify(lower_followers(G, 1 if which == "best" else -1, *ranges(G, rest)), "\n".join(rest[2:]))
    need(found["status"] in ("optimal", "infeasible"), "a bound alone")
    return {**found, "which": which}


def statement(found: dict[str, Any]) -> str:
    """The theorem, in a sentence."""
    nodes = f"({found['nodes']} node{'s' * (found['nodes'] != 1)})"
    if found["status"] == "infeasible":
        return f"VERIFIED: there is no mean-field equilibrium {nodes}"
    lo, up = (found["lower"], found["upper"]) if found["sense"] == 1 else (-found["upper"], -found["lower"])
    down, higher = Q(lo * 10**9 // 1, 10**9), -Q(-up * 10**9 // 1, 10**9)  # rounded outwards
    said = f"= {lo} exactly" if lo == up else f"in [{float(down)!r}, {float(higher)!r}], width {float(up - lo):.3g}"
    return f"VERIFIED: mean-field equilibria exist, and the leader's {found['which']} value over all of them {said} {nodes}"


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
