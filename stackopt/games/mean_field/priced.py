r"""A population that faces prices: factored states, a day that repeats itself, rewards linear in prices.

Axes: K types, T stages of the day, R signals (weather), C own parts (charge levels), B actions, I reward entries, L price channels, D
parameters of the leader; states are ``s = r * C + c`` as in a `Factored` kernel. At stage t with prices :math:`p_t` a follower of type k
earns

.. math:: r_{kt}(r,i)=\text{base}_{kt}(r,i)-\sum_l p_{tl}\,\text{net}_{kt}(r,i,l),\qquad i=\text{entry}(c,b),

and what couples the population is what it buys, :math:`y_{tl}=\sum_kw_kE[\text{net}_{kt,l}]`. Rewards are kept by *entry*, not by state and action:
for a battery an entry is what the meter sees, the same at every charge level, so a type is a few kilobytes and ten thousand types fit
where one array [K, T, S, B] would not. Nothing is lost: with ``entry[c, b] = c * B + b`` rewards differ as they like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.errors import InvalidGame
from stackopt.games import validation
from stackopt.games.mean_field import arrays, memory
from stackopt.games.mean_field.factored import Factored
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.horizon import Periodic
from stackopt.games.mean_field.leaders import Box, Menu
from stackopt.games.operators import Array


@dataclass(frozen=True, eq=False)
class Prices:
    r"""How prices follow from what the population buys and what the leader decides: :math:`p_t=a_t+M_ty_t+\Theta_t\theta`.

    Parameters
    ----------
    constant : array [T, L]
        a.
    slope : array [L, L] or [T, L, L]
        M: row l, column m is how the price of channel l rises with what is bought in channel m (an average per follower).
    leader : array [T, L, D]
        Theta.

    Raises
    ------
    InvalidGame
        ``axes`` or ``finite``.
    """

    constant: Any
    slope: Any
    leader: Any

    def __post_init__(self) -> None:
        constant, slope, leader = (validation.as_float(n, getattr(self, n), "[T, L]") for n in ("constant", "slope", "leader"))
        if constant.ndim != 2:
            raise InvalidGame("axes", array="constant", axes="[T, L]", expected="two axes", got=constant.shape)
        T, L = constant.shape
        if slope.shape not in ((L, L), (T, L, L)):
            raise InvalidGame("axes", array="slope", axes="[L, L] or [T, L, L]", expected=(T, L, L), got=slope.shape)
        if leader.ndim != 3 or leader.shape[:2] != (T, L):
            raise InvalidGame("axes", array="leader", axes="[T, L, D]", expected=(T, L, "D"), got=leader.shape)
        for name, array in (("constant", constant), ("slope", np.broadcast_to(slope, (T, L, L)).copy()), ("leader", leader)):
            validation.require_finite(name, array, "t l m")
            object.__setattr__(self, name, validation.freeze(array))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, L, D)."""
        T, L, D = self.leader.shape
        return int(T), int(L), int(D)

    def at(self, y: Array, theta: Array, t: Array | slice = slice(None)) -> Array:
        """Prices [n, L] of stages t where the population buys y [n, L] under theta [D]; complex arguments are fine."""
        prices: Array = self.constant[t] + (self.slope[t] @ y[..., None])[..., 0] + self.leader[t] @ theta
        return prices


@dataclass(frozen=True, eq=False)
class Supplier:
    r"""A leader's value as a callable: a share of what followers pay, less the cost of what they take at a rising supply price.

    .. math:: (1-\text{bill weight})\sum_{tl}p_{tl}y_{tl}-\sum_t\big(c_0N_t+\tfrac12c_1N_t^2\big),\qquad N_t=\sum_ly_{tl}.

    Parameters
    ----------
    prices : Prices
    intercept, slope : float
        :math:`c_0` and :math:`c_1`.
    bill_weight : float
        How much the leader cares for what followers pay.
    """

    prices: Prices
    intercept: float
    slope: float
    bill_weight: float

    def __call__(self, y: Any, theta: Any) -> Any:
        """A number, of purchases y [T, L] and theta [D]; complex arguments are fine."""
        net = y.sum(-1)
        paid = (self.prices.at(y, theta) * y).sum()
        return (1.0 - self.bill_weight) * paid - (self.intercept * net + 0.5 * self.slope * net**2).sum()


@dataclass(frozen=True, eq=False)
class PricedPopulation:
    """The followers of a priced game, see the head of this file.

    Parameters
    ----------
    move : integer array [C, B]
        The own part that an action leads to.
    signal : array [T, R, R] or [R, R]
        Rows are distributions of the next signal.
    base : array, broadcasts to [K, T, R, I]
        Reward at prices of zero.
    net : array, broadcasts to [K, T, R, I, L]
        What is bought in each price channel; sales are negative.
    discount : float
        Per stage, in [0, 1).
    entry : integer array [C, B], optional
        Which reward entry an action earns at an own part; by default action b earns entry b everywhere.
    weights : array [K], optional
        Shares of the types; equal by default.
    types, own, signals, actions : sequence of str, optional
        Labels.
    name : str

    Raises
    ------
    InvalidGame
        ``axes``, ``finite``, ``kernel-rows``, ``kernel-move``, ``types-weights``, ``discount`` or ``labels``.
    """

    move: Any
    signal: Any
    base: Any
    net: Any
    discount: float
    entry: Any = None
    weights: Any = None
    types: Sequence[str] | None = None
    own: Sequence[str] | None = None
    signals: Sequence[str] | None = None
    actions: Sequence[str] | None = None
    name: str = "priced population"

    def __post_init__(self) -> None:
        def set_(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        signal = validation.as_float("signal", self.signal, "[T, R, R]")
        base, net = (validation.as_float(name, getattr(self, name), "[K, T, R, I]") for name in ("base", "net"))
        if base.ndim > 4 or base.ndim == 0 or not 2 <= net.ndim <= 5:
            raise InvalidGame("axes", array="base", axes="[K, T, R, I], `net` [K, T, R, I, L]", expected="1 to 4 axes", got=(base.shape, net.shape))
        base = base.reshape((1,) * (4 - base.ndim) + base.shape)
        net = net.reshape((1,) * (5 - net.ndim) + net.shape)
        kernel = Factored(np.asarray(self.move), signal)
        if kernel.move.shape[:2] != (1, 1) or kernel.signal.shape[0] != 1:
            raise InvalidGame("axes", array="move", axes="[C, B], and of `signal` [T, R, R]", expected="the same for all types", got=np.shape(self.move))
        K = max(base.shape[0], net.shape[0], 1 if self.weights is None else np.size(self.weights))
        T = max(base.shape[1], net.shape[1], kernel.signal.shape[1])
        C, B = kernel.move.shape[2:]
        R, entries = kernel.signal.shape[2], max(base.shape[3], net.shape[3])
        for name, axes, array, shape in (("base", "[K, T, R, I]", base, (K, T, R, entries)), ("net", "[K, T, R, I, L]", net, (K, T, R, entries, net.shape[4]))):
            if not arrays.fits(array.shape, shape):
                raise InvalidGame("axes", array=name, axes=axes, expected=shape, got=array.shape)
            validation.require_finite(name, array, "k t r i l"[: 2 * array.ndim])
        entry = np.broadcast_to(np.arange(B), (C, B)) if self.entry is None else np.asarray(self.entry)
        if entry.shape != (C, B) or not np.issubdtype(entry.dtype, np.integer) or entry.min() < 0 or entry.max() >= entries:
            whole = f"{(C, B)} whole numbers from 0 to {entries - 1}"
            raise InvalidGame("axes", array="entry", axes="[C, B]", expected=whole, got=f"{entry.shape} of {entry.dtype}")
        set_("discount", validation.discount("discount", self.discount, None))
        set_("move", validation.freeze(np.array(kernel.move[0, 0], dtype=np.int64)))
        set_("entry", validation.freeze(np.array(entry, dtype=np.int64)))
        set_("signal", validation.freeze(np.array(np.broadcast_to(kernel.signal[0], (T, R, R)))))
        set_("base", validation.freeze(base))
        set_("net", validation.freeze(net))
        set_("weights", validation.freeze(np.array(arrays.weights(self.weights, K))))
        for name, count in (("types", K), ("own", C), ("signals", R), ("actions", B)):
            set_(name, validation.labels(name, getattr(self, name), count))

    def __setstate__(self, state: dict[str, Any]) -> None:
        validation.restore(self, state)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(K, T, S, B)."""
        K, T, R, C, B, _, _ = self.sizes
        return K, T, R * C, B

    @property
    def sizes(self) -> tuple[int, int, int, int, int, int, int]:
        """(K, T, R, C, B, I, L)."""
        (C, B), (T, R, _) = self.move.shape, self.signal.shape
        return len(self.weights), T, R, C, B, max(self.base.shape[3], self.net.shape[3]), self.net.shape[4]

    @property
    def steps(self) -> Array | None:
        """By how much each entry moves the own part, [I], where it is the same for every own part; else None."""
        step = self.move - np.arange(len(self.move))[:, None]
        entries = self.sizes[5]
        low, high = np.full(entries, np.iinfo(np.int64).max), np.full(entries, np.iinfo(np.int64).min)
        np.minimum.at(low, self.entry, step)
        np.maximum.at(high, self.entry, step)
        used = low <= high
        return np.where(used, low, 0).astype(float) if (low[used] == high[used]).all() else None

    @property
    def long_run(self) -> Array:
        """Shares of the signals at stage 0 that a day leaves as they are, [R]; even shares where that is not unique."""
        day = np.linalg.multi_dot(list(self.signal)) if len(self.signal) > 1 else self.signal[0]
        R = len(day)
        even = np.full(R, 1.0 / R)
        try:
            share = np.linalg.solve(np.eye(R) - day.T + 1.0 / R, even)
        except np.linalg.LinAlgError:
            return even
        good = np.isfinite(share).all() and share.min() >= -1e-12 and np.abs(share @ day - share).max() < 1e-12
        positive: Array = np.maximum(share, 0.0)
        return positive / positive.sum() if good else even

    def rows(self, prices: Array, types: Any = slice(None)) -> Array:
        """Rewards by entry [k, T, R, I] of some types at prices [T, L]; complex prices are fine."""
        K, T, R, _, _, entries, _ = self.sizes
        base, net = (a if a.shape[0] == 1 else a[types] for a in (self.base, self.net))
        found = base - (net * prices[:, None, None, :]).sum(-1)
        count = len(np.arange(K)[types])
        rows: Array = np.broadcast_to(found, (count, T, R, entries))
        return rows

    def bought(self, types: Any = slice(None)) -> Array:
        """`net` of some types, [k, T, R, I, L]."""
        K, T, R, _, _, entries, L = self.sizes
        net = self.net if self.net.shape[0] == 1 else self.net[types]
        found: Array = np.broadcast_to(net, (len(np.arange(K)[types]), T, R, entries, L))
        return found

    def kernel(self) -> Factored:
        """Transitions as the kernel of a mean-field game."""
        return Factored(self.move, self.signal, checked=False)

    def game(self, prices: Prices, leader: Any = None, objective: Any = None) -> MeanFieldStackelbergGame:
        """The same population as a `MeanFieldStackelbergGame`, whose certificate knows nothing of entries and chunks.

        Parameters
        ----------
        prices : Prices
        leader : Box, Simplex or Menu, optional
            What theta [D] is chosen from; by default only zero.
        objective : callable, optional
            ``objective(y, theta)``, the leader's value; accepts complex numbers.

        Raises
        ------
        Refused
            ``memory``: the statistic alone is an array [K, T, S, B, L].
        """
        K, T, S, B = self.shape
        L = self.sizes[6]
        size = 8 * K * T * S * B * L
        memory.require(3 * size, f"the game of {K} types written out", where=f"3 * K * T * S * B * L = 3 * {K} * {T} * {S} * {B} * {L} float64")
        if prices.shape[:2] != (T, L):
            raise InvalidGame("axes", array="prices", axes="[T, L, D]", expected=(T, L, "D"), got=prices.shape)
        box: Box | Menu = Menu(np.zeros((1, prices.shape[2]))) if leader is None else leader
        return MeanFieldStackelbergGame(
            Periodic(T, self.discount),
            reward=PricedReward(self, prices),
            transition=self.kernel(),
            weights=self.weights,
            statistic=by_state(self, self.bought()),
            leader=box,
            objective=objective,
            sizes=(K, S, B),
            types=self.types,
            states=None if self.own is None or self.signals is None else [f"{c}, {r}" for r in self.signals for c in self.own],
            actions=self.actions,
            name=self.name,
        )


def by_state(population: PricedPopulation, entries: Array) -> Array:
    """Entries [k, n, R, I, ...] written out by state and action, [k, n, S, B, ...]."""
    found = entries[:, :, :, population.entry]  # [k, n, R, C, B, ...]
    written: Array = found.reshape(*found.shape[:2], -1, *found.shape[4:])
    return written


@dataclass(frozen=True, eq=False)
class PricedReward:
    """Rewards of a priced population as the callable of a mean-field game: ``reward(t, y, theta)`` [K, n, S, B]."""

    population: PricedPopulation
    prices: Prices

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """Rewards [K, n, S, B] of stages t at prices that follow from y [n, L] and theta [D]."""
        prices = self.prices.at(y, theta, t)
        base, net = (a if a.shape[1] == 1 else a[:, t] for a in (self.population.base, self.population.net))
        return by_state(self.population, _with_signals(self.population, base - (net * prices[:, None, None, :]).sum(-1)))


def _with_signals(population: PricedPopulation, rows: Array) -> Array:
    """Rows [k, n, R or 1, I or 1] with both axes in full."""
    _, _, R, _, _, entries, _ = population.sizes
    return np.broadcast_to(rows, (*rows.shape[:2], R, entries))
