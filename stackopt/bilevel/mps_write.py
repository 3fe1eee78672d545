"""Writing a bilevel program as MPS and AUX, so that reading gives back every number.

Every number comes back exactly but one: MPS states a row with two sides by one side and the distance to the other, and where no
distance in floating point leads back to the other side, that side is off by one unit in its last place.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from stackopt.bilevel.mps import INFINITE, sides
from stackopt.bilevel.program import BilevelProgram, Level
from stackopt.errors import InvalidProgram

#: Names that any reader of MPS and AUX takes as one field, and as no keyword.
FIELD = re.compile(r"[^\s*@$#'\"][^\s]*")


def mps_and_aux(program: BilevelProgram, mps_name: str) -> tuple[str, str]:
    """The texts of both files.

    The AUX file names the follower's columns and rows when the follower minimises; that form has no sense, so for a
    follower that maximises the file has the form by index, with OS -1.

    Parameters
    ----------
    program : BilevelProgram
        With one follower and nothing but linear objectives and rows.
    mps_name : str
        Name of the MPS file, to be named in the AUX file.

    Raises
    ------
    InvalidProgram
        [not-writable] if the program has something that the formats cannot hold; the error names it.
    """
    _check(program)
    follower = program.followers[0]
    mine = program.owned(0)
    row_names, objective_name = _row_names(program)
    leader_rows = len(program.leader.rows)
    if follower.objective.sense == "max":
        lines = [f"N {len(mine)}", f"M {len(follower.rows)}"]
        lines += [f"LC {j}" for j in mine]
        lines += [f"LR {leader_rows + i}" for i in range(len(follower.rows))]
        lines += [f"LO {_shown(follower.objective.linear[j])}" for j in mine]
        aux = [*lines, "OS -1"]
    else:
        aux = ["@NUMVARS", str(len(mine)), "@NUMCONSTRS", str(len(follower.rows)), "@VARSBEGIN"]
        aux += [f"{program.names[j]} {_shown(follower.objective.linear[j])}" for j in mine]
        aux += ["@VARSEND", "@CONSTRSBEGIN", *row_names[leader_rows:], "@CONSTRSEND", "@NAME", program.name, "@MPS", mps_name]
    return "\n".join([*_mps_lines(program, row_names, objective_name), ""]), "\n".join([*aux, ""])


def _check(program: BilevelProgram) -> None:
    """Refuse what the formats have no place for."""

    def refuse(what: str, where: str = "") -> InvalidProgram:
        help = 'JSON holds every bilevel program: write(program, "name.json")'
        return InvalidProgram("not-writable", format="MPS and AUX", what=what, where=where, help=help)

    if len(program.followers) > 1:
        raise refuse("several followers", ", ".join(level.name for level in program.followers))
    if program.multipliers:
        raise refuse("follower multipliers", ", ".join(f"`{m.name}` of `{m.constraint}`" for m in program.multipliers))
    if program.ties != "optimistic":
        raise refuse("pessimistic ties", "both formats mean the optimistic program")
    for level in (program.leader, program.followers[0]):
        if level.objective.quadratic is not None and level.objective.quadratic.nnz:
            raise refuse("quadratic objectives", f"objective of `{level.name}`")
        curved = [level.rows.names[i] for i, form in level.rows.quadratic.items() if form.nnz]
        if curved:
            raise refuse("quadratic rows", f"row `{curved[0]}` of `{level.name}`")
    follower = program.followers[0].objective
    if follower.constant:
        raise refuse("a constant in the follower's objective", f"{follower.constant:g}; it changes no decision, so leave it out")
    foreign = [program.names[j] for j in np.flatnonzero(follower.linear) if program.owner[j] != 0]
    if foreign:
        raise refuse("variables of others in the follower's objective", f"`{foreign[0]}`; linear terms of them change no decision, so leave them out")
    for name in (*program.names, *program.leader.rows.names, *program.followers[0].rows.names):
        if not FIELD.fullmatch(name):
            raise refuse("names with blanks, or that begin with * @ $ # or a quote", f"`{name}`")
    huge = [name for name, bounds in zip(program.names, np.abs([program.lower, program.upper]).T) if ((bounds >= INFINITE) & np.isfinite(bounds)).any()]
    if huge:
        raise refuse(f"bounds of {INFINITE:g} or more, which mean infinity", f"`{huge[0]}`")


def _row_names(program: BilevelProgram) -> tuple[list[str], str]:
    """Names of all rows, the leader's first, and of the objective; a follower row called like one of the leader's is prefixed."""
    leader, follower = program.leader.rows.names, program.followers[0].rows.names
    taken = {*leader, *follower}
    names = list(leader)
    for name in follower:
        while name in names:
            name = f"follower.{name}"
        names.append(name)
    objective = "OBJ"
    while objective in taken or objective in names:
        objective += "_"
    return names, objective


def _mps_lines(program: BilevelProgram, row_names: list[str], objective: str) -> list[str]:
    from scipy import sparse

    leader = program.leader.objective
    levels: tuple[Level, ...] = (program.leader, program.followers[0])
    low = np.concatenate([level.rows.lower for level in levels])
    high = np.concatenate([level.rows.upper for level in levels])
    typed = [_row(a, b) for a, b in zip(low.tolist(), high.tolist())]
    lines = [f"NAME {program.name}"]
    lines += ["OBJSENSE", "    MAX"] if leader.sense == "max" else []
    lines += ["ROWS", f" N  {objective}", *(f" {kind}  {name}" for name, (kind, _, _) in zip(row_names, typed))]
    matrix = sparse.csc_array(sparse.vstack([level.rows.matrix for level in levels], format="csc"))
    matrix.sum_duplicates()
    lines.append("COLUMNS")
    whole = False
    for j, name in enumerate(program.names):
        if bool(program.integer[j]) != whole:
            whole = not whole
            lines.append(f"    MARKER  'MARKER'  '{'INTORG' if whole else 'INTEND'}'")
        part = slice(matrix.indptr[j], matrix.indptr[j + 1])
        entries = [(row_names[i], a) for i, a in zip(matrix.indices[part], matrix.data[part]) if a]
        if leader.linear[j] or not entries:
            entries = [(objective, leader.linear[j]), *entries]
        lines += [f"    {name}  {row}  {_shown(a)}" for row, a in entries]
    lines += ["    MARKER  'MARKER'  'INTEND'"] if whole else []
    lines.append("RHS")
    lines += [f"    RHS  {objective}  {_shown(-leader.constant)}"] if leader.constant else []
    lines += [f"    RHS  {name}  {_shown(rhs)}" for name, (_, rhs, _) in zip(row_names, typed) if rhs]
    ranges = [f"    RANGE  {name}  {_shown(reach)}" for name, (_, _, reach) in zip(row_names, typed) if reach is not None]
    lines += ["RANGES", *ranges] if ranges else []
    bounds = [line for j in range(program.size) for line in _bounds(program, j)]
    lines += ["BOUNDS", *bounds] if bounds else []
    return [*lines, "ENDATA"]


def _row(low: float, high: float) -> tuple[str, float, float | None]:
    """Type, right-hand side and range from which `sides` recovers both sides, or where that cannot be, the nearest."""
    if low == high:
        return "E", low, None
    if math.isinf(low):
        return ("L", high, None) if math.isfinite(high) else ("G", -1e30, None)  # a free row; N would be dropped when read
    if math.isinf(high):
        return "G", low, None
    reach = high - low
    tried = [(kind, rhs, r) for kind, rhs in (("L", high), ("G", low)) for r in (reach, math.nextafter(reach, 0.0), math.nextafter(reach, math.inf))]

    def off(one: tuple[str, float, float]) -> float:
        found = sides(*one)
        return abs(found[0] - low) + abs(found[1] - high)

    return min(tried, key=off)


def _bounds(program: BilevelProgram, j: int) -> list[str]:
    name, low, high = program.names[j], float(program.lower[j]), float(program.upper[j])

    def line(kind: str, value: float | None = None) -> str:
        return f" {kind} BOUND  {name}" + ("" if value is None else f"  {_shown(value)}")

    if low == high:
        return [line("FX", low)]
    if program.integer[j] and (low, high) == (0.0, 1.0):
        return [line("BV")]
    if math.isinf(low) and math.isinf(high):
        return [line("FR")]
    found = [line("MI")] if math.isinf(low) else [line("LO", low)] if low else []
    if math.isfinite(high):
        return [*found, line("UP", high)]
    return [*found, line("PL")] if program.integer[j] else found  # without any bound an integer column would be binary


def _shown(value: Any) -> str:
    """The shortest text that reads as the same number."""
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def paths(path: Path) -> tuple[Path, Path]:
    """The MPS and the AUX file for a path to either."""
    return path.with_suffix(".mps"), path.with_suffix(".aux")
