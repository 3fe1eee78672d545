"""Proofs of games held against other routes, and with a linear programming solver that lies: ``python -m benchmarks.proofs_games_fuzz``.

Deterministic leaders: every pair of pure policies in rationals. Randomised ones: each pattern of responses with a linear program in floats. Boxes: 200
sampled policies. Populations: each pattern of supports. Lies: a share of the answers of HiGHS is corrupted; what is verified all the same must
contain the honest value.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import Any

import numpy as np

import stackopt as so
from benchmarks.proofs_games import best_pure
from stackopt.games.responses import commitment
from stackopt.proof.games import game_text, prove_game
from stackopt.proof.games_boxes import prove_boxes
from stackopt.proof.mean_field import prove_mean_field
from stackopt.verification.proof_liar import LIES, lying

#: Seconds for a proof.
SECONDS = 10.0


def game(kind: str, seed: int) -> so.StackelbergGame:
    """A tiny random game; thirds of its transitions are thirds, ties are frequent."""
    rng = np.random.default_rng([seed, len(kind)])
    S, A, B = (int(v) for v in rng.integers(2, 4, 3)) if kind != "deterministic" else (int(rng.integers(1, 4)), 2, 2)
    rewards = rng.integers(0, int(rng.choice([3, 11])), (2, S, A, B)).astype(float)
    transition = np.zeros((S, A, B, S))
    for s, a, b in np.ndindex(S, A, B):
        if a and kind == "randomised":
            transition[s, a, b] = transition[s, 0, b]
        else:
            transition[s, a, b, rng.choice(S, min(int(rng.integers(1, 4)), S), replace=False)] = 1.0
            transition[s, a, b] /= transition[s, a, b].sum()
    discount = float(rng.choice([0.5, 0.9]))
    return so.StackelbergGame(*rewards, transition, leader_discount=discount, follower_discount=0.0 if kind == "stagewise" else discount)


def population(seed: int) -> so.MeanFieldStackelbergGame:
    """A tiny random mean-field game with a menu of two."""
    rng = np.random.default_rng(seed)
    K, S, B = int(rng.integers(1, 3)), 2, 2
    transition = np.zeros((K, 1, S, B, S))
    for i in np.ndindex(K, 1, S, B):
        np.add.at(transition[i], rng.integers(0, S, 4), 0.25)
    sizes = (K, 1, S, B)
    return so.MeanFieldStackelbergGame(
        so.Stationary(0.75), reward=rng.integers(0, 9, sizes).astype(float), transition=transition, leader=so.Menu([[0.0], [1.0]]),
        reward_population=-rng.integers(0, 9, (*sizes, S)).astype(float), reward_leader=rng.integers(-3, 4, (*sizes, 1)).astype(float),
        leader_reward=rng.integers(0, 9, sizes).astype(float), leader_reward_leader=rng.integers(-2, 3, (*sizes, 1)).astype(float),
    )  # fmt: skip


def agreement(kind: str, seed: int) -> str:
    """``"agrees"``, ``"DISAGREES"`` or ``"no proof"``."""
    if kind == "population":
        crowd = population(seed)
        proof: Any = prove_mean_field(crowd, seconds=SECONDS)
        known = float(so.solve(crowd, so.Enumeration()).value)
    elif kind == "boxes":
        one = game(kind, seed)
        proof = prove_boxes(one, so.solve(one, so.Exact(proof=False, time_limit=5.0)).candidate.leader_policy, seconds=SECONDS)
        rng = np.random.default_rng(seed)
        S, A, _ = one.shape
        known = max(float(commitment(one, rng.dirichlet(np.full(A, 0.5), S)).strong) for _ in range(200))
        if not isinstance(proof, str):
            return "agrees" if known <= float(proof.upper) + 1e-9 else "DISAGREES"
    else:
        one = game(kind, seed)
        proof = prove_game(one, "deterministic" if kind == "deterministic" else "randomised", seconds=SECONDS)
        if kind == "deterministic" and not isinstance(proof, str):
            return "agrees" if proof.lower == proof.upper == best_pure(one) else "DISAGREES"
        known = float(so.solve(one, so.Enumeration()).value) if kind == "randomised" else float(so.solve(one, so.Exact(proof=False)).value)
    if isinstance(proof, str):
        return "no proof"
    return "agrees" if abs(float(proof.lower) - known) <= 1e-6 * max(1.0, abs(known)) and proof.lower == proof.upper else "DISAGREES"


def lied(lie: str, kind: str, seed: int) -> str:
    """``"true"`` or ``"FALSE"`` if something was verified, else ``"no proof"``."""
    one, over = game(kind, seed), "deterministic" if kind == "deterministic" else "randomised"
    honest = prove_game(one, over, seconds=SECONDS)
    if isinstance(honest, str):
        return "no honest proof"
    problem = game_text(one)
    with lying(lie, np.random.default_rng([seed, LIES.index(lie)])):
        found = prove_game(one, over, seconds=SECONDS, problem=problem)
    if isinstance(found, str):
        return "no proof"
    return "true" if found.lower <= honest.lower <= found.upper else "FALSE"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", type=int, default=40, help="of each kind")
    parser.add_argument("--lies", type=int, default=6, help="games of each kind for each lie")
    options = parser.parse_args()
    for kind in ("deterministic", "randomised", "stagewise", "boxes", "population"):
        counted = Counter(agreement(kind, seed) for seed in range(options.games))
        sys.stdout.write(f"{kind:14} {', '.join(f'{count} {word}' for word, count in sorted(counted.items()))}\n")
        sys.stdout.flush()
    for lie in LIES:
        counted = Counter(lied(lie, kind, seed) for kind in ("deterministic", "randomised", "stagewise") for seed in range(options.lies))
        sys.stdout.write(f"{lie:30} {', '.join(f'{count} {word}' for word, count in sorted(counted.items()))}\n")
        sys.stdout.flush()
