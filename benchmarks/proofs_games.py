"""What proofs of strong Stackelberg values cost: ``python -m benchmarks.proofs_games``.

Random games with rewards 0..10 and three successors of equal probability per row (boxes: all states but one). The search is `Exact`'s own without a proof;
a proof is emitted from its answer and checked by the standalone checker in the same run. Where pure policies are few, every pair of them is evaluated in
rationals as well, by code that shares nothing with the checker's lowering.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from fractions import Fraction

import numpy as np

import stackopt as so
from stackopt.games.rational import solve
from stackopt.proof.games import GameProof, prove_game

#: (leader, states, leader actions, follower actions, discount)
SIZES = (
    ("randomised", 4, 3, 3, 0.9), ("randomised", 6, 3, 3, 0.9), ("randomised", 6, 3, 3, 0.99), ("randomised", 8, 3, 3, 0.9), ("randomised", 8, 3, 3, 0.99),
    ("randomised", 10, 3, 3, 0.9), ("randomised", 12, 2, 2, 0.9), ("randomised", 16, 2, 2, 0.9),
    ("deterministic", 4, 2, 2, 0.9), ("deterministic", 5, 2, 2, 0.9), ("deterministic", 6, 2, 2, 0.9), ("deterministic", 4, 3, 3, 0.9),
    ("deterministic", 5, 3, 3, 0.9), ("deterministic", 6, 3, 3, 0.9), ("stagewise", 10, 3, 3, 0.9), ("stagewise", 1, 20, 20, 0.0),
    ("boxes", 2, 2, 2, 0.9), ("boxes", 3, 2, 2, 0.9), ("boxes", 3, 3, 3, 0.9), ("boxes", 4, 2, 2, 0.9), ("boxes", 4, 3, 3, 0.9),
)  # fmt: skip
#: Pairs of pure policies at most, for the enumeration.
PAIRS = 20_000


def game(leader: str, S: int, A: int, B: int, discount: float, seed: int) -> so.StackelbergGame:
    """A random game of the class that `leader` names; the follower of a stagewise one is myopic, the leader of one for boxes randomises and moves the state."""
    rng = np.random.default_rng([seed, S, A, B])
    rewards = rng.integers(0, 11, (2, S, A, B)).astype(float)
    transition = np.zeros((S, A, B, S))
    for s, a, b in np.ndindex(S, A, B):
        if a and leader == "randomised":
            transition[s, a, b] = transition[s, 0, b]
        else:
            reached = max(1, S - 1) if leader == "boxes" else min(3, S)  # of all states at once, no action would move anything
            transition[s, a, b, rng.choice(S, reached, replace=False)] = 1.0 / reached
    return so.StackelbergGame(*rewards, transition, leader_discount=discount, follower_discount=0.0 if leader == "stagewise" else discount)


def best_pure(game: so.StackelbergGame) -> Fraction:
    """The strong value over pure leader policies by every pair of pure policies in rationals; thirds are thirds."""
    S, A, B = game.shape
    rows = [[[[Fraction(v).limit_denominator(10) for v in row] for row in m] for m in array] for array in game.transition.tolist()]
    gamma = Fraction(str(game.discount))

    def value(reward: np.ndarray, x: tuple[int, ...], y: tuple[int, ...]) -> list[Fraction]:
        matrix = [[Fraction(s == t) - gamma * rows[s][x[s]][y[s]][t] for t in range(S)] for s in range(S)]
        return solve(matrix, [Fraction(int(reward[s, x[s], y[s]])) for s in range(S)])

    best = None
    for x in itertools.product(range(A), repeat=S):
        values = {y: value(game.follower_reward, x, y) for y in itertools.product(range(B), repeat=S)}
        top = [max(v[s] for v in values.values()) for s in range(S)]
        for y in (y for y, v in values.items() if v == top):
            worth = sum(value(game.leader_reward, x, y)) / S
            best = worth if best is None else max(best, worth)
    assert best is not None
    return best


def measure(leader: str, S: int, A: int, B: int, discount: float, seed: int, seconds: float) -> str:
    """One line of the table."""
    one = game(leader, S, A, B, discount, seed)
    over = "deterministic" if leader == "deterministic" else "randomised"
    begun = time.perf_counter()
    found = so.solve(one, so.Exact(leader=over, time_limit=seconds, proof=False))  # type: ignore[arg-type]
    searched = time.perf_counter() - begun
    if found.candidate is None:
        return f"{leader:13} {S:2}x{A}x{B} {discount:4}  {found.status}"
    proof = prove_game(one, over, response=found.candidate.follower_policy.argmax(-1), policy=found.candidate.leader_policy, seconds=seconds)
    head = f"{leader:13} {S:2}x{A}x{B} {discount:4}  {found.status:8} search {searched:6.2f} s"
    if not isinstance(proof, GameProof):
        return f"{head}  no proof: {proof}"
    took = proof.seconds
    emit = took["search"] + took["emit"]
    agrees = abs(float(proof.lower) - float(found.value)) <= 1e-6 * max(1.0, abs(float(proof.lower)))
    line = (
        f"{head}  emit {emit:6.2f} s  check {took['check']:6.2f} s  nodes {proof.nodes:6} of {B**S:6} patterns  {len(proof.text) / 1e3:8.1f} kB  "
        f"width {float(proof.upper - proof.lower):.2g}  {'agrees' if agrees else 'DISAGREES with the search'}"
    )
    if leader == "deterministic" and (A * B) ** S <= PAIRS:
        line += ", enumeration agrees" if best_pure(one) == proof.lower == proof.upper else ", DISAGREES WITH ENUMERATION"
    return line


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0, help="for the search, and again for the proof")
    parser.add_argument("--largest", type=float, default=math.inf, help="no games with more patterns of responses than this")
    parser.add_argument("--only", default="", help="randomised, deterministic, stagewise or boxes")
    options = parser.parse_args()
    for size in (size for size in SIZES if options.only in ("", size[0])):
        for number in range(options.seeds):
            if size[3] ** size[1] <= options.largest or size[0] == "stagewise":
                sys.stdout.write(measure(*size, number, options.seconds) + "\n")
                sys.stdout.flush()
