"""Every error code has a law, a remedy, an explanation, a page in the docs, and is raised somewhere."""

import pickle
import re
from pathlib import Path

import pytest

from stackopt.codes import CODES
from stackopt.errors import InvalidGame, MissingPackage, Refused, StackoptError

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("code", CODES)
def test_codes_are_complete(code):
    entry = CODES[code]
    assert entry.law
    assert entry.help
    assert len(entry.explanation) > 40


def test_docs_list_the_same_codes():
    page = (ROOT / "docs" / "errors.md").read_text()
    assert re.findall(r"^## (\S+)$", page, re.M) == sorted(CODES), "run: python docs/generate.py"


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_used(code):
    sources = [p.read_text() for p in (ROOT / "stackopt").rglob("*.py") if p.parent.name != "codes"]
    assert any(f'"{code}"' in source for source in sources), f"{code} is never raised"


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_tested(code):
    sources = [p.read_text() for p in (ROOT / "tests").rglob("test_*.py") if p.name != "test_errors.py"]
    assert any(f'"{code}"' in s or f"[{code}]" in s or f"\\[{code}\\]" in s for s in sources), f"no test raises {code}"


def test_law_witness_remedy_are_printed_in_this_order():
    error = InvalidGame("transition-mass", where="(s, a, b) = (1, 0, 0) sums to 0.9; 3 more rows differ")
    lines = str(error).splitlines()
    assert lines[0] == "InvalidGame[transition-mass]: `transition[s, a, b, :]` must sum to 1"
    assert lines[1] == "  where:  (s, a, b) = (1, 0, 0) sums to 0.9; 3 more rows differ"
    assert lines[2].startswith("  help:   ")
    assert lines[3] == "  docs:   errors/transition-mass"


def test_errors_survive_a_process_boundary():
    error = Refused("single-game", where="here", method="Exact", batch=(3,))
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), back.code) == (Refused, str(error), "single-game")


def test_unknown_code_is_a_programming_error():
    with pytest.raises(KeyError):
        StackoptError("no-such-code")


def test_the_remedy_for_a_missing_package_can_be_pasted():
    error = MissingPackage("package", feature="a report", package="stackopt[report]")
    assert error.help == 'pip install "stackopt[report]"'
