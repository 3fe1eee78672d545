"""Leaders' sets: members, projections, vertices."""

import numpy as np
import pytest

import stackopt as so
from stackopt.games.mean_field.leaders import distance

SETS = [so.Box([0.0, -1.0], [1.0, 1.0]), so.Simplex(3), so.Policies(2, 3), so.Menu([[0.0, 1.0], [2.0, 3.0], [0.5, 0.5]])]


@pytest.mark.parametrize("chosen", SETS, ids=str)
def test_members_stay_and_others_are_projected(chosen):
    rng = np.random.default_rng(0)
    for _ in range(20):
        inside = chosen.sample(rng)
        assert inside.shape == (chosen.size,)
        assert distance(chosen, inside) <= 1e-12
        anywhere = rng.normal(size=chosen.size) * 3
        nearest = chosen.project(anywhere)
        assert distance(chosen, nearest) <= 1e-12
        assert ((nearest - anywhere) ** 2).sum() <= ((inside - anywhere) ** 2).sum() + 1e-12
        best = chosen.best_linear(anywhere)
        assert distance(chosen, best) <= 1e-12
        assert best @ anywhere >= inside @ anywhere - 1e-12
    assert distance(chosen, chosen.center()) <= 1e-12
    assert np.isnan(distance(chosen, np.full(chosen.size, np.nan)))


@pytest.mark.parametrize(
    "make", [lambda: so.Box([1.0], [0.0]), lambda: so.Box([0.0], [np.inf]), lambda: so.Box([0.0, 1.0], [1.0]), lambda: so.Simplex(0), lambda: so.Menu([])]
)
def test_sets_that_are_none_are_refused(make):
    with pytest.raises(so.InvalidGame, match="leader-set"):
        make()
