r"""How a large population answers prices: max-ent policies and the law they bring about, a few types at a time.

For a `PricedPopulation` at prices :math:`p` [T, L] and temperature :math:`\tau`, with values in units of :math:`\tau`,

.. math:: v_{kt}(s)=\log\sum_b e^{r_{kt}(s,b)/\tau+\gamma E[v_{k,t+1}(s')\mid s,b]},\qquad
   \mu_{k,t+1}=\mu_{kt}P^{\pi},\qquad y_{tl}=\sum_kw_k\sum_{s,b}\mu_{kt}(s)\pi_{kt}(b\mid s)\,\text{net}_{kt}(s,b,l).

Both are found by sweeps over the day, which contract by :math:`\gamma^T` where value iteration contracts by :math:`\gamma`. Rewards by
entry and next values enter the sum as a product, :math:`e^{r(i)/\tau}\cdot e^{\gamma E[v]}`, so that exponentials number T R (I + C), not
T R C B; the policy is that product again, never stored. Of a type only its values and law at stage 0 are kept between calls.

Chunks are independent: threads share them out, and the numbers do not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stackopt.errors import InvalidGame, InvalidMethod, MissingPackage
from stackopt.games import validation
from stackopt.games.mean_field import chunked_numpy, memory
from stackopt.games.mean_field.chunked_numpy import NumpySweeps, Sweeps
from stackopt.games.mean_field.chunked_settling import Settled, settle
from stackopt.games.mean_field.machine import compiled_available
from stackopt.games.mean_field.priced import PricedPopulation
from stackopt.games.operators import Array
from stackopt.solution import Progress, Report

#: Of values (in temperatures) and laws (1-norm): estimated distance to the fixed point at which sweeps stop.
TOLERANCE = 1e-10
#: The most sweeps each way.
SWEEPS = 2_000


@dataclass(frozen=True, eq=False)
class Response:
    """How a population answers prices.

    Attributes
    ----------
    prices : array [T, L]
    bought : array [T, L]
        y, the average of what followers buy.
    bought_by_type : array [K, T, L]
    values : array [N, R, C, lanes]
        Of stage 0 in temperatures, N chunks; `by_type` gives them by type.
    mass : array [N, R, C, lanes]
        The law of stage 0.
    sweeps : (int, int)
        The most sweeps over the day that a chunk took, backward and forward.
    residual : float
        The larger of the estimated distances of values (in temperatures, up to a constant) and of laws (1-norm) to the fixed point.
    converged : bool
        Whether it is below the tolerance for every type, or as small as rounding allows.
    """

    prices: Array
    bought: Array
    bought_by_type: Array
    values: Array
    mass: Array
    sweeps: tuple[int, int]
    residual: float
    converged: bool


@dataclass(frozen=True, eq=False)
class _ChunkAnswer:
    bought: Array  # [lanes, T, L]
    sweeps: tuple[int, int]
    residual: float
    converged: bool


@dataclass(frozen=True, eq=False)
class PeriodicResponse:
    """The soft response of a `PricedPopulation` at one temperature, in chunks of types.

    Parameters
    ----------
    population : PricedPopulation
    temperature : float
        Positive, in units of the followers' reward.
    compiled : bool, optional
        Numba (extra ``[fast]``) or NumPy; by default Numba where it is installed and there are at least 8 types.
    threads : int
        Chunks are shared out among so many threads; results do not depend on it.
    tolerance : float
        Of values (in temperatures) and laws (1-norm).
    max_sweeps : int
    memory_limit : int, optional
        Bytes; by default what the machine has available.

    Raises
    ------
    InvalidMethod
        ``setting`` or ``temperature``.
    MissingPackage
        If Numba is asked for and not installed.
    Refused
        ``memory``: what is kept between calls would not fit.
    """

    population: PricedPopulation
    temperature: float
    compiled: bool | None = None
    threads: int = 1
    tolerance: float = TOLERANCE
    max_sweeps: int = SWEEPS
    memory_limit: int | None = None
    _idle: list[Sweeps] = field(default_factory=list, repr=False)
    _lanes: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, kinds in (("tolerance", int | float | np.number), ("threads", int | np.integer), ("max_sweeps", int | np.integer)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < np.inf:
                raise InvalidMethod("setting", name=name, law="positive" if name == "tolerance" else "a positive whole number", got=repr(value))
        if isinstance(self.temperature, bool) or not isinstance(self.temperature, int | float | np.number) or not 0 < self.temperature < np.inf:
            raise InvalidMethod("temperature", got=repr(self.temperature))
        if self.compiled is None:
            object.__setattr__(self, "compiled", compiled_available() and len(self.population.weights) >= 8)
        elif self.compiled and not compiled_available():
            raise MissingPackage("package", feature="compiled sweeps", package="stackopt[fast]")
        memory.require(self.bytes_needed(), f"the response of {self.population.shape[0]} types", limit=self.memory_limit)
        object.__setattr__(self, "_lanes", self._lanes_for(len(self.population.weights)))

    def bytes_needed(self) -> int:
        """An estimate of the peak memory of `solve` and `gradient` beyond the population itself."""
        K, T, R, C, _, entries, L = self.population.sizes
        kept = 4 * R * C + 2 * T * L  # values and laws, old and new; purchases by type
        working = chunked_numpy.LANES * self.threads * T * R * (7 * C + 6 * entries + 2 * entries * L)
        return 8 * (K * kept + working)

    # --- chunks --------------------------------------------------------------------------------------------------

    def _sweeps(self, lanes: int) -> Sweeps:
        """A workspace for so many types at a time: an idle one, or a new one."""
        while True:
            try:
                sweeps = self._idle.pop()  # at once: other threads do the same
            except IndexError:
                break
            if sweeps.lanes == lanes:
                return sweeps
        if self.compiled:
            from stackopt.games.mean_field.chunked_compiled import CompiledSweeps

            return CompiledSweeps(self.population)
        return NumpySweeps(self.population, lanes)

    def _lanes_for(self, count: int) -> int:
        """How many of `count` types are done at a time."""
        if self.compiled:
            from stackopt.games.mean_field.chunked_compiled import CompiledSweeps

            return CompiledSweeps.lanes
        return min(chunked_numpy.LANES, count)

    @property
    def chunks(self) -> int:
        """N."""
        return -(-len(self.population.weights) // self._lanes)

    def _types(self, n: int) -> Array:
        """The types of chunk n [lanes]; the last chunk is filled up with its last type, whose copies count for nothing."""
        return _filled(n, self._lanes, len(self.population.weights))

    def by_type(self, chunked: Array) -> Array:
        """[K, ...] of an array [N, ..., lanes]."""
        rows = np.moveaxis(chunked, -1, 1)
        return rows.reshape(-1, *rows.shape[2:])[: len(self.population.weights)]

    def _each(self, work: Callable[[int, Sweeps], Any], count: int, stage: str, report: Report | None) -> list[Any]:
        """work(n, workspace) of every chunk of `count` types, on `threads` threads; results in the order of chunks."""
        lanes = self._lanes_for(count)
        chunks = -(-count // lanes)

        def one(n: int) -> Any:
            sweeps = self._sweeps(lanes)
            try:
                return work(n, sweeps)
            finally:
                self._idle.append(sweeps)

        found = []
        if self.threads == 1:
            for n in range(chunks):
                found.append(one(n))
                if report is not None:
                    report(Progress(stage, n + 1, chunks))
            return found
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                for n, result in enumerate(pool.map(one, range(chunks))):
                    found.append(result)
                    if report is not None:
                        report(Progress(stage, n + 1, chunks))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return found

    # --- the response ----------------------------------------------------------------------------------------------

    def start(self) -> tuple[Array, Array]:
        """Values of zero, and a law that spreads own parts evenly at the signals' long-run shares: [N, R, C, lanes] each."""
        _, _, R, C, _, _, _ = self.population.sizes
        share = self.population.long_run
        mass = np.broadcast_to(share[:, None, None] / C, (self.chunks, R, C, self._lanes)).copy()
        return np.zeros_like(mass), mass

    def require_prices(self, prices: Any) -> Array:
        """Prices as an array [T, L].

        Raises
        ------
        InvalidGame
            ``axes`` or ``finite``.
        """
        _, T, _, _, _, _, L = self.population.sizes
        array = validation.as_float("prices", prices, "[T, L]")
        if array.shape != (T, L):
            raise InvalidGame("axes", array="prices", axes="[T, L]", expected=(T, L), got=array.shape)
        validation.require_finite("prices", array, "t l")
        return array

    def solve(self, prices: Any, start: Response | None = None, report: Report | None = None) -> Response:
        """Values, laws and purchases at prices [T, L], from those of another response where one is given.

        Raises
        ------
        InvalidGame
            ``axes`` or ``finite``.
        """
        prices = self.require_prices(prices)
        values, mass = self.start() if start is None else (start.values.copy(), start.mass.copy())

        def work(n: int, sweeps: Sweeps) -> _ChunkAnswer:
            sweeps.begin(self._types(n), prices, self.temperature)
            back = self._settle_values(sweeps, values[n])
            forward = self._settle_mass(sweeps, mass[n])
            counts = (back.sweeps, forward.sweeps + 1)
            return _ChunkAnswer(sweeps.purchases(), counts, max(back.distance, forward.distance), back.done and forward.done)

        found = self._each(work, len(self.population.weights), "response", report)
        return self._collected(prices, values, mass, found)

    def iterate(self, prices: Any, values: Array, mass: Array) -> Array:
        """One sweep over the day each way in place, from values and laws [N, R, C, lanes]; what is bought then [T, L].

        The unit of work of a fixed-point iteration, and of the benchmarks.
        """
        prices = self.require_prices(prices)

        def work(n: int, sweeps: Sweeps) -> Array:
            sweeps.begin(self._types(n), prices, self.temperature)
            sweeps.back(values[n])
            sweeps.forward(mass[n], measure=True)
            return sweeps.purchases()

        total: Array = np.tensordot(self.population.weights, self._by_type(self._each(work, len(self.population.weights), "iteration", None)), 1)
        return total

    def _by_type(self, parts: list[Array]) -> Array:
        """[K, T, L] of [lanes, T, L] by chunk."""
        return np.concatenate(parts)[: len(self.population.weights)]

    def _collected(self, prices: Array, values: Array, mass: Array, found: list[_ChunkAnswer]) -> Response:
        by_type = self._by_type([f.bought for f in found])
        sweeps = (max(f.sweeps[0] for f in found), max(f.sweeps[1] for f in found))
        total = np.tensordot(self.population.weights, by_type, 1)
        residual = max(f.residual for f in found)
        return Response(prices, total, by_type, values, mass, sweeps, residual, all(f.converged for f in found))

    def _settle_values(self, sweeps: Sweeps, v: Array) -> Settled:
        """Sweep backward until values stand still up to a constant, which is then added.

        A sweep contracts differences of values by :math:`\\rho=\\gamma^T`, so after one that changed them by a span d they are within
        :math:`d\\rho/(1-\\rho)` of the fixed point; the midpoint of the change gives the constant (MacQueen).
        """
        rho = self._contraction
        settled = settle(sweeps.back, v, tolerance=self.tolerance, limit=self.max_sweeps, up_to_a_constant=True, contraction=rho)
        v += 0.5 * (settled.change.max((0, 1)) + settled.change.min((0, 1))) * rho / (1.0 - rho)
        return settled

    def _settle_mass(self, sweeps: Sweeps, mass: Array) -> Settled:
        """Sweep forward until the law of stage 0 stands still; one more sweep measures."""

        def sweep(mass: Array) -> None:
            sweeps.forward(mass)
            mass /= mass.sum((0, 1))  # at low temperatures rounding of large values makes rows sum to 1 only nearly

        settled = settle(sweep, mass, tolerance=self.tolerance, limit=self.max_sweeps, up_to_a_constant=False)
        np.maximum(mass, 0.0, out=mass)  # extrapolation may leave negative rounding
        mass /= mass.sum((0, 1))
        sweeps.forward(mass, keep=True, measure=True)
        return settled

    @property
    def _contraction(self) -> float:
        """Of a sweep backward."""
        rate: float = self.population.discount ** self.population.signal.shape[0]
        return rate

    # --- what followers could gain ---------------------------------------------------------------------------------------

    def exploitability(self, response: Response, report: Report | None = None) -> Array:
        r"""What each type could gain per stage by its best policy at these prices, [K], in units of reward.

        :math:`\frac1T\sum_t\big((1-\gamma)\,\mu_t\cdot V^*_t-E[r_t]\big)`: as the law is stationary,
        :math:`(1-\gamma)\sum_t\mu_t\cdot V^\pi_t=\sum_tE[r_t]`, so this is the general game's exploitability without evaluating the policy.
        It is at most :math:`\tau\log B`, the price of softness  [B6.2]. NaN where best values did not settle.
        """
        rho, T = self._contraction, self.population.shape[1]

        def work(n: int, sweeps: Sweeps) -> Array:
            sweeps.begin(self._types(n), response.prices, self.temperature)
            v, mass = response.values[n].copy(), response.mass[n].copy()
            sweeps.back(v)
            sweeps.forward(mass, keep=True, measure=True)
            settled = settle(sweeps.back_hard, v, tolerance=self.tolerance, limit=self.max_sweeps, up_to_a_constant=True, contraction=rho)
            v += 0.5 * (settled.change.max((0, 1)) + settled.change.min((0, 1))) * rho / (1.0 - rho)
            best = sweeps.back_hard(v)
            gain: Array = self.temperature * ((1.0 - self.population.discount) * best - sweeps.earned()) / T
            return gain if settled.done else np.full_like(gain, np.nan)

        return np.concatenate(self._each(work, len(self.population.weights), "exploitability", report))[: len(self.population.weights)]

    # --- derivatives -------------------------------------------------------------------------------------------------

    def gradient(self, response: Response, payoff: Any, *, scale: float | None = None, report: Report | None = None) -> Array:
        r"""The derivative of :math:`\langle\text{payoff},y(p)\rangle` with respect to all prices, [T, L], by the adjoint  [C2].

        With :math:`q` the payoff's action values under the policy and :math:`\psi` its relative state values,
        :math:`g=\mu\pi(q-\psi)` is what a change of Q does; :math:`\lambda_{t+1}=\gamma\,\text{push}(g+\lambda\pi)` carries it to later stages, and prices
        change Q by :math:`-\text{net}/\tau`. One linear sweep backward and one forward until they stand still, whatever the number of prices.

        Parameters
        ----------
        response : Response
            At the prices to differentiate at; it should have converged.
        payoff : array [T, L] or [M, T, L]
            One payoff, or M of them, each with its own derivative [M, T, L].
        scale : float, optional
            Size of the payoffs that the tolerance is relative to; by default that of `payoff`.

        Returns
        -------
        array [T, L] or [M, T, L]
            NaN where the sweeps did not settle, as where a type's chain has several recurrent classes.
        """
        payoffs = np.asarray(payoff, dtype=float)
        payoffs = np.stack([self.require_prices(row) for row in payoffs]) if payoffs.ndim == 3 else self.require_prices(payoff)[None]
        size = max(float(np.abs(payoffs).max()) if scale is None else scale, 1e-300)
        K, M = len(self.population.weights), len(payoffs)
        largest = float(np.abs(self.population.net).max()) * size

        def work(n: int, sweeps: Sweeps) -> Array:
            pairs = _filled(n, sweeps.lanes, K * M)  # types and payoffs side by side
            types, which = pairs // M, pairs % M
            sweeps.begin(types, response.prices, self.temperature)
            v, mass = (np.moveaxis(a[types // self._lanes, :, :, types % self._lanes], 0, -1).copy() for a in (response.values, response.mass))
            sweeps.back(v)
            sweeps.forward(mass, keep=True)
            return self._derivative(sweeps, sweeps.payoff(payoffs[which]), np.zeros_like(v), largest)

        parts = np.concatenate(self._each(work, K * M, "gradient", report))[: K * M].reshape(K, M, *payoffs.shape[1:])
        slopes: Array = np.tensordot(self.population.weights, parts, 1)
        return slopes if np.ndim(payoff) == 3 else slopes[0]

    def _derivative(self, sweeps: Sweeps, pay: Array, zero: Array, size: float) -> Array:
        """Of each pair of a type and a payoff, [lanes, T, L]."""

        def back(psi: Array) -> None:
            sweeps.back_linear(psi, pay)
            psi -= psi[:1, :1].copy()

        backward = settle(back, zero.copy(), tolerance=self.tolerance * size, limit=self.max_sweeps, up_to_a_constant=True)
        source = sweeps.deviations(pay)
        parts = sweeps.purchases()

        def forward(carried: Array) -> None:
            sweeps.forward(carried, decay=self.population.discount, source=source)

        onward = settle(forward, zero, tolerance=self.tolerance * size, limit=self.max_sweeps, up_to_a_constant=False, contraction=self._contraction)
        sweeps.forward(zero, decay=self.population.discount, source=source, measure=True)
        total: Array = (parts + sweeps.purchases()) / -self.temperature
        return total if backward.done and onward.done else np.full_like(total, np.nan)


def _filled(n: int, lanes: int, count: int) -> Array:
    """The indices of chunk n [lanes] out of `count`, filled up with the last."""
    return np.minimum(np.arange(n * lanes, (n + 1) * lanes), count - 1)
