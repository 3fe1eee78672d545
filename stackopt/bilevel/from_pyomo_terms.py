"""Variables, polynomials and rows of a Pyomo model, read with `pyomo.repn`."""

from __future__ import annotations

import importlib
import io
import math
from contextlib import AbstractContextManager
from typing import Any

from stackopt.bilevel.draft import Draft, Name, Polynomial
from stackopt.bilevel.multiplier_symbols import marked
from stackopt.errors import InvalidProgram


def silent() -> AbstractContextManager[Any]:
    """Pyomo logs a missing value before it raises; the error raised here says it once, with the row."""
    found: AbstractContextManager[Any] = importlib.import_module("pyomo.common.log").LoggingIntercept(io.StringIO(), "pyomo")
    return found


class Reader:
    """Reads one model into a draft.

    Parameters
    ----------
    draft : Draft
    model : pyomo ConcreteModel
    blocks : tuple of pyomo Blocks
        The followers.
    claimed : dict
        id of a variable to (follower, variable): owners given by hand.

    Attributes
    ----------
    names : dict of key to str
        Full name of each variable and follower row.
    fixed : dict
        Fixed variables that were met: id to (variable, value).
    duals : dict of key to key
        Each multiplier symbol and what it belongs to.
    """

    def __init__(self, draft: Draft, model: Any, blocks: tuple[Any, ...], claimed: dict[int, tuple[int, Any]]) -> None:
        self.draft, self.model, self.blocks, self.claimed = draft, model, blocks, claimed
        self.names: dict[Any, str] = {}
        self.fixed: dict[int, tuple[Any, float]] = {}
        self.duals: dict[Any, Any] = {}
        self._targets: list[tuple[Any, str]] = []
        self._places = {id(block): k for k, block in enumerate(blocks)}
        self._repn = importlib.import_module("pyomo.repn.standard_repn").generate_standard_repn

    def player(self, component: Any) -> int | None:
        """Whose block a component is declared in; None outside the model."""
        block = component.parent_block()
        while block is not None:
            if id(block) in self._places:
                return self._places[id(block)]
            if block is self.model:
                return -1
            block = block.parent_block()
        return None

    def name(self, component: Any, owner: int) -> Name:
        """A component's name inside its player's block, and its full name."""
        home = self.player(component)
        full = str(component.name)
        if owner < 0 or home != owner:
            return Name(full, full)
        return Name(str(component.getname(fully_qualified=True, relative_to=self.blocks[owner])), full)

    def variable(self, var: Any) -> None:
        """Add a variable, whoever owns it."""
        home = self.player(var)
        owner = self.claimed.get(id(var), (home, var))[0]
        if home is None or owner is None:
            raise _stranger(var, f"`{var.name}` is used")
        integer = bool(var.is_integer())
        if not integer and not var.is_continuous():
            raise InvalidProgram("variable-domain", where=f"`{var.name}` has domain {var.domain}", help="Reals, Integers or Binary, with bounds")
        try:
            lower, upper = var.bounds
        except ValueError as error:
            raise _unusable(error, f"bounds of `{var.name}`", var.lower, var.upper) from None
        self.names[id(var)] = str(var.name)
        self.draft.variable(id(var), self.name(var, owner), owner, _number(lower, -math.inf), _number(upper, math.inf), integer)

    def polynomial(self, expression: Any, where: str) -> Polynomial:
        """An expression as a polynomial of degree at most 2.

        Raises
        ------
        InvalidProgram
            If it is not one, or a value is missing, or a variable is not the model's.
        """
        try:
            self._note_fixed(expression, where)
            found = self._repn(expression, compute_values=True, quadratic=True)
        except ValueError as error:
            raise _unusable(error, where, expression) from None
        except AttributeError:  # a named Expression that holds None
            raise InvalidProgram("missing-value", where=f"{where}: a part of `{expression}` has no value") from None
        if found.nonlinear_expr is not None:
            raise InvalidProgram("nonlinear", where=f"{where} has `{_culprit(found.nonlinear_expr)}`")
        body = Polynomial(float(found.constant))
        for var, value in zip(found.linear_vars, found.linear_coefs):
            key = self._key(var, where)
            body.linear[key] = body.linear.get(key, 0.0) + float(value)
        for (one, two), value in zip(found.quadratic_vars, found.quadratic_coefs):
            pair = self._key(one, where), self._key(two, where)
            body.quadratic[pair] = body.quadratic.get(pair, 0.0) + float(value)
        return body

    def row(self, row: Any, owner: int) -> None:
        """Add a constraint; one without a bound restricts nothing and is left out, as Pyomo's writers do."""
        where = f"constraint `{row.name}`"
        try:
            lower, upper = row.lb, row.ub
        except ValueError as error:
            raise _unusable(error, where, row.lower, row.upper) from None
        if lower is None and upper is None:
            return
        if owner >= 0:
            self.names[id(row)] = str(row.name)
        body = self.polynomial(row.body, where)
        self.draft.row(id(row), self.name(row, owner), owner, body, _number(lower, -math.inf), _number(upper, math.inf))

    def check_multipliers(self) -> None:
        """Every `dual(...)` that was used must be of a follower's active row or variable."""
        for of, where in self._targets:
            owner = self.player(of) if id(of) not in self.claimed else self.claimed[id(of)][0]
            if id(of) in self.names and owner is not None and owner >= 0:
                continue
            reason = "is not in the model" if owner is None else "is the leader's" if owner < 0 else "is deactivated, fixed or without a bound"
            raise InvalidProgram("multiplier-place", where=f"{where} uses dual({of.name}), but `{of.name}` {reason}")

    def _key(self, var: Any, where: str) -> Any:
        if id(var) in self.draft.owner or id(var) in self.duals:
            return id(var)
        of = marked(var)
        if of is not None:
            self.duals[id(var)] = id(of)
            self._targets.append((of, where))
            self.draft.multiplier(id(var), id(of), str(var.name) if var.parent_block() is not None else "")
            return id(var)
        if self.player(var) is None:
            raise _stranger(var, f"{where} uses `{var.name}`")
        self.variable(var)  # declared in a deactivated block, but used
        return id(var)

    def _note_fixed(self, expression: Any, where: str) -> None:
        for var in importlib.import_module("pyomo.core.expr.visitor").identify_variables(expression, include_fixed=True):
            if var.fixed:
                if var.value is None:
                    raise InvalidProgram("missing-value", where=f"{where}: `{var.name}` is fixed without a value")
                self.fixed.setdefault(id(var), (var, float(var.value)))


def _stranger(var: Any, what: str) -> InvalidProgram:
    home = var.model()
    reason = f"belongs to model `{home.name}`" if home is not None and home is not var else "was never added to the model"
    return InvalidProgram("variable-owner", where=f"{what}, which {reason}", help=f"declare it: m.{var.local_name} = pyo.Var()")


def _number(value: Any, missing: float) -> float:
    return missing if value is None else float(value)


def _unusable(error: ValueError, where: str, *expressions: Any) -> InvalidProgram:
    """The error for the Param that has no value; without one, for what Pyomo objects to."""
    pyo = importlib.import_module("pyomo.environ")
    visitor = importlib.import_module("pyomo.core.expr.visitor")
    for param in (param for expression in expressions if expression is not None for param in visitor.identify_mutable_parameters(expression)):
        try:
            pyo.value(param)
        except ValueError:
            return InvalidProgram("missing-value", where=f"{where}: Param `{param.name}` has no value")
    return InvalidProgram("bilevel-data", law="numbers as coefficients, sides and bounds", where=f"{where}: {str(error).strip().splitlines()[0]}")


def _culprit(expression: Any) -> str:
    """The first term of a sum that is not polynomial, cut to a readable length."""
    terms = list(expression.args) if type(expression).__name__ == "SumExpression" else [expression]
    degree = [term.polynomial_degree() if hasattr(term, "polynomial_degree") else 0 for term in terms]
    text = str(next((t for t, d in zip(terms, degree) if d is None or d > 2), terms[0]))
    return text if len(text) <= 60 else text[:57] + "..."
