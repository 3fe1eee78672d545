"""The toll program of the first storyboard, with its own row names."""

import numpy as np
from scipy import sparse

from stackopt import BilevelProgram, Level, Multiplier, Objective, Rows


def toll(*, price_of_road=0.0, **changes):
    """min toll + 3 flow, flow <= 5, over max flow; optimum 92/15 at toll 8/15. `price_of_road` puts that multiplier into the leader's
    objective."""
    names, priced = ("toll", "flow"), bool(price_of_road)
    width = 2 + priced

    def rows(labels, entries, lower, upper):
        matrix = np.zeros((len(labels), width))
        matrix[:, :2] = np.array(entries, float).reshape(len(labels), 2)
        return Rows(labels, sparse.csr_array(matrix), np.array(lower, float), np.array(upper, float))

    inf = np.inf
    leader = np.array([1.0, 3.0, price_of_road])[:width]
    follower = np.array([0.0, -1.0, 0.0])[:width]
    settings = {
        "names": names, "owner": np.array([-1, 0]), "lower": np.array([0.0, -inf]), "upper": np.array([8.0, inf]), "integer": np.zeros(2, bool),
        "leader": Level("leader", Objective("min", leader), rows(("cap",), [0, 1], [-inf], [5])),
        "followers": (Level("follower", Objective("min", follower), rows(
            ("road", "least", "time", "room"), [[-7, 2], [1, 4], [1, 2], [1, 1]], [-inf, 8, -inf, -inf], [0, inf, 13, 8])),),
        "multipliers": (Multiplier("price", "follower", "road"),) if priced else (), "name": "toll",
    }
    return BilevelProgram(**settings | changes)


def binary_toll():
    """A road of capacity 3 or, opened, 8, for a follower that maximises flow; the leader pays 2.5 to open and earns the flow: opens."""
    return BilevelProgram.from_matrices(
        leader_cost=([2.5], [-1.0]), leader_bounds=(0, 1), leader_integer=True, follower_cost=[-1.0], follower_bounds=(0, None),
        follower_rows=([[-5.0]], [[1.0]], [3.0]), leader_names=["open"], follower_names=["flow"], name="binary toll",
    )


def boxed(seed, n=2, rows=3, *, integer=False, quadratic=False):
    """A random program with boxes on everything, so that every slack and most multipliers have bounds."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.integers(-4, 5, shape).astype(float)

    upper = 3.0
    A, B = draw(rows, n), draw(rows, n)
    b = A @ rng.integers(0, 3, n) + B @ rng.integers(0, 3, n) + rng.integers(0, 4, rows)
    return BilevelProgram.from_matrices(
        leader_cost=(draw(n), draw(n)), leader_bounds=(0, upper), leader_integer=integer, follower_cost=draw(n), follower_bounds=(0, upper),
        follower_rows=(A, B, b), follower_hessian=np.eye(n) * 2.0 if quadratic else None, follower_cross=draw(n, n) if quadratic else None,
        name=f"boxed {seed}",
    )


def two_followers(seed, *, integer=False):
    """A random leader over two followers, of one and two variables, whose rows contain each other's variables: equilibria need not exist."""
    rng = np.random.default_rng(seed)
    owner = np.array([-1, -1, 0, 1, 1])
    n = len(owner)

    def draw(*shape):
        return rng.integers(-4, 5, shape).astype(float)

    def rows(m, name):
        matrix = draw(m, n)
        return Rows(tuple(f"{name}{i}" for i in range(m)), sparse.csr_array(matrix), np.full(m, -np.inf), np.abs(draw(m)) + 4.0)

    return BilevelProgram(
        names=("x0", "x1", "y0", "z0", "z1"), owner=owner, lower=np.zeros(n), upper=np.full(n, 3.0), integer=np.array([integer] * 2 + [False] * 3),
        leader=Level("leader", Objective("max" if seed % 2 else "min", draw(n)), rows(1, "l")),
        followers=(Level("one", Objective("min", draw(n)), rows(2, "r")), Level("two", Objective("max", draw(n)), rows(2, "r"))), name=f"two {seed}",
    )
