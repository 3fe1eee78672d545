"""The page of a tariff study: valid, self-contained, escaped, reproducible, numbered, and equal to the stored numbers."""

import copy
import json
import re
import shutil
import subprocess
import sys

import html5lib
import pytest
from stored import broken_all

from stackopt.cli_tariff_end import save
from stackopt.energy.reports.figures import figures
from stackopt.energy.reports.layout import BESIDE, FOLDED, PLACED, READ, SECTIONS, numbering
from stackopt.energy.reports.report import render, report
from stackopt.energy.reports.stored import Stored
from stackopt.energy.reports.tables import table
from stackopt.energy.studies.run import sensitivity
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
        patch.setattr("stackopt.energy.studies.sensitivity.VARIATIONS", {("population", "elasticity"): (0.1, 0.4), ("storage", "wear"): (0.0, 0.1)})
        return sensitivity(town, "flat_nb")


def test_sensitivity_is_a_tornado_and_the_rest_says_where_to_get_it(questioned):
    stored = json.loads(json.dumps(questioned.to_json()))
    assert list(figures(Stored(stored))) == ["sensitivity"]
    tree = html5lib.HTMLParser(strict=True).parse(render(stored))
    assert len(list(tree.iter(f"{SVG}svg"))) == 1
    assert text_of(tree).count("On the page of stackopt tariff compare") == 6


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


# --- an exhibit ---------------------------------------------------------------------------------------------------------


def test_tables_and_figures_are_numbered_in_order(data, tree):
    captions = [text_of(next(t.iter(f"{XHTML}caption"))) for t in tree.iter(f"{XHTML}table")]
    assert [int(re.match(r"Table (\d+)\. ", c).group(1)) for c in captions] == list(range(1, len(captions) + 1))
    shown = [text_of(c) for c in tree.iter(f"{XHTML}figcaption")]
    assert [int(re.match(r"Figure (\d+)\. ", c).group(1)) for c in shown] == list(range(1, len(shown) + 1))
    named = [int(n) for c in shown for n in re.findall(r"Numbers: Table (\d+)", c)]
    assert len(named) == len(shown)  # every figure beside its table
    assert set(named) <= set(range(1, len(captions) + 1))
    duck = next(c for c in shown if "what batteries move" in c)
    assert captions[int(re.search(r"Table (\d+)", duck).group(1)) - 1].partition(". ")[2].startswith("Load by hour")


def test_every_figure_and_table_has_its_place_and_words(data):
    drawn = set(figures(Stored(data)))
    assert drawn <= set(READ)
    assert set(READ) == {part[1:] for section in SECTIONS for part in section.parts if part.startswith("/")}
    assert {part[1:] for section in SECTIONS for part in section.parts if part.startswith("+")} == set(FOLDED)
    assert set(data["tables"]) <= set(PLACED)
    assert {BESIDE.get(name, name) for name in drawn} <= set(PLACED)


def test_numbering_counts_what_is_there_with_further_tables_before_provenance():
    figures_, tables = numbering({"duck", "rates"}, {"summary", "load", "assumptions", "mine"}, ["mine"])
    assert figures_ == {"rates": 1, "duck": 2}
    assert tables == {"summary": 1, "load": 2, "mine": 3, "assumptions": 4}
    assert numbering((), ()) == ({}, {})


HOSTILE = 'XYZ-01"}</style><script>alert(1)</script>\\'


def test_exhibit_and_witness_stand_on_the_head_and_the_number_on_every_sheet(data):
    small = {**data, "tables": {"assumptions": data["tables"]["assumptions"]}}
    page = render({**small, "exhibit": {"number": HOSTILE, "witness": "A. <b>Doe</b>"}})
    tree = html5lib.HTMLParser(strict=True).parse(page)
    head = next(d for d in tree.iter(f"{XHTML}dl") if d.get("class") == "exhibit")
    assert text_of(head) == f"Exhibit{HOSTILE}WitnessA. <b>Doe</b>"
    assert text_of(next(tree.iter(f"{XHTML}title"))).startswith(f"Exhibit {HOSTILE}: Tariff study")
    styles = [text_of(style) for style in tree.iter(f"{XHTML}style")]
    assert len(styles) == 2
    assert re.fullmatch(r'@page\{@top-right\{content:"(\\[0-9a-f]+ ?)+";font:8pt sans-serif\}\}', styles[1])  # letters as numbers: nothing ends the string
    assert len(list(tree.iter(f"{XHTML}script"))) == 1
    assert [e.get("class") for e in html5lib.parse(render(small)).iter(f"{XHTML}dl")].count("exhibit") == 0


def test_on_paper_tables_have_no_lines_and_heads_repeat(page):
    style = re.search(r"@media print\{(.*)\}\n?</style>", page, re.S).group(1)
    assert "thead{display:table-header-group" in style
    assert "thead button{display:contents}" in style  # Chromium repeats no head that holds buttons
    assert re.search(r"th,td,[^{]*\{border:0\}", style)
    assert "break-inside:avoid" in style
    assert "counter(page)" in style
    assert not re.search(r"@page[^}]*size", page)  # A4 and Letter alike


def test_maps_have_their_own_colours_in_the_dark(page):
    light, dark = (dict(re.findall(r"--((?:above|below)-\d):(#[0-9a-f]{6})", part)) for part in page.split("prefers-color-scheme:dark", 1))
    assert len(light) == len(dark) == 12

    def brightness(colour):
        return sum(int(colour[k : k + 2], 16) for k in (1, 3, 5))

    for side in ("above", "below"):  # strong is far from the paper, on either
        assert sorted(range(1, 7), key=lambda k: -brightness(light[f"{side}-{k}"])) == list(range(1, 7))
        assert sorted(range(1, 7), key=lambda k: brightness(dark[f"{side}-{k}"])) == list(range(1, 7))


def test_long_tables_are_shortened_and_say_so(data):
    long = copy.deepcopy(data)
    stored = long["tables"]["load"]
    stored["rows"] = [list(row) for row in stored["rows"] for _ in range(40)]
    made = table(Stored(long), "load")
    assert len(made.rows) == 1200
    assert f"out of {len(stored['rows']):,}: all are in tables/load.csv" in made.caption
    assert {row[0].text for row in made.rows} <= set(Stored(long).chosen(2))
    stored["rows"] = stored["rows"][:: len(stored["rows"]) // 800]  # fewer rows, of eight columns: many cells too make pages of several MB
    assert 0 < len(table(Stored(long), "load").rows) < len(stored["rows"]) <= 1200


def test_columns_in_which_no_row_says_anything_are_left_out(data):
    left = copy.deepcopy(data)
    stored = left["tables"]["convergence"]
    at = [c["name"] for c in stored["columns"]].index("at bounds")
    for row in stored["rows"]:
        row[at] = ""
    assert "at bounds" not in [h.text for h in table(Stored(left), "convergence").heads]
    stored["rows"][0][at] = "buy at its upper bound"
    assert "at bounds" in [h.text for h in table(Stored(left), "convergence").heads]


# --- in a browser -------------------------------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PROBE = """<script>(function () {
  var table = document.getElementById("table-bills-by-kind"), rows = table.tBodies[0].rows;
  var buttons = Array.from(table.tHead.rows[0].cells).map(function (c) { return c.querySelector("button"); });
  function shown() { return Array.from(rows).filter(function (r) { return !r.hidden; }); }
  var change = buttons.findIndex(function (b) { return b.textContent.startsWith("change"); });
  buttons[change].click(); buttons[change].click();
  var sorted = shown().map(function (r) { return Number(r.cells[change].getAttribute("data-v")); });
  var box = table.closest("details").querySelector("input[type=search]");
  box.value = "LMP pvb"; box.dispatchEvent(new Event("input"));
  var kept = shown().map(function (r) { return r.cells[0].textContent + " " + r.cells[2].textContent; });
  var wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  var said = box.parentNode.querySelector("output").textContent;
  document.body.setAttribute("data-probe", JSON.stringify({ sorted: sorted, kept: kept, wide: wide, said: said }));
})();</script></body>"""


def browsed(path, folder, *options):
    """The page as a browser leaves it, and what it said on its console."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
               "--disable-component-update", f"--user-data-dir={folder / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND",
               "--enable-logging=stderr", *options, "--dump-dom", path.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:  # the page's fault, unless an empty one fails as well
        empty = subprocess.run([*command[:-1], "about:blank"], capture_output=True, text=True, timeout=120, check=False)
        assert empty.returncode != 0, done.stderr
        pytest.skip(f"Chromium shows no page here, not even an empty one: exit code {empty.returncode}")
    return done.stdout, done.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium at hand to run the page's script")
def test_tables_sort_and_filter_in_a_browser(data, page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(re.sub(r"script-src 'sha256-[^']+'", "script-src 'unsafe-inline'", page).replace("</body>", PROBE))
    dom, said = browsed(path, tmp_path, "--window-size=390,800")
    assert "CONSOLE" not in said
    probe = json.loads(next(html5lib.parse(dom).iter(f"{XHTML}body")).get("data-probe"))
    stored = Stored(data)
    rows = [r for r in stored.rows("bills") if r["kind"] != "all"]
    assert probe["sorted"] == sorted((r["change"] for r in rows), reverse=True)
    left = [r for r in rows if "lmp" in r["tariff"] and r["kind"] == "PVB"]
    assert probe["kept"] == ["lmp PVB"] * len(left) != []
    assert probe["said"] == f"{len(left)} of {len(rows)}"
    assert probe["wide"] <= 0  # a phone scrolls tables and figures, never the page


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium at hand to run the page's script")
def test_script_runs_under_the_policy_of_the_page(page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page)
    dom, said = browsed(path, tmp_path)
    assert "CONSOLE" not in said
    assert dom.count("<button") > 50
