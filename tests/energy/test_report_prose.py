"""What the report of a tariff study says: sentences from the stored figures, and silence on what does not hold."""

import copy
import json

import html5lib
import pytest
from stored import broken, broken_all
from studies import TOML, write

from stackopt.energy.reports.figures import figures
from stackopt.energy.reports.found import finding
from stackopt.energy.reports.payers import bills_figure
from stackopt.energy.reports.prose import found, headline, reliance
from stackopt.energy.reports.report import render
from stackopt.energy.reports.stored import Stored
from stackopt.energy.reports.system import rates_figure
from stackopt.energy.reports.trade import trade_off_figure
from stackopt.energy.studies.run import compare
from stackopt.energy.studies.study import read_study

XHTML = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture(scope="module")
def data(stored_town):
    return stored_town


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def test_tariffs_beyond_the_cap_of_the_design_are_named(data):
    assert any("lmp (up to " in s and "24.15" in s for s in found(Stored(data)))  # it charges all fixed costs so
    assert not any("within" in s for s in found(Stored({**data, "command": "compare"})))


def test_a_gap_that_rests_on_graded_charges_is_said(data):
    stored = Stored(data)
    charges = [r["fixed"] for r in stored.rows("fixed_charges", tariff=stored.least("gap of burdens"))]
    assert max(charges) > min(charges)
    assert any(f"{min(charges):.2f} (" in s and f"{max(charges):.2f} $ a month" in s and "rests on them" in s for s in found(stored))
    level = copy.deepcopy(data)
    names = [c["name"] for c in level["tables"]["fixed_charges"]["columns"]]
    for row in level["tables"]["fixed_charges"]["rows"]:
        row[names.index("fixed")] = 12.0
    assert not any("rests on them" in s for s in found(Stored(level)))


def test_sentences_come_from_the_figures(data):
    stored = Stored(data)
    said = " ".join(found(stored))
    rows = {r["tariff"]: r for r in stored.rows("summary")}
    cheap = min(rows.values(), key=lambda r: r["cost"])
    assert cheap["tariff"] == "lmp"  # all rates at the price of energy: least loss
    assert f"cost {cheap['cost'] - rows['flat_nem']['cost']:+.3f} $ a day and household" in said
    assert f"{len(rows)} tariffs" in said
    assert f"{min(r['peak'] for r in rows.values()):.0f} MW" in said
    assert any("local optima" in s for s in reliance(stored))


def test_what_did_not_converge_is_said_and_in_no_figure(data):
    stored = Stored(broken(data, "flat_nb"))
    assert "flat_nb" in " ".join(found(stored))
    assert "prices did not settle" in " ".join(found(stored))
    assert headline(stored)[2] == "wait"
    for draw in (rates_figure, bills_figure):
        assert "flat_nb" not in [ax.get_title(loc="left") for ax in draw(stored).axes if ax.get_visible()]
    assert "flat_nb" not in stored.chosen(9)
    for name in figures(stored):
        assert "flat_nb" not in finding(stored, name)
    rows = html5lib.HTMLParser(strict=True).parse(render(stored.data)).iter(f"{XHTML}tr")
    assert any("flat_nb" in text_of(r) and "LIMIT" in text_of(r) for r in rows)


def test_one_tariff_alone_is_the_best_of_none(data):
    left = data
    for name in [n for n in Stored(data).equal if n != "lmp"]:
        left = broken(left, name)
    said = " ".join(found(Stored(left)))
    assert "Only lmp recovers the requirement" in said
    assert "costs least" not in said
    assert "smallest gap" not in said


def test_a_search_that_was_stopped_says_why(data):
    stopped = {**data, "status": "LIMIT", "findings": [["stopped", "12 trials, limits missed"], ["cost", "less"]]}
    assert "Stopped: 12 trials, limits missed." in found(Stored(stopped))
    assert not any("12 trials" in s for s in found(Stored({**stopped, "status": "CONVERGED"})))


def test_todays_tariff_is_not_compared_with_itself(data):
    names = [n for n in Stored(data).equal if n != "flat_nem"]
    left = data
    for name in names:
        left = broken(left, name)
    assert finding(Stored(left), "lorenz").count("flat_nem") == 1


def test_nothing_holds(data):
    left = broken_all(data)
    left["status"] = "INFEASIBLE"
    assert figures(Stored(left)) == {}
    text = text_of(html5lib.HTMLParser(strict=True).parse(render(left)))
    assert "No tariff of this study holds" in text
    assert "! A revenue requirement is out of reach" in text


def test_without_todays_tariff_there_are_no_changes_but_the_rest(data):
    left = broken(data, "flat_nem")
    del left["tables"]["bills"]  # as `exhibits` does
    stored = Stored(left)
    drawn = figures(stored)
    assert not {"bills", "burden"} & set(drawn)
    assert {"rates", "lorenz", "trade_off", "day"} <= set(drawn)
    said = [*found(stored), *reliance(stored), *(finding(stored, name) for name in drawn)]
    assert not [s for s in said if "flat_nem" in s and "does not hold" not in s]
    assert len(trade_off_figure(stored).axes[-1].texts) == len(stored.equal) == 4


def test_tariffs_at_other_revenue_are_not_compared(data):
    other = copy.deepcopy(data)
    at = [c["name"] for c in other["tables"]["summary"]["columns"]].index("shortfall")
    next(row for row in other["tables"]["summary"]["rows"] if row[0] == "lmp")[at] = 0.5
    stored = Stored(other)
    assert "lmp" in stored.summary
    assert "lmp" not in stored.equal
    assert any("left out of comparisons" in s for s in found(stored))
    evaluated = copy.deepcopy({**data, "command": "evaluate"})
    evaluated["tables"]["summary"]["rows"] = [row for row in evaluated["tables"]["summary"]["rows"] if row[0] in ("flat_nem", "lmp", "flat_nb")]
    evaluated["tables"]["summary"]["rows"].sort(key=lambda row: ("flat_nem", "lmp", "flat_nb").index(row[0]))
    assert any(s.startswith("lmp against flat_nem, today's tariff, at equal revenue") for s in found(Stored(evaluated)))
    evaluated["tables"]["summary"]["rows"][1][at] = 0.5
    assert not any(s.startswith("lmp against") for s in found(Stored(evaluated)))


def test_a_town_of_one_kind_of_household_has_a_page_too(tmp_path):
    """No panels, no batteries, one income: gaps are 0, nothing moves between groups, and all of it is said."""
    types = "type,group,kind,share,income [$/year],load,pv\nall of them,everyone in town,C,1,50000,house,\n"
    path = write(tmp_path, TOML + '[benchmarks]\nnames = ["flat_nb"]\n', types)
    stored = Stored(json.loads(json.dumps(compare(read_study(path)).to_json())))
    assert stored.summary["flat_nb"]["gap of burdens"] == 0.0
    drawn = figures(stored)
    assert {"winners", "burdens", "duck", "response"} <= set(drawn)
    for name, draw in drawn.items():
        assert len(finding(stored, name)) >= 40
        assert draw(stored).axes
    assert "batteries take in next to nothing" in finding(stored, "duck")
