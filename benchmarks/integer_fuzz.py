"""Programs with integer followers, small enough to enumerate: every search that applies against every integer point."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from stackopt.bilevel.program import BilevelProgram, Level, Objective, Rows
from stackopt.exact.found import Found
from stackopt.exact.integer import integer_followers
from stackopt.exact.integer.form import formed, linking_box
from stackopt.exact.integer.portfolio import searches
from stackopt.exact.integer.state import State
from stackopt.solution import Status

Array = Any
#: Two values agree to this, relative to one plus their size.
AGREE = 1e-6


def general(rng: np.random.Generator) -> BilevelProgram:
    """Integer linking columns; integer and continuous ones besides; coupling rows, equations, ranges, open bounds, both senses."""
    linking, private = int(rng.integers(1, 4)), int(rng.choice(3, p=[0.5, 0.4, 0.1]))
    many = rng.random() < 0.15
    sizes = [int(rng.integers(1, 3)) for _ in range(2)] if many else [int(rng.integers(1, 6 - linking))]
    owner = np.concatenate([np.full(linking + private, -1), np.repeat(np.arange(len(sizes)), sizes)])
    n = len(owner)
    integer = rng.random(n) < (1.0 if rng.random() < 0.5 else 0.55)
    integer[:linking] = True
    if not integer[owner >= 0].any():
        integer[-1] = True
    lower, upper = -rng.integers(0, 3, n).astype(float), rng.integers(1, 4, n).astype(float)
    fraction = rng.choice([1.0, 1.0, 1.0, 0.5, 1 / 3, 0.37])
    sees = rng.random(linking) < 0.9
    sees[0] = True

    def numbers(*shape: int) -> Array:
        return rng.integers(-5, 6, shape) * (rng.random(shape) < 0.75) * fraction

    inside = np.round(lower + rng.random(n) * (upper - lower))
    levels = []
    for k in range(-1, len(sizes)):
        m = int(rng.integers(0, 3)) if k < 0 else int(rng.integers(1, 4))
        matrix = numbers(m, n)
        if k >= 0:
            matrix[:, (owner >= 0) & (owner != k)] = 0.0
            matrix[:, linking : linking + private] = 0.0
            matrix[:, :linking] *= sees
        at = matrix @ inside
        room = rng.integers(0, 5, (2, m)) * fraction
        kind = rng.choice(3, m, p=[0.75, 0.1, 0.15])
        low = np.where(kind == 0, -np.inf, np.where(kind == 1, at, at - room[0]))
        high = np.where(kind == 1, at, at + room[1])
        names = [f"row {k} {i}" for i in range(m)]
        if k >= 0 and rng.random() < 0.3:  # bounds as rows
            for j in np.flatnonzero(owner == k)[:1]:
                matrix = np.vstack([matrix, np.eye(n)[j]])
                low, high = np.append(low, lower[j]), np.append(high, upper[j])
                names.append(f"bounds of {j}")
                lower[j], upper[j] = -np.inf, np.inf
        cost = numbers(n)
        quadratic = None
        if k >= 0:
            cost = np.where((owner == k) | (rng.random(n) < 0.2) & (owner < 0), cost, 0.0)
            if rng.random() < 0.1:
                products = np.zeros((n, n))
                products[:linking, np.flatnonzero(owner == k)] = numbers(linking, int((owner == k).sum()))
                quadratic = sparse.csr_array(products)
        unit = float(rng.choice([1.0, 1.0, 1.0, 1e-6, 3e7]))
        objective = Objective(
            str(rng.choice(["min", "max"])), unit * cost, None if quadratic is None else unit * quadratic, unit * float(rng.integers(-3, 4))  # type: ignore[arg-type]
        )
        levels.append(Level("leader" if k < 0 else f"follower {k}", objective, Rows(tuple(names), sparse.csr_array(matrix), low, high)))
    if rng.random() < 0.7:  # the leader wants the opposite of what the followers want
        against = sum(np.where(owner == k, -level.objective.sign * level.objective.linear, 0.0) for k, level in enumerate(levels[1:]))
        levels[0].objective.linear[owner >= 0] = levels[0].objective.sign * (against * rng.integers(1, 4, n))[owner >= 0]
    return BilevelProgram(
        tuple(f"v{j}" for j in range(n)), owner, lower, upper, integer, levels[0], tuple(levels[1:]), name="general",
    )


def interdiction(rng: np.random.Generator) -> BilevelProgram:
    """Items blocked one by one within a budget; knapsack, several packing rows, or rows of mixed signs for the follower."""
    n = int(rng.integers(2, 7))
    kind = rng.choice(["knapsack", "packing", "mixed"])
    m = 1 if kind == "knapsack" else int(rng.integers(1, 4))
    weights = rng.integers(1 if kind == "knapsack" else 0, 9, (m, n)).astype(float)
    if kind == "mixed":
        weights *= rng.choice([-1.0, 1.0], (m, n), p=[0.3, 0.7])
    most = np.ones(n) if rng.random() < 0.7 else rng.integers(1, 3, n).astype(float)
    integer = np.ones(n, bool) if rng.random() < 0.7 else rng.random(n) < 0.6
    if not integer.any():
        integer[0] = True
    rows = np.hstack([np.zeros((m, n)), weights])
    blocks = np.hstack([np.diag(most), np.eye(n)])
    capacity = np.floor(0.5 * weights @ most) if rng.random() < 0.8 else rng.integers(0, 9, m).astype(float)
    low = np.full(m, -np.inf)
    if kind == "mixed" and rng.random() < 0.3:
        low[0] = capacity[0]
    prices = rng.integers(0 if kind != "mixed" else -4, 12, n).astype(float)
    costs = np.concatenate([np.zeros(n) if rng.random() < 0.7 else rng.integers(0, 5, n).astype(float), prices])
    budget = rng.integers(1, 6, n).astype(float)
    leader = Rows(("budget",), sparse.csr_array(np.concatenate([budget, np.zeros(n)])[None]), np.array([-np.inf]), np.array([float(rng.integers(0, 12))]))
    follower = Rows(
        tuple(f"row {i}" for i in range(m)) + tuple(f"block {j}" for j in range(n)), sparse.csr_array(np.vstack([rows, blocks])),
        np.concatenate([low, np.full(n, -np.inf)]), np.concatenate([capacity, most]),
    )
    return BilevelProgram(
        tuple(f"x{j}" for j in range(n)) + tuple(f"y{j}" for j in range(n)), np.repeat([-1, 0], n), np.zeros(2 * n), np.concatenate([np.ones(n), most]),
        np.concatenate([np.ones(n, bool), integer]), Level("leader", Objective("min", costs), leader),
        (Level("follower", Objective("max", np.concatenate([np.zeros(n), prices])), follower),), name=f"interdiction, {kind}",
    )


def continuous(rng: np.random.Generator) -> BilevelProgram:
    """One or two of the leader's columns that the follower sees are continuous; bounds are whole."""
    program = general(rng)
    while len(program.followers) > 1 or program.followers[0].objective.quadratic is not None or program.size > 5:
        program = general(rng)
    integer = program.integer.copy()
    integer[: 1 + int(rng.random() < 0.2)] = False
    return replace(program, integer=integer, name="continuous")


#: Points of the grid per unit.
GRID = 8


def on_grid(program: BilevelProgram) -> BilevelProgram:
    """The program with its continuous linking columns on a grid: column j is ``lower + k / GRID`` with whole k."""
    moved = np.flatnonzero(_Level(program, 0).seen & (program.owner < 0) & ~program.integer)
    scale, shift = np.ones(program.size), np.zeros(program.size)
    scale[moved], shift[moved] = 1.0 / GRID, program.lower[moved]
    upper = program.upper.copy()
    upper[moved] = np.round((program.upper - program.lower)[moved] * GRID)
    lower = np.where(scale != 1.0, 0.0, program.lower)

    def level(old: Level) -> Level:
        matrix, o = old.rows.matrix.toarray(), old.objective
        at = matrix @ shift
        objective = Objective(o.sense, o.linear * scale, None, o.constant + float(o.linear @ shift))
        return Level(old.name, objective, Rows(old.rows.names, sparse.csr_array(matrix * scale), old.rows.lower - at, old.rows.upper - at))

    levels = level(program.leader), (level(program.followers[0]),)
    return replace(program, lower=lower, upper=upper, integer=program.integer | (scale != 1.0), leader=levels[0], followers=levels[1])


def contradiction(program: BilevelProgram) -> str:
    """What contradicts the infimum that the search reports; empty if nothing.

    No point of a fine grid may be better than the bound, and a certified point must come close to it.
    """
    found, wanted = integer_followers(program, time_limit=20.0), enumerated(on_grid(program))
    if found.status is Status.INFEASIBLE:
        return "" if np.isnan(wanted) else f"INFEASIBLE where a point is worth {wanted:g}"
    sign = program.leader.objective.sign
    if found.status is Status.LIMIT and found.stats.get("attained") != "no":  # time ran out: the bound alone is checked, and counted as such
        return f"bound {found.bound:g} where a point is worth {wanted:g}" if sign * (found.bound - wanted) > near(program, wanted) else ""
    if found.point is None:
        return f"{found.status} ({found.because})"
    if sign * (found.bound - wanted) > near(program, wanted):
        return f"bound {found.bound:g} where a point is worth {wanted:g}"
    if abs(found.point.claim - found.bound) > (1.0 if found.status is Status.OPTIMAL else 1e4) * near(program, found.bound):
        return f"value {found.point.claim:g}, bound {found.bound:g}"
    failed = [check.name for check in program.certify(found.point).checks if not check.passed]
    return f"the point fails {', '.join(failed)}" if failed else ""


def enumerated(program: BilevelProgram) -> float:
    """The leader's optimal value by trying all whole points; NaN if there is none, infinite if unbounded.

    Only for programs whose whole columns have bounds, or a row that states them, and whose followers see whole columns.
    """
    n = program.size
    spans = [_span(program, j) if program.integer[j] else [0.0] for j in range(n)]
    followers = [_Level(program, k) for k in range(len(program.followers))]
    leader = _Level(program, -1)
    seen = np.flatnonzero((program.owner < 0) & np.any([f.seen for f in followers], 0))
    rest = np.array([j for j in range(n) if j not in set(seen.tolist())])
    best = np.inf
    sign = program.leader.objective.sign
    for x in itertools.product(*(spans[j] for j in seen)):
        z = np.zeros(n)
        z[seen] = x
        values = [f.optimum(z, spans) for f in followers]
        if not np.isfinite(values).all():
            continue
        for other in itertools.product(*(spans[j] for j in rest)):
            z[rest] = other
            best = min(best, leader.optimum_with(z, followers, values))
    return float(sign * best + program.leader.objective.constant) if best < np.inf else np.nan


class _Level:
    def __init__(self, program: BilevelProgram, k: int) -> None:
        level = (program.leader, *program.followers)[k + 1]
        self.program, self.k, self.level = program, k, level
        self.mine = np.flatnonzero(program.owner == k)
        self.sign = level.objective.sign
        self.matrix = level.rows.matrix.toarray()
        form = level.objective.quadratic
        self.products = np.zeros((program.size, program.size)) if form is None else (form + form.T).toarray()
        self.seen = (np.abs(self.matrix).sum(0) > 0) | (np.abs(self.products[self.mine]).sum(0) > 0)

    def costs(self, z: Array) -> Array:
        """Costs of the own columns, minimised, given the others."""
        return self.sign * (self.level.objective.linear + self.products @ np.where(self.program.owner == self.k, 0.0, z))[self.mine]

    def optimum(self, z: Array, spans: list[Array]) -> float:
        best, z = np.inf, z.copy()
        for own in itertools.product(*(spans[j] for j in self.mine)):
            z[self.mine] = own
            cost = np.zeros(len(z))
            cost[self.mine] = self.costs(z)
            best = min(best, rest_of(self.program, z, self.mine, cost, [(self.matrix, self.level.rows.lower, self.level.rows.upper)]))
        return best

    def optimum_with(self, z: Array, followers: list[_Level], values: list[float]) -> float:
        """The leader's optimum over the continuous columns when the followers' values are at most `values`."""
        rows = [(f.matrix, f.level.rows.lower, f.level.rows.upper) for f in (self, *followers)]
        for f, value in zip(followers, values):
            row = np.zeros(len(z))
            row[f.mine] = f.costs(z)
            rows.append((row[None], np.array([-np.inf]), np.array([value + 1e-9 * (np.abs(row).max() + abs(value))])))
        return rest_of(self.program, z, np.arange(len(z)), self.sign * self.level.objective.linear, rows)


def rest_of(program: BilevelProgram, z: Array, free: Array, cost: Array, rows: list[tuple[Array, Array, Array]]) -> float:
    """The least cost over the continuous columns among `free`, all others as in `z`; minus infinity if unbounded."""
    moving = [j for j in free if not program.integer[j]]
    fixed = z.copy()
    fixed[moving] = 0.0
    matrix = np.vstack([r[0] for r in rows])
    low, high = (np.concatenate([r[i] for r in rows]) for i in (1, 2))
    at = matrix @ fixed
    still = np.abs(matrix[:, moving]).sum(1) == 0
    if (at[still] < low[still] - 1e-8).any() or (at[still] > high[still] + 1e-8).any():
        return np.inf
    if not moving:
        return float(cost @ fixed)
    part, low, high = matrix[~still][:, moving], (low - at)[~still], (high - at)[~still]
    if len(moving) == 1:
        return float(cost @ fixed) + _along(float(cost[moving[0]]), part[:, 0], low, high, program.lower[moving[0]], program.upper[moving[0]])
    above, below = np.isfinite(high), np.isfinite(low)
    found = linprog(
        cost[moving], np.vstack([part[above], -part[below]]), np.concatenate([high[above], -low[below]]),
        bounds=[(program.lower[j], program.upper[j]) for j in moving],
    )
    if found.status == 3:
        return -np.inf
    return np.inf if found.status == 2 else float(cost @ fixed + found.fun)


def _along(cost: float, part: Array, low: Array, high: Array, least: float, most: float) -> float:
    """The least cost of one continuous column; infinity if it has no value."""
    up = part > 0
    ends = np.where(up, low, high) / part, np.where(up, high, low) / part
    least, most = max(least, ends[0].max(initial=-np.inf)), min(most, ends[1].min(initial=np.inf))
    if least > most + 1e-9 * (1.0 + min(abs(least), abs(most))):
        return np.inf
    return 0.0 if cost == 0 else cost * (least if cost > 0 else most)


def _span(program: BilevelProgram, j: int) -> Array:
    low, high = program.lower[j], program.upper[j]
    for level in program.followers:
        for i, row in enumerate(level.rows.matrix.toarray()):
            if np.count_nonzero(row) == 1 and row[j] == 1.0:
                low, high = max(low, level.rows.lower[i]), min(high, level.rows.upper[i])
    return np.arange(np.ceil(low), np.floor(high) + 1)


def disagreement(program: BilevelProgram, time_limit: float = 20.0, *, every: bool = True) -> str:
    """What the search, or every one that applies, and the enumeration disagree on; empty if nothing."""
    wanted = enumerated(program)
    for name in ("", *(applicable(program) if every else [])):
        found = integer_followers(program, time_limit=3.0 if name else time_limit, search=name)
        if name and found.status is Status.LIMIT:  # too slow, which the default search must not be
            continue
        if said := _disagreement(program, wanted, found):
            return f"{name or 'default'}: {said}"
        if not name and found.point is not None:
            failed = [check.name for check in program.certify(found.point).checks if not check.passed]
            if failed:
                return f"the point fails {', '.join(failed)}"
    return ""


def applicable(program: BilevelProgram) -> list[str]:
    """All searches that apply to a program; the slow one to small programs."""
    form = formed(program)
    box = linking_box(form)
    found = [] if box is None else list(searches(State(form, np.inf, None), *box))
    return [name for name in found if program.size <= 7 or name != "value function by pieces"]


def near(program: BilevelProgram, value: float) -> float:
    """How close two values of the leader must be to agree."""
    return AGREE * (np.abs(program.leader.objective.linear).max() + abs(value))


def _disagreement(program: BilevelProgram, wanted: float, found: Found) -> str:
    if np.isnan(wanted):
        return "" if found.status is Status.INFEASIBLE else f"{found.status} where there is no point"
    if np.isinf(wanted):
        return "" if found.status is Status.UNBOUNDED else f"{found.status} where the leader's value is unbounded"
    if found.status is not Status.OPTIMAL or found.point is None:
        return f"{found.status} ({found.because}) where the optimum is {wanted:g}"
    margin = near(program, wanted)
    if not abs(found.point.claim - wanted) <= margin or not abs(found.bound - wanted) <= margin:
        return f"value {found.point.claim:g}, bound {found.bound:g} where the optimum is {wanted:g}"
    return ""


def run(kind: str, count: int, seed: int = 0, *, every: bool = True) -> tuple[list[str], Counter[str]]:
    """Disagreements among `count` instances, and how often each search decided."""
    make = {"general": general, "interdiction": interdiction, "continuous": continuous}[kind]
    wrong, ways = list[str](), Counter[str]()
    for i in range(count):
        program = make(np.random.default_rng([seed, i, len(kind)]))
        said = contradiction(program) if kind == "continuous" else disagreement(program, every=every)
        if said:
            wrong.append(f"{kind} {i}: {said}")
            print(wrong[-1], flush=True)
        found = integer_followers(program, time_limit=20.0)
        ways[f"{found.status}{', not attained' * (found.stats.get('attained') == 'no')}, {found.reference}"] += 1
    return wrong, ways


def main() -> None:
    """Print what disagrees and how the instances were decided; exit with 1 if anything disagrees."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.integer_fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--general", type=int, default=100)
    parser.add_argument("--interdiction", type=int, default=30)
    parser.add_argument("--continuous", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--default-only", action="store_true", help="the search that fits, not every one that applies")
    chosen = parser.parse_args()
    wrong = list[str]()
    for kind, count in (("general", chosen.general), ("interdiction", chosen.interdiction), ("continuous", chosen.continuous)):
        begun = time.perf_counter()
        found, ways = run(kind, count, chosen.seed, every=not chosen.default_only)
        wrong += found
        print(f"{kind}: {count} instances, {len(found)} disagreements, {time.perf_counter() - begun:.0f} s")
        for way, times in sorted(ways.items()):
            print(f"  {times:5d}  {way}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
