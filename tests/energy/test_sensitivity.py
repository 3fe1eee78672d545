"""One assumption at a time: what moves and what does not, and a design whose rates stay."""

from dataclasses import replace

import numpy as np
import pytest
from outcomes import outcome
from studies import TOML, write
from towns import town

from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.criteria import criteria
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.studies import sensitivity as module
from stackopt.energy.studies.sensitivity import adopting, frozen, sensitivity, with_panels
from stackopt.energy.studies.study import read_study
from stackopt.energy.tariff import DAYS_PER_MONTH, Tariff
from stackopt.solution import Status


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    read = read_study(write(tmp_path_factory.mktemp("town")))
    return read.changed(tariff__periods={"day": [0, 16], "evening": [16, 24]}, tariff__cap=40)


def test_only_who_has_panels_changes():
    households = town()  # Q1 40 % without; Q3 30 %, all with; Q5 10 % without and 20 % with
    assert with_panels(households) == pytest.approx(0.5)
    half, more, most = (adopting(households, f) for f in (0.5, 1.2, 9.0))
    assert half.share == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert more.share == pytest.approx([0.4, 0.3, 0.06, 0.24])
    assert most.share == pytest.approx([0.4, 0.3, 0.0, 0.3])
    for moved in (half, more, most):
        assert moved.by_group(moved.income) == pytest.approx(households.by_group(households.income))
        assert np.bincount(moved.group_of, weights=moved.share) == pytest.approx([0.4, 0.3, 0.3])


def test_rates_stay_and_charges_recover_the_requirement(study):
    """Against a fresh equilibrium: what fixed charges bring is what rates leave, in the ratios announced."""
    tariff = Tariff("designed", buy=0.10, pass_buy=1.0, pass_sell=1.0, fixed={"Q1": 5.0, "Q3": 10.0, "Q5": 20.0})
    announced = outcome(tariff, study.households, study.market, study.required, study.temperature)
    for changed in (study, study.changed(revenue__required=3.7), study.changed(population__elasticity=0.4)):
        found = frozen(announced, changed)
        assert found.status is Status.CONVERGED
        assert found.tariff.buy.tolist() == tariff.buy.tolist()
        charges = found.tariff.fixed
        assert charges["Q3"] / charges["Q1"] == pytest.approx(2.0)
        assert charges["Q5"] / charges["Q1"] == pytest.approx(4.0)
        e = equilibrium(changed.households, changed.market, tariff, temperature=changed.temperature, tolerance=1e-10)
        left = criteria(e, changed.required, np.zeros(3)).shortfall
        weight = np.array([0.5, 0.15, 0.35])
        assert weight @ np.array(list(charges.values())) / DAYS_PER_MONTH == pytest.approx(left, abs=1e-7)
        assert found.criteria.shortfall == pytest.approx(0.0, abs=1e-9)


def test_what_cannot_be_recovered_is_said(study):
    free = Tariff("designed", buy=0.10, pass_buy=1.0, pass_sell=1.0, fixed={"Q1": 0.0, "Q3": 0.0, "Q5": 0.0})
    none = frozen(outcome(free, study.households, study.market), study)
    assert none.status is Status.INFEASIBLE
    assert "without fixed charges" in none.because
    e = equilibrium(study.households, study.market, free, temperature=study.temperature, tolerance=1e-10)
    assert none.reach == pytest.approx(criteria(e, 0.0).volumetric - criteria(e, 0.0).wholesale)
    some = replace(free, fixed={"Q1": 5.0, "Q3": 5.0, "Q5": 5.0})
    much = frozen(outcome(some, study.households, study.market), study.changed(revenue__required=0.5))
    assert much.status is Status.LIMIT
    assert "more than is required" in much.because
    failed = frozen(Outcome("designed", "", None, None, None, Status.INFEASIBLE, "no rates recover the requirement"), study)
    assert (failed.status, failed.criteria, failed.because) == (Status.INFEASIBLE, None, "no rates recover the requirement")
    dear = replace(some, pass_sell=1.5)
    held = outcome(dear, study.households, study.market)
    sold = frozen(held, study.changed(market__intercept=200))
    assert sold.status is Status.LIMIT
    assert "sells above" in sold.because


def test_a_design_is_found_once_and_its_rates_stay(study, monkeypatch):
    few = {("population", "elasticity"): (0.1, 0.3), ("revenue", "required"): (0.8, 1.3), ("population", "adoption"): (0.5, 1.5)}
    monkeypatch.setattr(module, "VARIATIONS", few)
    asked = []
    design = module.design
    monkeypatch.setattr(module, "design", lambda problem, **rest: asked.append(problem) or design(problem, **rest))
    found = sensitivity(study, "designed")
    assert len(asked) == 1
    assert found.status is Status.CONVERGED
    rows = {(r[0], r[1]): r for r in found["sensitivity"].rows}
    assert len(rows) == 7
    designs = [o for o in found.outcomes if o.name == "designed"]
    assert all(o.tariff.buy.tolist() == designs[0].tariff.buy.tolist() for o in designs if o.tariff)
    for o, row in zip(designs, found["sensitivity"].rows, strict=True):
        assert (row[3] is not None) == o.status.success
        if o.status.success:
            assert o.criteria.shortfall == pytest.approx(0.0, abs=1e-6)
    assert rows["base", ""][6:9] == (0.0, 0.0, 0.0)
    assert rows["households with panels, %", "low"][2] == pytest.approx(20.0)  # of 25 %, the 15 % of Q3 have no neighbour without
    assert "above the cap" in rows["[revenue] required", "high"][-1]
    assert "rise above the design's cap" in " ".join(str(found).split())
    assert found["convergence"].column("tariff") == ["flat_nem", "designed"]


def test_ends_lie_on_both_sides_of_what_the_study_has(study):
    """Beyond the usual range they are half or twice, and shares end at 1."""
    far = study.changed(population__elasticity=0.5, population__reference_price=0.2, storage__efficiency=0.97, storage__wear=0.0)
    ends = {(item, word): value for item, word, value, _ in module._cases(far)}
    assert (ends["[population] elasticity", "low"], ends["[population] elasticity", "high"]) == (0.1, 1.0)
    assert (ends["[population] reference_price", "low"], ends["[population] reference_price", "high"]) == (0.1, 0.35)
    assert (ends["[storage] efficiency", "low"], ends["[storage] efficiency", "high"]) == (0.85, 1.0)
    assert (ends["[storage] wear", "low"], ends["[storage] wear", "high"]) == (0.0, 0.1)


def test_where_nobody_has_panels_their_share_does_not_move(study):
    none = replace(study, households=replace(study.households, types=[replace(t, sun=None, battery=None) for t in study.households.types]))
    assert "households with panels, %" in {c[0] for c in module._cases(study)}
    assert "households with panels, %" not in {c[0] for c in module._cases(none)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [([(-0.3, -1.0), (-0.1, -2.0)], "the changes of cost and gap keep"), ([(-0.3, -1.0), (0.1, -2.0)], "that of cost does not"),
     ([(-0.3, 1.0), (-0.1, -2.0)], "that of the gap does not"), ([(-0.3, 1.0), (0.1, -2.0)], "neither"), ([(-0.3, 0.0), (-0.1, 1.0)], "keep their signs")],
)  # fmt: skip
def test_signs_are_said_as_they_are(changes, said):
    rows = [("base", "", None, *shift, 0.0, 0.0, 0.0, 0.0, "") for shift in changes] + [("x", "low", 1.0, *(None,) * 6, "no")]
    found = dict(module._findings("new", "old", rows, {}, (*changes[0], 0.0)))
    assert said in found["signs"]
    assert "2 of 3 cases" in found["signs"]


def test_without_a_base_nothing_is_measured_against_it(study, monkeypatch):
    monkeypatch.setattr(module, "VARIATIONS", {("revenue", "required"): (0.2, 1.2)})
    found = sensitivity(study.changed(revenue__required=12.0), "flat_nb")
    assert found.status is Status.INFEASIBLE
    low = found["sensitivity"].rows[1]
    assert low[3] is not None  # 2.4 $ can be recovered
    assert low[6:9] == (None,) * 3
    assert "no level recovers" in str(found)


def test_a_tariff_as_given_is_not_at_equal_revenue(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "VARIATIONS", {("storage", "wear"): (0.0, 0.1)})
    read = read_study(write(tmp_path, TOML + "[benchmarks.given]\nbuy = 0.10\nneutral = false\n"))
    found = sensitivity(read, "given")
    assert ("revenue", "given, as given, does not recover the requirement: not at equal revenue") in found.findings
    assert found["sensitivity"].note.endswith("not at equal revenue.")
    assert "revenue" not in dict(sensitivity(read, "flat_nb").findings)
