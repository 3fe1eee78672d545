"""Laws of chains with several recurrent classes: where the population began decides, and rounding must not."""

import numpy as np
import pytest

from stackopt.games.mean_field.kernels import Dense
from stackopt.games.mean_field.laws import recurrent_classes, stationary


@pytest.mark.parametrize("rounding", [0.0, 1.1e-16, -1.1e-16])
def test_two_absorbing_states_keep_what_began_in_them(rounding):
    stays = np.eye(2)
    stays[1, 1] -= rounding  # as a policy whose probabilities sum to 1 up to rounding
    law, several = stationary(Dense(stays[:, None], checked=False), np.ones((1, 1, 2, 1)), np.array([[0.3, 0.7]]))
    assert several
    assert law[0, 0] == pytest.approx([0.3, 0.7], abs=1e-12)


def test_classes_are_counted():
    assert recurrent_classes(np.eye(3)) == 3
    assert recurrent_classes(np.roll(np.eye(3), 1, axis=1)) == 1
    assert recurrent_classes(np.array([[0.0, 0.5, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])) == 2
    assert recurrent_classes(np.array([[1.0 - 1e-9, 1e-9], [1e-9, 1.0 - 1e-9]])) == 1


def test_a_slow_chain_with_one_class_has_its_law():
    slow = np.array([[1.0 - 1e-9, 1e-9], [3e-9, 1.0 - 3e-9]])
    law, several = stationary(Dense(slow[:, None], checked=False), np.ones((1, 1, 2, 1)), np.array([[1.0, 0.0]]))
    assert not several
    assert law[0, 0] == pytest.approx([0.75, 0.25], abs=1e-6)
