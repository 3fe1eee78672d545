"""Hypothesis strategies for games that break bounds; they draw from the package's own generator of instances."""

import numpy as np
from hypothesis import strategies as st

from stackopt.verification.instances import DISCOUNTS, KERNELS, REWARDS, Instance, adversarial_game, random_policy

seeds = st.integers(0, 2**32 - 1)
temperatures = st.floats(0.01, 10.0)
discounts = st.sampled_from(DISCOUNTS)


@st.composite
def games(draw, *, equal_discounts=None, kernel=None, shape=None, rewards=None):
    """An adversarial game of at most 4 states, 3 leader and 4 follower actions."""
    follower = draw(discounts)
    equal = draw(st.booleans()) if equal_discounts is None else equal_discounts
    leader = follower if equal else draw(discounts)
    return adversarial_game(
        np.random.default_rng(draw(seeds)),
        kernel=kernel or draw(st.sampled_from(KERNELS)),
        rewards=rewards or draw(st.sampled_from(REWARDS)),
        shape=shape or (draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 4))),
        discounts=(leader, follower),
    )


@st.composite
def instances(draw, **rest):
    """The same as an `Instance`, with its own random draws."""
    return Instance(draw(st.integers(0, 2**31)), draw(st.integers(0, 2**31)), draw(games(**rest)))


@st.composite
def policies(draw, states, actions):
    """A mixed, pure or nearly pure policy."""
    return random_policy(np.random.default_rng(draw(seeds)), states, actions)


@st.composite
def action_values(draw):
    """Action values [m], m from 1 to 7, with ties and near-ties; gaps of every size."""
    rng = np.random.default_rng(draw(seeds))
    m, kind = draw(st.integers(1, 7)), draw(st.sampled_from(["normal", "ties", "near-ties", "equal gaps"]))
    coins = rng.integers(0, 3, m).astype(float)
    kinds = {
        "normal": rng.standard_normal(m),
        "ties": coins,
        "near-ties": coins + 1e-7 * rng.standard_normal(m),
        "equal gaps": np.append(0.0, np.full(m - 1, -rng.uniform(0, 3))),
    }
    return draw(st.sampled_from([1e-3, 1.0, 1e4])) * kinds[kind]
