"""Games from files: NPZ or JSON with the arrays of `StackelbergGame` under their own names."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from stackopt.errors import InvalidGame
from stackopt.games.recorded import SCHEMA, read_game
from stackopt.games.stackelberg import StackelbergGame, stay

#: Keys a file must have, and may have.
REQUIRED = ("leader_reward", "follower_reward")
OPTIONAL = ("transition", "discount", "leader_discount", "follower_discount", "initial", "leader_observes", "states", "leader_actions", "follower_actions")


def load_game(path: str | os.PathLike[str]) -> Any:
    """Read a game from ``.npz`` (as `numpy.savez` writes it) or ``.json`` (nested lists).

    Parameters
    ----------
    path : path
        Its keys are the parameters of `StackelbergGame`: `leader_reward` and `follower_reward` [S, A, B], `transition`
        [S, A, B, S] (left out: a matrix game, the state stays and the discount is 0), `discount` or `leader_discount` and
        `follower_discount`, `initial` [S], `leader_observes` [S], and labels. Or a recorded game, see `read_game`.

    Returns
    -------
    StackelbergGame
        Or, from a recorded game, a `BayesianGame`, `SecurityGame` or `MeanFieldStackelbergGame`.

    Raises
    ------
    InvalidGame
        If the file cannot be read, lacks a key or has an unknown one, or its arrays break a law of the game.
    """
    path = Path(path)
    data = _read(path)
    if data.get("schema") == SCHEMA:
        return read_game(path).problem
    unknown = [key for key in data if key not in REQUIRED + OPTIONAL + ("name",)]
    missing = [key for key in REQUIRED if key not in data]
    if unknown or missing:
        where = f"unknown key {unknown[0]!r}" if unknown else f"no key {missing[0]!r}"
        raise InvalidGame("game-file", path=path, where=where, help=f"keys are {', '.join(REQUIRED + OPTIONAL)}")
    if "transition" not in data:
        data["transition"] = stay
        data.setdefault("discount", 0.0)
    data.setdefault("name", os.fsencode(path.stem).decode(errors="replace"))  # file names can be other than text
    return StackelbergGame(**data)


def _read(path: Path) -> dict[str, Any]:
    try:
        return _arrays(path) if path.suffix == ".npz" else _object(path)
    except (OSError, ValueError, EOFError, NotImplementedError, RecursionError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        where = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InvalidGame("game-file", path=path, where=where) from error


def _arrays(path: Path) -> dict[str, Any]:
    """The arrays of an NPZ file; numbers and texts as Python's own."""
    with path.open("rb") as stream:
        archive = zipfile.is_zipfile(stream)
    if not archive:  # numpy would read an .npy file, and call anything else a pickle
        raise ValueError("it is not a zip archive of arrays, or it is cut short")
    found: dict[str, Any] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            array = arrays[key]
            if not isinstance(array, np.ndarray):
                raise ValueError(f"{key} in it is not an array")
            found[key] = array.tolist() if array.ndim == 0 or array.dtype.kind in "US" else array
    return found


def _object(path: Path) -> dict[str, Any]:
    data = json.loads(path.read_bytes())
    if not isinstance(data, dict):
        raise ValueError("it is not an object with keys")
    return data
