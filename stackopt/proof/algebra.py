"""Linear equations in rational arithmetic, solved near a floating-point guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import gcd, lcm

from stackopt.proof.check import Row

#: Elimination stops when integers grow beyond so many bits: the proof would be too long to be of use.
BITS = 10_000


def solve_near(equations: Sequence[tuple[Row, Fraction]], guess: Mapping[int, float], digits: int) -> Row | None:
    """A rational solution of the equations close to a guess.

    Gauss-Jordan elimination on integers; each equation is solved for the unknown that the guess makes largest, since unknowns
    that are zero should stay so. Unknowns that no equation determines are rounded to `digits` digits.

    Parameters
    ----------
    equations : sequence of (coefficients, right-hand side)
    guess : mapping of unknown to float
        Every unknown; coefficients of others are ignored (they are zero).
    digits : int

    Returns
    -------
    dict or None
        None if the equations contradict each other, or integers grow beyond `BITS`.
    """
    rows = [_whole({j: a for j, a in coef.items() if j in guess and a}, b) for coef, b in equations]
    done = list[tuple[int, dict[int, int]]]()
    waiting = sorted(rows, key=len)
    while waiting:
        row = waiting.pop(0)
        pivot = max((j for j in row if j >= 0), key=lambda j: abs(guess[j]), default=None)
        if pivot is None:
            if row:
                return None
            continue
        if max(abs(a) for a in row.values()).bit_length() > BITS:
            return None
        waiting = [_without(other, pivot, row) if pivot in other else other for other in waiting]
        done = [(p, _without(other, pivot, row) if pivot in other else other) for p, other in done]
        done.append((pivot, row))
        waiting.sort(key=len)
    pivots = {p for p, _ in done}
    found = {j: rounded(x, digits) for j, x in guess.items() if j not in pivots}
    for pivot, row in done:
        rest = sum((a * found[j] for j, a in row.items() if j not in (pivot, RHS) and j in found), Fraction(0))
        found[pivot] = (row.get(RHS, 0) - rest) / row[pivot]
    return found


#: The key of the right-hand side in a row of integers.
RHS = -1


def rounded(x: float, digits: int) -> Fraction:
    """x to so many decimal digits, relative to its size beyond 1."""
    return Fraction(round(Fraction(x) * 10**digits), 10**digits)


def _whole(coef: Row, b: Fraction) -> dict[int, int]:
    """An equation in integers without common divisor."""
    scale = lcm(b.denominator, *(a.denominator for a in coef.values()))
    row = {j: int(a * scale) for j, a in coef.items()}
    if b:
        row[RHS] = int(b * scale)
    return _reduced(row)


def _without(row: dict[int, int], pivot: int, by: dict[int, int]) -> dict[int, int]:
    """`row` with the unknown `pivot` eliminated by another equation."""
    common = gcd(row[pivot], by[pivot])
    first, second = by[pivot] // common, row[pivot] // common
    found = {j: first * a for j, a in row.items()}
    for j, a in by.items():
        found[j] = found.get(j, 0) - second * a
    return _reduced({j: a for j, a in found.items() if a})


def _reduced(row: dict[int, int]) -> dict[int, int]:
    divisor = gcd(*row.values()) if row else 1
    return {j: a // divisor for j, a in row.items()} if divisor > 1 else row
