"""Home batteries under an hourly tariff: a population of prosumers whose purchases move the wholesale price.

A day of 24 hours that repeats itself. A household's state is (weather, charge level); its battery moves by one of 11 steps an hour,
at most its power. A step that the battery cannot make (beyond full or empty) acts as idle. Weather changes at midnight, for each
household by itself, so that what the population buys at an hour is certain. With load l, PV output g and the battery's intake e(b)
at the meter (losses on both ways), the meter sees

    n = l(h) - g(h, w) + e(b),      imports (n)^+ at the buy rate, exports (-n)^+ at the sell rate,

and the household earns ``-buy[h] (n)^+ + sell[h] (-n)^+ - wear * discharged``. Rates follow the population's own net purchases N(h),
kWh per household and hour:

    wholesale[h] = c0 + c1 N(h),   buy[h] = tariff[h] + wholesale[h],   sell[h] = share * wholesale[h].

The utility (leader) sets the 24 hourly adders tariff[h] within a box. Its objective, per household and day, is

    (1 - bill_weight) * bill - cost of supply,   bill = sum_h buy (n)^+ - sell (-n)^+,   cost = sum_h c0 N + c1 N^2 / 2.

Types differ in load, PV and battery size, by a low-discrepancy sequence instead of random draws; a type stands for many households
(types x multiplicity). Rewards do not depend on the charge level except through what is possible, so the game is a
`PricedPopulation` of a few kilobytes a type.

The default is small, for certificates; `population(types=1000)` with 50 levels and 3 regimes is the size that the benchmarks measure.

What is not in it: weather that all share (prices would follow it), demand response, network limits, seasons, more than one wear rate.
An answer to this model, not advice.

Source: constructed for this package from public figures (data/energy); not the case study of any paper.
"""

from __future__ import annotations

import csv
from typing import Any

import numpy as np

from stackopt import MeanFieldStackelbergGame
from stackopt.catalog import data_file, require
from stackopt.games.mean_field import Box
from stackopt.games.mean_field.priced import PricedPopulation, Prices, Supplier

#: Steps of the battery relative to its power: full, two thirds, a third, a sixth, a twelfth, idle.
STEPS = (-1.0, -2 / 3, -1 / 3, -1 / 6, -1 / 12, 0.0, 1 / 12, 1 / 6, 1 / 3, 2 / 3, 1.0)
#: PV output relative to a clear sky, and the chance that a regime lasts another day, by number of regimes.
WEATHER = {
    1: ((1.0,), ((1.0,),)),
    2: ((1.0, 0.35), ((0.8, 0.2), (0.4, 0.6))),
    3: ((1.0, 0.7, 0.35), ((0.7, 0.2, 0.1), (0.3, 0.4, 0.3), (0.2, 0.2, 0.6))),
}

#: Every figure: item, value, unit, source, status. Seen: read in the source. Reconstructed or assumed: ours.
ASSUMPTIONS = (
    ("household load", "22.85 a day", "kWh,", "CityLearn, Alameda county, summer, mean of 100 homes (NREL ResStock)", "seen, averaged"),
    ("PV output", "clear sky, Oakland, 21 June", "kW/kWdc,", "pvlib, Ineichen; moved by 1 h to clock time", "computed; upper bound on a real day"),
    ("PV size", "7.4", "kWdc,", "LBNL Tracking the Sun, median of 2023", "seen"),
    ("battery", "13.5, 5.0, 0.90", "kWh, kW, round trip,", "Powerwall 2 class", "seen"),
    ("wear", "0.05", "$/kWh discharged,", "installed price, half replaced after 10,000 cycles", "reconstructed"),
    ("wholesale price at no demand, and its slope", "0.018, 0.045", "$/kWh and $/kWh per kWh of a household and hour,", "", "assumption"),
    ("sales are paid this share of the wholesale price", "0.9", "", "", "assumption"),
    ("spread of load, PV and battery size over types", "0.5 .. 1.5, 0.6 .. 1.4, 0.8 .. 1.2", "times the figure above,", "", "assumption"),
    ("PV output by weather; how long weather lasts", "see WEATHER", "", "", "assumption"),
    ("discount", "0.98", "per hour", "", "assumption"),
    ("weight of the bill for the utility", "0.9", "", "", "assumption"),
)

#: Of a value: per household and day.
UNIT = "$ per household and day"

#: Of the default parameters. `value_at_flat_tariff`: the leader's value when every tariff is 0.2 $/kWh and households answer softly at a
#: temperature of 0.02 $.
KNOWN: dict[str, object] = {
    "value_at_flat_tariff": -0.0192900741,
    "tolerance": 1e-8,
    "reference": "price equilibrium of the structured layer, and a Newton-Krylov solution of the general game's fixed point; they differ by 7e-13",
}


def population(
    *,
    types: int = 4,
    charge_levels: int = 50,
    regimes: int = 3,
    pv_kw: float = 7.4,
    battery_kwh: float = 13.5,
    battery_kw: float = 5.0,
    efficiency: float = 0.90,
    wear: float = 0.05,
    discount: float = 0.98,
    season: str = "summer",
) -> PricedPopulation:
    """The households.

    Parameters
    ----------
    types : int
        K.
    charge_levels, regimes : int
        C (at least 2) and R (1, 2 or 3); a type has 24 * R * C states.
    pv_kw, battery_kwh, battery_kw : float
        Of the average type.
    efficiency : float
        Round trip, in (0, 1].
    wear : float
        $/kWh discharged at the meter.
    discount : float
        Per hour, in [0, 1).
    season : str
        ``"summer"`` or ``"winter"`` load; PV of 21 June or 21 December.
    """
    _validate(types=types, charge_levels=charge_levels, regimes=regimes, pv_kw=pv_kw, battery_kwh=battery_kwh, battery_kw=battery_kw,
              efficiency=efficiency, wear=wear, season=season)  # fmt: skip
    load, sun = _hourly("load_california.csv", season=season), _hourly("pv_clear_sky_oakland.csv", season=season)
    sun = np.roll(sun, 1) if season == "summer" else sun  # standard time to clock time
    factors, lasting = WEATHER[regimes]
    spread = _halton(types)  # [K, 3] in (0, 1)
    K, C = types, charge_levels
    level = np.arange(C)
    most = max(1, min(C - 1, int(battery_kw / (battery_kwh / (C - 1)))))  # levels an hour at full power
    steps = np.array([int(np.sign(s)) * max(1, round(abs(s) * most)) if s else 0 for s in STEPS])
    target = level[:, None] + steps
    possible = (target >= 0) & (target < C)
    idle = STEPS.index(0.0)
    move = np.where(possible, target, level[:, None])
    entry = np.where(possible, np.arange(len(STEPS)), idle)
    size = (0.8 + 0.4 * spread[:, 2])[:, None] * battery_kwh / (C - 1)  # kWh a level, [K, 1]
    intake = np.where(steps > 0, steps / np.sqrt(efficiency), steps * np.sqrt(efficiency)) * size  # at the meter, [K, I]
    demand = (0.5 + spread[:, 0])[:, None, None] * load[None, :, None]  # [K, T, 1]
    supply = (0.6 + 0.8 * spread[:, 1])[:, None, None] * pv_kw * sun[None, :, None] * np.array(factors)  # [K, T, R]
    meter = (demand - supply)[..., None] + intake[:, None, None, :]  # [K, T, R, I]
    signal = np.broadcast_to(np.eye(regimes), (24, regimes, regimes)).copy()
    signal[-1] = np.array(lasting)
    return PricedPopulation(
        move=move,
        entry=entry,
        signal=signal,
        base=-wear * np.maximum(-intake, 0.0)[:, None, None, :],
        net=np.stack([np.maximum(meter, 0.0), np.minimum(meter, 0.0)], axis=-1),
        discount=discount,
        types=[f"household {k + 1}" for k in range(K)],
        own=[f"{100 * c / (C - 1):.4g} % charged" for c in level],
        signals=("clear", "hazy", "cloudy")[:regimes] if regimes != 2 else ("clear", "cloudy"),
        actions=[f"{'charge' if s > 0 else 'discharge'} {abs(s):.3g}" if s else "idle" for s in STEPS],
        name="battery",
    )


def prices(*, intercept: float = 0.018, slope: float = 0.045, share: float = 0.9) -> Prices:
    """Buy and sell rates: wholesale ``intercept + slope * N`` $/kWh plus the tariff, and `share` of wholesale.

    Parameters
    ----------
    intercept : float
        $/kWh.
    slope : float
        $/kWh per kWh that the average household takes in an hour.
    share : float
        In [0, 1].
    """
    for name, value in (("intercept", intercept), ("slope", slope)):
        require("battery", name, value, np.isfinite(value) and value >= 0, "non-negative")
    require("battery", "share", share, 0 <= share <= 1, "in [0, 1]")
    leader = np.zeros((24, 2, 24))
    leader[np.arange(24), 0, np.arange(24)] = 1.0
    return Prices(
        constant=np.broadcast_to([intercept, share * intercept], (24, 2)),
        slope=[[slope, slope], [share * slope, share * slope]],
        leader=leader,
    )


def utility(*, intercept: float = 0.018, slope: float = 0.045, share: float = 0.9, bill_weight: float = 0.9) -> Supplier:
    """The leader's objective; `bill_weight` in (0, 1) is how much it cares for the customers' bills."""
    require("battery", "bill_weight", bill_weight, 0 < bill_weight < 1, "in (0, 1)")
    return Supplier(prices(intercept=intercept, slope=slope, share=share), intercept, slope, bill_weight)


def build(
    *,
    types: int = 2,
    charge_levels: int = 7,
    regimes: int = 2,
    intercept: float = 0.018,
    slope: float = 0.045,
    share: float = 0.9,
    bill_weight: float = 0.9,
    highest_tariff: float = 0.6,
    discount: float = 0.98,
) -> MeanFieldStackelbergGame:
    """The game as arrays that certificates read.

    Parameters
    ----------
    types, charge_levels, regimes, discount
        See `population`.
    intercept, slope, share
        See `prices`.
    bill_weight : float
        See `utility`.
    highest_tariff : float
        $/kWh; tariffs lie between 0 and this.
    """
    require("battery", "highest_tariff", highest_tariff, 0 < highest_tariff < 10, "in (0, 10)")
    return population(types=types, charge_levels=charge_levels, regimes=regimes, discount=discount).game(
        prices(intercept=intercept, slope=slope, share=share),
        leader=Box(np.zeros(24), np.full(24, highest_tariff)),
        objective=utility(intercept=intercept, slope=slope, share=share, bill_weight=bill_weight),
    )


def _validate(**values: Any) -> None:
    def hold(name: str, holds: bool, law: str) -> None:
        require("battery", name, values[name], holds, law)

    hold("types", isinstance(values["types"], int) and values["types"] >= 1, "a whole number, at least 1")
    hold("charge_levels", isinstance(values["charge_levels"], int) and 2 <= values["charge_levels"] <= 501, "from 2 to 501")
    hold("regimes", values["regimes"] in WEATHER, "1, 2 or 3")
    for name in ("battery_kwh", "battery_kw"):
        hold(name, values[name] > 0, "positive")
    for name in ("pv_kw", "wear"):
        hold(name, values[name] >= 0, "non-negative")
    hold("efficiency", 0 < values["efficiency"] <= 1, "in (0, 1]")
    hold("season", values["season"] in ("summer", "winter"), '"summer" or "winter"')


def _hourly(file: str, *, season: str) -> np.ndarray:
    """The 24 hourly values of a season."""
    with data_file("energy", file).open(newline="", encoding="utf-8") as lines:
        (row,) = (row for row in csv.DictReader(lines) if row["season"] == season)
    return np.array([float(row[f"h{hour:02d}"]) for hour in range(24)])


def _halton(count: int) -> np.ndarray:
    """Evenly spread points of the cube, [count, 3]: Halton's sequence in bases 2, 3 and 5."""
    points = np.zeros((count, 3))
    for d, base in enumerate((2, 3, 5)):
        index, weight = np.arange(1, count + 1), 1.0 / base
        while index.any():
            points[:, d] += weight * (index % base)
            index, weight = index // base, weight / base
    return points
