"""The fuzz of bilevel methods counts as it says, and finds what is wrong."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2]))  # behind the installed package: only `benchmarks` is found here

import stackopt as so
from benchmarks import bilevel_fuzz
from benchmarks.bilevel_fuzz import Answer, agree, verdict


def test_the_command_prints_counts_and_succeeds(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bilevel_fuzz", "--instances", "3", "--families", "linear", "linear, boxed", "--methods", "exact"])
    assert bilevel_fuzz.main() == 0
    text = capsys.readouterr().out
    assert "linear: 2 programs" in text
    assert "linear, boxed: 1 programs" in text
    assert "0 disagreements in 3 programs" in text


def test_a_wrong_method_is_found_with_the_line_that_makes_its_program(monkeypatch, capsys):
    class Wrong(so.Enumeration):
        def run(self, problem, *, seed=0, report=None):
            return so.Run(so.Status.INFEASIBLE, None)

    monkeypatch.setitem(bilevel_fuzz.METHODS, "big-M", Wrong)
    monkeypatch.setattr(sys, "argv", ["bilevel_fuzz", "--instances", "6", "--families", "linear, boxed", "--methods", "big-M"])
    assert bilevel_fuzz.main() == 1
    assert "instance('linear, boxed', 0, " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Answer("OPTIMAL", 1.0), Answer("OPTIMAL", 1.0 + 1e-7), True),
        (Answer("OPTIMAL", 1.0), Answer("OPTIMAL", 1.0001), False),
        (Answer("OPTIMAL", 1.0), Answer("OPTIMAL", np.nan), False),
        (Answer("INFEASIBLE"), Answer("INFEASIBLE"), True),
        (Answer("INFEASIBLE"), Answer("UNBOUNDED"), False),
    ],
)
def test_what_counts_as_the_same(one, other, same):
    assert agree(one, other) is same


def test_what_claims_nothing_disagrees_with_nothing():
    assert verdict(Answer("OPTIMAL", 1.0), Answer("LIMIT")) == "LIMIT"
    assert verdict(Answer("OPTIMAL", 1.0), Answer("REFUSED")) == "REFUSED"
    assert verdict(Answer("OPTIMAL", 1.0), Answer("ERROR KeyError: 'x'")) == "DISAGREES"
