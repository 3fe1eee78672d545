"""The examination of a candidate: rows and bounds re-evaluated, every follower re-solved, multipliers and ties looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackopt.bilevel.follower import Response, follower_program, respond
from stackopt.bilevel.point import Array, Point
from stackopt.bilevel.ties import tie_range
from stackopt.certificate import Certificate, Check
from stackopt.display import number
from stackopt.errors import InvalidCandidate
from stackopt.programs.algebra import terms
from stackopt.solution import Status

if TYPE_CHECKING:
    from stackopt.bilevel.program import BilevelProgram, Rows

#: Rows, bounds and integrality hold to this, relative to the largest term of the row.
FEASIBLE = 1e-6
#: A follower's value is optimal to this, relative to one plus its size.
OPTIMAL = 1e-6
#: The gradient of a curved follower is that of an optimum to this, relative to one plus its size.
SLOPE = 3e-6
#: Values shown of each player; the rest is counted.
SHOWN = 8


def certify(program: BilevelProgram, candidate: Point) -> Certificate:
    """Everything that makes `candidate` bilevel feasible, recomputed from the program's data.

    Checks: the leader's rows, bounds and whole numbers; the followers'; each follower's value against its optimum when re-solved
    at the candidate, and the slope of curved ones; the multipliers that the leader uses against all optimal multipliers; the claimed value.

    Raises
    ------
    InvalidCandidate
        If the candidate does not fit the program.
    """
    n, d = program.size, len(program.multipliers)
    for what, array, length in (("values", candidate.values, n), ("multipliers", candidate.multipliers, d)):
        if np.shape(array) != (length,):
            raise InvalidCandidate(
                "candidate", array=what, axes="one per symbol", expected=[length], got=list(np.shape(array)),
                help="values [n] of the variables and multipliers [d]",
            )
    symbols = candidate.symbols
    if not np.isfinite(symbols).all():
        j = int(np.flatnonzero(~np.isfinite(symbols))[0])
        return Certificate((Check("finite", np.nan, 0.0, f"{program.symbols[j]} is {symbols[j]}"),))
    checks = [_rows_check(program, symbols, -1), _rows_check(program, symbols, 0)]
    if program.integer.any():
        checks.append(_integers_check(program, candidate.values))
    responses = [respond(program, k, candidate.values, relaxed=FEASIBLE) for k in range(len(program.followers))]
    checks.append(_optimality_check(program, symbols, responses))
    checks += _slope_checks(program, candidate.values, responses)
    if d:
        checks.append(_multiplier_check(program, candidate))
    value = program.leader.objective.value(symbols)
    if not np.isnan(candidate.claim):
        goal = terms(program.symbols, program.leader.objective.linear, program.leader.objective.quadratic, program.leader.objective.constant, most=3)
        checks.append(Check("value restated", abs(value - candidate.claim), 1e-6 * (1.0 + abs(value)), f"{goal} = {number(value, 7)}"))
    values: dict[str, float | bool] = {"leader": value}
    values |= {f"follower {level.name}" if len(responses) > 1 else "follower": level.objective.value(symbols) for level in program.followers}
    notes = list[str]()
    if all(c.passed for c in checks):
        _look_at_ties(program, candidate, values, checks, notes)
    return Certificate(tuple(checks), values, (), "leader", tuple(notes))


def _rows_check(program: BilevelProgram, symbols: Array, which: int) -> Check:
    """The leader's rows and bounds (-1), or those of all followers (0)."""
    levels = (program.leader,) if which < 0 else program.followers
    worst, where, count = 0.0, "", 0
    for level in levels:
        count += len(level.rows)
        residuals = relative_residuals(level.rows, symbols)
        if len(residuals) and not residuals.max() <= worst:
            i = int(residuals.argmax())
            worst, where = float(residuals[i]), f"; worst in `{level.rows.names[i]}`"
    mine = program.owner < 0 if which < 0 else program.owner >= 0
    x = symbols[: program.size]
    outside = np.where(mine, np.maximum(np.maximum(program.lower - x, x - program.upper), 0.0) / (1.0 + np.abs(x)), 0.0)
    if len(outside) and outside.max() > worst:
        worst, where = float(outside.max()), f"; worst at the bounds of {program.names[int(outside.argmax())]}"
    who = "leader" if which < 0 else "follower" if len(program.followers) == 1 else "followers'"
    counted = f"{count} row{'s' * (count != 1)}"
    return Check(f"{who} rows", worst, FEASIBLE, f"{counted} and bounds re-evaluated{where if worst > 0 else ''}")


def relative_residuals(rows: Rows, symbols: Array) -> Array:
    """By how much each row is broken at `symbols` [N], relative to one plus its largest term; [m]."""
    activity = rows.activity(symbols)
    broken = np.maximum(np.maximum(rows.lower - activity, activity - rows.upper), 0.0)
    largest = np.zeros(len(rows))
    entries = rows.matrix.tocoo()
    np.maximum.at(largest, entries.coords[0], np.abs(entries.data * symbols[entries.coords[1]]))
    for i, form in rows.quadratic.items():
        found = form.tocoo()
        largest[i] = max(largest[i], np.abs(found.data * symbols[found.coords[0]] * symbols[found.coords[1]]).max(initial=0.0))
    return np.asarray(broken / (1.0 + largest), float)


def _integers_check(program: BilevelProgram, values: Array) -> Check:
    whole = values[program.integer]
    return Check("whole numbers", float(np.abs(whole - np.round(whole)).max()), FEASIBLE, f"{len(whole)} integer variable{'s' * (len(whole) != 1)}")


def _optimality_check(program: BilevelProgram, symbols: Array, responses: list[Response]) -> Check:
    """How far each follower's value is from its optimum, worst first."""
    worst, because = -1.0, ""
    for level, response in zip(program.followers, responses):
        value = level.objective.value(symbols)
        if response.status is Status.OPTIMAL:
            gap = max(level.objective.sign * (value - response.value), 0.0) / (1.0 + abs(response.value))
            said = f"`{level.name}` re-solved: {number(value, 7)} against its optimum {number(response.value, 7)}"
        else:
            gap, said = np.nan, f"`{level.name}` re-solved: {response.status} ({response.because})"
        if not gap <= worst:
            worst, because = gap, said
        if np.isnan(gap):
            break
    more = f"; {len(responses)} followers, the worst is shown" if len(responses) > 1 else ""
    return Check("follower optimal" if len(responses) == 1 else "followers optimal", worst, OPTIMAL, because + more)


def _slope_checks(program: BilevelProgram, values: Array, responses: list[Response]) -> list[Check]:
    """That curved followers are where they are optimal: one that loses 1e-7 can stand 3e-4 away, and the leader's value with it.

    On the optimal set of a convex quadratic program Hy is constant, so it is the same at the candidate and at any optimum.
    """
    worst, where = -1.0, ""
    for k, response in enumerate(responses):
        if program.kind(k) != "QP" or response.variables is None:
            continue
        p = follower_program(program, k, values)
        optimum = p.hessian @ response.variables
        distance = float(np.abs(p.hessian @ values[p.columns] - optimum).max(initial=0.0)) / (1.0 + float(np.abs(optimum).max(initial=0.0)))
        if not distance <= worst:
            worst, where = distance, program.followers[k].name
    return [Check("follower's slope", worst, SLOPE, f"Hy of `{where}` against its optimum re-solved")] if where else []


def _multiplier_check(program: BilevelProgram, candidate: Point) -> Check:
    from stackopt.bilevel.duals import dual_face

    face = dual_face(program, candidate.values)
    scale = 1.0 + np.abs(candidate.multipliers).max(initial=0.0) + np.abs(face.rhs).max(initial=0.0)
    how = "stationarity, signs and complementarity, with the leader's values of the multipliers"
    return Check("multipliers", face.distance(candidate.multipliers) / scale, FEASIBLE, how)


def _look_at_ties(program: BilevelProgram, candidate: Point, values: dict[str, float | bool], checks: list[Check], notes: list[str]) -> None:
    """What the leader gets if every follower breaks its ties for it, or against it."""
    found = tie_range(program, candidate.values, candidate.multipliers)
    values |= {name: worth for name, worth in (("optimistic", found.best), ("pessimistic", found.worst)) if not np.isnan(worth)}
    if found.unique is not None:
        values["unique response"] = found.unique
    if np.isnan(found.best) or np.isnan(found.worst):
        notes.append(f"ties were not looked at: {found.because}")
    if program.ties == "pessimistic":
        difference = program.leader.objective.sign * (found.worst - values["leader"])
        how = f"over all optimal responses the leader gets {number(found.worst, 7)}"
        checks.append(Check("worst response", difference, 1e-6 * (1.0 + abs(values["leader"])), how))


def summary(program: BilevelProgram, candidate: Point, certificate: Certificate) -> tuple[tuple[str, str], ...]:
    """The rows of a printed solution: values, who decides what, ties."""
    rows = [("leader value", number(float(certificate.value), 7))]
    for k, level in enumerate((program.leader, *program.followers)):
        label = "leader" if k == 0 else level.name if len(program.followers) > 1 else "follower"
        if k > SHOWN:
            rows.append(("", f"{len(program.followers) - SHOWN} more followers"))
            break
        rows.append((label, _decisions(program, candidate.values, k - 1)))
    if program.multipliers:
        shown = [f"{m.name} = {number(v)}" for m, v in zip(program.multipliers, candidate.multipliers)]
        rows.append(("multipliers", ", ".join(shown[:SHOWN]) + (f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else "")))
    if {"optimistic", "pessimistic"} <= certificate.values.keys():
        rows.append(("ties", _ties(program, certificate)))
    return tuple(rows)


def _decisions(program: BilevelProgram, values: Array, k: int) -> str:
    mine = program.owned(k)
    nonzero = [j for j in mine if abs(values[j]) > 1e-9] if len(mine) > SHOWN else list(mine)
    shown = [f"{program.names[j]} = {number(values[j] + 0.0)}" for j in nonzero[:SHOWN]]
    rest = len(nonzero) - len(shown)
    zero = f"{len(mine) - len(nonzero)} at 0" if len(mine) > len(nonzero) else ""
    return ", ".join([*shown, *([f"{rest} more"] if rest else []), *([zero] if zero else [])])


def _ties(program: BilevelProgram, certificate: Certificate) -> str:
    best, worst = certificate.values["optimistic"], certificate.values["pessimistic"]
    who = "the follower" if len(program.followers) == 1 else "the followers"
    if certificate.values.get("unique response"):
        return "none: the follower has one optimal response here" if len(program.followers) == 1 else "none: each follower has one optimal response here"
    if abs(best - worst) <= 1e-6 * (1.0 + abs(best)):
        return f"none that matter: every optimal response of {who} is worth the same here"
    if program.ties == "optimistic" and np.isinf(worst):
        return f"matter: against the leader, {who} would break one of its rows or leave it no finite value at this decision"
    if program.ties == "optimistic":
        return f"matter: against the leader, {who} would leave it {number(worst, 7)} at this decision"
    return f"matter: in the leader's favour {who} would give it {number(best, 7)} at this decision"

