"""The report: valid, self-contained, complete, escaped, reproducible, and equal to the numbers it was made from."""

import copy
import csv
import functools
import io
import json
import re
import shutil
import subprocess
import sys
import urllib.parse
from pathlib import Path

import html5lib
import pytest

from stackopt.comparison.report import SECTIONS, render, write_report
from stackopt.errors import InvalidOutput, InvalidStore, MissingPackage

SAMPLE = Path(__file__).parent.parent / "golden" / "comparison_sample.json"
XHTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def sample():
    return json.loads(SAMPLE.read_text())


@pytest.fixture(scope="module")
def page():
    return page_of(dict)


@pytest.fixture(scope="module")
def tree(page):
    return parse(page)


@functools.cache
def page_of(change):
    """The page of a changed sample, drawn once."""
    return render(change(json.loads(SAMPLE.read_text())))


def parse(page):
    return html5lib.HTMLParser(strict=True).parse(page)


def all_text(element):
    return " ".join("".join(element.itertext()).split())


def violated(sample):
    broken = copy.deepcopy(sample)
    bound = broken["bounds"][0]
    bound.update(measured=0.7, verdict="violated", tightness=1.4)
    broken["violations"] = [{**{k: bound[k] for k in ("problem", "method", "seed", "of", "reference", "measured")}, "bound": 0.5,
                             "text": "gap of this commitment: 0.7 measured, 0.5 proved [B8.1]"}]  # fmt: skip
    broken["verdict"] = {"text": "Comparison: 1 problem x 5 methods; 4 of 5 cells certified; 1 bound VIOLATED", "good": False}
    return broken


def empty(sample):
    return {**sample, "problems": {}, "methods": {}, "cells": [], "rows": [], "bounds": [], "failures": [], "violations": [], "seeds": []}


def only_refusals(sample):
    left = copy.deepcopy(sample)
    left["cells"], left["rows"] = left["cells"][-1:], left["rows"][-1:]
    left["bounds"] = []
    left["methods"] = {k: v for k, v in left["methods"].items() if k == left["cells"][0]["method"]}
    unknown = dict.fromkeys(("lower", "upper", "weak_lower", "weak_upper"))
    left["problems"]["commit-2x2"].update(unknown, closed=False, weak_closed=False, lower_by="", upper_reference="")
    return left


def two_problems(sample):
    """A second problem with a name that is hard on ids, three seeds, a zero error and a bound that does not apply."""
    both = copy.deepcopy(sample)
    both["seeds"] = [0, 1, 2]
    name = "Größe & <b>"
    both["problems"][name] = copy.deepcopy(both["problems"]["commit-2x2"])
    both["problems"][name]["about"]["unit"] = "$/day"
    for kind in ("cells", "rows", "bounds", "failures"):
        both[kind] += [{**copy.deepcopy(entry), "problem": name} for entry in sample[kind]]
    row = both["rows"][-2]
    row.update(seeds=3, value_low=row["value"] - 0.1, value_high=row["value"] + 0.1, error=0.0, bound=None, bound_reference="")
    return both


# --- a valid page with nothing outside it -------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [dict, violated, empty, only_refusals, two_problems])
def test_page_is_valid_html(change):
    tree = parse(page_of(change))  # strict: the first error raises
    assert tree.get("lang") == "en"
    assert len(list(tree.iter(f"{XHTML}h1"))) == 1


def test_nothing_is_fetched(page, tree):
    for element in tree.iter():
        for name, value in element.attrib.items():
            if name.split("}")[-1] in ("src", "href", "action", "data", "poster", "srcset"):
                assert value.startswith(("#", "data:")), (element.tag, name, value)
    styles = " ".join(all_text(e) for e in tree.iter(f"{XHTML}style"))
    assert "@import" not in styles
    assert not re.findall(r"url\((?!#)", page)
    assert not list(tree.iter(f"{XHTML}link"))
    policy = next(e for e in tree.iter(f"{XHTML}meta") if e.get("http-equiv") == "Content-Security-Policy").get("content")
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.split("script-src")[1]  # the one script is allowed by its hash


def test_page_is_small(page):
    assert len(page.encode()) < 3_000_000


@pytest.mark.parametrize("change", [dict, two_problems])
def test_ids_are_unique_and_targets_exist(change):
    tree = parse(page_of(change))
    ids = [e.get("id") for e in tree.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    pointed = [v[1:] for e in tree.iter() for k, v in e.attrib.items() if k.split("}")[-1] == "href" and v.startswith("#")]
    pointed += [e.get("aria-labelledby") for e in tree.iter() if e.get("aria-labelledby")]
    pointed += re.findall(r"url\(#([^)]+)\)", page_of(change))
    assert pointed
    assert set(pointed) <= set(ids)


def test_navigation_lists_every_section(tree):
    nav = next(tree.iter(f"{XHTML}nav"))
    assert [a.get("href") for a in nav.iter(f"{XHTML}a")] == [f"#{id}" for id, _ in SECTIONS]


@pytest.mark.parametrize("change", [dict, two_problems])
def test_tables_have_captions_and_scopes_and_scroll_by_keyboard(change):
    tree = parse(page_of(change))
    parents = {child: parent for parent in tree.iter() for child in parent}
    tables = list(tree.iter(f"{XHTML}table"))
    assert len(tables) >= 8
    for table in tables:
        assert table[0].tag == f"{XHTML}caption"
        assert all_text(table[0])
        assert all(th.get("scope") in ("col", "row") for th in table.iter(f"{XHTML}th"))
        assert parents[table].get("tabindex") == "0"
        assert parents[table].get("role") == "region"
        widths = {len(row) for row in table.iter(f"{XHTML}tr")}
        assert len(widths) == 1  # no cell is missing


def test_figures_state_their_finding_and_have_a_table(sample):
    tree = parse(page_of(two_problems))
    figures = list(tree.iter(f"{SVG}svg"))
    assert len(figures) >= 6  # error and regret for two problems, time, residuals
    for figure in figures:
        assert figure.get("role") == "img"
        title = figure[0]
        assert title.tag == f"{SVG}title"
        assert figure.get("aria-labelledby") == title.get("id")
        assert len(title.text) >= 40
        assert re.search(r"\d", title.text)  # a finding has a figure in it
    for section in tree.iter(f"{XHTML}section"):
        own = [f for f in section.iter(f"{SVG}svg") if f[-1].tag != f"{SVG}use"]  # a second view has its table where the first is
        assert not own or list(section.iter(f"{XHTML}table"))


def test_text_of_figures_follows_the_page(page):
    for figure in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        assert "var(--ink)" in figure or "<use" in figure
        assert "#000000" not in figure  # would vanish on a dark page
        assert not re.search(r"\d{4}-\d\d-\d\d", figure)  # no date


def luminance(colour):
    colour = "#" + "".join(c * 2 for c in colour[1:]) if len(colour) == 4 else colour
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_in_light_and_dark(page):
    """WCAG AA, from the colours of the style sheet: 4.5 for text, 3 for the lines and marks of figures."""
    themes = [dict(re.findall(r"--([a-z0-9-]+):(#[0-9a-f]+)", block)) for block in re.findall(r":root\{([^}]*)\}", page)[:2]]
    assert [theme["paper"] for theme in themes] == ["#fff", "#14181c"]
    for theme in themes:
        for text in ("ink", "soft", "link", "good", "bad", "wait"):
            assert contrast(theme[text], theme["paper"]) >= 4.5, text
        for word in ("good", "bad", "wait"):
            assert contrast(theme[word], theme[f"{word}-wash"]) >= 4.5, word
        assert contrast(theme["soft"], theme["wash"]) >= 4.5
        for i in range(1, 5):
            assert contrast(theme[f"series-{i}"], theme["paper"]) >= 3.0, i


# --- what it says -------------------------------------------------------------------------------------------------------


def test_verdict_comes_first(tree, sample):
    body = next(tree.iter(f"{XHTML}body"))
    sections = list(body.iter(f"{XHTML}section"))
    assert sections[0].get("id") == "verdict"
    assert all_text(next(sections[0].iter(f"{XHTML}h1"))) == sample["verdict"]["text"]
    assert "good" in sections[0].get("class").split()
    assert all_text(sections[0]).startswith("✓")


def test_violation_turns_the_verdict_red_in_words_and_colour(sample):
    section = next(parse(page_of(violated)).iter(f"{XHTML}section"))
    assert "bad" in section.get("class").split()
    text = all_text(section)
    assert text.startswith("✗ A proved bound is violated")
    assert "0.7 measured, 0.5 proved" in text


def test_violation_is_red_even_if_the_verdict_forgot_it(sample):
    broken = violated(sample)
    broken["verdict"]["good"] = True
    assert "bad" in next(parse(render(broken)).iter(f"{XHTML}section")).get("class").split()


def failed_run(sample):
    left = copy.deepcopy(sample)
    left["cells"][1].update(status="FAILED", certified=False)
    return left


@pytest.mark.parametrize(
    ("change", "start"), [(failed_run, "! Every bound that applies holds; 1 run failed"), (only_refusals, "! No bound could be held against a measurement")]
)
def test_verdict_is_not_green_when_runs_failed_or_nothing_was_held(change, start):
    section = next(parse(page_of(change)).iter(f"{XHTML}section"))
    assert section.get("class").split() == ["verdict", "wait"]
    assert all_text(section).startswith(start)


def rows_of(tree, start):
    table = next(t for t in tree.iter(f"{XHTML}table") if t.get("id").startswith(start))
    names = [all_text(th) for th in next(table.iter(f"{XHTML}thead")).iter(f"{XHTML}th")]
    return [dict(zip(names, row, strict=True)) for row in next(table.iter(f"{XHTML}tbody"))]


def raw(cell):
    return None if cell.get("data-v") is None else json.loads(cell.get("data-v"))


def test_numbers_equal_the_stored_ones(tree, sample):
    rows = rows_of(tree, "values-1")
    assert len(rows) == len(sample["rows"])
    columns = {"Certified value": "value", "Own soft follower": "soft_value", "Error": "error", "Proved bound on the error": "bound",
               "Follower's regret": "follower_regret", "Leader's regret": "leader_regret", "CPU s": "cpu_seconds"}  # fmt: skip
    for printed, stored in zip(rows, sample["rows"], strict=True):
        assert all_text(printed["Method"]) == stored["method"]
        assert all_text(printed["Status"]) == stored["status"]
        for heading, key in columns.items():
            assert raw(printed[heading]) == stored[key], (stored["method"], heading)
            if stored[key] is not None:
                assert float(all_text(printed[heading])) == pytest.approx(stored[key], rel=1e-3, abs=1e-12)


def test_prose_is_rendered_from_unrounded_figures(tree, sample):
    found = next(s for s in tree.iter(f"{XHTML}section") if s.get("id") == "found")
    text = all_text(found)
    best = min((r for r in sample["rows"] if r["temperature"] and r["error"] is not None), key=lambda r: r["error"])
    assert f"the error is least, {best['error']:.3g} ({100 * best['error'] / 3.5:.3g} % of the exact value) at temperature {best['temperature']:g}" in text
    assert "exact strong commitment value is 3.5" in text


def test_csv_links_hold_the_unrounded_rows(tree, sample):
    links = {a.get("download"): a.get("href") for a in tree.iter(f"{XHTML}a") if a.get("download")}
    assert all(href.startswith("data:text/csv;charset=utf-8,") for href in links.values())
    body = urllib.parse.unquote(links["values-1-commit-2x2.csv"].split(",", 1)[1])
    stored = list(csv.DictReader(io.StringIO(body)))
    assert [float(r["error"]) for r in stored if r["error"]] == [r["error"] for r in sample["rows"] if r["error"] is not None]
    bounds = list(csv.DictReader(io.StringIO(urllib.parse.unquote(links["bounds-by-kind.csv"].split(",", 1)[1]))))
    assert len(bounds) == len(sample["bounds"])


def test_bounds_that_do_not_apply_say_why(tree):
    row = rows_of(tree, "not-applicable")[0]
    assert all_text(row["Assumption"]) == "modulus < 1"
    assert "3.42" in all_text(row["Here it fails because"])
    assert "0.069" in all_text(row["What would make it apply"])
    counted = rows_of(tree, "bounds-by-kind")
    contraction = next(r for r in counted if all_text(r["Proof"]) == "B4.1")
    assert (raw(contraction["Holds"]), raw(contraction["Not applicable"])) == (0, 3)


def test_refusals_are_rows_with_reason_remedy_and_a_line_to_repeat_them(tree, sample):
    (row,) = rows_of(tree, "failures-by-reason")
    refused = sample["failures"][0]
    assert refused["reason"].replace("`", "") in all_text(row["Reason"])
    assert all_text(row["Remedy"]) == refused["remedy"].replace("`", "")
    assert all_text(row["Reproduce the first"]) == refused["command"]
    assert all_text(row["Seeds"]) == "0"


def test_provenance_is_complete(tree, sample):
    text = all_text(next(s for s in tree.iter(f"{XHTML}section") if s.get("id") == "provenance"))
    for expected in ("stackopt compare", "stackopt 0.1.0", "numpy 2.3.0", "3.12.3", sample["provenance"]["started"], "temperature=0.02"):
        assert expected in text
    problems = all_text(next(s for s in tree.iter(f"{XHTML}section") if s.get("id") == "problems"))
    assert sample["problems"]["commit-2x2"]["fingerprint"] in problems
    assert "Conitzer and Sandholm (2006)" in problems


def still_open(sample):
    """The methods leave a bracket of the exact value; one answer stopped at a limit."""
    left = copy.deepcopy(sample)
    left["problems"]["commit-2x2"].update(upper=4.0, upper_reference="B8.1", closed=False, weak_closed=False)
    for row in left["rows"]:
        row["error_at_most"] = None if row["value"] is None else 4.0 - row["value"]
    left["rows"][1].update(status="LIMIT", certified=False, seeds=3, agreeing=1)
    return left


def test_open_bracket_is_never_called_exact(sample):
    tree = parse(page_of(still_open))
    found = all_text(next(s for s in tree.iter(f"{XHTML}section") if s.get("id") == "found"))
    assert "leave the exact value open. The best policy found attains 3.5 (exact strong), and no leader policy can exceed 4 [B8.1]" in found
    assert "Known from elsewhere: 3.5" in found
    assert "of the best value known" in found
    assert "of the exact value)" not in found
    best, row = rows_of(tree, "values-1")[:2]
    assert all_text(row["Error"]) == "≥ 0.4407"
    assert raw(row["Error"]) == sample["rows"][1]["error"]
    assert (all_text(best["Error"]), raw(best["Error"])) == ("≤ 0.5", 0.5)
    assert all_text(row["Status"]) == "LIMIT (1 of 3)"
    assert "good" not in row["Status"][0].get("class").split()


def test_bound_without_a_value_is_not_drawn_but_named(sample):
    page = page_of(two_problems)
    assert "none applies" in page
    assert "no bound on the error was computed" in page


def test_backticks_become_code_and_nothing_else_does():
    page = page_of(lambda sample: json.loads(json.dumps(sample).replace("drop `leader_observes`", "drop `<i>x</i>` <b>")))
    assert "drop <code>&lt;i&gt;x&lt;/i&gt;</code> &lt;b&gt;" in page


def test_figures_of_a_model_are_listed_with_their_status(sample):
    known = copy.deepcopy(sample)
    known["problems"]["commit-2x2"]["about"]["assumptions"] = [["battery", "13.5", "kWh,", "a data sheet", "seen"], ["taste", "0.9", "", "", "assumption"]]
    first, second = rows_of(parse(render(known)), "inputs-1")
    assert [all_text(first[k]) for k in ("Figure", "Value", "Unit", "Source", "Status")] == ["battery", "13.5", "kWh", "a data sheet", "seen"]
    assert all_text(second["Status"]) == "assumption"


# --- bad and odd input --------------------------------------------------------------------------------------------------


def test_names_are_escaped(sample):
    evil = '<script>alert("x")</script>'
    text = json.dumps(sample).replace("softmax tau=0.5", evil.replace('"', '\\"')).replace("Conitzer", "<img src=x onerror=y>Conitzer")
    page = render(json.loads(text))
    assert "<script>alert" not in page
    assert "<img" not in page
    tree = parse(page)
    assert len(list(tree.iter(f"{XHTML}script"))) == 1
    assert evil in [all_text(r["Method"]) for r in rows_of(tree, "values-1")]


def test_family_names_are_escaped_in_figures(sample):
    page = render(json.loads(json.dumps(sample).replace("softmax commitment max-ent", "</title><script>1</script>$x_$")))
    assert len(list(parse(page).iter(f"{XHTML}script"))) == 1


def test_empty_comparison(sample):
    page = page_of(empty)
    assert "The comparison holds no problem." in page
    assert "No bound was computed." in page
    assert not re.search(r"<svg", page)


def test_only_refusals(sample):
    text = all_text(parse(page_of(only_refusals)))
    assert "No method gave a value here" in text
    assert "Softmax fixed point, max-ent: no answer. A fixed point needs a leader that sees the state" in text


def test_infinite_bounds_and_missing_figures_are_printed_as_such(sample):
    odd = copy.deepcopy(sample)
    odd["bounds"][0].update(value="inf", tightness=None)
    odd["rows"][1].update(bound="inf", follower_regret=None)
    row = rows_of(parse(render(odd)), "values-1")[1]
    assert all_text(row["Follower's regret"]) == "–"
    assert raw(row["Proved bound on the error"]) is None


def test_other_schema_is_refused(sample):
    with pytest.raises(InvalidStore) as error:
        render({**sample, "schema": "stackopt.comparison/9"})
    assert error.value.code == "store"
    assert "stackopt.comparison/9" in str(error.value)


# --- writing ------------------------------------------------------------------------------------------------------------


def test_same_json_gives_the_same_bytes(sample, tmp_path):
    first = write_report(sample, tmp_path / "a.html").read_bytes()
    second = write_report(json.loads(json.dumps(sample)), tmp_path / "deeper" / "b.html").read_bytes()
    assert first == second
    code = "import json, sys; from stackopt.comparison.report import render; sys.stdout.buffer.write(render(json.load(open(sys.argv[1]))).encode())"
    other = subprocess.run([sys.executable, "-c", code, str(SAMPLE)], capture_output=True, check=True, env={"PYTHONHASHSEED": "7", "PATH": ""}).stdout
    assert other == first


def test_report_replaces_an_old_one_and_leaves_nothing_behind(sample, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(sample, path)
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_unwritable_path_is_a_typed_error(sample, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidOutput) as error:
        write_report(sample, tmp_path / "file" / "report.html")
    assert error.value.code == "output"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_missing_package_names_the_extra(sample, package, monkeypatch, tmp_path):
    for name in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackage, match=r"stackopt\[report\]"):
        write_report(sample, tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


# --- in a browser -------------------------------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium at hand to run the page's script")
def test_script_runs_under_the_page_policy(sample, tmp_path):
    """The heading buttons exist only if the script was allowed by its hash and ran to its end."""
    path = write_report(sample, tmp_path / "report.html")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
               "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND",
               "--enable-logging=stderr", "--dump-dom", path.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        pytest.skip(f"Chromium does not run here: exit code {done.returncode}")
    assert "CONSOLE" not in done.stderr
    tree = html5lib.parse(done.stdout)
    tables = [t for t in tree.iter(f"{XHTML}table") if len(next(t.iter(f"{XHTML}tbody"))) > 1]
    headings = [th for table in tables for th in next(table.iter(f"{XHTML}thead")).iter(f"{XHTML}th")]
    assert headings
    assert all(len(list(th.iter(f"{XHTML}button"))) == 1 for th in headings)
