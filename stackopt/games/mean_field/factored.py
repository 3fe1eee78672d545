"""The default kernel of energy games: a signal that nobody moves times an own part that the action moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stackopt.errors import InvalidGame
from stackopt.games.mean_field.kernel_checks import distributions, floats, take, transpose, with_axes
from stackopt.games.mean_field.memory import require
from stackopt.games.mean_field.namespace import beside, namespace


@dataclass(frozen=True, eq=False)
class Factored:
    r"""A state of two parts, :math:`s=(r,c)`: a signal r that nobody moves, and an own part c that the action moves.

    State ``s = r * C + c`` (signal major). The parts move independently:
    :math:`P(r',c'\mid r,c,b)=\text{signal}[r,r']\,\sum_m\text{probability}[c,b,m]\,1\{c'=\text{move}[c,b,m]\}`. With weather as the
    signal and the charge of a battery as the own part, a kernel of S * B * S probabilities is C * B whole numbers and R * R probabilities.

    Parameters
    ----------
    move : integer array [K, T, C, B], or [K, T, C, B, M] with `probability`
        The own part that follows. Leading axes may be left out or have length 1.
    signal : array [K, T, R, R]
        Rows are distributions of the next signal.
    probability : array [K, T, C, B, M], optional
        Of each of the M outcomes of a move.

    Raises
    ------
    InvalidGame
        ``kernel-axes``, ``kernel-move`` or ``kernel-rows``.
    """

    move: Any
    signal: Any
    probability: Any = None
    checked: bool = field(default=True, repr=False)

    def __post_init__(self) -> None:
        move = self.move if hasattr(self.move, "ndim") else np.asarray(self.move)
        signal = self.signal if hasattr(self.signal, "ndim") else floats("signal", self.signal)
        probability = self.probability
        if probability is not None and not hasattr(probability, "ndim"):
            probability = floats("probability", probability)
        own = 2 if probability is None else 3
        if not own <= move.ndim <= own + 2 or 0 in move.shape:
            raise InvalidGame("kernel-axes", array="move", axes="[K, T, C, B]" if own == 2 else "[K, T, C, B, M]", got=move.shape)
        if not 2 <= signal.ndim <= 4 or signal.shape[-1] != signal.shape[-2] or 0 in signal.shape:
            raise InvalidGame("kernel-axes", array="signal", axes="[K, T, R, R]", got=signal.shape)
        if own == 3 and (not 3 <= probability.ndim <= 5 or probability.shape[-3:] != move.shape[-3:]):
            raise InvalidGame("kernel-axes", array="probability", axes=f"as `move` {tuple(move.shape)}", got=probability.shape)
        move = with_axes(move, own + 2)
        parts = [move.shape[:2], with_axes(signal, 4).shape[:2]] + ([] if own == 2 else [with_axes(probability, 5).shape[:2]])
        if any(len({n for n in sizes if n > 1}) > 1 for sizes in zip(*parts)):
            raise InvalidGame("kernel-axes", array="move", axes="[K, T, ...] with the types and stages of `signal`", got=parts)
        if self.checked:
            _require_targets(move)
            signal = distributions("signal", signal, "k t r")
            probability = None if probability is None else distributions("probability", probability, "k t c b")
        object.__setattr__(self, "move", move)
        object.__setattr__(self, "signal", with_axes(signal, 4))
        object.__setattr__(self, "probability", None if probability is None else with_axes(probability, 5))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(K, T, S, B)."""
        K = max(self.move.shape[0], self.signal.shape[0], 1 if self.probability is None else self.probability.shape[0])
        T = max(self.move.shape[1], self.signal.shape[1], 1 if self.probability is None else self.probability.shape[1])
        return K, T, self.signal.shape[2] * self.move.shape[2], self.move.shape[3]

    def expect(self, values: Any) -> Any:
        """E[V(s') | s, b], [K, n, S, B]: the signal is averaged once per own part, then looked up for every action."""
        xp = namespace(self.signal, values)
        R, C, B = self.signal.shape[2], self.move.shape[2], self.move.shape[3]
        K, n, S = values.shape
        mean = xp.matmul(self.signal, xp.reshape(values, (K, n, R, C)))
        K, n = mean.shape[:2]
        found = self._look_up(xp, mean)
        if self.probability is not None:
            M = self.move.shape[4]
            front = self.probability.shape[:2]
            found = xp.reshape(found, (*found.shape[:3], C * B, M)) * xp.reshape(self.probability, (*front, 1, C * B, M))
            found = xp.sum(found, axis=-1)
        return xp.reshape(found, (*found.shape[:2], S, B))

    def _look_up(self, xp: Any, mean: Any) -> Any:
        """mean [K, n, R, C] at the targets of every move, [K, n, R, C * B * M]."""
        front = self.move.shape[:2]
        if front == (1, 1):
            return xp.take(mean, xp.reshape(self.move, (-1,)), axis=-1)
        targets = xp.reshape(self.move, (*front, 1, -1))
        K, n = (max(a, b) for a, b in zip(front, mean.shape[:2]))
        mean = xp.broadcast_to(mean, (K, n, *mean.shape[2:]))
        return xp.take_along_axis(mean, xp.broadcast_to(targets, (K, n, mean.shape[2], targets.shape[-1])), axis=-1)

    def push(self, flow: Any) -> Any:
        """Mass of each next state, [K, n, S]: mass is collected by own part, then the signal spreads it."""
        xp = namespace(self.signal, flow)
        R, C, B = self.signal.shape[2], self.move.shape[2], self.move.shape[3]
        K, n, S, _ = flow.shape
        mass = xp.reshape(flow, (K, n, R, C * B))
        if self.probability is not None:
            front, M = self.probability.shape[:2], self.move.shape[4]
            mass = mass[..., None] * xp.reshape(self.probability, (*front, 1, C * B, M))
            mass = xp.reshape(mass, (*mass.shape[:3], C * B * M))
        if xp is np:
            own = _collect(mass, self.move.reshape(*self.move.shape[:2], -1), C)
        else:  # the standard has no scatter: a matrix of zeros and ones
            targets = xp.reshape(self.move, (*self.move.shape[:2], -1, 1))
            hit = xp.astype(targets == xp.reshape(xp.arange(C, **beside(targets)), (1, 1, 1, C)), flow.dtype)
            own = xp.matmul(mass, hit)
        found = xp.matmul(transpose(self.signal), own)
        return xp.reshape(found, (*found.shape[:2], S))

    def under(self, policy: Any) -> Any:
        """:math:`P^\\pi(s'|s)` [K, n, S, S] of a policy [K, n, S, B], without the kernel of single actions."""
        xp = namespace(self.signal, policy)
        R, C, B = self.signal.shape[2], self.move.shape[2], self.move.shape[3]
        K, n, S, _ = policy.shape
        place = beside(self.signal)
        one, zero = (xp.asarray(x, dtype=self.signal.dtype, **place) for x in (1.0, 0.0))
        hit = xp.where(self.move[..., None] == xp.arange(C, **place), one, zero)  # [K, T, C, B, (M,) C]
        if self.probability is not None:
            hit = xp.sum(hit * self.probability[..., None], axis=-2)
        own = xp.matmul(xp.reshape(policy, (K, n, R, C, 1, B)), hit[:, :, None, ...])  # [K, n, R, C, 1, C]
        both = own * self.signal[:, :, :, None, :, None]
        return xp.reshape(both, (*both.shape[:2], S, S))

    def stages(self, t: Any) -> Factored:
        """The kernel of the stages t [n]."""
        return self._part(t, 1)

    def types(self, k: Any) -> Factored:
        """The kernel of some types."""
        return self._part(k, 0)

    def _part(self, index: Any, axis: int) -> Factored:
        parts = [a if a is None or a.shape[axis] == 1 else take(a, index, axis) for a in (self.move, self.signal, self.probability)]
        return Factored(parts[0], parts[1], parts[2], checked=False)

    def dense(self) -> Any:
        """All probabilities, [K, T, S, B, S].

        Raises
        ------
        Refused
            ``memory``, before anything is allocated.
        """
        K, T, S, B = self.shape
        require(8 * K * T * S * B * S, "the dense kernel", where=f"K * T * S * B * S = {K} * {T} * {S} * {B} * {S} float64")
        xp = namespace(self.signal)
        place = beside(self.signal)
        one, zero = (xp.asarray(x, dtype=self.signal.dtype, **place) for x in (1.0, 0.0))
        columns = [self.expect(xp.broadcast_to(xp.where(xp.arange(S, **place) == s, one, zero), (K, T, S))) for s in range(S)]
        return xp.stack(columns, axis=-1)


def _require_targets(move: Any) -> None:
    """Refuse targets that are no whole numbers from 0 to C - 1, naming the first where the library lets itself be searched."""
    xp, last = namespace(move), move.shape[2] - 1
    whole = np.issubdtype(move.dtype, np.integer) if xp is np else xp.isdtype(move.dtype, "integral")
    if whole and bool(xp.all((move >= 0) & (move <= last))):
        return
    where = ""
    if xp is np:
        bad = ~((move >= 0) & (move <= last)) if whole else np.ones(move.shape, bool)
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f"(k, t, c, b) = {first[:4]} is {move[first]}"
    raise InvalidGame("kernel-move", last=last, where=where)


def _collect(mass: np.ndarray, targets: np.ndarray, C: int) -> np.ndarray:
    """Sums of mass [K, n, R, I] by target [K | 1, n | 1, I] into [K, n, R, C]."""
    K, n = (max(a, b) for a, b in zip(mass.shape[:2], targets.shape[:2]))
    mass = np.broadcast_to(mass, (K, n, *mass.shape[2:]))
    found = np.zeros((K, n, mass.shape[2], C), mass.dtype)
    for k in range(targets.shape[0]):
        for t in range(targets.shape[1]):
            order = np.argsort(targets[k, t], kind="stable")
            hit, starts = np.unique(targets[k, t][order], return_index=True)
            own = (k if targets.shape[0] > 1 else slice(None), t if targets.shape[1] > 1 else slice(None))
            part = np.add.reduceat(mass[own][..., order], starts, axis=-1)
            view = found[own]
            view[..., hit] = part
    return found
