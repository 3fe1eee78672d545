"""A tariff of a study's own, as its file states it: rates by hour, period or season, charges, and whether it is scaled to recover the requirement."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.households import HOURS, Weather
from stackopt.energy.market.network import CREDIBLE
from stackopt.energy.seasons import by_regime
from stackopt.energy.tariff import Tariff
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OwnTariff:
    """A tariff of a study's own.

    Parameters
    ----------
    name : str
    buy, sell : arrays [24], or [24, w] by season, $/kWh
    pass_buy, pass_sell : float
    fixed : $/month, or mapping of group
    discount : mapping of group to share
    net_metering : bool
    neutral : bool
        Whether `buy` is scaled so that the requirement is recovered.
    true_up : float, $/kWh, optional
    """

    name: str
    buy: Array
    sell: Array
    pass_buy: float = 0.0
    pass_sell: float = 0.0
    fixed: Any = 0.0
    discount: Mapping[str, float] = field(default_factory=dict)
    net_metering: bool = False
    neutral: bool = True
    true_up: float | None = None

    @classmethod
    def of(cls, name: str, content: Mapping[str, Any], periods: Mapping[str, Sequence[int]], groups: Sequence[str], weather: Weather) -> OwnTariff:
        """From a table of a study file; raises InvalidStudy ``study-key``, ``setting-value``, ``rate-units`` or ``group``."""
        known = ["buy", "sell", "pass_buy", "pass_sell", "fixed", "discount", "net_metering", "neutral", "true_up"]
        for key in content:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
                said = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(known)}"
                raise InvalidStudy("study-key", where=key, key=key, place=f"[benchmarks.{name}]", close=said)
        if "buy" not in content:
            raise InvalidStudy("setting-value", where="unit $/kWh", name="buy", law="given", got="nothing")
        rates = {key: _seasonal(key, content.get(key, 0.0), periods, weather) for key in ("buy", "sell")}
        for key in ("pass_buy", "pass_sell"):
            if not _number(content.get(key, 0.0)) or not 0 <= content.get(key, 0.0) <= 1:
                raise InvalidStudy("setting-value", name=key, law="a share from 0 to 1", got=repr(content[key]))
        for key in ("net_metering", "neutral"):
            if not isinstance(content.get(key, False), bool):
                raise InvalidStudy("setting-value", name=key, law="true or false", got=repr(content[key]))
        fixed, discount = content.get("fixed", 0.0), content.get("discount", {})
        for g, v in (fixed.items() if isinstance(fixed, dict) else [("all", fixed)]):
            if not _number(v):
                raise InvalidStudy("setting-value", where="unit $/month", name=f"fixed of {g}", law="a number", got=repr(v))
        if not isinstance(discount, dict) or not all(_number(v) and 0 <= v < 1 for v in discount.values()):
            raise InvalidStudy("setting-value", name="discount", law="shares from 0 to below 1 by group", got=repr(discount))
        true_up = content.get("true_up")
        if true_up is not None and not (_number(true_up) and 0 <= true_up <= 10 and content.get("net_metering") and weather.seasons):
            law = 'a rate of 0 to 10, with net_metering and season = "year"'
            raise InvalidStudy("setting-value", where="unit $/kWh", name="true_up", law=law, got=repr(true_up))
        for g in (*(fixed if isinstance(fixed, dict) else ()), *discount):
            if g not in groups and g != "other":
                raise InvalidStudy("group", group=g, known=", ".join(groups))
        return cls(name, rates["buy"], rates["sell"], float(content.get("pass_buy", 0.0)), float(content.get("pass_sell", 0.0)), fixed, discount,
                   content.get("net_metering", False), content.get("neutral", True), true_up)  # fmt: skip

    def tariff(self, level: float = 1.0) -> Tariff:
        """With `buy` scaled."""
        return Tariff(self.name, level * self.buy, self.sell, self.pass_buy, self.pass_sell, self.fixed, self.discount, self.net_metering, self.true_up)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= CREDIBLE


def _seasonal(key: str, value: Any, periods: Mapping[str, Sequence[int]], weather: Weather) -> Array:
    """Rates [24], or [24, w] of a table with an entry for each season."""
    kinds = list(dict.fromkeys(weather.seasons))
    if kinds and isinstance(value, dict) and set(value) == {season.name for season in kinds}:
        return by_regime(np.column_stack([_hourly(f"{key}, {season.name}", value[season.name], periods) for season in kinds]), weather)
    return _hourly(key, value, periods, [season.name for season in kinds])


def _hourly(key: str, value: Any, periods: Mapping[str, Sequence[int]], seasons: Sequence[str] = ()) -> Array:
    """Rates [24] of one number, 24, or one for each period."""
    if _number(value):
        rates = np.full(HOURS, float(value))
    elif isinstance(value, list) and len(value) == HOURS and all(map(_number, value)):
        rates = np.array(value, float)
    elif isinstance(value, dict) and set(value) == set(periods) and all(map(_number, value.values())):
        rates = np.zeros(HOURS)
        for name, (start, end) in periods.items():
            rates[start:end] = value[name]
    else:
        law = f"one number, 24, or one for each of the periods {', '.join(periods)}" + (f", or of the seasons {', '.join(seasons)}" if seasons else "")
        raise InvalidStudy("setting-value", where="unit $/kWh", name=key, law=law, got=repr(value))
    if np.abs(rates).max() > 10:
        raise InvalidStudy("rate-units", where=f"{key} = {value!r}", got=f"{np.abs(rates).max():g}", unit="$/kWh")
    return rates
