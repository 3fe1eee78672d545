"""The smallest game in which commitment and fixed point differ (theory A.5).

One state, rows of the leader T, B, columns of the follower l, r, entries (leader, follower):

        l       r
    T   2, 1    4, 0
    B   1, 0    3, 1

T is dominant, so the fixed point is (T, l), worth 2. Committing to T with probability p makes the follower play r iff
p <= 1/2, worth 3 + p: the strong value is 3.5 at p = 1/2, where ties matter (2 - 1/2 = 1.5 if they go against the leader), and the
weak value 3.5 is approached from below, not attained.

Source: after V. Conitzer and T. Sandholm, Computing the optimal strategy to commit to, EC 2006.
"""

from __future__ import annotations

from stackopt import StackelbergGame, stay

KNOWN: dict[str, object] = {
    "strong": 3.5,
    "weak": 3.5,
    "weak_at_best": 1.5,
    "fixed_point": 2.0,
    "strong_deterministic": 3.0,
    "leader_policy": [[0.5, 0.5]],
    "tolerance": 1e-7,
    "reference": "by hand",
}


def build() -> StackelbergGame:
    """The game."""
    return StackelbergGame(
        leader_reward=[[[2.0, 4.0], [1.0, 3.0]]],
        follower_reward=[[[1.0, 0.0], [0.0, 1.0]]],
        transition=stay,
        discount=0.0,
        leader_actions=("T", "B"),
        follower_actions=("l", "r"),
        name="commitment_2x2",
    )
