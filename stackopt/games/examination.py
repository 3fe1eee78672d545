r"""Everything measured on one candidate against the bound proved for it, with the bounds that do not apply among them.

A list of `Examination`s: the same quantity that a bound is about is computed from the tensors and held against it. A bound
whose assumptions fail, or which a large game makes too expensive, is listed as not applicable with the figure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from stackopt.bounds import fixed_point, lipschitz, occupancy, relaxation, sandwich, softmax
from stackopt.bounds.contraction import vacuity
from stackopt.bounds.lipschitz import Constants
from stackopt.certificate import Assumption, Bound, Examination
from stackopt.display import number
from stackopt.errors import InvalidGame
from stackopt.games.certify import policies
from stackopt.games.constants import both_constants, too_large
from stackopt.games.dynamic_programming import Optimum, discounted_visits, optimal_value, policy_value
from stackopt.games.near_fixed_point import nearness
from stackopt.games.operators import (
    Array,
    Mdp,
    argmax_uniform,
    entropy,
    follower_mdp,
    leader_mdp,
    leader_reward_mdp,
    policy_kernel,
)
from stackopt.games.profile import Profile
from stackopt.games.relaxations import JOINT_TRIPLES, actions_within, strong_within, upper_bounds, weak_within
from stackopt.games.responses import Commitment, SoftResponse, commitment, soft_response, tie_width
from stackopt.games.stackelberg import StackelbergGame

#: Rounding allowance of every comparison, relative to the size of the values involved.
ROUNDING = 1e-8
#: Dense kernels [S, S] and repeated decision processes up to this many states.
STATES = 2_000
#: Decision processes with S * B * S entries above this are solved once, not once per multiplier.
ENTRIES = 4_000_000
#: Steps of the fixed-point map when a candidate is refined to measure its distance.
REFINEMENTS = 400


def examinations(game: StackelbergGame, profile: Profile, best_commitment: float | None = None) -> tuple[Examination, ...]:
    """Measured quantities of `profile` against the bounds of the theory.

    Parameters
    ----------
    game : StackelbergGame
        A single game.
    profile : Profile
    best_commitment : float, optional
        The strong commitment value over all leader policies, where an exact method found it. With it the commitment gap is
        measured; without it only the attained value is held against the upper bound.

    Returns
    -------
    tuple of Examination
        Softmax distance [B1.1], the follower's loss [B2.1, B2.2], reaction to a change of the leader [B3.4], distance to the
        fixed point [B4.2, B4.4], what contraction says about values [B4.5], visits [B5.1], sandwich of the leader's value
        [B7.1, B7.2], commitment gap [B8.5], regrets [B11.3]. Those that do not apply say why.

    Raises
    ------
    InvalidGame
        For a batch: examine ``game[i]``.
    InvalidCandidate
        If the policies do not fit the game.
    """
    if game.batch:
        raise InvalidGame("batch", what="examinations are of a single game and its candidate")
    c = _Candidate(game, profile, *policies(game, profile))
    return (
        *_softmax(c), *_follower_loss(c), *_reaction(c), *_distance(c), *_visits(c), *_sandwich(c), *_commitment_gap(c, best_commitment), *_regrets(c),
    )


@dataclass(eq=False)
class _Candidate:
    """A profile and what several examinations share, computed when first asked for."""

    game: StackelbergGame
    profile: Profile
    x: Array
    y: Array

    @cached_property
    def follower(self) -> Mdp:
        return follower_mdp(self.game, self.x)

    @cached_property
    def committed(self) -> Commitment:
        return commitment(self.game, self.x)

    @cached_property
    def response(self) -> SoftResponse:
        return soft_response(self.follower, self.profile.temperature, self.profile.response)

    @cached_property
    def leader_response(self) -> SoftResponse:
        return soft_response(leader_mdp(self.game, self.y), self.profile.leader_temperature, self.profile.response)

    @cached_property
    def follower_loss(self) -> Array:
        """V* - V^y at every state."""
        return np.maximum(self.committed.follower.value - policy_value(self.follower, self.y), 0.0)

    @cached_property
    def entropy_visits(self) -> Array:
        """Discounted entropy of the follower's policy from every state."""
        return policy_value(Mdp(np.zeros_like(self.y), self.follower.transition, self.follower.discount), self.y, entropy(self.y))

    @cached_property
    def leader_value(self) -> float:
        return float(self.game.initial @ policy_value(leader_reward_mdp(self.game, self.x), self.y))

    @cached_property
    def constants(self) -> tuple[Constants, Constants]:
        """The leader's and the follower's; ask `why_not` first."""
        return both_constants(self.game)

    @property
    def why_no_constants(self) -> str:
        return too_large(self.game)

    @property
    def why_not_dense(self) -> str:
        """Why kernels [S, S] and repeated solves are not attempted; empty if they are."""
        S, _, B = self.game.shape
        if S > STATES:
            return f"{S} states, more than {STATES}"
        return f"{S * B * S} transitions of the follower, more than {ENTRIES}" if S * B * S > ENTRIES else ""

    @property
    def soft(self) -> bool:
        return self.profile.response != "best"

    def policy_slack(self, optimum: Optimum) -> float:
        """How much the follower's loss may exceed a bound on the exact softmax because `y` and its values are rounded."""
        off = float(np.abs(self.y - self.response.policy).sum(-1).max())
        spread = float(np.ptp(optimum.action_values, axis=-1).max())
        return (0.5 * off * spread + optimum.residual) / (1.0 - self.game.follower_discount) + _rounding(optimum.value)


def _rounding(*sizes: Array | float) -> float:
    return ROUNDING * (1.0 + max(float(np.abs(size).max()) for size in sizes))


def _not(of: str, reference: str, statement: str, because: str, remedy: str = "") -> Examination:
    """An examination that does not apply, with its reason."""
    return Examination(math.nan, Bound(math.nan, of, reference, (Assumption(statement, False, because),), remedy=remedy))


def _affordable(of: str, reference: str, because: str) -> Examination:
    return _not(of, reference, "small enough to compute", because, "a smaller game of the same kind")


# --- one player: B1, B2, B3, B5 -----------------------------------------------------------------------------------------


def _softmax(c: _Candidate) -> Iterator[Examination]:
    if not c.soft:
        yield _not("distance of the softmax to the best actions", "B1.1", "the response is a softmax", "it is a best response")
        return
    tau, q = c.profile.temperature, c.response.optimum.action_values
    width = tie_width(q)
    distance = float(np.abs(c.response.policy - argmax_uniform(q, width)).sum(-1).max())
    yield Examination(distance, softmax.softmax_to_argmax(q, tau, width), width / tau + 1e-12)


def _follower_loss(c: _Candidate) -> Iterator[Examination]:
    tau, model, B = c.profile.temperature, c.profile.response, c.game.shape[2]
    loss = float(c.follower_loss.max())
    if not c.soft:
        yield _not("follower's loss", "B2.1", "the response is max-ent", "it is a best response")
        yield _not("follower's loss", "B2.2", "the response is boltzmann", "it is a best response")
        return
    optimum = c.response.optimum
    size = float(np.abs(optimum.value).max())
    off = float(np.abs(c.y - c.response.policy).sum(-1).max())
    discount, residual, slack = c.game.follower_discount, optimum.residual, c.policy_slack(optimum)
    yield Examination(loss, softmax.max_ent_loss(B, tau, discount, model=model, distance=off, residual=residual, size=size), slack)
    visits = float(c.entropy_visits.max())
    yield Examination(loss, softmax.max_ent_loss_measured(visits, tau, model=model, distance=off, residual=residual, size=size), slack)
    yield Examination(loss, softmax.boltzmann_loss(B, tau, discount, model=model, distance=off, residual=residual, size=size), slack)


def _reaction(c: _Candidate) -> Iterator[Examination]:
    """How far the follower moves when the leader moves one hundredth of the way to an even choice."""
    of = "change of the soft response"
    if not c.soft:
        yield _not(of, "B3.4", "the response is soft", "a best response jumps where the best action changes", "a soft response")
        return
    if c.why_no_constants:
        yield _affordable(of, "B3.4", c.why_no_constants)
        return
    even = 0.99 * c.x + 0.01 / c.game.shape[1]
    moved = soft_response(follower_mdp(c.game, even), c.profile.temperature, c.profile.response)
    measured = float(np.abs(moved.policy - c.response.policy).sum(-1).max())
    step = float(np.abs(even - c.x).sum(-1).max())
    slack = sum(_response_error(c.constants[1], c.profile.temperature, r.optimum) for r in (moved, c.response))
    yield Examination(measured, lipschitz.response_change(c.constants[1], c.profile.temperature, step), slack)


def _response_error(constants: Constants, temperature: float, optimum: Optimum) -> float:
    """How far a soft response can be from the exact one, for the rounding of a comparison."""
    size = float(np.abs(optimum.action_values).max())
    return lipschitz.response_error(constants, temperature, optimum.residual, size) + 1e-12


def _visits(c: _Candidate) -> Iterator[Examination]:
    """Discounted visits under the candidate's follower against those under its hard response."""
    of = "change of the discounted visits"
    S = c.game.shape[0]
    if c.why_not_dense:
        yield _affordable(of, "B5.1", c.why_not_dense)
        return
    discount = c.game.follower_discount
    hard = argmax_uniform(c.committed.follower.action_values, tie_width(c.committed.follower.action_values))
    visits = [(1.0 - discount) * discounted_visits(c.follower, policy, c.game.initial) for policy in (c.y, hard)]
    kernels = [policy_kernel(c.follower, policy) for policy in (c.y, hard)]
    dense = [k if isinstance(k, np.ndarray) else k.toarray() for k in kernels]
    measured = float(np.abs(visits[0] - visits[1]).sum())
    yield Examination(measured, occupancy.visits_change(visits[0], dense[0], dense[1], discount), 1e-9 * S)
    if c.why_no_constants:
        yield _affordable(of, "B5.1 a priori", c.why_no_constants)
        return
    k = c.constants[1]
    distance = float(np.abs(c.y - hard).sum(-1).max())
    yield Examination(measured, occupancy.visits_change_a_priori(k.own_sway, k.mixing, discount, distance), 1e-9 * S)


# --- the fixed-point concept: B4, B11 -----------------------------------------------------------------------------------


def _why_no_fixed_point(c: _Candidate) -> tuple[str, str]:
    """(statement, figure) of what keeps the fixed-point bounds from applying; empty if nothing."""
    if c.profile.concept != "fixed_point":
        return "the candidate is meant as a fixed point", f"its concept is {c.profile.concept}"
    if not c.soft or c.profile.leader_temperature <= 0.0:
        return "both responses are soft", f"temperatures {number(c.profile.temperature)} and {number(c.profile.leader_temperature)}"
    if not c.game.leader_sees_state:
        classes = int(c.game.observations.max()) + 1
        return "the leader sees the state", f"{classes} observations of {c.game.shape[0]} states: its best response is a partially observed problem"
    return "", ""


def _distance(c: _Candidate) -> Iterator[Examination]:
    of = "distance to the soft fixed point"
    statement, because = _why_no_fixed_point(c)
    if statement:
        yield _not(of, "B4.2", statement, because)
        yield _not("distance to the only soft fixed point nearby", "B4.4", statement, because)
        return
    if c.why_no_constants:
        yield _affordable(of, "B4.2", c.why_no_constants)
        yield _affordable("distance to the only soft fixed point nearby", "B4.4", c.why_no_constants)
        return
    near = nearness(c.game, c.profile, c.x, constants=c.constants, follower=c.response)
    contraction, answer, whole, local = near.contraction, near.leader, near.whole, near.local
    measured, left = math.nan, 0.0
    if whole.applies or local.bound.applies:
        fixed, left = _refine(c, answer.policy)
        measured = float(np.abs(fixed - c.x).sum(-1).max())
    # errors of the responses, in the measurement and in the residual the bound is made of  [B4.3]
    e_l = _response_error(c.constants[0], c.profile.leader_temperature, answer.optimum)
    e_f = _response_error(c.constants[1], c.profile.temperature, c.response.optimum)
    for bound, modulus, slope in ((whole, contraction.modulus, contraction.leader_slope), (local.bound, local.modulus, local.leader_slope)):
        slack = (left + 2.0 * (e_l + slope * e_f)) / (1.0 - modulus) if bound.applies else 0.0
        yield Examination(measured, bound, slack)
    floor = vacuity(contraction, c.game.shape[2])
    if floor.applies and contraction.critical_temperature > 0.0:
        soft = soft_response(c.follower, contraction.critical_temperature)
        loss = float((c.committed.follower.value - policy_value(c.follower, soft.policy)).max())
        yield Examination(loss, floor, _rounding(c.committed.follower.value))
    else:
        yield Examination(0.0 if floor.applies else math.nan, floor)


def _refine(c: _Candidate, x: Array) -> tuple[Array, float]:
    """Iterate the soft fixed-point map from `x`; the last policy and the last residual."""
    residual, start = math.inf, None
    for _ in range(REFINEMENTS):
        response = soft_response(follower_mdp(c.game, x), c.profile.temperature, c.profile.response, start)
        start = response.optimum.value
        answer = soft_response(leader_mdp(c.game, response.policy), c.profile.leader_temperature, c.profile.response).policy
        residual = float(np.abs(answer - x).sum(-1).max())
        x = answer
        if residual <= 1e-12:
            break
    return x, residual


def _regrets(c: _Candidate) -> Iterator[Examination]:
    statement, because = _why_no_fixed_point(c)
    if statement:
        yield _not("follower's regret", "B11.3", statement, because)
        yield _not("leader's regret", "B11.3", statement, because)
        return
    (_, A, B), model = c.game.shape, c.profile.response
    optimum = c.response.optimum
    floor = fixed_point.follower_regret(B, c.profile.temperature, c.game.follower_discount, model)
    off = float(np.abs(c.y - c.response.policy).sum(-1).max())
    played = Assumption("the follower plays its soft response", off <= softmax.POLICY, f"distance {number(off, 2)}")
    yield Examination(float(c.follower_loss.max()), replace(floor, assumptions=(played,)), c.policy_slack(optimum))
    if c.why_no_constants:
        yield _affordable("leader's regret", "B11.3", c.why_no_constants)
        return
    mdp = leader_mdp(c.game, c.y)
    best = optimal_value(mdp).value
    regret = float(np.maximum(best - policy_value(mdp, c.x), 0.0).max())
    step = float(np.abs(c.leader_response.policy - c.x).sum(-1).max())
    slack = c.leader_response.optimum.residual / (1.0 - c.game.leader_discount) + _rounding(best)
    yield Examination(regret, fixed_point.leader_regret(c.constants[0], A, c.profile.leader_temperature, step, model), slack)


# --- commitment: B7, B8 -------------------------------------------------------------------------------------------------


def _sandwich(c: _Candidate) -> Iterator[Examination]:
    game, value = c.game, c.leader_value
    if c.why_not_dense:
        for tag in ("B7.1", "B7.2"):
            yield _affordable(sandwich.LEADER_VALUE, tag, c.why_not_dense)
        return
    slack = _rounding(value, c.committed.follower.value)
    if game.leader_discount == game.follower_discount:
        loss = float(game.initial @ c.follower_loss)
        epsilon = _epsilon(c, loss)
        best = float(game.initial @ c.committed.follower.value)
        ends = weak_within(game, c.x, epsilon, best).value, strong_within(game, c.x, epsilon, best).value
    else:
        loss, epsilon, ends = 0.0, 0.0, (math.nan, math.nan)
    for bound in sandwich.value_sandwich(*ends, epsilon, loss, game.leader_discount, game.follower_discount):
        yield Examination(value, bound, slack)
    if c.why_no_constants:
        yield _affordable(sandwich.LEADER_VALUE, "B7.2", c.why_no_constants)
        return
    lower, upper = _action_sandwich(c)
    yield Examination(value, lower, slack)
    yield Examination(value, upper, slack)


def _epsilon(c: _Candidate, measured: float) -> float:
    r"""The proved loss of the candidate's follower from the initial distribution, a posteriori where the model is max-ent.

    A follower that is not exactly its response gets its own measured loss instead, which is always right.
    """
    if not c.soft or float(np.abs(c.y - c.response.policy).sum(-1).max()) > softmax.POLICY:
        return measured
    if c.profile.response == "max-ent":
        proved = c.profile.temperature * float(c.game.initial @ c.entropy_visits)
    else:
        proved = sandwich.loss_a_priori(c.game.shape[2], c.profile.temperature, c.game.follower_discount, "boltzmann")
    return max(proved, measured)  # it plays its response up to rounding only


def _action_sandwich(c: _Candidate) -> tuple[Bound, Bound]:
    """B7.2 at the action gaps (multiples of the temperature) where each side is tightest."""
    gaps = c.committed.gaps
    width = tie_width(c.committed.follower.action_values)
    mdp = leader_reward_mdp(c.game, c.x)
    found = []
    for multiple in (0.0, 1.0, 4.0, 16.0) if c.soft else (0.0,):
        gap = max(multiple * c.profile.temperature, width)
        weak, strong = actions_within(c.game, c.x, gaps, gap)
        rest = np.where(gaps > gap, c.y, 0.0).sum(-1)
        tail = float(discounted_visits(mdp, c.y, c.game.initial) @ rest)
        found.append(sandwich.action_sandwich(weak, strong, max(tail, 0.0), c.constants[0].opponent_span, gap))
    return max((f[0] for f in found), key=lambda b: b.value), min((f[1] for f in found), key=lambda b: b.value)


def _commitment_gap(c: _Candidate, best_commitment: float | None) -> Iterator[Examination]:
    S, A, B = c.game.shape
    of = "gap of this commitment to the best one"
    if S * A * B > JOINT_TRIPLES:
        yield _affordable(of, "B8.5", f"{S * A * B} triples of state and actions, more than {JOINT_TRIPLES}")
        return
    attained = float(c.committed.strong)
    upper = min(upper_bounds(c.game, programs=not c.why_not_dense), key=lambda b: b.value)
    slack = _rounding(upper.value, attained)
    yield Examination(attained, replace(upper, of="value of this commitment"), slack)
    if best_commitment is not None:
        yield Examination(best_commitment - attained, relaxation.commitment_gap(upper, attained), slack + 1e-6 * (1.0 + abs(best_commitment)))
