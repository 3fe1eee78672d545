"""Named tariffs at equal revenue, tables that add up, and the findings of the literature on a small population."""

import importlib.util
import json

import numpy as np
import pytest
from studies import TOML, write

import stackopt as so
from stackopt.cli_tariff_end import save
from stackopt.energy.benchmarks_named import CPUC, IOU, NAMES, benchmark, charges, peak_ratio, tariff_at
from stackopt.energy.criteria import criteria
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.standard import standard_households
from stackopt.energy.studies.run import compare, design_study, evaluate, sensitivity, solve
from stackopt.energy.studies.study import read_study
from stackopt.errors import InfeasibleTariff
from stackopt.solution import Status


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    own = "[benchmarks.mine]\nbuy = { off = 0.3, midday = 0.2, peak = 0.5, night = 0.3 }\nsell = 0.05\nfixed = 10\n"
    own += "[benchmarks.given]\nbuy = 0.25\nneutral = false\n"
    return read_study(write(tmp_path_factory.mktemp("town"), TOML + own))


@pytest.fixture(scope="module")
def result(study):
    return compare(study.changed(benchmarks__names=[*NAMES, "mine"]))


@pytest.fixture(scope="module")
def seen(result):
    return {o.name: o for o in result.outcomes}


# --- named tariffs ------------------------------------------------------------------------------------------------------


def test_every_tariff_recovers_the_requirement(study, seen):
    """From nothing but the tariff: bills and charges against requirement and wholesale purchases."""
    h = study.households
    for name, o in seen.items():
        assert o.status is Status.CONVERGED, name
        found = equilibrium(h, study.market, o.tariff, temperature=study.temperature, tolerance=1e-10)
        buy, sell = o.tariff.rates(h, found.price)
        collected = (buy * found.response.imports - sell * found.response.exports).sum((1, 2)) + o.tariff.fixed_per_day(h)[h.group_of]
        bought = ((found.response.imports - found.response.exports) * found.price[h.bus_of]).sum((1, 2))
        assert h.share @ (collected - bought) == pytest.approx(study.required, abs=1e-6), name


def test_the_smallest_level_is_found(study, seen):
    for name in ("flat_nem", "flat_nb"):
        for level in np.linspace(0.16, seen[name].level - 1e-3, 6):
            tariff = tariff_at(name, level, study.households)
            found = equilibrium(study.households, study.market, tariff, temperature=study.temperature)
            assert criteria(found, study.required).shortfall > 0


def test_what_does_not_recover_the_requirement_is_not_compared(study):
    """Dear or cheap for all alike: neither its cost nor a change against another is printed, in either place."""
    for before, names in (("flat_nem", ["given"]), ("given", ["flat_nem"])):
        found = compare(study.changed(benchmarks__names=names, benchmarks__before=before))
        lines = [text for _, text in found.findings]
        mine, other = (next(t for t in lines if t.startswith(f"{n}:")) for n in ("given", "flat_nem"))
        assert "than required, so not compared" in mine
        assert "cost" not in mine
        assert "(" not in other
        assert any(t.endswith("by every tariff that holds but given, as given") for t in lines)


def test_a_requirement_out_of_reach_is_infeasible_with_what_is_in_reach(study):
    found = solve(study.changed(revenue__required=12.0), "flat_nem")
    assert found.status is Status.INFEASIBLE
    collected = []
    for level in np.linspace(0.2, 2.0, 40):
        at = equilibrium(study.households, study.market, tariff_at("flat_nem", level, study.households), temperature=study.temperature)
        collected.append(12.0 - criteria(at, 12.0).shortfall)
    assert found.reach >= max(collected) - 1e-4
    assert found.reach < 12.0
    with pytest.raises(InfeasibleTariff, match="of 12") as caught:
        found.require()
    assert caught.value.code == "revenue"
    assert solve(study.changed(revenue__required=12.0), "lmp").status is Status.CONVERGED  # fixed charges reach any requirement


def test_a_market_without_equilibrium_in_reach_is_a_limit(study, monkeypatch):
    monkeypatch.setattr("stackopt.energy.equilibrium.RESPONSES", 1)
    found = solve(study, "flat_nb")
    assert found.status is Status.LIMIT
    with pytest.raises(so.InvalidStudy) as caught:
        found.require()
    assert caught.value.code == "study-tariff-limit"


def test_unknown_names_are_refused(study):
    with pytest.raises(so.InvalidStudy, match="did you mean `tou_nb`") as caught:
        benchmark("tou_bn", study.households, study.market, 2.0)
    assert caught.value.code == "study-tariff"


def test_charges_by_group_are_means_over_ranks_of_income():
    households = standard_households(shapes=["ca"])
    assert charges(households, CPUC) == pytest.approx({"Q1": 6.0, "Q2": 12.08, "Q3": 24.15, "Q4": 24.15, "Q5": 24.15})
    iou = charges(households, IOU)
    assert iou["Q1"] == pytest.approx((0.13 * 15 + 0.07 * 30) / 0.2)
    assert np.mean(list(iou.values())) == pytest.approx(53, abs=0.5)  # the proposal's own average
    assert peak_ratio("summer") == pytest.approx(0.5224 / 0.3994)


def test_definitions(study):
    h = study.households
    tou = tariff_at("tou_nem", 0.3, h)
    assert tou.buy.mean() == pytest.approx(0.3)
    assert tou.buy[17] / tou.buy[3] == pytest.approx(0.5224 / 0.3994)
    assert tariff_at("care", 0.3, h, care=0.2).discount == {"Q1": 0.2, "Q3": 0.2}  # the two poorest of this town
    assert tariff_at("flat_nb", 0.3, h, fixed=7.0).fixed == 7.0
    lmp = tariff_at("lmp", 50.0, h)
    assert h.share @ lmp.fixed_per_day(h)[h.group_of] * 365 / 12 == pytest.approx(50.0)


def test_own_tariffs_keep_their_shape_or_their_level(study, seen):
    mine = seen["mine"]
    assert mine.tariff.buy[17] / mine.tariff.buy[12] == pytest.approx(2.5)
    assert mine.tariff.fixed == 10
    given = solve(study, "given")
    assert given.tariff.buy[0] == 0.25
    assert abs(given.criteria.shortfall) > 0.01
    assert "not made to recover" in given.because


# --- findings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{}, {"population__elasticity": 0.1}, {"market__slope": 0.15}])
def test_net_billing_beats_net_metering_on_cost_and_gap(study, seen, change):
    pair = [seen[n] if not change else solve(study.changed(**change), n) for n in ("flat_nem", "flat_nb")]
    assert [o.status for o in pair] == [Status.CONVERGED] * 2
    assert pair[1].criteria.cost < pair[0].criteria.cost
    assert pair[1].criteria.gap < pair[0].criteria.gap


def test_fixed_charges_recover_fixed_costs_at_less_loss(seen):
    """The more of the requirement is recovered by fixed charges, the lower the cost; all of it is best."""
    order = ["flat_nb", "cpuc", "iou", "lmp"]
    costs = [seen[n].criteria.cost for n in order]
    assert costs == sorted(costs, reverse=True)
    fixed = [seen[n].criteria.fixed for n in order]
    assert fixed == sorted(fixed)


def test_discounts_buy_equity_with_efficiency(seen):
    assert seen["care"].criteria.gap < seen["flat_nb"].criteria.gap
    assert seen["care"].criteria.cost > seen["flat_nb"].criteria.cost


def test_efficiency_and_stability_pull_apart(seen):
    """The cheapest has a higher peak than every tariff that recovers all costs by energy rates; the lowest peak goes with a higher cost."""
    named = [seen[n].criteria for n in NAMES]
    cheapest, calmest = min(named, key=lambda c: c.cost), min(named, key=lambda c: c.peak)
    assert cheapest is seen["lmp"].criteria
    assert all(cheapest.peak > seen[n].criteria.peak for n in ("flat_nem", "flat_nb", "tou_nem", "tou_nb", "care"))
    assert calmest.cost > cheapest.cost
    assert calmest is seen["tou_nem"].criteria


# --- tables -------------------------------------------------------------------------------------------------------------


def test_bills_add_up(result, seen):
    table = result["bills"]
    for name, o in seen.items():
        if name == "flat_nem":
            continue
        rows = {(r[1], r[2]): r for r in table.rows if r[0] == name}
        cells = [r for (g, k), r in rows.items() if "all" not in (g, k)]
        assert sum(r[3] for r in cells) == pytest.approx(100)
        total = sum(r[3] * r[5] for r in cells) / 100
        assert total == pytest.approx(rows["all", "all"][5])
        assert total == pytest.approx((o.criteria.volumetric + o.criteria.fixed) * 365 / 12)
        before, after = seen["flat_nem"].criteria.bills, o.criteria.bills
        risen = after - before > 0.05 * abs(before)
        assert rows["all", "all"][10] == pytest.approx(100 * o.criteria.households.share @ risen)


def test_cross_subsidies_cancel(result, study):
    share = {("Q1", "C"): 0.5, ("Q3", "PV"): 0.15, ("Q5", "C"): 0.25, ("Q5", "PVB"): 0.1}
    table = result["cross_subsidy"]
    for name in {r[0] for r in table.rows}:
        for column in (5, 6, 7):
            assert sum(share[r[1], r[2]] * r[column] for r in table.rows if r[0] == name) == pytest.approx(0.0, abs=1e-4)
    nem = {(r[1], r[2]): r for r in table.rows if r[0] == "flat_nem"}
    assert nem["Q1", "C"][5] > 0 > nem["Q3", "PV"][5]  # who has no roof pays for those who have


def test_lorenz_points_give_the_index(result, seen):
    rows = [r for r in result["lorenz"].rows if r[0] == "flat_nb"]
    people, income, paid = (np.array([r[c] for r in rows]) / 100 for c in (1, 2, 3))
    assert 1 - 2 * np.trapezoid(paid, people) == pytest.approx(seen["flat_nb"].criteria.gini)
    assert 1 - 2 * np.trapezoid(paid, income) == pytest.approx(seen["flat_nb"].criteria.suits)
    assert (people[-1], income[-1], paid[-1]) == pytest.approx((1, 1, 1))


def test_loads_balance_and_batteries_lose(result, study):
    rows = [r for r in result["load"].rows if r[0] == "tou_nb"]
    for _, _, _, use, roofs, charging, net, system in rows:
        assert net == pytest.approx(use - roofs + charging)
        assert system == pytest.approx(net + 700)
    weights = dict(zip(study.households.weather.names, study.households.weather.shares, strict=True))
    assert sum(weights[r[2]] * r[5] for r in rows) > 0
    assert max(sum(weights[r[2]] * r[7] for r in rows if r[1] == h) for h in range(24)) == pytest.approx(
        next(r[7] for r in result["summary"].rows if r[0] == "tou_nb")
    )


def test_prices_and_rates(result):
    price = {(r[2], r[3]): r[4] for r in result["prices"].rows if r[0] == "lmp"}
    system = {(r[1], r[2]): r[7] for r in result["load"].rows if r[0] == "lmp"}
    for place, mw in system.items():
        assert price[place] == pytest.approx(18 + 0.045 * mw, abs=1e-3)
    nem = [r for r in result["rates"].rows if r[0] == "flat_nem"]
    assert all(r[2] == r[3] for r in nem)


def test_failures_are_rows_and_nothing_else(study):
    found = compare(study.changed(revenue__required=12.0, benchmarks__names=["flat_nb", "lmp"], benchmarks__before="lmp"))
    words = dict(zip(found["summary"].column("tariff"), found["summary"].column("status"), strict=True))
    assert words == {"lmp": "CONVERGED", "flat_nb": "INFEASIBLE"}
    assert found["summary"].rows[1][3:12] == (None,) * 9
    assert set(found["rates"].column("tariff")) == {"lmp"}
    assert "1 of 2 tariffs" in " ".join(str(found).split())
    assert evaluate(study.changed(revenue__required=12.0), "flat_nb").status is Status.INFEASIBLE


def test_outputs_label_what_they_rest_on(result, tmp_path):
    written = save(result, tmp_path)
    assert {p.name for p in written} >= {"summary.csv", "bills.csv", "assumptions.csv", "data.json"}
    for path in (p for p in written if p.suffix == ".csv"):
        lines = path.read_text().splitlines()
        assert lines[0].endswith(",basis")
        assert all("recalled" in line for line in lines[1:])
    if importlib.util.find_spec("pyarrow"):
        from pyarrow import parquet

        assert {p.stem for p in written if p.suffix == ".parquet"} == {p.stem for p in written if p.suffix == ".csv"}
        bills = parquet.read_table(tmp_path / "tables" / "bills.parquet")
        assert bills.schema.field("change").metadata[b"unit"] == b"$/month"
        assert b"recalled" in bills.schema.metadata[b"basis"]
    data = json.loads((tmp_path / "data.json").read_text())
    assert data["schema"] == "stackopt.tariff-study/1"
    assert "recalled" in data["basis"]
    assert data["tables"]["summary"]["rows"][0][0] == "flat_nem"
    assert "recalled" in str(result)
    assert str(result).startswith('Tariff study "town", compare: CONVERGED')


# --- design and sensitivity -----------------------------------------------------------------------------------------------


def test_a_design_costs_no_more_than_a_named_tariff_that_keeps_to_its_limits(study):
    small = study.changed(benchmarks__names=["cpuc"], objective__points=2, tariff__periods={"day": [0, 16], "evening": [16, 24]})
    found = design_study(small)
    assert found.status is Status.CONVERGED
    cost = {o.name: o.criteria.cost for o in found.outcomes}
    assert cost["designed"] <= cost["cpuc"] + 1e-6
    rows = found["frontier"].rows
    assert [r[0] for r in rows] == ["designed", "frontier 1", "frontier 2", "flat_nem", "cpuc"]
    points = [r for r in rows[1:3] if r[1] == "CONVERGED"]
    assert points
    assert all(r[3] <= r[2] + 1e-3 for r in points)
    costs = [r[4] for r in points]
    assert costs == sorted(costs)


def test_sensitivity_moves_one_assumption_at_a_time(study, monkeypatch):
    few = {("population", "elasticity"): (0.1, 0.3), ("revenue", "required"): (0.8, 8.0)}
    monkeypatch.setattr("stackopt.energy.studies.sensitivity.VARIATIONS", few)
    found = sensitivity(study, "flat_nb")
    assert found.status is Status.CONVERGED
    rows = {(r[0], r[1]): r for r in found["sensitivity"].rows}
    assert len(rows) == 5
    assert rows["[revenue] required", "low"][2] == pytest.approx(2.4)
    assert rows["[revenue] required", "high"][3] is None
    assert "INFEASIBLE" in rows["[revenue] required", "high"][-1]
    base = rows["base", ""]
    assert rows["[population] elasticity", "high"][6] == pytest.approx(rows["[population] elasticity", "high"][3] - base[3])
    assert abs(rows["[population] elasticity", "high"][3]) > abs(base[3])  # who answers more loses more by wrong prices
    assert "4 of 5 cases" in " ".join(str(found).split())
