"""A toll and a flow: two variables, five rows, and a multiplier that no guessed big-M bounds.

    min   3 flow + toll             leader, decides toll in [0, 8]
    s.t.  flow <= 5                             (cap)
          min  -flow                follower, decides flow
          s.t. 2 flow <= 7 toll                 (road)
               4 flow + toll >= 8               (least)
               2 flow + toll <= 13              (time)
               flow + toll <= 8                 (room)

The follower sends as much as it may: flow = 3.5 toll up to toll = 1.625, where (time) takes over, then (13 - toll) / 2 up to toll = 3,
then 8 - toll. Row (least) makes it infeasible below toll = 8/15, and the leader wants little flow and little toll: toll = 8/15,
flow = 28/15, value 92/15. There (road) and (least) both hold with equality, so the multiplier of (road) is any number from 1/2 on.
The cap excludes tolls between 10/7 and 3, where the follower sends more than 5: the leader's feasible set has a hole.

Source: S. Dempe, Foundations of Bilevel Programming (Springer 2002), section 3.2; the names are ours.
"""

from __future__ import annotations

from stackopt.bilevel.program import BilevelProgram

KNOWN: dict[str, object] = {
    "value": 92 / 15,
    "toll": 8 / 15,
    "flow": 28 / 15,
    "tolerance": 1e-6,
    "reference": "closed form above",
}


def build(*, cap: float = 5.0) -> BilevelProgram:
    """The program.

    Parameters
    ----------
    cap : float
        Of the leader, on the flow.
    """
    return BilevelProgram.from_matrices(
        leader_cost=([1.0], [3.0]),
        leader_bounds=(0.0, 8.0),
        leader_rows=([[0.0]], [[1.0]], [cap]),
        follower_cost=[-1.0],
        follower_bounds=(None, None),
        follower_rows=([[-7.0], [-1.0], [1.0], [1.0]], [[2.0], [-4.0], [2.0], [1.0]], [0.0, -8.0, 13.0, 8.0]),
        leader_names=["toll"],
        follower_names=["flow"],
        name="toll_storyboard",
    )
