"""`BilevelProgram.from_matrices`: one follower, numpy arrays or scipy sparse matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.bilevel.program import BilevelProgram, Level, Objective, Rows
from stackopt.errors import InvalidProgram


def assemble(
    *,
    leader_cost: Any,
    follower_cost: Any,
    leader_rows: Any,
    leader_equations: Any,
    follower_rows: Any,
    follower_equations: Any,
    leader_bounds: Any,
    follower_bounds: Any,
    leader_integer: Any,
    follower_integer: Any,
    leader_hessian: Any,
    follower_hessian: Any,
    follower_cross: Any,
    leader_sense: Any,
    follower_sense: Any,
    leader_names: Any,
    follower_names: Any,
    ties: Any,
    name: str,
) -> BilevelProgram:
    """See `BilevelProgram.from_matrices`."""
    c, d, q = _vector("leader_cost[0]", leader_cost[0]), _vector("leader_cost[1]", leader_cost[1]), _vector("follower_cost", follower_cost)
    nx, ny = len(c), len(q)
    if len(d) != ny:
        raise _shape("leader_cost[1]", f"[{ny}], one entry per follower variable", f"[{len(d)}]")
    sizes = (nx, ny)
    x = _bounds("leader_bounds", leader_bounds, nx)
    y = _bounds("follower_bounds", follower_bounds, ny)
    whole = np.concatenate([_broadcast("leader_integer", leader_integer, nx), _broadcast("follower_integer", follower_integer, ny)]).astype(bool)
    names = (*(leader_names or (f"x[{j}]" for j in range(nx))), *(follower_names or (f"y[{j}]" for j in range(ny))))
    if len(names) != nx + ny:
        raise _shape("leader_names and follower_names", f"{nx} and {ny} names", f"{len(names)} in all")
    leader = Objective(leader_sense, np.concatenate([c, d]), _halved("leader_hessian", leader_hessian, nx + ny, 0, nx + ny))
    products = _halved("follower_hessian", follower_hessian, ny, nx, nx + ny)
    cross = _cross(follower_cross, nx, ny)
    quadratic = cross if products is None else products if cross is None else (products + cross).tocsr()
    follower = Objective(follower_sense, np.concatenate([np.zeros(nx), q]), quadratic)
    return BilevelProgram(
        names=tuple(map(str, names)),
        owner=np.repeat([-1, 0], [nx, ny]),
        lower=np.concatenate([x[0], y[0]]),
        upper=np.concatenate([x[1], y[1]]),
        integer=whole,
        leader=Level("leader", leader, _rows("leader", leader_rows, leader_equations, sizes)),
        followers=(Level("follower", follower, _rows("follower", follower_rows, follower_equations, sizes)),),
        ties=ties,
        name=name,
    )


def _rows(who: str, rows: Any, equations: Any, sizes: tuple[int, int]) -> Rows:
    from scipy import sparse

    blocks, lower, upper, names = [sparse.csr_array((0, sum(sizes)))], [np.zeros(0)], [np.zeros(0)], list[str]()
    for what, given, equal in (("rows", rows, False), ("equations", equations, True)):
        if given is None:
            continue
        where = f"{who}_{what}"
        rhs = _vector(f"{where}[2]", given[2])
        parts = [_matrix(f"{where}[{i}]", given[i], len(rhs), n) for i, n in enumerate(sizes)]
        blocks.append(sparse.hstack(parts, format="csr"))
        lower.append(rhs if equal else np.full(len(rhs), -np.inf))
        upper.append(rhs)
        names += [f"{what}[{i}]" for i in range(len(rhs))]
    return Rows(tuple(names), sparse.csr_array(sparse.vstack(blocks, format="csr")), np.concatenate(lower), np.concatenate(upper))


def _matrix(name: str, given: Any, m: int, n: int) -> Any:
    from scipy import sparse

    if given is None:
        return sparse.csr_array((m, n))
    found = sparse.csr_array(given) if sparse.issparse(given) else sparse.csr_array(np.asarray(given, float).reshape(np.shape(given) or (1, 1)))
    if found.shape != (m, n):
        raise _shape(name, f"[{m}, {n}]", str(list(found.shape)))
    return found


def _halved(name: str, given: Any, size: int, offset: int, total: int) -> Any:
    """1/2 z'Hz as an upper triangle of product coefficients, placed at `offset` among all symbols."""
    from scipy import sparse

    if given is None:
        return None
    found = _matrix(name, given, size, size).tocoo()
    symmetric = abs(found - found.T).max() if found.nnz else 0.0
    if symmetric > 1e-12 * max(1.0, abs(found).max() if found.nnz else 0.0):
        raise InvalidProgram("bilevel-data", law=f"a symmetric `{name}`", where=f"it differs from its transpose by {symmetric:.3g}")
    rows, columns = found.coords
    keep = rows <= columns
    values = np.where(rows == columns, 0.5, 1.0)[keep] * found.data[keep]
    return sparse.csr_array((values, (rows[keep] + offset, columns[keep] + offset)), shape=(total, total))


def _cross(given: Any, nx: int, ny: int) -> Any:
    from scipy import sparse

    if given is None:
        return None
    found = _matrix("follower_cross", given, nx, ny).tocoo()
    return sparse.csr_array((found.data, (found.coords[0], found.coords[1] + nx)), shape=(nx + ny, nx + ny))


def _vector(name: str, given: Any) -> Any:
    found = np.atleast_1d(np.asarray(given, float))
    if found.ndim != 1:
        raise _shape(name, "a vector", str(list(found.shape)))
    return found


def _bounds(name: str, given: Any, n: int) -> tuple[Any, Any]:
    low, high = given
    low = -np.inf if low is None else low
    high = np.inf if high is None else high
    return _broadcast(name, low, n), _broadcast(name, high, n)


def _broadcast(name: str, given: Any, n: int) -> Any:
    try:
        return np.broadcast_to(np.asarray(given, float), (n,)).copy()
    except ValueError:
        raise _shape(name, f"a number or [{n}]", str(list(np.shape(given)))) from None


def _shape(name: str, wanted: str, got: str) -> InvalidProgram:
    return InvalidProgram("bilevel-shape", array=name, wanted=wanted, got=got)
