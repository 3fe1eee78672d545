"""Who decides a CVXPY variable, and between which bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from stackopt.bilevel.multiplier_symbols import marked
from stackopt.errors import InvalidProgram

#: Attributes that make a variable something else than an array of independent reals or integers.
UNREAD = ("complex", "imag", "symmetric", "diag", "PSD", "NSD", "hermitian", "sparsity")


def owners(
    cp: Any, problems: Sequence[Any], names: Sequence[str], decided: Sequence[Sequence[Any]], leader_decides: Sequence[Any]
) -> dict[Any, int]:
    """Each variable with its player, -1 the leader: the leader's in order of creation, then each follower's as listed.

    Raises
    ------
    InvalidProgram
        If a variable is decided by two players, or by nobody, or a follower's is in no problem.
    """
    mentioned = {variable.id for problem in problems for variable in problem.variables()}
    claimed: dict[int, int] = {}
    listed = []
    for k, group in enumerate([list(leader_decides), *decided], -1):
        for variable in group:
            who = "leader_decides" if k < 0 else "follower_decides"
            if not isinstance(variable, cp.Variable) or marked(variable) is not None:
                raise InvalidProgram("variable-owner", where=f"`{who}` has {type(variable).__name__} {str(variable)[:40]!r}", help="list whole variables")
            if claimed.setdefault(variable.id, k) != k:
                raise InvalidProgram("variable-owner", where=f"`{variable.name()}` is listed for two players")
            if k >= 0 and variable.id not in mentioned:
                where = f"`{variable.name()}` is in `follower_decides`, but in no problem"
                raise InvalidProgram("variable-owner", where=where, help="list the variables that the follower's problem has")
            listed.append(variable)
    leader = {v.id: v for v in problems[0].variables() if marked(v) is None and v.id not in claimed}
    leader |= {v.id: v for v in listed if claimed[v.id] < 0}
    for name, problem in zip(names, problems[1:]):
        for variable in problem.variables():
            if marked(variable) is None and variable.id not in claimed and variable.id not in leader:
                where = f"`{variable.name()}` is in the problem of `{name}`, but neither in `follower_decides` nor in the leader's problem"
                raise InvalidProgram("variable-owner", where=where, help="list it in follower_decides, or in leader_decides if the leader decides it")
    found = {v: -1 for _, v in sorted(leader.items())}
    found |= {v: claimed[v.id] for k in range(len(decided)) for v in {v.id: v for v in decided[k]}.values()}
    return found


def check_attributes(variable: Any) -> None:
    """Refuses matrices that are not arrays of independent entries.

    Raises
    ------
    InvalidProgram
        With the attribute.
    """
    odd = [name for name in UNREAD if variable.attributes.get(name) not in (None, False)]
    if odd:
        where = f"`{variable.name()}` has {odd[0]}=True"
        raise InvalidProgram("variable-domain", where=where, help="entries must be independent; write the attribute as equations where it is linear")


def bounds(cp: Any, variable: Any) -> tuple[Any, Any]:
    """Lower and upper bounds [shape], from the attributes together.

    Raises
    ------
    InvalidProgram
        If a bound is a Parameter without a value.
    """
    low, high = np.full(variable.shape, -np.inf), np.full(variable.shape, np.inf)
    given = variable.attributes
    if given.get("bounds") is not None:
        sides = [_side(cp, variable, side) for side in given["bounds"]]
        low, high = np.broadcast_to(sides[0], variable.shape).copy(), np.broadcast_to(sides[1], variable.shape).copy()
    if given.get("nonneg") or given.get("pos"):
        low = np.maximum(low, 0.0)
    if given.get("nonpos") or given.get("neg"):
        high = np.minimum(high, 0.0)
    binary = _marked_entries(variable.shape, given.get("boolean"))
    return np.where(binary, np.maximum(low, 0.0), low), np.where(binary, np.minimum(high, 1.0), high)


def integers(variable: Any) -> Any:
    """Which entries are integer or boolean; bool array [shape]."""
    return _marked_entries(variable.shape, variable.attributes.get("integer")) | _marked_entries(variable.shape, variable.attributes.get("boolean"))


def entries(shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], int]]:
    """(position, place in Fortran order) of every entry, in C order; CVXPY counts in Fortran order."""
    for position in np.ndindex(*shape):
        yield position, int(np.ravel_multi_index(position, shape, order="F")) if shape else 0


def _marked_entries(shape: tuple[int, ...], given: Any) -> Any:
    """True marks all entries, a list of index arrays some."""
    found = np.zeros(shape, bool)
    if given is True:
        found[...] = True
    elif given not in (None, False):
        found[tuple(given)] = True
    return found


def _side(cp: Any, variable: Any, side: Any) -> Any:
    if isinstance(side, cp.Expression):
        if side.value is None:
            raise InvalidProgram("missing-value", where=f"a bound of `{variable.name()}` is `{side}`, which has no value")
        side = side.value
    return np.asarray(side.toarray() if hasattr(side, "toarray") else side, float)
