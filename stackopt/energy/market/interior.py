r"""Dispatch with a barrier of fixed weight, many networks at once, and how its prices move with loads, exactly.

Each hour and regime is a network of its own, all solved at once; :math:`\nu` is the weight, $/h:

.. math:: \min c(p)+\mathrm{voll}\,u+\mathrm{spill}\,w-\nu\sum\log(\text{distances to all limits}).

Its prices are smooth in the loads and tend to those of `dispatch` as the weight falls. With D the curvature of the cost in what buses produce,
summed to S at each bus, M that of the lines' limits and B the susceptance matrix, the KKT matrix gives the slopes,

.. math:: \begin{pmatrix}M&B^\top\\-B&S\end{pmatrix}\begin{pmatrix}d\theta\\dP\end{pmatrix}=\begin{pmatrix}0\\dN\end{pmatrix}.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.display import number
from stackopt.energy.market.network import Market
from stackopt.errors import StackoptError

Array = NDArray[np.float64]

#: Newton steps after which a market is given up, and how well its conditions must hold: prices relative to the value of lost load, MW, weight.
STEPS, ACCURACY = 200, 1e-11
#: What the conditions must hold to, in the same units, for prices to be given out at all.
ACCEPTED = 1e-8


@dataclass(frozen=True, eq=False)
class Cleared:
    """A market at the barrier's optimum. Axes: b markets solved at once, g generators, n buses, l lines.

    Attributes
    ----------
    price : array [b, n], $/MWh
    slope : array [b, n, n], $/MWh per MW
        Of the price at the first bus in the load at the second; symmetric.
    marginal : array [b, n], $/MWh
        Derivative of the cost itself, the barrier's term left out, in the load: the price up to an error that falls with the weight.
    generation : array [b, g], MW
    unserved, spilled : array [b, n], MW
    flow : array [b, l], MW
    residual : float
        How far the optimality conditions are from holding: the largest of a price's relative to voll, a balance's relative to the load
        and a complementarity's relative to the weight.
    steps : int
    """

    price: Array
    slope: Array
    marginal: Array
    generation: Array
    unserved: Array
    spilled: Array
    flow: Array
    residual: float
    steps: int


@dataclass(frozen=True, eq=False)
class Answer:
    """How loads answer to prices, all hours and regimes together: ``jacobian @ (price - reference)`` MW at the buses `at`.

    Parameters
    ----------
    at : int array [k]
    jacobian : array [k * b, k * b], MW per $/MWh
    reference : array [k, b], $/MWh
    """

    at: NDArray[np.int64]
    jacobian: Array
    reference: Array

    def change(self, price: Array) -> Array:
        """MW [b, n]."""
        found = np.zeros_like(price)
        moved = (self.jacobian @ (price[:, self.at].T - self.reference).ravel()).reshape(self.reference.shape)
        found[:, self.at] = moved.T
        return found

    def solve(self, system: Array, right: Array, angles: int) -> Array:
        """Newton steps [b, angles + n] of the networks when their loads move with their prices."""
        B, k = len(system), len(self.at)
        sides = np.zeros((B, system.shape[1], k + 1))
        sides[..., 0] = right
        sides[:, angles + self.at, 1 + np.arange(k)] = 1.0
        alone = np.linalg.solve(system, sides)
        slope = alone[:, angles + self.at, 1:]  # [b, k, k]
        # one equation for all prices: dP - slope J dP = dP of networks alone
        coupled = np.einsum("bnm,mbx->nbx", slope, self.jacobian.reshape(k, B, -1)).reshape(k * B, k * B)
        dprice = np.linalg.solve(np.eye(k * B) - coupled, alone[:, angles + self.at, 0].T.ravel())
        dload = (self.jacobian @ dprice).reshape(k, B)
        found: Array = alone[..., 0] + np.einsum("bxk,kb->bx", alone[..., 1:], dload)
        return found


class Barrier:
    """The market as boxes: what buses take in (plants, load not served, surplus) and what lines carry, with its Newton system.

    Load is shed only at buses where there can be some: elsewhere it would be energy from nowhere, which relieves lines.
    """

    def __init__(self, market: Market, weight: float, loaded: NDArray[np.bool_] | None = None) -> None:
        self.market, self.weight = market, weight
        N, G = len(market.buses), len(market.generators)
        self.N, self.G = N, G
        everyone = np.arange(N)
        self.bus = np.concatenate([market.bus_of("generators"), everyone, everyone])
        self.sign = np.concatenate([np.ones(G + N), -np.ones(N)])
        voll, spill = float(market.voll or 0.0), float(market.spill or 0.0)
        self.voll = voll
        self.linear = np.concatenate([market.column("generators", "linear"), np.full(N, voll), np.full(N, spill)])
        self.curved = np.concatenate([2.0 * market.column("generators", "quadratic"), np.zeros(2 * N)])
        least, most = market.column("generators", "minimum"), market.column("generators", "capacity")
        self.fixed = most - least <= 1e-9 * np.maximum(1.0, np.abs(most))  # nothing to decide: a load with another sign
        self.low = np.concatenate([least, np.zeros(2 * N)])
        self.high = np.concatenate([most, np.full(2 * N, np.inf)])
        shed = np.ones(N, bool) if loaded is None else loaded
        keep = np.concatenate([~self.fixed, shed, np.ones(N, bool)])
        self.plants = int((~self.fixed).sum())
        self.kept = np.flatnonzero(keep)
        self.given = np.zeros(N)
        np.add.at(self.given, market.bus_of("generators")[self.fixed], most[self.fixed])
        for what in ("bus", "sign", "linear", "curved", "low", "high"):
            setattr(self, what, getattr(self, what)[keep])
        incidence = np.zeros((len(market.lines), N))
        incidence[np.arange(len(market.lines)), market.bus_of("lines", "start")] += 1.0
        incidence[np.arange(len(market.lines)), market.bus_of("lines", "end")] -= 1.0
        flows = (market.susceptance / market.base)[:, None] * incidence
        self.shifted = market.susceptance * market.column("lines", "shift")
        self.given += incidence.T @ self.shifted
        reference = {island[0] for island in market.islands}
        angles = [n for n in range(N) if n not in reference]
        self.flows = flows[:, angles]
        self.outflow = incidence.T @ self.flows  # [n, angles]
        self.capacity = market.column("lines", "capacity")
        self.limited = np.isfinite(self.capacity)
        self.free = self.flows[self.limited]
        self.line_low = self.shifted[self.limited] - self.capacity[self.limited]
        self.line_high = self.shifted[self.limited] + self.capacity[self.limited]
        self.limits = len(self.low) + int(np.isfinite(self.high).sum()) + 2 * int(self.limited.sum())
        self.place = np.zeros((N, len(self.bus)))
        self.place[self.bus, np.arange(len(self.bus))] = self.sign

    def solve(self, load: Array, answer: Answer | None = None) -> Cleared:
        """Optima at loads [b, n], or at those that answer to the prices; raises StackoptError ``market-failed`` where the conditions do not hold."""
        given = need = load - self.given
        scale = np.maximum(1.0, np.abs(need).max())
        B = len(need)
        x = np.where(np.isfinite(self.high), 0.5 * (self.low + np.where(np.isfinite(self.high), self.high, 0.0)), self.low + 0.1 * scale)
        x = np.repeat(x[None], B, 0)
        angle = np.zeros((B, self.outflow.shape[1]))
        price = np.full((B, self.N), float(np.median(self.linear[: max(self.plants, 1)])))
        # distances to sides and their multipliers: columns of x from below and above, lines from below and above
        bounded = np.isfinite(self.high)
        sides = _Sides(np.concatenate([self.low, -self.high[bounded], self.line_low, -self.line_high]), len(x[0]), bounded, self.free)
        wide = np.maximum(0.5 * (self.line_high - self.line_low), 1.0)
        slack = sides.of(x, angle)
        slack[:, sides.lines] = np.concatenate([wide, wide])[None]  # angles of 0 may break a limit that a shifter moved: distances start apart
        mu = max(self.weight, 0.01 * self.voll * scale)
        dual = mu / slack
        best = np.inf
        for step in range(STEPS + 1):
            if answer is not None:
                need = given + answer.change(price)
            rx = self.linear + self.curved * x - price[:, self.bus] * self.sign - sides.pull_x(dual)
            ra = price @ self.outflow - sides.pull_angle(dual)
            rb = need - (x @ self.place.T - angle @ self.outflow.T)
            rs = sides.of(x, angle) - slack
            short = max(np.abs(rx).max(initial=0.0), np.abs(ra).max(initial=0.0) / max(np.abs(self.outflow).max(initial=0.0), 1.0)) / self.voll
            short = max(short, np.abs(rb).max() / scale, np.abs(rs).max(initial=0.0) / scale)
            apart = float(np.abs(dual * slack / self.weight - 1.0).max(initial=0.0))
            residual = max(float(short), apart)
            best = min(best, residual)
            if residual <= ACCURACY or step == STEPS or (residual <= ACCEPTED and residual > 2.0 * best) or not np.isfinite(residual):
                break
            average = (dual * slack).mean(1, keepdims=True)
            target = np.maximum(self.weight, np.where(short <= 0.1, 0.1, 0.5) * average)
            stiff = dual / slack
            push = (target - dual * slack) / slack - stiff * rs  # change of multipliers apart from what moves of the point do
            D = self.curved + sides.curve_x(stiff)
            system = self._system(D, sides.curve_angle(stiff))
            r1, r2 = -rx + sides.pull_x(push), -ra + sides.pull_angle(push)
            right = np.concatenate([r2, rb - (r1 / D) @ self.place.T], 1)
            moved = np.linalg.solve(system, right[..., None])[..., 0] if answer is None else answer.solve(system, right, angle.shape[1])
            dangle, dprice = moved[:, : angle.shape[1]], moved[:, angle.shape[1] :]
            dx = (r1 + dprice[:, self.bus] * self.sign) / D
            dslack = sides.move(dx, dangle) + rs
            ddual = (target - dual * slack - dual * dslack) / slack
            length = np.minimum(_reach(slack, dslack), _reach(dual, ddual))[:, None]
            length = length if answer is None else length.min(keepdims=True)
            x, angle, price = x + length * dx, angle + length * dangle, price + length * dprice
            slack, dual = slack + length * dslack, dual + length * ddual
        if not residual <= ACCEPTED:
            raise StackoptError("market-failed", got=f"optimality conditions hold to {number(residual, 2)} after {step} steps of the interior point")
        D = self.curved + sides.curve_x(dual / slack)
        system = self._system(D, sides.curve_angle(dual / slack))
        right = np.zeros((self.N + angle.shape[1], self.N))
        right[angle.shape[1] :] = np.eye(self.N)
        slope = np.linalg.solve(system, np.broadcast_to(right, (B, *right.shape)))[:, angle.shape[1] :]
        slope = 0.5 * (slope + slope.transpose(0, 2, 1))
        moved = (self.sign / D)[..., None] * slope[:, self.bus]  # of x in the loads
        marginal = np.einsum("bx,bxn->bn", self.linear + self.curved * x, moved)
        every = np.repeat(np.concatenate([self.market.column("generators", "capacity"), np.zeros(2 * self.N)])[None], B, 0)
        every[:, self.kept] = x
        G, N = self.G, self.N
        return Cleared(price, slope, marginal, every[:, :G], every[:, G : G + N], every[:, G + N :], angle @ self.flows.T - self.shifted, residual, step)

    def _system(self, D: Array, lines: Array) -> Array:
        B, A = len(D), self.outflow.shape[1]
        system = np.zeros((B, A + self.N, A + self.N))
        system[:, :A, :A] = lines
        system[:, :A, A:] = self.outflow.T
        system[:, A:, :A] = -self.outflow
        at = np.arange(self.N)
        system[:, A + at, A + at] = (1.0 / D) @ np.abs(self.place).T
        return system


class _Sides:
    """Every one-sided limit: distances, and how multipliers pull at the point."""

    def __init__(self, limits: Array, n: int, bounded: NDArray[np.bool_], lines: Array) -> None:
        self.limits, self.n, self.bounded, self.flows = limits, n, bounded, lines
        self.upper, self.count = int(bounded.sum()), len(lines)
        self.lines = slice(n + self.upper, n + self.upper + 2 * self.count)

    def move(self, x: Array, angle: Array) -> Array:
        """Changes of distances."""
        flow = angle @ self.flows.T
        return np.concatenate([x, -x[:, self.bounded], flow, -flow], 1)

    def of(self, x: Array, angle: Array) -> Array:
        """Distances."""
        return self.move(x, angle) - self.limits

    def pull_x(self, dual: Array) -> Array:
        found = dual[:, : self.n].copy()
        found[:, self.bounded] -= dual[:, self.n : self.n + self.upper]
        return found

    def pull_angle(self, dual: Array) -> Array:
        both = dual[:, self.lines]
        found: Array = (both[:, : self.count] - both[:, self.count :]) @ self.flows
        return found

    def curve_x(self, stiff: Array) -> Array:
        found = stiff[:, : self.n].copy()
        found[:, self.bounded] += stiff[:, self.n : self.n + self.upper]
        return found

    def curve_angle(self, stiff: Array) -> Array:
        both = stiff[:, self.lines]
        found: Array = np.einsum("li,bl,lj->bij", self.flows, both[:, : self.count] + both[:, self.count :], self.flows)
        return found


def _reach(value: Array, change: Array) -> Array:
    """The longest step [b], at most 1, that keeps everything positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(change < 0, -0.995 * value / change, 1.0)
    return np.asarray(np.minimum(found.min(1, initial=1.0), 1.0))
