"""Intervals for strong values with a proof, where the randomised leader moves the state: boxes of policies [D8].

The tree branches on responses and cuts boxes of leader policies; each leaf is a bound of a relaxation that the checker writes anew. The
interval's lower end is what an exact policy is worth, its upper end a little more, in steps down to the search's own accuracy.
"""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from stackopt.games.rational import Process, Row, distribution, simplest
from stackopt.games.responses import commitment
from stackopt.proof import check_boxes, check_games
from stackopt.proof.check import Rejected, leaf_bound
from stackopt.proof.games import GameProof, game_text
from stackopt.proof.games_elimination import dual
from stackopt.proof.games_search import CLOSE, DENOMINATORS, LATE, Relaxation, rounded
from stackopt.solution import Status

if TYPE_CHECKING:
    from stackopt.games.operators import Array
    from stackopt.games.stackelberg import StackelbergGame
    from stackopt.proof.check_boxes import Cell
    from stackopt.proof.check_games import Game, Rows

#: Widths of the interval that are tried in turn, relative to 1 + the value.
WIDTHS = (Fraction(1, 1000), Fraction(1, 10**5), Fraction(1, 4 * 10**6), Fraction(0))
#: A tree may have so many times the lines of the one before, and a few.
GROWTH, FEW = 4, 40
#: Sweeps of a range at most.
SWEEPS = 40
#: Steps from the policy found towards others, to get off ties that no fraction keeps.
STEPS = (1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
#: Cells under cells at most.
DEEPEST = 200
#: Responses less decided than this are branched on before boxes are cut.
OPEN = 0.1


def prove_boxes(game: StackelbergGame, policy: Array, *, seconds: float = 60.0, problem: str = "") -> GameProof | str:
    """An interval that contains the strong value over all randomised policies, with a proof, or in words why there is none.

    Parameters
    ----------
    game : StackelbergGame
        Of a few states.
    policy : array [S, A]
        One that is believed to be nearly best.
    seconds : float
        The narrowest interval proved by then is returned.
    problem : str, optional
        The JSON text that the game was read from.
    """
    begun = time.perf_counter()
    problem = problem or game_text(game)
    exact = check_games.read(problem)
    best = _attaining(game, exact, policy)
    searched = time.perf_counter()
    lines, upper, width = None, best.value, Fraction(0)
    for width in WIDTHS:
        target = best.value + width * (1 + abs(best.value))
        most = 10**6 if lines is None or width else GROWTH * len(lines) + FEW
        found = _Boxes(exact, target, begun + seconds, most).run()
        if found is None:
            break
        lines, upper = found, target
    if lines is None:
        return LATE if time.perf_counter() > begun + seconds else f"no interval of relative width {float(width):.0e} could be certified"
    emitted = time.perf_counter()
    text = "\n".join([
        "stackopt-box-proof 1", f"problem {check_boxes.lower_cell(exact, check_boxes.whole(exact)).digest()}", f"upper {upper}",
        *best.lines(), "tree", *lines, "end",
    ]) + "\n"  # fmt: skip
    try:
        accepted = check_boxes.check(problem, text)
    except Rejected as why:
        return f"the checker rejects it: {why}"
    took = {"search": searched - begun, "emit": emitted - searched, "check": time.perf_counter() - emitted}
    return GameProof(
        problem, text, check_games.statement(accepted), -accepted["upper"], -accepted["lower"], accepted["over"], "boxes", accepted["nodes"],
        tuple(tuple(best.policy[s]) for s in range(exact.size[0])), took,
    )  # fmt: skip


class _Attained:
    """An exact policy, a best response to it, and the values of both."""

    def __init__(self, exact: Game, policy: list[Row], response: list[int], follower: Row, leader: Row) -> None:
        self.exact, self.policy, self.response, self.follower, self.leader = exact, policy, response, follower, leader
        self.value = sum((p * v for p, v in zip(exact.rho, leader)), Fraction(0))

    def lines(self) -> list[str]:
        """As in the proof."""
        first = [self.exact.classes.index(o) for o in range(len(set(self.exact.classes)))]
        weights = [w for s in first for w in self.policy[s]]
        named = (("policy", weights), ("response", self.response), ("follower-value", self.follower), ("leader-value", self.leader))
        return [" ".join([key, *map(str, values)]) for key, values in named]


def _attaining(game: StackelbergGame, exact: Game, policy: Array) -> _Attained:
    """The best exact policy among the one given, in simple fractions, and a few steps from it to where its response is strictly best."""
    _, A, _ = exact.size
    classes = np.array(exact.classes)
    start = np.clip(np.asarray(policy, float), 0.0, 1.0)
    answer = commitment(game, start).strong_response.argmax(-1)

    def lead(x: Array) -> float:
        """By how much the response is better than any other, in all states."""
        gaps = commitment(game, x).gaps
        mine = gaps[np.arange(len(answer)), answer][:, None]
        return float(np.min(np.where(np.arange(gaps.shape[1]) == answer[:, None], np.inf, gaps - mine)))

    def step(x: Array, o: int, a: int, size: float) -> Array:
        moved = x.copy()
        moved[classes == o] = (1 - size) * moved[classes == o] + size * np.eye(A)[a]
        return moved

    candidates: list[Array] = []
    for size in STEPS:
        greedy = start
        for o in range(classes.max() + 1):
            steps = [step(start, o, a, size) for a in range(A)]
            candidates += steps
            greedy = step(greedy, o, int(np.argmax([lead(x) for x in steps])), size)
        candidates.append(greedy)
    scale = 1e-11 * (1.0 + float(np.abs(game.follower_reward).max()) / (1.0 - game.follower_discount))
    kept = [x for x in candidates if lead(x) > scale]
    worth = [float(commitment(game, x).strong) for x in kept]
    tried = [start, *(kept[int(k)] for k in np.argsort(worth)[::-1][:3])]
    return max((respond(exact, rows) for x in tried for rows in _rational(exact, x)), key=lambda one: one.value)


def _rational(exact: Game, policy: Array) -> list[list[Row]]:
    """A policy in simple fractions, and as the floats are: rounding can lose a response that is best by little."""
    first = [exact.classes.index(o) for o in range(len(set(exact.classes)))]
    return [[rows[o] for o in exact.classes] for rows in ([how(policy[s] / policy[s].sum()) for s in first] for how in (simplest, distribution))]


def respond(exact: Game, rows: list[Row]) -> _Attained:
    """The follower's best response to an exact policy, ties for the leader, by policy iteration in rationals."""
    S, _, B = exact.size

    def process(who: str) -> Process:
        reward = [[sum((p * exact.r[who][s][a][b] for a, p in enumerate(rows[s])), Fraction(0)) for b in range(B)] for s in range(S)]
        kernel = [[[sum((p * exact.P[s][a][b][t] for a, p in enumerate(rows[s])), Fraction(0)) for t in range(S)] for b in range(B)] for s in range(S)]
        return Process(reward, kernel, exact.g[who])

    follower, leader = process("F"), process("L")
    value, q = follower.optimum([0] * S, [range(B)] * S)
    ties = [[b for b in range(B) if q[s][b] == value[s]] for s in range(S)]
    worth, q = leader.optimum([row[0] for row in ties], ties)
    return _Attained(exact, rows, [next(b for b in ties[s] if q[s][b] == worth[s]) for s in range(S)], value, worth)


class _Boxes:
    """Depth-first; the lines of a tree whose leaves are all at most the target."""

    def __init__(self, exact: Game, target: Fraction, deadline: float, most: int) -> None:
        self.G, self.target, self.deadline, self.most, self.lines = exact, target, deadline, most, list[str]()
        self.r, self.P = np.array(exact.r["F"], float), np.array(exact.P, float)
        self.grid = Fraction(1, 10**6) * Fraction(10) ** len(str(int(1 + float(np.abs(self.r).max()) / (1 - float(exact.g["F"])))))

    def run(self) -> list[str] | None:
        """The lines, or None if time ran out or a cell could not be certified."""
        return self.lines if self.at(check_boxes.whole(self.G), 0) else None

    def at(self, cell: Cell, depth: int) -> bool:
        if time.perf_counter() > self.deadline or depth > DEEPEST or len(self.lines) > self.most:
            return False
        cell = self.ranged(cell)
        empty = next((s for s, (a, b) in enumerate(zip(cell.low, cell.up)) if a > b), None)
        if empty is not None:
            self.lines.append(f"e {empty}")
            return True
        system = check_boxes.lower_cell(self.G, cell)
        relaxation = Relaxation(system)
        status = relaxation.solve({})
        if status is Status.INFEASIBLE or (status is Status.OPTIMAL and -relaxation.lp.value <= float(self.target) + CLOSE * (1 + abs(float(self.target)))):
            leaf = self.certified(system, relaxation, status)
            if leaf:
                self.lines.append(leaf)
                return True
        if status is not Status.OPTIMAL:
            return False
        return self.split(cell, relaxation.lp.x, depth)

    def ranged(self, cell: Cell) -> Cell:
        """The cell with a better range of the follower's values, where that is worth a line."""
        low, up = self.swept(cell)
        if sum(up) - sum(low) > Fraction(9, 10) * (sum(cell.up) - sum(cell.low)):
            return cell
        try:
            new = cell.ranged(self.G, low, up)
        except Rejected:
            return cell
        self.lines.append(" ".join(["v", *(f"{a} {b}" for a, b in zip(low, up))]))
        return new

    def swept(self, cell: Cell) -> tuple[Row, Row]:
        """Ranges after a few sweeps in floats, rounded and moved until their inequalities hold."""
        (S, A, B), g = self.G.size, float(self.G.g["F"])
        low, up = np.array([float(v) for v in cell.low]), np.array([float(v) for v in cell.up])
        ends = [[(float(cell.least[o, a]), float(cell.most[o, a])) for a in range(A)] for o in self.G.classes]
        allowed = [[b for b in range(B) if cell.played[s, b][1]] for s in range(S)]
        if not all(allowed):
            return list(cell.low), list(cell.up)
        for _ in range(SWEEPS):
            best, worst = self.r + g * self.P @ up, self.r + g * self.P @ low
            new_up = np.array([max(_mean(best[s, :, b], ends[s], 1) for b in allowed[s]) for s in range(S)])
            new_low = np.array([max(_mean(worst[s, :, b], ends[s], -1) for b in range(B)) for s in range(S)])
            moved = max(float(np.abs(new_up - up).max()), float(np.abs(new_low - low).max()))
            low, up = np.maximum(low, new_low), np.minimum(up, new_up)
            if moved <= 10 * float(self.grid):
                break
        return self.certain(cell, low, -1), self.certain(cell, up, 1)

    def certain(self, cell: Cell, near: Array, side: int) -> Row:
        """A vector on the grid that satisfies its Bellman inequality: moved by its largest violation over 1 - discount."""
        (S, A, B), G = self.G.size, self.G
        value = [round(Fraction(v) / self.grid) * self.grid for v in near.tolist()]
        q = [[[G.q("F", value, s, a, b) for a in range(A)] for b in range(B)] for s in range(S)]
        mean = [max(cell.mixed(G, s, q[s][b], side) for b in range(B) if side < 0 or cell.played[s, b][1]) for s in range(S)]
        off = max(Fraction(0), *(side * (new - old) for new, old in zip(mean, value)))
        steps = -(-off / (1 - G.g["F"]) // self.grid)
        return [v + side * steps * self.grid for v in value]

    def certified(self, system: Rows, relaxation: Relaxation, status: Status) -> str:
        """A leaf's line, or nothing."""
        empty = status is Status.INFEASIBLE
        multipliers = relaxation.ray() if empty else relaxation.lp.row_dual
        for denominator in DENOMINATORS:
            for sign in (1, -1) if empty else (1,):
                w, near = rounded(relaxation, sign * multipliers, denominator)
                if relaxation.estimate({}, int(not empty), near) >= (0.0 if empty else -float(self.target)) and self.holds(system, empty, w):
                    return _line(empty, w)
        exact = None if empty else dual(system, relaxation.basis())
        return _line(empty, exact) if exact is not None and self.holds(system, empty, exact) else ""

    def holds(self, system: Rows, empty: bool, w: dict[int, Fraction]) -> bool:
        """What the checker will ask of a leaf."""
        try:
            found = leaf_bound(system, (), int(not empty), w)
        except Rejected:
            return False
        return found > 0 if empty else found >= -self.target

    def split(self, cell: Cell, point: Array, depth: int) -> bool:
        """On the response least decided, or the box's widest side, at the relaxation's policy where that is well inside."""
        first = len(self.G.triples)
        places, answers = sorted(cell.least), sorted(cell.played)
        weights = point[first : first + len(places)]
        decided = point[first + len(places) : first + len(places) + len(answers)]
        unsure = np.minimum(decided, 1.0 - decided)
        unsure[[cell.played[at] != (0, 1) for at in answers]] = -1.0
        widths = np.array([float(cell.most[at] - cell.least[at]) for at in places])
        k = int(unsure.argmax())
        if unsure[k] > OPEN or (unsure[k] > 0.02 and widths.max() < 0.26) or (unsure[k] >= 0 and widths.max() < 1e-9):
            (s, b), (_, _, B) = answers[k], self.G.size
            self.lines.append(f"y {s} {b}")
            alone = {(s, c): (int(c == b), int(c == b)) for c in range(B)}
            return self.at(replace(cell, played={**cell.played, (s, b): (0, 0)}), depth + 1) and self.at(
                replace(cell, played={**cell.played, **alone}), depth + 1
            )
        k = int(widths.argmax())
        at, (low, up) = places[k], (cell.least[places[k]], cell.most[places[k]])
        inside = Fraction(float(weights[k])).limit_denominator(1000)
        cut = inside if low + (up - low) / 5 < inside < up - (up - low) / 5 else (low + up) / 2
        self.lines.append(f"x {at[0]} {at[1]} {cut}")
        below, above = replace(cell, most={**cell.most, at: cut}).tight(), replace(cell, least={**cell.least, at: cut}).tight()
        return self.at(below, depth + 1) and self.at(above, depth + 1)


def _mean(values: Array, ends: list[tuple[float, float]], side: int) -> float:
    """The greatest (side 1) or least mean of values over the distributions between `ends`."""
    weights = [low for low, _ in ends]
    left = 1.0 - sum(weights)
    for a in np.argsort(-side * values).tolist():
        more = min(left, ends[a][1] - weights[a])
        weights[a], left = weights[a] + more, left - more
    return float(np.dot(weights, values))


def _line(empty: bool, w: dict[int, Fraction]) -> str:
    return " ".join(["f" if empty else "d", *(f"{i}:{v}" for i, v in sorted(w.items()))])
