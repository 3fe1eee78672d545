"""Designs whose rates differ by season: derivatives, the limit of seasons alike, and what they add."""

import numpy as np
import pytest
from towns import town
from years import year_of

import stackopt as so
from stackopt.energy.designs.design import design
from stackopt.energy.designs.problem import DesignProblem, Limits, seasonal
from stackopt.energy.designs.program import Search
from stackopt.energy.games.game import as_game
from stackopt.energy.households import Battery
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.seasons import InSeason
from stackopt.energy.studies.study import study_of
from stackopt.energy.tariff import Tariff

PERIODS = {"day": [*range(16), *range(21, 24)], "peak": range(16, 21)}


@pytest.fixture(scope="module")
def year():
    return year_of(town(Battery(levels=6)))


def problem(households, periods, **rest):
    return DesignProblem(households, LinearSupply(slope=0.1), 2.5, periods, cap=30.0, **rest)


@pytest.mark.parametrize("passed", [{}, {"pass_buy": 0.0}, {"net_metering": True, "pass_buy": 0.0}], ids=["passed", "announced", "net metering"])
def test_limits_have_their_derivatives(year, passed):
    asked = problem(year, seasonal(PERIODS, year), limits=Limits(gap=0.1, peak=1500.0, price_spread=30.0), **passed)
    search = Search(asked, tolerance=1e-11)
    P = len(asked.periods)
    assert (search.P, asked.selection.shape) == (6, (24, 6, 6))
    z = np.concatenate([np.linspace(0.3, 0.4, P) + 0.1 * (not asked.pass_buy), np.linspace(0.02, 0.05, P), [0.3, 0.5, 0.7, 0.12, 0.02]])
    for values, slopes in ((search.equalities, search.equality_slopes), (search.inequalities, search.inequality_slopes)):
        exact = slopes(z)
        for d in (0, 3, P + 1, 2 * P + 1, len(z) - 1):
            step = 1e-5 * np.eye(len(z))[d]
            quotient = (values(z + step) - values(z - step)) / 2e-5
            assert np.abs(quotient - exact[:, d]).max() <= 2e-5 * max(1.0, np.abs(exact).max())


def test_seasons_with_rates_of_their_own_cost_no_more_and_alike_they_cost_the_same(year):
    plain, own = (design(problem(year, periods), starts=1) for periods in (PERIODS, seasonal(PERIODS, year)))
    assert plain.status.success
    assert own.status.success
    assert own.criteria.cost <= plain.criteria.cost + 1e-7
    assert own.tariff.buy.shape == (24, 6)
    assert list(own.problem.periods)[3] == "winter peak"
    buy, sell = own.problem.rates_of(own.tariff)
    assert np.allclose(np.concatenate([buy, sell]), own.z[:12])
    assert "winter peak" in str(own)
    alike = year_of(town(Battery(levels=6)), np.ones(3), np.ones(3))
    one, three = (design(problem(alike, periods), starts=1) for periods in (PERIODS, seasonal(PERIODS, alike)))
    assert three.criteria.cost == pytest.approx(one.criteria.cost, abs=1e-5)


def test_a_study_asks_for_it():
    text = '[population]\nshapes = ["ca"]\nseason = "year"\n[tariff]\nseasonal = true\n'
    names = list(study_of(text).problem().periods)
    assert names[:5] == ["summer off", "summer midday", "summer peak", "summer night", "winter off"]
    with pytest.raises(so.InvalidStudy, match=r"line 5, \[tariff\] seasonal") as caught:
        study_of(text.replace('season = "year"', 'season = "summer"'))
    assert caught.value.code == "setting-value"


@pytest.mark.parametrize(
    ("periods", "words"),
    [
        ({"all": InSeason("spring", range(24))}, "spring"),
        ({"summer": InSeason("summer", range(24)), "winter": InSeason("winter", range(24))}, "hour 0 0 times in shoulder, clear"),
        ({"all": range(24), "summer": InSeason("summer", range(24))}, "hour 0 2 times in summer, clear"),
        ({"day": [*range(24), 3]}, "each once"),
        ({"day": range(25)}, "from 0 to 23"),
    ],
)
def test_periods_that_do_not_make_up_a_year(year, periods, words):
    with pytest.raises(so.InvalidStudy, match=words):
        problem(year, periods)


def test_the_game_of_moves_takes_neither_seasonal_periods_nor_a_true_up(year):
    for asked in (problem(year, seasonal(PERIODS, year)), Tariff("nem", buy=0.3, net_metering=True, true_up=0.05)):
        with pytest.raises(so.InvalidStudy, match="single seasons"):
            as_game(year, LinearSupply(), asked)
