"""Small programs with integer followers against the enumeration of every whole point; `benchmarks.integer_fuzz` runs many more."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[3]))  # behind the installed package: only `benchmarks` is found here

from benchmarks.integer_fuzz import continuous, contradiction, disagreement, general, interdiction


@pytest.mark.parametrize("index", range(15))
def test_general_programs_agree_with_enumeration(index):
    assert disagreement(general(np.random.default_rng([9, index]))) == ""


@pytest.mark.parametrize("index", range(10))
def test_interdiction_agrees_with_enumeration(index):
    assert disagreement(interdiction(np.random.default_rng([8, index]))) == ""


@pytest.mark.parametrize("index", range(8))
def test_infima_are_not_contradicted_by_a_grid(index):
    assert contradiction(continuous(np.random.default_rng([6, index]))) == ""
