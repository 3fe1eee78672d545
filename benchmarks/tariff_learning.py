"""Tariffs learned from meters, beside the design that knows the model and searches by values alone: ``python -m benchmarks.tariff_learning [--noise]``.

45 types of households, the default problem of a design: four periods, free buy and sell rates, fixed charges by income group of at most 24.15 $/month. The
learner sees meters, revenue and wholesale prices. So do the searches by values, two-point gradients with the steps of `ModelFreeAscent` and SciPy's
Nelder-Mead: on the same measured merit (revealed cost and charges for missed limits), from the same first tariff, within the same bounds; the best
tariff that they measured counts. All are judged afterwards by the model. Losses are $ a day and household above the design with full
information *for the revenue that is really collected*, so that a missed requirement is no gain; in percent of what that design gains over today's tariff.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import contextlib
import time
from dataclasses import dataclass, replace

import numpy as np

from stackopt.energy.benchmarks_named import benchmark
from stackopt.energy.criteria import Criteria, criteria
from stackopt.energy.designs.design import design
from stackopt.energy.designs.problem import DesignProblem, Limits
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.metering.leader import learn
from stackopt.energy.metering.meter import EquilibriumMeter, Meter, Reading
from stackopt.energy.metering.model import Accounts
from stackopt.energy.metering.revealed import cost_change
from stackopt.energy.metering.sampled import SampledMeter
from stackopt.energy.metering.step import PENALTIES, books_of, charged, charges, misses
from stackopt.energy.standard import standard_households
from stackopt.energy.tariff import Tariff
from stackopt.learning.from_samples.estimators import two_point_gradient


@dataclass(frozen=True)
class Case:
    """A problem, the cost of today's tariff, and of the best with full information."""

    name: str
    problem: DesignProblem
    before: Tariff
    today: float
    best: float

    def judged(self, tariff: Tariff) -> tuple[Criteria, float]:
        """(criteria by the model, loss at equal revenue)."""
        p = self.problem
        seen = criteria(equilibrium(p.households, p.market, tariff, temperature=p.temperature), p.required)
        same = design(replace(p, required=p.required - seen.shortfall), starts=1)
        loss = seen.cost - same.criteria.cost if same.status.success and same.criteria is not None else float("nan")
        return seen, loss


def cases() -> list[Case]:
    """The default problem, one with a limit on the gap, and one in which prices answer strongly."""
    h, found = standard_households(), []
    steep = LinearSupply(slope=0.2)
    for name, problem in (
        ("standard", DesignProblem(h, LinearSupply())),
        ("gap 6.5 points", DesignProblem(h, LinearSupply(), limits=Limits(gap=0.065))),
        ("steep supply, tau 0.005", DesignProblem(h, steep, temperature=0.005)),
    ):
        before = [benchmark(name, h, problem.market, problem.required, temperature=problem.temperature) for name in ("flat_nem", "flat_nb")]
        today = next(b for b in before if b.status.success)  # where supply is steep, no net metering recovers the requirement
        full = design(problem)
        assert today.criteria is not None
        assert today.tariff is not None
        assert full.status.success
        assert full.criteria is not None
        found.append(Case(name, problem, today.tariff, today.criteria.cost, full.criteria.cost))
    return found


class Values:
    """The measured merit of a tariff as a function of its rates, scaled to [0, 1], and the best that was measured in so many billing periods."""

    def __init__(self, problem: DesignProblem, meter: Meter, budget: int) -> None:
        self.accounts, self.meter, self.left = Accounts(problem), meter, budget
        self.first: Reading | None = None
        self.best: tuple[float, Tariff] | None = None

    def __call__(self, z: np.ndarray) -> float:
        """Measure; StopIteration where no period is left."""
        if self.left == 0:
            raise StopIteration
        self.left -= 1
        a = self.accounts
        P = len(a.low) // 2
        x = a.low + np.clip(z, 0.0, 1.0) * (a.high - a.low)
        x[P:] = np.minimum(x[P:], x[:P])  # no sell rate above its buy rate
        reading = self.meter.read(a.with_fixed(x))
        self.first = self.first or reading
        found = books_of(a, reading)
        fixed = charges(a, found, np.full(len(a.groups), 0.5 * a.cap))
        value = float(cost_change(self.first, reading)[0].mean()) + charged(misses(a, found, fixed), PENALTIES)
        if self.best is None or value < self.best[0]:
            self.best = (value, a.with_fixed(x, fixed, "by values"))
        return value


def by_values(problem: DesignProblem, meter: Meter, budget: int, how: str, seed: int = 0) -> Tariff:
    """The best tariff that a search by values measured."""
    from scipy.optimize import minimize

    merit = Values(problem, meter, budget)
    P = len(problem.periods)
    z = np.where(np.arange(2 * P) < P, 0.25, 0.0)
    rng, squares, probe, length = np.random.default_rng(seed), 0.0, 0.05, 0.2
    with contextlib.suppress(StopIteration):
        merit(z)
        if how == "Nelder-Mead":
            simplex = np.vstack([z, np.clip(z + 0.125 * np.eye(2 * P) * np.where(z > 0.5, -1.0, 1.0)[:, None], 0.0, 1.0)])
            minimize(merit, z, method="Nelder-Mead", options={"initial_simplex": simplex, "maxfev": 10 * budget})
        while True:
            slope = two_point_gradient(merit, np.clip(z, probe, 1.0 - probe), probe, rng)
            squares += float(slope @ slope)
            z = np.clip(z - length * slope / max(np.sqrt(squares), 1e-300), 0.0, 1.0)
    assert merit.best is not None
    return merit.best[1]


def line(what: str, case: Case, tariff: Tariff, periods: int, note: str = "") -> str:
    """One row."""
    seen, loss = case.judged(tariff)
    share = 100.0 * loss / (case.today - case.best)
    return f"  {what:32} {periods:7d}  {loss:+10.5f} {share:8.2f} %  {seen.shortfall:+10.2e}  {100 * seen.gap:6.2f}  {note}"


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison; 1 if a learner that reads everyone's meters does not converge, or loses more than 1 % of the gain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noise", action="store_true", help="Also samples of 1,000, 10,000 and 100,000 households, the same ones every period and fresh ones.")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--periods", type=int, nargs="*", default=[40], help="Billing periods of searches by values, besides the learner's own number.")
    asked = parser.parse_args(arguments)
    worst, good = 0.0, True
    for case in cases():
        p = case.problem
        print(f"{case.name}: {case.before.name} {case.today:.4f}, full information {case.best:.4f} $ a day and household")
        print(f"  {'':32} periods  loss $/day       of gain  short $/day  gap, points")
        meter = EquilibriumMeter(p.households, p.market, temperature=p.temperature)
        began = time.process_time()
        found = learn(p, meter)
        spent = time.process_time() - began
        assert found.tariff is not None
        first = found.trials[0]
        print(line("first tariff, books closed", case, Accounts(p).with_fixed(first.x, first.fixed), 1))
        print(line("learned from meters", case, found.tariff, found.learned_by, f"{found.status}, {spent:.1f} s"))
        from_today = learn(p, meter, today=case.before)
        assert from_today.tariff is not None
        truth = case.judged(from_today.tariff)[0].cost - case.today
        note = f"{from_today.status}; change of cost measured {from_today.cost:+.4f}, by the model {truth:+.4f}"
        print(line("begun nearest to today's", case, from_today.tariff, from_today.learned_by, note))
        worst, good = max(worst, case.judged(found.tariff)[1] / (case.today - case.best)), good and found.status.success
        for budget in (found.learned_by, *asked.periods):
            print(line("Nelder-Mead on values", case, by_values(p, meter, budget, "Nelder-Mead"), budget))
            for seed in range(asked.seeds):
                print(line(f"two-point gradients, seed {seed}", case, by_values(p, meter, budget, "two-point", seed), budget))
    if asked.noise:
        case = cases()[0]
        p = case.problem
        print("\nSamples of households for 30 days, standard case, at most 25 billing periods; errors are two standard errors as the learner states them")

        def make(n: int, seed: int, fresh: bool) -> SampledMeter:
            return SampledMeter(p.households, p.market, n, seed=seed, fresh=fresh)

        for fresh in (False, True):
            print(f"  {'fresh households' if fresh else 'the same households':32} periods  loss $/day       of gain  short $/day  gap, points")
            for n in (1_000, 10_000, 100_000):
                for seed in range(asked.seeds):
                    found = learn(p, make(n, seed, fresh), trials=25)
                    assert found.tariff is not None
                    note = f"{found.status}; said: misses revenue by {found.missed['revenue']:.4f} +- {2 * found.errors['revenue']:.4f}"
                    print(line(f"{n:,}, seed {seed}", case, found.tariff, found.learned_by, note))
                print(line(f"{n:,}, Nelder-Mead on values", case, by_values(p, make(n, 0, fresh), 25, "Nelder-Mead"), 25))
    return 0 if good and worst <= 0.01 else 1


if __name__ == "__main__":
    raise SystemExit(main())
