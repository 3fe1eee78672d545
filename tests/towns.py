"""Small populations for tests of the tariff study."""

import numpy as np

from stackopt.energy.households import Battery, Households, HouseholdType, Weather

LOAD = np.array([0.4, 0.4, 0.4, 0.4, 0.4, 0.5, 0.6, 0.7, 0.7, 0.7, 0.7, 0.8, 0.8, 0.8, 0.8, 0.9, 1.1, 1.3, 1.4, 1.3, 1.1, 0.9, 0.7, 0.5])
SUN = np.maximum(np.sin((np.arange(24) - 6) / 12 * np.pi), 0.0) * 4.0


def town(battery=None, **rest):
    battery = Battery() if battery is None else battery
    types = [
        HouseholdType("poor", "Q1", "C", 0.4, 20_000, 0.8 * LOAD),
        HouseholdType("middle with panels", "Q3", "PV", 0.3, 75_000, LOAD, SUN),
        HouseholdType("rich without", "Q5", "C", 0.1, 250_000, 1.5 * LOAD),
        HouseholdType("rich with all", "Q5", "PVB", 0.2, 250_000, 1.5 * LOAD, 1.5 * SUN, battery),
    ]
    return Households(types, **({"weather": Weather()} | rest))
