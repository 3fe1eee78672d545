"""Hypothesis strategies for small bilevel programs; they draw from the package's own generator of instances."""

import numpy as np
from hypothesis import strategies as st

from stackopt.verification.bilevel_instances import FAMILIES, instance

OPTIMISTIC = [name for name, family in FAMILIES.items() if family.ties == "optimistic"]
CONTINUOUS = [name for name in OPTIMISTIC if FAMILIES[name].integer_follower == "none" and not FAMILIES[name].interdiction]
seeds = st.integers(0, 2**31)


@st.composite
def bilevel_programs(draw, families=OPTIMISTIC):
    """A program of one of the families, named so that one line makes it again."""
    return instance(draw(st.sampled_from(list(families))), draw(seeds))


@st.composite
def generators(draw):
    """A random generator, for restatements."""
    return np.random.default_rng(draw(seeds))
