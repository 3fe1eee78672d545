"""Recorded games: one JSON file per game, with its source, its known answers and the tolerance they are known to.

The schema, ``stackopt.game/1``, is described in data/games/README.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackopt.errors import InvalidGame
from stackopt.games.bayesian import BayesianGame
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.horizon import Finite, Horizon, Periodic, Stationary
from stackopt.games.mean_field.leaders import Box
from stackopt.games.mean_field.terms import LogCrowding, QuadraticObjective
from stackopt.games.security import SecurityGame
from stackopt.games.stackelberg import StackelbergGame, stay

SCHEMA = "stackopt.game/1"


@dataclass(frozen=True, eq=False)
class Recorded:
    """A game read from a file.

    Attributes
    ----------
    name, kind, title, source, verification, note : str
        As in the file.
    tolerance : float
        Absolute, of the known answers.
    known : mapping
        Answers by name.
    problem : StackelbergGame, BayesianGame, SecurityGame or MeanFieldStackelbergGame
    """

    name: str
    kind: str
    title: str
    source: str
    verification: str
    note: str
    tolerance: float
    known: Mapping[str, Any]
    problem: Any


def read_game(path: str | Path) -> Recorded:
    """Read a recorded game.

    Parameters
    ----------
    path : path
        A JSON file in the schema ``stackopt.game/1``.

    Raises
    ------
    InvalidGame
        If the file cannot be read or breaks the schema, or its game breaks a law of its type.
    """
    path = Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidGame("recorded-game", path=path, law="readable JSON", where=str(error)) from None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        got = record.get("schema") if isinstance(record, dict) else type(record).__name__
        raise InvalidGame("recorded-game", path=path, law=f'an object with "schema": "{SCHEMA}"', where=f"got {got!r}")
    missing = [key for key in ("name", "kind", "title", "source", "verification", "tolerance", "game", "known") if key not in record]
    if missing:
        raise InvalidGame("recorded-game", path=path, law="complete", where=f"{missing[0]!r} is missing")
    try:
        problem = _problem(record["kind"], record["game"], record["name"])
    except (KeyError, TypeError) as error:
        raise InvalidGame("recorded-game", path=path, law=f"a game of kind {record['kind']!r}", where=f"{type(error).__name__}: {error}") from None
    return Recorded(
        **{key: record[key] for key in ("name", "kind", "title", "source", "verification", "tolerance", "known")},
        note=record.get("note", ""),
        problem=problem,
    )


def _problem(kind: str, game: Mapping[str, Any], name: str) -> Any:
    if kind == "matrix":  # one state, discount 0
        return StackelbergGame([game["leader_reward"]], [game["follower_reward"]], stay, discount=0.0, name=name)
    if kind == "markov":
        return StackelbergGame(**game, name=name)
    if kind == "bayesian":
        return BayesianGame(**game, name=name)
    if kind == "security":
        return SecurityGame(**game, name=name)
    if kind == "soft":  # the leader is passive and values what the follower does
        reward = [[game["reward"]]]
        return StackelbergGame(reward, reward, stay, discount=game["discount"], name=name)
    if kind == "logit_price":
        # the price is mixed from 0 and the buyer's value: every mean price between them, and the buyer answers the mean
        value = float(game["value"])
        return StackelbergGame(
            leader_reward=[[[0.0, 0.0], [value, 0.0]]],
            follower_reward=[[[value, 0.0], [0.0, 0.0]]],
            transition=stay,
            discount=0.0,
            leader_actions=("price 0", f"price {value:.6g}"),
            follower_actions=("buy", "do not"),
            name=name,
        )
    if kind == "mean_field":
        return _mean_field(dict(game), name)
    raise KeyError(f"unknown kind {kind!r}")


def _mean_field(game: dict[str, Any], name: str) -> MeanFieldStackelbergGame:
    """Arrays under their own names; a horizon and a leader's box as objects; the two terms that are not affine by what they take."""
    kinds: dict[str, Callable[..., Horizon]] = {"stationary": Stationary, "periodic": Periodic, "finite": Finite}
    horizon = dict(game.pop("horizon"))
    game["horizon"] = kinds[horizon.pop("kind")](**horizon)
    if "leader" in game:
        game["leader"] = Box(**game["leader"])
    if "log_crowding" in game:
        game["reward"] = LogCrowding(game["reward"], **game.pop("log_crowding"))
    if "quadratic_objective" in game:
        game["objective"] = QuadraticObjective(**game.pop("quadratic_objective"))
    return MeanFieldStackelbergGame(**game, name=name)
