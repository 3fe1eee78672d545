"""A proof for the toy study: every tariff of the menu has a bound in exact arithmetic that no cost of its leader can be below.

Enumeration asks a solver for 162 linear programs and believes it. Here each of its answers is turned into a theorem by weak duality: for *any*
multipliers, ``limit @ y + right @ z`` and what the bounds of the variables add is at most the optimum. Multipliers come from the solver, the sum
is taken in rationals, so rounding in the solver can make a bound weak but never wrong. Tariffs that cannot recover their costs have a bound above 0
on how much the rows are missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block
from stackopt.energy.toy import Household, LeaderProgram, ToyTown, leader_program
from stackopt.solution import Progress, Report, Status

Array = NDArray[np.float64]
Tariff = tuple[tuple[float, ...], float]

#: Between the cost found and the bound proved, $/day.
WIDTH = 1e-6
#: Below every cost: where a tariff is neither proved to miss its requirement nor has a cost.
UNKNOWN = Fraction(-(10**6))


@dataclass(frozen=True, eq=False)
class ToyAnswer:
    """The toy study answered.

    Attributes
    ----------
    town : ToyTown
    costs : mapping of tariff to float
        Rates by period and export ratio; cost in $/day, infinite where costs are not recovered.
    bounds : mapping of tariff to Fraction or None
        No cost is below; None where it is proved that costs are not recovered.
    program : tuple of (Status, float), optional
        Status and value of the mixed-integer program, if it was solved.
    """

    town: ToyTown
    costs: Mapping[Tariff, float]
    bounds: Mapping[Tariff, Fraction | None]
    program: tuple[Status, float] | None = None

    @property
    def best(self) -> Tariff:
        """The tariff of least cost."""
        return min(self.costs, key=lambda tariff: self.costs[tariff])

    @property
    def bound(self) -> Fraction:
        """No tariff of the menu costs less, $/day: a theorem."""
        return min(b for b in self.bounds.values() if b is not None)

    @property
    def status(self) -> Status:
        """PROVED if the bound meets the cost found to `WIDTH`, and every tariff called infeasible is proved to be; else FAILED."""
        reached = self.costs[self.best] - float(self.bound) <= WIDTH
        agreed = all((bound is None) == np.isinf(self.costs[tariff]) for tariff, bound in self.bounds.items())
        agreed = agreed and (self.program is None or abs(self.program[1] - self.costs[self.best]) <= WIDTH)
        return Status.PROVED if reached and agreed else Status.FAILED

    def block(self) -> Block:
        """The printed form, verdict first."""
        (rates, ratio), least = self.best, self.costs[self.best]
        metered = min(cost for (_, r), cost in self.costs.items() if r == 1.0)
        flat = {r: min(cost for (each, _), cost in self.costs.items() if set(each) == {r}) for r in self.town.figures["menu"]}
        cheapest = min(flat, key=lambda r: flat[r])
        lost = sum(np.isinf(cost) for cost in self.costs.values())
        proved = sum(bound is None for bound in self.bounds.values())
        rows = [
            ("best", f"{' / '.join(f'{r:.2f}' for r in rates)} $/kWh, exports at {100 * ratio:.0f} % of retail"),
            ("objective", f"{least:.6f} $/day (best net-metering tariff {metered:.6f}, flat {cheapest:.2f} {flat[cheapest]:.6f})"),
            ("feasible", f"{len(self.costs) - lost} of {len(self.costs)}; {lost} cannot recover the revenue requirement, {proved} of them proved"),
            ("certificate", f"{self.status}; agrees with enumeration of all {len(self.costs)}: in rationals none costs less than "
                            f"{floor(self.bound * 10**7) / 10**7:.7f} $/day"),
        ]
        if self.program is not None:
            rows.append(("program", f"mixed-integer program, strong duality: {self.program[1]:.6f}, {self.program[0]}"))
        rows.append(("assumptions", "all figures are synthetic, made for this example"))
        title = f'Tariff study "toy": {len(self.costs)} tariffs, {len(self.town.types)} household types, exact: {self.status}'
        return Block(title, tuple(rows), good=self.status.success)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON data; bounds as ratios of whole numbers."""
        tariffs = [
            {"rates": list(rates), "export ratio": ratio, "cost": None if np.isinf(cost) else cost, "bound": None if bound is None else str(bound)}
            for ((rates, ratio), cost), bound in zip(self.costs.items(), self.bounds.values(), strict=True)
        ]
        program = None if self.program is None else {"status": str(self.program[0]), "value": self.program[1]}
        return {"schema": "stackopt.toy-tariff/1", "status": str(self.status), "tariffs": tariffs, "program": program}


def answer(town: ToyTown, *, program: bool = False, report: Report | None = None) -> ToyAnswer:
    """Enumerate all tariffs, bound each in exact arithmetic, and on request solve the mixed-integer program too.

    Parameters
    ----------
    town : ToyTown
    program : bool
        Solve the `BilevelProgram` by strong duality as a second route; needs the extra ``scip``.
    report : callable, optional
        Receives `Progress`.

    Raises
    ------
    MissingPackage
        For `program` without pyscipopt.
    """
    costs: dict[Tariff, float] = {}
    bounds: dict[Tariff, Fraction | None] = {}
    tariffs = town.tariffs
    for k, tariff in enumerate(tariffs):
        costs[tariff], bounds[tariff] = bounded(leader_program(town, *tariff))
        if report is not None:
            report(Progress("tariffs", k + 1, len(tariffs)))
    solved = None
    if program:
        from stackopt.energy.toy import program as bilevel
        from stackopt.exact.reformulated import StrongDuality
        from stackopt.solving import solve

        solution = solve(bilevel(town), StrongDuality())
        solved = (solution.status, float(solution.value))
    return ToyAnswer(town, costs, bounds, solved)


def bounded(p: LeaderProgram) -> tuple[float, Fraction | None]:
    """The least cost of the leader's program by a solver, and a bound that no cost is below; infinite and None where it is proved to have no plan.

    Theory: weak duality of linear programs with bounded variables.
    """
    from scipy.optimize import linprog

    limit = [Fraction(v) for v in p.limit]
    for row, home, cost, plan in zip(p.optimal, p.homes, p.costs, p.plans, strict=True):
        limit[row] = max(limit[row], _attained(home, cost, plan))  # what a household can surely do with: the row cuts no optimum off
    box = [(0, m) for m in p.most]
    found = linprog(p.objective, p.above, p.limit, p.equal, p.right, bounds=box)
    if found.status == 0:
        return float(found.fun), _dual(p.objective, p.above, limit, p.equal, p.right, p.most, found)
    slack = np.vstack([p.above.T, -np.ones(len(p.above))]).T  # one measure of how far all rows are missed
    objective, most = np.append(np.zeros(len(p.most)), 1.0), np.append(p.most, 1e3)
    equal = np.hstack([p.equal, np.zeros((len(p.equal), 1))])
    missed = linprog(objective, slack, p.limit, equal, p.right, bounds=[*box, (0, 1e3)])
    least = _dual(objective, slack, limit, equal, p.right, most, missed) if missed.status == 0 else Fraction(0)
    return float("inf"), None if least > 0 else UNKNOWN


def _dual(objective: Array, above: Array, limit: list[Fraction], equal: Array, right: Array, most: Array, found: Any) -> Fraction:
    """``limit @ y + right @ z`` and the least that the variables' bounds add, in rationals; y is made lawful first."""
    y = [Fraction(float(v)) for v in np.minimum(found.ineqlin.marginals, 0.0)]
    z = [Fraction(float(v)) for v in found.eqlin.marginals]
    total = sum((a * b for a, b in zip(y, limit, strict=True)), Fraction(0)) + sum((a * Fraction(float(b)) for a, b in zip(z, right, strict=True)), Fraction(0))
    reduced = [Fraction(float(c)) for c in objective]
    for rows, multipliers in ((above, y), (equal, z)):
        for i, m in enumerate(multipliers):
            if m:
                for j in np.flatnonzero(rows[i]):
                    reduced[j] -= m * Fraction(float(rows[i, j]))
    return total + sum((min(Fraction(0), r * Fraction(float(m))) for r, m in zip(reduced, most, strict=True)), Fraction(0))


def _attained(home: Household, cost: Array, near: Array) -> Fraction:
    """A cost that the household can surely reach, $: that of the plan whose flows are simple fractions near the solver's, every row met in rationals."""
    meters = 2 * len(home.bought)
    plan = [Fraction(0)] * meters + [max(Fraction(float(v)).limit_denominator(64), Fraction(0)) for v in near[meters:]]
    rows = [[(j, Fraction(float(row[j]))) for j in np.flatnonzero(row)] for row in home.matrix]
    for i in range(meters):  # the first rows say what is bought and sold
        plan[i] = -sum((a * plan[j] for j, a in rows[i] if j != i), Fraction(0))
    exact = all(sum((a * plan[j] for j, a in row), Fraction(0)) == Fraction(float(r)) for row, r in zip(rows, home.lower, strict=True))
    inside = all(0 <= v <= Fraction(float(m)) for v, m in zip(plan, home.most, strict=True))
    if not (exact and inside):
        raise ArithmeticError("the household's plan is not a simple fraction of cycles")
    return sum((Fraction(float(c)) * v for c, v in zip(cost, plan, strict=True) if v), Fraction(0))
