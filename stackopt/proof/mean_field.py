"""What a leader earns over all mean-field equilibria, with a proof: followers with fixed kernels and affine rewards  [D5]."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.games.mean_field.leaders import Box, Menu
from stackopt.proof import check_mean_field
from stackopt.proof.check import Rejected, load
from stackopt.proof.games_search import close
from stackopt.proof.proof import Texts
from stackopt.reformulations.mean_field_arrays import refuses_affine

if TYPE_CHECKING:
    from stackopt.games.mean_field.game import MeanFieldStackelbergGame
    from stackopt.proof.check_mean_field import Followers

#: Values of followers are bounded by multiples of this, relative to the largest, after so many sweeps.
GRID, SWEEPS = Fraction(1, 10**7), 2000


@dataclass(frozen=True)
class MeanFieldProof(Texts):
    """Two texts that anyone can check: ``python check_mean_field.py game.json proof.txt``.

    Attributes
    ----------
    problem, text, statement : str
        The game's JSON, the proof, and the theorem as the checker says it.
    lower, upper : Fraction
        Bounds on the leader's value in its best (or worst) equilibrium, over all its decisions.
    which : str
        ``"best"`` or ``"worst"``.
    nodes : int
    theta : tuple of Fraction
        The decision of the equilibrium in the proof.
    mass : dict from (k, t, s, b) to Fraction
        Its masses.
    seconds : dict
        Of ``search``, ``emit`` and ``check``.
    """

    problem: str
    text: str
    statement: str
    lower: Fraction
    upper: Fraction
    which: str
    nodes: int
    theta: tuple[Fraction, ...]
    mass: dict[tuple[int, int, int, int], Fraction]
    seconds: dict[str, float] = field(default_factory=dict, compare=False)
    status: str = "optimal"


def why_not(game: MeanFieldStackelbergGame) -> str:
    """Why the value of a game has no proof of this kind; empty if it has."""
    found = refuses_affine(game, at=False)
    if found is not None:
        return found.because
    if not isinstance(game.leader, Menu) and not isinstance(game.leader, Box):
        return "the leader's set is neither a menu nor a box"
    if not isinstance(game.leader, Menu) and game.leader_reward_leader is not None and np.any(game.leader_reward_leader):
        return "the leader is paid in proportion to a decision from a box"
    return "`objective` is a callable" if game.objective is not None else ""


def mean_field_text(game: MeanFieldStackelbergGame) -> str:
    """The JSON of a game that `why_not` does not exclude, every array written out: [K, T, S, B] and further axes."""
    K, T, S, B = game.shape
    J, D = game.statistics, game.parameters

    def full(array: Any, tail: tuple[int, ...]) -> Any:
        return np.broadcast_to(np.zeros(tail) if array is None else array, (K, T, *tail)).tolist()

    statistic: Any = game.statistic
    if isinstance(statistic, str):
        statistic = np.broadcast_to(np.eye(S)[:, None, :], (S, B, S)) if statistic == "states" else np.eye(S * B).reshape(S, B, S * B)
    data = {
        "name": game.name, "cyclic": game.cyclic, "discount": float(game.discount), "weights": game.weights.tolist(),
        "reward": full(game.reward, (S, B)), "transition": full(game.kernel(np.full((T, J), np.nan), np.zeros(D)).dense(), (S, B, S)),
        "statistic": full(statistic, (S, B, J)), "reward_population": full(game.reward_population, (S, B, J)),
        "reward_leader": full(game.reward_leader, (S, B, D)), "leader_reward": full(game.leader_reward, (S, B)),
        "leader_reward_leader": full(game.leader_reward_leader, (S, B, D)),
    }  # fmt: skip
    if not game.cyclic:
        data["initial"] = np.broadcast_to(game.initial, (K, S)).tolist()
    if isinstance(game.leader, Menu):
        return json.dumps({**data, "menu": game.leader.points.tolist()}) + "\n"
    assert isinstance(game.leader, Box)
    return json.dumps({**data, "box": [game.leader.lower.tolist(), game.leader.upper.tolist()]}) + "\n"


def prove_mean_field(game: MeanFieldStackelbergGame, which: str = "best", *, seconds: float = 60.0, problem: str = "") -> MeanFieldProof | str:
    """The leader's value in its best equilibrium over all decisions, or in the worst one of a single decision, or why there is no proof.

    Parameters
    ----------
    game : MeanFieldStackelbergGame
    which : str
        ``"best"`` or ``"worst"``.
    seconds : float
        For search and emission.
    problem : str, optional
        The JSON text to prove, if not that of `mean_field_text`.
    """
    begun = time.perf_counter()
    if reason := why_not(game):
        return reason
    problem = problem or mean_field_text(game)
    try:
        exact = check_mean_field.Followers(load(problem))
    except Rejected as why:
        return f"the checker does not read the game: {why}"
    if which == "worst" and len(exact.points) > 1:
        return "the worst equilibrium is that of one decision"
    ends = value_vectors(exact, -1), value_vectors(exact, 1)
    system = check_mean_field.lower_followers(exact, 1 if which == "best" else -1, *ends)
    closed = close(system, begun + seconds)
    if isinstance(closed, str):
        return closed
    checking = time.perf_counter()
    head = [f"stackopt-mean-field-proof 1 {which}", *(" ".join([key, *map(str, end.values())]) for key, end in zip(("lower", "upper"), ends))]
    text = "\n".join([*head, *closed.body(system)]) + "\n"
    try:
        found = check_mean_field.check(problem, text)
    except Rejected as why:
        return f"the checker rejects it: {why}"
    took = {"search": closed.searched, "emit": closed.emitted, "check": time.perf_counter() - checking}
    low, up = (found["lower"], found["upper"]) if which == "worst" else (-found["upper"], -found["lower"])
    masses = dict(zip(exact.places, closed.point))
    return MeanFieldProof(
        problem, text, check_mean_field.statement(found), low, up, which, found["nodes"], _decision(exact, closed.point), masses, took
    )


def value_vectors(exact: Followers, side: int) -> dict[Any, Fraction]:
    """Values above (side 1) or below every optimal value of the followers, whatever the population and the leader do, on a grid.

    Found in floats; then moved until the Bellman inequality holds: by the largest violation over 1 - discount on cyclic horizons, stage by
    stage from the last on finite ones.
    """
    K, T, S, B = exact.size
    earned = {i: exact.earned(side, *i) for i in exact.places}
    reward = np.array([float(v) for v in earned.values()]).reshape(K, T, S, B)
    kernel, g = np.array(exact.P, float), float(exact.g)
    value = np.zeros((K, T, S))
    for _ in range(SWEEPS if exact.cyclic else T):
        after = np.roll(value, -1, axis=1)
        if not exact.cyclic:
            after[:, -1] = 0.0
        new = (reward + g * np.einsum("ktsbz,ktz->ktsb", kernel, after)).max(-1)
        moved, value = float(np.abs(new - value).max()), new
        if moved <= 1e-10 * (1.0 + float(np.abs(value).max())):
            break
    grid = GRID * Fraction(10) ** len(str(int(1 + float(np.abs(value).max()))))
    found = {(k, t, s): round(Fraction(float(value[k, t, s])) / grid) * grid for k, t, s in itertools.product(range(K), range(T), range(S))}

    def worth(k: int, t: int, s: int) -> Fraction:
        return max(earned[k, t, s, b] + exact.next_value(found, k, t, s, b) for b in range(B))

    if exact.cyclic:
        off = max(Fraction(0), *(side * (worth(*at) - v) for at, v in found.items()))
        steps = -(-off / (1 - exact.g) // grid)
        return {at: v + side * steps * grid for at, v in found.items()}
    for k, t, s in itertools.product(range(K), reversed(range(T)), range(S)):
        off = max(Fraction(0), side * (worth(k, t, s) - found[k, t, s]))
        found[k, t, s] += side * -(-off // grid) * grid
    return found


def _decision(exact: Followers, point: list[Fraction]) -> tuple[Fraction, ...]:
    """The decision of a point: the columns after masses, responses and values."""
    K, T, S, _ = exact.size
    first = 2 * len(exact.places) + K * T * S
    if exact.menu is None:
        return tuple(point[first : first + exact.parameters])
    picked = next(g for g in range(len(exact.menu)) if point[first + g] == 1)
    return tuple(Fraction(v) for v in exact.menu[picked])
