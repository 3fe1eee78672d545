"""Small random bilevel programs made to break methods: ties, degenerate rows, free variables, coupling rows, infeasible ones.

Data are small whole numbers, so that ties and degenerate vertices are common and every value is well scaled. An instance is
a function of (family, seed, index) alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.bilevel.program import BilevelProgram, Level, Multiplier, Objective, Rows, Sense, Ties

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array = Any


@dataclass(frozen=True)
class Family:
    """What an instance may contain.

    Attributes
    ----------
    stream : int
        Numbers the family for the random generator, so that new families change no instance of old ones.
    followers : int
        1, or 2 of which the second may see the first.
    coupled : bool
        Whether two followers see each other.
    apart : bool
        Whether they see nothing of each other.
    curved : bool
        Convex quadratic followers.
    products : bool
        Products of leader and follower variables in followers' objectives.
    quadratic_leader : bool
    integer_leader : bool
    integer_follower : str
        ``"none"``, ``"all"`` or ``"some"``; the leader variables that it sees are then integer.
    prices : bool
        The leader's objective contains a follower multiplier.
    open_boxes : bool
        Some variables without bounds.
    variables, rows : (least, most + 1)
        Of each follower.
    spread : bool
        Rows in units between 1/1000 and 1000.
    ties : str
        As of a `BilevelProgram`.
    interdiction : bool
        A binary leader takes away what a follower of whole numbers packs; nothing else of the above then counts.
    """

    stream: int
    followers: int = 1
    coupled: bool = False
    apart: bool = False
    curved: bool = False
    products: bool = False
    quadratic_leader: bool = False
    integer_leader: bool = False
    integer_follower: str = "none"
    prices: bool = False
    open_boxes: bool = True
    variables: tuple[int, int] = (1, 4)
    rows: tuple[int, int] = (1, 5)
    spread: bool = False
    ties: Ties = "optimistic"
    interdiction: bool = False


FAMILIES: dict[str, Family] = {
    "linear": Family(3),
    "linear, boxed": Family(4, open_boxes=False),
    "products": Family(7, products=True),
    "quadratic followers": Family(9, curved=True, products=True),
    "quadratic leader": Family(10, quadratic_leader=True),
    "quadratic both": Family(8, quadratic_leader=True, curved=True),
    "integer leader": Family(1, integer_leader=True, open_boxes=False),
    "integer leader, quadratic follower": Family(2, integer_leader=True, curved=True, products=True, open_boxes=False),
    "two followers": Family(12, followers=2, variables=(1, 3), rows=(1, 4)),
    "two coupled followers": Family(11, followers=2, coupled=True, products=True, curved=True, variables=(1, 3), rows=(1, 4)),
    "prices": Family(6, prices=True),
    "integer follower": Family(0, integer_follower="all", integer_leader=True, open_boxes=False),
    "mixed follower": Family(5, integer_follower="some", integer_leader=True, open_boxes=False),
    "larger": Family(13, variables=(4, 6), rows=(3, 6)),
    "larger, quadratic": Family(14, variables=(3, 5), rows=(2, 5), curved=True, quadratic_leader=True),
    "spread": Family(15, spread=True, products=True),
    "interdiction": Family(16, interdiction=True),
    "two integer followers": Family(
        17, followers=2, apart=True, integer_follower="all", integer_leader=True, open_boxes=False, variables=(1, 3), rows=(1, 3)
    ),
    "pessimistic": Family(18, ties="pessimistic"),
    "pessimistic, integer leader": Family(19, ties="pessimistic", integer_leader=True, open_boxes=False, variables=(1, 3)),
    "pessimistic, integer follower": Family(20, ties="pessimistic", integer_follower="all", integer_leader=True, open_boxes=False, variables=(1, 3)),
}


def instance(family: str, seed: int, index: int = 0) -> BilevelProgram:
    """The program of a family with this seed and index."""
    rng = np.random.default_rng([FAMILIES[family].stream, seed, index])
    return random_program(rng, FAMILIES[family], name=f"{family} {seed}/{index}")


def random_program(rng: np.random.Generator, kind: Family, name: str = "random") -> BilevelProgram:
    """A small program: 1-2 leader variables, a few variables and rows per follower."""
    if kind.interdiction:
        return _interdiction(rng, name)
    sizes = [int(rng.integers(1, 3)), *(int(rng.integers(*kind.variables)) for _ in range(kind.followers))]
    owner = np.repeat(np.arange(-1, kind.followers), sizes)
    n, d = len(owner), int(kind.prices)
    integer = (owner < 0) & kind.integer_leader
    if kind.integer_follower == "all":
        integer |= owner >= 0
    elif kind.integer_follower == "some":
        integer |= (owner >= 0) & (rng.random(n) < 0.6)
    lower, upper = _boxes(rng, n, kind)
    inside = np.array([rng.integers(low, high + 1) for low, high in zip(np.maximum(lower, -3), np.minimum(upper, 4))], float)
    followers = tuple(_follower(rng, kind, owner, k, d, inside, f"follower {k + 1}") for k in range(kind.followers))
    multipliers: tuple[Multiplier, ...] = ()
    if kind.prices:
        level = followers[0]
        constraint = level.rows.names[int(rng.integers(len(level.rows)))] if rng.random() < 0.7 else f"v{int(np.flatnonzero(owner == 0)[0])}"
        multipliers = (Multiplier("price", level.name, constraint),)
    program = BilevelProgram(
        names=tuple(f"v{j}" for j in range(n)), owner=owner, lower=lower, upper=upper, integer=integer,
        leader=_leader(rng, kind, owner, d, inside), followers=followers, multipliers=multipliers, ties=kind.ties, name=name,
    )  # fmt: skip
    return scaled(program, rng, (1e-3, 1e-2, 1.0, 1e2, 1e3)) if kind.spread else program


def _interdiction(rng: np.random.Generator, name: str) -> BilevelProgram:
    """Items that a leader removes within a budget, and a follower packs; what one gains the other loses."""
    items, budgets = int(rng.integers(3, 6)), int(rng.integers(1, 3))
    worth, most = rng.integers(1, 10, items).astype(float), rng.integers(1, 3, items).astype(float)
    weight, price = rng.integers(1, 6, (budgets, items)).astype(float), rng.integers(1, 5, items).astype(float)
    packing = (np.zeros((budgets, items)), weight, np.floor(weight @ most * rng.uniform(0.3, 0.8, budgets)))
    link = (np.diag(most), np.eye(items), most)
    return BilevelProgram.from_matrices(
        leader_cost=(np.zeros(items), worth), leader_bounds=(0, 1), leader_integer=True, leader_rows=(price[None], None, [float(price.sum() // 2)]),
        follower_cost=worth, follower_sense="max", follower_bounds=(0, most), follower_integer=True,
        follower_rows=(np.vstack([packing[0], link[0]]), np.vstack([packing[1], link[1]]), np.concatenate([packing[2], link[2]])), name=name,
    )  # fmt: skip


def _boxes(rng: np.random.Generator, n: int, kind: Family) -> tuple[Array, Array]:
    lower = rng.choice([0.0, -2.0], n, p=[0.7, 0.3])
    upper = lower + rng.integers(1, 6, n)
    if kind.open_boxes:
        lower[rng.random(n) < 0.12] = -np.inf
        upper[rng.random(n) < 0.3] = np.inf
    fixed = rng.random(n) < 0.04
    upper[fixed & np.isfinite(lower)] = lower[fixed & np.isfinite(lower)]
    return lower, upper


def _sense(rng: np.random.Generator) -> Sense:
    return "min" if rng.random() < 0.6 else "max"


def _weights(rng: np.random.Generator, mask: NDArray[np.bool_], density: float = 0.75) -> Array:
    return np.where(mask & (rng.random(len(mask)) < density), rng.integers(-3, 4, len(mask)), 0).astype(float)


def _rows(rng: np.random.Generator, prefix: str, count: int, masks: tuple[NDArray[np.bool_], ...], inside: Array, d: int) -> Rows:
    """Rows that mostly hold at `inside`; now and then ranges, equations, and rows that do not."""
    from scipy import sparse

    n = len(inside)
    matrix, low, high = np.zeros((count, n + d)), np.full(count, -np.inf), np.full(count, np.inf)
    for i in range(count):
        matrix[i, :n] = sum(_weights(rng, mask) for mask in masks)
        at, way = float(matrix[i, :n] @ inside), rng.random()
        slack = float(rng.integers(0, 4)) if rng.random() > 0.07 else -float(rng.integers(1, 3))
        if way < 0.12:
            low[i] = high[i] = at
        elif way < 0.5:
            high[i] = at + slack
        elif way < 0.9:
            low[i] = at - slack
        else:
            low[i], high[i] = at - abs(slack) - 1, at + abs(slack)
    return Rows(tuple(f"{prefix}{i}" for i in range(count)), sparse.csr_array(matrix), low, high)


def _form(dense: Array, d: int) -> Any:
    """A symmetric matrix H as the upper triangle of product coefficients of v'Hv/2, with room for d multipliers."""
    from scipy import sparse

    upper = np.triu(dense, 1) + np.diag(np.diag(dense)) / 2
    return sparse.csr_array(np.pad(upper, ((0, d), (0, d)))) if np.abs(dense).max(initial=0.0) > 0 else None


def _follower(rng: np.random.Generator, kind: Family, owner: Any, k: int, d: int, inside: Array, name: str) -> Level:
    n, mine = len(owner), owner == k
    others = (owner < 0) | ((owner >= 0) & (owner < k) & (not kind.apart)) | (kind.coupled & (owner != k))
    shown = others & (rng.random(n) < 0.8) if kind.followers > 1 else others
    sense = _sense(rng)
    hessian = np.zeros((n, n))
    if kind.curved:
        root = np.where(mine & (rng.random((n, n)) < 0.6), rng.integers(-1, 2, (n, n)), 0)[: int(rng.integers(1, 3))]
        hessian += (1.0 if sense == "min" else -1.0) * root.T @ root
    if kind.products:
        cross = np.where(np.outer(shown, mine) & (rng.random((n, n)) < 0.4), rng.integers(-2, 3, (n, n)), 0)
        hessian += cross + cross.T
    linear = np.concatenate([_weights(rng, mine, 0.9) + _weights(rng, ~mine, 0.2), np.zeros(d)])
    rows = _rows(rng, f"row{k + 1}.", int(rng.integers(*kind.rows)), (mine, shown), inside, d)
    return Level(name, Objective(sense, linear, _form(hessian, d), float(rng.integers(-1, 2))), rows)


def _leader(rng: np.random.Generator, kind: Family, owner: Any, d: int, inside: Array) -> Level:
    n, sense = len(owner), _sense(rng)
    every = np.ones(n, bool)
    hessian = np.zeros((n, n))
    if kind.quadratic_leader:
        root = np.where(rng.random((2, n)) < 0.6, rng.integers(-1, 2, (2, n)), 0)
        hessian = (1.0 if sense == "min" else -1.0) * root.T @ root
    own = _rows(rng, "own", int(rng.integers(0, 2)), (owner < 0,), inside, d)
    coupling = _rows(rng, "coupling", int(rng.integers(0, 3)), (every,), inside, d)
    linear = np.concatenate([_weights(rng, every, 0.9), rng.integers(-2, 3, d).astype(float)])
    return Level("leader", Objective(sense, linear, _form(hessian, d), float(rng.integers(-1, 2))), stacked(own, coupling))


def stacked(*parts: Rows) -> Rows:
    """Rows one after another."""
    from scipy import sparse

    return Rows(
        tuple(name for part in parts for name in part.names),
        sparse.csr_array(sparse.vstack([part.matrix for part in parts], format="csr")),
        np.concatenate([part.lower for part in parts]),
        np.concatenate([part.upper for part in parts]),
    )


# --- statements of the same program ------------------------------------------------------------------------------------


def flipped(program: BilevelProgram, k: int) -> BilevelProgram:
    """Player `k` (-1 the leader) with the other sense and the negated objective; multipliers of a follower change sign."""
    level = program.leader if k < 0 else program.followers[k]
    objective = level.objective
    other = Objective(
        "max" if objective.sense == "min" else "min", -objective.linear, None if objective.quadratic is None else -objective.quadratic, -objective.constant
    )
    new = replace(level, objective=other)
    if k < 0:
        return replace(program, leader=new)
    followers = (*program.followers[:k], new, *program.followers[k + 1 :])
    mine = [program.size + m for m, symbol in enumerate(program.multipliers) if symbol.follower == level.name]
    if not mine:
        return replace(program, followers=followers)
    signs = np.ones(len(program.symbols))
    signs[mine] = -1.0
    return replace(program, followers=followers, leader=_scaled_symbols(program.leader, signs))


def _scaled_symbols(level: Level, signs: Array) -> Level:
    from scipy import sparse

    scale = sparse.diags_array(signs, format="csr")
    objective = level.objective
    form = None if objective.quadratic is None else sparse.csr_array(scale @ objective.quadratic @ scale)
    rows = replace(level.rows, matrix=sparse.csr_array(level.rows.matrix @ scale))
    return replace(level, objective=replace(objective, linear=objective.linear * signs, quadratic=form), rows=rows)


def permuted(program: BilevelProgram, order: Any) -> BilevelProgram:
    """Variables in another order [n]: the new j-th is the old ``order[j]``."""
    full = np.concatenate([order, np.arange(program.size, len(program.symbols))])

    def form(old: Any) -> Any:
        from scipy import sparse

        if old is None:
            return None
        dense = old.toarray()[np.ix_(full, full)]
        return sparse.csr_array(np.triu(dense) + np.tril(dense, -1).T)

    def level(old: Level) -> Level:
        rows = replace(old.rows, matrix=old.rows.matrix[:, full], quadratic={i: form(f) for i, f in old.rows.quadratic.items()})
        return replace(old, objective=replace(old.objective, linear=old.objective.linear[full], quadratic=form(old.objective.quadratic)), rows=rows)

    return replace(
        program, names=tuple(program.names[j] for j in order), owner=program.owner[order], lower=program.lower[order], upper=program.upper[order],
        integer=program.integer[order], leader=level(program.leader), followers=tuple(level(f) for f in program.followers),
    )  # fmt: skip


def scaled(program: BilevelProgram, rng: np.random.Generator, factors: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 8.0, -1.0, -2.0)) -> BilevelProgram:
    """Every row multiplied by one of `factors`, except rows whose multipliers are in use; sides follow."""
    from scipy import sparse

    used = {(m.follower, m.constraint) for m in program.multipliers}

    def level(old: Level) -> Level:
        chosen = rng.choice(np.array(factors), len(old.rows))
        chosen[[(old.name, name) in used for name in old.rows.names]] = 1.0
        ends = np.sort(np.array([old.rows.lower, old.rows.upper]) * chosen, axis=0)
        return replace(old, rows=Rows(old.rows.names, sparse.csr_array(sparse.diags_array(chosen) @ old.rows.matrix), ends[0], ends[1]))

    return replace(program, leader=level(program.leader), followers=tuple(level(f) for f in program.followers))


def in_units(program: BilevelProgram, leader: float, follower: float) -> BilevelProgram:
    """Objectives multiplied by positive factors; followers whose multipliers the leader uses keep theirs, since multipliers are per unit."""
    used = {m.follower for m in program.multipliers}

    def level(old: Level, factor: float) -> Level:
        goal = old.objective
        form = None if goal.quadratic is None else goal.quadratic * factor
        return replace(old, objective=Objective(goal.sense, goal.linear * factor, form, goal.constant * factor))

    followers = tuple(f if f.name in used else level(f, follower) for f in program.followers)
    return replace(program, leader=level(program.leader, leader), followers=followers)


def redundant(program: BilevelProgram) -> BilevelProgram:
    """Each player's rows once more, in half the units: a sum of half and half changes no feasible set.

    Leaves followers alone whose multipliers the leader uses: repeating a row shares its multiplier out.
    """
    used = {m.follower for m in program.multipliers}

    def level(old: Level) -> Level:
        again = Rows(tuple(f"{name} again" for name in old.rows.names), old.rows.matrix * 0.5, old.rows.lower * 0.5, old.rows.upper * 0.5)
        return old if old.name in used else replace(old, rows=stacked(old.rows, again))

    return replace(program, leader=level(program.leader), followers=tuple(level(f) for f in program.followers))
