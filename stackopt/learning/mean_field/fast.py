r"""The equilibrium of a large priced population: prices at which what it buys brings these prices about.

Unknown are the prices [T, L] alone: :math:`F(p)=p(y(p),\theta)-p=0`, where y(p) is a `PeriodicResponse`. Steps are quasi-Newton with

.. math:: (I-M\,y'(p))\,dp=F(p),\qquad M=\partial p/\partial y,

where :math:`My'` comes from adjoints of a *sample* of the types and is then corrected by Broyden's rank-one updates with the whole population.
The sample is solved first, down a ladder of temperatures where the last one is low, so that the whole population is asked only a few times.

A million households are ten thousand types of a hundred each: cost grows with the number of types, and multiplicities are weights.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stackopt.errors import InvalidMethod
from stackopt.games.mean_field.chunked import PeriodicResponse, Response
from stackopt.games.mean_field.priced import PricedPopulation, Prices
from stackopt.games.operators import Array
from stackopt.learning.mean_field import checkpoint as files
from stackopt.solution import Progress, Report

#: Types in the sample that gives derivatives and a first guess: so many, or this share of all within these bounds.
SAMPLE, SHARE, LARGEST_SAMPLE = 64, 0.0125, 128
#: Relative accuracy of the sample's derivatives: they only steer.
ROUGH = 1e-5
#: Temperatures fall by at most this factor from one rung to the next.
LADDER = 2.5
#: Responses of the sample on one rung before it gives up.
RUNG = 60
#: Steps in a row that do not reduce the residual, after which derivatives are taken again.
FAILURES = 2
#: A step moves no price by more than this share of the largest price (and no less than this many units of the tolerance).
STEP = 0.25

Outcome = Literal["converged", "limit"]


@dataclass(frozen=True, eq=False)
class PriceEquilibrium:
    """Prices, and a population that answers them.

    Attributes
    ----------
    theta : array [D]
    prices : array [T, L]
    response : Response
        Of the whole population at these prices.
    temperature : float
    residual : float
        ``max |p(y, theta) - p|`` in units of the prices, of the whole population.
    exploitability : float
        What followers could gain per stage by their best policies at these prices, on average, in units of reward: the price of
        their softness, at most ``temperature * log(B)``.
    outcome : str
        ``"converged"``: the residual and the response's own are below their tolerances; ``"limit"``: the best found in
        `evaluations`.
    evaluations, sample_evaluations : int
        Responses of the whole population and of the sample.
    spectral_radius : float
        Of :math:`My'` on the sample: above 1, undamped iteration on prices runs away or cycles.
    feedback : array [T * L, T * L]
        :math:`My'` on the sample: row (t, l) is the derivative of what price (t, l) becomes with respect to all prices. Rough.
    """

    theta: Array
    prices: Array
    response: Response
    temperature: float
    residual: float
    exploitability: float
    outcome: Outcome
    evaluations: int
    sample_evaluations: int
    spectral_radius: float
    feedback: Array

    @property
    def converged(self) -> bool:
        """Whether both residuals are below their tolerances."""
        return self.outcome == "converged"


@dataclass(frozen=True, eq=False)
class _Point:
    """An iterate of the price iteration."""

    prices: Array  # [T, L]
    gap: Array  # p(y, theta) - p, [T, L]
    response: Response

    @property
    def residual(self) -> float:
        return float(np.abs(self.gap).max())


def price_equilibrium(
    population: PricedPopulation,
    prices: Prices,
    theta: Any,
    temperature: float,
    *,
    start: PriceEquilibrium | None = None,
    tolerance: float = 1e-8,
    max_evaluations: int = 60,
    compiled: bool | None = None,
    threads: int = 1,
    checkpoint: str | os.PathLike[str] | None = None,
    report: Report | None = None,
) -> PriceEquilibrium:
    """The soft equilibrium of `population` under the leader's decision theta.

    Parameters
    ----------
    population : PricedPopulation
    prices : Prices
        How prices follow from purchases and theta.
    theta : array [D]
    temperature : float
        Of the max-ent response, in units of the followers' reward.
    start : PriceEquilibrium, optional
        An equilibrium of the same population under another decision, to begin from instead of a sample: prices are moved to first
        order. Found with the same `compiled`.
    tolerance : float
        Of prices, in their units.
    max_evaluations : int
        Responses of the whole population.
    compiled, threads
        See `PeriodicResponse`; results do not depend on `threads`.
    checkpoint : path, optional
        After every response of the whole population its state is written there, whole or not at all. A run that finds the file
        goes on from it and ends with the numbers of a run that was not interrupted. It is kept at the end.
    report : callable, optional
        Called with `Progress`: stages ``sample``, ``response`` (chunks of types) and ``prices``, the last with the residual.

    Returns
    -------
    PriceEquilibrium
        Whose `outcome` is ``"limit"`` where the tolerance was not reached.

    Raises
    ------
    InvalidGame
        If theta does not fit.
    InvalidMethod
        ``setting`` or ``temperature``.
    InvalidStore
        ``checkpoint``: the file is of another problem, or cannot be read or written.
    Refused
        ``memory``.

    Examples
    --------
    >>> import numpy as np, stackopt as so
    >>> wait_or_buy = so.PricedPopulation(move=[[0, 0]], signal=[[1.0]], base=[0.0, 1.0], net=[[0.0], [1.0]], discount=0.0)
    >>> prices = so.Prices(constant=[[0.0]], slope=[[2.0]], leader=np.zeros((1, 1, 0)))
    >>> found = so.price_equilibrium(wait_or_buy, prices, [], temperature=0.1)
    >>> found.outcome, round(float(found.prices[0, 0]), 6)        # half of them buy at a price of 1
    ('converged', 1.0)
    """
    for name, value, law in (("tolerance", tolerance, "positive"), ("max_evaluations", max_evaluations, "at least 1")):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise InvalidMethod("setting", name=name, law=law, got=repr(value))
    theta = _require_theta(population, prices, theta)
    whole = PeriodicResponse(population, temperature, compiled=compiled, threads=threads)
    whole = replace(whole, tolerance=min(whole.tolerance, 1e-2 * tolerance / temperature))
    few = PeriodicResponse(sample(population), temperature, compiled=whole.compiled, threads=threads)
    path = None if checkpoint is None else Path(checkpoint)
    fingerprint = _fingerprint(population, prices, theta, temperature, tolerance, bool(whole.compiled), start) if path is not None else ""
    state = None if path is None else files.load(path, fingerprint)
    if state is None and start is not None:
        sampled, search = 0, _Search(prices, theta, _moved(prices, theta, start), start.feedback, tolerance)
    elif state is None:
        guess, steering, sampled = _from_sample(few, prices, theta, tolerance if few.population is population else None, report)
        search = _Search(prices, theta, guess, steering, tolerance)
    else:
        sampled, search = int(state["sampled"]), _Search.resumed(prices, theta, tolerance, state)

    def keep() -> None:
        if path is not None:
            files.save(path, fingerprint, {"sampled": np.array(sampled), **search.state()})

    keep()
    while not search.finished and search.evaluations < max_evaluations:
        begin = search.start
        if begin is None and start is not None:
            begin = replace(start.response, values=start.response.values * (start.temperature / temperature))
        search.take(whole.solve(search.next, begin, report))
        if search.failures >= FAILURES and not search.finished:
            search.steer(feedback(replace(few, tolerance=ROUGH), few.solve(search.best.prices), prices))
            sampled += 1
        if report is not None:
            report(Progress("prices", search.evaluations, max_evaluations, search.best.residual))
        keep()
    best = search.best
    outcome: Outcome = "converged" if best.residual <= tolerance and best.response.converged else "limit"
    gain = float(population.weights @ whole.exploitability(best.response, report))
    radius = float(np.abs(np.linalg.eigvals(search.steering)).max())
    return PriceEquilibrium(theta, best.prices, best.response, temperature, best.residual, gain, outcome, search.evaluations, sampled, radius, search.steering)


class _Search:
    """Broyden's iteration on prices; everything that the next step depends on is in `state`."""

    def __init__(self, prices: Prices, theta: Array, guess: Array, steering: Array, tolerance: float) -> None:
        self._prices, self._theta, self._tolerance = prices, theta, tolerance
        self.next, self.evaluations, self.failures = guess, 0, 0
        self._best: _Point | None = None
        self.steer(steering)

    @property
    def best(self) -> _Point:
        """The point with the smallest residual."""
        assert self._best is not None
        return self._best

    @property
    def start(self) -> Response | None:
        """Where the next response begins."""
        return None if self._best is None else self._best.response

    @property
    def finished(self) -> bool:
        """Whether the tolerance is met."""
        return self._best is not None and self._best.residual <= self._tolerance

    def steer(self, steering: Array) -> None:
        """Go on with these derivatives."""
        self.steering, self.failures = steering, 0
        self._inverse = np.linalg.inv(np.eye(len(steering)) - steering)
        if self._best is not None:
            self.next = self.best.prices + self._step()

    def take(self, response: Response) -> None:
        """Learn from the response at `next`, and choose the next prices."""
        point = _Point(self.next, self._prices.at(response.bought, self._theta) - self.next, response)
        self.evaluations += 1
        if self._best is None:
            self._best = point
        else:
            moved, changed = (point.prices - self.best.prices).ravel(), (self.best.gap - point.gap).ravel()
            # the inverse of -F' shall map the change of -F to the change of prices (Broyden, first kind, Sherman-Morrison)
            image = self._inverse @ changed
            scale = float(moved @ image)
            if abs(scale) > 1e-8 * float(moved @ moved) and np.isfinite(scale):
                self._inverse = self._inverse + np.outer(moved - image, moved @ self._inverse) / scale
            self.failures = 0 if point.residual < 0.9 * self.best.residual else self.failures + 1
            if point.residual < self.best.residual:
                self._best = point
        self.next = self.best.prices + self._step()

    def _step(self) -> Array:
        step: Array = (self._inverse @ self.best.gap.ravel()).reshape(self.best.prices.shape)
        largest, allowed = float(np.abs(step).max()), STEP * max(float(np.abs(self.best.prices).max()), 10.0 * self._tolerance)
        return step * min(1.0, allowed / largest) if largest > 0 else step

    def state(self) -> dict[str, Array]:
        """Everything, as arrays."""
        found = {"steering": self.steering, "inverse": self._inverse, "next": self.next, "counts": np.array([self.evaluations, self.failures])}
        if self._best is not None:
            response = self.best.response
            found |= {"prices": self.best.prices, "gap": self.best.gap, "bought": response.bought, "bought_by_type": response.bought_by_type}
            found |= {"values": response.values, "mass": response.mass, "sweeps": np.array(response.sweeps)}
            found |= {"residual": np.array([response.residual, response.converged])}
        return found

    @classmethod
    def resumed(cls, prices: Prices, theta: Array, tolerance: float, state: dict[str, Array]) -> _Search:
        """The search that wrote `state`."""
        search = cls(prices, theta, state["next"], state["steering"], tolerance)
        search._inverse, (search.evaluations, search.failures) = state["inverse"], (int(n) for n in state["counts"])
        if "prices" in state:
            sweeps = (int(state["sweeps"][0]), int(state["sweeps"][1]))
            residual, converged = state["residual"]
            bought, by_type = state["bought"], state["bought_by_type"]
            response = Response(state["prices"], bought, by_type, state["values"], state["mass"], sweeps, float(residual), bool(converged))
            search._best = _Point(state["prices"], state["gap"], response)
        return search


def sample(population: PricedPopulation) -> PricedPopulation:
    """A few types with their neighbours' weights; spaced by the golden ratio, which is in step with no pattern of the types' order."""
    K = len(population.weights)
    count = min(max(SAMPLE, int(SHARE * K)), LARGEST_SAMPLE)
    if count >= K:
        return population
    chosen = np.unique((np.arange(count) * 0.6180339887498949 % 1.0 * K).astype(int))
    ends = np.concatenate([[0], (chosen[1:] + chosen[:-1] + 1) // 2])
    weights = np.add.reduceat(population.weights, ends)
    base, net = (a if a.shape[0] == 1 else a[chosen] for a in (population.base, population.net))
    return replace(population, base=base, net=net, weights=weights / weights.sum(), types=None)


def feedback(response: PeriodicResponse, at: Response, prices: Prices) -> Array:
    r""":math:`My'(p)` [T * L, T * L], by as many adjoints as M has rank: one for each stage where all channels follow one price."""
    T, L, _ = prices.shape
    payoffs, back = [], []
    for t in range(T):
        left, sizes, right = np.linalg.svd(prices.slope[t])
        for which in np.flatnonzero(sizes > 1e-14 * max(float(sizes[0]), 1e-300)):
            payoff = np.zeros((T, L))
            payoff[t] = right[which]
            payoffs.append(payoff)
            back.append((t, left[:, which] * sizes[which]))
    found = np.zeros((T, L, T * L))
    if payoffs:
        for (t, share), slope in zip(back, response.gradient(at, np.stack(payoffs)), strict=True):
            found[t] += np.outer(share, np.nan_to_num(slope.ravel()))  # what did not settle does not steer
    return found.reshape(T * L, T * L)


def _ladder(start: float, end: float) -> Iterator[float]:
    """Temperatures from `start` down to `end`, in even ratios of at most `LADDER`."""
    rungs = max(0, math.ceil(math.log(start / end) / math.log(LADDER))) if start > end else 0
    for rung in range(rungs, -1, -1):
        yield end * (start / end) ** (rung / rungs) if rungs else end


def _from_sample(few: PeriodicResponse, prices: Prices, theta: Array, tolerance: float | None, report: Report | None) -> tuple[Array, Array, int]:
    """Prices, feedback and responses used of the sample's equilibrium; to a millionth where no tolerance is given."""
    guess = prices.at(np.zeros(prices.shape[:2]), theta)
    size = float(np.abs(guess).max())
    warm = max(0.1 * size, 0.1 * float(np.ptp(few.population.base)), few.temperature)
    used = 0
    for temperature in _ladder(warm, few.temperature):
        response = replace(few, temperature=temperature)
        rough = replace(response, tolerance=ROUGH)
        at = response.solve(guess)
        search = _Search(prices, theta, guess, feedback(rough, at, prices), 1e-6 * size if tolerance is None else tolerance)
        search.take(at)
        while not search.finished and search.evaluations < RUNG:
            search.take(response.solve(search.next, search.start))
            if search.failures >= FAILURES and not search.finished:
                search.steer(feedback(rough, search.best.response, prices))
        used, guess = used + search.evaluations, search.best.prices
        if report is not None:
            report(Progress(f"sample at temperature {temperature:.4g}", used, None, search.best.residual))
    return guess, feedback(rough, search.best.response, prices), used


def _require_theta(population: PricedPopulation, prices: Prices, theta: Any) -> Array:
    from stackopt.errors import InvalidGame
    from stackopt.games import validation

    _, T, _, _, _, _, L = population.sizes
    if prices.shape[:2] != (T, L):
        raise InvalidGame("axes", array="prices", axes="[T, L, D]", expected=(T, L, "D"), got=prices.shape)
    array = np.atleast_1d(validation.as_float("theta", theta, "[D]"))
    if array.shape != (prices.shape[2],):
        raise InvalidGame("axes", array="theta", axes="[D]", expected=(prices.shape[2],), got=array.shape)
    validation.require_finite("theta", array, "d")
    return array


def _moved(prices: Prices, theta: Array, start: PriceEquilibrium) -> Array:
    """The prices of another equilibrium, moved to first order by the change of the decision."""
    change = prices.at(start.response.bought, theta) - prices.at(start.response.bought, start.theta)
    moved: Array = start.prices + np.linalg.solve(np.eye(change.size) - start.feedback, change.ravel()).reshape(change.shape)
    return moved


def _fingerprint(
    population: PricedPopulation, prices: Prices, theta: Array, temperature: float, tolerance: float, compiled: bool, start: PriceEquilibrium | None
) -> str:
    """Of everything that the numbers depend on."""
    digest = hashlib.sha256()
    followers = (population.move, population.entry, population.signal, population.base, population.net, population.weights)
    begun = () if start is None else (start.theta, start.prices, start.feedback, start.response.values, start.response.mass)
    for array in (*followers, prices.constant, prices.slope, prices.leader, theta, *begun):
        digest.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    digest.update(f"{population.discount!r} {temperature!r} {tolerance!r} {compiled}".encode())
    return digest.hexdigest()
