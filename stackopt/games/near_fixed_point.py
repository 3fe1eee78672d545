r"""How far a policy is from a soft fixed point, and whether it is the only one: everywhere [B4.2], or nearby [B4.4]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackopt.bounds.contraction import Contraction, Local, local_certificate
from stackopt.bounds.lipschitz import Constants
from stackopt.certificate import Bound
from stackopt.games.constants import both_constants
from stackopt.games.operators import Array, follower_mdp, leader_mdp
from stackopt.games.profile import Profile
from stackopt.games.responses import SoftResponse, soft_response
from stackopt.games.stackelberg import StackelbergGame


@dataclass(frozen=True, eq=False)
class Nearness:
    """What contraction says about a leader policy and the soft fixed points.

    Attributes
    ----------
    contraction : Contraction
    follower, leader : SoftResponse
        The follower's to the policy, and the leader's to that.
    whole : Bound
        On the distance to the only fixed point, if the map contracts everywhere  [B4.2].
    local : Local
        The certificate on a ball around the policy  [B4.4].
    """

    contraction: Contraction
    follower: SoftResponse
    leader: SoftResponse
    whole: Bound
    local: Local


def nearness(
    game: StackelbergGame, profile: Profile, leader_policy: Array, *, constants: tuple[Constants, Constants] | None = None, follower: SoftResponse | None = None
) -> Nearness:
    """The bounds on the distance from `leader_policy` to a soft fixed point at the temperatures of `profile`.

    Parameters
    ----------
    game : StackelbergGame
        A single game that is not `too_large`, whose leader sees the state.
    profile : Profile
        Of a soft fixed point: both temperatures positive.
    leader_policy : array [S, A]
    constants : (leader's, follower's), optional
    follower : SoftResponse, optional
        To `leader_policy`, if it is known already.
    """
    leader_constants, follower_constants = constants or both_constants(game)
    contraction = Contraction(leader_constants, follower_constants, leader_temperature=profile.leader_temperature, follower_temperature=profile.temperature)
    answered = follower or soft_response(follower_mdp(game, leader_policy), profile.temperature, profile.response)
    answer = soft_response(leader_mdp(game, answered.policy), profile.leader_temperature, profile.response)
    residual = float(np.abs(answer.policy - leader_policy).sum(-1).max())
    local = local_certificate(contraction, answered.optimum.action_values, answer.optimum.action_values, residual)
    return Nearness(contraction, answered, answer, contraction.residual(residual), local)
