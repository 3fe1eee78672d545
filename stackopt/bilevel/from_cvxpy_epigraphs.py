"""CVXPY expressions rewritten: parameters as numbers, convex piecewise-linear atoms as variables of whoever wrote them.

An atom such as ``abs(y)`` becomes a variable t with rows t >= y and t >= -y. That changes no player's program where t is wanted
small: at an optimum t can be lowered to the atom's value, and the rows t >= ... then hold exactly when the original ones do. The
projection onto the user's variables, the optimal value and the multipliers of the user's rows stay the same. Whether t is wanted
small is checked where the rewritten expression is read (`Tightness`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stackopt.bilevel.draft import Polynomial
from stackopt.errors import InvalidProgram

#: Longer expressions are cut in names.
READABLE = 48
#: What CVXPY's versions call x**p.
POWERS = ("power", "Power", "PowerApprox")


@dataclass
class Epigraph:
    """A variable that stands for a convex atom (kind 1, wanted small) or a concave one (kind -1, wanted large).

    Attributes
    ----------
    variable : cvxpy Variable
    text : str
        The atom, as CVXPY prints it.
    kind : int
    lower, upper : array [shape]
        Bounds: constant pieces of a maximum or minimum.
    nonnegative : bool array [shape]
        Where the atom is known to be at least 0.
    """

    variable: Any
    text: str
    kind: int
    lower: Any
    upper: Any
    nonnegative: Any


@dataclass
class Rewriter:
    """Rewrites the expressions of one player.

    Parameters
    ----------
    cp : module
        cvxpy
    shadows : dict
        id of each variable to the plain variable that stands for it, shared by all players, so that the user's are never touched.

    Attributes
    ----------
    epigraphs : list of Epigraph
    rows : list of (text, expression, epigraph)
        expression <= 0 each.
    """

    cp: Any
    shadows: dict[int, Any]
    epigraphs: list[Epigraph] = field(default_factory=list)
    rows: list[tuple[str, Any, Epigraph]] = field(default_factory=list)
    _seen: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def __call__(self, expression: Any) -> Any:
        """The expression over shadows.

        Raises
        ------
        InvalidProgram
            If a parameter has no value.
        """
        if id(expression) not in self._seen:
            self._seen[id(expression)] = (expression, self._rewritten(expression))  # the original is kept so that its id stays its own
        return self._seen[id(expression)][1]

    def _rewritten(self, expression: Any) -> Any:
        cp = self.cp
        if isinstance(expression, cp.Variable):
            return self.shadows[expression.id]
        if isinstance(expression, cp.Parameter):
            if expression.value is None:
                raise InvalidProgram("missing-value", where=f"Parameter `{expression.name()}` has no value")
            return cp.Constant(expression.value)
        if isinstance(expression, cp.Constant):
            return expression
        args = [self(arg) for arg in expression.args]
        if all(isinstance(arg, cp.Constant) for arg in args):
            value = expression.copy(args).value
            if value is None:
                raise InvalidProgram("missing-value", where=f"`{shown(expression)}` has no value")
            return cp.Constant(value)
        if type(expression).__name__ in ("real", "conj") and args[0].is_real():
            return args[0]
        if type(expression).__name__ in POWERS and (power := exponent(expression)) in (0.0, 1.0):
            return args[0] if power else cp.Constant(np.ones(expression.shape))
        make = getattr(self, f"_{type(expression).__name__}", None) if type(expression).__module__.startswith("cvxpy.atoms.") else None
        return expression.copy(args) if make is None else make(expression, args)

    # --- atoms ---------------------------------------------------------------------------------------------------

    def _abs(self, atom: Any, args: list[Any]) -> Any:
        return self._bound(shown(atom), 1, atom.shape, [args[0], -args[0]], nonnegative=True)

    def _norm1(self, atom: Any, args: list[Any]) -> Any:
        sizes = self._bound(f"abs({shown(atom.args[0])})", 1, args[0].shape, [args[0], -args[0]], nonnegative=True)
        return self.cp.sum(sizes, axis=atom.axis, keepdims=atom.keepdims)

    def _norm_inf(self, atom: Any, args: list[Any]) -> Any:
        return self._bound(shown(atom), 1, atom.shape, [args[0], -args[0]], axis=atom.axis, nonnegative=True)

    def _max(self, atom: Any, args: list[Any]) -> Any:
        return self._bound(shown(atom), 1, atom.shape, args, axis=atom.axis)

    def _min(self, atom: Any, args: list[Any]) -> Any:
        return self._bound(shown(atom), -1, atom.shape, args, axis=atom.axis)

    def _maximum(self, atom: Any, args: list[Any]) -> Any:
        return self._bound(shown(atom), 1, atom.shape, args)

    def _minimum(self, atom: Any, args: list[Any]) -> Any:
        return self._bound(shown(atom), -1, atom.shape, args)

    def _sum_largest(self, atom: Any, args: list[Any]) -> Any:
        r"""k q + \sum (x - q)^+, the least over q; linear programming duality of the k largest."""
        if getattr(atom, "axis", None) is not None:
            return atom.copy(args)
        text, cp = shown(atom), self.cp
        level = cp.Variable(name=f"level of {text}")
        self.epigraphs.append(Epigraph(level, f"level of {text}", 0, np.array(-math.inf), np.array(math.inf), np.array(False)))
        excess = self._bound(f"excess in {text}", 1, args[0].shape, [args[0] - level, cp.Constant(0.0)])
        return atom.k * level + cp.sum(excess)

    def _bound(self, text: str, kind: int, shape: tuple[int, ...], pieces: list[Any], *, axis: Any = None, nonnegative: bool = False) -> Any:
        """A new variable beyond every piece; with `axis`, or a scalar for a larger piece, beyond every entry of it."""
        cp = self.cp
        low, high = np.full(shape, -math.inf), np.full(shape, math.inf)
        variable = cp.Variable(shape, name=text)
        made = Epigraph(variable, text, kind, low, high, np.full(shape, nonnegative))
        self.epigraphs.append(made)
        for piece in pieces:
            if isinstance(piece, cp.Constant) and axis is None and piece.size in (1, variable.size):
                value = np.asarray(piece.value, float).reshape(shape if piece.size == variable.size else ())
                made.lower, made.upper = (np.maximum(made.lower, value), made.upper) if kind > 0 else (made.lower, np.minimum(made.upper, value))
                made.nonnegative = made.nonnegative | ((value >= 0) & (kind > 0))
                continue
            spread = _spread(cp, variable, piece.shape, axis)
            self.rows.append((f"{text} {'>=' if kind > 0 else '<='} {shown(piece)}", kind * (piece - spread), made))
        return variable


def _spread(cp: Any, variable: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """The variable in the shape of a piece: repeated along the axis over which a maximum is taken."""
    if axis is None or variable.shape == shape:
        return variable
    if len(shape) == 1:
        return variable if variable.size == 1 and variable.shape == () else cp.reshape(variable, (), order="F")
    if len(shape) != 2 or not isinstance(axis, int | np.integer):
        where = f"`{variable.name()}` over axis {axis} of shape {shape}"
        raise InvalidProgram("nonlinear", where=where, help="take it over one axis of a matrix, or over everything")
    m, n = shape
    return np.ones((m, 1)) @ cp.reshape(variable, (1, n), order="F") if axis % 2 == 0 else cp.reshape(variable, (m, 1), order="F") @ np.ones((1, n))


def exponent(power: Any) -> float:
    """Of an atom of `POWERS`."""
    return float(np.asarray(getattr(power.p, "value", power.p)))


def shown(expression: Any) -> str:
    """An expression as its user wrote it, as far as CVXPY tells; long ones by their function alone."""
    text = plain(str(expression))
    return text if len(text) <= READABLE and text.isprintable() else f"{type(expression).__name__}(...)"


def plain(text: str) -> str:
    """CVXPY's printed form without what it inserts itself: default arguments and the repetition of scalars."""
    text = re.sub(r", (\d+), False\)", r", axis=\1)", re.sub(r", None, False\)", ")", text)).replace("Sum(", "sum(").replace("PowerApprox(", "power(")
    while (start := text.find("Promote(")) >= 0:
        depth, end, comma = 0, start + len("Promote"), -1
        for end in range(start + len("Promote"), len(text)):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            comma = end if depth == 1 and text[end : end + 3] == ", (" else comma  # the last one is before the shape
            if not depth:
                break
        if comma < 0:
            return text
        text = text[:start] + text[start + len("Promote(") : comma] + text[end + 1 :]
    return text


@dataclass
class Tightness:
    """Checks that the variable of every epigraph is wanted tight where it is used.

    Attributes
    ----------
    kind : dict of key to (int, str)
        Of each entry of an epigraph's variable: 1 convex, -1 concave, 0 free; and its text.
    sign : dict of key to int
        1 for what is known to be at least 0, -1 for at most 0.
    """

    kind: dict[Any, tuple[int, str]] = field(default_factory=dict)
    sign: dict[Any, int] = field(default_factory=dict)

    def check(self, body: Polynomial, direction: int, where: str, *, own: Any = None) -> None:
        """`direction` 1: the polynomial is minimised or has an upper limit; -1: maximised or a lower limit; `own` is exempt.

        A product with the variable counts as monotone where the sign of the other factor is known.

        Raises
        ------
        InvalidProgram
            If an optimum could leave a variable loose.
        """
        for key, value in body.linear.items():
            self._judge(key, direction * value, where, own)
        for (one, two), value in body.quadratic.items():
            if not value:
                continue
            for key, other in {(one, two), (two, one)}:
                sign = self.sign.get(other, 0)
                self._judge(key, direction * value * sign if sign else math.nan, where, own)

    def _judge(self, key: Any, push: float, where: str, own: Any) -> None:
        kind, text = self.kind.get(key, (0, ""))
        if kind and key[0] != own and not kind * push >= 0:
            raise InvalidProgram("piecewise", where=f"`{text}` in {where}")
