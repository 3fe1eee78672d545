"""Games whose follower wants what the leader wants, or the opposite, up to shaping: solved by dynamic programming  [D9]."""

from __future__ import annotations

import numpy as np

from stackopt.certificate import Assumption, Bound
from stackopt.exact.commitment import CommitmentValue
from stackopt.games.dynamic_programming import optimal_value
from stackopt.games.operators import Mdp, joint_mdp, one_hot
from stackopt.games.profile import Profile
from stackopt.games.relaxations import hold_down
from stackopt.games.shaping import Shaping, shaping
from stackopt.games.stackelberg import StackelbergGame
from stackopt.solution import STRONG_VALUE, Run, Status

#: The gap that counts as closed, relative.
CLOSED = 5e-7


def run_shaped(game: StackelbergGame) -> Run[Profile] | None:
    """The strong commitment of a team or zero-sum game up to shaping; None if it is neither, or its gap stays open.

    A team's leader plays its part of the joint optimum, which no commitment exceeds [B8.1]. Against an opponent it plays the maximin
    policy of the zero-sum game in its own reward; a follower that is off the fit by e leaves it at most
    ``2 e / (|k| (1 - discount))`` more.
    """
    if not game.leader_sees_state:
        return None
    found = shaping(game)
    if found is None:
        return None
    policy, bound = _opposed(game, found) if found.factor < 0 else _joint(game)
    worth = CommitmentValue(game, "strong").worth(policy)
    gap = bound - worth.value
    if not gap <= CLOSED * max(1.0, abs(worth.value)):
        return None
    said = {"team": "the follower wants what the leader wants", "zero-sum": "the follower wants the opposite", "indifferent": "the follower is indifferent"}
    fit = Assumption("the follower's reward is k times the leader's plus shaping", True, f"k = {found.factor:.6g}, largest error {found.error:.2g}")
    profile = Profile(worth.policy, worth.response, concept="strong", claim=worth.value)
    return Run(
        Status.OPTIMAL, profile, Bound(max(bound, worth.value), STRONG_VALUE, "D9", (fit,)), {"formulation": f"{found.kind} up to shaping"},
        f"{said[found.kind]} up to shaping: dynamic programming, gap {max(gap, 0.0):.2g}",
    )


def _joint(game: StackelbergGame) -> tuple[np.ndarray, float]:
    """The leader's part of the joint optimum, and its value from above."""
    _, A, B = game.shape
    joint: Mdp = joint_mdp(game, game.leader_reward, game.leader_discount)
    best = optimal_value(joint)
    policy = one_hot(best.action_values.argmax(-1) // B, A)
    return policy, float(game.initial @ best.value) + best.residual / (1.0 - game.leader_discount)


def _opposed(game: StackelbergGame, found: Shaping) -> tuple[np.ndarray, float]:
    """The maximin policy, and the maximin value from above."""
    import dataclasses

    against = dataclasses.replace(game, follower_reward=-game.leader_reward, follower_discount=game.leader_discount)
    policy, guaranteed = hold_down(against)
    slack = 2.0 * found.error / (abs(found.factor) * (1.0 - game.leader_discount))
    return policy, float(-(game.initial @ guaranteed)) + slack
