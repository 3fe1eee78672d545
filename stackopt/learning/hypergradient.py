r"""Ascent on the soft commitment objective :math:`J_\tau(x)=\rho^\top V_L^{x,y_\tau(x)}` with its exact gradient  [C1].

The gradient has a direct term (the follower frozen) and a response term (how the follower's soft response moves). Leaving
out the second finds the wrong equilibrium  [C4]; `NaiveAscent` shows it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from stackopt.games.dynamic_programming import solve_values
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.operators import (
    Array,
    action_values,
    follower_mdp,
    leader_reward_mdp,
    one_hot,
    policy_kernel,
    policy_reward,
)
from stackopt.games.profile import Profile
from stackopt.games.responses import soft_response
from stackopt.games.simplex import project
from stackopt.games.stackelberg import StackelbergGame
from stackopt.learning.loop import State, advance, iterate, part, put, take
from stackopt.learning.settings import check_settings, refuses_other_problems
from stackopt.learning.simplex import first_order_gap, gather, spread
from stackopt.solution import Refusal, Report, Run

#: Sufficient increase asked of a step, as a fraction of what the linear model promises.
SUFFICIENT = 1e-4
#: Each trial of the line search is this fraction of the one before, and there are at most so many.
SHORTER, HALVINGS = 0.3, 20
#: A step may lower the value below the last few, but not below all of them (non-monotone line search).
MEMORY = 8
#: Steps without visible progress after which an ascent has stalled.
QUIET_STEPS = 60
#: Rungs of the ladder, by default, between a temperature at which the landscape is smooth and the one asked for.
RUNGS = 5
#: Steps on each rung while starts are compared, and the relative gap at which a rung is left.
RUNG_STEPS, RUNG_TOLERANCE = 40, 1e-4


@dataclass(frozen=True, eq=False)
class Hypergradient:
    r"""The objective and its gradient at a leader policy.

    Attributes
    ----------
    value : array [...]
        :math:`J_\tau(x)`.
    direct, response : array [..., S, A]
        The two terms of :math:`\partial J_\tau/\partial x(a|s)`, entries of x taken as free coordinates.
    follower_policy : array [..., S, B]
    follower_value : array [..., S]
        The value the response comes from; a warm start for a nearby policy.
    """

    value: Array
    direct: Array
    response: Array
    follower_policy: Array
    follower_value: Array


def commitment_gradient(
    game: StackelbergGame,
    leader_policy: Array,
    temperature: float,
    response: Literal["max-ent", "boltzmann"] = "max-ent",
    start: Array | None = None,
) -> Hypergradient:
    r"""The value of a commitment to a soft follower and its gradient, by adjoints  [C1].

    Parameters
    ----------
    leader_policy : array [..., S, A]
        Leading axes are those of the game, or any number in front of a single game.
    temperature : float
        Of the follower, in the units of its reward.
    response : str
        ``"max-ent"``: exact wherever the policy is interior. ``"boltzmann"``: :math:`J_\tau` is only Lipschitz, because
        :math:`Q^*` has kinks where the follower's best action changes; this is the gradient wherever it exists
        (almost everywhere), with the derivative :math:`dV^*=(I-\gamma P^{x,b^*})^{-1}(dQ)_{b^*}` of the optimal value.
    start : array [..., S], optional
        Warm start for the follower's value.

    Notes
    -----
    Cost: one soft solve and three linear solves, whatever the number of leader actions.
    """
    x = leader_policy
    if game.sparse and x.ndim > 2:  # one sparse kernel per policy: nothing to share
        starts = [None] * len(x) if start is None else start
        each = [commitment_gradient(game, x[i], temperature, response, starts[i]) for i in range(len(x))]
        return Hypergradient(*(np.stack([getattr(e, name) for e in each]) for name in Hypergradient.__dataclass_fields__))
    mdp = follower_mdp(game, x)
    solved = soft_response(mdp, temperature, response, start)
    y, follower_value = solved.policy, solved.optimum.value
    kernel = policy_kernel(mdp, y)
    leader = leader_reward_mdp(game, x)
    leader_value = solve_values(kernel, policy_reward(leader, y), game.leader_discount)
    visits = solve_values(kernel, game.initial, game.leader_discount, transpose=True)
    q_leader = game.leader_reward + game.leader_discount * _next(game, leader_value)
    q_follower = game.follower_reward + game.follower_discount * _next(game, follower_value)
    # how J moves with y, then with the follower's Q
    of_policy = visits[..., None] * action_values(leader, leader_value)
    of_q = y * (of_policy - (y * of_policy).sum(-1, keepdims=True)) / temperature
    # dV_F averages dQ under the policy that attains V_F: y itself (max-ent) or the best action (Boltzmann)
    attains = y if response == "max-ent" else one_hot(solved.optimum.action_values.argmax(-1), y.shape[-1])
    if game.follower_discount > 0.0:
        inflow = game.follower_discount * _previous(mdp, of_q)
        attained_kernel = kernel if response == "max-ent" else policy_kernel(mdp, attains)
        of_q = of_q + solve_values(attained_kernel, inflow, game.follower_discount, transpose=True)[..., None] * attains
    direct = visits[..., None] * np.matmul(q_leader, y[..., None])[..., 0]
    moved = np.matmul(q_follower, of_q[..., None])[..., 0]
    value = np.asarray((game.initial * leader_value).sum(-1))
    return Hypergradient(value, direct, moved, y, follower_value)


def _next(game: StackelbergGame, value: Array) -> Array:
    """The expected next value [..., S, A, B]."""
    if game.sparse:
        sparse: Array = (game.transition @ value).reshape(game.shape)
        return sparse
    S, A, B = game.shape
    P = game.transition.reshape(*game.batch, S, A * B, S)
    dense: Array = np.matmul(P, value[..., None, :, None])[..., 0]
    return dense.reshape(*dense.shape[:-1], A, B)


def _previous(mdp: Any, weights: Array) -> Array:
    """The transpose of `expected_next`: weights [..., S, B] carried one step along P, [..., S]."""
    if mdp.sparse:
        carried: Array = mdp.transition.T @ weights.ravel()
        return carried
    *lead, S, B = weights.shape
    flat: Array = np.matmul(weights.reshape(*lead, 1, S * B), mdp.transition.reshape(*mdp.transition.shape[:-3], S * B, S))[..., 0, :]
    return flat


@dataclass(frozen=True, eq=False)
class AscentState(State):
    """Where the ascent is.

    Attributes
    ----------
    by_observation : array [..., O, A]
        The leader policy on observation classes.
    gradient : array [..., O, A]
        Of the objective on observation classes.
    follower_value : array [..., S]
        Warm start of the follower's problem.
    length : array [...]
        The next step length (Barzilai-Borwein).
    recent : array [..., MEMORY]
        The last values, for the line search.
    smallest : array [...]
        The smallest residual so far.
    quiet : int array [...]
        Steps in a row without a higher value or a smaller residual.
    """

    by_observation: Array
    gradient: Array
    follower_value: Array
    length: Array
    recent: Array
    smallest: Array
    quiet: Any


@dataclass(frozen=True)
class HypergradientAscent:
    r"""Projected spectral gradient ascent on :math:`J_\tau`, warm-started down a ladder of temperatures.

    The objective is not concave and, at low temperatures, flat except near the follower's indifference. So the first state
    is searched for: several starts (uniform, each leader action held constant, random ones) climb together down two
    ladders, one that cools the follower from a temperature at which the landscape is smooth, one that also begins with a
    follower sharing the leader's interest; what they reach and the starts themselves then compete, and the best goes on.

    Parameters
    ----------
    temperature : float
        Of the follower, in the units of its reward.
    response : str
        ``"max-ent"``, or ``"boltzmann"``, whose gradient exists almost everywhere only: an ascent that ends at a kink
        reports LIMIT.
    tolerance : float
        On the first-order gap :math:`\sum_o(\max_ag_{oa}-\langle x_o,g_o\rangle)`, relative to
        :math:`1+|J|`. Zero exactly at first-order (KKT) points. It is not a bound on the distance to the global maximum.
    iterations : int
        The most steps at the final temperature.
    starts : int, optional
        How many starts are compared; by default 8, or 2 for a sparse game, which climbs from each in turn. 1 is the uniform
        policy alone, without the second ladder.
    annealing : int
        Rungs of each ladder; 0 compares the starts at the final temperature alone.

    Notes
    -----
    Above a population (`MeanFieldStackelbergGame`) it climbs the leader's value at the soft equilibrium, with the adjoint gradient of theory
    C2, from 4 starts by default; `annealing` does not apply, and the tolerance, at least 1e-6, is on the projected gradient step.
    """

    temperature: float
    response: Literal["max-ent", "boltzmann"] = "max-ent"
    tolerance: float = 1e-10
    iterations: int = 5000
    starts: int | None = None
    annealing: int = RUNGS

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f"hypergradient ascent tau={self.temperature:g}"

    def refuses(self, problem: Any) -> Refusal | None:
        """Only Stackelberg games, and populations of max-ent followers."""
        if isinstance(problem, MeanFieldStackelbergGame):
            return Refusal("population-response", because=f"response = {self.response!r}") if self.response != "max-ent" else None
        return refuses_other_problems(self, problem)

    def run(self, problem: Any, *, seed: int = 0, report: Report | None = None) -> Run[Any]:
        """Ascend; see `stackopt.learning.loop.iterate`, and `stackopt.learning.mean_field.leader_ascent` for populations."""
        if isinstance(problem, MeanFieldStackelbergGame):
            from stackopt.learning.mean_field.leader_ascent import ascend
            from stackopt.learning.mean_field.settling import settling

            tolerance = max(self.tolerance, 1e-6)  # equilibria are solved to about 1e-10
            settle, starts = settling(self.temperature), self.starts or 4
            return ascend(
                problem, self.temperature, settle, tolerance=tolerance, iterations=self.iterations, starts=starts, seed=seed, name=self.name, report=report
            )
        return iterate(self, problem, seed=seed, report=report)

    def init(self, game: StackelbergGame, seed: int) -> AscentState:
        """The best of several starts, climbed down the ladders."""
        starts = self.starts or (2 if game.sparse else 8)
        cold = _start_policies(game, starts, seed)  # [rows, O, A]
        owner = np.tile(np.arange(len(cold) // starts), starts)  # the game of each row
        search = replace(self, tolerance=RUNG_TOLERANCE, iterations=RUNG_STEPS)
        routes = [(cold, owner)] if starts > 1 else []  # a ladder can lead away from a good start
        for cooperation in (0.0, 1.0) if starts > 1 else (0.0,):
            policies, owners = cold, owner
            for rung in range(self.annealing, 0, -1):
                games = part(_rung(game, self.temperature, rung / self.annealing, cooperation), owners)
                state, _, _ = advance(search, games, search.at(games, policies))
                policies, owners = _distinct(state.by_observation, owners)
            routes.append((policies, owners))
        policies, owners = _distinct(*(np.concatenate(parts) for parts in zip(*routes)))
        games = part(game, owners)
        state = self.at(games, policies)
        if starts > 1:
            state, _, _ = advance(search, games, state)
        order = np.lexsort((-state.value, owners))
        best = order[np.unique(owners[order], return_index=True)[1]]  # of each game the row with the largest value
        chosen = state.by_observation[best].reshape(*game.batch, *cold.shape[-2:])
        return self.at(game, chosen, state.follower_value[best].reshape(*game.batch, -1))

    def at(self, game: StackelbergGame, by_observation: Array, follower_value: Array | None = None) -> AscentState:
        """The state at a leader policy on observation classes [..., O, A]."""
        g = commitment_gradient(game, spread(game, by_observation), self.temperature, self.response, follower_value)
        gradient = gather(game, g.direct + g.response)
        size = np.abs(gradient).max((-1, -2))
        return AscentState(
            leader_policy=spread(game, by_observation),
            follower_policy=g.follower_policy,
            value=g.value,
            stalled=np.zeros(g.value.shape, bool),
            by_observation=by_observation,
            gradient=gradient,
            follower_value=g.follower_value,
            length=1.0 / np.maximum(size, 1e-300),
            recent=np.repeat(g.value[..., None], MEMORY, -1),
            smallest=np.full(g.value.shape, np.inf),
            quiet=np.zeros(g.value.shape, int),
        )

    def step(self, game: StackelbergGame, state: AscentState) -> AscentState:
        """One projected spectral step with a non-monotone Armijo line search, for every game of the batch at once."""
        z, rounding = state.by_observation, _rounding(game, state.value)
        move = project(z + state.length[..., None, None] * state.gradient) - z
        promised = (move * state.gradient).sum((-1, -2))
        floor = state.recent.min(-1) - rounding
        new = self.at(game, z + move, state.follower_value)
        pending = ~(new.value >= floor + SUFFICIENT * promised)  # rows whose step is still too long
        fraction = 1.0
        for _ in range(HALVINGS):
            if not pending.any():
                break
            fraction *= SHORTER
            rows = np.flatnonzero(pending)
            sub, shorter = take(state, rows), np.reshape(fraction * move, (-1, *move.shape[-2:]))[rows]
            if not np.ndim(state.value):
                shorter = shorter[0]
            trial = self.at(part(game, rows), sub.by_observation + shorter, sub.follower_value)
            new = put(new, np.shape(state.value), rows, trial)
            pending = ~(new.value >= floor + SUFFICIENT * fraction * promised) & pending
        new = _merge(pending, state, new)  # no step was short enough: stay
        moved, change = new.by_observation - z, new.gradient - state.gradient
        curvature = -(moved * change).sum((-1, -2))
        squared = (moved * moved).sum((-1, -2))
        longest = 1e3 / np.maximum(np.abs(new.gradient).max((-1, -2)), 1e-300)
        length = np.where(curvature > 0, squared / np.where(curvature > 0, curvature, 1.0), longest)
        residual = self.residual(game, new)
        progress = (new.value > state.recent.max(-1) + rounding) | (residual < 0.9 * state.smallest)
        quiet = np.where(progress, 0, state.quiet + 1)
        return replace(
            new,
            length=np.where(pending, state.length * 0.1, np.clip(length, 1e-12, longest)),
            recent=np.concatenate([state.recent[..., 1:], new.value[..., None]], -1),
            smallest=np.minimum(residual, state.smallest),
            quiet=quiet,
            stalled=pending | (quiet >= QUIET_STEPS),
        )

    def residual(self, game: StackelbergGame, state: AscentState) -> Array:
        """The first-order gap relative to 1 + |J|, [...]."""
        gap: Array = first_order_gap(state.by_observation, state.gradient) / (1.0 + np.abs(state.value))
        return gap

    def candidate(self, state: AscentState) -> Profile:
        """The commitment, with J_tau as its claim."""
        return Profile(
            state.leader_policy, state.follower_policy, "commitment", self.response, temperature=self.temperature, claim=state.value
        )


def _rounding(game: StackelbergGame, value: Array) -> Array:
    """How far apart two values can be and still be the same number to the linear solves."""
    size: Array = 1e-15 * (np.abs(value) + np.abs(game.leader_reward).max((-1, -2, -3))) / (1.0 - game.leader_discount)
    return size


def _merge(mask: np.ndarray, new: AscentState, old: AscentState) -> AscentState:
    fields = {}
    for name in AscentState.__dataclass_fields__:
        a, b = np.asarray(getattr(new, name)), np.asarray(getattr(old, name))
        fields[name] = np.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a, b)
    return replace(old, **fields)


def _distinct(policies: Array, owners: np.ndarray) -> tuple[Array, np.ndarray]:
    """One row of each group of nearly equal policies of the same game."""
    keys = np.concatenate([owners[:, None], np.round(policies.reshape(len(policies), -1), 3)], 1)
    kept = np.sort(np.unique(keys, axis=0, return_index=True)[1])
    return policies[kept], owners[kept]


def _rung(game: StackelbergGame, temperature: float, height: float, cooperation: float) -> StackelbergGame:
    r"""The game as it looks from a hotter temperature, and to a follower that shares some of the leader's interest.

    From height 1, where the temperature is half the range of the follower's rewards, down to height 0, the game itself. Only
    the ratio of reward to temperature matters to a soft follower, so the reward is scaled down and the temperature kept;
    that way every game of a batch has a ladder of its own.
    """
    follower, leader = (np.ptp(r, axis=(-1, -2, -3), keepdims=True) for r in (game.follower_reward, game.leader_reward))
    ratio = np.maximum(0.5 * follower / temperature, 1.0)  # of the hottest temperature to the one asked for
    shared = cooperation * ratio ** (height - 1.0) * follower / np.where(leader > 0, leader, 1.0)
    hotter = copy.copy(game)
    object.__setattr__(hotter, "follower_reward", (game.follower_reward + shared * game.leader_reward) / ratio**height)
    return hotter


def _start_policies(game: StackelbergGame, starts: int, seed: int) -> Array:
    """Starts on observation classes [starts * games, O, A]: uniform, constant actions, then random ones.

    Every start is mixed with a little of the uniform policy, so that no action begins with probability 0.
    """
    classes, A = int(game.observations.max()) + 1, game.shape[1]
    rng = np.random.default_rng(seed)
    uniform = np.full((classes, A), 1.0 / A)
    policies = [uniform]
    policies += [np.repeat(np.eye(A)[a][None], classes, 0) for a in range(A)]
    while len(policies) < starts:
        policies.append(rng.dirichlet(np.ones(A), classes))
    mixed = 0.9 * np.stack(policies[:starts]) + 0.1 * uniform
    games = int(np.prod(game.batch))
    return np.repeat(mixed, games, 0)
