"""How far ascent on the soft commitment value stays below the exact optimum: ``python -m benchmarks.accuracy``.

Random games whose transitions the leader does not move, so that the exact optimum over all randomised policies is known
(theory D3). Ascent finds local optima; this measures what that costs.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

import stackopt as so

TEMPERATURES = (0.1, 0.02, 0.005, 0.001)


def games(count: int, seed: int, states: int = 5, actions: int = 3) -> list[so.StackelbergGame]:
    """Random games [states, actions, actions], discount 0.9, rewards in [-1, 1]."""
    made = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        shape = (states, actions, actions)
        kernel = np.repeat(rng.dirichlet(np.full(states, 0.3), (states, 1, actions)), actions, axis=1)
        made.append(so.StackelbergGame(rng.uniform(-1, 1, shape), rng.uniform(-1, 1, shape), kernel, discount=0.9, name=f"random {index}"))
    return made


def accuracy(count: int, seed: int = 0, temperatures: tuple[float, ...] = TEMPERATURES) -> list[dict[str, Any]]:
    """One row per temperature: certified gap to the exact value, relative to the range of the leader's values, in percent."""
    solved = [(game, so.solve(game, so.Exact())) for game in games(count, seed)]
    solved = [(game, exact) for game, exact in solved if exact.certified]
    rows = []
    for temperature in temperatures:
        gaps = []
        for game, exact in solved:
            learned = so.solve(game, so.SoftmaxPolicyIteration(temperature))
            gaps.append(100 * (exact.value - learned.value) / (np.ptp(game.leader_reward) / (1 - game.leader_discount)))
        above = 100 * np.mean(np.array(gaps) > 1)
        rows.append({"temperature": temperature, "games": len(gaps), "median_%": np.median(gaps), "worst_%": np.max(gaps), "above_1_%": above})
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for row in accuracy(options.games, options.seed):
        sys.stdout.write("  ".join(f"{key} {value:.3g}" for key, value in row.items()) + "\n")
