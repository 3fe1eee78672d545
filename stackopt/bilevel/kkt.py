r"""The followers' optimality conditions in place of the followers: a `BilevelProgram` as an `Mpec`.

For followers that are linear or convex quadratic programs, y is optimal for follower k at x if and only if multipliers exist
that satisfy stationarity, signs and complementarity (linear constraints need no qualification). So the leader's optimum over
(x, y, multipliers) is the optimistic bilevel optimum, and several followers together are in Nash equilibrium. For other
followers the conditions are at best necessary, and `kkt` refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.bilevel.point import Array, Point
from stackopt.bilevel.program import BilevelProgram, Objective
from stackopt.programs.mpec import Mpec
from stackopt.solution import Refusal

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Kkt:
    """An `Mpec` with the way back and forth.

    Attributes
    ----------
    program : BilevelProgram
    mpec : Mpec
    symbol_of : sparse [N, n + M]
        The program's symbols as linear functions of the columns: variables are themselves, a multiplier symbol is
        sigma * (multiplier of the lower side - multiplier of the upper side - multiplier of the equation), sigma = +1 for a
        follower that minimises and -1 for one that maximises.
    """

    program: BilevelProgram
    mpec: Mpec
    symbol_of: csr_array

    def lift(self, w: Array) -> Point:
        """The candidate of a solution vector [n + M]."""
        symbols = self.symbol_of @ w
        n = self.program.size
        return Point(symbols[:n], symbols[n:], claim=self.mpec.sign * self.mpec.value(w))

    def algebra(self) -> str:
        """The conditions as a person writes them, with the user's names."""
        return self.mpec.algebra()

    def block(self) -> Any:
        """The printed form."""
        return self.mpec.block()

    def __repr__(self) -> str:
        return self.block().text()  # type: ignore[no-any-return]


def kkt_refusal(program: BilevelProgram) -> Refusal | None:
    """Why optimality conditions do not characterise the followers, if they do not."""
    if program.ties != "optimistic":
        why = "the program is pessimistic, and optimality conditions leave ties to the leader"
        return Refusal("kkt-form", law={"why": why}, remedy="so.Exact() reduces pessimistic programs first")
    for k, level in enumerate(program.followers):
        if program.bilinear(k):
            row = next(iter(level.rows.quadratic))
            return Refusal("kkt-form", law={"why": f"row `{level.rows.names[row]}` of `{level.name}` multiplies its variables by others'"})
        kind = program.kind(k)
        if kind not in ("LP", "QP") or level.rows.quadratic:
            return Refusal("kkt-form", law={"why": f"follower `{level.name}` is {_article(kind)}"})
    return None


def _article(kind: str) -> str:
    words = {"MILP": "an integer program", "MIQP": "an integer quadratic program", "QCQP": "quadratically constrained"}
    return words.get(kind, f"a {kind} with quadratic rows" if kind in ("LP", "QP") else f"a {kind}")


def kkt(program: BilevelProgram) -> Kkt:
    """The optimality conditions of all followers as an `Mpec`.

    Raises
    ------
    Refused
        ``kkt-form`` if a follower is not a linear or convex quadratic program, or ties are pessimistic.
    """
    refusal = kkt_refusal(program)
    if refusal is not None:
        raise refusal.error()
    return lower(program)


def lower(program: BilevelProgram) -> Kkt:
    """First-order conditions of every follower, whether or not they characterise its optima; rows must be linear."""
    from scipy import sparse

    n = program.size
    rows = [level.rows for level in program.followers]
    follower_rows = sparse.csr_array(sparse.vstack([r.matrix[:, :n] for r in rows], format="csr"))
    row_lower, row_upper = np.concatenate([r.lower for r in rows]), np.concatenate([r.upper for r in rows])
    of_row = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    columns = np.flatnonzero(program.owner >= 0)
    pairs, free = _sides(row_lower, row_upper, of_row, program, columns)
    count = len(pairs) + len(free)
    gradients = _constraint_gradients(follower_rows, pairs, free, n)  # [M, n], signed
    blocks, rhs = [], np.zeros(len(columns))
    for k, level in enumerate(program.followers):
        mine = program.owned(k)
        at = np.searchsorted(columns, mine)
        sign = level.objective.sign
        rhs[at] = -sign * level.objective.linear[mine]
        blocks.append((at, sparse.csr_array(sign * _hessian(level.objective, n)[mine])))
    second = _stacked(blocks, (len(columns), n))
    owner_of = np.array([f for _, _, _, f in (*pairs, *free)], dtype=np.int64)
    multiplier_part = gradients[:, columns].T.tocoo()
    i, j = multiplier_part.coords
    keep = program.owner[columns[i]] == owner_of[j]  # a follower's rows constrain its own variables only
    first = sparse.csr_array((multiplier_part.data[keep], (i[keep], j[keep])), shape=(len(columns), count))
    stationarity = sparse.csr_array(sparse.hstack([second, first], format="csr"))
    symbol_of = _symbols(program, pairs, free, row_offset(rows))
    sign = program.leader.objective.sign
    leader = program.leader
    row_names = _row_names(program)
    names = (*program.names, *(_multiplier_name(program, row_names, entry) for entry in (*pairs, *free)))
    quadratic = {r: sparse.csr_array(symbol_of.T @ (form + form.T) @ symbol_of) for r, form in leader.rows.quadratic.items()}
    form = leader.objective.quadratic
    hessian = sparse.csr_array((n + count, n + count)) if form is None else sparse.csr_array(sign * (symbol_of.T @ (form + form.T) @ symbol_of))
    hessian.eliminate_zeros()
    mpec = Mpec(
        names=names,
        lower=np.concatenate([program.lower, np.zeros(len(pairs)), np.full(len(free), -np.inf)]),
        upper=np.concatenate([program.upper, np.full(count, np.inf)]),
        integer=np.concatenate([program.integer, np.zeros(count, bool)]),
        owner=program.owner,
        linear=np.asarray(sign * (symbol_of.T @ leader.objective.linear), float),
        hessian=hessian,
        constant=sign * leader.objective.constant,
        sign=sign,
        leader_rows=sparse.csr_array(leader.rows.matrix @ symbol_of),
        leader_lower=leader.rows.lower,
        leader_upper=leader.rows.upper,
        leader_names=leader.rows.names,
        follower_rows=follower_rows,
        follower_lower=row_lower,
        follower_upper=row_upper,
        follower_names=row_names,
        follower_of_row=of_row,
        stationarity=stationarity,
        stationarity_rhs=rhs,
        stationarity_column=columns,
        pair_row=_field(pairs, 0),
        pair_column=_field(pairs, 1),
        pair_side=_field(pairs, 2),
        pair_follower=_field(pairs, 3),
        free_row=_field(free, 0),
        free_column=_field(free, 1),
        free_follower=_field(free, 3),
        leader_quadratic=quadratic,
        name=program.name,
    )
    return Kkt(program, mpec, symbol_of)


Side = tuple[int, int, int, int]  # follower row or -1, variable or -1, side (+1 upper, -1 lower, 0 equation), follower


def _sides(lower: Array, upper: Array, of_row: Any, program: BilevelProgram, columns: Any) -> tuple[list[Side], list[Side]]:
    """Every finite side of a follower's rows and bounds: (pairs, equations)."""
    pairs, free = list[Side](), list[Side]()
    entries = [(i, -1, lower[i], upper[i], int(of_row[i])) for i in range(len(lower))]
    entries += [(-1, int(j), program.lower[j], program.upper[j], int(program.owner[j])) for j in columns]
    for row, column, low, high, follower in entries:
        if low == high:
            free.append((row, column, 0, follower))
            continue
        if np.isfinite(high):
            pairs.append((row, column, 1, follower))
        if np.isfinite(low):
            pairs.append((row, column, -1, follower))
    return pairs, free


def _stacked(blocks: list[tuple[Any, Any]], shape: tuple[int, int]) -> Any:
    """Each block's rows at their places in one matrix."""
    from scipy import sparse

    parts = [(at[found.coords[0]], found.coords[1], found.data) for at, block in blocks for found in [block.tocoo()]]
    rows, columns, values = (np.concatenate(column) for column in zip(*parts))
    return sparse.csr_array((values, (rows, columns)), shape=shape)


def _constraint_gradients(follower_rows: Any, pairs: list[Side], free: list[Side], n: int) -> Any:
    """Each constraint's gradient with the sign it has in stationarity: + for upper sides and equations, - for lower; [M, n]."""
    from scipy import sparse

    entries = [*pairs, *free]
    rows, columns = _field(entries, 0), _field(entries, 1)
    signs = np.where(_field(entries, 2) < 0, -1.0, 1.0)
    m, count = follower_rows.shape[0], len(entries)
    at_row, at_bound = np.flatnonzero(rows >= 0), np.flatnonzero(rows < 0)
    pick = sparse.csr_array((signs[at_row], (at_row, rows[at_row])), shape=(count, m))
    bounds = sparse.csr_array((signs[at_bound], (at_bound, columns[at_bound])), shape=(count, n))
    return sparse.csr_array(pick @ follower_rows + bounds)


def _hessian(objective: Objective, n: int) -> Any:
    from scipy import sparse

    if objective.quadratic is None:
        return sparse.csr_array((n, n))
    form = objective.quadratic[:n][:, :n]
    return sparse.csr_array(form + form.T)


def row_offset(rows: list[Any]) -> Any:
    """Where each follower's rows begin in the stacked matrix."""
    return np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)


def _symbols(program: BilevelProgram, pairs: list[Side], free: list[Side], offset: Any) -> Any:
    from scipy import sparse

    n, entries = program.size, [*pairs, *free]
    place = {(row, column, side): p for p, (row, column, side, _) in enumerate(entries)}
    i, j, values = list(range(n)), list(range(n)), [1.0] * n
    for s, multiplier in enumerate(program.multipliers):
        k = next(k for k, level in enumerate(program.followers) if level.name == multiplier.follower)
        level = program.followers[k]
        sigma = level.objective.sign
        if multiplier.constraint in level.rows.names:
            key = (int(offset[k]) + level.rows.names.index(multiplier.constraint), -1)
        else:
            key = (-1, program.names.index(multiplier.constraint))
        for side, weight in ((-1, sigma), (1, -sigma), (0, -sigma)):
            if (*key, side) in place:
                i.append(n + s)
                j.append(n + place[(*key, side)])
                values.append(weight)
    return sparse.csr_array((values, (i, j)), shape=(len(program.symbols), n + len(entries)))


def _row_names(program: BilevelProgram) -> tuple[str, ...]:
    several = len(program.followers) > 1
    return tuple(f"{level.name}.{name}" if several else name for level in program.followers for name in level.rows.names)


def _multiplier_name(program: BilevelProgram, row_names: tuple[str, ...], side: Side) -> str:
    row, column, which, _ = side
    what = row_names[row] if row >= 0 else program.names[column]
    suffix = {1: ", upper", -1: ", lower", 0: ""}[which]
    return f"mult({what}{suffix})"


def _field(entries: list[Side], position: int) -> Any:
    return np.array([entry[position] for entry in entries], dtype=np.int64)
