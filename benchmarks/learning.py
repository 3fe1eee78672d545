"""Learning a tariff from behaviour: how many days to within 2 % of the best, and whether drifting followers are flagged.

``python -m benchmarks.learning``: one line per learner, kind of followers and truth; ``--figure FILE`` draws the learning curves.
The exact loss of every recommendation is computed here, by the truth, which no learner sees.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.tariff_truths import KNOWN, RATES, SETTING, days_to, gaps_of, load_meters, truth
from stackopt.learning.from_samples.learn import learn
from stackopt.learning.from_samples.semi_gradient import semi_gradient
from stackopt.learning.oracles import Asked, FollowerOracle, Observation, QLearners, SoftPopulation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Learner, kind of followers, households, budget of days.
CASES = (
    ("counts", "settled", 200, 400),
    ("counts", "settled", 20, 400),
    ("aggregate", "settled", 20_000, 400),
    ("aggregate", "settled", 200, 400),
    ("value", "settled", 20_000, 300),
    ("value", "settled", 200, 300),
    ("frozen", "settled", 200, 300),
    ("counts", "two types", 200, 400),
    ("aggregate", "two types", 20_000, 400),
    ("value", "two types", 20_000, 300),
    ("counts", "inertial", 200, 400),
    ("aggregate", "inertial", 20_000, 400),
    ("value", "inertial", 20_000, 400),
    ("frozen", "inertial", 200, 400),
    ("counts", "Q-learning", 200, 400),
    ("aggregate", "Q-learning", 2_000, 400),
    ("value", "Q-learning", 2_000, 300),
    ("frozen", "Q-learning", 200, 300),
)


def truths(kind: str, seed: int) -> list[tuple[Any, float]]:
    """(game, temperature) of each type of household, in equal shares."""
    return [truth(seed), truth(seed + 100)] if kind == "two types" else [truth(seed)]


def followers(kind: str, households: int, seed: int) -> FollowerOracle:
    """The household population of truth `seed`; of two types, half are of another truth, with tastes and a temperature of its own."""
    if kind == "two types":
        halves = [
            SoftPopulation(game, tau, steps_per_day=4, followers=households // 2, meters=load_meters(), seed=seed + 1000 * i)
            for i, (game, tau) in enumerate(truths(kind, seed))
        ]

        def together(policy: Any, days: int) -> Observation:
            one, two = (half.observe(policy, days) for half in halves)
            return Observation((one.value + two.value) / 2, one.counts + two.counts, (one.aggregate + two.aggregate) / 2)  # type: ignore[operator]

        return Asked(together)
    game, tau = truth(seed)
    rest: dict[str, Any] = {"steps_per_day": 4, "followers": households, "meters": load_meters(), "seed": seed}
    make: dict[str, Callable[[], FollowerOracle]] = {
        "settled": lambda: SoftPopulation(game, tau, **rest),
        "inertial": lambda: SoftPopulation(game, tau, adaptation=0.1, **rest),
        "Q-learning": lambda: QLearners(game, tau, rate=0.5, **rest),
    }
    return make[kind]()


def one(learner: str, kind: str, households: int, days: int, seed: int) -> dict[str, Any]:
    """One run: outcome, days to 2 %, final loss, and the curve."""
    oracle, began = followers(kind, households, seed), time.process_time()
    if learner == "frozen":
        history: Any = semi_gradient(KNOWN, oracle, groups=SETTING["groups"], scale=RATES, days=days)
        outcome, value, error = "-", np.nan, np.nan
    else:
        meters = load_meters() if learner == "aggregate" else None
        found = learn(KNOWN, oracle, learner, days=days, meters=meters, seed=seed, **SETTING)  # type: ignore[arg-type]
        history, outcome, value, error = found.history, str(found.outcome), found.value, found.error
    losses = gaps_of(truths(kind, seed), [levels for _, levels in history])
    return {
        "outcome": outcome, "days to 2 %": days_to(history, losses), "final loss %": losses[-1], "value": value, "error": error,
        "curve": (np.array([day for day, _ in history]), losses), "seconds": time.process_time() - began,
    }  # fmt: skip


def curves(results: dict[tuple[str, str, int, int], list[dict[str, Any]]]) -> Figure:
    """Loss against days, a row per kind of followers and a column per learner: every truth, their median and their range."""
    from stackopt.comparison.drawing import COLOURS, SOFT, panels

    kinds, learners = ("settled", "inertial", "Q-learning"), ("counts", "aggregate", "value", "frozen")
    figure, axes = panels(4, 3, feature="learning curves", width=2.7, height=2.1)
    for axis, (kind, learner) in zip(axes, itertools.product(kinds, learners), strict=True):
        case = next(case for case in results if case[:2] == (learner, kind))  # the one listed first
        grid = np.arange(0, case[3] + 1)
        rows = np.maximum([_at(run["curve"], grid) for run in results[case]], 0.0)
        colour = COLOURS[learners.index(learner)]
        axis.fill_between(grid, rows.min(0), rows.max(0), color=colour, alpha=0.14, linewidth=0)
        axis.plot(grid, rows.T, color=colour, linewidth=0.6, alpha=0.8)
        axis.plot(grid, np.median(rows, 0), color=colour, linewidth=2.2)
        axis.axhline(2.0, color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)))
        axis.set_yscale("symlog", linthresh=2.0)
        axis.set(ylim=(-0.08, 60), xlim=(0, 400))
        axis.set_yticks([0, 1, 2, 10, 50], labels=["0", "1", "2", "10", "50"])
        axis.minorticks_off()
        flagged = sum(run["outcome"] == "NONSTATIONARY" for run in results[case])
        says = f"{case[2]:,} households" + (f"; {flagged} of {len(rows)} flagged" if learner != "frozen" else "")
        axis.set_title(f"{ {'frozen': 'frozen response'}.get(learner, learner) }, {kind}\n{says}", loc="left", fontsize=8.5)
        if learner == learners[0]:
            axis.set_ylabel("loss, %")
        if kind == kinds[-1]:
            axis.set_xlabel("days")
    return figure


def _at(curve: tuple[Any, Any], grid: Any) -> Any:
    """A step curve on a grid of days."""
    days, losses = curve
    return losses[np.clip(np.searchsorted(days, grid, side="right") - 1, 0, len(losses) - 1)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds of followers or learners, comma-separated")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    wanted = {word for word in options.only.split(",") if word}
    results = {}
    for case in CASES:
        if wanted and not wanted & set(case[:2]):
            continue
        runs = [one(*case, seed) for seed in range(options.first_seed, options.first_seed + options.seeds)]
        results[case] = runs
        learner, kind, households, _ = case
        reached = [run["days to 2 %"] for run in runs]
        figures = {
            "to 2 %": f"{sum(np.isfinite(reached))}/{len(runs)}",
            "days": " ".join("-" if np.isinf(r) else f"{r:.0f}" for r in reached),
            "final %": " ".join(f"{run['final loss %']:.1f}" for run in runs),
            "outcomes": " ".join(run["outcome"][:3] for run in runs),
            "cpu s": f"{np.mean([run['seconds'] for run in runs]):.1f}",
        }
        sys.stdout.write(f"{learner:9} {kind:10} {households:6}  " + "  ".join(f"{k}: {v}" for k, v in figures.items()) + "\n")
        sys.stdout.flush()
    if options.figure:
        curves(results).savefig(options.figure, dpi=90, metadata={"Software": None})
