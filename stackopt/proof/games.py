"""Strong Stackelberg values of games with a proof: the optimum as a rational, checked by `check_games` from the game's own JSON.

Pure leaders [D1], randomised leaders whose actions do not move the state [D3], and followers whose response in a state depends on
the leader's action there alone [P1], which need no branching at all.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from stackopt.proof import check_games
from stackopt.proof.check import Rejected
from stackopt.proof.games_search import Cell, close
from stackopt.proof.games_values import bellman_vectors
from stackopt.proof.proof import Texts

if TYPE_CHECKING:
    import numpy as np

    from stackopt.games.stackelberg import StackelbergGame


@dataclass(frozen=True)
class GameProof(Texts):
    """Two texts that anyone can check: ``python check_games.py game.json proof.txt``.

    Attributes
    ----------
    problem, text, statement : str
        The game's JSON, the proof, and the theorem as the checker says it.
    lower, upper : Fraction
        The proved bounds on the strong value, in the leader's sense; equal if the value is known exactly.
    leader : str
        ``"randomised"`` or ``"deterministic"``: over which policies.
    kind : str
        How it was proved: also ``"stagewise"``, ``"boxes"``.
    nodes : int
    policy : tuple [S] of tuples [A] of Fraction
        The leader's policy that attains `lower`; where it is never needed, its first action.
    seconds : dict
        Of ``search``, ``emit`` and ``check``.
    """

    problem: str
    text: str
    statement: str
    lower: Fraction
    upper: Fraction
    leader: str
    kind: str
    nodes: int
    policy: tuple[tuple[Fraction, ...], ...]
    seconds: dict[str, float] = field(default_factory=dict, compare=False)
    status: str = "optimal"


def game_text(game: StackelbergGame) -> str:
    """The JSON of a game as `load_game` reads it, its floats in shortest decimals."""
    S, A, B = game.shape
    transition = game.transition.toarray().reshape(S, A, B, S) if game.sparse else game.transition
    data: dict[str, Any] = {
        "leader_reward": game.leader_reward.tolist(), "follower_reward": game.follower_reward.tolist(), "transition": transition.tolist(),
        "leader_discount": float(game.leader_discount), "follower_discount": float(game.follower_discount), "initial": game.initial.tolist(),
    }  # fmt: skip
    if not game.leader_sees_state:
        data["leader_observes"] = game.observations.tolist()
    for name in ("states", "leader_actions", "follower_actions"):
        if getattr(game, name) is not None:
            data[name] = list(getattr(game, name))
    return json.dumps({**data, "name": game.name}) + "\n"


def proof_kind(exact: check_games.Game, leader: str) -> str:
    """How the value over these policies can be proved: ``"stagewise"``, ``"randomised"``, ``"deterministic"``; empty if it cannot be."""
    if leader == "deterministic":
        return leader
    S, _, _ = exact.size
    if len(set(exact.classes)) == S and (exact.g["F"] == 0 or all(exact.P[s][a][b] == exact.P[s][a][0] for s, a, b in exact.triples)):
        return "stagewise"
    return "randomised" if all(exact.P[s][a][b] == exact.P[s][0][b] for s, a, b in exact.triples) else ""


def prove_game(
    game: StackelbergGame, leader: str = "randomised", *, response: np.ndarray | None = None, policy: np.ndarray | None = None,
    seconds: float = 60.0, kind: str = "", problem: str = "",
) -> GameProof | str:
    """The strong value over a class of leader policies, with a proof, or in words why there is none.

    Parameters
    ----------
    game : StackelbergGame
        A single game.
    leader : str
        ``"randomised"`` or ``"deterministic"``.
    response : int array [S], optional
        The follower's actions at a policy that is believed to be best: saves the search for it.
    policy : array [S, A], optional
        The leader's policy there. Needed if it is randomised and moves the state: the proof is then by boxes, see `prove_boxes`.
    seconds : float
        For search and emission; checking comes on top.
    kind : str, optional
        How to prove it; by default as `proof_kind` says.
    problem : str, optional
        The JSON text that the game was read from, if the proof is to be of that; by default `game_text`.

    Notes
    -----
    The proof is of the game in decimals, as written in `GameProof.problem`; it has been accepted by the checker before it is returned.
    """
    begun = time.perf_counter()
    problem = problem or game_text(game)
    try:
        exact = check_games.read(problem)
    except Rejected as why:
        return f"the checker does not read the game: {why}"
    kind = kind or proof_kind(exact, leader)
    if not kind and policy is not None:
        from stackopt.proof.games_boxes import prove_boxes

        return prove_boxes(game, policy, seconds=seconds, problem=problem)
    if not kind:
        return "the leader's action moves the state, and the follower's response depends on what comes later"
    pure = kind == "deterministic"
    values = {} if kind == "stagewise" else bellman_vectors(game, exact, pure=pure)
    system = check_games.lower_game(exact, kind, values)
    cell = None if response is None or (pure and policy is None) else _cell(exact, kind, response, policy)
    closed = close(system, begun + seconds, cell)
    if isinstance(closed, str):
        return closed
    checking = time.perf_counter()
    head = [f"stackopt-game-proof 1 {kind}", *(f"{key} {' '.join(map(str, v))}" for key, v in values.items())]
    text = "\n".join([*head, *closed.body(system)]) + "\n"
    try:
        found = check_games.check(problem, text)
    except Rejected as why:
        return f"the checker rejects it: {why}"
    took = {"search": closed.searched, "emit": closed.emitted, "check": time.perf_counter() - checking}
    return GameProof(
        problem, text, check_games.statement(found), -found["upper"], -found["lower"], found["over"], kind, found["nodes"],
        _policy(exact, kind, closed.point), took,
    )  # fmt: skip


def _cell(exact: check_games.Game, kind: str, response: Any, policy: Any) -> Cell:
    """The integer columns of a pair of policies; their places are those of `check_games.lower_game`."""
    (S, A, B), classes = exact.size, len(set(exact.classes))
    if kind == "stagewise":
        return {}
    first, cell = len(exact.triples), Cell()
    if kind == "deterministic":
        for s, o in enumerate(exact.classes):
            cell.update({first + o * A + a: int(a == policy[s].argmax()) for a in range(A)})
    first += classes * A
    cell.update({first + s * B + b: int(b == response[s]) for s in range(S) for b in range(B)})
    return cell


def _policy(exact: check_games.Game, kind: str, point: list[Fraction]) -> tuple[tuple[Fraction, ...], ...]:
    (S, A, B), visits = exact.size, len(exact.triples)
    if kind != "stagewise":
        return tuple(tuple(point[visits + o * A : visits + (o + 1) * A]) for o in exact.classes)
    rows = []
    for s in range(S):
        mine = point[s * A * B : (s + 1) * A * B]
        most = max((mine[b::B] for b in range(B)), key=sum)
        total = sum(most, Fraction(0))
        rows.append(tuple(w / total for w in most) if total else tuple(Fraction(a == 0) for a in range(A)))
    return tuple(rows)
