"""Findings: what counts as a case, what counts as for and against, and what the stored ones say."""

import dataclasses
import json
import math
import re
import tempfile
from pathlib import Path

import pytest
from studies import write

import stackopt as so
from stackopt.comparison.plain import plain
from stackopt.energy.exhibits.table import Table
from stackopt.energy.findings import cases as findings_cases
from stackopt.energy.findings.cases import settings, with_tariff
from stackopt.energy.findings.counted import Direction, Finding, direction
from stackopt.energy.findings.figures import TOLD, figures
from stackopt.energy.findings.finding import FINDINGS, STANDARD, YEAR, Findings, findings, stored
from stackopt.energy.static import StaticTown
from stackopt.energy.studies.run import solve
from stackopt.energy.studies.study import read_study, study_of
from stackopt.energy.studies.sweep import sweep


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return read_study(write(tmp_path_factory.mktemp("town")))


@pytest.fixture
def single(monkeypatch):
    """Every axis at the study's own value: one case each."""
    monkeypatch.setattr(findings_cases, "AXES", {name: (place, (1.0, 2.0) if name == "elasticity" else (1.0, 1.0), True) for name, (place, _, _) in
                                                 findings_cases.AXES.items()})  # fmt: skip


def test_cases_count_for_against_or_not_at_all():
    found = direction("less", [("a", 1.0, 0.1), ("b", -1.0, 0.1), ("c", 0.05, 0.1), ("d", None, 0.1), ("e", math.nan, 0.1)])
    assert found == Direction("less", 1, ("b", "e"), ("c",))  # what is not a number is no support
    assert str(found) == "less: 1 of 3, 1 too close to say"


@pytest.mark.parametrize(
    ("directions", "status"),
    [
        ((Direction("a", 2), Direction("b", 1)), "HOLDS"),
        ((Direction("a", 2), Direction("b", 1, ("case",))), "HOLDS IN PART"),
        ((Direction("a", 0, ("case",)),), "DOES NOT HOLD"),
        ((Direction("a", 2), Direction("b", 0)), "HOLDS IN PART"),  # a direction that no case decides does not hold
        ((), "NOT EXAMINED"),
    ],
)  # fmt: skip
def test_a_finding_holds_where_every_direction_is_held_by_every_case(directions, status):
    found = Finding("name", "Title", "claim", "source", directions, (), (("case", "LIMIT: why"),), Table("name", "Title", (("a", ""),), ((1.0,),)))
    assert found.status == status
    assert found.holds == (status == "HOLDS")
    again = Finding.from_json(found.to_json())
    assert str(again) == str(found)
    whole = Findings("study", "basis", False, (found,), {}, {})
    assert whole.hold == (status == "HOLDS")
    assert Findings.from_json(json.loads(whole.to_text())).to_json() == whole.to_json()


def test_axes_that_have_no_part_in_a_study_are_left_out(study):
    assert [v for v, _ in settings(study, "elasticity", "attachment", quick=True)] == [{"elasticity": 0.1}, {"elasticity": 0.2}]
    merit = study_of('[market]\nkind = "merit"\nblocks = [[2000, 30], [2000, 90]]\n')
    cases = settings(merit, "slope", "attachment")
    assert [v for v, _ in cases] == [{"attachment": 0.14}, {"attachment": 0.3}, {"attachment": 0.6}]
    assert cases[2][1]["population", "attachment"] == 0.6
    found = FINDINGS["welfare"](merit)
    assert found.status == "NOT EXAMINED"
    assert "linear supply" in found.verdict


def test_net_billing_is_counted_from_the_tariffs_themselves(study, single):
    found = FINDINGS["net_billing"](study, quick=True)
    nem, nb = solve(study, "flat_nem").criteria, solve(study, "flat_nb").criteria
    (row,) = found.rows(rate="flat")
    assert (row["cost, net metering"], row["cost, net billing"]) == (nem.cost, nb.cost)
    assert (row["gap, net metering"], row["gap, net billing"]) == (100 * nem.gap, 100 * nb.gap)
    assert found.directions[0].holds == sum(r["cost, net billing"] < r["cost, net metering"] for r in found.rows()) == 2
    assert found.status == "HOLDS"


def test_a_case_against_is_named_and_one_without_an_answer_is_not_counted(study, single):
    def turned(cells):
        done = sweep(cells, folder)
        at = {name: k for k, (name, _) in enumerate(done.table.columns)}
        changed = []
        for row in done.table.rows:
            row = list(row)
            if row[at["tariff"]] == "flat_nb":
                row[at["cost"]] += 10.0
            if row[at["tariff"]] == "tou_nem":
                row[at["status"]], row[at["because"]] = "LIMIT", "steps no longer reduce the residual"
            changed.append(tuple(row))
        return dataclasses.replace(done, table=dataclasses.replace(done.table, rows=tuple(changed)))

    with tempfile.TemporaryDirectory() as folder:
        found = FINDINGS["net_billing"](study, quick=True, run=turned)
    cost, gap = found.directions
    assert (cost.holds, cost.against) == (0, ("elasticity 0.2, slope 0.045, required 3: flat",))
    assert (gap.holds, gap.against) == (1, ())
    assert found.status == "HOLDS IN PART"
    assert found.unanswered == (("elasticity 0.2, slope 0.045, required 3: tou_nem", "LIMIT: steps no longer reduce the residual"),)
    assert found.rows(rate="tou")[0]["cost, net metering"] is None
    assert "tou_nem" in str(found)
    drawn = figures(Findings("town", "", True, (found,), study.settings, {}))["net_billing"]
    marks = [len(line.get_xdata()) for line in drawn.axes[0].get_lines() if line.get_label() == "time of use"]
    assert marks == [0]  # nothing is drawn of what has no answer


def test_fixed_charges_lose_nothing_and_one_hour_has_the_closed_form(study, single):
    found = FINDINGS["fixed_charges"](study, quick=True)
    assert found.status == "HOLDS"
    for kind in ("wholesale price and adder, net billing", "wholesale price and adder, net metering"):
        losses = [r["loss"] for r in found.rows(**{"energy at": kind})]
        assert losses[0] > losses[1] > losses[2] >= -1e-7
    town = StaticTown()
    (none, _, all_) = found.rows(**{"energy at": "one hour, net metering"})
    adder = 0.0371926  # of the static case under net metering
    assert none["loss"] == pytest.approx(24 * town.dead_weight_loss(adder) / 1000, rel=1e-4)
    assert all_["loss"] == pytest.approx(0.0, abs=1e-12)


def test_discounts_and_graded_charges(study, single):
    found = FINDINGS["discounts"](study, quick=True)
    gap, cost = found.directions
    assert (gap.holds, cost.holds, len(cost.ties), cost.against) == (4, 2, 2, ())  # soft batteries: costs are known to a cent
    assert [d.holds for d in found.also] == [1, 1]
    care = solve(study.changed(benchmarks__care=0.5), "care").criteria
    row = found.rows(rate="flat", discount=0.5)[0]
    assert (row["cost"], row["gap"]) == (pytest.approx(care.cost, abs=1e-6), pytest.approx(100 * care.gap, abs=1e-4))
    assert row["cost of a point of gap"] > 0.0


def test_welfare_gaps_are_below_the_exploitability(study, single):
    found = FINDINGS["welfare"](study, quick=True)
    assert found.status == "HOLDS"
    for r in found.rows(**{"export credit": 1.0}):
        assert -1e-9 <= r["welfare gap"] <= r["exploitability"] + TOLD
        assert r["bracket of the optimum"] <= 1e-7


def test_stability_is_counted_apart(study, single):
    found = FINDINGS["stability"](study, quick=True)
    assert [d.statement for d in found.directions if "batteries" in d.statement] == []  # the study's tables say who has one
    lmp = found.rows(part="tariffs", tariff="lmp")[0]
    others = [r for r in found.rows(part="tariffs") if r["tariff"] != "lmp"]
    assert found.directions[0].holds == sum(r["cost"] > lmp["cost"] for r in others) == 4
    assert found.directions[1].holds == sum(r["peak"] < lmp["peak"] for r in others)


def test_findings_keep_their_cells_and_refuse_other_names(study, single, tmp_path):
    seen = []
    first = findings(study, ["welfare"], quick=True, folder=tmp_path, report=seen.append)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.json")}
    again = findings(study, ["welfare"], quick=True, folder=tmp_path)
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.json")} == before
    assert first["welfare"].table == again["welfare"].table
    assert seen[0].stage == "finding welfare"
    assert again.hold
    with pytest.raises(so.InvalidStudy) as caught:
        findings(study, ["welfar"])
    assert caught.value.code == "study-key"
    assert "did you mean `welfare`?" in str(caught.value)


# What ships with the package.


def test_the_stored_findings_are_those_of_the_built_in_study():
    found, study = stored(), study_of(STANDARD)
    assert not found.quick
    assert [f.name for f in found.findings] == list(FINDINGS)
    for section, keys in found.settings.items():  # a changed default needs a new sweep: stackopt tariff findings
        for key, value in keys.items():
            assert plain(study[section, key]) == value, f"[{section}] {key}"
    for finding in found.findings:
        assert finding.examined


def test_the_stored_year_is_that_of_the_year():
    found = stored("year")
    assert found.quick
    assert found.settings["population"]["season"] == "year"
    assert [f.name for f in found.findings] == list(FINDINGS)
    study = study_of(YEAR)
    row = found["net_billing"].rows(elasticity=0.2, slope=0.045, attachment=0.3, required=3.6, rate="flat")[0]
    assert row["cost, net billing"] == pytest.approx(solve(study, "flat_nb").criteria.cost, rel=1e-6)


def test_stored_counts_follow_from_stored_tables():
    found = stored()["net_billing"]
    both = [r for r in found.rows() if r["cost, net metering"] is not None and r["cost, net billing"] is not None]
    assert all((r["net metering"], r["net billing"]) == ("CONVERGED", "CONVERGED") for r in both)
    cost = found.directions[0]
    assert cost.decided + len(cost.ties) == len(both)
    assert cost.holds <= sum(r["cost, net billing"] < r["cost, net metering"] for r in both)
    unanswered = sum(r[kind] != "CONVERGED" for r in found.rows() for kind in ("net metering", "net billing"))
    assert unanswered == len(found.unanswered)
    welfare = stored()["welfare"]
    equal = [r for r in welfare.rows(**{"export credit": 1.0}) if r["cost"] is not None]
    assert welfare.directions[0].holds == sum(r["welfare gap"] <= r["exploitability"] + TOLD for r in equal)


@pytest.mark.parametrize(
    ("name", "tariff", "wanted", "columns"),
    [
        ("net_billing", "flat_nb", {"elasticity": 0.2, "slope": 0.045, "attachment": 0.3, "required": 3.6, "rate": "flat"},
         ("cost, net billing", "gap, net billing")),
        ("net_billing", "flat_nem", {"elasticity": 0.1, "slope": 0.045, "attachment": 0.3, "required": 2.4, "rate": "flat"},
         ("cost, net metering", "gap, net metering")),
        ("stability", "lmp", {"part": "tariffs", "elasticity": 0.4, "slope": 0.18, "tariff": "lmp"}, ("cost", "peak")),
    ],
)  # fmt: skip
def test_a_sample_of_the_stored_figures_is_computed_again(name, tariff, wanted, columns):
    (row,) = stored()[name].rows(**wanted)
    study = study_of(STANDARD)
    places = {axis: "__".join(place) for axis, (place, _, _) in findings_cases.AXES.items()}
    found = solve(study.changed(**{places[axis]: value for axis, value in wanted.items() if axis in places}), tariff).criteria
    now = {"cost": found.cost, "gap": 100 * found.gap, "peak": found.peak}
    for column in columns:
        assert row[column] == pytest.approx(now[column.partition(",")[0]], rel=1e-6)


def test_figures_of_the_stored_findings_draw_what_has_an_answer():
    found = stored()
    drawn = figures(found)
    assert set(drawn) == set(FINDINGS)
    both = sum(r["cost, net billing"] is not None and r["cost, net metering"] is not None for r in found["net_billing"].rows())
    marks = {line.get_label(): len(line.get_xdata()) for line in drawn["net_billing"].axes[0].get_lines()}
    assert marks["flat rate"] + marks["time of use"] == both
    told = [r for r in found["welfare"].rows() if r["welfare gap"] is not None and min(r["welfare gap"], r["exploitability"]) > TOLD]
    points = sum(len(line.get_xdata()) for line in drawn["welfare"].axes[0].get_lines() if line.get_label() != "gap = exploitability")
    assert points == len(told)


def test_the_page_says_what_is_stored():
    """Its blocks are run by the tests of the documentation; here the numbers in its sentences."""
    page = (Path(__file__).parents[2] / "docs" / "tariff-findings.md").read_text()
    found = stored()
    net = found["net_billing"]
    assert f"three values each, for a flat rate and for time of use: {len(net.table.rows)} pairs" in page
    cost = net.directions[0]
    assert f'"{cost.holds} of {cost.decided}" says how' in page
    temperatures = found["welfare"].table.column("temperature")
    assert f"from {max(temperatures):g} to {min(temperatures):g} $" in page
    for finding in found.findings:
        assert f"## {finding.title}\n" in page
        assert f"_static/finding_{finding.name}.png" in page
    assert not re.search(r"^```text\n```", page, re.M)


def test_a_tariff_of_its_own_is_scaled_to_recover_the_requirement(study):
    own = solve(with_tariff(study, "mine", 0.3, pass_sell=1.0), "mine")
    assert own.criteria.cost == pytest.approx(solve(study, "flat_nb").criteria.cost, abs=1e-6)


