r"""Bounds on follower multipliers that follow from the data, each with its proof; where none does, the reason.

Two kinds of statement are made about the multipliers :math:`\mu` of a follower at a decision of the leader.

*Every multiplier.* All optimality conditions but complementarity are linear in (z, multipliers) jointly: a linear program's maximum of
:math:`\mu_p` over them bounds every optimal multiplier at every decision. The maximum is taken from the dual side (weak duality), so an
inaccurate primal point does no harm. Penalties of slack variables and prices of recourse are found this way.

*One multiplier for each answer.* If the leader does not use a follower's multipliers, any one of them will do. Stationarity is
:math:`G\mu = r(z)`, and supports of complementary solutions can be made linearly independent without growing (Carathéodory: move along a
null vector of the support until an entry vanishes), so some optimal multiplier is :math:`B^{-1} r(z)` for a basis B of the columns of G. Hence

- *all bases*, where they are few: the largest entry over them, r(z) in its box;
- *totally unimodular* G (networks, consecutive ones): entries of :math:`B^{-1}` are 0, 1 or -1, so :math:`|\mu_p| \le \sum_j |r_j|`;
- *integer* G: :math:`|\det B| \ge 1` and Hadamard's inequality for the cofactors, so :math:`|\mu_p| \le \sum_j |r_j|` times the largest r - 1
  column lengths. Above `USEFUL` it is not offered: such a constant is beyond what floating-point solvers tell from infinity.

*Strongly convex followers* answer near a point that is always feasible (`stackopt.reformulations.response_box`), which bounds y, and so r(z) and
the slacks.

*Decisions that matter.* Where some value U of the leader is attained, decisions worth less need no bound. A linear objective gives the row
"at least as good" to the programs that bound the rest; a strictly convex quadratic one, minimal at w with value m, the box
:math:`|v_j - w_j| \le \sqrt{2 (U - m) (H^{-1})_{jj}}`. Constants found so may cut off worse decisions, never an optimum.

All statements of the second kind hold for the same multiplier, so the smallest of the bounds may be taken for each row.
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.bilevel.kkt import Kkt
from stackopt.bilevel.point import Array
from stackopt.certificate import Assumption, Bound
from stackopt.display import number
from stackopt.reformulations.first_order import first_order, multiplier_follower, slack_map
from stackopt.reformulations.response_box import with_response_boxes
from stackopt.solution import Status

if TYPE_CHECKING:
    from stackopt.programs.quadratic import QuadraticProgram

#: Larger constants are proved but useless: with an integrality tolerance of 1e-9 they allow a product of 1e-3.
USEFUL = 1e6
#: More bases than this are not enumerated.
BASES = 20_000
#: Singular values below this, relative to the largest, are zero; those up to `DOUBT` cannot be told from zero.
SINGULAR, DOUBT = 1e-12, 1e-8


@dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds of all multipliers and slacks, proved or not.

    Attributes
    ----------
    multipliers : tuple of Bound, M
        On the size of each multiplier; one that has no proof does not apply and says why.
    slacks : tuple of Bound, P
    """

    multipliers: tuple[Bound, ...]
    slacks: tuple[Bound, ...]


def multiplier_bounds(kkt: Kkt, *, cutoff: float | None = None, time_limit: float = 60.0) -> Bounds:
    """What can be proved about the multipliers and slacks of `kkt`; see the module.

    Parameters
    ----------
    kkt : Kkt
    cutoff : float, optional
        A leader's value that is attained; bounds are then for decisions at least as good. Without force if its objective is not linear.
    time_limit : float
        Seconds; what is not proved by then counts as not proved.
    """
    deadline = time.perf_counter() + time_limit
    mpec, n = kkt.mpec, kkt.mpec.variables
    relaxation, among = first_order(kkt), ""
    if cutoff is not None:
        among = f", among decisions at least as good as the attained {number(cutoff)}"
        room = 1e-6 * (1.0 + abs(cutoff))
    if cutoff is not None and mpec.curved:
        relaxation = _in_level_set(kkt, relaxation, mpec.sign * cutoff + room)
    elif cutoff is not None:
        least = np.array([mpec.sign * cutoff + room - mpec.constant])
        relaxation = relaxation.with_rows(("at least as good",), mpec.linear[None], np.array([-np.inf]), least)
    count, width = len(mpec.names) - n, len(mpec.names)
    from scipy import sparse

    if any(program_kind == "QP" for program_kind in map(kkt.program.kind, range(len(kkt.program.followers)))):
        columns = sparse.csr_array(sparse.eye_array(n, width, format="csr"))
        box = -maxima(relaxation, sparse.csr_array(-columns), deadline), maxima(relaxation, columns, deadline)
        relaxation = with_response_boxes(kkt, relaxation, box)
    eye = sparse.csr_array(sparse.hstack([sparse.csr_array((count, n)), sparse.eye_array(count)], format="csr"))
    every = maxima(relaxation, eye, deadline)
    free = np.arange(mpec.pairs, count)
    every[free] = np.maximum(every[free], maxima(relaxation, sparse.csr_array(-eye[free]), deadline))
    one, how = np.full(count, np.inf), [""] * count
    for k in range(len(kkt.program.followers)):
        mine = np.flatnonzero(multiplier_follower(mpec) == k)
        values, text = _one_multiplier(kkt, relaxation, k, mine, deadline)
        one[mine] = values
        for p in mine:
            how[p] = text
    multipliers = tuple(_multiplier_bound(kkt, p, every[p], one[p], how[p], among) for p in range(count))
    slope, side = slack_map(mpec)
    wide = sparse.csr_array((slope.data, slope.indices, slope.indptr), shape=(mpec.pairs, width))
    most = side + maxima(relaxation, wide, deadline)
    slacks = tuple(_slack_bound(mpec.pair_label(p), _up(max(most[p], 0.0)), among) for p in range(mpec.pairs))
    return Bounds(multipliers, slacks)


def _in_level_set(kkt: Kkt, relaxation: QuadraticProgram, level: float) -> QuadraticProgram:
    """The relaxation within the box around the leader's level set, if its objective is strictly convex in what it contains."""
    mpec = kkt.mpec
    hessian = mpec.hessian.toarray()
    used = np.flatnonzero(np.abs(hessian).sum(axis=0))
    if np.delete(mpec.linear, used).any():
        return relaxation
    part = hessian[np.ix_(used, used)]
    values = np.linalg.eigvalsh(part)
    if not values[0] > DOUBT * max(1.0, values[-1]):
        return relaxation
    inverse = np.linalg.inv(part)
    center = -inverse @ mpec.linear[used]
    least = mpec.constant + 0.5 * float(mpec.linear[used] @ center)
    half = np.sqrt(2.0 * max(level - least, 0.0) * np.diag(inverse)) * (1.0 + 1e-9) + 1e-9
    lower, upper = relaxation.lower.copy(), relaxation.upper.copy()
    lower[used] = np.maximum(lower[used], center - half)
    upper[used] = np.maximum(np.minimum(upper[used], center + half), lower[used])
    return replace(relaxation, lower=lower, upper=upper)


def maxima(program: QuadraticProgram, directions: Any, deadline: float = math.inf) -> Array:
    """Upper bounds on the maximum of each direction [K, n] over the program's linear rows and bounds, by weak duality; infinity
    where there is none, or no time is left."""
    from stackopt.backends.matrix import duality_gap
    from stackopt.backends.warm import WarmLp

    keep = np.array([i for i in range(len(program.row_names)) if i not in program.row_quadratic], dtype=np.int64)
    matrix, low, high = program.matrix[keep], program.row_lower[keep], program.row_upper[keep]
    width = len(program.names)
    lp = WarmLp(np.zeros(width), matrix, low, high, program.lower, program.upper)
    found = np.full(directions.shape[0], np.inf)
    everything = np.arange(width)
    for i in range(directions.shape[0]):
        if time.perf_counter() > deadline:
            break
        cost = -directions[[i]].toarray()[0]
        lp.costs(everything, cost)
        status = lp.solve()
        if status is Status.INFEASIBLE:
            return np.zeros(directions.shape[0])  # nothing satisfies the conditions: every statement about them holds
        if status is Status.OPTIMAL:
            x, duals = lp.x, lp.row_dual
            gap = duality_gap(x, duals, np.asarray(cost - matrix.T @ duals, float), matrix, low, high, program.lower, program.upper)
            found[i] = -float(cost @ x) + gap
    return found


# --- one multiplier for each answer ------------------------------------------------------------------------------------


def _one_multiplier(kkt: Kkt, relaxation: QuadraticProgram, k: int, mine: Any, deadline: float) -> tuple[Array, str]:
    """(bounds of one optimal multiplier of follower k, how they are proved or why not)."""
    program, mpec, n = kkt.program, kkt.mpec, kkt.mpec.variables
    nothing = np.full(len(mine), np.inf)
    if any(m.follower == program.followers[k].name for m in program.multipliers):
        return nothing, "the leader uses multipliers of this follower, so all of them count"
    rows = np.flatnonzero(mpec.owner[mpec.stationarity_column] == k)
    gradients = mpec.stationarity[rows][:, n + mine].toarray()
    low, high = _gradient_box(kkt, relaxation, rows, deadline)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        j = int(np.flatnonzero(~(np.isfinite(low) & np.isfinite(high)))[0])
        return nothing, f"the derivative of the follower's objective in {mpec.names[mpec.stationarity_column[rows[j]]]} is not bounded"
    free = mine >= mpec.pairs
    values, reason = basic_solutions(gradients, low, high, free)
    if values is not None:
        return values, reason
    size = float(np.maximum(np.abs(low), np.abs(high)).sum())
    if totally_unimodular(gradients):
        return np.full(len(mine), size), f"totally unimodular rows: at most the sum of the objective's derivatives, {number(size)}"
    determinant = hadamard(gradients)
    if determinant * size <= USEFUL:
        return np.full(len(mine), determinant * size), "integer rows: Hadamard's bound on the cofactors"
    shown = f"{determinant * size:.2g}" if np.isfinite(determinant) else "none"
    return nothing, f"{reason}; its rows are not totally unimodular; the determinant bound ({shown}) is useless"


def _gradient_box(kkt: Kkt, relaxation: QuadraticProgram, rows: Any, deadline: float) -> tuple[Array, Array]:
    """Lower and upper bounds of r(z), the right-hand side of stationarity, over the relaxation; [rows]."""
    from scipy import sparse

    mpec, n = kkt.mpec, kkt.mpec.variables
    slope, rhs = sparse.csr_array(mpec.stationarity[rows][:, :n]), mpec.stationarity_rhs[rows]
    low, high = rhs.copy(), rhs.copy()
    moving = np.flatnonzero(np.diff(slope.indptr))
    if len(moving):
        wide = sparse.csr_array((slope[moving].data, slope[moving].indices, slope[moving].indptr), shape=(len(moving), len(mpec.names)))
        low[moving] = rhs[moving] - maxima(relaxation, wide, deadline)
        high[moving] = rhs[moving] + maxima(relaxation, sparse.csr_array(-wide), deadline)
    return low, high


def basic_solutions(gradients: Array, low: Array, high: Array, free: Any) -> tuple[Array | None, str]:
    """The largest size of each entry of :math:`B^{-1} r` over all bases B and r in a box, feasible signs only.

    Parameters
    ----------
    gradients : array [r, M]
    low, high : array [r]
    free : bool array [M]
        Entries of any sign.

    Returns
    -------
    array [M] or None
        None if there are too many bases, or some cannot be told from singular.
    str
        How, or why not.
    """
    scaled = _equilibrated(gradients)
    rank = int(np.linalg.matrix_rank(scaled)) if gradients.size else 0
    count = gradients.shape[1]
    if rank == 0:
        return np.zeros(count), "no basis: the multipliers do not enter stationarity"
    bases = math.comb(count, rank)
    if bases > BASES:
        return None, f"{bases:.3g} bases are too many to enumerate"
    rows = _independent_rows(scaled, rank)
    matrix, center, half = gradients[rows], 0.5 * (low + high)[rows], 0.5 * (high - low)[rows]
    best, tried = np.zeros(count), 0
    combinations = itertools.combinations(range(count), rank)
    while chunk := list(itertools.islice(combinations, 2000)):
        columns = np.array(chunk)
        blocks = np.moveaxis(matrix[:, columns], 1, 0)  # [K, r, r]
        singular = np.linalg.svd(np.moveaxis(scaled[rows][:, columns], 1, 0), compute_uv=False)
        ratio = singular[:, -1] / np.maximum(singular[:, 0], 1e-300)
        if ((ratio > SINGULAR) & (ratio < DOUBT)).any():
            return None, "a basis cannot be told from singular"
        regular = ratio >= DOUBT
        if not regular.any():
            continue
        columns = columns[regular]
        inverse = np.linalg.inv(blocks[regular])
        middle, spread = inverse @ center, np.abs(inverse) @ half
        top, bottom = middle + spread, middle - spread
        possible = ((top >= -1e-9 * (1.0 + np.abs(top).max(initial=0.0))) | free[columns]).all(axis=1)
        size = np.where(free[columns], np.maximum(np.abs(top), np.abs(bottom)), np.maximum(top, 0.0))
        np.maximum.at(best, columns[possible].ravel(), size[possible].ravel())
        tried += int(regular.sum())
    return best, f"largest over {tried} bases of its stationarity rows"


def _equilibrated(matrix: Array) -> Array:
    """Rows and columns scaled to a largest entry of 1, so that units do not decide what counts as singular."""
    scaled = matrix.copy()
    for axis in (1, 0, 1, 0):
        largest = np.abs(scaled).max(axis=axis, keepdims=True, initial=0.0)
        scaled = scaled / np.where(largest > 0, largest, 1.0)
    return scaled


def _independent_rows(matrix: Array, rank: int) -> Any:
    from scipy.linalg import qr

    if rank == len(matrix):
        return np.arange(rank)
    return np.sort(qr(matrix.T, mode="r", pivoting=True)[1][:rank])


def totally_unimodular(matrix: Array) -> bool:
    """Whether a sufficient condition shows that every square submatrix has determinant 0, 1 or -1.

    Unit columns and columns that repeat up to sign change nothing. What remains, or its transpose, must have at most two entries +-1 in each
    column whose rows can be split in two so that equal signs lie apart and opposite ones together (Heller and Tompkins, 1956), or
    consecutive ones in each column.
    """
    if not np.isin(matrix, (-1.0, 0.0, 1.0)).all():
        return False
    kept = {}
    for column in matrix.T:
        entries = np.flatnonzero(column)
        if len(entries) > 1:
            kept[tuple(column * column[entries[0]])] = column
    core = np.array(list(kept.values())).T if kept else np.zeros((len(matrix), 0))
    return any(_network(part) or _consecutive(part) for part in (core, core.T))


def _network(matrix: Array) -> bool:
    """At most two entries in each column, and the rows can be coloured."""
    if matrix.size and (np.count_nonzero(matrix, axis=0) > 2).any():
        return False
    edges: dict[int, list[tuple[int, int]]] = {}
    for column in matrix.T:
        rows = np.flatnonzero(column)
        if len(rows) == 2:
            i, j = int(rows[0]), int(rows[1])
            apart = int(column[i] == column[j])
            edges.setdefault(i, []).append((j, apart))
            edges.setdefault(j, []).append((i, apart))
    colour: dict[int, int] = {}
    for start in edges:
        if start in colour:
            continue
        colour[start] = 0
        stack = [start]
        while stack:
            i = stack.pop()
            for j, apart in edges[i]:
                if j not in colour:
                    colour[j] = colour[i] ^ apart
                    stack.append(j)
                elif colour[j] != colour[i] ^ apart:
                    return False
    return True


def _consecutive(matrix: Array) -> bool:
    """All entries of a column alike and without a gap."""
    for column in matrix.T:
        entries = np.flatnonzero(column)
        if len(entries) and (entries[-1] - entries[0] + 1 != len(entries) or np.ptp(column[entries]) != 0):
            return False
    return True


def hadamard(matrix: Array) -> float:
    """A bound on the entries of the inverse of every basis of a matrix whose entries become integers when multiplied by 1, 10, 100 or
    1000; infinity if they do not."""
    scale = next((s for s in (1.0, 10.0, 100.0, 1000.0) if np.abs(s * matrix - np.round(s * matrix)).max(initial=0.0) <= 1e-9), None)
    rank = int(np.linalg.matrix_rank(matrix)) if matrix.size else 0
    if scale is None or rank == 0:
        return math.inf
    lengths = np.sort(np.linalg.norm(np.round(scale * matrix), axis=0))[::-1][: rank - 1]
    with np.errstate(over="ignore"):
        return float(scale * np.prod(lengths))


# --- statements ----------------------------------------------------------------------------------------------------------


def _multiplier_bound(kkt: Kkt, p: int, every: float, one: float, how: str, among: str) -> Bound:
    of = multiplier_label(kkt, p)
    if np.isfinite(every) and every <= one * (1.0 + 1e-9) + 1e-9:
        return Bound(_up(max(every, 0.0)), of, f"every multiplier: largest over the linear part of the optimality conditions, by duality{among}")
    if np.isfinite(one):
        return Bound(_up(one), of, f"one multiplier for each answer: {how}{among}")
    why = f"no bound holds for every multiplier, and for one of them: {how}"
    return Bound(math.inf, of, "no proof", (Assumption("it has a finite bound", False, why),))


def _slack_bound(label: str, room: float, among: str) -> Bound:
    of = f"slack of `{label}`"
    if np.isfinite(room):
        return Bound(room, of, f"largest over the linear part of the optimality conditions, by duality{among}")
    return Bound(math.inf, of, "no proof", (Assumption("it has a finite bound", False, "the rows and bounds leave it free"),))


def multiplier_label(kkt: Kkt, p: int) -> str:
    """``multiplier of `road`, upper side``."""
    mpec = kkt.mpec
    return f"multiplier of `{constraint_of(kkt, p)}`" + ("" if p >= mpec.pairs else f", {'upper' if mpec.pair_side[p] > 0 else 'lower'} side")


def constraint_of(kkt: Kkt, p: int) -> str:
    """The row, or the variable whose bound it is, of multiplier p, as the user wrote it."""
    mpec = kkt.mpec
    row, column = int(np.append(mpec.pair_row, mpec.free_row)[p]), int(np.append(mpec.pair_column, mpec.free_column)[p])
    return mpec.follower_names[row] if row >= 0 else mpec.names[column]


def _up(value: float) -> float:
    """With an allowance of 1e-9 for the arithmetic behind it."""
    return float(value * (1.0 + 1e-9))
