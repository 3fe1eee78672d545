"""A year of the small towns, for tests of seasons: the same people, more use in summer, less light in winter."""

import datetime
from dataclasses import replace

import numpy as np

from stackopt.energy.calendar import Calendar
from stackopt.energy.seasons import by_regime, yearly

FACTORS = np.array([1.3, 0.8, 0.9])  # of use in summer, winter, between
LIGHT = np.array([1.0, 0.45, 0.8])


def year_of(households, use=FACTORS, light=LIGHT):
    """The same people for a year whose seasons differ in use and light."""
    weather = yearly(households.weather)
    types = [
        replace(t, load=by_regime(t.load[:, None] * use, weather), sun=by_regime(t.sun[:, None] * light, weather)) for t in households.types
    ]
    return replace(households, types=types, weather=weather)


def two_years(net, weather):
    """Hours of two years, made of the days [24, w] of a household: of each season's days the skies have their shares, exactly."""
    first = datetime.date(2025, 1, 1)
    days = sorted((first + datetime.timedelta(days=d) for d in range(730)), key=lambda day: day.month)  # billed by month: twelve long ones
    kinds, seen, hours = list(dict.fromkeys(weather.seasons)), {}, []
    for day in days:
        season = next(s for s, one in enumerate(kinds) if day.month in one.months)
        seen[season] = seen.get(season, -1) + 1
        hours.append(net[:, 2 * season + seen[season] % 2])
    return Calendar.of_days(days), np.concatenate(hours)
