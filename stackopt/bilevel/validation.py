"""The laws a `BilevelProgram` keeps, each with its first witness by the user's own names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.errors import InvalidProgram

if TYPE_CHECKING:
    from stackopt.bilevel.program import BilevelProgram, Level


def validate(program: BilevelProgram) -> None:
    """Check everything, make arrays read-only; raises InvalidProgram with the first witness."""
    _names(program)
    _variables(program)
    for k, level in enumerate((program.leader, *program.followers)):
        _level(program, level, k - 1)
    _multipliers(program)
    if program.ties not in ("optimistic", "pessimistic"):
        raise InvalidProgram("bilevel-data", law="ties optimistic or pessimistic", where=repr(program.ties))
    if not program.followers:
        remedy = "without a follower it is an ordinary program: highspy, Pyomo or CVXPY solve it"
        raise InvalidProgram("bilevel-data", law="at least one follower", where=f"`{program.name}` has none", help=remedy)


def _names(program: BilevelProgram) -> None:
    for name in (program.name, *program.symbols):
        if not name or not name.isprintable():
            raise InvalidProgram("printable", name="names", got=repr(name))
    seen = set[str]()
    for name in program.symbols:
        if name in seen:
            raise InvalidProgram("bilevel-names", what="variables", where=f"`{name}` is used twice")
        seen.add(name)
    players = [level.name for level in program.followers]
    if len(set(players)) < len(players):
        raise InvalidProgram("bilevel-names", what="followers", where=", ".join(players))


def _variables(program: BilevelProgram) -> None:
    n = len(program.names)
    for what in ("owner", "lower", "upper", "integer"):
        got = np.shape(getattr(program, what))
        if got != (n,):
            raise InvalidProgram("bilevel-shape", array=what, wanted=f"[{n}], one entry per variable", got=str(list(got)))
    odd = (program.owner < -1) | (program.owner >= len(program.followers))
    if odd.any():
        j = int(np.flatnonzero(odd)[0])
        raise InvalidProgram("variable-owner", where=f"`{program.names[j]}` has owner {program.owner[j]}; there are {len(program.followers)} followers")
    bad = ~(program.lower <= program.upper) | (program.lower == np.inf) | (program.upper == -np.inf)
    if bad.any():
        j = int(np.flatnonzero(bad)[0])
        raise InvalidProgram("bilevel-bounds", where=f"`{program.names[j]}` in [{program.lower[j]:g}, {program.upper[j]:g}]")
    for array in (program.owner, program.lower, program.upper, program.integer):
        array.flags.writeable = False


def _level(program: BilevelProgram, level: Level, k: int) -> None:
    n, total = len(program.names), len(program.symbols)
    objective, rows, who = level.objective, level.rows, f"`{level.name}`"
    if objective.sense not in ("min", "max"):
        raise InvalidProgram("bilevel-data", law="sense min or max", where=f"objective of {who}: {objective.sense!r}")
    _shape(f"objective of {who}", objective.linear, (total,))
    _shape(f"rows of {who}", rows.matrix, (len(rows.names), total))
    _shape(f"lower sides of {who}", rows.lower, (len(rows.names),))
    _shape(f"upper sides of {who}", rows.upper, (len(rows.names),))
    _finite(f"objective of {who}", program.symbols, objective.linear)
    if not np.isfinite(objective.constant):
        raise InvalidProgram("bilevel-data", law="finite numbers", where=f"constant of the objective of {who} is {objective.constant}")
    for what, form in (("objective", objective.quadratic), *((f"row `{rows.names[i]}`", f) for i, f in rows.quadratic.items())):
        if form is None:
            continue
        _shape(f"quadratic terms of {what} of {who}", form, (total, total))
        found = form.tocoo()
        if (found.coords[0] > found.coords[1]).any():
            raise InvalidProgram("bilevel-data", law="each product once, in the upper triangle", where=f"quadratic terms of {what} of {who}")
        if not np.isfinite(found.data).all():
            raise InvalidProgram("bilevel-data", law="finite numbers", where=f"quadratic terms of {what} of {who}")
    entries = rows.matrix.tocoo()
    if not np.isfinite(entries.data).all():
        at = int(np.flatnonzero(~np.isfinite(entries.data))[0])
        i, j = int(entries.coords[0][at]), int(entries.coords[1][at])
        where = f"coefficient of `{program.symbols[j]}` in row `{rows.names[i]}` of {who}: {entries.data[at]}"
        raise InvalidProgram("bilevel-data", law="finite numbers", where=where)
    bad = ~(rows.lower <= rows.upper) | (rows.lower == np.inf) | (rows.upper == -np.inf)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise InvalidProgram("bilevel-bounds", where=f"row `{rows.names[i]}` of {who} in [{rows.lower[i]:g}, {rows.upper[i]:g}]")
    if len(set(rows.names)) < len(rows.names):
        twice = next(name for name in rows.names if rows.names.count(name) > 1)
        raise InvalidProgram("bilevel-names", what=f"rows of {who}", where=f"`{twice}` is used twice")
    odd = next((name for name in rows.names if not name or not name.isprintable()), None)
    if odd is not None:
        raise InvalidProgram("printable", name="row names", got=repr(odd))
    if k >= 0:
        if not (program.owner == k).any():
            remedy = "give it the variables it decides, or make it part of the leader"
            raise InvalidProgram("variable-owner", where=f"follower {who} decides no variable", help=remedy)
        _no_multipliers(program, level, n)
    for array in (objective.linear, rows.lower, rows.upper):
        array.flags.writeable = False


def _no_multipliers(program: BilevelProgram, level: Level, n: int) -> None:
    """A follower takes prices as the leader sets them; a multiplier inside a follower would define itself."""
    forms = [level.objective.quadratic, *level.rows.quadratic.values()]
    used = np.zeros(len(program.symbols), bool)
    used[np.flatnonzero(level.objective.linear)] = True
    used[level.rows.matrix.tocoo().coords[1]] = True
    for form in forms:
        if form is not None:
            used[np.concatenate(form.tocoo().coords)] = True
    if used[n:].any():
        name = program.symbols[n + int(np.flatnonzero(used[n:])[0])]
        raise InvalidProgram("multiplier-place", where=f"`{name}` is used by follower `{level.name}`")


def _multipliers(program: BilevelProgram) -> None:
    players = {level.name: k for k, level in enumerate(program.followers)}
    for m in program.multipliers:
        if m.follower not in players:
            raise InvalidProgram("multiplier-place", where=f"`{m.name}` is of follower `{m.follower}`, which does not exist")
        k = players[m.follower]
        mine = {program.names[j] for j in program.owned(k)}
        if m.constraint not in program.followers[k].rows.names and m.constraint not in mine:
            raise InvalidProgram("multiplier-place", where=f"`{m.name}` is of `{m.constraint}`, neither a row nor a variable of follower `{m.follower}`")


def _shape(name: str, array: Any, expected: tuple[int, ...]) -> None:
    if np.shape(array) != expected:
        raise InvalidProgram("bilevel-shape", array=name, wanted=str(list(expected)), got=str(list(np.shape(array))))


def _finite(name: str, symbols: tuple[str, ...], values: Any) -> None:
    if not np.isfinite(values).all():
        j = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InvalidProgram("bilevel-data", law="finite numbers", where=f"{name}: coefficient of `{symbols[j]}` is {values[j]}")
