"""Random programs, and their optimum by solving one linear or quadratic program for every complementarity pattern."""

import itertools

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from stackopt.backends.matrix import minimise
from stackopt.bilevel.kkt import kkt
from stackopt.bilevel.program import BilevelProgram, Level, Objective, Rows
from stackopt.solution import Status


def random_program(rng, *, followers=1, curved=False, integer=False, coupling=False, equation=False, free=False, curved_leader=False):
    """One or two leader variables and one or two per follower, small integer data; followers see each other's variables."""
    nx = int(rng.integers(1, 3))
    owner = np.array([-1] * nx + [k for k in range(followers) for _ in range(int(rng.integers(1, 3)))])
    n = len(owner)
    lower, upper = np.zeros(n), np.full(n, 4.0)
    if free:
        upper[rng.random(n) < 0.3] = np.inf
        lower[rng.random(n) < 0.3] = -np.inf
    x0 = rng.uniform(0.0, 4.0, n)
    levels = []
    for k in range(followers):
        mine = np.flatnonzero(owner == k)
        m = int(rng.integers(1, 3))
        matrix = rng.integers(-3, 4, (m, n)).astype(float)
        high = np.ceil(matrix @ x0 + rng.uniform(0.0, 2.0, m))
        low = np.full(m, -np.inf)
        if equation and k == 0:
            high[0] = low[0] = np.round(matrix[0] @ x0)
        cost, quadratic = np.zeros(n), None
        cost[mine] = rng.integers(-3, 4, len(mine))
        if curved:
            quadratic = sparse.lil_array((n, n))
            for j in mine:
                quadratic[j, j] = float(rng.integers(0, 3))
                quadratic[0, j] = float(rng.integers(-1, 2))
            quadratic = sparse.csr_array(quadratic)
        sense = "min"
        levels.append(Level(f"follower{k}", Objective(sense, cost, quadratic), Rows(tuple(f"r{k}{i}" for i in range(m)), sparse.csr_array(matrix), low, high)))
    rows = np.zeros((0, n))
    if coupling:
        rows = rng.integers(-2, 3, (1, n)).astype(float)
    bound = np.ceil(rows @ x0 + 1.0)
    second = sparse.csr_array(np.diag(rng.integers(0, 3, n).astype(float))) if curved_leader else None
    leader = Level(
        "leader", Objective("min" if rng.random() < 0.5 or curved_leader else "max", rng.integers(-4, 5, n).astype(float), second),
        Rows(tuple(f"g{i}" for i in range(len(rows))), sparse.csr_array(rows), np.full(len(rows), -np.inf), bound),
    )
    whole = (owner < 0) & integer
    return BilevelProgram(tuple(f"v{j}" for j in range(n)), owner, lower, upper, whole, leader, tuple(levels))


def by_patterns(program):
    """(status, value): the least over all patterns of tight pairs and all values of the integers."""
    form = kkt(program)
    mpec, n = form.mpec, program.size
    follower_rows = sparse.hstack([mpec.follower_rows, sparse.csr_array((len(mpec.follower_names), len(mpec.names) - n))])
    rows = sparse.csr_array(sparse.vstack([mpec.leader_rows, follower_rows, mpec.stationarity], format="csr"))
    best, unbounded = np.inf, False
    ranges = [range(int(np.ceil(mpec.lower[j])), int(mpec.upper[j]) + 1) for j in np.flatnonzero(mpec.integer)]
    for whole in itertools.product(*ranges):
        for pattern in itertools.product((False, True), repeat=mpec.pairs):
            lower, upper = mpec.lower.copy(), mpec.upper.copy()
            row_lower, row_upper = mpec.follower_lower.copy(), mpec.follower_upper.copy()
            lower[mpec.integer] = upper[mpec.integer] = whole
            for p, tight in enumerate(pattern):
                on_row = mpec.pair_row[p] >= 0
                at = mpec.pair_row[p] if on_row else mpec.pair_column[p]
                if not tight:
                    upper[n + p] = 0.0
                elif mpec.pair_side[p] > 0:  # to the side as given, never to one that another decision has moved
                    (row_lower if on_row else lower)[at] = (mpec.follower_upper if on_row else mpec.upper)[at]
                else:
                    (row_upper if on_row else upper)[at] = (mpec.follower_lower if on_row else mpec.lower)[at]
            if (lower > upper).any() or (row_lower > row_upper).any():
                continue
            left = np.concatenate([mpec.leader_lower, row_lower, mpec.stationarity_rhs])
            right = np.concatenate([mpec.leader_upper, row_upper, mpec.stationarity_rhs])
            status, value = _solve(mpec, rows, left, right, lower, upper)
            unbounded |= status is Status.UNBOUNDED
            best = min(best, value)
    if unbounded:
        return Status.UNBOUNDED, -np.inf
    return (Status.OPTIMAL, mpec.sign * best) if best < np.inf else (Status.INFEASIBLE, np.nan)


def _solve(mpec, rows, left, right, lower, upper):
    if mpec.curved:
        found = minimise(mpec.linear, rows, left, right, lower, upper, hessian=mpec.hessian, constant=mpec.constant)
        return found.status, found.value if found.status is Status.OPTIMAL else np.inf
    above, below = np.isfinite(right) & (left < right), np.isfinite(left) & (left < right)
    equal = left == right
    a = sparse.vstack([rows[above], -rows[below]], format="csr")
    b = np.concatenate([right[above], -left[below]])
    found = linprog(
        mpec.linear, A_ub=a if a.shape[0] else None, b_ub=b if a.shape[0] else None, A_eq=rows[equal] if equal.any() else None,
        b_eq=left[equal] if equal.any() else None, bounds=np.c_[lower, upper], method="highs-ds",
    )
    status = {0: Status.OPTIMAL, 2: Status.INFEASIBLE, 3: Status.UNBOUNDED}.get(found.status, Status.FAILED)
    return status, mpec.constant + found.fun if status is Status.OPTIMAL else np.inf


def random_bilevel_lp(n, seed, density=0.3):
    """n leader and n follower variables in [0, 10], n follower rows, max(2, n // 5) leader rows, integer data in [-10, 10]."""
    rng = np.random.default_rng(1000 * n + seed)

    def matrix(rows, columns):
        values = rng.integers(-10, 11, (rows, columns)).astype(float)
        values[rng.random((rows, columns)) > density] = 0
        return values

    a, b = matrix(n, n), matrix(n, n)
    x0, y0 = rng.uniform(0, 10, n), rng.uniform(0, 10, n)
    right = np.round(a @ x0 + b @ y0 + rng.uniform(0, 20, n))
    g = np.abs(matrix(max(2, n // 5), n))
    most = np.round(g @ x0 + 5)
    c, d, q = (rng.integers(-10, 11, n).astype(float) for _ in range(3))
    return BilevelProgram.from_matrices(
        leader_cost=(c, d), follower_cost=q, leader_rows=(g, None, most), follower_rows=(a, b, right), leader_bounds=(0, 10), follower_bounds=(0, 10),
        name=f"random {n}/{seed}",
    )
