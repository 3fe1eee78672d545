"""What the solvers' settings must satisfy, which games they refuse, and at which decision they solve."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.errors import InvalidMethod
from stackopt.games.mean_field import leaders
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.operators import Array
from stackopt.learning.mean_field.followers import Followers
from stackopt.solution import Refusal

#: Seconds that every solver gets by default.
TIME_LIMIT = 60.0

_COUNTS = ("iterations", "sweeps", "starts")


class AtDecision:
    """What methods share that solve at a given decision of the leader: settings that are checked, and refusals."""

    theta: Any

    def __post_init__(self) -> None:
        check(self)

    def refuses(self, problem: Any) -> Refusal | None:
        """Other problems, and a leader's choice that was not told."""
        return refuses(self, problem)


def check(method: Any) -> None:
    """Refuse settings outside their ranges; theta becomes a tuple of floats.

    Raises
    ------
    InvalidMethod
        ``setting`` or ``temperature``.
    """
    if method.theta is not None:
        try:
            theta = tuple(float(x) for x in np.atleast_1d(np.asarray(method.theta, float)).ravel())
        except (TypeError, ValueError):
            theta = (np.nan,)
        if not np.isfinite(theta).all():
            raise InvalidMethod("setting", name="theta", law="finite numbers [D], or None where the leader has no choice", got=repr(method.theta))
        object.__setattr__(method, "theta", theta)
    for name in ("tolerance", "time_limit", "step"):
        if getattr(method, name, None) is None and name == "step":
            continue
        value = getattr(method, name)
        if not _is_number(value) or not value > 0:
            raise InvalidMethod("setting", name=name, law="a positive number", got=repr(value))
    for name in _COUNTS:
        value = getattr(method, name, 1)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise InvalidMethod("setting", name=name, law="a whole number, at least 1", got=repr(value))
    temperature = getattr(method, "temperature", 0.0)
    hard = getattr(method, "may_be_hard", True)
    if not _is_number(temperature) or not 0.0 <= temperature < np.inf or (temperature == 0.0 and not hard):
        raise InvalidMethod("temperature", got=temperature, where=f"temperature = {temperature!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.floating | np.integer) and not isinstance(value, bool) and not np.isnan(value)


def refuses(method: Any, problem: Any) -> Refusal | None:
    """Other problems, and games whose leader has a choice that the method was not told."""
    if not isinstance(problem, MeanFieldStackelbergGame):
        return Refusal("wrong-problem", law={"method": type(method).__name__, "problem": type(problem).__name__})
    chosen, theta = problem.leader, getattr(method, "theta", None)
    if theta is None:
        if isinstance(chosen, leaders.Menu) and len(chosen) == 1:
            return None
        return Refusal("theta-needed", because=f"the leader chooses from {chosen}", law={"method": type(method).__name__})
    if len(theta) != problem.parameters:
        return Refusal("theta-outside", because=f"theta has {len(theta)} entries, the leader {problem.parameters} parameters", law={"leader": str(chosen)})
    away = leaders.distance(chosen, np.array(theta))  # type: ignore[arg-type]
    if not away <= 1e-9:
        return Refusal("theta-outside", because=f"theta is {away:.3g} away from it in some parameter", law={"leader": str(chosen)})
    return None


def followers_at(method: Any, problem: MeanFieldStackelbergGame) -> Followers:
    """The followers at the decision of the method, or at the only one there is."""
    if getattr(method, "theta", None) is None:
        assert isinstance(problem.leader, leaders.Menu)
        return Followers(problem, problem.leader.points[0])
    return Followers(problem, problem.require_theta(method.theta))


def first_policy(followers: Followers, seed: int) -> Array:
    """Where a solver begins [K, T, S, B]: uniform policies for seed 0, random ones otherwise."""
    if seed == 0:
        return followers.game.uniform()
    K, T, S, B = followers.shape
    drawn: Array = np.random.default_rng(seed).dirichlet(np.ones(B), (K, T, S))
    return drawn
