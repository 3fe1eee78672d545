"""A `QuadraticProgram` as algebra for people, and in the LP and MPS formats for solvers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.display import number
from stackopt.programs.algebra import interval, relation, terms

if TYPE_CHECKING:
    from stackopt.programs.quadratic import QuadraticProgram

#: Beginnings and words that LP readers take for something else.
_EXPONENT = re.compile(r"[eE]([eE\d]|$)")
_RESERVED = frozenset({"free", "inf", "infinity", "st", "s.t.", "bin", "binary", "binaries", "gen", "general", "generals", "end", "bounds", "sos", "semi"})


def algebra(program: QuadraticProgram, further: Sequence[str] = ()) -> str:
    """The whole program with the user's names: objective, rows, implications, SOS1 sets, `further` lines, columns."""
    whole = 10**9
    lines = [f"{program.sense}  {terms(program.names, program.linear, program.quadratic, program.constant, most=whole)}", "subject to"]
    width = max((len(name) for name in program.row_names), default=0)
    for i, name in enumerate(program.row_names):
        left = terms(program.names, program.matrix[[i]], program.row_quadratic.get(i), most=whole)
        lines.append(f"  {name:<{width}}  {relation(left, program.row_lower[i], program.row_upper[i])}")
    for implication in program.implications:
        row = np.zeros(len(program.names))
        row[implication.columns] = implication.values
        when = f"{program.names[implication.binary]} = {int(implication.active)}"
        lines.append(f"  {implication.name:<{width}}  {when} -> {terms(program.names, row, most=whole)} <= {number(implication.upper + 0.0)}")
    for name, members in program.sos1:
        lines.append(f"  {name:<{width}}  at most one of {', '.join(program.names[j] for j in members)} is not 0")
    lines += [f"  {line}" for line in further]
    lines.append("columns")
    width = max((len(name) for name in program.names), default=0)
    for j, name in enumerate(program.names):
        kind = ", integer" if program.integer[j] else ""
        lines.append(f"  {name:<{width}}  {interval(program.lower[j], program.upper[j])}{kind}")
    return "\n".join([*lines, ""])


def plain_names(names: Sequence[str], first: str) -> tuple[str, ...]:
    """Distinct names of letters, digits and underscores, at most 200 long, close to the given ones.

    LP readers take ``e9`` for part of a number and some words for section titles, so those are prefixed with
    `first`.
    """
    found, used = [], set[str]()
    for name in names:
        plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name).strip("_")[:200]
        if not plain[:1].isalpha() or _EXPONENT.match(plain) or plain.lower() in _RESERVED:
            plain = f"{first}_{plain}"
        base, count = plain, 1
        while plain.lower() in used:
            count += 1
            plain = f"{base}_{count}"
        used.add(plain.lower())
        found.append(plain)
    return tuple(found)


def _renamed(names: Sequence[str], plain: Sequence[str], what: str, mark: str) -> Iterable[str]:
    return [f"{mark} {what} {short} is {name}" for name, short in zip(names, plain) if name != short]


def _figure(value: float) -> str:
    return f"{value:.17g}"


def _products(form: Any) -> list[tuple[int, int, float]]:
    found = form.tocoo()
    return sorted((int(i), int(j), float(a)) for i, j, a in zip(*found.coords, found.data) if a)


# --- LP --------------------------------------------------------------------------------------------------------------


def lp(program: QuadraticProgram) -> str:
    """The LP text; a range row becomes two rows."""
    names, rows = plain_names(program.names, "v"), plain_names([*program.row_names, *(i.name for i in program.implications)], "r")
    lines = [f"\\ {program.name}", *_renamed(program.names, names, "column", "\\"), *_renamed(program.row_names, rows, "row", "\\")]
    lines.append("Minimize" if program.sense == "min" else "Maximize")
    where = np.flatnonzero(program.linear)
    parts = [f"{program.linear[j]:+.17g} {names[j]}" for j in where] or [f"0 {names[0]}"]
    if program.curved:
        assert program.quadratic is not None
        parts.append("+ [ " + " ".join(_product(names, i, j, 2 * a) for i, j, a in _products(program.quadratic)) + " ] / 2")
    parts += [f"{program.constant:+.17g}"] if program.constant else []
    lines += [" objective: " + " ".join(parts), "Subject To"]
    matrix = program.matrix.tocsr()
    for i, row in enumerate(rows[: len(program.row_names)]):
        part = slice(matrix.indptr[i], matrix.indptr[i + 1])
        entries = [f"{a:+.17g} {names[j]}" for j, a in zip(matrix.indices[part], matrix.data[part]) if a]
        if i in program.row_quadratic:
            entries.append("+ [ " + " ".join(_product(names, j, h, a) for j, h, a in _products(program.row_quadratic[i])) + " ]")
        left, low, high = " ".join(entries) or f"0 {names[0]}", program.row_lower[i], program.row_upper[i]
        if low == high:
            lines.append(f" {row}: {left} = {_figure(low)}")
            continue
        if np.isfinite(low):
            lines.append(f" {row}{'_low' if np.isfinite(high) else ''}: {left} >= {_figure(low)}")
        if np.isfinite(high):
            lines.append(f" {row}: {left} <= {_figure(high)}")
    for implication, row in zip(program.implications, rows[len(program.row_names) :]):
        left = " ".join(f"{a:+.17g} {names[j]}" for j, a in zip(implication.columns, implication.values))
        lines.append(f" {row}: {names[implication.binary]} = {int(implication.active)} -> {left} <= {_figure(implication.upper)}")
    lines.append("Bounds")
    for name, low, high in zip(names, program.lower, program.upper):
        free = np.isinf(low) and np.isinf(high)
        lines.append(f" {name} free" if free else f" {_end(low)} <= {name} <= {_end(high)}")
    if program.integer.any():
        lines += ["General", *(f" {names[j]}" for j in np.flatnonzero(program.integer))]
    if program.sos1:
        lines.append("SOS")
        for label, (_, members) in zip(plain_names([name for name, _ in program.sos1], "s"), program.sos1):
            lines.append(f" {label}: S1:: " + " ".join(f"{names[j]}:{weight}" for weight, j in enumerate(members, 1)))
    return "\n".join([*lines, "End", ""])


def _product(names: Sequence[str], i: int, j: int, value: float) -> str:
    return f"{value:+.17g} {names[i]} ^2" if i == j else f"{value:+.17g} {names[i]} * {names[j]}"


def _end(bound: float) -> str:
    return _figure(bound) if np.isfinite(bound) else "+inf" if bound > 0 else "-inf"


# --- MPS -------------------------------------------------------------------------------------------------------------


def mps(program: QuadraticProgram) -> str:
    """The free MPS text; the objective's constant is the negated right-hand side of its row, as readers expect."""
    names = plain_names(program.names, "v")
    rows = plain_names([*program.row_names, *(i.name for i in program.implications)], "r")
    low = np.concatenate([program.row_lower, np.full(len(program.implications), -np.inf)])
    high = np.concatenate([program.row_upper, [i.upper for i in program.implications]])
    lines = [*_renamed(program.names, names, "column", "*"), *_renamed(program.row_names, rows, "row", "*")]
    lines += [f"NAME {plain_names([program.name], 'p')[0]}"]
    lines += ["OBJSENSE", " MAX"] if program.sense == "max" else []
    lines += ["ROWS", " N objective", *(f" {_sense(a, b)} {row}" for row, a, b in zip(rows, low, high))]
    lines += ["COLUMNS", *_mps_columns(program, names, rows), "RHS"]
    lines += [f" rhs objective {_figure(-program.constant)}"] if program.constant else []
    for row, a, b in zip(rows, low, high):
        side = b if np.isfinite(b) else a
        lines += [f" rhs {row} {_figure(side)}"] if np.isfinite(side) and side else []
    ranges = [f" range {row} {_figure(b - a)}" for row, a, b in zip(rows, low, high) if a != b and np.isfinite(a) and np.isfinite(b)]
    lines += ["RANGES", *ranges] if ranges else []
    lines += ["BOUNDS", *_mps_bounds(program, names)]
    if program.sos1:
        lines.append("SOS")
        for label, (_, members) in zip(plain_names([name for name, _ in program.sos1], "s"), program.sos1):
            lines += [f" S1 {label}", *(f" {names[j]} {weight}" for weight, j in enumerate(members, 1))]
    if program.curved:
        assert program.quadratic is not None
        lines += ["QUADOBJ", *(f" {names[i]} {names[j]} {_figure(2 * a if i == j else a)}" for i, j, a in _products(program.quadratic))]
    for i, form in sorted(program.row_quadratic.items()):
        lines.append(f"QCMATRIX {rows[i]}")
        for j, h, a in _products(form):
            places = [(j, h, a)] if j == h else [(j, h, a / 2), (h, j, a / 2)]
            lines += [f" {names[b]} {names[c]} {_figure(half)}" for b, c, half in places]
    if program.implications:
        lines.append("INDICATORS")
        lines += [f" IF {row} {names[i.binary]} {int(i.active)}" for i, row in zip(program.implications, rows[len(program.row_names) :])]
    return "\n".join([*lines, "ENDATA", ""])


def _sense(low: float, high: float) -> str:
    if low == high:
        return "E"
    return "L" if np.isfinite(high) else "G" if np.isfinite(low) else "N"


def _mps_columns(program: QuadraticProgram, names: Sequence[str], rows: Sequence[str]) -> Iterable[str]:
    matrix = program.matrix.tocsc()
    extra: dict[int, list[tuple[int, float]]] = {}
    for k, implication in enumerate(program.implications, len(program.row_names)):
        for j, a in zip(implication.columns, implication.values):
            extra.setdefault(int(j), []).append((k, float(a)))
    lines, marked = list[str](), False
    for j in sorted(range(len(names)), key=lambda j: bool(program.integer[j])):
        if program.integer[j] and not marked:
            lines.append(" MARK 'MARKER' 'INTORG'")
            marked = True
        part = slice(matrix.indptr[j], matrix.indptr[j + 1])
        entries = [(int(i), float(a)) for i, a in zip(matrix.indices[part], matrix.data[part]) if a] + extra.get(j, [])
        lines.append(f" {names[j]} objective {_figure(program.linear[j])}")
        lines += [f" {names[j]} {rows[i]} {_figure(a)}" for i, a in entries]
    return [*lines, *([" MARK 'MARKER' 'INTEND'"] if marked else [])]


def _mps_bounds(program: QuadraticProgram, names: Sequence[str]) -> Iterable[str]:
    lines = []
    for name, low, high, whole in zip(names, program.lower, program.upper, program.integer):
        if whole and (low, high) == (0.0, 1.0):
            lines.append(f" BV bound {name}")
        elif low == high:
            lines.append(f" FX bound {name} {_figure(low)}")
        elif np.isinf(low) and np.isinf(high):
            lines.append(f" FR bound {name}")
        else:
            lines.append(f" MI bound {name}" if np.isinf(low) else f" LO bound {name} {_figure(low)}")
            lines.append(f" PL bound {name}" if np.isinf(high) else f" UP bound {name} {_figure(high)}")
    return lines
