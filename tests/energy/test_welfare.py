"""The welfare optimum, its certificate, and what an equilibrium under equal pass-through has to do with it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from towns import town

import stackopt as so
from stackopt.energy import welfare
from stackopt.energy.criteria import criteria
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.households import HOURS, Battery, Households, Weather
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.storage import Charging
from stackopt.energy.tariff import Tariff
from stackopt.energy.welfare import bound_at, welfare_optimum
from stackopt.solution import Status

BATTERY = Battery(levels=6)


def passed(households, market, temperature, **rest):
    found = equilibrium(households, market, Tariff("pass-through", **({"pass_buy": 1.0, "pass_sell": 1.0} | rest)), temperature=temperature)
    assert found.converged
    return found, criteria(found).cost, float(households.share @ found.response.exploitability())


def by_another_solver(households, market):
    """Least generation - utility + wear, $/day and household: one quadratic program with the use and the flows of every type, by an interior point."""
    import cvxpy as cp

    regime, W = households.weather.shares, len(households.weather.shares)
    eps, p0 = households.elasticity, households.reference_price
    charging = Charging(BATTERY, households.weather.hourly)
    C, A = BATTERY.levels, len(BATTERY.moves)
    net, cost, limits = np.zeros((HOURS, W)), 0.0, []
    for i, kind in enumerate(households.types):
        use = cp.Variable((HOURS, W), nonneg=True)
        usual = np.repeat(kind.load[:, None], W, 1)
        weight = np.repeat(regime[None], HOURS, 0)
        away = use - usual
        cost -= kind.share * cp.sum(cp.multiply(weight, p0 * away - cp.multiply(p0 / (2 * eps * usual), cp.square(away))))
        taken = use - households.sun[i]
        if kind.battery is not None:
            flow = [[cp.Variable((C, A), nonneg=True) for _ in range(W)] for _ in range(HOURS)]
            for h in range(HOURS):
                for w in range(W):
                    limits.append(cp.multiply(flow[h][w], (~charging.possible).astype(float)) == 0)
                    limits.append(cp.sum(flow[h][w]) == regime[w])
                    cost += kind.share * cp.sum(flow[h][w] @ BATTERY.worn)
                for v in range(W):
                    after = [0.0] * C
                    for w in range(W):
                        for a, move in enumerate(BATTERY.moves):
                            for c in range(C):
                                if 0 <= c + move < C:
                                    after[c + move] = after[c + move] + households.weather.hourly[h, w, v] * flow[h][w][c, a]
                    limits += [cp.sum(flow[(h + 1) % HOURS][v][c, :]) == after[c] for c in range(C)]
            charged = cp.vstack([cp.hstack([cp.sum(flow[h][w] @ BATTERY.metered) / regime[w] for w in range(W)]) for h in range(HOURS)])
            taken = taken + charged
        net = net + kind.share * taken
    load = market.base + net * (households.count / 1000.0)
    weight = np.repeat(regime[None], HOURS, 0)
    cost += cp.sum(cp.multiply(weight, market.intercept * load + 0.5 * market.slope * cp.square(load))) / households.count
    problem = cp.Problem(cp.Minimize(cost), limits)
    problem.solve(solver=cp.CLARABEL)
    assert problem.status == cp.OPTIMAL
    return problem.value


@pytest.mark.parametrize(("slope", "temperatures", "close"), [(0.045, (0.02, 0.005, 0.001), 2e-3), (0.2, (0.02, 0.01, 0.005), 1e-2)])
def test_the_equilibrium_is_the_welfare_optimum_up_to_its_exploitability(slope, temperatures, close):
    households, market = town(battery=BATTERY), LinearSupply(slope=slope)
    best = welfare_optimum(households, market)
    assert best.status is Status.OPTIMAL
    assert best.cost == pytest.approx(by_another_solver(households, market), abs=1e-6)
    gaps = []
    for temperature in temperatures:
        found, cost, exploitable = passed(households, market, temperature)
        gap = cost - best.cost
        assert -1e-7 <= gap <= cost - best.bound <= exploitable + 2e-7
        assert bound_at(households, market, found.price[0]) == pytest.approx(cost - exploitable, abs=1e-6)  # duality: exploitability is the bound
        gaps.append(gap)
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < close


def test_without_equal_pass_through_the_exploitability_bounds_nothing():
    households, market = town(battery=BATTERY), LinearSupply(floor=0.0)
    best = welfare_optimum(households, market)
    _, cost, exploitable = passed(households, market, 0.005, pass_sell=0.5)
    assert cost - best.cost > 2.0 * exploitable


def test_without_batteries_the_equilibrium_is_the_optimum():
    some = town().types
    households = Households([*some[:2], replace(some[2], share=0.3)], Weather(("one",), (1.0,), (1.0,)))
    best = welfare_optimum(households, LinearSupply())
    assert best.plan == {}
    assert passed(households, LinearSupply(), 0.01)[1] == pytest.approx(best.cost, abs=1e-9)
    assert best.bracket <= 1e-9


@pytest.mark.parametrize("changes", ["daily", "hourly"])
def test_any_prices_and_values_bound_and_the_best_are_those_of_the_program(changes):
    households = town(battery=BATTERY, weather=Weather(changes=changes))
    for market in (LinearSupply(), LinearSupply(floor=0.0, slope=0.2), LinearSupply(intercept=60.0, slope=0.0)):
        best = welfare_optimum(households, market)
        assert best.certificate.certified
        assert best.bound == bound_at(households, market, best.price, best.values)
        assert best.bound <= bound_at(households, market, best.price) + 1e-7  # its best control restarts with chance 1e-7
        rng = np.random.default_rng(0)
        for noise in (0.001, 0.01, 0.1):
            price = best.price + noise * rng.standard_normal(best.price.shape)
            values = {battery: v + noise * rng.standard_normal(v.shape) for battery, v in best.values.items()}
            assert bound_at(households, market, price, values) <= best.cost + 1e-9
            assert bound_at(households, market, price) <= best.cost + 1e-9


def test_a_plan_beats_what_households_do_and_is_one():
    households, market = town(battery=BATTERY), LinearSupply(slope=0.2)
    best = welfare_optimum(households, market)
    law = best.plan[BATTERY]
    assert law.shape == (HOURS, 2, 6, len(BATTERY.moves))
    assert law.sum((1, 2, 3)) == pytest.approx(np.ones(HOURS))
    assert law.sum((2, 3)) == pytest.approx(np.repeat(households.weather.shares[None], HOURS, 0))
    metered = (law.sum(2) @ BATTERY.metered).sum()
    assert metered > 0.0  # losses
    broken = law.copy()
    broken[5] = 0.0
    assert welfare._carried(households, broken, BATTERY) > 0.1
    assert "Welfare optimum: OPTIMAL" in str(best)


def test_a_search_that_is_cut_short_is_no_optimum(monkeypatch):
    households, market = town(battery=BATTERY), LinearSupply(slope=0.2)
    monkeypatch.setattr(welfare, "ROUNDS", 1)
    cut = welfare_optimum(households, market)
    assert cut.status is Status.LIMIT
    assert "bracket" in cut.because
    assert cut.bound < cut.cost
    none = welfare_optimum(households, market, time_limit=0.0)
    assert none.status is Status.LIMIT
    assert (none.cost, none.bound) == (math.inf, -math.inf)


def test_markets_whose_price_is_not_their_marginal_cost_are_refused():
    for market in (LinearSupply(floor=5.0), object()):
        with pytest.raises(so.InvalidStudy) as caught:
            welfare_optimum(town(), market)
        assert caught.value.code == "setting-value"
        assert "one bus with a linear supply" in str(caught.value)
