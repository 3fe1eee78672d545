"""CVXPY expressions as arrays of polynomials of degree at most 2.

Whatever is affine is left to CVXPY: the derivative of an affine expression holds its coefficients exactly as CVXPY would hand
them to a solver. Only products are formed here, so a product of a leader's and a follower's variable, which CVXPY's rules of
convexity would refuse, is read like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.bilevel.draft import Key, Polynomial
from stackopt.bilevel.from_cvxpy_epigraphs import POWERS, exponent, shown
from stackopt.errors import InvalidProgram


@dataclass(frozen=True)
class Form:
    """An array of polynomials over C columns; entries in Fortran order, as CVXPY counts them.

    Attributes
    ----------
    constant : array [size]
    linear : sparse [size, C]
    quadratic : Products or None
    """

    constant: Any
    linear: Any
    quadratic: Products | None = None


@dataclass(frozen=True)
class Products:
    """Quadratic parts, over those products of two columns that occur.

    Attributes
    ----------
    pairs : int array [P]
        i * C + j, i <= j, for the product of columns i and j; increasing.
    matrix : sparse [size, P]
        Coefficients.
    """

    pairs: Any
    matrix: Any

    @classmethod
    def of(cls, entry: Any, i: Any, j: Any, values: Any, size: int, columns: int) -> Products:
        """From coefficients of columns i and j in an entry; repeated ones add up."""
        from scipy import sparse

        pairs, place = np.unique(np.minimum(i, j).astype(np.int64) * columns + np.maximum(i, j), return_inverse=True)
        return cls(pairs, sparse.csr_array(sparse.coo_array((values, (entry, place)), shape=(size, len(pairs)))))

    def mapped(self, part: Any) -> Products:
        """`part` [., size] times these."""
        return Products(self.pairs, part @ self.matrix)

    def __add__(self, other: Products) -> Products:
        pairs = np.union1d(self.pairs, other.pairs)
        return Products(pairs, self.over(pairs) + other.over(pairs))

    def over(self, pairs: Any) -> Any:
        """The coefficients [size, .] over more pairs."""
        from scipy import sparse

        found = self.matrix.tocoo()
        place = np.searchsorted(pairs, self.pairs)[found.coords[1]]
        return sparse.csr_array(sparse.coo_array((found.data, (found.coords[0], place)), shape=(self.matrix.shape[0], len(pairs))))


class Terms:
    """Reads rewritten expressions (`Rewriter`).

    Parameters
    ----------
    cp : module
        cvxpy
    variables : sequence of cvxpy Variable
        All that can occur; their entries are the columns.
    keys : sequence of Key
        What each column is called in the draft.
    """

    def __init__(self, cp: Any, variables: Sequence[Any], keys: Sequence[Key]) -> None:
        self.cp, self.keys = cp, tuple(keys)
        self.columns = len(self.keys)
        self._start: dict[int, int] = {}
        self._seen: dict[int, tuple[Any, Form]] = {}
        at = 0
        for variable in variables:
            self._start[variable.id] = at
            variable.save_value(np.zeros(variable.shape))
            at += variable.size

    def polynomials(self, expression: Any, where: str) -> list[Polynomial]:
        """One polynomial per entry, in Fortran order.

        Raises
        ------
        InvalidProgram
            If an entry is not a polynomial of degree at most 2; names the sub-expression.
        """
        try:
            form = self._form(expression)
        except _Nonlinear as found:
            raise InvalidProgram("nonlinear", where=f"{where} has `{shown(found.expression)}`") from None
        bodies = [Polynomial(float(value)) for value in form.constant]
        entries = form.linear.tocoo()
        for i, j, value in zip(*(c.tolist() for c in entries.coords), entries.data.tolist()):
            bodies[i].linear[self.keys[j]] = value
        if form.quadratic is not None:
            products = form.quadratic.matrix.tocoo()
            pairs = form.quadratic.pairs[products.coords[1]]
            for i, pair, value in zip(products.coords[0].tolist(), pairs.tolist(), products.data.tolist()):
                bodies[i].quadratic[self.keys[pair // self.columns], self.keys[pair % self.columns]] = value
        return bodies

    def _form(self, expression: Any) -> Form:
        if id(expression) not in self._seen:  # a sub-expression may be used many times
            self._seen[id(expression)] = (expression, self._formed(expression))
        return self._seen[id(expression)][1]

    def _formed(self, expression: Any) -> Form:
        cp, name = self.cp, type(expression).__name__
        if name in POWERS:
            return self._power(expression)
        if name == "quad_over_lin" and isinstance(expression.args[1], cp.Constant):
            return self._sum_of_squares(expression)
        if name == "QuadForm" and isinstance(expression.args[1], cp.Constant):
            vector = self._first_degree(expression.args[0], expression)
            weighted = self._mapped(lambda z: expression.args[1] @ z, [expression.args[0]], [vector])
            return self._inner(vector, weighted)
        if expression.is_affine():
            return self._affine(expression)
        if not isinstance(expression, cp.atoms.affine.affine_atom.AffAtom):
            raise _Nonlinear(expression)
        forms = [None if isinstance(arg, cp.Constant) else self._form(arg) for arg in expression.args]
        free = [form for form in forms if form is not None]
        moving = [arg for arg, form in zip(expression.args, forms) if form is not None]

        def again(*given: Any) -> Any:
            rest = iter(given)
            return expression.copy([arg if form is None else next(rest) for arg, form in zip(expression.args, forms)])

        if again(*[cp.Variable(arg.shape) for arg in moving]).is_affine():
            return self._mapped(again, moving, free)
        if name not in ("multiply", "MulExpression") or any(form.quadratic is not None for form in free):
            raise _Nonlinear(expression)
        one, two = expression.args
        if name == "multiply":
            if one.shape != two.shape:
                raise _Nonlinear(expression)
            return self._product(free[0], free[1])
        return self._matrix_product(expression, free)

    # --- degree 1 ------------------------------------------------------------------------------------------------

    def _affine(self, expression: Any) -> Form:
        from scipy import sparse

        parts = self._derivative(expression)
        found = sparse.csr_array((expression.size, self.columns))
        for variable, part in parts:
            found = found + _placed(part, self._start[variable.id], self.columns)
        return Form(self._at_zero(expression), found)

    def _mapped(self, function: Callable[..., Any], args: Sequence[Any], forms: Sequence[Form]) -> Form:
        """`function`, affine in all `args` together, applied to forms."""
        from scipy import sparse

        stand_ins = [self.cp.Variable(arg.shape) for arg in args]
        for variable in stand_ins:
            variable.save_value(np.zeros(variable.shape))
        expression = function(*stand_ins)
        constant = self._at_zero(expression)
        linear: Any = sparse.csr_array((expression.size, self.columns))
        quadratic = None
        order = {variable.id: form for variable, form in zip(stand_ins, forms)}
        for variable, part in self._derivative(expression):
            form = order[variable.id]
            constant = constant + part @ form.constant
            linear = linear + part @ form.linear
            if form.quadratic is not None:
                more = form.quadratic.mapped(part)
                quadratic = more if quadratic is None else quadratic + more
        return Form(constant, sparse.csr_array(linear), quadratic)

    def _derivative(self, expression: Any) -> list[tuple[Any, Any]]:
        """(variable, sparse [size of the expression, size of the variable]) of an affine expression."""
        from scipy import sparse

        if isinstance(expression, self.cp.Variable):
            return [(expression, sparse.eye_array(expression.size, format="csr"))]
        found = []
        try:
            gradient = expression.grad
        except NotImplementedError:
            raise _Nonlinear(expression) from None
        for variable, part in gradient.items():
            block = sparse.csr_array(part) if sparse.issparse(part) else sparse.csr_array(np.reshape(np.asarray(part, float), (variable.size, expression.size)))
            found.append((variable, sparse.csr_array(block.T)))
        return found

    def _at_zero(self, expression: Any) -> Any:
        value = expression.value
        dense = value.toarray() if hasattr(value, "toarray") else np.asarray(value, float)
        return np.reshape(dense, -1, order="F") + 0.0

    def _first_degree(self, arg: Any, whole: Any) -> Form:
        form = self._form(arg)
        if form.quadratic is not None:
            raise _Nonlinear(whole)
        return form

    # --- degree 2 ------------------------------------------------------------------------------------------------

    def _power(self, expression: Any) -> Form:
        if exponent(expression) != 2:
            raise _Nonlinear(expression)
        base = self._first_degree(expression.args[0], expression)
        return self._product(base, base)

    def _sum_of_squares(self, expression: Any) -> Form:
        base = self._first_degree(expression.args[0], expression)
        scale = 1.0 / float(np.asarray(expression.args[1].value).item())
        if getattr(expression, "axis", None) is None:
            total = self._inner(base, base)
            return Form(scale * total.constant, scale * total.linear, Products(total.quadratic.pairs, scale * total.quadratic.matrix))  # type: ignore[union-attr]
        squares = self._product(base, base)
        shape = expression.args[0]
        return self._mapped(lambda z: scale * self.cp.sum(z, axis=expression.axis, keepdims=expression.keepdims), [shape], [squares])

    def _inner(self, one: Form, two: Form) -> Form:
        """The sum of the products of all entries; size 1."""
        from scipy import sparse

        linear = sparse.csr_array(one.constant[None]) @ two.linear + sparse.csr_array(two.constant[None]) @ one.linear
        square = (one.linear.T @ two.linear).tocoo()
        i, j = square.coords
        products = Products.of(np.zeros(square.nnz, np.int64), i, j, square.data, 1, self.columns)
        return Form(np.array([one.constant @ two.constant]), sparse.csr_array(linear), products)

    def _matrix_product(self, expression: Any, forms: Sequence[Form]) -> Form:
        from scipy import sparse

        left, right = expression.args
        if left.ndim > 2 or right.ndim > 2:
            raise _Nonlinear(expression)
        shared = left.shape[-1]
        m, p = left.size // shared, right.size // shared
        found = []
        for j in range(p):
            for i in range(m):
                one, two = _taken(forms[0], i + m * np.arange(shared)), _taken(forms[1], np.arange(shared) + shared * j)
                found.append(self._inner(one, two))
        linear = sparse.csr_array(sparse.vstack([form.linear for form in found], format="csr"))
        each = [form.quadratic for form in found if form.quadratic is not None]
        pairs = np.unique(np.concatenate([products.pairs for products in each]))
        matrix = sparse.csr_array(sparse.vstack([products.over(pairs) for products in each], format="csr"))
        return Form(np.concatenate([form.constant for form in found]), linear, Products(pairs, matrix))

    def _product(self, one: Form, two: Form) -> Form:
        """Entry by entry."""
        from scipy import sparse

        linear = sparse.csr_array(one.linear * two.constant[:, None] + two.linear * one.constant[:, None])
        a, b = sparse.csr_array(one.linear), sparse.csr_array(two.linear)
        row = np.repeat(np.arange(a.shape[0]), np.diff(a.indptr))
        count = np.diff(b.indptr)[row]  # each entry of a meets every entry of b in its row
        first = np.repeat(np.arange(len(row)), count)
        second = np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(b.indptr[row], count)
        i, j = a.indices[first].astype(np.int64), b.indices[second].astype(np.int64)
        products = Products.of(row[first], i, j, a.data[first] * b.data[second], a.shape[0], self.columns)
        return Form(one.constant * two.constant, linear, products)


class _Nonlinear(Exception):
    """Carries the sub-expression that is not a polynomial of degree at most 2."""

    def __init__(self, expression: Any) -> None:
        super().__init__()
        self.expression = expression


def _taken(form: Form, entries: Any) -> Form:
    return Form(form.constant[entries], form.linear[entries])


def _placed(part: Any, start: int, columns: int) -> Any:
    """A block moved to its columns."""
    from scipy import sparse

    found = part.tocoo()
    return sparse.csr_array((found.data, (found.coords[0], found.coords[1] + start)), shape=(part.shape[0], columns))
