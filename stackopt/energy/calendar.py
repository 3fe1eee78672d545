"""Hours of a year or of some days: which month, weekday or weekend, and hour of the day each interval belongs to."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.errors import InvalidStudy

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Calendar:
    """Hourly intervals in order.

    Attributes
    ----------
    month : int array [n]
        0 to 11.
    weekend : int array [n]
        0 on weekdays, 1 on Saturdays and Sundays.
    hour : int array [n]
        0 to 23; the interval begins then.
    """

    month: Integers
    weekend: Integers
    hour: Integers

    def __post_init__(self) -> None:
        lengths = {len(self.month), len(self.weekend), len(self.hour)}
        if len(lengths) != 1 or 0 in lengths:
            raise InvalidStudy("hours", law="a month, a kind of day and an hour for every interval", got=f"lengths {sorted(lengths)}")
        for name, array, top in (("month", self.month, 11), ("weekend", self.weekend, 1), ("hour", self.hour, 23)):
            if not np.issubdtype(np.asarray(array).dtype, np.integer):
                raise InvalidStudy("hours", law=f"`{name}` in whole numbers", got=f"{np.asarray(array).dtype}")
            if array.min() < 0 or array.max() > top:
                raise InvalidStudy("hours", law=f"`{name}` from 0 to {top}", got=f"{array.min()} to {array.max()}")

    def __len__(self) -> int:
        return len(self.month)

    @property
    def days(self) -> NDArray[np.float64]:
        """Days of each month that the intervals cover [12]: hours / 24."""
        return np.bincount(self.month, minlength=12) / 24.0

    @classmethod
    def year(cls, year: int) -> Calendar:
        """All hours of a year; 8760, or 8784 in a leap year."""
        first = datetime.date(year, 1, 1)
        count = (datetime.date(year + 1, 1, 1) - first).days
        return cls.of_days([first + datetime.timedelta(days=d) for d in range(count)])

    @classmethod
    def of_days(cls, days: list[datetime.date]) -> Calendar:
        """24 hours of each day."""
        month = np.repeat([day.month - 1 for day in days], 24)
        weekend = np.repeat([int(day.weekday() >= 5) for day in days], 24)
        return cls(month, weekend, np.tile(np.arange(24), len(days)))
