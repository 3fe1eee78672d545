"""What an exact method searches: which leader policies, and in which words its bound is stated."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from stackopt.display import number
from stackopt.errors import InvalidMethod
from stackopt.games.stackelberg import StackelbergGame
from stackopt.games.validation import MASS_TOLERANCE
from stackopt.solution import STRONG_VALUE, Refusal

Concept = Literal["strong", "weak", "relaxed", "fixed_point"]
Leader = Literal["auto", "randomised", "deterministic", "net"]


def check_settings(concept: str, leader: str, grid: object, margin: float) -> None:
    """Raise `InvalidMethod` for the first setting outside its range."""
    laws = (
        ("concept", '"strong", "weak", "relaxed" or "fixed_point"', concept, concept in get_args(Concept)),
        ("leader", '"auto", "randomised", "deterministic" or "net"', leader, leader in ("auto", "randomised", "deterministic", "net")),
        ("grid", "a whole number of at least 1", grid, isinstance(grid, int) and not isinstance(grid, bool) and grid >= 1),
        ("margin", "a positive finite number", margin, 0 < margin < float("inf")),
    )
    for name, law, got, holds in laws:
        if not holds:
            raise InvalidMethod("setting", name=name, law=law, got=repr(got))


#: Values are compared to within 5e-7: rewards that differ by less than this in all would be solved too coarsely to be called optimal.
SMALLEST_SPAN = 1e-3


def method_name(method: str, concept: str, leader: str, grid: int) -> str:
    """``"exact strong"``, ``"exact weak, net 1/4 leader"``, ..."""
    net = f" 1/{grid}" if leader == "net" else ""
    return f"{method} {concept}" + ("" if leader in ("auto", "randomised") else f", {leader}{net} leader")


def searched(concept: str, leader: str, grid: int, margin: float) -> str:
    """What the bound of the search is a bound of."""
    over = {"deterministic": "deterministic leader policies", "net": f"leader policies in multiples of 1/{grid}"}.get(leader, "")
    if concept == "strong":
        return f"strong commitment value over {over}" if over else STRONG_VALUE
    if concept == "relaxed":
        return f"strong commitment value when the follower may lose {number(margin)}, over {over or 'all leader policies'}"
    return f"weak commitment value, margin {number(margin)}, over {over or 'all leader policies'}"


def stagewise(game: StackelbergGame) -> bool:
    """Whether the follower's response in a state depends on the leader's action there alone.

    It does if the follower is myopic, or if its action does not change where the state goes.
    """
    S, A, B = game.shape
    if game.follower_discount == 0.0 or B == 1:
        return True
    if game.sparse:
        first = np.repeat(np.arange(S * A) * B, B)
        return bool(abs(game.transition - game.transition[first]).max() <= MASS_TOLERANCE)
    return bool(np.abs(game.transition - game.transition[:, :, :1]).max() <= MASS_TOLERANCE)


def refusal(problem: Any, method: str, concept: str, leader: str) -> Refusal | None:
    """Why no exact search over commitments of `problem` is possible, whatever its size: not this kind of problem, a batch, units, nonlinear."""
    if not isinstance(problem, StackelbergGame):
        return Refusal("wrong-problem", law={"method": method, "problem": type(problem).__name__})
    if concept == "fixed_point":
        law = {"method": method, "problem": "StackelbergGame"}
        return Refusal("wrong-problem", remedy="so.fixed_points(game) lists them; so.SoftmaxPolicyIteration(concept=\"fixed_point\") finds one", law=law)
    if problem.batch:
        return Refusal("single-game", law={"method": method, "batch": problem.batch})
    tiny = units_refusal(leader_reward=problem.leader_reward, follower_reward=problem.follower_reward)
    return tiny or (randomised_refusal(problem, concept) if leader in ("auto", "randomised") else None)


def randomised_refusal(game: StackelbergGame, concept: str) -> Refusal | None:
    """Why the search over all randomised policies is not linear, if it is not."""
    where = game.leader_moves_state()
    if not where or (concept == "strong" and stagewise(game) and game.leader_sees_state):
        return None
    return Refusal("leader-moves-state", because=where)


def units_refusal(**rewards: np.ndarray) -> Refusal | None:
    """Rewards that differ, but by so little that absolute tolerances would call every answer optimal."""
    for name, array in rewards.items():
        span = float(np.ptp(array))
        if 0.0 < span < SMALLEST_SPAN:
            return Refusal("units", because=f"`{name}` differs by {span:.3g} in all", law={"smallest": f"{SMALLEST_SPAN:g}"})
    return None
