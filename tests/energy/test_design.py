"""Designs: first-order points within their limits, the frontier in order, and honest words where there is none."""

import dataclasses

import numpy as np
import pytest
from towns import town

import stackopt as so
from stackopt.energy.criteria import criteria
from stackopt.energy.designs.design import design, examine
from stackopt.energy.designs.frontier import extrapolated, frontier
from stackopt.energy.designs.problem import DesignProblem, Limits
from stackopt.energy.designs.program import Search
from stackopt.energy.designs.reach import smallest, smallest_gap
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.market.supply import LinearSupply
from stackopt.solution import Status


def problem(**rest):
    return DesignProblem(town(), LinearSupply(), periods={"day": range(16), "evening": range(16, 24)}, **rest)


@pytest.fixture(scope="module")
def free():
    """The design without limits on gap or stability."""
    return design(problem(cap=40.0), starts=1)


@pytest.fixture(scope="module")
def least(free):
    """The smallest gap."""
    return smallest_gap(problem(cap=40.0), free.z)


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


def test_a_design_beats_its_neighbours(free, least):
    limit = 0.5 * (free.criteria.gap + least)
    assert limit < free.criteria.gap
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


@pytest.mark.parametrize("least", [None, "gap", "peak", "price_spread"])
def test_slopes_of_the_program_are_difference_quotients(least):
    limits = Limits(gap=0.05, peak=1500.0, price_spread=8.0)
    search = Search(problem(pass_sell=0.5, limits=limits, ratios=(1.0, 2.0, 4.0)), tolerance=1e-11, least=least)
    z = search.starts(1, 0)[0]
    for value, slope in ((search.equalities, search.equality_slopes), (search.inequalities, search.inequality_slopes), (search.cost, search.cost_slope)):
        exact = np.atleast_2d(slope(z))
        for d, e in enumerate(np.eye(search.n)):
            quotient = (np.atleast_1d(value(z + 1e-5 * e)) - np.atleast_1d(value(z - 1e-5 * e))) / 2e-5
            assert np.abs(quotient - exact[:, d]).max() <= 1e-5 * max(1.0, np.abs(exact).max())


def test_the_frontier_falls_with_the_gap_and_ends_where_no_tariff_reaches(free, least):
    found = frontier(problem(cap=40.0), [free.criteria.gap, 0.5 * (free.criteria.gap + least), 0.5 * least], starts=1)
    assert [d.status for d in found] == [Status.CONVERGED, Status.CONVERGED, Status.LIMIT]
    assert found[0].criteria.cost <= found[1].criteria.cost
    assert "smallest gap found" in found[2].because


@pytest.mark.parametrize(("over", "of"), [("peak", "peak"), ("price_spread", "price_spread")])
def test_stability_has_a_frontier_too(over, of, free):
    least = smallest(problem(cap=40.0), over, free.z)
    high = getattr(free.criteria, of)
    assert least.value < high
    limits = [*np.linspace(high, 0.7 * least.value + 0.3 * high, 3), 0.5 * least.value]
    found = frontier(problem(cap=40.0), limits, over=over, starts=0, begin=[free.z])
    assert [d.status for d in found] == [Status.CONVERGED] * 3 + [Status.LIMIT]
    assert free.criteria.cost == pytest.approx(found[0].criteria.cost, abs=1e-6)
    assert found[0].criteria.cost < found[1].criteria.cost < found[2].criteria.cost
    for d, limit in zip(found[:3], limits, strict=False):
        again = criteria(equilibrium(town(), LinearSupply(), d.tariff), d.problem.required)  # from the tariff alone
        assert getattr(again, of) <= limit * (1 + 1e-6)
    assert f"the smallest {over.replace('_', ' ')} found" in found[3].because


def test_no_other_rates_found_at_random_keep_the_peak_at_less_cost(free):
    limit = 0.5 * (free.criteria.peak + smallest(problem(cap=40.0), "peak", free.z).value)
    found = design(problem(cap=40.0, limits=Limits(peak=limit)), starts=1)
    assert found.status is Status.CONVERGED
    rng, search, tried = np.random.default_rng(0), Search(found.problem), 0
    for k in range(40):
        z = found.z.copy()
        z[:4] = np.clip(z[:4] + (0.02 if k % 2 else 0.005) * rng.normal(size=4), 0.0, 0.8)
        z[2:4] = np.minimum(z[2:4], z[:2])
        if not search.evaluation.at(z):
            continue
        z[4:7] = search.evaluation.seen.shortfall
        if search.violation(z) <= 1e-6:  # sell rates, charges within the cap, and the peak
            tried += 1
            assert search.cost(z) >= found.criteria.cost - 1e-6
    assert tried >= 3


def test_beneath_the_smallest_gap_nothing_is_searched(least):
    found = frontier(problem(cap=40.0), [1.2 * least, *np.linspace(0.9, 0.1, 9) * least], starts=1)
    assert found[0].status.success
    assert all(d.status is Status.LIMIT and d.tariff is None for d in found[1:])
    assert [d.equilibria for d in found[2:]] == [0] * 8
    assert all(f"the smallest gap found is {least:.4g}" in d.because for d in found[1:])


def test_a_frontier_that_was_stopped_goes_on_where_it_was():
    limits = list(np.linspace(0.085, 0.072, 3))
    kept = {}

    def stop(limit, found):
        kept[limit] = found.z.tolist()
        if len(kept) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frontier(problem(cap=40.0), limits, starts=1, keep=stop)
    whole = frontier(problem(cap=40.0), limits, starts=1)
    again = frontier(problem(cap=40.0), limits, starts=1, known={limit: np.array(z) for limit, z in kept.items()})
    assert all(d.status.success for d in again)
    assert [d.criteria.cost for d in again] == pytest.approx([d.criteria.cost for d in whole], abs=1e-6)
    assert again[0].equilibria < whole[0].equilibria
    spoiled = frontier(problem(cap=40.0), limits[:1], starts=1, known={limits[0]: 1.3 * np.array(kept[limits[0]])})
    assert spoiled[0].status.success  # what was stored is examined, never believed
    assert spoiled[0].criteria.cost == pytest.approx(whole[0].criteria.cost, abs=1e-6)


def test_a_limit_out_of_reach_says_what_is_in_reach():
    found = design(problem(cap=40.0, limits=Limits(peak=900.0)), starts=1)
    assert found.status is Status.LIMIT
    assert "the smallest peak found is" in found.because
    assert "asked 900 MW" in found.because


def test_points_found_elsewhere_are_examined(free):
    assert examine(free.problem, free.z).status is Status.CONVERGED
    moved = free.z.copy()
    moved[0] += 0.05
    assert examine(free.problem, moved).status is Status.LIMIT
    assert "limits missed" in examine(free.problem, moved).because
    beyond = free.z.copy()
    beyond[4:7] = 41.0 * 12 / 365
    assert examine(free.problem, beyond).status is Status.LIMIT


def test_extrapolation_is_exact_for_parabolas():
    path = [(g, np.array([g**2, 2.0 - g])) for g in (3.0, 2.0, 1.5)]
    assert extrapolated(path, 1.0) == pytest.approx([1.0, 1.0])
    assert extrapolated(path[:1], 1.0) is None


def test_limits_can_be_on_three_criteria():
    with pytest.raises(so.InvalidStudy) as caught:
        frontier(problem(), [1.0], over="ramp")
    assert caught.value.code == "setting-value"


def test_a_requirement_out_of_reach_is_infeasible_and_says_how_much_is_in_reach():
    found = design(problem(required=500.0), starts=1)
    assert found.status is Status.INFEASIBLE
    assert "at most" in found.because
    assert found.tariff is None


def test_designs_are_reproduced_from_the_tariff_alone(free):
    again = criteria(equilibrium(free.problem.households, free.problem.market, free.tariff), free.problem.required)
    assert again.cost == pytest.approx(free.criteria.cost, abs=1e-7)
    assert "Design: CONVERGED" in str(free)


@pytest.mark.parametrize(
    ("code", "change"),
    [("hours", {"periods": {"day": range(16)}}), ("setting-value", {"buy": (0.5, 0.1)}), ("setting-value", {"cap": -1.0})],
)
def test_what_is_refused(code, change):
    with pytest.raises(so.InvalidStudy) as caught:
        dataclasses.replace(problem(), **change)
    assert caught.value.code == code
