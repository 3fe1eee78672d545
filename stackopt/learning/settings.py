"""What the settings of learners must satisfy, and the problems they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from stackopt.errors import InvalidMethod
from stackopt.games.stackelberg import StackelbergGame
from stackopt.solution import Refusal


def check_settings(method: Any) -> None:
    """Refuse settings that would silently change the algorithm."""
    for name in ("temperature", "leader_temperature"):
        value = getattr(method, name, None)
        if name == "leader_temperature" and value is None:
            continue
        if not isinstance(value, (int, float)) or not 0.0 < value < np.inf:
            raise InvalidMethod("temperature", got=value, where=f"{name} = {value!r}")
    laws: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
        ("response", "'max-ent' or 'boltzmann'", lambda v: v in ("max-ent", "boltzmann")),
        ("tolerance", "a positive number", lambda v: isinstance(v, (int, float)) and 0.0 < v < np.inf),
        ("iterations", "a positive integer", _is_count),
        ("starts", "a positive integer", _is_count),
        ("annealing", "a number of rungs, 0 or more", lambda v: v == 0 or _is_count(v)),
    )
    for name, law, holds in laws:
        value = getattr(method, name, None)
        if not (holds(value) or (value is None and name in ("starts", "annealing"))):
            raise InvalidMethod("setting", name=name, law=law, got=repr(value))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def refuses_other_problems(method: Any, problem: Any) -> Refusal | None:
    """A refusal unless `problem` is a `StackelbergGame`."""
    if isinstance(problem, StackelbergGame):
        return None
    return Refusal("wrong-problem", law={"method": type(method).__name__, "problem": type(problem).__name__})
