r"""The rows that every reformulation of the optimality conditions shares: everything but complementarity.

Columns are those of the `Mpec`, :math:`w = (z, \mu)`. Rows are the leader's, the followers' and one of stationarity for each
follower variable. Rows of followers may be quadratic here: then a constraint's gradient depends on z and stationarity multiplies
it by its multiplier.

*Fritz John conditions.* For a follower with rows curved in its own variables, an optimum need not satisfy the conditions of Karush, Kuhn and
Tucker where no constraint qualification holds, but multipliers :math:`(\mu_0, \mu) \ge 0`, not all zero, with
:math:`\mu_0 \nabla f + \sum \mu_p \nabla g_p = 0` exist at every optimum (Mangasarian and Fromovitz, J. Math. Anal. Appl. 17, 1967). If the
equations have linearly independent gradients that do not change with z, :math:`\mu_0 + \sum \mu_p > 0`, which is scaled to 1 here.
So these conditions are a relaxation of the follower's optimality, always, with bounded multipliers.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from stackopt.bilevel.kkt import Kkt
from stackopt.programs.mpec import Mpec
from stackopt.programs.quadratic import QuadraticProgram, distinct


def first_order(kkt: Kkt, *, fritz_john: Collection[int] = (), without: Collection[int] = ()) -> QuadraticProgram:
    """Leader rows, follower rows and stationarity over the columns of the `Mpec`, without complementarity.

    Parameters
    ----------
    kkt : Kkt
    fritz_john : collection of int
        Followers whose objective gets a multiplier too; it is a further column, after those of the `Mpec`.
    without : collection of int
        Followers without stationarity: only their rows and bounds remain, and their multipliers are fixed at 0.

    Returns
    -------
    QuadraticProgram
        In the leader's own sense.
    """
    from scipy import sparse

    mpec, n, width = kkt.mpec, kkt.mpec.variables, len(kkt.mpec.names)
    program = mpec.without_complementarity()
    extra, forms = curvature(kkt)
    whose = mpec.owner[mpec.stationarity_column]
    before = len(mpec.leader_names) + len(mpec.follower_names)
    kept = np.flatnonzero(~np.isin(whose, list(without)))
    rows = np.concatenate([np.arange(before), before + kept])
    row_quadratic = dict(program.row_quadratic) | {len(mpec.leader_names) + i: _widened(form, width) for i, form in extra.items()}
    row_quadratic |= {before + i: forms[int(j)] for i, j in enumerate(kept) if int(j) in forms}
    lower, upper = mpec.lower.copy(), mpec.upper.copy()
    gone = n + np.flatnonzero(np.isin(multiplier_follower(mpec), list(without)))
    lower[gone] = upper[gone] = 0.0
    program = replace(
        program,
        lower=lower,
        upper=upper,
        row_names=tuple(program.row_names[i] for i in rows),
        matrix=sparse.csr_array(program.matrix[rows]),
        row_lower=program.row_lower[rows],
        row_upper=program.row_upper[rows],
        row_quadratic=row_quadratic,
    )
    for k in fritz_john:
        program = _with_objective_multiplier(kkt, program, k, before + np.flatnonzero(whose[kept] == k))
    return program


def curvature(kkt: Kkt) -> tuple[dict[int, Any], dict[int, Any]]:
    """(quadratic terms of follower rows [n, n], products in stationarity rows [n + M, n + M]), upper triangles, by row."""
    from scipy import sparse

    program, mpec, n = kkt.program, kkt.mpec, kkt.mpec.variables
    rows, products = dict[int, Any](), dict[int, list[tuple[int, int, float]]]()
    signs = multiplier_signs(mpec)
    place = {int(column): i for i, column in enumerate(mpec.stationarity_column)}
    first = 0
    for k, level in enumerate(program.followers):
        for i, form in level.rows.quadratic.items():
            part = sparse.csr_array(form[:n][:, :n])
            rows[first + i] = part
            gradient = sparse.coo_array(part + part.T)
            multipliers = np.flatnonzero(np.concatenate([mpec.pair_row, mpec.free_row]) == first + i)
            for j, h, a in zip(*gradient.coords, gradient.data):
                if program.owner[j] != k or a == 0:
                    continue
                products.setdefault(place[int(j)], []).extend((int(h), n + int(p), float(signs[p] * a)) for p in multipliers)
        first += len(level.rows)
    width = len(mpec.names)
    forms = {
        i: sparse.csr_array(([a for _, _, a in found], ([h for h, _, _ in found], [p for _, p, _ in found])), shape=(width, width))
        for i, found in products.items()
    }
    return rows, forms


def multiplier_signs(mpec: Mpec) -> Any:
    """The sign with which each constraint's gradient stands in stationarity: -1 for lower sides; [M]."""
    return np.concatenate([np.where(mpec.pair_side < 0, -1.0, 1.0), np.ones(len(mpec.free_row))])


def multiplier_follower(mpec: Mpec) -> Any:
    """Whose constraint each multiplier belongs to; [M]."""
    return np.concatenate([mpec.pair_follower, mpec.free_follower])


def slack_map(mpec: Mpec) -> tuple[Any, Any]:
    """(S [P, n], s [P]): the slacks are ``s + S @ z``, without the quadratic terms of rows that have any."""
    from scipy import sparse

    count, n = mpec.pairs, mpec.variables
    rows = np.flatnonzero(mpec.pair_row >= 0)
    bounds = np.flatnonzero(mpec.pair_row < 0)
    sign = np.where(mpec.pair_side > 0, -1.0, 1.0)
    pick = sparse.csr_array((sign[rows], (rows, mpec.pair_row[rows])), shape=(count, len(mpec.follower_names)))
    own = sparse.csr_array((sign[bounds], (bounds, mpec.pair_column[bounds])), shape=(count, n))
    side = np.empty(count)
    for which, index, low, high in ((rows, mpec.pair_row, mpec.follower_lower, mpec.follower_upper), (bounds, mpec.pair_column, mpec.lower, mpec.upper)):
        side[which] = np.where(mpec.pair_side[which] > 0, high[index[which]], -low[index[which]])
    return sparse.csr_array(pick @ mpec.follower_rows + own), side


def widened(program: QuadraticProgram, names: list[str], lower: Any, upper: Any, integer: bool = False) -> QuadraticProgram:
    """The program with further columns, in no row and not in the objective."""
    from scipy import sparse

    extra = len(names)
    width = len(program.names) + extra
    return replace(
        program,
        names=distinct((*program.names, *names)),
        lower=np.concatenate([program.lower, np.broadcast_to(np.asarray(lower, float), (extra,))]),
        upper=np.concatenate([program.upper, np.broadcast_to(np.asarray(upper, float), (extra,))]),
        integer=np.concatenate([program.integer, np.full(extra, integer)]),
        linear=np.concatenate([program.linear, np.zeros(extra)]),
        matrix=sparse.csr_array(sparse.hstack([program.matrix, sparse.csr_array((len(program.row_names), extra))], format="csr")),
        quadratic=None if program.quadratic is None else _widened(program.quadratic, width),
        row_quadratic={i: _widened(form, width) for i, form in program.row_quadratic.items()},
    )


def _widened(form: Any, width: int) -> Any:
    from scipy import sparse

    found = form.tocoo()
    return sparse.csr_array((found.data, found.coords), shape=(width, width))


def _with_objective_multiplier(kkt: Kkt, program: QuadraticProgram, k: int, rows: Any) -> QuadraticProgram:
    """Stationarity of follower k with its objective's gradient multiplied by a further column in [0, 1]."""
    from scipy import sparse

    mpec, n = kkt.mpec, kkt.mpec.variables
    weight = len(program.names)
    program = widened(program, [f"mult(objective of {kkt.program.followers[k].name})"], 0.0, 1.0)
    matrix, low, high = program.matrix.tolil(), program.row_lower.copy(), program.row_upper.copy()
    forms = dict(program.row_quadratic)
    for row in rows.tolist():
        entries = sparse.coo_array(program.matrix[[row], :n])
        gradient = [(int(j), weight, float(a)) for j, a in zip(entries.coords[1], entries.data) if a]
        matrix[row, :n] = 0.0
        matrix[row, weight] = -low[row]
        low[row] = high[row] = 0.0
        if gradient:
            i, j, a = zip(*gradient)
            form = sparse.csr_array((a, (i, j)), shape=(weight + 1, weight + 1))
            forms[row] = form if row not in forms else sparse.csr_array(forms[row] + form)
    program = replace(program, matrix=sparse.csr_array(matrix), row_lower=low, row_upper=high, row_quadratic=forms)
    scale = np.zeros(weight + 1)
    scale[weight] = 1.0
    scale[n : n + mpec.pairs][mpec.pair_follower == k] = 1.0
    name = distinct((*program.row_names, f"scale of multipliers of {kkt.program.followers[k].name}"))[-1]
    return program.with_rows((name,), scale[None], np.ones(1), np.ones(1))
