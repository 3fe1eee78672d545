"""The one-hour problem: closed forms, the orderings of the literature, and the optimum by a bilevel program to 1e-9."""

import numpy as np
import pytest

import stackopt as so
from stackopt.energy.static import StaticTown

TOWN = StaticTown()
#: scenario: adder of others, dead-weight loss $/h, incidence of low, middle, high in %.
TABLE = {
    "volumetric, net metering": ({}, 0.03719261, 1.00946332, (2.04365, 1.03545, -0.15197)),
    "volumetric, net billing": ({"net_billing": True}, 0.03295338, 0.58908995, (1.96942, 0.99784, -0.07029)),
    "care, net metering": ({"discount": (0.35, 0, 0)}, 0.05641985, 1.68456935, (1.66714, 1.23103, -0.20355)),
    "care, net billing": ({"discount": (0.35, 0, 0), "net_billing": True}, 0.04818359, 0.76186522, (1.56336, 1.15919, -0.07025)),
    "6 and 24.15 fixed, net billing": (
        {"net_billing": True, "fixed": np.array([6.0, 24.15, 24.15]) * 12 / 8760}, 0.00235274, 0.00300283, (1.54853, 1.04939, 0.0721),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_scenarios(name):
    settings, adder, loss, incidence = TABLE[name]
    found = TOWN.recovering(**settings)
    assert found.collected == pytest.approx(25.0, abs=1e-9)
    paid = found.price[1] - found.wholesale
    assert paid == pytest.approx(adder, abs=1e-8)
    assert found.loss == pytest.approx(loss, abs=1e-7)
    assert (100 * found.incidence).tolist() == pytest.approx(incidence, abs=6e-6)


def test_orderings_of_the_literature():
    loss = {name: TOWN.recovering(**settings).loss for name, (settings, *_) in TABLE.items()}
    gap = {name: np.ptp(TOWN.recovering(**settings).incidence) for name, (settings, *_) in TABLE.items()}
    for metering in ("metering", "billing"):
        assert gap[f"care, net {metering}"] < gap[f"volumetric, net {metering}"]  # discounts buy equity
        assert loss[f"care, net {metering}"] > loss[f"volumetric, net {metering}"]  # with efficiency
    assert loss["volumetric, net billing"] < loss["volumetric, net metering"]
    assert gap["volumetric, net billing"] < gap["volumetric, net metering"]
    assert min(loss, key=loss.get) == min(gap, key=gap.get) == "6 and 24.15 fixed, net billing"  # fixed charges dominate


@pytest.mark.parametrize("adders", [0.01, 0.05, 0.1, (0.03, 0.05, 0.02)])
def test_dead_weight_loss_in_closed_form(adders):
    assert TOWN.outcome(adders).loss == pytest.approx(TOWN.dead_weight_loss(adders), abs=1e-11)


def test_equal_incidence_without_loss():
    charges = TOWN.equal_incidence()
    found = TOWN.outcome(0.0, fixed=charges)
    assert np.ptp(found.incidence) <= 1e-15
    assert found.incidence[0] == pytest.approx(0.006478, abs=1e-6)
    assert float(TOWN.count @ charges) == pytest.approx(25.0)


def test_no_adder_is_best_by_a_bilevel_program():
    solution = so.solve(TOWN.program())
    assert solution.certified
    adders = [solution[f"adder[{i}]"] for i in range(3)]
    assert np.abs(adders).max() <= 1e-6
    assert -solution.value == pytest.approx(TOWN.outcome(0.0).welfare - _supply_of_sun(), abs=1e-9 * 400)


def _supply_of_sun():
    """What the program leaves out: cost of supply at no use, a constant."""
    sun = float(TOWN.count @ TOWN.sun)
    return TOWN.intercept * sun - 0.5 * TOWN.slope * sun**2


def test_the_program_answers_as_the_market_does():
    from dataclasses import replace

    adders = np.array([0.03, 0.05, 0.02])
    program = TOWN.program()
    lower, upper = program.lower.copy(), program.upper.copy()
    lower[:3] = upper[:3] = adders
    solution = so.solve(replace(program, lower=lower, upper=upper))
    assert [solution[f"use[{i}]"] for i in range(3)] == pytest.approx(TOWN.outcome(adders).use.tolist(), abs=1e-6)


def test_a_requirement_out_of_reach_says_how_much_is_in_reach():
    with pytest.raises(so.InvalidStudy, match=r"at most 9[0-9]") as caught:
        StaticTown(required=120.0).recovering()
    assert caught.value.code == "revenue"
    with pytest.raises(so.InvalidStudy, match="setting-value"):
        StaticTown(usual=(0.75, -1.0, 1.25))
