r"""Rows that say: the follower does at least as well as with a given answer, wherever that answer is feasible.

If :math:`\hat y` is a point of follower k's domain (its bounds and whole numbers), every bilevel feasible :math:`(x, y)` has

.. math:: f_k(x, y) \le f_k(x, \hat y) \quad\text{or}\quad \hat y \text{ breaks some row of follower } k \text{ at } x .

The rows below state this with the second case closed (a row broken or tight), so they cut off nothing that is bilevel feasible; where
a row takes whole values only, broken means by one at least.
Each switchable statement has a binary; at least one binary is 1. No constant is needed: statements are implications.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from stackopt.bilevel.point import Array
from stackopt.bilevel.program import BilevelProgram
from stackopt.programs.quadratic import Implication, QuadraticProgram, distinct
from stackopt.reformulations.first_order import widened


def value_cut(program: BilevelProgram, target: QuadraticProgram, k: int, answer: Array) -> QuadraticProgram:
    """`target` with the statement that follower `k` does at least as well as with `answer`.

    Parameters
    ----------
    program : BilevelProgram
    target : QuadraticProgram
        Its first n columns are the program's variables.
    k : int
    answer : array [n_k]
        Within the bounds of follower k's variables, whole where they must be.
    """
    n, level, mine = program.size, program.followers[k], program.owned(k)
    objective = level.objective
    own = (objective.linear[:n], objective.quadratic)
    other = _at(*own, mine, answer, n)
    sign = objective.sign
    better = _difference(own, other, n, sign)  # f(x, y) - f(x, answer), minimised
    statements = [(f"{level.name} does as well", *better)]
    for i, name in enumerate(level.rows.names):
        linear, form, constant = _at(level.rows.matrix[[i], :n].toarray()[0], level.rows.quadratic.get(i), mine, answer, n)
        if not linear.any() and form.nnz == 0:
            continue  # the same at every decision of the others, and kept: `answer` was feasible at one
        if np.isfinite(level.rows.upper[i]):  # broken or tight: upper - row <= 0
            statements.append((f"{name} broken above", -linear, -form, _past(program, linear, form, level.rows.upper[i] - constant)))
        if np.isfinite(level.rows.lower[i]):
            statements.append((f"{name} broken below", linear, form, _past(program, linear, form, constant - level.rows.lower[i])))
    return _one_of(target, statements)


def _past(program: BilevelProgram, linear: Array, form: Any, side: float) -> float:
    """The side that a broken row has reached: the next whole number, if the row takes whole values only."""
    used = np.flatnonzero(linear)
    whole = form.nnz == 0 and program.integer[used].all() and (linear[used] == np.round(linear[used])).all()
    return float(np.floor(side + 1e-9) + 1.0) if whole else side


def _one_of(target: QuadraticProgram, statements: list[tuple[str, Array, Any, float]]) -> QuadraticProgram:
    """At least one of the statements ``linear @ z + z'form z + constant <= 0`` holds."""
    from scipy import sparse

    n = len(statements[0][1])
    for name, linear, form, constant in statements:
        column = len(target.names)
        target = widened(target, [f"excess({name})"], -np.inf, 0.0 if len(statements) == 1 else np.inf)
        row = np.zeros(column + 1)
        row[:n], row[column] = linear, -1.0
        at = len(target.row_names)
        target = target.with_rows((distinct((*target.row_names, f"excess({name})"))[-1],), row[None], np.array([-constant]), np.array([-constant]))
        if form.nnz:
            found = form.tocoo()
            wide = sparse.csr_array((found.data, found.coords), shape=(column + 1, column + 1))
            target = replace(target, row_quadratic={**target.row_quadratic, at: wide})
    if len(statements) == 1:
        return target
    excess = np.arange(len(target.names) - len(statements), len(target.names))
    first = len(target.names)
    target = widened(target, [f"case({name})" for name, *_ in statements], 0.0, 1.0, integer=True)
    row = np.zeros(len(target.names))
    row[first:] = 1.0
    target = target.with_rows((distinct((*target.row_names, "one case"))[-1],), row[None], np.ones(1), np.array([np.inf]))
    cases = [
        Implication(f"case({name})", first + i, True, np.array([excess[i]]), np.ones(1), 0.0) for i, (name, *_) in enumerate(statements)
    ]
    return replace(target, implications=(*target.implications, *cases))


def _at(linear: Array, form: Any, mine: Any, answer: Array, n: int) -> tuple[Array, Any, float]:
    """A quadratic function of all n variables when `mine` are at `answer`: (linear, upper triangle, constant) in the others."""
    from scipy import sparse

    fixed = np.zeros(n)
    fixed[mine] = answer
    left = linear.copy()
    left[mine] = 0.0
    constant = float(linear[mine] @ answer)
    if form is None:
        return left, sparse.csr_array((n, n)), constant
    part = sparse.csr_array(form[:n][:, :n])
    cross = np.asarray((part + part.T) @ fixed, float)
    cross[mine] = 0.0
    constant += float(fixed @ (part @ fixed))
    keep = np.ones(n)
    keep[mine] = 0.0
    diagonal = sparse.dia_array((keep[None], [0]), shape=(n, n))
    others = sparse.csr_array(diagonal @ part @ diagonal)
    others.eliminate_zeros()
    return left + cross, others, constant


def _difference(first: tuple[Array, Any], second: tuple[Array, Any, float], n: int, sign: float) -> tuple[Array, Any, float]:
    from scipy import sparse

    form = sparse.csr_array((n, n)) if first[1] is None else sparse.csr_array(first[1][:n][:, :n])
    difference = sparse.csr_array(sign * (form - second[1]))
    difference.eliminate_zeros()
    return sign * (first[0] - second[0]), difference, -sign * second[2]
