r"""How batteries are moved: max-ent control of the charge over a day that repeats, in the long-run average.

A move a in hour h under regime w is worth :math:`\rho(h,w,a)` at every charge level. With :math:`V_h(w,c)` the relative value and temperature :math:`\tau`,

.. math:: V_h(w,c)+\bar\rho_h=\tau\log\sum_a\exp\big((\rho(h,w,a)+\textstyle\sum_{w'}P_h(w'|w)V_{h+1}(w',c+a))/\tau\big),

found by policy iteration: sweep the day backward, write down what the day does to states (W C of them) exactly, solve. Where weather
changes at midnight only, a day is linear in :math:`\exp(V/\tau)` (Todorov): one sweep serves all the rounds that follow, exactly, since for other values
:math:`V'` at its end a day that takes charges from c to c' with chances :math:`T` is worth :math:`V_0+\tau\log T\exp((PV'-PV)/\tau)`.
Derivatives of averages go the other way round by adjoints: two sweeps, whatever the number of prices (theory C2 for average rewards).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from stackopt.energy.households import Battery

Array = NDArray[np.float64]

#: Relative change of values at which policy iteration stops, and its most rounds.
TOLERANCE, ROUNDS = 1e-12, 60
#: Relative change of values up to which they count as settled, where rounding keeps them from more.
SETTLED = 1e-9
#: The same for optima without noise, which restarts keep from more.
SETTLED_SHARP = 1e-6
#: Chance a day of starting from anywhere, in the search for an optimum.
RESTARTS = 1e-7
#: Sums of odds below which a sweep takes logarithms first: nothing that counts may underflow.
SMALL = 1e-200


@dataclass(frozen=True, eq=False)
class Control:
    """How the batteries of several types are moved. Policies are made again from the values when they are asked for: they are large.

    Attributes
    ----------
    charging : Charging
    worth : array [i, 24, w, a]
        Of moves.
    temperature : float
    moves : array [i, 24, w, a]
        Joint shares of regime and move, by hour.
    gain : array [i]
        Average worth of a day, with the entropy bonus, $.
    value : array [i, w, c]
        At midnight, up to a constant.
    residual : float
        Largest change of the last sweep, up to a constant, relative: above `SETTLED` this is no optimum (at temperature 0, above `SETTLED_SHARP`).
    highest : array [i]
        Largest rise of `value` in a day, $: at temperature 0 no way to move the battery earns more, settled or not.
    """

    charging: Charging
    worth: Array
    temperature: float
    moves: Array
    gain: Array
    value: Array
    residual: float
    highest: Array

    @property
    def policy(self) -> Array:
        """Chances of moves [i, 24, w, c, a]."""
        return np.ascontiguousarray(np.moveaxis(self.charging.sweep(self.worth, self.temperature, self.value)[0], (2, 0, 1), (0, 1, 4)))

    @property
    def day(self) -> Array:
        """What a day does to states [i, w * c, w * c]."""
        charging = self.charging
        return charging.over_night(charging.product(charging.steps(self.policy)))

    @property
    def occupancy(self) -> Array:
        """Joint law of regime and charge, by hour [i, 24, w, c]."""
        return self.charging.occupancy(self.charging.steps(self.policy), self.day)


class Charging:
    """The charge grid of one kind of battery, under one weather."""

    def __init__(self, battery: Battery, weather: Array) -> None:
        """`weather` [24, w, w]: chances from each hour to the next."""
        self.battery, self.weather = battery, weather
        self.levels, moves = battery.levels, battery.moves
        self.reach, self.actions = int(moves[-1]), len(moves)
        target = np.arange(self.levels)[:, None] + moves
        self.possible = (target >= 0) & (target < self.levels)  # [c, a]
        self.target = np.clip(target, 0, self.levels - 1)
        self.calm = [bool(np.array_equal(p, np.eye(len(p)))) for p in weather]  # hours after which the weather stays
        self.daily = all(self.calm[:-1])

    def control(self, worth: Array, temperature: float, start: Array | None = None) -> Control:
        """The soft-optimal control for worths [i, 24, w, a]; `start` [i, w, c] are values to begin from. Temperature 0: the optimum."""
        found = self._iterate(worth, temperature, start)
        if start is not None and temperature > 0.0 and not found.residual <= SETTLED:
            # Values that suit another temperature may keep a day to several sets of charges, and then steps lead nowhere; those of nothing do not.
            found = min(found, self._iterate(worth, temperature, None), key=lambda each: each.residual)
        return found

    def _iterate(self, worth: Array, temperature: float, start: Array | None) -> Control:
        """Policy iteration, for a day at once, from values `start`, of nothing by default."""
        N, _, W, _ = worth.shape
        n, before = W * self.levels, np.inf
        last: Array | None = None
        day: Array | None = None
        value = np.zeros((N, W, self.levels)) if start is None else start
        for _ in range(ROUNDS):
            policy, after = self.sweep(worth, temperature, value)
            rise = after - value
            residual = _residual(rise, after)
            same = temperature == 0.0 and last is not None and np.array_equal(policy, last)
            if day is not None and (residual <= TOLERANCE or same or (temperature > 0.0 and SETTLED >= residual >= before)):
                break
            before, last = residual, policy
            product = self.product(self.steps(np.moveaxis(policy, (2, 0, 1), (0, 1, 4))))
            if temperature > 0.0 and self.daily:
                value, day = self._settle(product, after, value, temperature)
                continue
            day = self.over_night(product)
            system = np.eye(n) - day + 1.0 / n  # the constant: relative values average to the gain
            if temperature == 0.0:  # without noise a day can keep to several sets of charges: rare restarts tell which is best
                system += RESTARTS * (day - 1.0 / n)
            reward = after.reshape(N, n, 1) - day @ value.reshape(N, n, 1)
            value = _solve(system, reward).reshape(N, W, self.levels)
        steps = self.steps(np.moveaxis(policy, (2, 0, 1), (0, 1, 4)))
        occupancy = self.occupancy(steps, day if temperature > 0.0 and day is not None else self.over_night(self.product(steps)))
        moves = np.einsum("iwch,haiwc->ihwa", np.moveaxis(occupancy, 1, -1), policy)
        gain = (occupancy[:, 0] * rise).sum((1, 2))
        return Control(self, worth, temperature, moves, gain, value - value.mean((1, 2), keepdims=True), residual, rise.max((1, 2)))

    def _settle(self, product: Array, after: Array, value: Array, temperature: float) -> tuple[Array, Array | None]:
        """Values at which a day changes nothing, and what the day then does to states (None: sweep again), from a sweep and its chances."""
        N, W, C = value.shape
        n, before, start, night = W * C, np.inf, value, self.weather[-1]
        while True:
            shift = night @ (value - start) / temperature
            top = shift.max(-1, keepdims=True)
            tilt = np.exp(shift - top)
            total = (product @ tilt[..., None])[..., 0]
            if total.min() < SMALL:  # too far from where the sweep began: sweep again from here
                return value, None
            now = after + temperature * (top + np.log(total))
            day = self.over_night(product * (tilt[..., None, :] / total[..., None]))
            residual = _residual(now - value, now)
            if residual <= TOLERANCE or not residual < before:
                return value, day
            before = residual
            step = _solve(np.eye(n) - day + 1.0 / n, (now - value).reshape(N, n, 1)).reshape(N, W, C)
            value = value + step
            value -= value.mean((1, 2), keepdims=True)

    def sweep(self, worth: Array, temperature: float, value: Array) -> tuple[Array, Array]:
        """A day backward: (chances of moves [h, a, i, w, c], values at its beginning [i, w, c])."""
        N, H, W, A = worth.shape
        C, r, unit = self.levels, self.reach, temperature if temperature > 0.0 else 1.0
        scaled = worth / unit
        best = scaled.max(-1)
        by_move = np.ascontiguousarray(np.moveaxis(scaled - best[..., None], (1, 3), (0, 1)))[..., None]  # [h, a, i, w, 1]
        odds = np.exp(by_move)
        policy, now = np.empty((H, A, N, W, C)), value / unit
        padded, logs = np.zeros((N, W, C + 2 * r)), np.full((N, W, C + 2 * r), -np.inf)
        here, width = slice(r, r + C), padded.strides
        window, log_window = (as_strided(x, (A, N, W, C), (width[2], *width), writeable=False) for x in (padded, logs))  # of levels c + a - r
        for h in range(H - 1, -1, -1):
            ahead = self._mix(now, h)
            y = policy[h]
            if temperature > 0.0:  # one exponential and one logarithm per state: moves are worth the same at every level
                peak = ahead.max(-1, keepdims=True)
                np.exp(ahead - peak, out=padded[..., here])
                np.multiply(odds[h], window, out=y)
                total = y.sum(0)
                if total.min() >= SMALL:
                    y /= total
                    now = np.log(total) + peak + best[:, h, :, None]
                    continue
            logs[..., here] = ahead
            np.add(by_move[h], log_window, out=y)
            top = y.max(0)
            if temperature > 0.0:
                np.exp(y - top, out=y)
                total = y.sum(0)
                now = np.log(total) + top + best[:, h, :, None]
            else:
                y[:] = y >= top - 1e-12
                total = y.sum(0)
                now = top + best[:, h, :, None]
            y /= total
        return policy, now * unit

    def steps(self, policy: Array) -> Array:
        """What each hour does to charges [i, h, w, c, c'], the weather aside, under a policy [i, h, w, c, a]."""
        C = self.levels
        chances = np.zeros((*policy.shape[:-1], C))
        flat = chances.reshape(*policy.shape[:-2], C * C)
        for a, move in enumerate(self.battery.moves):
            low, high = max(0, -move), min(C, C - move)
            flat[..., low * (C + 1) + move : (high - 1) * (C + 1) + move + 1 : C + 1] = policy[..., low:high, a]
        return chances

    def product(self, steps: Array) -> Array:
        """A day of steps: charges to charges within a regime [i, w, c, c'] where weather changes at midnight, else [i, w, c, w * c']."""
        N, H, W, C, _ = steps.shape
        if self.daily:
            total: Array = steps[:, 0]
            for h in range(1, H):
                total = total @ steps[:, h]
            return total
        total = np.broadcast_to(np.eye(W * C).reshape(W, C, W * C), (N, W, C, W * C))
        for h in range(H - 1, -1, -1):
            total = steps[:, h] @ self._mix(total, h)
        return total

    def over_night(self, product: Array) -> Array:
        """The day of a product, with the weather of the next one [i, n, n]."""
        N, W, C, _ = product.shape
        if not self.daily:
            return product.reshape(N, W * C, W * C)
        day: Array = (product[:, :, :, None, :] * self.weather[-1][:, None, :, None]).reshape(N, W * C, W * C)
        return day

    def occupancy(self, steps: Array, day: Array) -> Array:
        """Joint law of regime and charge, by hour [i, h, w, c]."""
        N, H, W, C, _ = steps.shape
        found = np.empty((N, H, W, C))
        law = stationary(day).reshape(N, W, 1, C)
        for h in range(H):
            found[:, h] = law[:, :, 0]
            law = self._turn(law @ steps[:, h], h)
        return found

    def _mix(self, values: Array, h: int) -> Array:
        """Expectations over the next hour's regime of values [i, w, ...]."""
        if self.calm[h]:
            return values
        mixed: Array = (self.weather[h] @ values.reshape(*values.shape[:2], -1)).reshape(values.shape)
        return mixed

    def _turn(self, mass: Array, h: int) -> Array:
        """Mass [i, w, ...] by the regime of the next hour."""
        if self.calm[h]:
            return mass
        turned: Array = (self.weather[h].T @ mass.reshape(*mass.shape[:2], -1)).reshape(mass.shape)
        return turned

    def sensitivity(self, control: Control, hourly: Array, daily: Array, onto: Array) -> Array:
        r"""Derivatives of average payoffs in the worths of moves, along given directions.

        The payoffs are ``hourly`` in one hour and regime at a time, J = 24 w of them, then ``daily``, m of them, over all hours and regimes.

        Parameters
        ----------
        hourly : array [i, 24, w, a]
            What a move earns.
        daily : array [i, 24, w, a, m]
        onto : array [i, 24, w, k, a]
            How worths move in each of k directions.

        Returns
        -------
        array [i, 24, w, k, J + m]
            :math:`\sum_a\text{onto}_k\,\partial(\text{average}_j)/\partial\rho(h,w,a)`, by the response of the policy alone.
        """
        N, H, W, A = hourly.shape
        C, n, cells = self.levels, W * self.levels, H * W
        J = cells + daily.shape[-1]
        policy = np.ascontiguousarray(np.moveaxis(self.sweep(control.worth, control.temperature, control.value)[0], 1, -1))  # [h, i, w, c, a]
        steps = self.steps(policy)
        by_type = np.moveaxis(steps, 0, 1)
        day = self.over_night(self.product(by_type))
        occupancy = self.occupancy(by_type, day)
        each = np.moveaxis(np.concatenate([hourly[..., None], daily], -1), 1, 0)  # [h, i, w, a, 1 + m]
        mean = (np.moveaxis(control.moves, 1, 0)[..., None] * each).sum(3)
        averages = np.concatenate([np.moveaxis(mean[..., 0], 0, 1).reshape(N, cells), mean[..., 1:].sum((0, 2))], -1)[:, None, None] / H
        hour, regime, cell = np.repeat(np.arange(H), W), np.tile(np.arange(W), H), np.arange(cells)

        def apart(values: Array, found: Array) -> Array:
            """[h, i, w, r, 1 + m] to [h, i, w, r, J + m]: the hourly payoff under its hour and regime."""
            found[:] = 0.0
            found[hour, :, regime, :, cell] = values[hour, :, regime, :, 0]
            found[..., cells:] = values[..., 1:]
            return found

        worth, ahead = np.empty((2, H, N, W, C, J))  # one block: memory that is given back between calls would be mapped anew each time
        apart(policy @ each, worth)  # of states [h, i, w, c, j]
        psi, spare = np.zeros((N, W, C, J)), np.empty((N, W, C, J))
        for h in range(H - 1, -1, -1):
            spare = np.matmul(steps[h], self._mix(psi, h), out=spare)
            spare += worth[h]
            psi, spare = spare, psi
        law = occupancy[:, 0].reshape(N, 1, n)
        once = (psi - H * averages).reshape(N, n, J)
        psi = _solve(np.eye(n) - day + law, once).reshape(N, W, C, J)
        for h in range(H - 1, -1, -1):
            np.subtract(self._mix(psi, h), averages, out=ahead[h])
            worth[h] += np.matmul(steps[h], ahead[h], out=spare)
            psi = worth[h]
        # A move from c to c' with chance y gains q = payoff + ahead(c') over what its state is worth; its mass m y answers with m y q / tau.
        mass = np.moveaxis(occupancy, 1, 0) / control.temperature
        arriving = np.zeros((H, N, W, C, A))  # m y / tau by where it leads
        for a, move in enumerate(self.battery.moves):
            low, high = max(0, -move), min(C, C - move)
            arriving[..., low + move : high + move, a] = mass[..., low:high] * policy[..., low:high, a]
        directions = np.moveaxis(onto, 1, 0)
        found = apart((directions * arriving.sum(-2)[..., None, :]) @ each, np.empty((H, N, W, onto.shape[3], J)))
        found += (directions @ np.swapaxes(arriving, -1, -2)) @ ahead
        ahead *= arriving.sum(-1)[..., None]
        offset = ahead  # what arrives by these answers alone
        earned = arriving @ each
        offset[hour, :, regime, :, cell] += earned[hour, :, regime, :, 0]
        offset[..., cells:] += earned[..., 1:]
        worth *= mass[..., None]
        back = np.ascontiguousarray(np.swapaxes(steps, -1, -2))

        carried = np.zeros((N, W, C, J))
        for h in range(H):
            carried = np.matmul(back[h], np.subtract(carried, worth[h], out=spare))
            carried += offset[h]
            carried = self._turn(carried, h)
        system = np.eye(n) - np.swapaxes(day, 1, 2) + np.ones((n, n)) / n
        carried = _solve(system, carried.reshape(N, n, J)).reshape(N, W, C, J)  # of total mass 0
        for h in range(H):
            arrived = np.subtract(carried, worth[h], out=worth[h])
            carried = np.matmul(back[h], arrived)
            carried += offset[h]
            carried = self._turn(carried, h)
        found += (directions @ np.swapaxes(policy, -1, -2)) @ worth
        return np.moveaxis(found, 0, 1)


def _solve(system: Array, right: Array) -> Array:
    """Solutions [i, n, j] of systems [i, n, n]; where noise is so small that days keep to several sets of charges, those of rare restarts."""
    try:
        return np.asarray(np.linalg.solve(system, right), float)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.solve(system + RESTARTS * np.eye(system.shape[-1]), right), float)


def _residual(moved: Array, after: Array) -> float:
    """Largest change up to a constant, relative to the size of values."""
    spread = moved.max((1, 2)) - moved.min((1, 2))
    return float(spread.max() / (1.0 + np.abs(after - after.mean((1, 2), keepdims=True)).max()))


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
