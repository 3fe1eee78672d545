"""The page of a tariff study: valid, self-contained, escaped, reproducible, numbered, and equal to the stored numbers."""

import json
import re
import sys

import html5lib
import pytest
from stored import broken_all

from stackopt.cli_tariff_end import save
from stackopt.energy.figures import figures
from stackopt.energy.report import render, report
from stackopt.energy.report_data import Stored
from stackopt.energy.report_layout import SECTIONS
from stackopt.energy.report_tables import table
from stackopt.energy.study_run import sensitivity
from stackopt.errors import InvalidStore

XHTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def data(stored_town):
    return stored_town


@pytest.fixture(scope="module")
def page(data):
    return render(data)


@pytest.fixture(scope="module")
def tree(page):
    return html5lib.HTMLParser(strict=True).parse(page)  # the first error raises


def text_of(element):
    return " ".join("".join(element.itertext()).split())


# --- one valid page with nothing outside it -----------------------------------------------------------------------------


def test_page_answers_the_questions_in_order(tree):
    assert len(list(tree.iter(f"{XHTML}h1"))) == 1
    assert [s.get("id") for s in tree.iter(f"{XHTML}section")] == ["verdict", *(section.id for section in SECTIONS)]
    assert [a.get("href") for a in next(tree.iter(f"{XHTML}nav")).iter(f"{XHTML}a")] == [f"#{section.id}" for section in SECTIONS]
    headings = [text_of(h) for h in tree.iter(f"{XHTML}h2")]
    assert [h.split()[0] for h in headings] == [str(k + 1) for k in range(11)]


def test_nothing_is_fetched_and_the_page_is_small(page, tree):
    for element in tree.iter():
        for name, value in element.attrib.items():
            if name.split("}")[-1] in ("src", "href", "action", "data", "poster", "srcset"):
                assert value.startswith(("#", "data:")), (element.tag, name, value)
    assert not re.findall(r"url\((?!#)", page)
    assert not list(tree.iter(f"{XHTML}link"))
    policy = next(e for e in tree.iter(f"{XHTML}meta") if e.get("http-equiv") == "Content-Security-Policy").get("content")
    assert policy.startswith("default-src 'none'")
    assert len(page.encode()) < 3_000_000


def test_ids_are_unique_and_targets_exist(page, tree):
    ids = [e.get("id") for e in tree.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    pointed = [v[1:] for e in tree.iter() for k, v in e.attrib.items() if k.split("}")[-1] == "href" and v.startswith("#")]
    pointed += [e.get("aria-labelledby") for e in tree.iter() if e.get("aria-labelledby")] + re.findall(r"url\(#([^)]+)\)", page)
    assert set(pointed) <= set(ids)


def test_tables_have_captions_and_scopes(tree):
    parents = {child: parent for parent in tree.iter() for child in parent}
    tables = list(tree.iter(f"{XHTML}table"))
    assert len(tables) >= 13
    for found_ in tables:
        assert found_[0].tag == f"{XHTML}caption"
        assert text_of(found_[0])
        assert all(th.get("scope") in ("col", "row") for th in found_.iter(f"{XHTML}th"))
        assert parents[found_].get("tabindex") == "0"
        assert len({len(row) for row in found_.iter(f"{XHTML}tr")}) == 1


def test_figures_state_a_finding_and_stand_beside_a_table(data, tree):
    drawn = list(tree.iter(f"{SVG}svg"))
    assert len(drawn) == len(figures(Stored(data))) >= 14
    for figure in drawn:
        assert figure.get("role") == "img"
        title = figure[0]
        assert figure.get("aria-labelledby") == title.get("id")
        assert len(title.text) >= 40
        assert re.search(r"\d", title.text)
    for section in tree.iter(f"{XHTML}section"):
        assert not list(section.iter(f"{SVG}svg")) or list(section.iter(f"{XHTML}table"))


def test_names_are_escaped(page, tree):
    assert "<script>alert" not in page
    assert len(list(tree.iter(f"{XHTML}script"))) == 1
    assert "<script>alert(1)</script>" in text_of(next(t for t in tree.iter(f"{XHTML}table") if t.get("id") == "table-summary"))


def test_the_same_data_give_the_same_bytes(data, page, tmp_path):
    one = report(data, tmp_path / "deep" / "report.html", figures_in=tmp_path / "figures")
    assert one.read_bytes() == page.encode()
    files = {f.name: f.read_text() for f in (tmp_path / "figures").iterdir()}
    assert set(files) == {f"{name}.svg" for name in figures(Stored(data))}
    for text in files.values():
        assert text.startswith("<?xml")
        assert "var(--" not in text  # colours of its own
        assert not re.search(r"\d{4}-\d\d-\d\d", text)  # no date


def test_another_schema_is_refused():
    with pytest.raises(InvalidStore, match="schema"):
        render({"schema": "stackopt.comparison/1"})


def test_numbers_in_the_page_are_those_stored(data, tree):
    """Every figure of every table shown in full, by its unrounded value, in order."""
    shown = {t.get("id"): t for t in tree.iter(f"{XHTML}table")}
    for name in ("equity", "lorenz", "revenue", "cross_subsidy", "load", "prices", "rates", "convergence"):
        stored = data["tables"][name]
        rows = [row for body in shown[f"table-{name.replace('_', '-')}"].iter(f"{XHTML}tbody") for row in body.iter(f"{XHTML}tr")]
        assert len(rows) == len(stored["rows"])
        names = [c["name"] for c in stored["columns"]]
        heads = [text_of(h).partition(" [")[0] for h in shown[f"table-{name.replace('_', '-')}"].iter(f"{XHTML}th") if h.get("scope") == "col"]
        left_out = set(names) - set(heads)  # reasons stand in section 1, and columns in which no row says anything nowhere
        assert left_out <= {"because", "at bounds"}
        for row, values in zip(rows, stored["rows"], strict=True):
            for cell, value in zip(row, [v for n, v in zip(names, values, strict=True) if n in heads], strict=True):
                if isinstance(value, float):
                    assert float(cell.get("data-v")) == value
                    last = 0.5 * 10.0 ** -len(cell.text.partition(".")[2]) if "e" not in cell.text else 0.0  # of the digits printed
                    assert float(cell.text) == pytest.approx(value, rel=5e-3, abs=1.001 * last)
                elif isinstance(value, str):
                    assert text_of(cell) == " ".join(value.split())
    heads = [h.text or h[0].text for h in shown["table-revenue"].iter(f"{XHTML}th") if h.get("scope") == "col"]
    assert heads[1] == "fixed costs required [$/day and household]"


def test_verdict_comes_first_and_inputs_that_nobody_verified_are_marked(data, tree):
    first = next(tree.iter(f"{XHTML}section"))
    assert text_of(first).startswith("✓ Everything that was asked for holds")
    assert text_of(next(tree.iter(f"{XHTML}h1"))) == 'Tariff study "town", design: CONVERGED'
    assert data["basis"][3:] in text_of(first)
    sheet = next(t for t in tree.iter(f"{XHTML}table") if t.get("id") == "table-assumptions")
    marked = [text_of(e) for e in sheet.iter(f"{XHTML}span") if "wait" in e.get("class", "").split()]
    doubtful = [row for row in data["tables"]["assumptions"]["rows"] if row[-1] == "not verified"]
    assert len(marked) == len(doubtful) > 0
    assert any(text.startswith("reconstructed") for text in marked)


def test_a_table_without_a_place_of_its_own_is_shown_too(data):
    further = {"title": "Diagnosis", "columns": [{"name": "check", "unit": ""}], "rows": [["one"]], "note": ""}
    assert 'id="table-diagnosis"' in render(broken_all({**data, "tables": {**data["tables"], "diagnosis": further}}))


@pytest.fixture(scope="module")
def questioned(town):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stackopt.energy.sensitivity.VARIATIONS", {("population", "elasticity"): (0.1, 0.4), ("storage", "wear"): (0.0, 0.1)})
        return sensitivity(town, "flat_nb")


def test_sensitivity_is_a_tornado_and_the_rest_says_where_to_get_it(questioned):
    stored = json.loads(json.dumps(questioned.to_json()))
    assert list(figures(Stored(stored))) == ["sensitivity"]
    tree = html5lib.HTMLParser(strict=True).parse(render(stored))
    assert len(list(tree.iter(f"{SVG}svg"))) == 1
    assert text_of(tree).count("not a part of stackopt tariff sensitivity") == 6


def test_columns_keep_names_units_and_numbers(data):
    made = table(Stored(data), "fixed_charges", keep=lambda r: r["fixed"] > 0)
    assert [h.text for h in made.heads] == ["tariff", "group", "fixed [$/month]", "discount [%]"]
    assert [float(row[2].raw) for row in made.rows] == [r[2] for r in data["tables"]["fixed_charges"]["rows"] if r[2] > 0]
    assert table(Stored(data), "sensitivity") is None


def test_saving_writes_the_report_of_the_very_data_beside_the_tables(questioned, tmp_path, monkeypatch):
    names = {p.name for p in save(questioned, tmp_path)}
    assert {"report.html", "data.json", "sensitivity.csv"} <= names
    stored = json.loads((tmp_path / "data.json").read_text())
    assert (tmp_path / "report.html").read_text() == render(stored)
    assert stored["provenance"]["packages"]["stackopt"] in (tmp_path / "report.html").read_text()
    assert (tmp_path / "figures" / "sensitivity.svg").exists()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "report.html" not in {p.name for p in save(questioned, tmp_path)}  # and the older one is gone, it could show other tables
    assert not (tmp_path / "report.html").exists()
