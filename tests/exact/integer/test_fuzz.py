"""Small programs with integer followers against the enumeration of every whole point; `benchmarks.integer_fuzz` runs many more."""

import numpy as np
import pytest

from benchmarks.integer_fuzz import disagreement, general, interdiction


@pytest.mark.parametrize("index", range(25))
def test_general_programs_agree_with_enumeration(index):
    assert disagreement(general(np.random.default_rng([7, index]))) == ""


@pytest.mark.parametrize("index", range(25))
def test_interdiction_agrees_with_enumeration(index):
    assert disagreement(interdiction(np.random.default_rng([8, index]))) == ""
