r"""How batteries are moved: max-ent control of the charge over a day that repeats, in the long-run average.

A move a in hour h under regime w is worth :math:`\rho(h,w,a)` at every charge level. With :math:`V_h(w,c)` the relative value and temperature :math:`\tau`,

.. math:: V_h(w,c)+\bar\rho_h=\tau\log\sum_a\exp\big((\rho(h,w,a)+\textstyle\sum_{w'}P_h(w'|w)V_{h+1}(w',c+a))/\tau\big),

found by policy iteration: sweep the day backward, write down what the day does to states (W C of them) exactly, solve. Derivatives of
averages go the other way round by adjoints: two sweeps, whatever the number of prices (theory C2 for average rewards).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.households import Battery

Array = NDArray[np.float64]

#: Relative change of values at which policy iteration stops, and its most rounds.
TOLERANCE, ROUNDS = 1e-12, 60
#: Chance a day of starting from anywhere, in the search for an optimum.
RESTARTS = 1e-7


@dataclass(frozen=True, eq=False)
class Control:
    """How the batteries of several types are moved.

    Attributes
    ----------
    policy : array [i, 24, w, c, a]
    occupancy : array [i, 24, w, c]
        Joint law of regime and charge, by hour.
    gain : array [i]
        Average worth of a day, with the entropy bonus, $.
    value : array [i, w, c]
        At midnight, up to a constant.
    day : array [i, w * c, w * c]
        What a day does to states.
    residual : float
        Largest change of the last sweep, up to a constant, relative.
    """

    policy: Array
    occupancy: Array
    gain: Array
    value: Array
    day: Array
    residual: float

    @property
    def moves(self) -> Array:
        """Joint shares of regime and move, by hour [i, 24, w, a]."""
        shares: Array = (self.occupancy[..., None] * self.policy).sum(3)
        return shares


class Charging:
    """The charge grid of one kind of battery, under one weather."""

    def __init__(self, battery: Battery, weather: Array) -> None:
        """`weather` [24, w, w]: chances from each hour to the next."""
        self.battery, self.weather = battery, weather
        self.levels, moves = battery.levels, battery.moves
        target = np.arange(self.levels)[:, None] + moves
        self.possible = (target >= 0) & (target < self.levels)  # [c, a]
        self.target = np.clip(target, 0, self.levels - 1)
        self.actions = len(moves)

    def control(self, worth: Array, temperature: float, start: Array | None = None) -> Control:
        """The soft-optimal control for worths [i, 24, w, a]; `start` [i, w, c] are values to begin from. Temperature 0: the optimum."""
        N, H, W, _ = worth.shape
        value = np.zeros((N, W, self.levels)) if start is None else start
        n, before, last = W * self.levels, np.inf, None
        for _ in range(ROUNDS):
            policy, earned, after = self._back(worth, temperature, value)
            moved = after - value
            spread = moved.max((1, 2)) - moved.min((1, 2))
            size = 1.0 + np.abs(after - after.mean((1, 2), keepdims=True)).max()
            residual = float(spread.max() / size)
            same = temperature == 0.0 and last is not None and np.array_equal(policy, last)
            if residual <= TOLERANCE or same or (temperature > 0.0 and not residual < before):
                break
            before, last = residual, policy
            day, reward = self._day(policy, earned)
            system = np.eye(n) - day + 1.0 / n  # the constant: relative values average to the gain
            if temperature == 0.0:  # without noise a day can keep to several sets of charges: rare restarts tell which is best
                system += RESTARTS * (day - 1.0 / n)
            value = np.linalg.solve(system, reward.reshape(N, n, 1)).reshape(N, W, self.levels)
        day, _ = self._day(policy, earned)
        law = stationary(day).reshape(N, W, self.levels)
        occupancy = np.empty((N, H, W, self.levels))
        for h in range(H):
            occupancy[:, h] = law
            law = self._push(law[..., None] * policy[:, h], h)
        gain = (occupancy * earned).sum((1, 2, 3))
        return Control(policy, occupancy, gain, value - value.mean((1, 2), keepdims=True), day, residual)

    def _back(self, worth: Array, temperature: float, value: Array) -> tuple[Array, Array, Array]:
        """A day backward: (policy [i, h, w, c, a], what it earns in each state [i, h, w, c], values at its beginning [i, w, c])."""
        N, H, W, A = worth.shape
        policy, earned = np.empty((N, H, W, self.levels, A)), np.empty((N, H, W, self.levels))
        for h in range(H - 1, -1, -1):
            q = worth[:, h, :, None, :] + (self.weather[h] @ value)[..., self.target]
            q = np.where(self.possible, q, -np.inf)
            top = q.max(-1, keepdims=True)
            if temperature > 0.0:
                weights = np.exp((q - top) / temperature)
                total = weights.sum(-1, keepdims=True)
                policy[:, h] = weights / total
                value = (top + temperature * np.log(total))[..., 0]
            else:
                best = q >= top - 1e-12
                policy[:, h] = best / best.sum(-1, keepdims=True)
                value = top[..., 0]
            y = policy[:, h]
            earned[:, h] = (y * worth[:, h, :, None, :]).sum(-1)
            if temperature > 0.0:
                earned[:, h] -= temperature * (y * np.log(np.where(y > 0, y, 1.0))).sum(-1)
        return policy, earned, value

    def _day(self, policy: Array, earned: Array) -> tuple[Array, Array]:
        """What a day does to states [i, n, n], and what it earns from each [i, w, c]."""
        N, H, W, C, _ = policy.shape
        basis = np.broadcast_to(np.eye(W * C).reshape(W, C, W * C), (N, W, C, W * C))
        reward = np.zeros((N, W, C))
        for h in range(H - 1, -1, -1):
            both = self._pull(np.concatenate([basis, reward[..., None]], -1), policy[:, h], h)
            basis, reward = both[..., :-1], both[..., -1] + earned[:, h]
        return basis.reshape(N, W * C, W * C), reward

    def _pull(self, values: Array, policy: Array, h: int) -> Array:
        """Expectations [i, w, c, j] under a policy [i, w, c, a] of values [i, w, c, j] of the next hour."""
        N, W, C, J = values.shape
        ahead = (self.weather[h] @ values.reshape(N, W, C * J)).reshape(N, W, C, J)
        total = np.zeros((N, W, C, J))
        for a in range(self.actions):
            total += policy[..., a, None] * ahead[:, :, self.target[:, a]]
        return total

    def _push(self, flow: Array, h: int) -> Array:
        """Mass [i, w, c] of the next hour, from flows [i, w, c, a]."""
        N, W, C, _ = flow.shape
        moved = np.zeros((N, W, C))
        for a, move in enumerate(self.battery.moves):
            low, high = max(0, -move), min(C, C - move)
            moved[:, :, low + move : high + move] += flow[:, :, low:high, a]
        pushed: Array = np.einsum("iwc,wv->ivc", moved, self.weather[h])
        return pushed

    def sensitivity(self, control: Control, temperature: float, payoff: Array) -> Array:
        r"""Derivatives of average payoffs in the worths of moves.

        Parameters
        ----------
        payoff : array [j, i, 24, w, a]
            What each of j payoffs earns by a move; their averages are sums of ``occupancy * policy * payoff``.

        Returns
        -------
        array [j, i, 24, w, a]
            :math:`\partial(\text{average}_j)/\partial\rho(h,w,a)`, by the response of the policy alone.
        """
        J, N, H, W, A = payoff.shape
        C, n = self.levels, W * self.levels
        policy, occupancy = control.policy, control.occupancy
        averages = (control.moves * payoff).sum((2, 3, 4)).T  # [i, j]
        by_state = np.ascontiguousarray(np.moveaxis(payoff, 0, -1))  # [i, h, w, a, j]

        def back(psi: Array, keep: bool) -> tuple[Array, list[Array]]:
            kept = []
            for h in range(H - 1, -1, -1):
                ahead = (self.weather[h] @ psi.reshape(N, W, C * J)).reshape(N, W, C, J)
                if keep:
                    kept.append(ahead)
                psi = np.einsum("iwca,iwaj->iwcj", policy[:, h], by_state[:, h]) - (averages / H)[:, None, None, :]
                for a in range(A):
                    psi += policy[:, h, :, :, a, None] * ahead[:, :, self.target[:, a]]
            return psi, kept

        once, _ = back(np.zeros((N, W, C, J)), False)
        law = occupancy[:, 0].reshape(N, 1, n)
        start: Array = np.asarray(np.linalg.solve(np.eye(n) - control.day + law, once.reshape(N, n, J)), float).reshape(N, W, C, J)
        _, ahead = back(start, True)
        ahead.reverse()
        gains = np.empty((N, H, W, C, A, J))
        for h in range(H):  # what a move gains over the policy, times its mass over the temperature
            q = by_state[:, h, :, None] + ahead[h][:, :, self.target]
            mean = np.einsum("iwca,iwcaj->iwcj", policy[:, h], q)
            gains[:, h] = (occupancy[:, h, :, :, None] * policy[:, h] / temperature)[..., None] * (q - mean[..., None, :])

        def forward(carried: Array, out: Array | None) -> Array:
            for h in range(H):
                flow = gains[:, h] + carried[..., None, :] * policy[:, h, ..., None]
                if out is not None:
                    out[:, h] = flow.sum(2)
                moved = np.zeros((N, W, C, J))
                for a, move in enumerate(self.battery.moves):
                    low, high = max(0, -move), min(C, C - move)
                    moved[:, :, low + move : high + move] += flow[:, :, low:high, a]
                carried = np.einsum("iwcj,wv->ivcj", moved, self.weather[h])
            return carried

        offset = forward(np.zeros((N, W, C, J)), None).reshape(N, n, J)
        back_day = np.swapaxes(control.day, 1, 2)
        system = np.eye(n) - back_day + np.ones((n, n)) / n
        carried: Array = np.asarray(np.linalg.solve(system, offset), float).reshape(N, W, C, J)  # of total mass 0
        out = np.empty((N, H, W, A, J))
        forward(carried, out)
        return np.moveaxis(out, -1, 0)


def stationary(day: Array) -> Array:
    """The law [i, n] that days [i, n, n] leave as it is; charges without traffic may be many, the law is of the chain from the middle."""
    n = day.shape[-1]
    u = np.full(n, 1.0 / n)
    system = np.eye(n) - day + np.outer(np.ones(n), u)
    try:
        law = np.linalg.solve(np.swapaxes(system, 1, 2), np.broadcast_to(u[:, None], (len(day), n, 1)))[..., 0]
    except np.linalg.LinAlgError:
        law = np.full((len(day), n), np.nan)
    off = ~(np.abs(np.einsum("in,inm->im", law, day) - law).sum(-1) <= 1e-9)
    if off.any():
        power = 0.5 * (np.eye(n) + day[off])
        for _ in range(50):
            power = power @ power
            power /= power.sum(-1, keepdims=True)
        law[off] = np.einsum("n,inm->im", u, power)
    law = np.maximum(law, 0.0)
    result: Array = law / law.sum(-1, keepdims=True)
    return result
