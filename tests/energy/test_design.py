"""Designs: first-order points within their limits, the frontier in order, and honest words where there is none."""

import dataclasses

import numpy as np
import pytest
from towns import town

import stackopt as so
from stackopt.energy.criteria import criteria
from stackopt.energy.design import design, frontier, smallest_gap, starting_points
from stackopt.energy.design_problem import DesignProblem, Limits
from stackopt.energy.design_program import Search
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.market.supply import LinearSupply
from stackopt.solution import Status


def problem(**rest):
    return DesignProblem(town(), LinearSupply(), periods={"day": range(16), "evening": range(16, 24)}, **rest)


def test_without_limits_the_best_rates_are_the_wholesale_prices():
    """Where fixed charges may recover everything, pass-through is efficient; adders only make up for the noise of soft choice."""
    adders = []
    for temperature in (0.02, 0.004):
        found = design(problem(cap=1000.0, temperature=temperature), starts=1)
        assert found.status is Status.CONVERGED
        assert found.violation <= 1e-6
        assert abs(found.criteria.shortfall) <= 1e-6
        adders.append(max(np.abs(found.tariff.buy).max(), np.abs(found.tariff.sell).max()))
    assert adders[1] < 0.5 * adders[0] < 0.02


def test_a_design_beats_its_neighbours():
    free = design(problem(cap=40.0), starts=1).criteria.gap
    limit = 0.5 * (free + smallest_gap(problem(cap=40.0)))
    assert limit < free
    found = design(problem(cap=40.0, limits=Limits(gap=limit)), starts=1)
    assert found.status is Status.CONVERGED
    assert found.criteria.gap <= limit + 1e-6
    rng = np.random.default_rng(0)
    search = Search(found.problem)
    for _ in range(15):  # nearby feasible points are dearer: move, then repair revenue with the fixed charges
        z = found.z.copy()
        z[:4] += 0.01 * rng.normal(size=4)
        z = np.clip(z, search.low, search.high)
        z[2:4] = np.minimum(z[2:4], z[:2])
        if not search.evaluation.at(z):
            continue
        z[4:7] += search.evaluation.seen.shortfall - search.evaluation.weight @ z[4:7]
        incidence = search.evaluation.seen.incidence + search.per_fixed * z[4:7]
        if (z[4:7] < 0).any() or (z[4:7] > search.high[4:7]).any() or np.ptp(incidence) > limit:
            continue
        assert search.cost(z) >= found.criteria.cost - 1e-6


def test_slopes_of_the_program_are_difference_quotients():
    limits = Limits(gap=0.05, peak=1500.0, price_spread=8.0)
    search = Search(problem(pass_sell=0.5, limits=limits, ratios=(1.0, 2.0, 4.0)), tolerance=1e-11)
    z = starting_points(search, 1, 0)[0]
    for value, slope in ((search.equalities, search.equality_slopes), (search.inequalities, search.inequality_slopes), (search.cost, search.cost_slope)):
        exact = np.atleast_2d(slope(z))
        for d, e in enumerate(np.eye(search.n)):
            quotient = (np.atleast_1d(value(z + 1e-5 * e)) - np.atleast_1d(value(z - 1e-5 * e))) / 2e-5
            assert np.abs(quotient - exact[:, d]).max() <= 1e-5 * max(1.0, np.abs(exact).max())


def test_the_frontier_falls_with_the_gap_and_ends_where_no_tariff_reaches():
    least, free = smallest_gap(problem(cap=40.0)), design(problem(cap=40.0), starts=1).criteria.gap
    found = frontier(problem(cap=40.0), [free, 0.5 * (free + least), 0.5 * least], starts=1)
    assert [d.status for d in found] == [Status.CONVERGED, Status.CONVERGED, Status.LIMIT]
    assert found[0].criteria.cost <= found[1].criteria.cost
    assert "smallest gap found" in found[2].because


def test_a_requirement_out_of_reach_is_infeasible_and_says_how_much_is_in_reach():
    found = design(problem(required=500.0), starts=1)
    assert found.status is Status.INFEASIBLE
    assert "at most" in found.because
    assert found.tariff is None


def test_designs_are_reproduced_from_the_tariff_alone():
    found = design(problem(cap=40.0), starts=1)
    again = criteria(equilibrium(found.problem.households, found.problem.market, found.tariff), found.problem.required)
    assert again.cost == pytest.approx(found.criteria.cost, abs=1e-7)
    assert "Design: CONVERGED" in str(found)


@pytest.mark.parametrize(
    ("code", "change"),
    [("hours", {"periods": {"day": range(16)}}), ("setting-value", {"buy": (0.5, 0.1)}), ("setting-value", {"cap": -1.0})],
)
def test_what_is_refused(code, change):
    with pytest.raises(so.InvalidStudy) as caught:
        dataclasses.replace(problem(), **change)
    assert caught.value.code == code
