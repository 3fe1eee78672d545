"""A bilevel program from an MPS file and its AUX file.

The MPS file holds the variables and rows of both levels and the leader's objective; the AUX file says which are the
follower's, and the follower's objective. In the interdiction form the MPS file holds only the follower's program
:math:`\\min\\{c^\\top y : y \\in Y\\}`; then the leader blocks items within a budget,

.. math:: \\min_{x,y}\\ -c^\\top y \\quad\\text{s.t. } a^\\top x \\le b,\\ x \\in \\{0,1\\}^n,\\quad
          y \\in \\arg\\min\\{d^\\top y : y \\in Y,\\ y_j \\le u_j (1 - x_j)\\},

where a and b are IC and IB, d is LO, and u are the upper bounds of y. MibS negates the objective of the MPS file for the
leader, and so does this reader; with c = d, as in all published instances, the game is zero-sum.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stackopt.bilevel.aux_file import Aux, read_aux
from stackopt.bilevel.mps import Mps, read_mps
from stackopt.bilevel.program import BilevelProgram, Level, Objective, Rows
from stackopt.errors import InvalidProgram


def read_mps_aux(mps_path: Path, aux_path: Path) -> BilevelProgram:
    """Read a pair of files.

    Raises
    ------
    InvalidProgram
        [bilevel-file] or [aux-file] if a file is broken, [aux-names] if the AUX file names a column or row that the MPS file
        has not, [aux-count] if its counts disagree.
    """
    aux = read_aux(aux_path)
    mps = read_mps(mps_path)
    leader_cost = mps.objective
    if aux.interdiction:
        mps = _expanded(mps, aux)
        leader_cost = {j: -value for j, value in mps.objective.items()}
        mps.constant = -mps.constant
    columns = _places(aux, "columns", mps.columns, mps)
    rows = _places(aux, "rows", mps.rows, mps)
    owner = np.full(len(mps.columns), -1)
    owner[columns] = 0
    follower_cost = np.zeros(len(mps.columns))
    follower_cost[columns] = aux.costs
    others = sorted(set(range(len(mps.rows))) - set(rows))
    leader = Objective(mps.sense, _dense(leader_cost, len(owner)), constant=mps.constant)
    return BilevelProgram(
        names=tuple(mps.columns),
        owner=owner,
        lower=np.array(mps.lower),
        upper=np.array(mps.upper),
        integer=np.array(mps.integer, bool),
        leader=Level("leader", leader, _rows(mps, others)),
        followers=(Level("follower", Objective(aux.sense, follower_cost), _rows(mps, rows)),),
        name=_shown(mps.name or aux.name or stem(mps_path)),
        source=f"MPS file {mps_path.name}, AUX file {aux_path.name}",
    )


def _dense(entries: dict[int, float], n: int) -> Any:
    found = np.zeros(n)
    for j, value in entries.items():
        found[j] = value
    return found


def _rows(mps: Mps, chosen: Sequence[int]) -> Rows:
    from scipy import sparse

    place = {i: at for at, i in enumerate(chosen)}
    entries = [(place[i], j, value) for (i, j), value in mps.entries.items() if i in place and value]
    i, j, values = (np.array(part) for part in zip(*entries)) if entries else (np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    matrix = sparse.csr_array((values, (i, j)), shape=(len(chosen), len(mps.columns)))
    names = tuple(mps.rows)
    return Rows(tuple(names[i] for i in chosen), matrix, np.array(mps.row_lower)[list(chosen)], np.array(mps.row_upper)[list(chosen)])


def _places(aux: Aux, what: str, known: dict[str, int], mps: Mps) -> list[int]:
    """The follower's columns or rows as indices."""
    entries: list[int | str] = getattr(aux, what)
    lines, noun = aux.lines[what], what[:-1]
    places: list[int] = []
    taken = set[int]()
    for line, entry in zip(lines, entries):
        if isinstance(entry, str):
            if entry not in known:
                close = difflib.get_close_matches(entry, known, n=1)
                help = f"did you mean `{close[0]}`?" if close else f"names must be those of {mps.path.name}, letter by letter"
                aux.fail(f"{mps.path.name} has no {noun} called `{entry}`", code="aux-names", help=help, line=line)
            at = known[entry]
        else:
            at = entry
            if at >= len(known):
                help = "counting begins at 0 and leaves out rows of type N"
                aux.fail(f"{noun} {at} of {mps.path.name}, which has {len(known)}", code="aux-names", help=help, line=line)
        if at in taken:
            aux.fail(f"{noun} `{entry}` a second time", code="aux-names", help="each follower column and row is listed once", line=line)
        taken.add(at)
        places.append(at)
    if what == "columns" and not places:
        aux.fail("no follower column", help="a follower decides at least one variable")
    return places


def _expanded(mps: Mps, aux: Aux) -> Mps:
    """The follower's program with the leader's binaries, the budget row before and the blocking rows behind."""
    n, m = len(mps.columns), len(mps.rows)
    if mps.sense == "max":
        aux.fail(f"interdiction with OBJSENSE MAX in {mps.path.name}", help="negate the objective of the MPS file and leave OBJSENSE out")
    if aux.by_name or sorted(aux.columns) != list(range(n, 2 * n)):
        aux.fail(f"interdiction with follower columns other than {n} to {2 * n - 1}", code="aux-names",
                 help=f"the leader's columns 0 to {n - 1} are made for the {n} columns of {mps.path.name}, which follow them")  # fmt: skip
    for name, j in mps.columns.items():
        if not np.isfinite(mps.upper[j]):
            aux.fail(f"`{name}` of {mps.path.name} has no upper bound", help="interdiction writes y <= u*(1 - x), so each column needs its upper bound u")
        if mps.lower[j] > 0:
            aux.fail(f"`{name}` of {mps.path.name} has the lower bound {mps.lower[j]:g}", help="an interdicted column must be able to be 0")
    own, blocks = _fresh("interdict", mps.columns, mps.columns), _fresh("block", mps.columns, mps.rows)
    budget = _fresh("budget", [""], mps.rows)[0]
    rows = {budget: 0, **{name: i + 1 for name, i in mps.rows.items()}, **{name: m + 1 + j for j, name in enumerate(blocks)}}
    entries = {(i + 1, j + n): value for (i, j), value in mps.entries.items()}
    costs = dict(zip(aux.columns, aux.interdiction))  # IC belongs to the column that LC lists in the same place
    entries |= {(0, j): costs[n + j] for j in range(n)}
    for j in range(n):
        entries |= {(m + 1 + j, j): mps.upper[j], (m + 1 + j, n + j): 1.0}
    return replace(
        mps,
        columns={**{name: j for j, name in enumerate(own)}, **{name: n + j for name, j in mps.columns.items()}},
        rows=rows,
        objective={n + j: value for j, value in mps.objective.items()},
        entries=entries,
        row_lower=[-np.inf, *mps.row_lower, *([-np.inf] * n)],
        row_upper=[aux.budget, *mps.row_upper, *mps.upper],
        lower=[0.0] * n + mps.lower,
        upper=[1.0] * n + mps.upper,
        integer=[True] * n + mps.integer,
    )


def _fresh(word: str, names: Iterable[str], taken: Iterable[str]) -> list[str]:
    """``word[name]`` for each of `names`, none of them in `taken`."""
    used = set(taken)
    while True:
        found = [f"{word}[{name}]" if name else word for name in names]
        if used.isdisjoint(found):
            return found
        word += "_"


def _shown(name: str) -> str:
    return name if name.isprintable() and name else "program"


def stem(path: Path) -> str:
    """The file's name without .mps, .aux or .mps.gz."""
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return name.stem


def beside(path: Path, suffix: str) -> Path | None:
    """The file next to `path` with another suffix, in small letters or capitals."""
    for candidate in (suffix, suffix.upper()):
        found = path.with_name(stem(path) + candidate)
        if found.is_file():
            return found
    return None


def pair(path: Path, aux: Path | None) -> tuple[Path, Path]:
    """The MPS file and the AUX file that belong together, from the path of either.

    Raises
    ------
    InvalidProgram
        [aux-missing] if one of them is not there.
    """
    if aux is not None:
        return path, aux
    if path.suffix.lower() == ".aux":
        named = read_aux(path).mps
        mps = path.with_name(Path(named).name) if named and path.with_name(Path(named).name).is_file() else None
        mps = mps or beside(path, ".mps") or beside(path, ".mps.gz")
        if mps is None:
            raise InvalidProgram("aux-missing", path=path, what="MPS", where=f"looked for {stem(path)}.mps next to it")
        return mps, path
    found = beside(path, ".aux")
    if found is None:
        if not path.is_file():
            raise InvalidProgram("bilevel-file", path=path, where="No such file or directory")
        raise InvalidProgram("aux-missing", path=path, what="AUX", where=f"looked for {stem(path)}.aux next to it")
    return path, found
