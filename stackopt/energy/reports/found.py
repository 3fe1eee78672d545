"""What each figure of the report shows, in one sentence: its heading, and its title for those who do not see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stackopt.comparison.figures import is_number
from stackopt.display import number
from stackopt.energy.exhibits.table import decimals
from stackopt.energy.reports.stored import HIGH_BURDEN, Stored
from stackopt.energy.reports.system import mean_price, shown_buses
from stackopt.energy.reports.trade import designed


def finding(stored: Stored, figure: str) -> str:
    """What one figure shows, as its title and for those who do not see it."""
    return _FINDINGS[figure](stored)


def _mw(level: float) -> str:
    return f"{level:.{decimals(level)}f} MW"


def _rates_finding(stored: Stored) -> str:
    rows: dict[str, list[Any]] = {n: [r["buy"] for r in stored.rows("rates", tariff=n)] for n in stored.summary}
    low, high = min(rows, key=lambda n: min(rows[n])), max(rows, key=lambda n: max(rows[n]))
    return f"A kWh costs from {min(rows[low]):.3f} $ ({low}) to {max(rows[high]):.3f} $ ({high}), by tariff and hour"


def _seasonal_finding(stored: Stored) -> str:
    names = stored.chosen(4)
    mean: dict[tuple[str, str], list[float]] = {}
    for r in stored.rows("seasonal_rates"):
        if r["tariff"] in names:
            mean.setdefault((r["tariff"], r["season"]), []).append(r["buy"])
    apart = {n: {s: sum(v) / len(v) for (name, s), v in mean.items() if name == n} for n in names}
    most = max(names, key=lambda n: max(apart[n].values()) - min(apart[n].values()))
    told = ", ".join(f"{season} {rate:.3f}" for season, rate in apart[most].items())
    return f"Rates differ most between seasons under {most}: on average {told} $/kWh"


def _bills_finding(stored: Stored) -> str:
    rows = [r for r in stored.rows("bills") if r["tariff"] in stored.equal and r["group"] != "all" and r["kind"] != "all"]
    up, down = max(rows, key=lambda r: r["change"]), min(rows, key=lambda r: r["change"])
    told = [f"{r['group']} {r['kind']} under {r['tariff']}, {r['change']:+.2f} $ a month" for r in (up, down)]
    return f"Bills change most for {told[0]}, and for {told[1]}"


def _burden_finding(stored: Stored) -> str:
    first = stored.groups[0]
    rows = [r for r in stored.rows("bills", group=first, kind="all") if r["tariff"] in stored.equal]
    best = min(rows, key=lambda r: r["burden after"] - r["burden before"])
    fall = best["burden after"] - best["burden before"]
    return f"The burden of {first} changes most under {best['tariff']}: {fall:+.2f} points of income against {stored.before}"


def _lorenz_finding(stored: Stored) -> str:
    name = stored.least("gap of burdens")
    new, old = stored.summary[name], stored.summary.get(stored.before, stored.summary[name])
    values = [number(row["Suits index"], 3) for row in (new, old)]
    if new is old:
        return f"Suits index {values[0]} under {name}, whose gap of burdens is the smallest: 0 would be proportional to income"
    return f"Suits index {values[0]} under {name}, {values[1]} under {old['tariff']}: 0 would be proportional to income"


def _revenue_finding(stored: Stored) -> str:
    rows = [r for r in stored.rows("revenue") if r["tariff"] in stored.summary]
    most = max(rows, key=lambda r: r["fixed charges"])
    share = 100 * most["fixed charges"] / (most["fixed charges"] + most["energy bills"])
    low, high = min(r["fixed charges"] for r in rows), most["fixed charges"]
    rent = max((r.get("congestion rent") or 0.0 for r in rows), default=0.0)
    also = f"; congestion rent is up to {rent:.2f} $" if rent > 0.005 else ""
    return f"Fixed charges bring from {low:.2f} to {high:.2f} $ a day and household, {share:.0f} % of all under {most['tariff']}{also}"


def _cross_subsidy_finding(stored: Stored) -> str:
    column = "over cost: fixed per household"
    rows = [r for r in stored.rows("cross_subsidy") if r["tariff"] == stored.chosen(1)[0]]
    most, least = max(rows, key=lambda r: r[column]), min(rows, key=lambda r: r[column])
    told = [f"{r['group']} {r['kind']} {r[column]:+.2f}" for r in (most, least)]
    return f"Bill less cost of service under {most['tariff']}, from {told[0]} to {told[1]} $ a month"


def _day_finding(stored: Stored) -> str:
    names, weathers = stored.chosen(4), list(dict.fromkeys(r["weather"] for r in stored.rows("load")))
    peaks = {n: stored.summary[n]["peak"] for n in names}
    high, low = max(peaks, key=lambda n: peaks[n]), min(peaks, key=lambda n: peaks[n])
    prices = [p for n in names for w in weathers for p in mean_price(stored, n, w)]
    return (
        f"The peak is {_mw(peaks[high])} under {high} and {_mw(peaks[low])} under {low}; wholesale prices range from {min(prices):.0f} to "
        f"{max(prices):.0f} $/MWh"
    )


def _trade_off_finding(stored: Stored) -> str:
    cheap, fair = stored.least("cost"), stored.least("gap of burdens")
    made = designed(stored)
    if len(made) > 1:
        first, last = (pick(made, key=lambda r: r["gap"]) for pick in (max, min))
        return (
            f"Closing the gap of burdens from {first['gap']:.2f} to {last['gap']:.2f} points by design moves cost by "
            f"{last['cost'] - first['cost']:+.3f} $ a day and the peak by {last['peak'] - first['peak']:+.{decimals(first['peak'])}f} MW"
        )
    a, b = stored.summary[cheap], stored.summary[fair]
    if cheap == fair:
        return f"{cheap} is best on both: cost {a['cost']:.3f} $ a day, gap {a['gap of burdens']:.2f} points, at a peak of {_mw(a['peak'])}"
    return (
        f"{cheap} costs {a['cost']:.3f} $ a day at a gap of {a['gap of burdens']:.2f} points; {fair} has a gap of {b['gap of burdens']:.2f} points "
        f"at {b['cost']:.3f} $"
    )


def _sensitivity_finding(stored: Stored) -> str:
    rows = [r for r in stored.rows("sensitivity") if is_number(r["change of cost"])]
    base = next(r["change of cost"] for r in rows if r["assumption"] == "base")
    most = max(rows, key=lambda r: abs(r["change of cost"] - base))
    return (
        f"The change of cost is {base:+.3f} $ a day; {most['assumption']} at {number(most['value'], 4)} moves it most, to {most['change of cost']:+.3f}"
        if most["assumption"] != "base" else f"The change of cost is {base:+.3f} $ a day whatever is varied"
    )  # fmt: skip


def _convergence_finding(stored: Stored) -> str:
    rows = [r for r in stored.rows("convergence") if r["tariff"] in stored.summary]
    gain, radius = (max(rows, key=lambda r: r[c]) for c in ("exploitability", "spectral radius"))
    return (
        f"Households could still gain at most {number(gain['exploitability'], 2)} $ a day ({gain['tariff']}); the largest spectral radius is "
        f"{number(radius['spectral radius'], 2)} ({radius['tariff']})"
    )


def _winners_finding(stored: Stored) -> str:
    names = [n for n in stored.others if stored.rows("winners", tariff=n)]
    less = {n: sum(r["households"] for r in stored.rows("winners", tariff=n) if r["change from"] < 0) for n in names}
    most, fewest = max(less, key=lambda n: less[n]), min(less, key=lambda n: less[n])
    if most == fewest:
        return f"{less[most]:.0f} % of households pay less under {most} than under {stored.before}, {100 - less[most]:.0f} % do not"
    return f"From {less[fewest]:.0f} % of households ({fewest}) to {less[most]:.0f} % ({most}) pay less than under {stored.before}, today's tariff"


def _burdens_finding(stored: Stored) -> str:
    names, group = stored.chosen(4), stored.groups[0]
    burden = {n: stored.rows("equity", tariff=n)[0][f"burden {group}"] for n in names}
    told = ", ".join(f"{value:.2f} % of income under {name}" for name, value in burden.items())
    return f"Burden of {group}, the poorest group: {told}; above {HIGH_BURDEN:g} % counts as high"


def _duck_finding(stored: Stored) -> str:
    rows = stored.rows("load", tariff=stored.focus)
    high, low = max(rows, key=lambda r: r["net of households"]), min(rows, key=lambda r: r["net of households"])
    moved = max(sum(max(r["into batteries"], 0.0) for r in rows if r["weather"] == w) for w in {r["weather"] for r in rows})
    idle, few = "batteries take in next to nothing", moved < 5e-4 * high["net of households"]
    return (
        f"Under {stored.focus}, households take up to {_mw(high['net of households'])} (hour {high['hour']}, {high['weather']}) and as little as "
        f"{_mw(low['net of households'])} (hour {low['hour']}, {low['weather']}); {idle if few else f'batteries take in up to {_mw(moved)}h a day'}"
    )


def _buses_finding(stored: Stored) -> str:
    at: dict[tuple[str, int], list[Any]] = {}
    for r in stored.rows("prices", tariff=stored.focus):
        at.setdefault((r["weather"], r["hour"]), []).append(r)
    apart = {place: max(r["price"] for r in rows) - min(r["price"] for r in rows) for place, rows in at.items()}
    (weather, hour), most = max(apart.items(), key=lambda item: item[1])
    if most < 0.005:
        return f"Under {stored.focus}, no line is full: all {len(shown_buses(stored))} buses drawn have the same prices, in every hour and weather"
    high = max(at[weather, hour], key=lambda r: r["price"])["bus"]
    full = sum(gap >= 0.005 for gap in apart.values())
    return f"Under {stored.focus}, prices of buses differ in {full} of {len(apart)} hours, most by {most:.2f} $/MWh (bus {high}, hour {hour}, {weather})"


def _response_finding(stored: Stored) -> str:
    names = [r["tariff"] for r in stored.rows("response") if r["tariff"] in stored.summary]
    name = stored.focus if stored.focus in names else names[-1]
    rows = stored.rows("response", tariff=name)
    size = len({r["hour of rate"] for r in rows})
    own = sum(r["change"] for r in rows if r["hour of rate"] == r["hour of load"]) / size
    rest = sum(r["change"] for r in rows if r["hour of rate"] != r["hour of load"]) / size
    told = [f"{change:+.{decimals(own)}f} MW" for change in (own, rest)]
    return f"One cent more on an hour's rate moves that hour's load by {told[0]} and all other hours' together by {told[1]}, on average under {name}"


def _loss_finding(stored: Stored) -> str:
    rows = [r for r in stored.rows("loss") if r["tariff"] in stored.summary and is_number(r["triangle"])]
    most, least = max(rows, key=lambda r: r["triangle"]), min(rows, key=lambda r: r["triangle"])
    return (
        f"Rates that differ from wholesale prices lose {most['triangle']:.3f} $ a day and household under {most['tariff']}, the most, and "
        f"{least['triangle']:.3f} $ under {least['tariff']}, the least"
    )


def _iterations_finding(stored: Stored) -> str:
    rows = [r for r in stored.rows("iterations") if r["tariff"] in stored.summary and is_number(r["price residual"])]
    told = []
    for name in list(dict.fromkeys(r["tariff"] for r in rows))[:2]:
        last = {r["way"]: r for r in rows if r["tariff"] == name}
        told.append(f"{name}, " + " and ".join(f"{way} {number(r['price residual'], 2)} $/kWh after {r['step'] + 1}" for way, r in last.items()))
    return "Price residuals by number of responses: " + "; ".join(told)


_FINDINGS: dict[str, Callable[[Stored], str]] = {
    "rates": _rates_finding, "seasonal_rates": _seasonal_finding,
    "winners": _winners_finding, "bills": _bills_finding, "burden": _burden_finding, "burdens": _burdens_finding,
    "lorenz": _lorenz_finding, "revenue": _revenue_finding, "cross_subsidy": _cross_subsidy_finding, "duck": _duck_finding, "day": _day_finding,
    "buses": _buses_finding, "response": _response_finding, "loss": _loss_finding, "trade_off": _trade_off_finding, "sensitivity": _sensitivity_finding,
    "convergence": _convergence_finding, "iterations": _iterations_finding,
}  # fmt: skip
