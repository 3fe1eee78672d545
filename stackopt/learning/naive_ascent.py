"""The gradient that forgets the response, kept so that it can be seen to fail  [C4]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from stackopt.errors import InvalidMethod
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.operators import Array
from stackopt.games.profile import Profile
from stackopt.games.simplex import project
from stackopt.games.stackelberg import StackelbergGame
from stackopt.learning.hypergradient import AscentState, commitment_gradient
from stackopt.learning.loop import iterate
from stackopt.learning.settings import check_settings, refuses_other_problems
from stackopt.learning.simplex import first_order_gap, gather, spread
from stackopt.solution import Refusal, Report, Run


@dataclass(frozen=True)
class NaiveAscent:
    r"""Projected ascent along the direct term only: the follower is held frozen while differentiating, then answers anew.

    This is what policy-gradient methods on the leader's actions estimate when the follower is part of the environment. Its
    stationary points are those of the fixed-point concept with an unregularised leader, not of commitment  [C4]: on
    the 2x2 game of theory A.5 it ends at value 2, the hypergradient at 3.4. It is not a method to use.

    Parameters
    ----------
    temperature : float
        Of the follower, in the units of its reward.
    length : float
        Step length, relative to the leader's largest possible value span :math:`(\max r_L-\min r_L)/(1-\gamma_L)`.
    tolerance : float
        On the first-order gap of the direct term, relative to 1 + |J|.
    iterations : int
        The most steps.

    Notes
    -----
    Above a population (`MeanFieldStackelbergGame`) it follows the gradient at a population held still; where it stops is a candidate for the
    fixed-point concept, and the certificate compares the decision with others against that population.
    """

    temperature: float
    length: float = 0.3
    response: Literal["max-ent", "boltzmann"] = "max-ent"
    tolerance: float = 1e-8
    iterations: int = 5000

    def __post_init__(self) -> None:
        check_settings(self)
        if not 0.0 < self.length < np.inf:
            raise InvalidMethod("setting", name="length", law="a positive number", got=repr(self.length))

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f"naive ascent tau={self.temperature:g}"

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

            settle, tolerance = settling(self.temperature), max(self.tolerance, 1e-6)
            return ascend(
                problem, self.temperature, settle, frozen=True, tolerance=tolerance, iterations=self.iterations, starts=1, seed=seed,
                name=self.name, report=report,
            )  # fmt: skip
        return iterate(self, problem, seed=seed, report=report)

    def init(self, game: StackelbergGame, seed: int) -> AscentState:
        """The uniform policy; nothing is random."""
        classes, A = int(game.observations.max()) + 1, game.shape[1]
        return self._at(game, np.full((*game.batch, classes, A), 1.0 / A), None)

    def step(self, game: StackelbergGame, state: AscentState) -> AscentState:
        """One step of fixed length along the direct term. Pure."""
        policy = project(state.by_observation + state.length[..., None, None] * state.gradient)
        return self._at(game, policy, state.follower_value)

    def residual(self, game: StackelbergGame, state: AscentState) -> Array:
        """The first-order gap of the direct term relative to 1 + |J|, [...]."""
        gap: Array = first_order_gap(state.by_observation, state.gradient) / (1.0 + np.abs(state.value))
        return gap

    def candidate(self, state: AscentState) -> Profile:
        """Put forward as a commitment, with J_tau as its claim, which is what it is mistaken for."""
        return Profile(
            state.leader_policy, state.follower_policy, "commitment", self.response, temperature=self.temperature, claim=state.value
        )

    def _at(self, game: StackelbergGame, policy: Array, warm: Array | None) -> AscentState:
        g = commitment_gradient(game, spread(game, policy), self.temperature, self.response, warm)
        span = np.ptp(game.leader_reward, axis=(-1, -2, -3)) / (1.0 - game.leader_discount)
        return AscentState(
            leader_policy=spread(game, policy),
            follower_policy=g.follower_policy,
            value=g.value,
            stalled=np.zeros(g.value.shape, bool),
            by_observation=policy,
            gradient=gather(game, g.direct),
            follower_value=g.follower_value,
            length=np.asarray(self.length / np.maximum(span, 1e-300)),
            recent=g.value[..., None],
            smallest=np.full(g.value.shape, np.inf),
            quiet=np.zeros(g.value.shape, int),
        )
