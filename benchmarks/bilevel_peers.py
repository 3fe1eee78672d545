"""What the benchmarks compare with: one KKT form, solved as a big-M program by HiGHS and with SOS1 pairs by SCIP; and us.

Every solver gets one thread, the same time and a relative gap of 1e-6, and starts from the plain arrays: building its model counts.
Nobody's word is taken: `check` re-solves the follower at the leader's decision.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.bilevel_instances import Instance

#: Relative optimality gap asked of everybody.
GAP = 1e-6
#: The usual guess.
BIG_M = 1e4
#: A point whose follower could do better by more than this (relative), or that breaks a row by more, is wrong.
ACCEPTED = 1e-5


@dataclass
class Answer:
    """What one solver said about one instance.

    Attributes
    ----------
    status : str
        ``optimal``, ``infeasible``, ``limit`` or what else the solver calls it.
    value, bound : float
        Its incumbent and lower bound on the leader's objective; inf and -inf without one.
    x, y : array or None
    seconds, cpu : float
        Wall clock and processor seconds, model building included.
    nodes : int
    trace : list of (seconds, value, bound)
        At the moments asked for.
    """

    status: str = "limit"
    value: float = np.inf
    bound: float = -np.inf
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    seconds: float = 0.0
    cpu: float = 0.0
    nodes: int = 0
    trace: list[tuple[float, float, float]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Kkt:
    """The follower replaced by its KKT conditions: columns x, y, row multipliers, multipliers of lower and of finite upper bounds.

    Attributes
    ----------
    cost : array [N]
    matrix : csc [rows, N]
        Leader rows, follower rows, stationarity.
    low, high : array [rows]
    lower, upper : array [N]
    pairs : list of (columns, coefficients, constant, multiplier)
        ``constant + coefficients . columns`` is the slack.
    """

    cost: np.ndarray
    matrix: Any
    low: np.ndarray
    high: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    pairs: list[tuple[np.ndarray, np.ndarray, float, int]]


def kkt(instance: Instance) -> Kkt:
    """The KKT form of `instance`, multipliers unbounded."""
    i = instance
    n_x, n_y, m = i.c.size, i.q.size, i.b.size
    capped = np.flatnonzero(np.isfinite(i.y_upper))
    mu, low_at, up_at = n_x + n_y, n_x + n_y + m, n_x + 2 * n_y + m
    size = up_at + capped.size
    # -mu is the derivative of phi with respect to b, so b lam = -b mu; every bound with a multiplier of weight would need its term too
    if i.share and (capped.size or i.A.any() or i.Q.any()):
        raise ValueError("a share of the follower's value is linear in the multipliers only for fixed right-hand sides")
    cost = np.concatenate([i.c, i.d, -i.share * i.b, np.zeros(size - low_at)])
    matrix = sparse.csc_matrix(
        np.vstack(
            [
                np.hstack([i.G, i.H, np.zeros((i.g.size, size - mu))]),
                np.hstack([i.A, i.B, np.zeros((m, size - mu))]),
                np.hstack([i.C, i.Q, i.B.T, -np.eye(n_y), np.eye(n_y)[:, capped]]),
            ]
        )
    )
    low = np.concatenate([np.full(i.g.size, -np.inf), np.where(i.equal, i.b, -np.inf), -i.q])
    high = np.concatenate([i.g, i.b, -i.q])
    lower = np.concatenate([np.zeros(n_x + n_y), np.where(i.equal, -np.inf, 0.0), np.zeros(n_y + capped.size)])
    upper = np.concatenate([i.x_upper, i.y_upper, np.full(size - mu, np.inf)])
    pairs = []
    for r in np.flatnonzero(~i.equal):
        row = np.concatenate([i.A[r], i.B[r]])
        used = np.flatnonzero(row)
        pairs.append((used, -row[used], float(i.b[r]), mu + int(r)))
    pairs += [(np.array([n_x + j]), np.ones(1), 0.0, low_at + j) for j in range(n_y)]
    pairs += [(np.array([n_x + j]), -np.ones(1), float(i.y_upper[j]), up_at + at) for at, j in enumerate(capped)]
    return Kkt(cost, matrix, low, high, lower, upper, pairs)


def highs_big_m(instance: Instance, limit: float, moments: Sequence[float] = (), big_m: float = BIG_M) -> Answer:
    """HiGHS on the KKT program with one binary a pair; `big_m` for slacks and multipliers alike (its presolve tightens the slacks')."""
    import highspy

    form = kkt(instance)
    N, count = form.cost.size, len(form.pairs)
    entries, rows = [], 0
    low, high = [], []
    for p, (columns, coefficients, constant, multiplier) in enumerate(form.pairs):
        # slack <= M (1 - b), multiplier <= M b
        entries += [(rows, int(j), float(a)) for j, a in zip(columns, coefficients)]
        entries += [(rows, N + p, big_m), (rows + 1, multiplier, 1.0), (rows + 1, N + p, -big_m)]
        low += [-np.inf, -np.inf]
        high += [big_m - constant, 0.0]
        rows += 2
    r, c, a = (np.array(part) for part in zip(*entries))
    conditions = sparse.hstack([form.matrix, sparse.csc_matrix((form.matrix.shape[0], count))])
    matrix = sparse.csc_matrix(sparse.vstack([conditions, sparse.csc_matrix((a, (r, c)), (rows, N + count))]))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = N + count, matrix.shape[0]
    lp.col_cost_ = np.concatenate([form.cost, np.zeros(count)])
    lp.col_lower_, lp.col_upper_ = np.concatenate([form.lower, np.zeros(count)]), np.concatenate([form.upper, np.ones(count)])
    lp.row_lower_, lp.row_upper_ = np.concatenate([form.low, low]), np.concatenate([form.high, high])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    lp.integrality_ = [highspy.HighsVarType.kContinuous] * N + [highspy.HighsVarType.kInteger] * count
    solver = highs()
    for option, value in (("time_limit", float(limit)), ("mip_rel_gap", GAP)):
        solver.setOptionValue(option, value)
    seen: list[tuple[float, float, float]] = []

    def watch(event: Any) -> None:
        data = event.data_out
        seen.append((data.running_time, data.mip_primal_bound, data.mip_dual_bound))

    solver.passModel(lp)
    if moments:
        solver.cbMipLogging += watch
    solver.run()
    info, word = solver.getInfo(), solver.modelStatusToString(solver.getModelStatus()).lower()
    answer = Answer(status={"time limit reached": "limit"}.get(word, word), nodes=int(info.mip_node_count), bound=float(info.mip_dual_bound))
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
        point = np.array(solver.getSolution().col_value)
        answer.x, answer.y = np.split(point[: instance.c.size + instance.q.size], [instance.c.size])
        answer.value = float(info.objective_function_value)
    seen.append((solver.getRunTime(), answer.value, answer.bound))
    answer.trace = [(t, *at(seen, t)) for t in moments]
    return answer


def highs() -> Any:
    """A silent HiGHS with one thread; the first to run in a process decides the number for all, another one later is an error."""
    import highspy

    class Quiet(highspy.Highs):
        def enableCallbacks(self) -> None:  # the constructor calls it, and HiGHS prints its banner
            self.setOptionValue("output_flag", False)
            super().enableCallbacks()

    solver = Quiet()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    return solver


def at(seen: list[tuple[float, float, float]], moment: float) -> tuple[float, float]:
    """The last incumbent and bound not after `moment`."""
    before = [(value, bound) for seconds, value, bound in seen if seconds <= moment]
    return before[-1] if before else (np.inf, -np.inf)


def scip_sos1(instance: Instance, limit: float, moments: Sequence[float] = ()) -> Answer:
    """SCIP on the KKT program, one SOS1 set of slack and multiplier for each pair; no constant at all."""
    import pyscipopt

    form = kkt(instance)
    model = pyscipopt.Model()
    model.hideOutput()
    model.setParam("limits/gap", GAP)
    model.setParam("timing/clocktype", 2)  # wall clock, as for the others
    v = [model.addVar(lb=None if np.isneginf(low) else low, ub=None if np.isposinf(high) else high) for low, high in zip(form.lower, form.upper)]
    model.setObjective(pyscipopt.quicksum(float(a) * v[j] for j, a in enumerate(form.cost) if a))
    rows = form.matrix.tocsr()
    for r in range(rows.shape[0]):
        part = slice(rows.indptr[r], rows.indptr[r + 1])
        if rows.indptr[r] == rows.indptr[r + 1]:  # SCIP takes no row without variables
            if not form.low[r] <= 0.0 <= form.high[r]:
                return Answer("infeasible")
            continue
        total = pyscipopt.quicksum(float(a) * v[j] for j, a in zip(rows.indices[part], rows.data[part]))
        if form.low[r] == form.high[r]:
            model.addCons(total == float(form.high[r]))
        else:
            model.addCons(total <= float(form.high[r]))
    for columns, coefficients, constant, multiplier in form.pairs:
        if len(columns) == 1 and coefficients[0] == 1 and constant == 0:
            slack = v[columns[0]]
        else:
            slack = model.addVar(lb=0.0)
            model.addCons(slack == constant + pyscipopt.quicksum(float(a) * v[j] for j, a in zip(columns, coefficients)))
        model.addConsSOS1([slack, v[multiplier]])
    answer = Answer()
    for stop in sorted({*moments, limit}):  # SCIP goes on where it stopped
        model.setParam("limits/time", float(stop))
        model.optimize()
        some = model.getNSols() > 0
        value = float(model.getObjVal()) if some else np.inf
        bound = float(model.getDualbound())
        if stop in moments:
            answer.trace.append((stop, value, bound))
    word = model.getStatus()
    answer.status = {"timelimit": "limit", "gaplimit": "optimal"}.get(word, word)
    answer.value, answer.bound, answer.nodes = value, bound, int(model.getNTotalNodes())
    if some:
        best = model.getBestSol()
        answer.x = np.array([best[a] for a in v[: instance.c.size]])
        answer.y = np.array([best[a] for a in v[instance.c.size : instance.c.size + instance.q.size]])
    return answer


def ours(instance: Instance, limit: float, moments: Sequence[float] = (), processes: int = 1) -> Answer:
    """`so.solve(program, so.Exact(time_limit=limit, processes=processes, proof=False))`; a run of its own for each earlier moment."""
    import stackopt as so

    program = instance.program()
    answer = Answer()
    for stop in sorted({*moments, limit}):
        solution = so.solve(program, so.Exact(time_limit=stop, processes=processes, proof=False))
        value, bound = _ends(solution)
        answer.trace.append((stop, value, bound))
        if solution.status.success:
            break
    answer.trace += [(stop, value, bound) for stop in moments if stop > answer.trace[-1][0]]  # it ended before
    answer.status, answer.value, answer.bound = str(solution.status).lower(), value, bound
    answer.nodes = int(solution.stats.get("nodes", 0))
    if solution.status.success:
        answer.status = "optimal" if solution.certified else "not certified"
    if solution.candidate is not None:
        answer.x, answer.y = np.split(np.asarray(solution.candidate.values), [instance.c.size])
    return answer


def _ends(solution: Any) -> tuple[float, float]:
    value = float(solution.value) if solution.candidate is not None and solution.certificate.certified else np.inf
    return value, float(solution.bound.value) if solution.bound is not None else -np.inf


#: By the names printed.
SOLVERS: dict[str, Callable[..., Answer]] = {"ours": ours, "ours-2": functools.partial(ours, processes=2), "scip": scip_sos1, "big-M": highs_big_m}


def processor_seconds() -> float:
    """Of this process and of the children it has waited for."""
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system


def timed(solver: Callable[..., Answer], *arguments: Any, **options: Any) -> Answer:
    """The solver's answer with its wall-clock and processor seconds."""
    wall, cpu = time.perf_counter(), processor_seconds()
    answer = solver(*arguments, **options)
    answer.seconds, answer.cpu = time.perf_counter() - wall, processor_seconds() - cpu
    return answer


@dataclass(frozen=True)
class Checked:
    """A point, recomputed.

    Attributes
    ----------
    value : float
        The leader's objective, with the follower's own optimal value where it counts.
    gap : float
        How much better the follower could do, relative to the larger of 1 and its value.
    violation : float
        Of rows and bounds.
    """

    value: float
    gap: float
    violation: float

    @property
    def right(self) -> bool:
        """Whether it is bilevel feasible within `ACCEPTED`."""
        return bool(self.gap <= ACCEPTED and self.violation <= ACCEPTED)


def check(instance: Instance, x: np.ndarray, y: np.ndarray) -> Checked:
    """Re-solve the follower at `x` with HiGHS and hold `y` against it."""
    i = instance
    price = i.q + i.C @ x
    optimum = follower_value(i, x)
    cost = float(price @ y + 0.5 * y @ i.Q @ y)
    rest = i.b - i.A @ x - i.B @ y
    parts = [np.where(i.equal, np.abs(rest), -rest), i.G @ x + i.H @ y - i.g, -x, x - i.x_upper, -y, y - i.y_upper]
    scale = 1.0 + max(np.abs(x).max(initial=0.0), np.abs(y).max(initial=0.0))
    return Checked(
        float(i.c @ x + i.d @ y + (i.share * optimum if i.share else 0.0)),
        (cost - optimum) / max(1.0, abs(optimum)),
        max(float(part.max(initial=0.0)) for part in parts) / scale,
    )


def follower_value(instance: Instance, x: np.ndarray) -> float:
    """phi(x), by a fresh HiGHS; NaN if HiGHS does not find it."""
    import highspy

    i = instance
    room = i.b - i.A @ x
    matrix = sparse.csc_matrix(i.B)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = i.q.size, i.b.size
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = i.q + i.C @ x, np.zeros(i.q.size), i.y_upper
    lp.row_lower_, lp.row_upper_ = np.where(i.equal, room, -np.inf), room
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    model = highspy.HighsModel()
    model.lp_ = lp
    if i.Q.any():
        half = sparse.csc_matrix(np.tril(i.Q))
        model.hessian_.dim_ = i.q.size
        model.hessian_.format_ = highspy.HessianFormat.kTriangular
        model.hessian_.start_, model.hessian_.index_, model.hessian_.value_ = half.indptr, half.indices, half.data
    solver = highs()
    solver.passModel(model)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return float("nan")
    return float(solver.getInfo().objective_function_value)
