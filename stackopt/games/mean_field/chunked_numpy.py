"""Day sweeps of a chunk of types in NumPy: the same steps as `chunked_numba`, for machines without Numba and to check it by."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stackopt.games.mean_field.priced import PricedPopulation
from stackopt.games.operators import Array

#: Types side by side in a chunk: few enough that a stage of all of them stays in the cache, many enough that an operation is worth its call.
LANES = 64
#: A sum of weights below this has lost terms to underflow; its row is computed again with exponentials of its own.
TINY = 1e-200


class Sweeps(Protocol):
    """Sweeps over the day for a chunk of types; all arrays have the types as their last axis.

    Attributes
    ----------
    lanes : int
        Types in a chunk.
    visits : array [T, R, C, lanes]
        Mass of every stage, after ``forward(keep=True)``.
    flows : array [T, R, I, lanes]
        Mass by reward entry, after ``forward(measure=True)``; what a change of Q does, after `deviations`.
    """

    lanes: int
    visits: Array
    flows: Array

    def begin(self, types: Array, prices: Array, temperature: float) -> None:
        """Take up the types [lanes] and their rewards at prices [T, L], in temperatures."""

    def purchases(self) -> Array:
        """What each type buys [lanes, T, L], from `flows`."""

    def earned(self) -> Array:
        """What each type earns [lanes], summed over the stages, from `flows`, in temperatures."""

    def back_hard(self, v: Array) -> Array:
        """One day backward of the best values in place; their average over `visits` [lanes], summed over stages."""

    def payoff(self, payoff: Array) -> Array:
        """What each reward entry earns where purchases are worth `payoff` [lanes, T, L]: [T, R, I, lanes], or padded; for the next two."""

    def back(self, v: Array) -> None:
        """One day backward in place: values [R, C, lanes], in temperatures, after the last stage become those of stage 0."""

    def forward(self, mass: Array, *, decay: float = 1.0, source: Array | None = None, keep: bool = False, measure: bool = False) -> None:
        """One day forward in place under the policy of the last `back`; `source` [T, R, C, lanes] joins the next stage's mass."""

    def back_linear(self, psi: Array, pay: Array) -> None:
        """One day backward of a `payoff` under the policy of the last `back`, undiscounted, in place."""

    def deviations(self, pay: Array) -> Array:
        """What a change of Q does to the payoff, by next state [T, R, C, lanes]; by entry in `flows`. After `back_linear` and `visits`."""


@dataclass(frozen=True)
class Run:
    """Own parts ``begin`` to ``end`` that one action moves alike: by `shift`, earning one reward `entry`."""

    begin: int
    end: int
    shift: int
    entry: int

    @property
    def here(self) -> slice:
        """Where they are."""
        return slice(self.begin, self.end)

    @property
    def there(self) -> slice:
        """Where they go."""
        return slice(self.begin + self.shift, self.end + self.shift)


def runs(move: Array, entry: Array) -> list[Run]:
    """All states and actions [C, B] in runs: what is one run is one operation on slices, without index arrays."""
    found = []
    C, B = move.shape
    for b in range(B):
        shift = move[:, b] - np.arange(C)
        cuts = np.flatnonzero((np.diff(shift) != 0) | (np.diff(entry[:, b]) != 0)) + 1
        ends = [0, *(int(c) for c in cuts), C]
        found += [Run(begin, end, int(shift[begin]), int(entry[begin, b])) for begin, end in itertools.pairwise(ends)]
    return found


class NumpySweeps:
    """`Sweeps` in NumPy: each stage of the chunk is a few operations on arrays [R, C, lanes]."""

    def __init__(self, population: PricedPopulation, lanes: int) -> None:
        self._population, self.lanes = population, lanes
        _, T, R, C, _, entries, _ = population.sizes
        self._steps, self._runs = population.steps, runs(population.move, population.entry)
        self._X, self._E = np.empty((T, R, entries, lanes)), np.empty((T, R, C, lanes))
        self._U, self._Z = np.empty((T, R, C, lanes)), np.empty((T, R, C, lanes))
        self._exact: list[Any] = [np.zeros((0, 2), int)] * T
        self._product = np.empty((R, C, lanes))
        self._ahead, self._values = np.empty((T, R, C, lanes)), np.empty((T, R, C, lanes))
        self._paid: Array | None = None
        self.visits, self.flows = np.zeros((T, R, C, lanes)), np.zeros((T, R, entries, lanes))

    def begin(self, types: Array, prices: Array, temperature: float) -> None:
        """Take up types and prices."""
        self._net = self._population.bought(types)
        self._rows = np.ascontiguousarray(np.moveaxis(self._population.rows(prices, types), 0, -1)) / temperature

    def purchases(self) -> Array:
        """What each type buys."""
        found: Array = np.einsum("ktril,trik->ktl", self._net, self.flows)
        return found

    def earned(self) -> Array:
        """What each type earns."""
        total: Array = (self._rows * self.flows).sum((0, 1, 2))
        return total

    def back_hard(self, v: Array) -> Array:
        """One day backward of the best values."""
        s = self._population
        u, total = np.empty_like(v), np.zeros(self.lanes)
        for t in range(s.sizes[1] - 1, -1, -1):
            _mix(s.discount * s.signal[t], v, u)
            v[:] = -np.inf
            for run in self._runs:
                here = v[:, run.here]
                np.maximum(here, self._rows[t][:, run.entry, None] + u[:, run.there], out=here)
            total += (self.visits[t] * v).sum((0, 1))
        return total

    def payoff(self, payoff: Array) -> Array:
        """What each reward entry earns."""
        return np.ascontiguousarray(np.moveaxis((self._net * payoff[:, :, None, None]).sum(-1), 0, -1))

    def back(self, v: Array) -> None:
        """One day backward in place."""
        s = self._population
        _, T, _, C, _, _, _ = s.sizes
        place = np.arange(C)[:, None]
        self._paid = None
        for t in range(T - 1, -1, -1):
            X, E, U, Z, rows = self._X[t], self._E[t], self._U[t], self._Z[t], self._rows[t]
            _mix(s.discount * s.signal[t], v, U)
            if self._steps is None:
                tilt = np.zeros((U.shape[0], 1, U.shape[2]))
                np.copyto(X, rows)
            else:
                tilt = (U[:, -1:] - U[:, :1]) / max(C - 1, 1)
                np.add(rows, tilt * self._steps[:, None], out=X)
            best = X.max(1, keepdims=True)
            np.exp(np.subtract(X, best, out=X), out=X)
            slope = tilt * place
            np.subtract(U, slope, out=E)
            top = E.max(1, keepdims=True)
            np.exp(np.subtract(E, top, out=E), out=E)
            self._gather(X, E, Z)
            bad = Z.min(-1) < TINY
            if bad.any():
                Z[bad] = 1.0
            np.log(Z, out=v)
            v += np.add(slope, best + top, out=slope)
            np.divide(1.0, Z, out=Z)
            self._exact[t] = np.argwhere(bad)
            for r, c in self._exact[t]:
                logits = rows[r, s.entry[c]] + U[r, s.move[c]]
                largest = logits.max(0)
                v[r, c] = Z[r, c] = largest + np.log(np.exp(logits - largest).sum(0))

    def _gather(self, X: Array, E: Array, out: Array) -> None:
        """out[r, c] = sum over b of X[r, entry[c, b]] E[r, move[c, b]]."""
        out[:] = 0.0
        for run in self._runs:
            part = self._product[:, run.here]
            out[:, run.here] += np.multiply(X[:, run.entry, None], E[:, run.there], out=part)

    def _scatter(self, X: Array, a: Array) -> Array:
        """[r, c'] = sum over what leads to c' of X[r, entry] a[r, c]."""
        out = np.zeros_like(a)
        for run in self._runs:
            part = self._product[:, run.here]
            out[:, run.there] += np.multiply(X[:, run.entry, None], a[:, run.here], out=part)
        return out

    def _exact_policy(self, t: int, r: int, c: int) -> Array:
        """[B, lanes], every probability with an exponential of its own."""
        s = self._population
        policy: Array = np.exp(self._rows[t, r, s.entry[c]] + self._U[t, r, s.move[c]] - self._Z[t, r, c])
        return policy

    def forward(self, mass: Array, *, decay: float = 1.0, source: Array | None = None, keep: bool = False, measure: bool = False) -> None:
        """One day forward in place."""
        s = self._population
        for t in range(s.sizes[1]):
            X, E = self._X[t], self._E[t]
            if keep:
                self.visits[t] = mass
            a = mass * self._Z[t]
            for r, c in self._exact[t]:
                a[r, c] = 0.0
            if measure:
                flows = self.flows[t]
                flows[:] = 0.0
                for run in self._runs:
                    flows[:, run.entry] += np.einsum("rcl,rcl->rl", a[:, run.here], E[:, run.there])
                flows *= X
            h = self._scatter(X, a)
            h *= E
            for r, c in self._exact[t]:
                moved = mass[r, c] * self._exact_policy(t, r, c)
                np.add.at(h[r], s.move[c], moved)
                if measure:
                    np.add.at(self.flows[t, r], s.entry[c], moved)
            _mix(decay * s.signal[t].T, h, mass)
            if source is not None:
                mass += source[t]

    def back_linear(self, psi: Array, pay: Array) -> None:
        """One day backward of a payoff."""
        s = self._population
        if self._paid is None:
            self._paid = np.empty_like(self._E)
            for t in range(s.sizes[1]):
                self._gather(self._X[t] * pay[t], self._E[t], self._paid[t])
        for t in range(s.sizes[1] - 1, -1, -1):
            ahead = self._ahead[t]
            _mix(s.signal[t], psi, ahead)
            self._gather(self._X[t], self._E[t] * ahead, psi)
            psi += self._paid[t]
            psi *= self._Z[t]
            for r, c in self._exact[t]:
                psi[r, c] = (self._exact_policy(t, r, c) * (pay[t, r, s.entry[c]] + ahead[r, s.move[c]])).sum(0)
            self._values[t] = psi

    def deviations(self, pay: Array) -> Array:
        """What a change of Q does to the payoff."""
        s = self._population
        _, T, R, C, _, _, _ = s.sizes
        source = np.empty((T, R, C, self.lanes))
        self.flows[:] = 0.0
        for t in range(T):
            weight = self.visits[t] * self._Z[t]
            for r, c in self._exact[t]:
                weight[r, c] = 0.0
            h = np.zeros((R, C, self.lanes))
            for run in self._runs:
                policy = self._X[t][:, run.entry, None] * self._E[t][:, run.there] * weight[:, run.here]
                change = policy * (pay[t][:, run.entry, None] + self._ahead[t][:, run.there] - self._values[t][:, run.here])
                h[:, run.there] += change
                self.flows[t][:, run.entry] += change.sum(1)
            for r, c in self._exact[t]:
                gain = pay[t, r, s.entry[c]] + self._ahead[t, r, s.move[c]] - self._values[t, r, c]
                change = self.visits[t, r, c] * self._exact_policy(t, r, c) * gain
                np.add.at(h[r], s.move[c], change)
                np.add.at(self.flows[t, r], s.entry[c], change)
            _mix(s.discount * s.signal[t].T, h, source[t])
        return source


def _mix(matrix: Array, values: Array, out: Array) -> None:
    """out[r] = sum over q of matrix[r, q] values[q]."""
    np.matmul(matrix, values.reshape(len(values), -1), out=out.reshape(len(out), -1))
