"""Time-of-use tariff: a utility prices a household with rooftop PV and a battery.

A summer weekday in four periods: night 0-6, day 6-16, peak 16-21, late 21-24 (clock hours; 16-21 is the peak of PG&E's
schedule E-TOU-C). The state is (period, charge level, PV regime). The utility (leader) sets the energy rate of the period
from a menu of rates that schedule E-TOU-C really has; it sees the period and the regime, not the battery. The household
(follower) moves its battery by one level up (charge), not at all (idle), or one level down (discharge). Rates do not move
the state, so the best randomised tariff is a mixed-integer program (theory D3). A mixed rate is an average rate: only the mean
of the menu under the leader's weights enters either reward.

Load and PV of each hour are netted; over a period and regime the meter sees the deficit D, the sum of the hours in which the
load is larger, and the surplus G, the sum of the others (kWh). A battery that takes e kWh at the meter uses surplus first, one
that gives e kWh covers the deficit first; (...)^+ is the positive part:

    charge      import D + (e - G)^+,  export (G - e)^+,    e = step / sqrt(efficiency)
    idle        import D,              export G
    discharge   import (D - e)^+,      export G + (e - D)^+,    e = step * sqrt(efficiency)

With the avoided cost c ($/kWh, the mean over the period's hours), in $ per household and period:

    bill      = rate * import - c * export                      (net billing)
    follower  = -bill - degradation * discharged
    leader    = (1 - bill_weight) * bill - c * (import - export)

`bill_weight` in (0, 1) is how much the utility cares for the customer's bill; at 1 it would only minimise supply cost, at
0 it would only maximise profit. A move that the battery cannot make (charge when full, discharge when empty) acts as idle.
The regime may change at midnight. The discount is per period of six hours on average: ``discount_per_hour ** 6``.

The trade-off: supply is several times dearer in the peak, so the utility wants the battery full at 16 o'clock and emptied in
the peak, and it likes revenue. On a clear day the sun fills the battery anyway. On a cloudy day it does not: at the highest
rate the household does not buy by day what it could use and sell in the peak. Charging by day costs (e - G) times the rate
and lost credit, so the utility lowers the cloudy day's rate, and no further than to the point where the household is just
indifferent. There ties decide: strong and weak values of that tariff differ, and a soft follower answers half-heartedly.

What is not in it: a fixed charge, demand response, network limits, other households, hourly rates, forecast errors inside
a day. The tariff it finds is an answer to this model, not advice to a commission.

Source: constructed for this package from public figures (data/energy); not the case study of any paper.
"""

from __future__ import annotations

import csv
from typing import Any

import numpy as np

from stackopt import StackelbergGame
from stackopt.catalog import data_file, require

PERIODS = {"night": range(6), "day": range(6, 16), "peak": range(16, 21), "late": range(21, 24)}
MOVES = {"charge": 1, "idle": 0, "discharge": -1}

#: Every figure: item, value, unit, source, status. Seen: read in the source. Reconstructed or assumed: ours.
ASSUMPTIONS = (
    ("rates", "0.36757 0.39757 0.3994 0.5224", "$/kWh,",
     "PG&E E-TOU-C from 2026-06-01, above baseline: winter off-peak, winter peak, summer off-peak, summer peak", "seen"),
    ("peak hours", "16-21", "h,", "PG&E E-TOU-C", "seen"),
    ("avoided cost = export credit", "hourly, weekday of the month", "$/kWh,", "PG&E export rates, vintage NBT26, year 2026 (CPUC avoided costs)", "seen"),
    ("household load", "22.85 a day", "kWh,", "CityLearn, Alameda county, summer, mean of 100 homes (NREL ResStock)", "seen, averaged"),
    ("PV output", "clear sky, Oakland, 21 June", "kW/kWdc,", "pvlib, Ineichen; moved by 1 h to clock time", "computed; upper bound on a real day"),
    ("PV size", "7.4", "kWdc,", "LBNL Tracking the Sun, median of 2023", "seen"),
    ("battery", "13.5, 5.0, 0.90", "kWh, kW, round trip,", "Powerwall 2 class", "seen"),
    ("degradation", "0.05", "$/kWh discharged,", "installed price, half replaced after 10,000 cycles", "reconstructed"),
    ("cloudy PV factor", "0.35", "", "", "assumption"),
    ("regime lasts overnight, clear / cloudy", "0.8 / 0.6", "", "", "assumption"),
    ("discount", "0.995", "per hour", "", "assumption"),
    ("weight of the bill for the utility", "0.9", "", "", "assumption"),
    ("the avoided cost is the utility's supply cost", "", "", "", "assumption"),
    ("costs averaged over a period; the battery serves own use first", "", "", "", "assumption"),
    ("the utility sees period and PV regime, not the battery", "", "", "", "assumption"),
)

#: Of a value: the discounted sum over periods.
UNIT = "$ per household"

#: E-TOU-C itself, as scheduled for the summer: 0.5224 in the peak, 0.3994 otherwise.
SCHEDULE = {"night": 0.3994, "day": 0.3994, "peak": 0.5224, "late": 0.3994}

#: Of the default parameters; `strong_leader_sees_battery` with that parameter set. `as_scheduled`, `highest`, `lowest`: the
#: utility's value when it charges SCHEDULE, or the highest or the lowest rate of the menu always (no ties there).
KNOWN: dict[str, object] = {
    "strong": 13.8198390088,
    "weak": 13.8198390088,
    "weak_margin_1e-4": 13.8197694643,
    "strong_leader_sees_battery": 13.8327732886,
    "as_scheduled": 13.1264898646,
    "highest": 11.3101636619,
    "lowest": 10.3791008599,
    "tolerance": 2e-6,
    "reference": "two mixed-integer programs written apart, one in this package, one on scipy.optimize.milp; weak: approached as the margin falls",
}


def build(
    *,
    menu: tuple[float, ...] = (0.36757, 0.39757, 0.3994, 0.5224),
    month: int = 6,
    pv_kw: float = 7.4,
    battery_kwh: float = 13.5,
    battery_kw: float = 5.0,
    efficiency: float = 0.90,
    degradation: float = 0.05,
    charge_levels: int = 3,
    regimes: int = 2,
    cloudy_factor: float = 0.35,
    stay_clear: float = 0.8,
    stay_cloudy: float = 0.6,
    bill_weight: float = 0.9,
    discount_per_hour: float = 0.995,
    leader_sees_battery: bool = False,
) -> StackelbergGame:
    """The tariff game.

    Parameters
    ----------
    menu : tuple of float
        Energy rates the utility chooses from, $/kWh, in any order.
    month : int
        Of the avoided cost, 6 to 9 (the summer season of the schedule).
    pv_kw, battery_kwh, battery_kw : float
        Sizes of the household's PV (kWdc) and battery (usable kWh, kW at the meter).
    efficiency : float
        Round trip of the battery, in (0, 1]; the square root is lost each way.
    degradation : float
        $/kWh discharged at the meter.
    charge_levels : int
        Levels of charge from empty to full, at least 2.
    regimes : int
        1 (always clear) or 2 (clear and cloudy).
    cloudy_factor, stay_clear, stay_cloudy : float
        PV output of a cloudy day relative to a clear one; probabilities that a regime lasts another day.
    bill_weight : float
        In (0, 1): weight of the customer's bill in the utility's objective.
    discount_per_hour : float
        In [0, 1).
    leader_sees_battery : bool
        Whether the rate may depend on the charge level, too.
    """
    _validate(**locals())
    rates = np.asarray(menu)
    levels, step = charge_levels, battery_kwh / (charge_levels - 1)
    deficit, surplus, cost, hours = _meter(month, pv_kw, cloudy_factor, regimes)
    taken, given = step / np.sqrt(efficiency), step * np.sqrt(efficiency)
    n_periods = len(PERIODS)
    S = n_periods * levels * regimes
    index = np.arange(S).reshape(n_periods, levels, regimes)
    imported, exported, discharged = np.zeros((3, S, len(MOVES)))
    transition = np.zeros((S, len(rates), len(MOVES), S))
    overnight = np.array([[stay_clear, 1 - stay_clear], [1 - stay_cloudy, stay_cloudy]]) if regimes == 2 else np.eye(1)
    for (p, level, w), s in np.ndenumerate(index):
        for b, move in enumerate(MOVES.values()):
            e = taken if move > 0 else given
            possible = 0 <= level + move < levels and e <= battery_kw * hours[p] + 1e-12
            move = move if possible else 0
            D, G = deficit[p, w], surplus[p, w]
            if move > 0:
                imported[s, b], exported[s, b] = D + max(e - G, 0.0), max(G - e, 0.0)
            elif move < 0:
                imported[s, b], exported[s, b], discharged[s, b] = max(D - e, 0.0), G + max(e - D, 0.0), e
            else:
                imported[s, b], exported[s, b] = D, G
            change = overnight[w] if p == n_periods - 1 else np.eye(regimes)[w]
            transition[s, :, b, index[(p + 1) % n_periods, level + move]] += change[:, None]
    supply = cost[np.indices(index.shape)[0].ravel()][:, None]
    bill = rates[None, :, None] * imported[:, None, :] - (supply * exported)[:, None, :]
    names = [(p, f"{level * step:.4g} kWh", ("clear", "cloudy")[w]) for p in PERIODS for level in range(levels) for w in range(regimes)]
    return StackelbergGame(
        leader_reward=(1 - bill_weight) * bill - (supply * (imported - exported))[:, None, :],
        follower_reward=-bill - degradation * discharged[:, None, :],
        transition=transition,
        discount=discount_per_hour ** (24 / n_periods),
        initial=_midnight(index, overnight),
        leader_observes=None if leader_sees_battery else [(p, w) for p, _, w in names],
        states=[", ".join(name) for name in names],
        leader_actions=[f"{rate:.5g} $/kWh" for rate in rates],
        follower_actions=list(MOVES),
        name="tariff",
    )


def _validate(**values: Any) -> None:
    def hold(name: str, holds: bool, law: str) -> None:
        require("tariff", name, values[name], holds, law)

    menu = values["menu"]
    hold("menu", 1 <= len(menu) == len(set(menu)) and all(0 < rate < 10 for rate in menu), "one or more different rates in (0, 10) $/kWh")
    hold("month", values["month"] in (6, 7, 8, 9), "a month of the summer season, 6 to 9")
    for name in ("battery_kwh", "battery_kw"):
        hold(name, values[name] > 0, "positive")
    for name in ("pv_kw", "degradation"):
        hold(name, values[name] >= 0, "non-negative")
    hold("efficiency", 0 < values["efficiency"] <= 1, "in (0, 1]")
    hold("charge_levels", 2 <= values["charge_levels"] <= 101, "from 2 to 101")
    hold("regimes", values["regimes"] in (1, 2), "1 or 2")
    for name in ("cloudy_factor", "stay_clear", "stay_cloudy"):
        hold(name, 0 <= values[name] <= 1, "in [0, 1]")
    hold("bill_weight", 0 < values["bill_weight"] < 1, "in (0, 1)")
    hold("discount_per_hour", 0 <= values["discount_per_hour"] < 1, "in [0, 1)")


def _meter(month: int, pv_kw: float, cloudy_factor: float, regimes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
    """Deficit and surplus [period, regime] in kWh, avoided cost [period] in $/kWh, hours [period]."""
    load = _hourly("load_california.csv", season="summer")
    pv = np.roll(_hourly("pv_clear_sky_oakland.csv", season="summer"), 1)  # standard time to clock time
    avoided = _hourly("avoided_cost_pge_nbt26.csv", month=str(month), day_type="Weekday")
    net = load[:, None] - pv_kw * pv[:, None] * np.array([1.0, cloudy_factor])[:regimes]
    spans = [list(hours) for hours in PERIODS.values()]
    deficit = np.array([np.maximum(net[hours], 0).sum(0) for hours in spans])
    surplus = np.array([np.maximum(-net[hours], 0).sum(0) for hours in spans])
    return deficit, surplus, np.array([avoided[hours].mean() for hours in spans]), [len(hours) for hours in spans]


def _hourly(file: str, **where: str) -> np.ndarray:
    """The 24 hourly values of the one row that matches."""
    with data_file("energy", file).open(newline="", encoding="utf-8") as lines:
        (row,) = (row for row in csv.DictReader(lines) if all(row[key] == value for key, value in where.items()))
    return np.array([float(row[f"h{hour:02d}"]) for hour in range(24)])


def _midnight(index: np.ndarray, overnight: np.ndarray) -> np.ndarray:
    """Start at the beginning of the night, every charge level equally likely, regimes in their long-run proportions."""
    leaving = 1 - np.diag(overnight)  # long-run shares are proportional to the chance of leaving the *other* regime
    shares = leaving[::-1] / leaving.sum() if leaving.sum() > 0 else np.full(len(overnight), 1 / len(overnight))
    initial = np.zeros(index.size)
    initial[index[0]] = shares / index.shape[1]
    return initial
