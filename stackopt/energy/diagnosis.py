r"""Whether an equilibrium can be relied on: what could be gained, whether iteration would cycle, uniqueness, closure by weather, bounds.

Prices are taken to depend on hour and regime only. Batteries remember the weather of days before, so the true load depends on its history,
and so would prices; how much is simulated: laws of charge are carried along paths of weather, and the market clears each hour of them anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block, number
from stackopt.energy.equilibrium import Equilibrium, monotonicity, spectral_radius
from stackopt.energy.households import HOURS, Weather
from stackopt.energy.market.supply import Settles
from stackopt.energy.price_search import demand_jacobian
from stackopt.solution import Status

Array = NDArray[np.float64]

#: Eigenvalue, kWh per $/kWh, up to which demand counts as monotone: rounding.
MONOTONE = 1e-9
#: Chance of a move, joint with its regime, below which a bound that it meets is not mentioned.
RARE = 1e-9
#: Simulated days whose market is cleared anew where that takes an optimisation.
PRICED = 160


@dataclass(frozen=True)
class Closure:
    """What prices by hour and regime leave out: true less assumed, over simulated histories of weather.

    Attributes
    ----------
    load_bias, load_deviation, load_worst : float, MW
        Mean, standard deviation and largest size, over buses and hours.
    price_bias, price_deviation, price_worst : float, $/MWh
    days, priced : int
        Simulated, and those whose market was cleared anew: fewer where that takes an optimisation.
    """

    load_bias: float
    load_deviation: float
    load_worst: float
    price_bias: float
    price_deviation: float
    price_worst: float
    days: int
    priced: int


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Of an equilibrium.

    Attributes
    ----------
    found : Equilibrium
    exploitability, of_owners : float, $/day
        What a household could gain on average, and one with a battery; NaN without batteries.
    spectral_radius : float
        Of S'J: above 1, iterating prices without damping cycles.
    monotonicity : float, kWh per $/kWh
        Largest eigenvalue of the symmetric part of demand's derivative; at most 0 certifies, locally, one equilibrium.
    coupled : bool
        Whether the tariff passes any wholesale price on.
    closure : Closure
    bounds : tuple of str
        What stands at a bound, with how much of it.
    """

    found: Equilibrium
    exploitability: float
    of_owners: float
    spectral_radius: float
    monotonicity: float
    coupled: bool
    closure: Closure
    bounds: tuple[str, ...]

    @property
    def alone(self) -> bool:
        """Whether these prices are an equilibrium, and the only one nearby."""
        return self.found.converged and self.monotonicity <= MONOTONE

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before using the figures."""
        said = []
        if not self.found.converged:
            said.append(f"not an equilibrium: {self.found.because}")
        if self.coupled and self.spectral_radius >= 1.0:
            said.append(f"iterating prices without damping would cycle: spectral radius {number(self.spectral_radius, 3)}")
        if self.monotonicity > MONOTONE:
            said.append(f"other equilibria are not excluded: demand is not monotone, eigenvalue {number(self.monotonicity, 2)}")
        return (*said, *self.bounds)

    def block(self) -> Block:
        """The printed form."""
        c, e = self.closure, self.found
        owners = "" if np.isnan(self.of_owners) else f", with a battery {number(self.of_owners, 3)}"
        priced = f", prices of {c.priced}" if c.priced < c.days else ""
        rows = [
            ("prices", f"residual {number(e.residual, 2)} $/kWh; {e.because}"),
            ("exploitability", f"{number(self.exploitability, 3)} $ a day and household{owners}; temperature {e.response.temperature:g} $"),
            ("iteration", f"spectral radius {number(self.spectral_radius, 3)}" if self.coupled else "no price is passed on: households decouple"),
            ("uniqueness", f"largest eigenvalue {number(self.monotonicity, 2)}: " + ("one, locally" if self.alone else "not shown")),
            ("weather", f"load by history {number(c.load_bias, 1)} +- {number(c.load_deviation, 2)} MW, at most {number(c.load_worst, 2)}; price +- "
                f"{number(c.price_deviation, 2)} $/MWh, at most {number(c.price_worst, 2)}; {c.days:,} days{priced}"),
        ]  # fmt: skip
        rows += [("note", text) for text in self.warnings]
        return Block(f'Diagnosis under tariff "{e.tariff.name}": {e.status}', tuple(rows), good=e.converged and e.status is Status.CONVERGED)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__


def diagnose(found: Equilibrium, *, paths: int = 32, days: int = 40, seed: int = 0) -> Diagnosis:
    """Compute everything that says how far an equilibrium can be relied on.

    Parameters
    ----------
    found : Equilibrium
        Converged or not; the diagnosis says which.
    paths, days, seed : int
        Of the simulation of weather: independent histories, and days of each that count after half as many that do not.
    """
    households, response = found.households, found.response
    jacobian = demand_jacobian(response)
    gain = response.exploitability()
    owners = households.share * np.array([t.battery is not None for t in households.types])
    passed = found.tariff.passed(households)
    return Diagnosis(
        found, float(households.share @ gain), float(owners @ gain / owners.sum()) if owners.sum() > 0 else float("nan"),
        spectral_radius(found, jacobian), monotonicity(found, jacobian), bool(passed[0].any() or passed[1].any()),
        closure(found, paths, days, seed), bounds(found),
    )  # fmt: skip


def histories(weather: Weather, paths: int, hours: int, seed: int) -> NDArray[np.int64]:
    """Regimes [paths, hours], from the long-run law, beginning at midnight."""
    rng = np.random.default_rng(seed)
    chances = weather.hourly.cumsum(-1)
    regimes = np.empty((paths, hours), np.int64)
    last = len(weather.names) - 1
    regimes[:, 0] = np.minimum(np.searchsorted(weather.shares.cumsum(), rng.random(paths), side="right"), last)
    for t in range(1, hours):
        below = rng.random(paths)[:, None] >= chances[(t - 1) % HOURS][regimes[:, t - 1]]
        regimes[:, t] = np.minimum(below.sum(-1), last)
    return regimes


def loads_along(found: Equilibrium, regimes: NDArray[np.int64]) -> Array:
    """Net load of all households on each bus [n, paths, hours], MW, when the weather is `regimes` [paths, hours] and prices are those found.

    Laws of charge begin with the long-run one of the first regime.
    """
    response, households = found.response, found.households
    paths, hours = regimes.shape
    loads = np.zeros((len(households.buses), paths, hours))
    W = len(households.weather.names)
    for part in response.parts:
        onto = np.zeros((len(loads), len(part.members)))
        onto[households.bus_of[part.members], np.arange(len(part.members))] = households.share[part.members]
        if part.charging is None or part.control is None:
            by_hour = np.tensordot(onto, part.hour.net[..., 0], 1)  # [n, h, w]
            loads += by_hour[:, np.arange(hours) % HOURS, regimes]
            continue
        policy = part.control.policy
        steps = part.charging.steps(policy)
        takes = np.einsum("ihwca,ihwa->ihwc", policy, part.hour.net)
        begin = part.control.occupancy[:, 0] / households.weather.shares[:, None]  # [i, w, c]
        law = begin[:, regimes[:, 0]]  # [i, paths, c]
        for t in range(hours):
            h = t % HOURS
            after = np.empty_like(law)
            for w in range(W):
                here = regimes[:, t] == w
                loads[:, here, t] += onto @ (law[:, here] @ takes[:, h, w, :, None])[..., 0]
                after[:, here] = law[:, here] @ steps[:, h, w]
            law = after
    scaled: Array = loads * households.count / 1000.0
    return scaled


def closure(found: Equilibrium, paths: int = 32, days: int = 40, seed: int = 0) -> Closure:
    """How far loads and prices by history differ from those by hour and regime."""
    skipped = (days + 1) // 2
    regimes = histories(found.households.weather, paths, HOURS * (skipped + days), seed)
    loads = loads_along(found, regimes)[..., HOURS * skipped :]
    counted = regimes[:, HOURS * skipped :]
    hour = np.arange(counted.shape[1]) % HOURS
    off = loads - found.response.load[:, hour, counted]
    n = len(loads)
    most = PRICED if isinstance(found.market, Settles) else paths * days
    chosen = np.linspace(0, paths * days - 1, min(most, paths * days)).round().astype(int)
    daily = np.moveaxis(loads.reshape(n, paths * days, HOURS)[:, chosen], 2, 1)  # [n, h, day]
    assumed = found.cleared[:, np.arange(HOURS)[:, None], counted.reshape(-1, HOURS)[chosen].T]
    wrong = found.market.clear(daily)[0] - 1000.0 * assumed
    (a, b, c), (d, e, f) = ((float(x.mean()), float(x.std()), float(np.abs(x).max())) for x in (off, wrong))
    return Closure(a, b, c, d, e, f, paths * days, len(chosen))


def bounds(found: Equilibrium) -> tuple[str, ...]:
    """What stands at a bound: households that use nothing or leave credits over, prices at a floor or below 0, load that is shed."""
    said, response, households = [], found.response, found.households
    idle = 0.0
    first = ""
    for part in response.parts:
        charge = np.zeros(1) if part.charging is None else part.charging.battery.metered
        use = part.hour.net - charge + households.sun[part.members][..., None]
        stuck = (use <= 1e-12) & (part.moves > RARE)
        if stuck.any():
            i, h, w, _ = np.argwhere(stuck)[0]
            first = first or f"{households.types[part.members[i]].name}, hour {h}, {households.weather.names[w]}"
        idle += float(households.share[part.members] @ np.where(stuck, part.moves, 0.0).sum((1, 2, 3))) / HOURS
    if first:
        said.append(f"use is at its lower bound of nothing in {number(100 * idle, 3)} % of household-hours, first {first}: demand extrapolated too far")
    kept, bound = response.kept, 100.0 * households.share
    if (kept < 1.0).any() and found.tariff.true_up is not None:
        left, used = float(bound[kept == 0.0].sum()), float(bound[(kept > 0.0) & (kept < 1.0)].sum())
        text = f"the true-up binds: {number(left, 3)} % of households have credits left over, and a kWh is worth {found.tariff.true_up:g} $ to them"
        said.append(text + (f"; {number(used, 3)} % use more until nothing is left over" if used else ""))
    names = households.weather.names

    def at(cells: NDArray[np.bool_]) -> str:
        n, h, w = np.argwhere(cells)[0]
        return f"{int(cells.sum())} of {cells.size} hours and regimes, first hour {h}, {names[w]}" + (f", bus {households.buses[n]}" if len(cells) > 1 else "")

    slack = max(found.residual, 1e-12)  # $/kWh, to which prices are known
    negative = found.price < -slack
    if negative.any():
        said.append(f"wholesale prices are negative in {at(negative)}")
    floor = getattr(found.market, "floor", -np.inf)
    floored = 1000.0 * (found.price - slack) <= floor
    if np.isfinite(floor) and floored.any():
        said.append(f"wholesale prices are at their floor of {floor:g} $/MWh in {at(floored)}: generation is curtailed")
    unserved = getattr(found.market, "unserved", None)
    if callable(unserved):
        shed = np.asarray(unserved(response.load), float)
        if (shed > 1e-2 * np.maximum(np.abs(found.market.total(response.load)), 1.0)).any():
            said.append(f"load is shed, up to {number(float(shed.max()), 3)} MW: a price there is the value of lost load")
    overshed = getattr(found.market, "overshed", None)
    if callable(overshed) and (most := float(np.asarray(overshed(response.load), float).max())) > 0.0:
        said.append(f"more load is shed at a bus than it has, by up to {number(most, 3)} MW: costs and prices of such hours may be too low")
    return tuple(said)
