"""Quasi-Newton's method on the statistics that followers couple through, e.g. 24 prices, for soft equilibria."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.population import Population
from stackopt.learning.mean_field.settings import TIME_LIMIT, AtDecision, followers_at
from stackopt.learning.mean_field.soft_verdict import find
from stackopt.solution import Report, Run


@dataclass(frozen=True)
class QuasiNewton(AtDecision):
    r"""Soft equilibria by quasi-Newton steps in the coupling statistics, along a ladder of temperatures.

    Max-ent followers of the given temperature answer statistics y (prices, net load, how many are where), and their answer brings
    about :math:`\Psi_\tau(y)`; sought is :math:`y=\Psi_\tau(y)`. While plain iteration contracts it is used. Else temperatures fall
    from half the span of action values; at each, Newton's matrix :math:`I-\Psi'` comes from one batch of sweeps (for many statistics,
    GMRES multiplies by it) and Broyden's updates serve while they pay. Steps that do not reduce the residual are shortened.

    Parameters
    ----------
    temperature : float
        Of the followers, in units of their reward.
    theta : array [D], optional
        The leader's decision; needed where it has a choice.
    tolerance : float
        On the largest L1 distance between a policy and the soft response to the population that it brings about.
    time_limit : float
        Seconds.

    Examples
    --------
    >>> import numpy as np, stackopt as so
    >>> crowd = so.MeanFieldStackelbergGame(
    ...     so.Stationary(discount=0.9), reward=np.zeros((2, 2)), transition=np.eye(2)[None].repeat(2, 0),
    ...     reward_population=np.diag([-1.0, -2.0])[:, None].repeat(2, 1))
    >>> solution = so.solve(crowd, so.QuasiNewton(temperature=0.01))
    >>> str(solution.status), solution.candidate.mean_field[0, 0].round(1).tolist()
    ('CONVERGED', [0.7, 0.3])
    """

    temperature: float
    theta: Any = None
    tolerance: float = 1e-8
    time_limit: float = TIME_LIMIT

    may_be_hard: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f"quasi-Newton tau={self.temperature:g}"

    def run(self, problem: MeanFieldStackelbergGame, *, seed: int = 0, report: Report | None = None) -> Run[Population]:
        """Search from uniform behaviour (seed 0) or from a random policy."""
        return find(followers_at(self, problem), self.temperature, self.tolerance, self.time_limit, seed, report)
