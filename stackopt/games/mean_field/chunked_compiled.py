"""`Sweeps` by the compiled functions of `chunked_numba`: their workspace, allocated once per thread, and their index tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.games.mean_field import chunked_numba as compiled
from stackopt.games.mean_field.priced import PricedPopulation
from stackopt.games.operators import Array


class CompiledSweeps:
    """`Sweeps` compiled by Numba; see `stackopt.games.mean_field.chunked_numpy.Sweeps` for what the methods do.

    Index tables are padded to multiples of six: with reward entry I, whose weight is zero, or with own part C, whose mass is.
    """

    lanes = compiled.LANES

    def __init__(self, population: PricedPopulation) -> None:
        K, T, R, C, B, entries, L = population.sizes
        lanes = self.lanes
        self._base = np.broadcast_to(population.base, (K, T, R, entries))
        self._net = np.broadcast_to(population.net, (K, T, R, entries, L))
        self._actions, self._discount = B, population.discount
        move, entry = population.move.ravel(), population.entry.ravel()
        here = np.repeat(np.arange(C), B)
        _, self._entry = _lists(here, entry, C, entries)
        _, self._move = _lists(here, move, C, 0)
        self._entry, self._move = self._entry.reshape(C, -1), self._move.reshape(C, -1)
        self._first, self._origin_entry = _lists(move, entry, C, entries)
        _, self._origin = _lists(move, here, C, 0)
        self._by_first, self._by_origin = _lists(entry, here, entries, C)
        _, self._by_target = _lists(entry, move, entries, 0)
        self._signal = np.array(population.signal, order="C")  # writable, as all arrays here: Numba compiles anew for what is not
        self._same = (population.signal == np.eye(R)).all((-1, -2))
        self._tilted = population.steps is not None
        self._steps = np.zeros(entries) if population.steps is None else population.steps
        self._rows, self._X = np.zeros((T, R, entries + 1, lanes)), np.empty((T, R, entries + 1, lanes))
        self.flows = np.zeros((T, R, entries, lanes))
        self._E, self._U, self._Z = (np.empty((T, R, C, lanes)) for _ in range(3))
        self._exact = np.zeros((T, R, C), np.uint8)
        self._tilt, self._best = np.empty((R, lanes)), np.empty((R, lanes))
        self._a, self._h = np.zeros((R, C + 1, lanes)), np.empty((R, C, lanes))
        self.visits = np.zeros((T, R, C, lanes))
        self._none = np.zeros((0, R, C, lanes))
        self._adjoint: tuple[Array, Array, Array, Array, Array, Array] | None = None

    def begin(self, types: Array, prices: Array, temperature: float) -> None:
        """Take up types and prices."""
        self._types = types
        compiled.load(self._base, self._net, prices, types, 1.0 / temperature, self._rows)

    def purchases(self) -> Array:
        """What each type buys."""
        out = np.empty((self.lanes, self._net.shape[1], self._net.shape[4]))
        compiled.purchases(self._net, self._types, self.flows, out)
        return out

    def back(self, v: Array) -> None:
        """One day backward in place."""
        compiled.back(v, self._rows, self._steps, self._tilted, self._discount, self._signal, self._same, self._entry, self._move, self._actions,
                      self._X, self._E, self._U, self._Z, self._exact, self._tilt, self._best, self._h)  # fmt: skip

    def back_hard(self, v: Array) -> Array:
        """One day backward of the best values."""
        total = np.empty(self.lanes)
        compiled.back_hard(v, self._rows, self._discount, self._signal, self._same, self._entry, self._move, self._actions, self.visits, self._h, total)
        return total

    def earned(self) -> Array:
        """What each type earns."""
        total: Array = (self._rows[:, :, :-1] * self.flows).sum((0, 1, 2))
        return total

    def forward(self, mass: Array, *, decay: float = 1.0, source: Array | None = None, keep: bool = False, measure: bool = False) -> None:
        """One day forward in place."""
        compiled.forward(mass, decay, self._none if source is None else source, source is not None, self._rows, self._signal, self._same,
                         self._entry, self._move, self._actions, self._first, self._origin, self._origin_entry, self._by_first, self._by_origin,
                         self._by_target, self._X, self._E, self._U, self._Z, self._exact, self._a, self._h, self.visits, keep,
                         self.flows, measure)  # fmt: skip

    def _work(self) -> tuple[Array, Array, Array, Array, Array, Array]:
        """Arrays that only derivatives need: pay, product, paid, ahead, values, source."""
        if self._adjoint is None:
            self._adjoint = (np.zeros_like(self._X), np.empty(self._X.shape[1:]), *(np.empty_like(self._E) for _ in range(4)))  # type: ignore[assignment]
        assert self._adjoint is not None
        return self._adjoint

    def payoff(self, payoff: Array) -> Array:
        """What each reward entry earns."""
        pay, product, paid, _, _, _ = self._work()
        compiled.pay_rows(self._net, self._types, payoff, pay)
        compiled.earn(pay, self._entry, self._move, self._X, self._E, product, paid)
        return pay

    def back_linear(self, psi: Array, pay: Array) -> None:
        """One day backward of a payoff."""
        _, _, paid, ahead, values, _ = self._work()
        compiled.back_linear(psi, pay, self._rows, self._signal, self._same, self._entry, self._move, self._actions,
                             self._X, self._E, self._U, self._Z, self._exact, paid, self._a, ahead, values)  # fmt: skip

    def deviations(self, pay: Array) -> Array:
        """What a change of Q does to the payoff."""
        _, _, _, ahead, values, source = self._work()
        compiled.deviations(pay, self._rows, self._discount, self._signal, self._same, self._entry, self._move, self._actions, self._X, self._E,
                            self._U, self._Z, self._exact, self.visits, ahead, values, self._h, self.flows, source)  # fmt: skip
        return source


def _lists(place: Any, what: Any, places: int, padding: int) -> tuple[Any, Any]:
    """`what` listed by place, each list filled up to a multiple of six: where each begins [places + 1], and all of them in a row."""
    order = np.argsort(place, kind="stable")
    counts = np.bincount(place, minlength=places)
    first = np.concatenate([[0], np.cumsum(-(-counts // 6) * 6)]).astype(np.int64)
    listed = np.full(first[-1], padding, np.uint64)
    slot = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    listed[first[place[order]] + slot] = what[order]
    return first, listed
