"""Bounds on the values of a game as vectors of rationals that satisfy Bellman inequalities exactly  [D1, D3]."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from stackopt.reformulations.formulation import choices_of
from stackopt.reformulations.ranges import value_ranges

if TYPE_CHECKING:
    from stackopt.games.stackelberg import StackelbergGame
    from stackopt.proof.check_games import Game

#: Vectors are written in multiples of this much of the largest value.
GRID = Fraction(1, 10**7)


def bellman_vectors(game: StackelbergGame, exact: Game, *, pure: bool) -> dict[str, list[Fraction]]:
    """The four vectors that the checker asks for, [S] each, in units of the rewards.

    Ranges found in floats are rounded, then moved by the largest violation of their inequality over ``1 - discount``: for a
    monotone operator T with T(V + d) = TV + gamma d, ``TV <= V + e`` makes ``V + e / (1 - gamma)`` satisfy it.

    Parameters
    ----------
    game : StackelbergGame
    exact : Game
        The same in rationals.
    pure : bool
        Whether the leader picks one action in each state.
    """
    import numpy as np

    ranges = value_ranges(choices_of(game, np.eye(game.shape[1])), mixed=not pure)
    found = {
        "follower-lower": _moved(exact, "F", ranges.follower_lower.tolist(), -1, (lambda q: min(map(max, q))) if pure else (lambda q: max(map(min, zip(*q))))),
        "follower-upper": _moved(exact, "F", ranges.follower_upper.tolist(), 1, lambda q: max(map(max, q))),
        "leader-lower": _moved(exact, "L", ranges.leader_lower.tolist(), -1, lambda q: min(map(min, q))),
        "leader-upper": _moved(exact, "L", ranges.leader_upper.tolist(), 1, lambda q: max(map(max, q))),
    }
    return found


def _moved(exact: Game, who: str, near: list[float], side: int, operator: Callable[[list[list[Fraction]]], Fraction]) -> list[Fraction]:
    """The vector rounded to a grid and moved up (side 1) or down until it satisfies its inequality."""
    S, A, B = exact.size
    largest = max(1.0, *map(abs, near))
    grid = GRID * Fraction(10) ** len(str(int(largest)))
    value = [round(Fraction(v) / grid) * grid for v in near]
    after = [operator([[exact.q(who, value, s, a, b) for b in range(B)] for a in range(A)]) for s in range(S)]
    violation = max(Fraction(0), *(side * (new - old) for new, old in zip(after, value)))
    steps = -(-violation / (1 - exact.g[who]) // grid)  # rounded up
    return [v + side * steps * grid for v in value]
