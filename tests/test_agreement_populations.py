"""Equilibria by three routes that share nothing: the mixed-integer program, support patterns, and the learner."""

import numpy as np
import pytest
from populations import random_game

import stackopt as so
from stackopt.exact.mean_field.patterns import equilibria
from stackopt.games.mean_field import operators

NOTHING = np.zeros(0)
HORIZONS = [(so.Stationary(0.9), 1), (so.Periodic(2, 0.8), 2), (so.Finite(2, [0.4, 0.6]), 2)]


def statistics(game, population):
    return game.aggregate(operators.flow(population.mean_field, population.policy))


@pytest.mark.parametrize(("horizon", "stages"), HORIZONS, ids=["stationary", "periodic", "finite"])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_learned_is_one_of_all(horizon, stages, seed):
    game = random_game(seed, K=1, T=stages, S=2, horizon=horizon)
    everything = equilibria(game)
    exact, learned = so.solve(game, so.Exact(proof=False)), so.solve(game, so.MeanFieldEquilibrium())
    assert exact.certified
    assert learned.certified
    known = [statistics(game, p) for p in everything.populations]
    for found in (exact, learned):
        for population in (found.candidate, *found.candidate.others):
            assert min(np.abs(statistics(game, population) - y).max() for y in known) <= 1e-5
    if exact.further_bounds and exact.further_bounds[0].value <= 1e-8:  # proved: all have the same statistics
        assert np.abs(statistics(game, learned.candidate) - known[0]).max() <= 1e-5
        assert len(known) == 1 or np.ptp(known, axis=0).max() <= 1e-7


def test_several_equilibria_are_found_by_each():
    game = so.MeanFieldStackelbergGame(  # company: two pure equilibria and a mixed one
        so.Stationary(0.0), np.zeros((1, 2)), np.ones((1, 2, 1)), statistic="state-actions", reward_population=np.diag([1.0, 2.0])[None], name="company"
    )
    shares = sorted(p.policy[0, 0, 0, 0] for p in equilibria(game).populations)
    assert shares == pytest.approx([0.0, 2 / 3, 1.0])
    exact = so.solve(game, so.Exact()).candidate
    assert {round(p.policy[0, 0, 0, 0]) for p in (exact, *exact.others)} >= {0, 1}
    learned = so.solve(game, so.MeanFieldEquilibrium(starts=8)).candidate
    assert all(min(abs(p.policy[0, 0, 0, 0] - x) for x in shares) <= 1e-6 for p in (learned, *learned.others))
