"""`so.dual(constraint)`: a follower's multiplier as a symbol of the leader's model, Pyomo or CVXPY."""

from __future__ import annotations

import importlib
from typing import Any

from stackopt.errors import InvalidProgram

#: Attribute of such a symbol: the constraint or variable it belongs to.
OF = "stackopt_dual_of"


def dual(of: Any) -> Any:
    r"""The multiplier of a follower's constraint, or of the bounds of a follower's variable, as a symbol of the leader.

    :math:`\lambda = d(\text{the follower's optimal value, in its own sense}) / d(\text{right-hand side})`. It says what one more
    unit of the right-hand side adds to what the follower reports: a follower that minimises has :math:`\lambda \le 0` for a row
    :math:`\le` and :math:`\lambda \ge 0` for :math:`\ge`; one that maximises the reverse. Both sides of a range, and both bounds of a
    variable, move together. Right-hand sides are numbers: with variables on both sides, ``a <= b`` and ``b >= a`` are the row
    ``a - b <= 0``, which is how Pyomo and CVXPY store them, and ``a == b`` is ``a - b == 0``.

    Parameters
    ----------
    of : Pyomo Constraint or Var, CVXPY constraint or Variable
        Of a follower. An indexed Pyomo component gives a dict from index to symbol; a CVXPY one a symbol of its shape.

    Returns
    -------
    Pyomo Var, dict of them, or CVXPY Variable
        To be used in the leader's objective and constraints. It need not be added to the model; it is named ``dual(...)``, or as
        the component it is added as.

    Raises
    ------
    InvalidProgram
        If `of` is something else, or (when the program is made) not a follower's.

    Examples
    --------
    An investor is paid the market's price, the multiplier of its balance.

    >>> import pyomo.environ as pyo, stackopt as so
    >>> m = pyo.ConcreteModel(name="investment")
    >>> m.built = pyo.Var(bounds=(0, 250))
    >>> m.market = pyo.Block()
    >>> m.market.own = pyo.Var(bounds=(0, None))
    >>> m.market.rival = pyo.Var(bounds=(0, 150))
    >>> m.market.cost = pyo.Objective(expr=10 * m.market.own + 12 * m.market.rival)
    >>> m.market.balance = pyo.Constraint(expr=m.market.own + m.market.rival == 200)
    >>> m.market.limit = pyo.Constraint(expr=m.market.own <= m.built)
    >>> m.profit = pyo.Objective(expr=(so.dual(m.market.balance) - 10) * m.market.own - m.built, sense=pyo.maximize)
    >>> so.from_pyomo(m, follower=m.market).symbols
    ('built', 'own', 'rival', 'dual(balance)')
    """
    home = _home(of)
    if home == "pyomo":
        pyo = importlib.import_module("pyomo.environ")
        if getattr(of, "ctype", None) in (pyo.Constraint, pyo.Var):
            if of.is_indexed():
                return {index: dual(of[index]) for index in of}
            return _marked(_pyomo_symbol(pyo, of), of)
    if home == "cvxpy":
        cp = importlib.import_module("cvxpy")
        if isinstance(of, cp.Variable | cp.constraints.constraint.Constraint):
            what = of.name() if isinstance(of, cp.Variable) else str(of.id)
            return _marked(cp.Variable(of.shape, name=f"dual({what})"), of)
    raise InvalidProgram("multiplier-place", where=f"dual(...) of {_described(of)}", help="pass a constraint or a variable of a follower, in Pyomo or CVXPY")


def marked(symbol: Any) -> Any:
    """What a symbol made by `dual` belongs to; None for every other variable."""
    return getattr(symbol, OF, None)


def _marked(symbol: Any, of: Any) -> Any:
    setattr(symbol, OF, of)
    return symbol


def _pyomo_symbol(pyo: Any, of: Any) -> Any:
    symbol = pyo.Var(name=f"dual({of.name})")
    symbol.construct()
    return symbol


def _home(of: Any) -> str:
    return next((root for kind in type(of).__mro__ if (root := kind.__module__.split(".")[0]) in ("pyomo", "cvxpy")), "")


def _described(of: Any) -> str:
    return f"{type(of).__name__} {str(of)[:60]!r}"
