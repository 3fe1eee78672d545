r"""A tariff study so small that it is solved exactly: four periods, three kinds of households, a menu of rates.

The leader puts one rate of a menu on each period and one share of it on exports, and charges each group a fixed amount; it minimises cost of
generation, households' discomfort and wear, and a multiple of the largest burden, and must recover its costs. Households are linear programs:
they may serve some evening use ahead, and a battery moves between levels over a day that repeats itself (flows on a
cycle of periods and states). Rates times quantities are products of binaries and continuous variables, exact in a
mixed-integer program once the followers' optimality is stated by strong duality; ties among their optima go to the leader.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.bilevel.program import BilevelProgram, Level, Objective, Rows
from stackopt.catalog import data_file

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ToyTown:
    """The data of the study; see ``data/energy/toy_tariff.json`` for the built-in one."""

    figures: Mapping[str, Any]
    known: Mapping[str, Any]

    @property
    def periods(self) -> int:
        """T."""
        return int(self.figures["T"])

    @property
    def types(self) -> list[Mapping[str, Any]]:
        """Kinds of households."""
        return list(self.figures["types"])

    @property
    def tariffs(self) -> list[tuple[tuple[float, ...], float]]:
        """All (rates by period, export ratio)."""
        menu = itertools.product(self.figures["menu"], repeat=self.periods)
        return [(rates, ratio) for rates in menu for ratio in self.figures["sell_ratio_levels"]]


def built_in() -> ToyTown:
    """The built-in town."""
    record = json.loads(data_file("energy", "toy_tariff.json").read_text(encoding="utf-8"))
    return ToyTown(record["town"], record["known"])


@dataclass(frozen=True, eq=False)
class Household:
    """One kind's linear program: ``min own @ v + buy @ bought - sell @ sold`` with ``lower <= matrix @ v <= upper``, ``v >= 0``.

    Attributes
    ----------
    names : tuple of str
    own : array [v], $
        Discomfort and wear, whatever the tariff.
    bought, sold : int arrays [T]
        Which variables these are.
    matrix, lower, upper : arrays
        Rows; the first 2 T say what is bought and sold.
    most : array [v]
        Bounds that no optimum exceeds.
    """

    names: tuple[str, ...]
    own: Array
    bought: NDArray[np.int64]
    sold: NDArray[np.int64]
    matrix: Array
    lower: Array
    upper: Array
    most: Array


def household(town: ToyTown, index: int) -> Household:
    """The program of one kind: flows on a cycle of periods, whose states are the charge and whether evening use was served ahead."""
    f, kind, T = town.figures, town.types[index], town.periods
    step, loss, flexible = float(f["soc_step_kwh"]), float(np.sqrt(f["eta"])), float(f["flex_kwh"])
    levels = range(int(f["S"]) if kind["batt"] else 1)
    arcs = []  # (period, (charge, ahead), next (charge, ahead), meter kWh, own $)
    for t, c, ahead, a, now in itertools.product(range(T), levels, (0, 1), (-1, 0, 1), (0, 1)):
        last = t == T - 1
        if c + a not in levels or (now and (ahead or last)):
            continue
        charge = step * a / loss if a > 0 else step * a * loss
        meter = float(kind["load"][t]) - float(kind["pv"][t]) + charge + flexible * (now - (ahead if last else 0))
        arcs.append((t, (c, ahead), (c + a, 0 if last else ahead + now), meter, f["deg"] * abs(a) * step + f["disc"] * flexible * now))
    names = [f"{what}[{t}]" for what in ("bought", "sold") for t in range(T)] + [f"flow[{t},{x},{y}]" for t, x, y, *_ in arcs]
    own = np.array([0.0] * (2 * T) + [arc[4] for arc in arcs])
    meters, flows, values = np.zeros((2 * T, len(names))), [], []
    meters[:, : 2 * T] = np.eye(2 * T)
    for j, (t, _, _, meter, _) in enumerate(arcs):
        meters[t, 2 * T + j], meters[T + t, 2 * T + j] = -max(meter, 0.0), -max(-meter, 0.0)
    for t, state in sorted({(arc[0], arc[1]) for arc in arcs}):
        flow = np.zeros(len(names))
        for j, (u, origin, target, *_) in enumerate(arcs):
            flow[2 * T + j] += float((u, origin) == (t, state)) - float(((u + 1) % T, target) == (t, state))
        flows.append(flow)
        values.append(0.0)
    flows.append(np.array([0.0] * (2 * T) + [float(arc[0] == 0) for arc in arcs]))
    values.append(1.0)
    right = np.array([0.0] * (2 * T) + values)
    peak = [max(abs(arc[3]) for arc in arcs if arc[0] == t) for t in range(T)]
    most = np.array([*peak, *peak, *(1.0 for _ in arcs)])
    own_names = tuple(f"{kind['name']}.{n}" for n in names)
    return Household(own_names, own, np.arange(T), T + np.arange(T), np.vstack([meters, *flows]), right, right, most)


def program(town: ToyTown) -> BilevelProgram:
    """The study as a `BilevelProgram`: the leader's choices are binaries, each kind of household is a linear follower."""
    f, T, kinds = town.figures, town.periods, town.types
    options = [(rate, ratio) for rate in f["menu"] for ratio in f["sell_ratio_levels"]]
    homes = [household(town, i) for i in range(len(kinds))]
    names: list[str] = [f"rate[{t},{rate:g},{ratio:g}]" for t in range(T) for rate, ratio in options]
    choices = len(names)
    names += [f"ratio[{ratio:g}]" for ratio in f["sell_ratio_levels"]]
    ratios = slice(choices, len(names))
    blocks = [(t, b) for t in range(T) for b in range(len(f["supply_blocks"]))]
    at_block = len(names)
    names += [f"generated[{t},{b}]" for t, b in blocks]
    at_fixed = len(names)
    names += [f"fixed[{k['name']}]" for k in kinds]
    at_paid = len(names)
    names += [f"paid[{k['name']}]" for k in kinds] + ["burden"]
    leader_size = len(names)
    offsets = []
    for home in homes:
        offsets.append(len(names))
        names += home.names
    n = len(names)
    owner = np.full(n, -1)
    lower, upper, integer = np.zeros(n), np.full(n, np.inf), np.zeros(n, bool)
    integer[: ratios.stop] = True
    upper[: ratios.stop] = 1.0
    upper[at_block:at_fixed] = [f["supply_blocks"][b][0] for _, b in blocks]
    upper[at_fixed:at_paid] = f["fixed_charge_cap"]
    lower[at_paid : leader_size - 1], upper[at_paid : leader_size - 1] = -100.0, 100.0
    upper[leader_size - 1] = 1.0
    for k, (home, at) in enumerate(zip(homes, offsets, strict=True)):
        owner[at : at + len(home.names)] = k
        upper[at : at + len(home.names)] = home.most
    rows: list[tuple[str, Array, float, float, dict[tuple[int, int], float]]] = []

    def row(name: str, low: float, high: float, **_: Any) -> Array:
        coefficients = np.zeros(n)
        rows.append((name, coefficients, low, high, {}))
        return coefficients

    for t in range(T):
        row(f"one rate in {t}", 1.0, 1.0)[t * len(options) : (t + 1) * len(options)] = 1.0
        for j, ratio in enumerate(f["sell_ratio_levels"]):
            same = row(f"one ratio in {t},{ratio:g}", 0.0, 0.0)
            same[ratios.start + j] = -1.0
            for o, (_, r) in enumerate(options):
                same[t * len(options) + o] += float(r == ratio)
        balance = row(f"generation meets load in {t}", 0.0, np.inf)
        balance[at_block : at_block + len(blocks)] = [float(u == t) for u, _ in blocks]
        for kind, home, at in zip(kinds, homes, offsets, strict=True):
            balance[at + home.bought[t]] -= kind["w"]
            balance[at + home.sold[t]] += kind["w"]
    bills = []
    for kind, home, at in zip(kinds, homes, offsets, strict=True):
        products: dict[tuple[int, int], float] = {}
        for t in range(T):
            for o, (rate, ratio) in enumerate(options):
                products[t * len(options) + o, int(at + home.bought[t])] = rate
                products[t * len(options) + o, int(at + home.sold[t])] = -ratio * rate
        bills.append(products)
        paid = np.zeros(n)
        paid[at_paid + len(bills) - 1] = -1.0
        rows.append((f"bill of {kind['name']}", paid, 0.0, 0.0, products))
    revenue = row("revenue", float(f["fixed_cost_per_day"]), np.inf)
    revenue[at_block : at_block + len(blocks)] = [-f["supply_blocks"][b][1] for _, b in blocks]
    for k, kind in enumerate(kinds):
        revenue[at_fixed + k] = revenue[at_paid + k] = kind["w"]
        burden = row(f"burden of {kind['name']}", 0.0, np.inf)
        burden[leader_size - 1], burden[at_fixed + k], burden[at_paid + k] = kind["income"], -1.0, -1.0
    cost = np.zeros(n)
    cost[at_block : at_block + len(blocks)] = [f["supply_blocks"][b][1] for _, b in blocks]
    cost[leader_size - 1] = f["lambda_max_burden"]
    for kind, home, at in zip(kinds, homes, offsets, strict=True):
        cost[at : at + len(home.names)] = kind["w"] * home.own
    leader = Level("leader", Objective("min", cost), _rows(rows, n))
    followers = []
    for kind, home, at, products in zip(kinds, homes, offsets, bills, strict=True):
        own = np.zeros(n)
        own[at : at + len(home.names)] = home.own
        matrix = np.zeros((len(home.matrix), n))
        matrix[:, at : at + len(home.names)] = home.matrix
        own_rows: list[Any] = [(f"{kind['name']}.row[{i}]", matrix[i], home.lower[i], home.upper[i], {}) for i in range(len(matrix))]
        followers.append(Level(kind["name"], Objective("min", own, _products(products, n)), _rows(own_rows, n)))
    return BilevelProgram(
        names=tuple(names), owner=owner, lower=lower, upper=upper, integer=integer, leader=leader, followers=tuple(followers), name="toy tariff"
    )


def _rows(rows: Any, n: int) -> Rows:
    from scipy.sparse import csr_array

    matrix = csr_array(np.array([r[1] for r in rows]))
    quadratic = {i: _products(r[4], n) for i, r in enumerate(rows) if r[4]}
    return Rows(tuple(r[0] for r in rows), matrix, np.array([r[2] for r in rows]), np.array([r[3] for r in rows]), quadratic)


def _products(products: Mapping[tuple[int, int], float], n: int) -> Any:
    from scipy.sparse import csr_array

    pairs = sorted(products)
    return csr_array(([products[p] for p in pairs], ([i for i, _ in pairs], [j for _, j in pairs])), shape=(n, n))


@dataclass(frozen=True, eq=False)
class LeaderProgram:
    """What is left to the leader once a tariff is announced: a linear program in generation, fixed charges and ties of the households.

    ``min objective @ v`` with ``above @ v <= limit``, ``equal @ v = right``, ``0 <= v <= most``. Households' optimality is among the rows: what
    each pays is at most its least, to 1e-9.

    Attributes
    ----------
    objective, above, limit, equal, right, most : arrays
    optimal : tuple of int
        The rows of `above` that hold each kind of household to its optimum.
    homes : tuple of Household
    costs, plans : tuples of arrays
        What each household minimises under the tariff, $, and a plan that does.
    """

    objective: Array
    above: Array
    limit: Array
    equal: Array
    right: Array
    most: Array
    optimal: tuple[int, ...]
    homes: tuple[Household, ...]
    costs: tuple[Array, ...]
    plans: tuple[Array, ...]


def evaluate(town: ToyTown, rates: tuple[float, ...], ratio: float) -> float:
    """The leader's cost of one tariff, $/day, households' ties in its favour; infinite where costs are not recovered."""
    from scipy.optimize import linprog

    p = leader_program(town, rates, ratio)
    found = linprog(p.objective, p.above, p.limit, p.equal, p.right, bounds=[(0, m) for m in p.most])
    return float(found.fun) if found.status == 0 else float("inf")


def leader_program(town: ToyTown, rates: tuple[float, ...], ratio: float) -> LeaderProgram:
    """The leader's program after one tariff; the households' least costs are solved for on the way."""
    from scipy.optimize import linprog

    f, T, kinds = town.figures, town.periods, town.types
    homes = [household(town, i) for i in range(len(kinds))]
    buy, sell = np.asarray(rates), ratio * np.asarray(rates)
    costs, best, plans = [], [], []
    for home in homes:
        cost = home.own.copy()
        cost[home.bought] += buy
        cost[home.sold] -= sell
        found = linprog(cost, *_split(home), bounds=[(0, m) for m in home.most])
        costs.append(cost)
        best.append(float(found.fun))
        plans.append(found.x)
    blocks = [(t, b) for t in range(T) for b in range(len(f["supply_blocks"]))]
    sizes = [len(h.names) for h in homes]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    n = int(starts[-1]) + len(blocks) + len(kinds) + 1
    at_block, at_fixed = int(starts[-1]), int(starts[-1]) + len(blocks)
    objective = np.zeros(n)
    above: list[Array] = []
    limit: list[float] = []
    equal: list[Array] = []
    right: list[float] = []
    optima: list[int] = []
    objective[at_block:at_fixed] = price = np.array([f["supply_blocks"][b][1] for _, b in blocks])
    objective[-1] = f["lambda_max_burden"]
    revenue = np.zeros(n)
    revenue[at_block:at_fixed] = price
    for k, (kind, home) in enumerate(zip(kinds, homes, strict=True)):
        own = slice(int(starts[k]), int(starts[k + 1]))
        objective[own] = kind["w"] * home.own
        A_ub, b_ub, A_eq, b_eq = _split(home)
        for block, bound, rows, rights in ((A_ub, b_ub, above, limit), (A_eq, b_eq, equal, right)):
            for coefficients, value in zip(block, bound, strict=True):
                full = np.zeros(n)
                full[own] = coefficients
                rows.append(full)
                rights.append(value)
        optimal, paid = np.zeros(n), np.zeros(n)
        optimal[own] = costs[k]
        optima.append(len(above))
        above.append(optimal)
        limit.append(best[k] + 1e-9)
        paid[own] = costs[k] - home.own
        revenue -= kind["w"] * paid
        revenue[at_fixed + k] -= kind["w"]
        burden = paid.copy()
        burden[at_fixed + k], burden[-1] = 1.0, -kind["income"]
        above.append(burden)
        limit.append(0.0)
    above.append(revenue)
    limit.append(-float(f["fixed_cost_per_day"]))
    for t in range(T):
        balance = np.zeros(n)
        balance[at_block:at_fixed] = [-float(u == t) for u, _ in blocks]
        for k, (kind, home) in enumerate(zip(kinds, homes, strict=True)):
            balance[int(starts[k]) + home.bought[t]] += kind["w"]
            balance[int(starts[k]) + home.sold[t]] -= kind["w"]
        above.append(balance)
        limit.append(0.0)
    most = [m for home in homes for m in home.most] + [f["supply_blocks"][b][0] for _, b in blocks] + [f["fixed_charge_cap"]] * len(kinds) + [1.0]
    return LeaderProgram(
        objective, np.array(above), np.array(limit), np.array(equal), np.array(right), np.array(most, float), tuple(optima), tuple(homes), tuple(costs),
        tuple(plans),
    )  # fmt: skip


def _split(home: Household) -> tuple[Array, Array, Array, Array]:
    """(A_ub, b_ub, A_eq, b_eq)."""
    same = home.lower == home.upper
    return home.matrix[~same], home.upper[~same], home.matrix[same], home.upper[same]


def enumerate_tariffs(town: ToyTown) -> dict[tuple[tuple[float, ...], float], float]:
    """The leader's cost of every tariff of the menu, $/day."""
    return {tariff: evaluate(town, *tariff) for tariff in town.tariffs}
