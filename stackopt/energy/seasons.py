"""Seasons as slow weather: a year of average days, one for each season and sky, that follow one another by chance.

A regime of weather is a pair (season, sky): "summer, clear". Skies change as they do within a season; a season of d days ends each day with
chance 1/d, and the next one in order begins, whatever the sky. The chain is irreducible and its long-run shares are exactly d/365 times
those of skies, so averages over it are averages over the year, and everything that is computed for two regimes holds for six. What it assumes: the calendar
is not known to batteries, and the charge that they carry over midnight is held for a change of season that comes with chance 1/d. Against equilibria of
each season for ever (`alone`) that moves prices of the standard study by up to 0.04 $/MWh where rates follow them, 0.16 under time-of-use net
metering at temperature 0.005, and bills by up to 0.001 $ a day. Within a season all days are its average day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stackopt.errors import InvalidStudy

if TYPE_CHECKING:
    from stackopt.energy.households import Households, Weather

Array = NDArray[np.float64]

#: Days of each month of a year without a leap day.
DAYS_OF_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True)
class Season:
    """Part of a year.

    Attributes
    ----------
    name : str
    months : tuple of int
        1 to 12.
    """

    name: str
    months: tuple[int, ...]

    @property
    def days(self) -> int:
        """Of a year of 365."""
        return sum(DAYS_OF_MONTH[m - 1] for m in self.months)


@dataclass(frozen=True)
class InSeason:
    """Hours of the day in one season: a period of a seasonal tariff.

    Attributes
    ----------
    season : str
    hours : sequence of int
    """

    season: str
    hours: Sequence[int]


#: Summer as PG&E's rates have it; the rest of the year in two halves: an assumption.
SEASONS: tuple[Season, ...] = (Season("summer", (6, 7, 8, 9)), Season("winter", (11, 12, 1, 2)), Season("shoulder", (3, 4, 5, 10)))


def shares(seasons: Sequence[Season]) -> Array:
    """Of a year [s]."""
    return np.array([season.days for season in seasons]) / sum(DAYS_OF_MONTH)


def check_year(seasons: Sequence[Season]) -> None:
    """Raise InvalidStudy ``setting-value`` unless every month belongs to exactly one of the seasons."""
    months = [m for season in seasons for m in season.months]
    names = [season.name for season in seasons]
    wrong = next((m for m in (*range(1, 13), *months) if months.count(m) != 1 or not 1 <= m <= 12), None)
    if wrong is not None:
        raise InvalidStudy("setting-value", name="seasons", law="a year: each month, 1 to 12, once", got=f"month {wrong} {months.count(wrong)} times")
    if len(set(names)) != len(names) or not all(season.months for season in seasons):
        raise InvalidStudy("setting-value", name="seasons", law="seasons of different names that have months", got=", ".join(names))


def yearly(sky: Weather | Sequence[Weather], seasons: Sequence[Season] = SEASONS) -> Weather:
    """The weather of a year: regimes (season, sky), seasons outermost.

    Parameters
    ----------
    sky : Weather, or a sequence of them [s]
        Of any season, or of each, with the same names. Where skies change by other chances in other seasons, a season begins with its own long-run law.
    seasons : sequence of Season, [s]
        In the order in which they follow one another, after the last the first again.
    """
    check_year(seasons)
    skies = list(sky) if isinstance(sky, Sequence) else [sky] * len(seasons)
    if len(skies) != len(seasons) or len({(tuple(one.names), one.changes) for one in skies}) != 1:
        law = f"for each of the {len(seasons)} seasons, with the same names, changing alike"
        raise InvalidStudy("setting-value", name="skies", law=law, got=", ".join(str(one.names) for one in skies))
    sky, K = skies[0], len(skies[0].names)
    steps = 24.0 if sky.changes == "hourly" else 1.0
    leave = np.array([1.0 / (steps * season.days) for season in seasons])
    S = len(seasons)
    change = np.diag(1.0 - leave) + np.roll(np.diag(leave), 1, axis=1) if S > 1 else np.ones((1, 1))
    chances = np.kron(change, sky.transition)
    if any(not np.array_equal(one.transition, sky.transition) for one in skies):
        begin = np.stack([one.shares for one in skies])
        chances = (change[:, None, :, None] * begin[None, None]).repeat(K, 1).reshape(S * K, S * K)
        for s, one in enumerate(skies):
            here = slice(s * K, (s + 1) * K)
            chances[here, here] = change[s, s] * one.transition
    return replace(
        sky, names=tuple(f"{season.name}, {name}" for season in seasons for name in sky.names), sun=np.concatenate([one.sun for one in skies]), stay=None,
        transition=chances, seasons=tuple(season for season in seasons for _ in sky.names),
    )  # fmt: skip


def by_regime(days: Array, weather: Weather) -> Array:
    """A day for each regime [24, w] from a day for each season [24, s], in order of appearance."""
    kinds = list(dict.fromkeys(weather.seasons))
    if days.shape[1] != len(kinds):
        raise InvalidStudy("hours", law=f"a day for each of the {len(kinds)} seasons of the weather", got=f"shape {days.shape}")
    return days[:, [kinds.index(season) for season in weather.seasons]]


def average_days(values: Array, seasons: Sequence[Season]) -> Array:
    """Average day of each season [24, s] of the hours of a year [8760, or 8784 with a leap day], from 1 January.

    Raises
    ------
    InvalidStudy
        ``hours`` for another number of hours.
    """
    if len(values) not in (8760, 8784):
        raise InvalidStudy("hours", law="a year of 8760 or 8784 hours, to average by season", got=f"{len(values)}")
    leap = len(values) == 8784
    month = np.repeat(np.arange(1, 13), [days + (leap and m == 2) for m, days in enumerate(DAYS_OF_MONTH, 1)])  # of each day
    daily = values.reshape(-1, 24)
    return np.column_stack([daily[np.isin(month, season.months)].mean(0) for season in seasons])


def alone(households: Households, season: Season) -> Households:
    """The households of a year in one of its seasons for ever: what they would do if it never ended.

    Raises
    ------
    InvalidStudy
        ``setting-value`` for a season that the year does not have.
    """
    weather = households.weather
    here = [w for w, one in enumerate(weather.seasons) if one == season]
    if not here:
        raise InvalidStudy("setting-value", name="season", law="a season of the weather", got=repr(season.name))
    block = weather.transition[np.ix_(here, here)]
    names = tuple(weather.names[w].removeprefix(f"{season.name}, ") for w in here)
    sky = replace(weather, names=names, sun=weather.sun[here], stay=None, transition=block / block.sum(1, keepdims=True), seasons=())
    types = [replace(t, **{key: day[:, here] if (day := getattr(t, key)).ndim == 2 else day for key in ("load", "sun")}) for t in households.types]
    return replace(households, types=types, weather=sky)
