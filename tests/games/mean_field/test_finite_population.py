"""N followers: against the whole game of three of them, against their own theory, and what is refused."""

import itertools

import numpy as np
import pytest
from populations import random_game, sis

import stackopt as so
from stackopt.games.dynamic_programming import optimal_value, policy_value
from stackopt.games.mean_field.finite_population import finite_population, shares
from stackopt.games.mean_field.laws import law
from stackopt.games.operators import Mdp

NOTHING = np.zeros(0)


def everywhere(game, seed=0):
    policy = np.random.default_rng(seed).dirichlet(np.ones(game.shape[-1]), size=game.shape[:3])
    return so.Population(NOTHING, policy, law(game, policy, NOTHING).mean_field)


@pytest.mark.parametrize("discount", [0.0, 0.9])
def test_three_followers_written_out(discount):
    """Joint states of all three; the first one deviates by each pure policy of its own state. Theory: an exact reduction  [B10.2]."""
    rng, N, n = np.random.default_rng(3), 3, 2
    kernel, r0, slopes = rng.dirichlet(np.ones(n), (n, 2)), rng.uniform(-1, 1, (n, 2)), rng.uniform(-1, 1, (n, 2, n))
    game = so.MeanFieldStackelbergGame(so.Stationary(discount), r0, kernel, reward_population=slopes)
    population = everywhere(game)
    policy, mu = population.policy[0, 0], population.mean_field[0, 0]
    others = (policy[..., None] * kernel).sum(1)
    joint = list(itertools.product(range(n), repeat=N))
    start = np.array([np.prod(mu[list(a)]) for a in joint])

    def value(own):
        moves = (own[..., None] * kernel).sum(1)
        transition = np.array([[moves[a[0], c[0]] * np.prod([others[a[i], c[i]] for i in (1, 2)]) for c in joint] for a in joint])
        reward = np.array([own[a[0]] @ (r0[a[0]] + slopes[a[0]] @ (np.bincount(a, minlength=n) / N)) for a in joint])
        return start @ policy_value(Mdp(reward[:, None], transition[:, None], discount), np.ones((len(joint), 1)))

    pure = max(value(np.eye(2)[list(bits)]) for bits in itertools.product(range(2), repeat=n))
    found = finite_population(game, population, (3,), runs=2)
    assert found.deviation[0] == pytest.approx((1 - discount) * (pure - value(policy)), abs=1e-10)
    assert found.deviation[0] <= found.deviation_bounds[0].value
    assert found.mean_field_deviation == pytest.approx(
        (1 - discount) * mu @ (optimal_value(Mdp(r0 + slopes @ mu, kernel, discount)).value - policy_value(Mdp(r0 + slopes @ mu, kernel, discount), policy))
    )


def test_errors_fall_as_theory_says():
    """The law by one over the root of N; a deviator's gain beyond an equilibrium by one over N."""
    game = so.MeanFieldStackelbergGame(  # two places, one dearer the fuller it is: an equilibrium in mixed actions
        so.Stationary(0.5), np.zeros((2, 2)), np.stack([np.full((2, 2), 0.5) + 0.3 * np.array([[1, -1], [-1, 1]])] * 2),
        reward_population=np.array([[-1.0, 0.0], [0.0, -2.0]])[:, None].repeat(2, 1), name="places",
    )  # fmt: skip
    solution = so.solve(game, so.Exact())
    found = finite_population(game, solution.candidate, (100, 1_000, 10_000, 100_000), runs=48)
    assert {e.verdict for e in found.examinations()} == {"holds"}
    assert found.slope() == pytest.approx(-0.5, abs=0.06)
    assert found.mean_field_deviation == pytest.approx(0.0, abs=1e-9)
    gains = found.deviation[:-1]
    assert (gains > 0).all()
    assert gains[0] / gains[1] == pytest.approx(10.0, rel=0.1)
    assert found.slope("deviation") == pytest.approx(-1.0, abs=0.05)
    assert "0 bounds violated" in str(found)


def test_cost_does_not_grow_with_the_number_of_followers():
    """Multinomials by type and state: a thousand million followers take as many draws as a hundred."""
    game = random_game(K=2, S=3)
    found = finite_population(game, everywhere(game), (10**9,), runs=4, periods=3)
    assert found.law_error[0] < 1e-3


def test_seeds_decide_everything():
    game = random_game(K=2, S=3)
    runs = [finite_population(game, everywhere(game), (100, 200), runs=4, periods=3, seed=s) for s in (1, 1, 2)]
    assert (runs[0].law_error == runs[1].law_error).all()
    assert (runs[0].law_error != runs[2].law_error).any()


@pytest.mark.parametrize("horizon", [so.Periodic(3, 0.9), so.Finite(3, [0.2, 0.3, 0.5])])
def test_other_horizons(horizon):
    game = random_game(K=2, T=3, S=3, horizon=horizon)
    found = finite_population(game, everywhere(game), (50, 5_000), runs=64)
    assert {e.verdict for e in found.examinations()} == {"holds"}
    assert found.value_error[1] == pytest.approx(0.0, abs=5 * found.value_standard_error[1] + 1e-3)


def test_a_population_that_moves_its_transitions_is_simulated_without_a_deviator():
    game = sis()
    policy = game.uniform()
    population = so.Population(NOTHING, policy, law(game, policy, NOTHING).mean_field)
    found = finite_population(game, population, (200, 20_000), runs=24, periods=10)
    assert found.law_error[1] < found.law_error[0] / 5
    assert np.isnan(found.deviation).all()
    assert not found.deviation_bounds[0].applies
    assert not found.law_bounds[0].applies  # the law's dynamics are not known to contract


def test_chaos_propagates_no_further_than_its_bound():
    rng = np.random.default_rng(0)
    nu = rng.dirichlet(np.ones(3))
    game = so.MeanFieldStackelbergGame(
        so.Stationary(0.5), np.zeros((3, 1)), 0.8 * (0.7 * nu + 0.3 * rng.dirichlet(np.ones(3), size=(3, 1))),
        transition_population=0.2 * rng.dirichlet(np.ones(3), size=(3, 3, 1)),
    )  # fmt: skip
    found = finite_population(game, everywhere(game), (20, 500), runs=100, periods=30)
    for bound, error, se in zip(found.law_bounds, found.law_error, found.law_standard_error, strict=True):
        assert bound.applies
        assert bound.reference == "B10.4"
        assert error <= bound.value + 3 * se


def test_shares_follow_the_weights():
    assert shares(np.array([0.5, 0.3, 0.2]), 10).tolist() == [5, 3, 2]
    assert shares(np.array([0.97, 0.02, 0.01]), 3).tolist() == [1, 1, 1]
    assert shares(np.full(3, 1 / 3), 100).sum() == 100


@pytest.mark.parametrize(("followers", "rest"), [((), {}), ((1,), {}), ((2.5,), {}), ((100,), {"runs": 1}), ((100,), {"periods": 0})])
def test_settings_that_make_no_sense(followers, rest):
    game = random_game(K=2)
    with pytest.raises(so.InvalidMethod):
        finite_population(game, everywhere(game), followers, **rest)


def test_the_figure_has_both_panels():
    from stackopt.plot_population import population_figure

    game = random_game(K=1, S=3)
    figure = population_figure(finite_population(game, everywhere(game), (100, 1_000), runs=8))
    assert [ax.get_xlabel() for ax in figure.axes] == ["followers N", "followers N"]
    without = population_figure(finite_population(sis(), everywhere(sis()), (100,), runs=4))
    assert "no bound" in without.axes[1].texts[0].get_text()


def test_a_statistic_written_out_is_the_same():
    rng = np.random.default_rng(5)
    kernel, slopes = rng.dirichlet(np.ones(2), (2, 2)), rng.uniform(-1, 1, (2, 2, 2))
    games = [
        so.MeanFieldStackelbergGame(so.Stationary(0.5), np.zeros((2, 2)), kernel, statistic=statistic, reward_population=slopes)
        for statistic in ("states", np.eye(2)[:, None].repeat(2, 1))
    ]
    found = [finite_population(game, everywhere(game), (100,), runs=4) for game in games]
    assert found[0].deviation == pytest.approx(found[1].deviation, abs=1e-12)
