"""Softmax policy iteration for leader-follower games: the learner at the centre of the package, in both concepts."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from stackopt.errors import InvalidMethod
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.operators import Array
from stackopt.games.profile import Profile
from stackopt.games.responses import follower_response, leader_response, leader_value
from stackopt.games.stackelberg import StackelbergGame
from stackopt.learning.hypergradient import RUNG_STEPS, RUNG_TOLERANCE, RUNGS, AscentState, HypergradientAscent
from stackopt.learning.loop import State, advance, iterate
from stackopt.learning.mean_field.settings import followers_at
from stackopt.learning.mean_field.settings import refuses as refuses_population
from stackopt.learning.mean_field.soft_iteration import softmax_policy_iteration
from stackopt.learning.settings import check_settings, refuses_other_problems
from stackopt.learning.simplex import distance
from stackopt.solution import Refusal, Report, Run


@dataclass(frozen=True, eq=False)
class ResponseState(State):
    """A leader policy, the follower's soft response to it, and the leader's soft response to that.

    Attributes
    ----------
    target : array [..., S, A]
        The leader's response to `follower_policy`: the map whose fixed point is sought, at `leader_policy`.
    follower_values, leader_values : array [..., S]
        Values the responses come from; warm starts.
    """

    target: Array
    follower_values: Array
    leader_values: Array


@dataclass(frozen=True)
class SoftmaxPolicyIteration:
    r"""Softmax policy iteration, for a commitment or for a fixed point.

    ``concept="commitment"``: the leader maximises :math:`J_\tau(x)=\rho^\top V_L^{x,y_\tau(x)}` knowing that the follower
    re-optimises; hypergradient ascent with the exact gradient [C1], see `HypergradientAscent`.

    ``concept="fixed_point"``: alternating soft best responses :math:`x\leftarrow(1-d)\,\Phi(x)+d\,x`,
    :math:`\Phi=\mathrm{BR}_L\circ\mathrm{BR}_F`, d the damping  [A.3, B11.3]. The leader does not anticipate the response, so
    its value is at most that of the best commitment [A2].

    Of a `MeanFieldStackelbergGame` at one decision (`game.at(theta)`) it is the iteration of the whole population,
    :math:`y\leftarrow(1-d)\,\mathrm{softmax}(Q_\tau/\tau)+d\,y` with :math:`Q_\tau` of the population that y brings about: its fixed points are
    the soft equilibria. `MeanFieldEquilibrium` with a temperature finds them also where this iteration cycles.

    Parameters
    ----------
    temperature : float
        Of the follower, in the units of its reward.
    concept : str
        ``"commitment"`` or ``"fixed_point"``.
    response : str
        ``"max-ent"``: softmax of the soft-optimal Q. ``"boltzmann"``: softmax of the unregularised optimal Q. Two different
        models (A.4); a fixed point uses the same one on both sides.
    leader_temperature : float, optional
        Of the leader's response at a fixed point; the follower's by default. Commitment ignores it.
    damping : float
        In [0, 1), fixed point only: the weight of the old policy. The fixed points do not depend on it.
    tolerance : float
        Fixed point: on :math:`D(\Phi(x),x)=\max_s\|\Phi(x)(\cdot|s)-x(\cdot|s)\|_1` at the returned x. Commitment: on the
        first-order gap relative to :math:`1+|J|`.
    iterations : int
        The most steps.
    starts : int, optional
        Commitment: starts that are compared, 8 by default (2 for a sparse game). A fixed point starts once, from the uniform policy for seed 0
        and from a random one for other seeds: different seeds show whether there is more than one.
    annealing : int, optional
        Rungs of a ladder of temperatures above the one asked for, from half the range of a player's rewards down, each begun
        where the last ended. By default 5 for a commitment (see `HypergradientAscent`) and 0 for a fixed point. It chooses
        *where* the iteration at the final temperature begins: status, residual and the count of iterations are of that
        iteration alone, and a ladder that ends in a cycle ends in one. Hot fixed points are unique [B4.1], so annealing
        follows one branch of fixed points and makes the answer depend less on the start.

    Notes
    -----
    What stopping buys, for a fixed point: if the modulus :math:`q=c_Lc_F/(\tau_L\tau_F)` is below 1, the returned x is
    within :math:`D(\Phi(x),x)/(1-q)` of the only fixed point, and iterates contract at rate q [B4.2] (undamped). At any
    temperature both players' regrets against each other are at most :math:`\tau\log m/(1-\gamma)` plus, for the leader,
    a multiple of the residual [B11.3]. Without q < 1 the iteration may cycle; a cycle is reported as LIMIT.

    Examples
    --------
    >>> import stackopt as so
    >>> game = so.catalog.build("commitment_2x2")
    >>> for concept in ("commitment", "fixed_point"):
    ...     print(concept, round(float(so.solve(game, so.SoftmaxPolicyIteration(0.1, concept)).value), 3))
    commitment 3.318
    fixed_point 2.0
    """

    temperature: float
    concept: Literal["commitment", "fixed_point"] = "commitment"
    response: Literal["max-ent", "boltzmann"] = "max-ent"
    leader_temperature: float | None = None
    damping: float = 0.0
    tolerance: float = 1e-10
    iterations: int = 5000
    starts: int | None = None
    annealing: int | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        if self.concept not in ("commitment", "fixed_point"):
            raise InvalidMethod("setting", name="concept", law="'commitment' or 'fixed_point'", got=repr(self.concept))
        if not 0.0 <= self.damping < 1.0:
            raise InvalidMethod("setting", name="damping", law="in [0, 1)", got=repr(self.damping))
        if self.concept == "fixed_point" and self.starts not in (None, 1):
            raise InvalidMethod("setting", name="starts", law="1 for a fixed point (use seeds)", got=repr(self.starts))

    @property
    def name(self) -> str:
        """How it is called in tables."""
        words = ["softmax", self.concept.replace("_", " "), f"tau={self.temperature:g}"]
        if self.response != "max-ent":
            words.insert(1, self.response)
        if self.concept == "fixed_point" and self.annealing:
            words.insert(1, "annealed")
        return " ".join(words)

    def name_for(self, problem: Any) -> str:
        """How it is called on a given problem: at a given decision of a population's leader the two concepts are one."""
        return f"softmax policy iteration tau={self.temperature:g}" if isinstance(problem, MeanFieldStackelbergGame) else self.name

    def refuses(self, problem: Any) -> Refusal | None:
        """Other problems; and a fixed point when the leader does not see the state."""
        if isinstance(problem, MeanFieldStackelbergGame):
            if self.response != "max-ent":
                return Refusal("population-response", because=f"response = {self.response!r}")
            return refuses_population(self, problem)
        refusal = refuses_other_problems(self, problem)
        if refusal is None and self.concept == "fixed_point" and not problem.leader_sees_state:
            classes = int(problem.observations.max()) + 1
            return Refusal("observation-fixed-point", because=f"the leader sees {classes} observations of {problem.shape[0]} states")
        return refusal

    def run(self, problem: Any, *, seed: int = 0, report: Report | None = None) -> Run[Any]:
        """Iterate to a true residual; see `stackopt.learning.loop.iterate`."""
        if isinstance(problem, MeanFieldStackelbergGame):
            rungs = self.annealing or 0
            followers = followers_at(self, problem)
            return softmax_policy_iteration(
                followers, self.temperature, damping=self.damping, tolerance=self.tolerance, iterations=self.iterations, rungs=rungs, seed=seed, report=report
            )
        return iterate(self, problem, seed=seed, report=report)

    # --- as a learner ------------------------------------------------------------------------------------------------

    def init(self, game: StackelbergGame, seed: int) -> Any:
        """The uniform policy (or, for seeds other than 0, a random one), or the best start of the ascent."""
        if self.concept == "commitment":
            return self._ascent.init(game, seed)
        S, A, _ = game.shape
        policy = np.full((S, A), 1.0 / A) if seed == 0 else np.random.default_rng(seed).dirichlet(np.ones(A), S)
        start = np.broadcast_to(policy, (*game.batch, S, A))
        rungs = self.annealing or 0
        search = replace(self, tolerance=RUNG_TOLERANCE, iterations=RUNG_STEPS, annealing=0)
        for rung in range(rungs, 0, -1):
            hotter = self._rung(game, rung / rungs)
            start = advance(search, hotter, search._respond(hotter, start, None))[0].leader_policy
        return self._respond(game, start, None)

    def step(self, game: StackelbergGame, state: Any) -> Any:
        """One damped round of responses, or one step of ascent. Pure."""
        if isinstance(state, AscentState):
            return self._ascent.step(game, state)
        policy = (1.0 - self.damping) * state.target + self.damping * state.leader_policy
        return self._respond(game, policy, state)

    def residual(self, game: StackelbergGame, state: Any) -> Array:
        r"""Fixed point: :math:`D(\Phi(x),x)`. Commitment: the relative first-order gap. [...]."""
        if isinstance(state, AscentState):
            return self._ascent.residual(game, state)
        return distance(state.target, state.leader_policy)

    def candidate(self, state: Any) -> Profile:
        """The policy pair with its concept and the leader's value under its own follower."""
        if isinstance(state, AscentState):
            return self._ascent.candidate(state)
        return Profile(
            state.leader_policy,
            state.follower_policy,
            "fixed_point",
            self.response,
            temperature=self.temperature,
            leader_temperature=self._leader_temperature,
            claim=state.value,
        )

    @property
    def _leader_temperature(self) -> float:
        return self.temperature if self.leader_temperature is None else self.leader_temperature

    @property
    def _ascent(self) -> HypergradientAscent:
        rungs = RUNGS if self.annealing is None else self.annealing
        return HypergradientAscent(self.temperature, self.response, self.tolerance, self.iterations, self.starts, rungs)

    def _rung(self, game: StackelbergGame, height: float) -> StackelbergGame:
        """The game as it looks from hotter temperatures: only the ratio of reward to temperature matters, so rewards are divided.

        From height 1, where each player's temperature is half the range of its rewards, to 0, the game itself; every game of a
        batch by its own ranges.
        """
        hotter = copy.copy(game)
        for name, temperature in (("leader_reward", self._leader_temperature), ("follower_reward", self.temperature)):
            reward = getattr(game, name)
            ratio = np.maximum(0.5 * np.ptp(reward, axis=(-1, -2, -3), keepdims=True) / temperature, 1.0)
            object.__setattr__(hotter, name, reward / ratio**height)
        return hotter

    def _respond(self, game: StackelbergGame, policy: Array, warm: ResponseState | None) -> ResponseState:
        follower = follower_response(game, policy, self.temperature, self.response, None if warm is None else warm.follower_values)
        leader = leader_response(game, follower.policy, self._leader_temperature, self.response, None if warm is None else warm.leader_values)
        value = np.asarray(leader_value(game, policy, follower.policy))
        return ResponseState(
            leader_policy=policy,
            follower_policy=follower.policy,
            value=value,
            stalled=np.zeros(game.batch, bool),
            target=leader.policy,
            follower_values=follower.optimum.value,
            leader_values=leader.optimum.value,
        )
