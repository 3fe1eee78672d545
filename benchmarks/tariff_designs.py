"""Are designs the best there are? An independent look, without gradients: ``python -m benchmarks.tariff_designs [--evaluations N]``.

Designs are local optima of a problem that is not convex. Here each is held against a grid, or against an evolution strategy that adapts its
covariance, both on the pattern of rates alone: fixed charges collect the most that cap and gap allow, a linear program, and the level of the rates
recovers the rest. What these find they find without SLSQP, without gradients and without its starts. The look is the least cost within 1e-5 of all
limits; a negative difference would be a design missed.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import itertools
import math
import time
from dataclasses import replace

import numpy as np

import stackopt as so
from stackopt.energy.criteria import DAYS, criteria
from stackopt.energy.designs.design import Design, design
from stackopt.energy.designs.frontier import frontier
from stackopt.energy.designs.problem import DesignProblem, Limits
from stackopt.energy.designs.reach import smallest
from stackopt.energy.equilibrium import Equilibrium, equilibrium
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.standard import standard_households
from stackopt.energy.tariff import DAYS_PER_MONTH

#: Misses of limits up to which a point counts, $/day and shares of income, relative MW.
MET = 1e-5


class Look:
    """Costs of tariffs by the pattern of their rates: the level recovers the requirement, beside the most that fixed charges may collect."""

    def __init__(self, problem: DesignProblem) -> None:
        self.problem, self.count = problem, 0
        self.best: tuple[float, np.ndarray] | None = None
        self.near: Equilibrium | None = None

    def solved(self, rates: np.ndarray) -> tuple[float, float, float]:
        """(cost, misses of limits, revenue that is still missing) at rates; infinite where they are unlawful or nothing settles."""
        p = self.problem
        self.count += 1
        try:
            tariff = p.tariff(np.concatenate([rates, np.zeros(len(p.households.groups) + 2)]))
            found = equilibrium(p.households, p.market, tariff, temperature=p.temperature, start=self.near)
        except so.InvalidStudy:
            return math.inf, math.inf, math.nan
        if not found.converged:
            return math.inf, math.inf, math.nan
        self.near = found
        seen = criteria(found, p.required, np.zeros(len(p.households.groups)))
        fixed, miss = self.charges(seen.incidence)
        miss += max(0.0, seen.peak / p.limits.peak - 1.0) + max(0.0, seen.price_spread / p.limits.price_spread - 1.0)
        return seen.cost, miss, seen.shortfall - fixed

    def __call__(self, pattern: np.ndarray) -> float:
        """Cost and ten times the miss, at the level of the pattern that recovers the requirement."""
        P, top = len(self.problem.periods), self.problem.buy[1]
        pattern = np.maximum(pattern, 0.0)
        if self.problem.pass_buy == self.problem.pass_sell:
            pattern[P:] = np.minimum(pattern[P:], pattern[:P])
        pattern = pattern / max(float(pattern[:P].mean()), 1e-9)
        levels, ends = [0.2, 0.25], []
        for k in range(8):
            rates = np.clip(levels[-2 if k == 0 else -1] * pattern, 0.0, top)
            cost, miss, short = self.solved(rates)
            if not math.isfinite(short):
                return math.inf
            ends.append(short)
            if abs(short) <= MET:
                if miss <= MET and (self.best is None or cost < self.best[0]):
                    self.best = cost, rates
                return cost + 10.0 * miss
            if k:
                if ends[-1] == ends[-2]:
                    return math.inf
                ahead = levels[-1] - ends[-1] * (levels[-1] - levels[-2]) / (ends[-1] - ends[-2])
                levels.append(float(np.clip(ahead, 0.5 * levels[-1], 2.0 * levels[-1])))
        return math.inf

    def charges(self, incidence: np.ndarray) -> tuple[float, float]:
        """(the most that fixed charges collect within the cap and the gap, by how much they must miss the gap)."""
        from scipy.optimize import linprog

        h, limit = self.problem.households, min(self.problem.limits.gap, 10.0)
        G, per = len(h.groups), DAYS / h.by_group(h.income)
        weight = np.bincount(h.group_of, weights=h.share, minlength=G)
        low = np.hstack([-np.diag(per), np.ones((G, 1)), np.zeros((G, 1))])  # variables: charges, lowest incidence, missed gap
        high = np.hstack([np.diag(per), -np.ones((G, 1)), -np.ones((G, 1))])
        found = linprog(
            [*-weight, 0.0, 1e4], A_ub=np.vstack([low, high]), b_ub=np.concatenate([incidence, limit - incidence]),
            bounds=[(0.0, self.problem.cap / DAYS_PER_MONTH)] * G + [(-10.0, 10.0), (0.0, None)],
        )  # fmt: skip
        return (float(weight @ found.x[:G]), float(found.x[-1])) if found.status == 0 else (0.0, math.inf)


def evolve(look: Look, low: np.ndarray, high: np.ndarray, evaluations: int, seed: int) -> None:
    """Minimise by an evolution strategy that adapts its covariance and its steps (CMA-ES), until so many equilibria are spent."""
    rng, n = np.random.default_rng(seed), len(low)
    many = 4 + int(3 * math.log(n))
    keep = many // 2
    weights = np.log(keep + 0.5) - np.log(np.arange(1, keep + 1))
    weights /= weights.sum()
    mu = 1.0 / float(weights @ weights)
    fade, turn = (mu + 2.0) / (n + mu + 5.0), 4.0 / (n + 4.0)
    one = 2.0 / ((n + 1.3) ** 2 + mu)
    rank = min(1.0 - one, 2.0 * (mu - 2.0 + 1.0 / mu) / ((n + 2.0) ** 2 + mu))
    usual = math.sqrt(n) * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n))
    mean, spread, shape, path, drift = low + (high - low) * rng.uniform(0.3, 0.7, n), 0.2, np.eye(n), np.zeros(n), np.zeros(n)
    began = look.count
    while look.count - began < evaluations:
        sizes, axes = np.linalg.eigh(shape)
        sizes = np.sqrt(np.maximum(sizes, 1e-20))
        points = np.clip(mean + spread * (high - low) * ((rng.normal(size=(many, n)) * sizes) @ axes.T), low, high)
        values = np.array([look(p) for p in points])
        chosen = (points[np.argsort(values)[:keep]] - mean) / (spread * (high - low))
        step = weights @ chosen
        mean = mean + spread * (high - low) * step
        path = (1.0 - fade) * path + math.sqrt(fade * (2.0 - fade) * mu) * (axes @ ((axes.T @ step) / sizes))
        drift = (1.0 - turn) * drift + math.sqrt(turn * (2.0 - turn) * mu) * step
        shape = (1.0 - one - rank) * shape + one * np.outer(drift, drift) + rank * (chosen.T * weights) @ chosen
        spread *= math.exp(fade / (1.0 + fade) * (float(np.linalg.norm(path)) / usual - 1.0))


def line(name: str, ours: Design, look: Look, seconds: float) -> str:
    """A row of the table."""
    cost = ours.criteria.cost if ours.criteria is not None else math.nan
    other = look.best[0] if look.best is not None else math.nan
    ends = " ".join(f"{c:.5f}" for c, _ in ours.starts)
    return f"{name:34} {cost:9.6f} {ours.equilibria:5} {other:9.6f} {look.count:5} {other - cost:10.1e} {seconds:6.1f}  {ours.status}; starts {ends}"


def grid(problem: DesignProblem, levels: int) -> Look:
    """All combinations of buy rates against that of the first period."""
    look = Look(problem)
    for rates in itertools.product(np.linspace(0.5, 1.5, levels), repeat=len(problem.periods) - 1):
        look(np.array([1.0, *rates, *[0.0] * len(problem.periods)]))
    return look


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=1000, help="equilibria of each evolution")
    parser.add_argument("--levels", type=int, default=11, help="of each rate in the grid")
    asked = parser.parse_args()
    households, market = standard_households(), LinearSupply()
    print(f"{'problem':34} {'design':>9} {'eq':>5} {'look':>9} {'eq':>5} {'look-design':>10} {'CPU s':>6}")
    three = {"off": [*range(10), 21, 22, 23], "midday": range(10, 16), "peak": range(16, 21)}
    billing = DesignProblem(households, market, periods=three, pass_buy=0.0, sell=(0.0, 0.0))
    began = time.process_time()
    ours = design(billing)
    print(line(f"net billing, 3 rates, grid {asked.levels}^2", ours, grid(billing, asked.levels), time.process_time() - began), flush=True)
    problem = DesignProblem(households, market)
    free = design(problem)
    assert free.criteria is not None
    lowest, flattest = smallest(problem, "peak", free.z), smallest(problem, "price_spread", free.z)
    limits = (
        ("no limits", Limits()),
        ("gap 7 points", Limits(gap=0.07)),
        ("gap 6.4 points", Limits(gap=0.064)),
        ("peak half way down", Limits(peak=0.5 * (lowest.value + free.criteria.peak))),
        ("price spread half way down", Limits(price_spread=0.5 * (flattest.value + free.criteria.price_spread))),
    )
    for name, limited in limits:
        began = time.process_time()
        chosen = replace(problem, limits=limited)
        ours, look = design(chosen), Look(chosen)
        for seed in range(2):
            evolve(look, np.zeros(8), np.ones(8), asked.evaluations // 2, seed)
        print(line(f"8 rates, {name}, evolution", ours, look, time.process_time() - began), flush=True)
    began = time.process_time()
    gaps = np.linspace(0.075, 0.0625, 9)
    found = frontier(problem, gaps)
    costs = [d.criteria.cost if d.criteria is not None else math.nan for d in found]
    fresh = [design(d.problem, starts=4, seed=1).criteria for d in found]
    off = [c - f.cost for c, f in zip(costs, fresh, strict=True) if f is not None]
    word = "rises as the limit narrows" if all(b >= a - 1e-9 for a, b in itertools.pairwise(costs)) else "DOES NOT RISE everywhere"
    print(f"\nfrontier of {len(gaps)} points: cost {word}; {sum(d.status.success for d in found)} converged; against 4 fresh starts at each limit "
          f"{min(off):.1e} to {max(off):.1e} $/day; {time.process_time() - began:.1f} s")  # fmt: skip


if __name__ == "__main__":
    main()
