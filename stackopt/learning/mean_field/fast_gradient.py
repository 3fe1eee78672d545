r"""The leader's gradient over a large priced population, by the adjoint, at the price of a few linear solves  [C2].

At an equilibrium :math:`p=p(y,\theta)`, :math:`y=y(p)`, of a leader's value :math:`J(y,\theta)`,

.. math:: \nabla_\theta J=J_\theta+\Theta^\top\lambda,\qquad \lambda=y'^\top c,\quad c=J_y+M^\top\lambda,

where :math:`M,\Theta` are the derivatives of prices with respect to purchases and theta. :math:`y'^\top c` is one adjoint of the whole
population; the sample's feedback, kept from the equilibrium, preconditions, so that a few suffice whatever the number of parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.errors import InvalidGame
from stackopt.games.mean_field.chunked import PeriodicResponse
from stackopt.games.mean_field.priced import PricedPopulation, Prices
from stackopt.games.operators import Array
from stackopt.learning.mean_field.fast import PriceEquilibrium

#: The most adjoints of the whole population.
ADJOINTS = 40


@dataclass(frozen=True, eq=False)
class LeaderGradient:
    """The derivative of the leader's value with respect to its decision.

    Attributes
    ----------
    value : float
        J at the equilibrium.
    gradient : array [D]
    residual : float
        Of the adjoint equation, relative to its right-hand side.
    adjoints : int
        Of the whole population.
    converged : bool
        Whether the residual is below the tolerance and the equilibrium had converged.
    """

    value: float
    gradient: Array
    residual: float
    adjoints: int
    converged: bool


def leader_gradient(
    population: PricedPopulation,
    prices: Prices,
    equilibrium: PriceEquilibrium,
    objective: Callable[[Array, Array], Any],
    *,
    tolerance: float = 1e-7,
    compiled: bool | None = None,
    threads: int = 1,
) -> LeaderGradient:
    """The gradient of ``objective(y, theta)`` at an equilibrium found by `price_equilibrium`.

    Parameters
    ----------
    population, prices
        Those of the equilibrium.
    equilibrium : PriceEquilibrium
    objective : callable
        ``objective(y [T, L], theta [D])``, a number; it is differentiated by complex steps.
    tolerance : float
        Relative, of the adjoint equation.
    compiled, threads
        See `PeriodicResponse`.

    Raises
    ------
    InvalidGame
        ``callable-finite``: the objective is not finite there.
    """
    y, theta = equilibrium.response.bought, equilibrium.theta
    value, on_purchases, on_theta = _complex_steps(objective, y, theta)
    response = PeriodicResponse(population, equilibrium.temperature, compiled=compiled, threads=threads, tolerance=1e-2 * tolerance)
    system: Any = np.linalg.inv(np.eye(y.size) - equilibrium.feedback.T)

    def adjoint(payoff: Array) -> Array:
        return response.gradient(equilibrium.response, payoff.reshape(y.shape), scale=size).ravel()

    size = max(float(np.abs(on_purchases).max()), 1e-300)
    right = adjoint(on_purchases.ravel())

    def operator(x: Array) -> Array:
        return x - adjoint((np.swapaxes(prices.slope, -1, -2) @ x.reshape(*y.shape, 1))[..., 0])

    solved, residual, count = _refined(operator, right, system, tolerance)
    _, _, D = prices.shape
    gradient = on_theta + prices.leader.reshape(-1, D).T @ solved
    return LeaderGradient(value, gradient, residual, count + 1, residual <= tolerance and equilibrium.converged)


def _refined(operator: Callable[[Array], Array], right: Array, inverse: Any, tolerance: float) -> tuple[Array, float, int]:
    """Solve ``operator(x) = right`` by minimising the residual over all directions tried (GCR), each proposed by `inverse`."""
    norm = max(float(np.linalg.norm(right)), 1e-300)
    x, rest = np.zeros_like(right), right.copy()
    directions: list[tuple[Array, Array]] = []
    while float(np.linalg.norm(rest)) > tolerance * norm and len(directions) < ADJOINTS:
        step = inverse @ rest
        image = operator(step)
        for old, old_image in directions:
            share = float(old_image @ image)
            step, image = step - share * old, image - share * old_image
        length = float(np.linalg.norm(image))
        if not length > 1e-14 * norm:
            break
        step, image = step / length, image / length
        share = float(image @ rest)
        x, rest = x + share * step, rest - share * image
        directions.append((step, image))
    return x, float(np.linalg.norm(rest)) / norm, len(directions)


def _complex_steps(objective: Callable[[Array, Array], Any], y: Array, theta: Array) -> tuple[float, Array, Array]:
    """Value and derivatives with respect to y [T, L] and theta [D]."""
    value = float(np.real(objective(y, theta)))
    if not np.isfinite(value):
        raise InvalidGame("callable-finite", name="objective", where=f"theta = {theta.tolist()[:6]} gives {value}")
    step = 1e-30
    found = []
    for which, point in enumerate((y, theta)):
        slope = np.empty(point.size)
        for i in range(point.size):
            moved = point.astype(complex)
            moved.ravel()[i] += 1j * step
            slope[i] = np.imag(objective(*((moved, theta) if which == 0 else (y, moved)))) / step
        found.append(slope.reshape(point.shape))
    return value, found[0], found[1]
