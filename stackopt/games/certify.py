"""The certificate of a policy pair: everything recomputed from the tensors, trusting no method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stackopt.bounds.lipschitz import work
from stackopt.bounds.relaxation import commitment_gap
from stackopt.certificate import Bound, Certificate, Check
from stackopt.display import number
from stackopt.errors import InvalidCandidate
from stackopt.games.checks import largest_loss, restated, simplex
from stackopt.games.constants import too_large
from stackopt.games.dynamic_programming import Optimum, optimal_value, policy_value
from stackopt.games.near_fixed_point import nearness
from stackopt.games.operators import Array, follower_mdp, leader_mdp
from stackopt.games.profile import Profile
from stackopt.games.relaxations import upper_bounds
from stackopt.games.responses import commitment, follower_response, leader_response, leader_value
from stackopt.games.stackelberg import StackelbergGame

#: Largest L1 distance per state between a policy and the response it is said to be.
POLICY_TOLERANCE = 1e-6
#: Relative error allowed in the best responses that the certificate computes for itself.
SOLVE_TOLERANCE = 1e-8
#: Linear programs for a sharper bound on the best commitment up to this many (state, action, action) triples.
PROGRAM_TRIPLES = 2_000
#: The distance to a soft fixed point is bounded where the constants take at most this many multiplications.
CONSTANTS_WORK = 1e8
#: Policies of at most this many observations and actions, of games of at most this many states, are printed with a solution.
PRINTED_ROWS, PRINTED_STATES = 12, 1_000

CONCEPTS = {
    "strong": "commitment, ties for the leader",
    "weak": "commitment, ties against the leader",
    "relaxed": "commitment, the follower gives up to a margin of its value for the leader",
    "commitment": "commitment to a soft follower (J_tau)",
    "fixed_point": "fixed point: each answers the other's fixed policy",
}

#: Where the bound says that there is only one.
UNIQUE = {"B4.2": "anywhere", "B4.4": "nearby"}


def certify(game: StackelbergGame, profile: Profile) -> Certificate:
    """Recompute values, regrets and residuals of `profile`.

    Values (arrays over the batch): ``strong`` and ``weak`` commitment value of the leader's policy (the follower
    best-responds, ties for / against the leader), ``margin`` the weak value with the profile's margin, ``own_follower``
    the leader's value under the profile's follower, ``follower`` the follower's best value, ``follower_regret`` and
    ``leader_regret`` the largest loss over states against the other's *fixed* policy.

    Raises
    ------
    InvalidCandidate
        If the policies do not fit the game.
    """
    x, y = policies(game, profile)
    checks = [simplex("leader policy is a policy", x), simplex("follower policy is a policy", y)]
    if not all(c.passed for c in checks):  # nothing can be said about what is not a policy
        return Certificate(tuple(checks))
    committed = commitment(game, x)
    own = leader_value(game, x, y)
    follower_loss = committed.follower.value - policy_value(follower_mdp(game, x), y)
    leader_best = optimal_value(leader_mdp(game, y))
    leader_loss = leader_best.value - policy_value(leader_mdp(game, y), x)
    values = {
        "strong": committed.strong,
        "weak": committed.weak,
        "own_follower": own,
        "follower": np.einsum("...s,...s->...", game.initial, committed.follower.value),
        "follower_regret": np.maximum(follower_loss, 0.0).max(-1),
        "leader_regret": np.maximum(leader_loss, 0.0).max(-1),
    }
    objective = "strong"
    if profile.concept == "weak":
        objective = "weak"
        if profile.margin:
            values["margin"] = commitment(game, x, profile.margin).weak
            objective = "margin"
    if profile.concept == "relaxed":
        objective = "own_follower"
    checks += [
        _solved(game, committed.follower, leader_best),
        _observed(game, x),
        *_response_checks(game, profile, x, y, follower_loss),
    ]
    if profile.claim is not None:
        checks.append(restated(profile.claim, own if profile.concept in ("commitment", "fixed_point") else values[objective]))
    bounds = (*_upper_bounds(game, committed.strong), *_only_fixed_point(game, profile, x)) if not game.batch else ()
    scalars = {k: (float(v) if np.ndim(v) == 0 else v) for k, v in values.items()}
    return Certificate(tuple(checks), scalars, bounds, objective, _notes(game, committed.smallest_gap, profile))


def policies(game: StackelbergGame, profile: Profile) -> tuple[Array, Array]:
    """Both policies of `profile` as arrays [..., S, A] and [..., S, B], or InvalidCandidate if they do not fit `game`."""
    S, A, B = game.shape
    for name, axes, policy, count in (
        ("leader_policy", "[..., S, A]", profile.leader_policy, A),
        ("follower_policy", "[..., S, B]", profile.follower_policy, B),
    ):
        if np.shape(policy) != (*game.batch, S, count):
            raise InvalidCandidate("candidate", array=name, axes=axes, expected=(*game.batch, S, count), got=np.shape(policy))
    return np.asarray(profile.leader_policy, float), np.asarray(profile.follower_policy, float)


def _solved(game: StackelbergGame, follower: Optimum, leader: Optimum) -> Check:
    """The certificate's own optima: how far they can be from the true ones, relative to their size."""
    errors = [
        optimum.residuals / (1.0 - discount) / (1.0 + np.abs(optimum.value).max(-1))
        for optimum, discount in ((follower, game.follower_discount), (leader, game.leader_discount))
    ]
    return Check("best responses are solved", float(np.max(errors)), SOLVE_TOLERANCE, "Bellman residual / (1 - discount), relative, of the certificate itself")


def _observed(game: StackelbergGame, x: Array) -> Check:
    classes = int(game.observations.max()) + 1
    first = np.array([int(np.flatnonzero(game.observations == o)[0]) for o in range(classes)])
    residual = float(np.abs(x - x[..., first[game.observations], :]).max())
    return Check("leader uses what it observes", residual, 1e-9, f"constant on {classes} observation classes")


def _response_checks(game: StackelbergGame, profile: Profile, x: Array, y: Array, follower_loss: Array) -> list[Check]:
    checks = []
    if profile.concept == "relaxed":
        size = np.abs(policy_value(follower_mdp(game, x), y)).max(-1)
        checks.append(largest_loss(follower_loss.max(-1) - profile.margin, size, f"largest loss over states, beyond the margin {number(profile.margin)}"))
    elif profile.response == "best":
        size = np.abs(policy_value(follower_mdp(game, x), y)).max(-1)
        checks.append(largest_loss(follower_loss.max(-1), size, "largest loss over states against its best response"))
    else:
        response = follower_response(game, x, profile.temperature, profile.response)
        distance = float(np.abs(y - response.policy).sum(-1).max())
        because = f"{profile.response} at temperature {number(profile.temperature)}"
        checks.append(Check("follower plays its soft response", distance, POLICY_TOLERANCE, because))
    if profile.concept == "fixed_point" and profile.leader_temperature == 0.0 and profile.response == "best":
        mine = leader_mdp(game, y)  # any best response will do: at a mixed fixed point there are many
        own = policy_value(mine, x)
        loss = (optimal_value(mine).value - own).max(-1)
        checks.append(largest_loss(loss, np.abs(own).max(-1), "largest loss over states against its best response", who="leader"))
    elif profile.concept == "fixed_point":
        response = leader_response(game, y, profile.leader_temperature, profile.response)
        distance = float(np.abs(x - response.policy).sum(-1).max())
        because = f"{profile.response} at temperature {number(profile.leader_temperature)}"
        checks.append(Check("leader plays its soft response", distance, POLICY_TOLERANCE, because))
    return checks


def _upper_bounds(game: StackelbergGame, strong: Array) -> tuple[Bound, ...]:
    """How far the commitment can be from the best one: the least of U1, U2, U3, less S_0(x)  [B8.5]."""
    S, A, B = game.shape
    bounds = upper_bounds(game, programs=S * A * B <= PROGRAM_TRIPLES)
    return (commitment_gap(min(bounds, key=lambda b: b.value), float(strong)),) if bounds else ()


def _only_fixed_point(game: StackelbergGame, profile: Profile, x: Array) -> tuple[Bound, ...]:
    """How far a soft fixed point can be, where it is the only one: everywhere [B4.2] and nearby [B4.4]."""
    soft = profile.concept == "fixed_point" and profile.response != "best" and profile.leader_temperature > 0.0
    if not soft or not game.leader_sees_state or too_large(game) or work(*game.shape) > CONSTANTS_WORK:
        return ()
    near = nearness(game, profile, x)
    return (near.whole, near.local.bound)


def _notes(game: StackelbergGame, gap: float, profile: Profile) -> tuple[str, ...]:
    scale = 1.0 + float(np.abs(game.follower_reward).max()) / (1.0 - game.follower_discount)
    if profile.concept in ("strong", "weak") and gap <= 1e-6 * scale:
        return (f"near-tie: the follower's second-best action is only {number(gap)} worse; floating point decides such ties arbitrarily",)
    return ()


def _beside(v: Mapping[str, Any], profile: Profile) -> str:
    """What the leader has if nobody commits, and what its commitment gains."""
    own = {"strong": "strong", "weak": "margin" if "margin" in v else "weak"}.get(profile.concept, "own_follower")
    share = v["fixed_point_share"]
    players = f"soft players, temperature {100 * share:g} % of their rewards' span" if share else "best responses to each other"
    return f"{number(v['fixed_point'])}  by {players} (commitment gains {number(v[own] - v['fixed_point'])})  [A2]"


def summarize(game: StackelbergGame, profile: Profile, certificate: Certificate) -> list[tuple[str, str]]:
    """Rows for a printed `Solution`: two leader values, certified first (theory A.2, B7), then regrets and gap."""
    v = certificate.values
    if not v:
        return [("leader value", "not computed: the candidate is not a policy pair")]
    same = np.allclose(v["strong"], v["weak"], rtol=1e-9, atol=1e-12)
    certified = (
        f"{number(v['strong'])}  if the follower best-responds (strong = weak)" if same
        else f"{number(v['strong'])} strong, {number(v['weak'])} weak  if the follower best-responds"
    )
    rows = [("leader value", certified)]
    if profile.response != "best":
        rows.append(("", f"{number(v['own_follower'])}  under its own {profile.response} follower, temperature {number(profile.temperature)}"))
    if profile.concept == "relaxed":
        rows.append(("", f"{number(v['own_follower'])}  if the follower gives up {number(v['follower_regret'])} of the {number(profile.margin)} it may"))
    if "margin" in v:
        rows.append(("", f"{number(v['margin'])}  weak, responses within {number(profile.margin)} counted as ties"))
    if "fixed_point" in v:
        rows.append(("fixed point", _beside(v, profile)))
    rows.append(("concept", CONCEPTS[profile.concept]))
    for b in certificate.bounds:
        if b.applies and b.reference in UNIQUE:
            rows.append(("uniqueness", f"the only soft fixed point {UNIQUE[b.reference]} is within {number(b.value, 2)} of this policy  [{b.reference}]"))
        elif b.applies:
            rows.append(("gap", f"at most {number(b.value)} below the best commitment  [{b.reference}]"))
    rows.append(("regret", f"{number(v['follower_regret'])} follower, {number(v['leader_regret'])} leader, each against the other's fixed policy"))
    A, names = game.shape[1], game.observation_names() if game.shape[0] <= PRINTED_STATES else ()
    if not game.batch and 0 < len(names) <= PRINTED_ROWS and A <= PRINTED_ROWS:
        actions = game.leader_actions or tuple(f"a{a}" for a in range(A))
        for o, name in enumerate(names):
            x = profile.leader_policy[int(np.flatnonzero(game.observations == o)[0])]
            mix = {actions[a]: float(x[a]) for a in range(A) if x[a] > 5e-5}
            played = "  ".join(action if len(mix) == 1 else f"{action} ({100 * share:.4g} %)" for action, share in mix.items())
            rows.append(("leader policy" if o == 0 else "", f"{name}:  {played}"))
    return rows
