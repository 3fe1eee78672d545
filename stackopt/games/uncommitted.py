r"""Where players end that do not commit: best responses in turn, from a policy on  [A.3, A2].

What commitment gains is the difference to a fixed point, in which each policy answers the other held fixed. Exact best responses in turn may
end in a pure one (any tie-break: a pure fixed point is a Nash equilibrium) or cycle; then soft responses are damped until they rest. What does not
come to rest in the rounds given is not reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stackopt.games.dynamic_programming import optimal_value
from stackopt.games.operators import Array, follower_mdp, leader_mdp, one_hot
from stackopt.games.profile import Profile
from stackopt.games.responses import follower_response, leader_response, leader_value
from stackopt.games.stackelberg import StackelbergGame

#: Games with more (state, action, action) triples are left out: the answer should cost little beside the search.
TRIPLES = 20_000
#: Exact best responses in turn, at most.
TURNS = 30
#: Soft responses in turn, at most; the temperatures tried, as shares of the span of each player's reward; how far a policy may move at rest (L1).
ROUNDS, SHARES, AT_REST = 200, (0.05, 0.2), 1e-7


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """A fixed point that responses in turn reached.

    Attributes
    ----------
    value : float
        The leader's.
    share : float
        Both temperatures as a share of the span of the player's reward; 0 if responses are exact.
    profile : Profile
        With concept ``"fixed_point"``, to be certified by the game.
    """

    value: float
    share: float
    profile: Profile


def reached(game: StackelbergGame, policy: Array) -> FixedPoint | None:
    """The fixed point that responses in turn reach from a leader policy [S, A]; None if they do not come to rest.

    Also None for batches, leaders that do not see the state (their best response is a POMDP), and games of more than `TRIPLES` triples.
    """
    if game.batch or not game.leader_sees_state or math.prod(game.shape) > TRIPLES:
        return None
    return _exact(game, policy) or _soft(game, policy)


def _exact(game: StackelbergGame, policy: Array) -> FixedPoint | None:
    _, A, B = game.shape
    seen = set[bytes]()
    while len(seen) < TURNS:
        answer = one_hot(optimal_value(follower_mdp(game, policy)).action_values.argmax(-1), B)
        best = optimal_value(leader_mdp(game, answer)).action_values
        new = one_hot(best.argmax(-1), A)
        if np.array_equal(new, policy):
            value = float(leader_value(game, policy, answer))
            return FixedPoint(value, 0.0, Profile(policy, answer, concept="fixed_point", claim=value))
        if new.tobytes() in seen:
            return None
        seen.add(new.tobytes())
        policy = new
    return None


def _soft(game: StackelbergGame, policy: Array) -> FixedPoint | None:
    spans = float(np.ptp(game.leader_reward)) or 1.0, float(np.ptp(game.follower_reward)) or 1.0
    for share in SHARES:
        mine, theirs = share * spans[0], share * spans[1]
        x, follower, leader = policy, None, None
        for k in range(ROUNDS):
            y = follower_response(game, x, theirs, start=follower)
            new = leader_response(game, y.policy, mine, start=leader)
            follower, leader = y.optimum.value, new.optimum.value
            moved = float(np.abs(new.policy - x).sum(-1).max())
            if moved <= AT_REST:
                value = float(leader_value(game, x, y.policy))
                profile = Profile(x, y.policy, "fixed_point", "max-ent", theirs, mine, claim=value)
                return FixedPoint(value, share, profile)
            x = x + (new.policy - x) / (2.0 + k / 10.0)  # shorter steps where longer ones go round in circles
    return None
