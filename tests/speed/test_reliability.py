"""The reliability command measures what it says, sees what is wrong, and its page holds its figures."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # behind the installed package: only `benchmarks` is found here

from benchmarks import reliability
from benchmarks.reliability_page import SECTIONS, page
from stackopt.verification import proof_fuzz


def test_the_page_is_made_from_the_figures():
    figures = json.loads(reliability.FIGURES.read_text())
    assert reliability.PAGE.read_text() == page(figures), "run: python -m benchmarks.reliability --write"


def test_the_figures_kept_are_of_all_parts_and_nothing_is_wrong():
    figures = json.loads(reliability.FIGURES.read_text())
    assert set(SECTIONS) <= set(figures)
    assert reliability.faulty(figures) == []
    assert figures["fuzz"]["instances"] >= 10_000
    assert figures["mutants"]["mutants"] >= 4_000
    assert figures["mutants"]["kinds"] >= 20
    assert figures["liar"]["runs"] >= 400


def test_the_command_runs_the_parts_that_are_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["reliability", "--fuzz", "3", "--mutants", "1", "--bytes", "1", "--liar", "1"])
    assert reliability.main() == 0
    text = capsys.readouterr().out
    assert [name for name in ("library", "fuzz", "mutants", "liar", "faults", "bytes") if f"{name} took" in text] == ["fuzz", "mutants", "liar", "bytes"]
    assert "nothing false was accepted, nothing disagreed" in text


def test_a_disagreement_with_enumeration_is_found(monkeypatch, capsys):
    right = proof_fuzz.enumerated
    monkeypatch.setattr(proof_fuzz, "enumerated", lambda record: replace(right(record), value=right(record).value + 1e-3))
    monkeypatch.setattr(sys, "argv", ["reliability", "--fuzz", "4"])
    assert reliability.main() == 1
    assert "but enumeration: optimal" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("figures", "what"),
    [
        ({"mutants": {"wrong": ["a"]}}, "mutants: a"), ({"fuzz": {"disagreements": ["b"]}}, "fuzz: b"), ({"checker": {"survive": ["c"]}}, "checker: c"),
        ({"fuzz": {"second checker": {"differ": ["d"]}}}, "fuzz, second checker: d"), ({"second": {"differ": ["e"]}}, "second: e"),
    ],
)  # fmt: skip
def test_whatever_is_wrong_is_reported(figures, what):
    assert reliability.faulty(figures) == [what]
