"""The two terms that are not affine: their values by hand, derivatives by complex steps, and what they refuse."""

import pickle

import numpy as np
import pytest

import stackopt as so
from stackopt.errors import InvalidGame
from stackopt.games.mean_field.terms import LogCrowding, QuadraticObjective


def test_crowding_lowers_the_reward_of_full_places():
    reward = LogCrowding([[1.0, 2.0], [3.0, 4.0]], weight=2.0)
    found = reward(np.array([0, 5]), np.array([[0.5, 0.5], [1.0, 0.0]]), None)
    assert found[0] == pytest.approx(np.array([[1.0, 2.0], [3.0, 4.0]]) + 2 * np.log(2), abs=1e-14)
    assert found[1, 0] == pytest.approx([1.0, 2.0], abs=1e-14)
    assert found[1, 1] == pytest.approx(np.array([3.0, 4.0]) - 2 * np.log(1e-20), abs=1e-12)


def test_crowding_may_differ_by_stage():
    base = np.arange(12.0).reshape(3, 2, 2)
    found = LogCrowding(base)(np.array([2, 0]), np.ones((2, 2)), None)
    assert found == pytest.approx(base[[2, 0]], abs=1e-14)


def test_derivatives_by_complex_step():
    y = np.array([[0.2, 0.8]])
    step = np.array([[0.0, 1e-30j]])
    assert LogCrowding(np.zeros((2, 1)), weight=3.0)(np.array([0]), y + step, None).imag[0, :, 0] / 1e-30 == pytest.approx([0.0, -3.0 / 0.8])
    quadratic = np.array([[1.0, 2.0], [4.0, 3.0]])
    value = QuadraticObjective(quadratic, [5.0, 6.0])
    assert value(y, None) == pytest.approx(float(y[0] @ quadratic @ y[0] + y[0] @ [5.0, 6.0]))
    assert value(y + step, None).imag / 1e-30 == pytest.approx(float((quadratic + quadratic.T)[1] @ y[0] + 6.0))
    assert value(np.vstack([y, y]), None) == pytest.approx(2 * value(y, None)), "stages add up"


def test_a_fingerprint_tells_terms_apart_and_survives_a_pickle():
    def game(weight):
        return so.MeanFieldStackelbergGame(so.Stationary(0.5), LogCrowding(np.zeros((2, 1)), weight), np.eye(2)[:, None], statistic="states")

    assert game(1.0).fingerprint() == game(1.0).fingerprint() == pickle.loads(pickle.dumps(game(1.0))).fingerprint()
    assert game(1.0).fingerprint() != game(2.0).fingerprint()


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: LogCrowding([1.0]), "axes"),
        (lambda: LogCrowding([[np.nan]]), "finite"),
        (lambda: LogCrowding([[0.0]], weight=-1.0), "term"),
        (lambda: LogCrowding([[0.0]], weight=float("nan")), "term"),
        (lambda: LogCrowding([[0.0]], epsilon=0.0), "term"),
        (lambda: QuadraticObjective([[1.0, 2.0]]), "axes"),
        (lambda: QuadraticObjective([[1.0]], [1.0, 2.0]), "axes"),
        (lambda: QuadraticObjective([[np.inf]]), "finite"),
        (lambda: QuadraticObjective([[1.0]], [np.nan]), "finite"),
    ],
)
def test_what_is_refused(make, code):
    with pytest.raises(InvalidGame) as error:
        make()
    assert error.value.code == code
