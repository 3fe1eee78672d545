"""`reformulate`: a bilevel program as one ordinary program, in the form that a reader or a solver wants."""

from __future__ import annotations

from collections.abc import Callable

from stackopt.bilevel.kkt import Kkt, kkt
from stackopt.bilevel.program import BilevelProgram
from stackopt.errors import InvalidMethod
from stackopt.reformulations.big_m import big_m
from stackopt.reformulations.indicator import indicator
from stackopt.reformulations.products import products
from stackopt.reformulations.reduction import Reduction
from stackopt.reformulations.sos1 import sos1
from stackopt.reformulations.strong_duality import strong_duality

#: Name of the form -> how it restates complementarity.
FORMS: dict[str, Callable[[Kkt], Reduction]] = {
    "big-m": big_m,
    "indicator": indicator,
    "products": products,
    "sos1": sos1,
    "strong-duality": strong_duality,
}


def reformulate(program: BilevelProgram, form: str = "sos1") -> Reduction:
    """The followers' optimality conditions in place of the followers, as one program that can be read, edited, written and solved elsewhere.

    Parameters
    ----------
    program : BilevelProgram
        With linear or convex quadratic followers.
    form : str
        How "a multiplier or its slack is zero" is said: ``"sos1"`` sets, ``"indicator"`` implications, ``"products"`` that are zero, ``"big-m"``
        with proved constants, or ``"strong-duality"``.

    Returns
    -------
    Reduction
        `target` prints as algebra, `write` makes LP and MPS files, `pyomo` and `cvxpy` models; `lift` and `embed` lead back and forth.

    Raises
    ------
    Refused
        ``kkt-form`` if a follower has no such conditions, ``big-m-unproven`` or ``strong-duality-form`` if the form is not exact here.
    InvalidMethod
        If there is no such form.

    Examples
    --------
    >>> import stackopt as so
    >>> from stackopt.reformulations.forms import reformulate
    >>> program = so.BilevelProgram.from_matrices(
    ...     leader_cost=([1.0], [1.0]), leader_bounds=(0, 10), follower_cost=[-1.0], follower_bounds=(0, None), follower_rows=([[1.0]], [[2.0]], [12.0])
    ... )
    >>> print(reformulate(program).target.algebra().splitlines()[0])
    min  x[0] + y[0]
    """
    if form not in FORMS:
        raise InvalidMethod("setting", name="form", law=f"one of {', '.join(FORMS)}", got=repr(form))
    return FORMS[form](kkt(program))
