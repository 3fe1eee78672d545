r"""Markov decision processes in rational arithmetic: policy iteration whose values, gaps and ties are exact.

Floats are read as the binary fractions they are. What rounding left of a distribution's sum is put on its largest entry,
so that rows sum to 1 exactly and denominators stay powers of two. Linear systems are solved by Bareiss' elimination on
integers, without a single rounding or common divisor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Row = list[Fraction]


def distribution(row: Any) -> Row:
    """A row of probabilities (floats or Fractions) as rationals that sum to 1."""
    exact = [Fraction(v) if isinstance(v, Fraction) else Fraction(float(v)) for v in row]
    largest = max(range(len(exact)), key=exact.__getitem__)
    exact[largest] += 1 - sum(exact)
    return exact


def simplest(row: Any, within: float = 1e-9) -> Row:
    """A distribution with the smallest denominators (of a few sizes) whose entries are `within` of those of `row`."""
    plain = [float(v) for v in row]
    for largest in (1, 12, 100, 1_000, 10_000, 1_000_000):
        found = [Fraction(v).limit_denominator(largest) for v in plain]
        if sum(found) == 1 and all(abs(float(f) - v) <= within for f, v in zip(found, plain)):
            return found
    return distribution(row)


def solve(matrix: Sequence[Row], right: Row) -> Row:
    """The solution of a regular square system, exactly (Bareiss: fraction-free elimination)."""
    n = len(right)
    rows: list[list[int]] = []
    for line, value in zip(matrix, right):
        scale = math.lcm(*(v.denominator for v in line), value.denominator)
        rows.append([int(v * scale) for v in (*line, value)])
    last = 1
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k]), None)
        if pivot is None:
            raise ZeroDivisionError("the matrix is singular")
        rows[k], rows[pivot] = rows[pivot], rows[k]
        above = rows[k]
        for i in range(k + 1, n):
            row, factor = rows[i], rows[i][k]
            for j in range(k + 1, n + 1):
                row[j] = (row[j] * above[k] - factor * above[j]) // last
            row[k] = 0
        last = above[k]
    determinant = last  # numerators over it are integers (Cramer)
    numerators = [0] * n
    for i in range(n - 1, -1, -1):
        row = rows[i]
        numerators[i] = (determinant * row[n] - sum(row[j] * numerators[j] for j in range(i + 1, n))) // row[i]
    return [Fraction(v, determinant) for v in numerators]


@dataclass(frozen=True, eq=False)
class Process:
    """A Markov decision process in rationals.

    Attributes
    ----------
    reward : list [S] of lists [B]
    kernel : list [S] of lists [B] of rows [S]
    discount : Fraction
    """

    reward: list[Row]
    kernel: list[list[Row]]
    discount: Fraction

    def value(self, policy: Sequence[Row]) -> Row:
        """The value of a policy, rows [B] of probabilities."""
        states = range(len(self.reward))
        matrix, right = [], []
        for s in states:
            used = [(p, b) for b, p in enumerate(policy[s]) if p]
            mixed = [sum((p * self.kernel[s][b][t] for p, b in used), Fraction(0)) for t in states]
            matrix.append([Fraction(s == t) - self.discount * mixed[t] for t in states])
            right.append(sum((p * self.reward[s][b] for p, b in used), Fraction(0)))
        return solve(matrix, right)

    def action_values(self, value: Row) -> list[Row]:
        """Q of a value."""
        return [
            [r + self.discount * sum((p * v for p, v in zip(row, value) if p), Fraction(0)) for r, row in zip(rewards, rows)]
            for rewards, rows in zip(self.reward, self.kernel)
        ]

    def optimum(self, start: Sequence[int], allowed: Sequence[Sequence[int]], *, minimise: bool = False) -> tuple[Row, list[Row]]:
        """The optimal value over the allowed actions and the action values there, by policy iteration from `start`.

        Exact: it ends when no allowed action improves at all, which proves the value; each step raises it, so it ends.
        """
        sign = -1 if minimise else 1
        chosen = list(start)
        while True:
            value = self.value([[Fraction(b == c) for b in range(len(rewards))] for rewards, c in zip(self.reward, chosen)])
            q = self.action_values(value)
            better = [max(allowed[s], key=lambda b, s=s: sign * q[s][b]) for s in range(len(chosen))]  # type: ignore[misc]
            improved = [b if sign * q[s][b] > sign * q[s][c] else c for s, (b, c) in enumerate(zip(better, chosen))]
            if improved == chosen:
                return value, q
            chosen = improved


def mixed(game_reward: Any, transition: Any, weights: Sequence[Row], discount: float, axis: int) -> Process:
    """The process one player faces when the other's policy is fixed.

    Parameters
    ----------
    game_reward : array [S, A, B]
        Of the deciding player.
    transition : array [S, A, B, S]
    weights : rows
        The other player's policy.
    discount : float
    axis : int
        Of the other player: 1 if it is the leader, 2 if the follower.
    """
    reward, kernel = [], []
    states = game_reward.shape[0]
    for s in range(states):
        own = game_reward.shape[3 - axis]
        used = [(p, i) for i, p in enumerate(weights[s]) if p]
        rewards, rows = [], []
        for b in range(own):
            at = [(p, (s, i, b) if axis == 1 else (s, b, i)) for p, i in used]
            rewards.append(sum((p * Fraction(float(game_reward[k])) for p, k in at), Fraction(0)))
            parts = [(p, distribution(transition[k])) for p, k in at]
            rows.append([sum((p * row[t] for p, row in parts), Fraction(0)) for t in range(states)])
        reward.append(rewards)
        kernel.append(rows)
    return Process(reward, kernel, Fraction(float(discount)))
