"""Small bilevel programs with known answers, by hand."""

import numpy as np
from scipy import sparse

from stackopt import BilevelProgram, Level, Objective, Rows


def toll(**changes):
    """min toll + 3 flow over max flow: optimum 6.1333 at toll 8/15, flow 28/15, where road and least meet."""
    settings = {
        "leader_cost": ([1.0], [3.0]), "leader_bounds": (0, 8), "leader_rows": ([[0.0]], [[1.0]], [5.0]),
        "follower_cost": [-1.0], "follower_bounds": (None, None),
        "follower_rows": ([[-7.0], [-1.0], [1.0], [1.0]], [[2.0], [-4.0], [2.0], [1.0]], [0.0, -8.0, 13.0, 8.0]),
        "leader_names": ["toll"], "follower_names": ["flow"], "name": "toll",
    }
    return BilevelProgram.from_matrices(**settings | changes)


def duopoly(cost=1.0):
    """Cournot duopoly, price 10 - q1 - q2, unit cost 1: two followers in equilibrium at (10 - cost) / 3 each; the leader adds a
    subsidy s in [0, 3] per unit at price 4 per unit of s: both produce (9 + s) / 3."""
    names = ("s", "q1", "q2")

    def level(k):
        quadratic = sparse.csr_array(([-1.0, -1.0, 1.0], ([1 + k, 1, 0], [1 + k, 2, 1 + k])), shape=(3, 3))
        linear = np.zeros(3)
        linear[1 + k] = 10.0 - cost
        return Level(f"firm {k + 1}", Objective("max", linear, quadratic), rows())

    return BilevelProgram(
        names=names, owner=np.array([-1, 0, 1]), lower=np.zeros(3), upper=np.array([3.0, np.inf, np.inf]), integer=np.zeros(3, bool),
        leader=Level("state", Objective("max", np.array([-1.0, 1.0, 1.0])), rows()), followers=(level(0), level(1)), name="duopoly",
    )


def rows(columns=3):
    """No rows."""
    return Rows((), sparse.csr_array((0, columns)), np.zeros(0), np.zeros(0))
