"""Reference markets whose prices are known: two, three and five buses, and IEEE cases; every figure with its source."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.catalog import data_file
from stackopt.energy.market.network import Market
from stackopt.energy.market.tables import Rows, Table, market_of
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MarketCase:
    """A market and its known answer.

    Attributes
    ----------
    name, title : str
    source, status : str
        Where data and answer are from; ``"seen"`` there, ``"analytic"``, ``"recalled, reproduced"`` or ``"computed"``.
    market : Market
    load : array [n], MW
    cost : float, $/h
    price : array [n] or None, $/MWh
    rent : float, $/h
        NaN where it is not known.
    """

    name: str
    title: str
    source: str
    status: str
    market: Market
    load: Array
    cost: float
    price: Array | None
    rent: float


def _rows(name: str) -> tuple[list[str], Rows]:
    with data_file("energy", "market", name).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = [(reader.line_num, row) for row in reader]
        return list(reader.fieldnames or ()), rows


def market_cases() -> list[str]:
    """Names of the reference markets."""
    return [row["case"] for _, row in _rows("cases.csv")[1]]


def market_case(name: str, **rest: Any) -> MarketCase:
    """One reference market, e.g. ``"pjm5"``; `rest` is passed to `Market`.

    Raises
    ------
    InvalidStudy
        ``setting-value`` for an unknown name.
    """
    known = {row["case"]: row for _, row in _rows("cases.csv")[1]}
    if name not in known:
        raise InvalidStudy("setting-value", name="market case", law=f"one of {', '.join(known)}", got=repr(name))
    tables = {}
    answer = []
    for kind in ("buses", "generators", "lines"):
        header, rows = _rows(f"{kind}.csv")
        own = [(number, row) for number, row in rows if row["case"] == name]
        tables[kind] = Table(kind, f"energy/market/{kind}.csv", header, own, ignored=("case", "price [$/MWh]"))
        if kind == "buses":
            answer = [row["price [$/MWh]"] for _, row in own]
    facts = known[name]
    market, load = market_of(tables, **rest)
    price = np.array([float(p) for p in answer]) if all(answer) else None
    cost, rent = float(facts["cost [$/h]"]), float(facts["rent [$/h]"] or "nan")
    return MarketCase(name, facts["title"], facts["source"], facts["status"], market, load, cost, price, rent)
