"""The best randomised commitment where the leader moves the state: both engines against the targets, on random dense games.

``python -m benchmarks.occupancy [--seeds 2] [--only 3x3x3,4x3x3] [--engines search,scip,both]`` prints one line per game and engine: processor
seconds, the gap that is left, boxes or nodes, and whether the target of its size is met. Rewards are standard normal, transition rows uniform on
the simplex. The search stops at a gap of 1e-3; SCIP goes on to 0 within the same time. `both` intersects their bounds and takes the better policy.
A target counts processor time, so that other work on the machine does not decide it; a run may take `--patience` times as long by the clock.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

import stackopt as so
from stackopt.backends import scip
from stackopt.exact.commitment import CommitmentValue
from stackopt.exact.known_policies import local_search
from stackopt.exact.occupancy.by_scip import ask_scip
from stackopt.exact.occupancy.search import OccupancySearch

#: (states, leader's actions, follower's actions): discount -> (seconds, gap) to be reached.
TARGETS = {
    (2, 3, 3): {0.5: (2, 1e-3), 0.8: (2, 1e-3), 0.95: (2, 1e-3)},
    (2, 4, 4): {0.5: (2, 1e-3), 0.8: (2, 1e-3), 0.95: (2, 1e-3)},
    (3, 3, 3): {0.5: (2, 1e-3), 0.8: (2, 1e-3), 0.95: (2, 1e-3)},
    (4, 3, 3): {0.5: (15, 1e-3), 0.8: (15, 1e-3), 0.95: (60, 0.05)},
    (6, 2, 2): {0.5: (15, 1e-3), 0.8: (15, 1e-3), 0.95: (60, 0.05)},
    (8, 2, 2): {0.5: (15, 1e-3), 0.8: (15, 1e-3), 0.95: (60, 0.05)},
    (6, 3, 3): {0.8: (60, 0.1), 0.95: (60, 0.15)},
    (8, 3, 3): {0.8: (60, 0.1), 0.95: (60, 0.15)},
}
GAP = 1e-3


def game(shape: tuple[int, int, int], discount: float, seed: int) -> so.StackelbergGame:
    """A random dense game."""
    rng = np.random.default_rng([seed, *shape])
    rewards = rng.normal(size=(2, *shape))
    return so.StackelbergGame(rewards[0], rewards[1], rng.dirichlet(np.ones(shape[0]), shape), discount=discount, name=f"{shape} {discount} {seed}")


def one(engine: str, problem: so.StackelbergGame, seconds: float) -> tuple[float, float, float, int]:
    """(processor seconds, value, bound, boxes or nodes) of one engine."""
    began = time.process_time()
    known = local_search(problem.observations, np.eye(problem.shape[1]), CommitmentValue(problem, "strong"), 0)[-3:]
    search = OccupancySearch(problem, known=known, gap=GAP, time_limit=seconds)
    if engine == "search":
        search.advance(seconds)
        nodes = search.nodes
    else:
        said = ask_scip(search, time_limit=seconds)
        search.tell(said.bound)
        nodes = said.nodes
    return time.process_time() - began, search.attained(), search.bound, nodes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="", help="sizes, comma-separated, such as 3x3x3")
    parser.add_argument("--discounts", default="", help="comma-separated")
    parser.add_argument("--patience", type=float, default=1.0)
    parser.add_argument("--engines", default="search,scip,both" if scip.available() else "search")
    options = parser.parse_args()
    sizes, discounts = set(filter(None, options.only.split(","))), {float(d) for d in filter(None, options.discounts.split(","))}
    engines = options.engines.split(",")
    met, tried = dict.fromkeys(engines, 0), 0
    for shape, targets in TARGETS.items():
        name = "x".join(map(str, shape))
        if sizes and name not in sizes:
            continue
        for discount, (seconds, wanted) in targets.items():
            if discounts and discount not in discounts:
                continue
            for seed in range(options.seeds):
                tried += 1
                problem = game(shape, discount, seed)
                found = {engine: one(engine, problem, options.patience * seconds) for engine in ("search", "scip") if engine in engines or "both" in engines}
                if "both" in engines:
                    together = list(found.values())
                    found["both"] = (sum(f[0] for f in together), max(f[1] for f in together), min(f[2] for f in together), 0)
                for engine in engines:
                    cpu, value, bound, nodes = found[engine]
                    gap = max(bound - value, 0.0) / max(1.0, abs(value))
                    reached = gap <= wanted and cpu <= seconds
                    met[engine] += reached
                    sys.stdout.write(
                        f"{name} {discount:4} seed {seed}  {engine:6}  {cpu:6.1f} s  gap {gap:8.1e}  {nodes:6} nodes  in [{value:.6g}, {bound:.6g}]  "
                        f"target {wanted:g} in {seconds} s: {'met' if reached else 'MISSED'}\n"
                    )
                    sys.stdout.flush()
    for engine in engines:
        sys.stdout.write(f"{engine}: {met[engine]} of {tried} targets met\n")
