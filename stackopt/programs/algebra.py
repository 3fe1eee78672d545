"""Linear and quadratic expressions as a person writes them: ``3 flow + toll``, ``2 x*y - y^2``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from stackopt.display import number

#: More terms than this are counted, not shown.
SHOWN = 8


def terms(names: Sequence[str], linear: Any, quadratic: Any = None, constant: float = 0.0, *, most: int = SHOWN) -> str:
    """An expression in the symbols `names`.

    Parameters
    ----------
    names : sequence of str, [N]
    linear : array [N] or sparse row [1, N]
    quadratic : sparse [N, N], optional
        Upper triangle: the coefficient of each product, once.
    constant : float
    most : int
        Terms shown; the rest is counted.
    """
    parts = [*_linear(names, linear), *_quadratic(names, quadratic)]
    if constant or not parts:
        parts.append((constant, ""))
    shown, rest = (parts, 0) if len(parts) <= most else (parts[:most], len(parts) - most)
    text = ""
    for coefficient, symbol in shown:
        size = number(abs(coefficient))
        size = "" if size == "1" and symbol else size
        piece = " ".join(part for part in (size, symbol) if part)
        text += (" - " if coefficient < 0 else " + ") + piece if text else ("-" if coefficient < 0 else "") + piece
    return text + (f" + {rest} more terms" if rest else "")


def _linear(names: Sequence[str], linear: Any) -> Iterable[tuple[float, str]]:
    row = np.asarray(linear.toarray() if hasattr(linear, "toarray") else linear, float).ravel()
    return [(float(row[j]), names[int(j)]) for j in np.flatnonzero(row)]


def _quadratic(names: Sequence[str], quadratic: Any) -> Iterable[tuple[float, str]]:
    if quadratic is None:
        return []
    found = quadratic.tocoo()
    pairs = sorted(zip(found.coords[0].tolist(), found.coords[1].tolist(), found.data.tolist()))
    return [(value, f"{names[i]}^2" if i == j else f"{names[i]}*{names[j]}") for i, j, value in pairs if value]


def interval(lower: float, upper: float) -> str:
    """Bounds of a variable: ``in [0, 8]``, ``>= 0``, ``<= 3``, ``free``, ``= 2``."""
    if lower == upper:
        return f"= {number(lower)}"
    if np.isinf(lower):
        return "free" if np.isinf(upper) else f"<= {number(upper)}"
    return f">= {number(lower)}" if np.isinf(upper) else f"in [{number(lower)}, {number(upper)}]"


def relation(expression: str, lower: float, upper: float) -> str:
    """A row: ``2 flow - 7 toll <= 0``; ranges as ``1 <= x + y <= 3``."""
    lower, upper = lower + 0.0, upper + 0.0  # no -0
    if lower == upper:
        return f"{expression} = {number(lower)}"
    if np.isinf(lower):
        return f"{expression} <= {number(upper)}" if np.isfinite(upper) else f"{expression} free"
    return f"{expression} >= {number(lower)}" if np.isinf(upper) else f"{number(lower)} <= {expression} <= {number(upper)}"
