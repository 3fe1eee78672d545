"""Moore and Bard's integer program: relaxing the integers and rounding misleads twice.

    min  -x - 10 y                            leader, x integer, from 0
         min  y                               follower, y integer, from 0
         s.t. -25 x + 20 y <= 30,   x + 2 y <= 10,   2 x - y <= 15,   2 x + 10 y >= 15

Each x has its least y; the bilevel-feasible points are (2, 2), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1) and (1, 2), and the best of
them is (2, 2) with -22. The same program without integrality has its optimum at (8, 1) with -18, *worse* than -22: dropping
integrality is no relaxation of a bilevel program, because it gives the follower more answers. And (2, 4) with -42, the optimum of
both players acting together, is not a response.

Source: J. T. Moore and J. F. Bard, The mixed integer linear bilevel programming problem, Operations Research 38 (1990), from memory
of its figures; enumerated again here.
"""

from __future__ import annotations

from stackopt.bilevel.program import BilevelProgram

KNOWN: dict[str, object] = {
    "value": -22.0,
    "value_continuous": -18.0,
    "tolerance": 1e-6,
    "reference": "enumeration of all integer points",
}


def build(*, integer: bool = True) -> BilevelProgram:
    """The program.

    Parameters
    ----------
    integer : bool
        Whether both variables must be whole numbers.
    """
    return BilevelProgram.from_matrices(
        leader_cost=([-1.0], [-10.0]),
        follower_cost=[1.0],
        follower_rows=([[-25.0], [1.0], [2.0], [-2.0]], [[20.0], [2.0], [-1.0], [-10.0]], [30.0, 10.0, 15.0, -15.0]),
        leader_integer=integer,
        follower_integer=integer,
        leader_names=["x"],
        follower_names=["y"],
        name="moore_bard",
    )
