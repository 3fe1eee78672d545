"""A year as slow weather: exact shares, one season as the limit, foresight that is negligible, bills that hourly billing confirms."""

import datetime
from dataclasses import replace

import numpy as np
import pytest
from towns import LOAD, SUN, town
from years import FACTORS, LIGHT, two_years, year_of

import stackopt as so
from stackopt.energy.benchmarks_named import tariff_at, tou_shape
from stackopt.energy.bill import bill
from stackopt.energy.criteria import criteria
from stackopt.energy.diagnosis import histories
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.gradients import gradients
from stackopt.energy.households import Battery, Households, HouseholdType, Weather
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.rates import Rates
from stackopt.energy.response import respond
from stackopt.energy.seasons import SEASONS, Season, alone, average_days, check_year, shares, yearly
from stackopt.energy.standard import clear_sky, load_shape, standard_households
from stackopt.energy.tariff import Tariff


@pytest.fixture(scope="module")
def year():
    return year_of(town(Battery(levels=6)))


# --- the chain ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", ["daily", "hourly"])
def test_seasons_rule_as_long_as_they_last(changes):
    sky = Weather(("clear", "haze", "cloudy"), (1.0, 0.7, 0.3), (0.8, 0.5, 0.6), changes=changes)
    ruling = yearly(sky)
    assert [s.days for s in SEASONS] == [122, 120, 123]
    assert np.allclose(ruling.shares, np.kron(shares(SEASONS), sky.shares), atol=1e-13)
    assert np.allclose(ruling.shares @ ruling.transition, ruling.shares, atol=1e-15)
    assert np.allclose(ruling.transition.sum(1), 1.0)
    assert (np.linalg.matrix_power(ruling.transition, 5) > 0).all()  # every regime follows every other
    assert ruling.names[4] == "winter, haze"
    steps = 24 if changes == "hourly" else 1
    assert ruling.transition[0, :3].sum() == pytest.approx(1 - 1 / (122 * steps))  # a season ends with chance 1 / its length
    assert np.allclose(ruling.within, np.kron(np.eye(3), sky.shares[:, None]))


def test_one_season_is_the_weather_itself():
    sky, whole = Weather(), (Season("always", tuple(range(1, 13))),)
    assert np.array_equal(yearly(sky, whole).transition, sky.transition)
    assert np.array_equal(sky.within, sky.shares[:, None])


def test_seasons_may_have_skies_of_their_own():
    """Cloudier winters: each season keeps its own long-run law, exactly, and its own chain within."""
    skies = [Weather(sun=(1.0, 0.4), stay=(0.9, 0.4)), Weather(sun=(0.9, 0.3), stay=(0.6, 0.7)), Weather(sun=(1.0, 0.35), stay=(0.8, 0.6))]
    ruling = yearly(skies)
    assert np.allclose(ruling.shares, np.concatenate([s.days / 365 * sky.shares for s, sky in zip(SEASONS, skies, strict=True)]), atol=1e-13)
    assert np.allclose(ruling.transition.sum(1), 1.0)
    assert ruling.transition[2, 2:4] / ruling.transition[2, 2:4].sum() == pytest.approx(skies[1].transition[0])
    assert ruling.sun.tolist() == [1.0, 0.4, 0.9, 0.3, 1.0, 0.35]
    own = alone(standard_households(shapes=["ca"], season="year", weather=skies), SEASONS[1])
    assert np.allclose(own.weather.transition, skies[1].transition)
    assert np.allclose(own.weather.sun, [0.9, 0.3])
    with pytest.raises(so.InvalidStudy, match="for each of the 3 seasons"):
        yearly(skies[:2])
    with pytest.raises(so.InvalidStudy, match="with the same names"):
        yearly([*skies[:2], Weather(("sun", "rain"))])
    with pytest.raises(so.InvalidStudy, match="single season"):
        standard_households(weather=skies)


def test_simulated_weather_has_the_shares():
    ruling = yearly(Weather())
    seen = np.bincount(histories(ruling, 400, 24 * 400, 0)[:, ::24].ravel(), minlength=6) / (400 * 400)
    assert np.abs(seen - ruling.shares).max() < 0.02


@pytest.mark.parametrize(
    ("seasons", "words"),
    [
        ((Season("a", (1, 2)), Season("b", tuple(range(3, 12)))), "month 12 0 times"),
        ((Season("a", tuple(range(1, 8))), Season("b", tuple(range(7, 13)))), "month 7 2 times"),
        ((Season("a", tuple(range(1, 13))), Season("b", ())), "have months"),
        ((Season("a", (1,)), Season("a", tuple(range(2, 13)))), "different names"),
    ],
)
def test_years_that_are_none(seasons, words):
    with pytest.raises(so.InvalidStudy, match=words) as caught:
        check_year(seasons)
    assert caught.value.code == "setting-value"


def test_average_days_of_a_year():
    hours = np.arange(8760)
    month = np.array([(datetime.date(2023, 1, 1) + datetime.timedelta(days=int(d))).month for d in hours // 24])
    days = average_days(100.0 * month + hours % 24, SEASONS)
    for s, season in enumerate(SEASONS):
        mean = np.mean(month[np.isin(month, season.months)])
        assert np.allclose(days[:, s], 100.0 * mean + np.arange(24))
    leap = np.array([(datetime.date(2024, 1, 1) + datetime.timedelta(days=int(d))).month for d in np.arange(8784) // 24])
    assert np.allclose(average_days(1.0 * np.isin(leap, (11, 12, 1, 2)), SEASONS), [[0.0, 1.0, 0.0]] * 24)
    with pytest.raises(so.InvalidStudy, match="8760"):
        average_days(np.ones(48), SEASONS)


# --- what a year is made of ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tariff", [Tariff("p", buy=0.1, pass_buy=1.0, pass_sell=1.0), Tariff("nem", buy=0.3, net_metering=True)], ids=["coupled", "announced"])
def test_three_seasons_alike_are_one(tariff):
    one = town(Battery(levels=6))
    three = year_of(one, np.ones(3), np.ones(3))
    market = LinearSupply(slope=0.1)
    single, whole = (equilibrium(h, market, tariff, tolerance=1e-11) for h in (one, three))
    assert np.abs(whole.price.reshape(1, 24, 3, 2) - single.price[:, :, None]).max() <= 1e-10
    assert np.abs(whole.response.net.reshape(-1, 24, 3, 2) - single.response.net[:, :, None]).max() <= 1e-8
    first, second = criteria(single), criteria(whole)
    for name in ("cost", "gap", "volumetric", "wholesale", "peak", "ramp", "valley", "price_spread", "load_factor", "suits"):
        assert getattr(second, name) == pytest.approx(getattr(first, name), abs=1e-8, rel=1e-8), name
    assert np.abs(second.bills - first.bills).max() <= 1e-9
    assert np.abs(whole.response.exploitability() - single.response.exploitability()).max() <= 1e-8


def test_batteries_hardly_foresee_the_end_of_a_season(year):
    """Against equilibria of each season for ever: what a chance of 1/120 at midnight changes."""
    market = LinearSupply(slope=0.1)
    for tariff in (Tariff("p", buy=0.1, pass_buy=1.0, pass_sell=1.0), tariff_at("tou_nb", 0.3, year)):
        whole = equilibrium(year, market, tariff)
        bills = 0.0
        for season in SEASONS:
            here = [w for w, one in enumerate(year.weather.seasons) if one == season]
            part = replace(tariff, buy=tariff.buy[:, here] if tariff.buy.ndim == 2 else tariff.buy)
            ever = equilibrium(alone(year, season), market, part)
            assert whole.converged
            assert ever.converged
            off = np.abs(ever.price - whole.price[..., here])  # $/kWh, of prices around 0.15; a fifth of households have batteries
            assert off.max() <= 1e-3
            assert off.mean() <= 1e-4
            bills = bills + ever.response.bills * season.days / 365
        assert np.abs(bills - whole.response.bills).max() <= 2e-3  # $/day
        assert np.ptp(whole.price.mean((0, 1))) > 0.01


def test_a_season_alone_keeps_its_weather(year):
    winter = alone(year, SEASONS[1])
    assert np.allclose(winter.weather.transition, Weather().transition)
    assert winter.weather.names == ("clear", "cloudy")
    assert np.allclose(winter.load[0], 0.8 * FACTORS[1] * LOAD[:, None])
    assert np.allclose(winter.sun[1, :, 1], 0.35 * LIGHT[1] * SUN)
    with pytest.raises(so.InvalidStudy, match="monsoon"):
        alone(year, Season("monsoon", (7,)))


def test_the_built_in_year_uses_what_one_season_uses():
    whole, one = standard_households(season="year"), standard_households()
    assert [t.name for t in whole.types] == [t.name for t in one.types]
    yearly_use = (whole.load * whole.weather.shares).sum((1, 2))
    assert np.allclose(yearly_use, one.load.sum(1)[:, 0])
    winter = whole.weather.names.index("winter, cloudy")
    assert np.allclose(whole.sun[1, :, winter], 0.35 * 5.0 * clear_sky("winter"))
    levels = {s: load_shape("tx", s).sum() for s in ("summer", "winter")}
    tx = next(k for k, t in enumerate(whole.types) if t.name.endswith("C tx"))
    assert whole.load[tx, :, 0].sum() / whole.load[tx, :, winter].sum() == pytest.approx(levels["summer"] / levels["winter"])


def test_peaks_are_those_of_the_worst_season(year):
    found = equilibrium(year, LinearSupply(), Tariff("p", buy=0.2, pass_buy=1.0, pass_sell=1.0))
    total, seen = found.market.total(found.response.load), criteria(found)
    by_season = [(total[:, [2 * s, 2 * s + 1]] * Weather().shares).sum(1) for s in range(3)]
    assert seen.peak == pytest.approx(max(day.max() for day in by_season))
    assert seen.valley == pytest.approx(min(day.min() for day in by_season))
    assert seen.ramp == pytest.approx(max((np.roll(day, -3) - day).max() for day in by_season))


# --- rates by season ----------------------------------------------------------------------------------------------------


def test_time_of_use_follows_the_published_summer_and_winter_rates(year):
    tariff = tariff_at("tou_nb", 0.3, year)
    summer, winter = tariff.buy[:, 0], tariff.buy[:, 2]
    assert np.allclose(winter, tariff.buy[:, 5])  # the shoulder has winter months only
    assert summer[17] / summer[3] == pytest.approx(0.5224 / 0.3994)
    assert winter[17] / winter[3] == pytest.approx(0.39757 / 0.36757)
    assert summer[3] / winter[3] == pytest.approx(0.3994 / 0.36757)
    assert float((tariff.buy @ year.weather.shares).mean()) == pytest.approx(0.3)
    straddling = (Season("a", (5, 6)), Season("b", (1, 2, 3, 4, 7, 8, 9, 10, 11, 12)))
    types = [HouseholdType("c", "Q1", "C", 1.0, 1e4, LOAD)]
    shape = tou_shape(Households(types, yearly(Weather(), straddling)))
    assert shape[3, 0] / shape[17, 0] == pytest.approx((31 * 0.36757 + 30 * 0.3994) / (31 * 0.39757 + 30 * 0.5224))


def test_rates_by_regime_are_those_that_are_faced(year):
    rates = np.linspace(0.2, 0.4, 24 * 6).reshape(24, 6)
    sold = 0.5 * rates
    tariff = Tariff("t", buy=rates, sell=sold)
    buy, sell = tariff.rates(year, np.zeros((1, 24, 6)))
    assert np.array_equal(buy, np.broadcast_to(rates, buy.shape))
    assert np.array_equal(sell, np.broadcast_to(sold, sell.shape))
    response = respond(year, tariff, np.zeros((1, 24, 6)), 0.02)
    assert np.allclose(response.bills, (rates * response.imports - sold * response.exports).sum((1, 2)))
    both = replace(tariff, net_metering=True).adders(year)
    assert np.array_equal(both[0], rates)
    assert np.array_equal(both[1], rates)
    with pytest.raises(so.InvalidStudy, match=r"\[24, 6\]") as caught:
        Tariff("short", buy=rates[:, :5]).rates(year, np.zeros((1, 24, 6)))
    assert caught.value.code == "hours"
    with pytest.raises(so.InvalidStudy, match=r"\[24, 2\]"):
        Households(year.types)  # days of six regimes under a weather of two
    with pytest.raises(so.InvalidStudy, match="a season for each"):
        Weather(seasons=SEASONS)


@pytest.mark.parametrize("kind", [{"pass_buy": 1.0, "pass_sell": 1.0}, {"pass_sell": 0.3, "discount": {"Q1": 0.35}}, {"net_metering": True}])
def test_gradients_over_six_regimes_are_difference_quotients(year, kind):
    """One rate for all seasons, one for the evenings of summer, one for winter."""
    evening = ((np.arange(24) >= 16) & (np.arange(24) < 21)).astype(float)
    summer, winter = (np.array([one.name == name for one in year.weather.seasons], float) for name in ("summer", "winter"))
    buy = np.stack([np.ones((24, 6)), evening[:, None] * summer, np.ones((24, 1)) * winter], -1)
    sell = 0.2 * buy
    theta, market = np.array([0.3, 0.1, 0.05]), LinearSupply(slope=0.1)

    def solved(at, start=None):
        found = equilibrium(year, market, Tariff("t", buy=buy @ at, sell=sell @ at, **kind), tolerance=1e-11, start=start)
        assert found.converged
        return found

    found = solved(theta)
    exact = gradients(found, buy, sell)
    for d, e in enumerate(np.eye(3)):
        ends = [solved(theta + s * 1e-5 * e, found) for s in (1, -1)]
        first, second = map(criteria, ends)
        pairs = {
            "cost": (first.cost - second.cost, exact.cost),
            "volumetric": (first.volumetric - second.volumetric, exact.volumetric),
            "wholesale": (first.wholesale - second.wholesale, exact.wholesale),
            "incidence": (first.incidence - second.incidence, exact.incidence),
            "price": (ends[0].price - ends[1].price, exact.price),
            "variance": (first.price_spread**2 - second.price_spread**2, exact.price_variance),
        }
        for name, (difference, slope) in pairs.items():
            assert np.abs(np.asarray(difference) / 2e-5 - slope[..., d]).max() <= 2e-5 * max(np.abs(slope).max(), 1e-9), name


# --- against hourly billing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metering", ["net billing", "net metering"])
def test_a_year_of_regimes_is_billed_as_its_hours(metering):
    """Households without a battery: bills of averages over six regimes against month by month billing of 17,520 hours."""
    even = Weather(stay=(0.5, 0.5))  # as often clear as cloudy
    small = year_of(town(weather=even), light=0.5 * LIGHT)  # roofs so small that no month ends with credits
    shape = tou_shape(small)
    peak, rest = 0.45 * shape[17], 0.45 * shape[3]
    netted = metering == "net metering"
    tariff = Tariff("t", buy=0.45 * shape, sell=0.06, net_metering=netted)
    response = respond(small, tariff, np.zeros((1, 24, 6)), 0.02)
    months = np.array([next(w for w, one in enumerate(small.weather.seasons) if m in one.months) for m in range(1, 13)])
    hourly = np.zeros((12, 2, 24))
    for m, w in enumerate(months):
        hourly[m] = np.where((np.arange(24) >= 16) & (np.arange(24) < 21), peak[w], rest[w])
    rates = Rates("t", hourly, None if netted else 0.06, metering)
    sold = 0.0
    for i, kind in enumerate(small.types[:3]):
        calendar, use = two_years(response.net[i] + small.sun[i], small.weather)
        sun = two_years(small.sun[i], small.weather)[1]
        billed = bill(rates, calendar, use, sun)
        assert float((billed.energy + billed.credit).sum()) / 730 == pytest.approx(response.bills[i], rel=1e-8), kind.name  # netting takes rates to 9 digits
        assert billed.carried == 0.0
        sold += billed.exports.sum()
    assert sold > 100.0
