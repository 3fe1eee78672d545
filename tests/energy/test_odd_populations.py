"""Studies at the edges: nobody with panels, one group, groups without households, one regime and six, bills below zero, nothing that holds."""

import json

import numpy as np
import pytest
from studies import TOML, write

from stackopt.energy.studies.run import compare, design_study, evaluate
from stackopt.energy.studies.study import read_study, study_of

HEAD = "type,group,kind,share,income [$/year],load,pv\n"
ODD = {
    "one group": HEAD + "a,all,C,0.8,20000,flat,\nb,all,PV,0.2,75000,house,roof\n",
    "one type": HEAD + "a,all,C,1,20000,flat,\n",
    "nobody in the middle": HEAD + "a,poor,C,0.8,20000,flat,\nb,middle,PV,0,75000,house,roof\nc,rich,PVB,0.2,250000,villa,large\n",
    "nobody in the first": HEAD + "a,poor,C,0,20000,flat,\nb,middle,PV,0.2,75000,house,roof\nc,rich,C,0.8,250000,villa,\n",
}


def checked(result):
    """Numbers, texts or nothing in every cell, through JSON; households add up."""
    json.dumps(result.to_json(), allow_nan=False)
    for table in result.tables:
        widths = {len(row) for row in table.rows}
        assert widths <= {len(table.columns)}, table.name
        for row in table.rows:
            assert all(v is None or isinstance(v, str) or np.isfinite(v) for v in row), table.name
    for name in set(result["winners"].column("tariff")):
        assert sum(r[4] for r in result["winners"].rows if r[0] == name) == pytest.approx(100)
    return result


@pytest.mark.parametrize("who", ODD)
def test_every_table_of_an_odd_population(who, tmp_path):
    study = read_study(write(tmp_path, types=ODD[who])).changed(benchmarks__before="lmp", benchmarks__names=["flat_nb", "care", "cpuc"])
    found = checked(compare(study))
    assert str(found).startswith('Tariff study "town", compare: CONVERGED')
    there = {t.group for t in study.households.types if t.share > 0}
    assert {r[1] for r in found["cross_subsidy"].rows} == there
    assert set(found["fixed_charges"].column("group")) == set(study.households.groups)  # announced to all


def test_one_group_has_no_trade_off(tmp_path):
    study = read_study(write(tmp_path, types=ODD["one group"])).changed(benchmarks__before="lmp", benchmarks__names=["flat_nb"], objective__points=3)
    found = checked(design_study(study))
    assert found["frontier"].column("point") == ["designed", "lmp", "flat_nb"]
    assert "no smaller gap" in str(found)
    assert found["summary"].column("gap of burdens") == pytest.approx([0, 0, 0])


SMALL = '[population]\nshapes = ["ca"]\n%s\n[benchmarks]\nbefore = "lmp"\nnames = ["flat_nem", "cpuc"]\n'


def test_without_panels_metering_and_billing_are_one():
    study = study_of(SMALL % "adoption = [0, 0, 0, 0, 0]")
    found = checked(compare(study.changed(benchmarks__names=["flat_nem", "flat_nb"])))
    rows = {r[0]: r[2:12] for r in found["summary"].rows}
    assert rows["flat_nem"] == pytest.approx(rows["flat_nb"], abs=1e-6)
    assert {r[2] for r in found["bills"].rows} == {"C", "all"}
    assert not any(found["load"].column("roofs")) or max(found["load"].column("roofs")) == 0.0


def test_one_regime_and_six():
    one = checked(compare(study_of(SMALL % '[weather]\nregimes = ["clear"]\npv = [1]\nstay = [1]')))
    assert len(one["load"].rows) == 3 * 24
    assert max(one["convergence"].column("load by weather history")) < 1e-6
    assert "history changes nothing" in " ".join(str(one).split())
    assert "seasonal_bills" not in {t.name for t in one.tables}
    six = checked(compare(study_of(SMALL % 'season = "year"').changed(benchmarks__names=["flat_nem"])))
    assert len(six["load"].rows) == 2 * 24 * 6
    assert len(six["seasonal_rates"].rows) == 2 * 24 * 3
    assert len({r[1] for r in six["seasonal_bills"].rows}) == 3
    assert len(six["response"].rows) == 24 * 24  # today's is the cheapest


def test_bills_below_zero(tmp_path):
    """Under net metering roofs this large are paid: burdens below 0, and every figure is still one."""
    study = read_study(write(tmp_path, TOML.replace("3.0", "1.0"))).changed(benchmarks__names=["flat_nb"])
    found = checked(evaluate(study, "flat_nb"))
    rows = {(r[1], r[2]): r for r in found["bills"].rows}
    assert rows["Q3", "PV"][4] < 0 < rows["Q3", "PV"][5]
    assert rows["Q3", "PV"][7] == pytest.approx(100 * rows["Q3", "PV"][6] / -rows["Q3", "PV"][4])
    assert rows["Q3", "PV"][10] == pytest.approx(100)


def test_nothing_holds(tmp_path):
    """Rows with reasons in two tables, no row in any other, and a verdict."""
    study = read_study(write(tmp_path)).changed(revenue__required=20.0, benchmarks__names=["flat_nb", "care"])
    for found in (compare(study), evaluate(study.changed(benchmarks__before="care"), "flat_nb")):
        json.dumps(found.to_json(), allow_nan=False)
        assert str(found).splitlines()[0].endswith("INFEASIBLE")
        assert "no level recovers the requirement" in " ".join(str(found).split())
        assert "bills" not in {t.name for t in found.tables}
        failed = {"flat_nem", "flat_nb", "care"}
        for table in found.tables:
            if table.name not in ("summary", "convergence", "assumptions"):
                assert not failed & set(table.column("tariff")), table.name
    designed = design_study(study.changed(objective__points=2))
    assert designed["frontier"].rows[0][:2] == ("designed", "INFEASIBLE")
    assert len(designed["frontier"].rows) == 4
