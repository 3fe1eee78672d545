"""Programs with integer followers and known answers, or made from a seed."""

import itertools

import numpy as np

from stackopt import BilevelProgram


def moore_bard(**changes):
    """Moore and Bard (1990): min -x - 10 y over min y, integer: -22 at x = 2, y = 2. With y continuous -18 at x = 8, y = 1 (Dempe 2002)."""
    settings = {
        "leader_cost": ([-1.0], [-10.0]), "follower_cost": [1.0], "leader_bounds": (0, None), "follower_bounds": (0, None),
        "follower_rows": ([[-25.0], [1.0], [2.0], [-2.0]], [[20.0], [2.0], [-1.0], [-10.0]], [30.0, 10.0, 15.0, -15.0]),
        "leader_integer": True, "follower_integer": True, "leader_names": ["x"], "follower_names": ["y"], "name": "moore bard",
    }
    return BilevelProgram.from_matrices(**settings | changes)


def coupled():
    """The example of MibS's input guide: leader rows contain y; -53 at x = 6, y = 5."""
    return BilevelProgram.from_matrices(
        leader_cost=([-3.0], [-7.0]), leader_rows=([[-3.0], [1.0]], [[2.0], [2.0]], [12.0, 20.0]), leader_bounds=(0, 10), follower_bounds=(0, 5),
        follower_cost=[1.0], follower_rows=([[2.0], [-2.0]], [[-1.0], [4.0]], [7.0, 16.0]), leader_integer=True, follower_integer=True,
    )


def yue(number):
    """Toy examples 2 and 3 of Yue, Gao, Zeng and You (2019): -20 at x = 8, y = 6; and an infimum that is not attained."""
    if number == 2:
        return BilevelProgram.from_matrices(
            leader_cost=([-1.0], [-2.0]), leader_rows=([[-2.0], [1.0]], [[3.0], [1.0]], [12.0, 14.0]), follower_cost=[1.0], follower_sense="max",
            follower_rows=([[-3.0], [3.0]], [[1.0], [1.0]], [-3.0, 30.0]), leader_integer=True, follower_integer=True,
        )
    return BilevelProgram.from_matrices(
        leader_cost=([20.0, -38.0], [1.0, 42.0]), leader_rows=([[7.0, 5.0], [6.0, 9.0]], [[0.0, 7.0], [10.0, 2.0]], [62.0, 117.0]),
        follower_cost=[39.0, 27.0], follower_sense="max", follower_rows=([[8.0, 0.0], [9.0, 0.0]], [[2.0, 8.0], [2.0, 1.0]], [53.0, 28.0]),
        leader_integer=[False, True], follower_integer=[False, True], leader_names=["xR", "xZ"], follower_names=["yR", "yZ"], name="yue 3",
    )


def knapsack(items, seed, *, spread=100):
    """A leader blocks knapsack items within a budget: prices, weights and costs from a seed."""
    rng = np.random.default_rng(seed)
    prices, weights, costs = (rng.integers(1, spread, items).astype(float) for _ in range(3))
    return interdicted(prices, weights[None], [np.floor(weights.sum() / 2)], costs, np.floor(costs.sum() / 3))


def interdicted(prices, rows, room, costs, budget, **changes):
    """min over x of max over y of prices @ y, rows @ y <= room, y <= 1 - x, costs @ x <= budget."""
    n = len(prices)
    settings = {
        "leader_cost": (np.zeros(n), prices), "leader_rows": ([costs], np.zeros((1, n)), [budget]), "follower_cost": prices,
        "follower_rows": (np.vstack([np.zeros((len(rows), n)), np.eye(n)]), np.vstack([rows, np.eye(n)]), np.concatenate([room, np.ones(n)])),
        "leader_bounds": (0, 1), "follower_bounds": (0, 1), "leader_integer": True, "follower_integer": True, "follower_sense": "max",
        "name": "interdiction",
    }
    return BilevelProgram.from_matrices(**settings | changes)


def assignment(size, seed):
    """A leader blocks pairs of an assignment; the follower maximises."""
    rng = np.random.default_rng(seed)
    n = size * size
    rows = np.array([[float(j // size == i) for j in range(n)] for i in range(size)] + [[float(j % size == i) for j in range(n)] for i in range(size)])
    prices, costs = rng.integers(1, 20, n).astype(float), rng.integers(1, 5, n).astype(float)
    equations = (np.zeros((2 * size, n)), rows, np.ones(2 * size))
    blocks = (np.eye(n), np.eye(n), np.ones(n))
    return interdicted(prices, rows, np.ones(2 * size), costs, 8.0, follower_rows=blocks, follower_equations=equations)


def general(seed, *, size=4, most=6):
    """A dense program in integers, the leader against the follower."""
    rng = np.random.default_rng(seed)
    a, g = rng.integers(-4, 6, (3, size)).astype(float), rng.integers(-3, 6, (3, size)).astype(float)
    inside = rng.integers(0, most + 1, 2 * size)
    d = rng.integers(-8, 9, size).astype(float)
    return BilevelProgram.from_matrices(
        leader_cost=(rng.integers(-6, 7, size), -d + rng.integers(-2, 3, size)), follower_cost=d, leader_bounds=(0, most), follower_bounds=(0, most),
        follower_rows=(a, g, np.hstack([a, g]) @ inside + rng.integers(2, 12, 3)), leader_integer=True, follower_integer=True, name="general",
    )


def decisions(program):
    """All whole (x, y) within the bounds; x first."""
    spans = [np.arange(low, high + 1) for low, high in zip(program.lower, program.upper)]
    return np.array(list(itertools.product(*spans)), float)


def feasible_points(program):
    """All bilevel-feasible points of a program in bounded integers, by trying everything."""
    points, level = decisions(program), program.followers[0]
    acts = points @ level.rows.matrix.toarray().T
    points = points[((acts >= level.rows.lower - 1e-9) & (acts <= level.rows.upper + 1e-9)).all(1)]
    values = level.objective.sign * points @ level.objective.linear
    x = points[:, program.owner < 0]
    _, group = np.unique(x, axis=0, return_inverse=True)
    best = np.full(group.max() + 1, np.inf)
    np.minimum.at(best, group.ravel(), values)
    points = points[values <= best[group.ravel()] + 1e-9]
    acts = points @ program.leader.rows.matrix.toarray().T
    return points[((acts >= program.leader.rows.lower - 1e-9) & (acts <= program.leader.rows.upper + 1e-9)).all(1)]
