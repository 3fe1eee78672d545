"""Under equal pass-through the equilibrium is the welfare optimum: a convex program over occupancies and use, by another solver."""

import numpy as np
import pytest
from towns import town

from stackopt.energy.criteria import criteria
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.households import HOURS, Battery
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.storage import Charging
from stackopt.energy.tariff import Tariff

BATTERY = Battery(levels=6)


def optimum(households, market):
    """Least generation - utility + wear, $/day and household: a quadratic program in use by hour and regime and flows of charge."""
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
    best = optimum(households, market)
    gaps = []
    for temperature in temperatures:
        found = equilibrium(households, market, Tariff("pass-through", pass_buy=1.0, pass_sell=1.0), temperature=temperature)
        assert found.converged
        gap = criteria(found).cost - best
        assert -1e-6 <= gap <= float(households.share @ found.response.exploitability()) + 1e-6
        gaps.append(gap)
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < close
