"""Learning from behaviour: inversion is exact, estimators match the exact gradient, targets are met, drifting followers are flagged."""

import numpy as np
import pytest

import stackopt as so
from benchmarks.tariff_truths import KNOWN, LEVELS, MENU, RATES, SETTING, days_to, gaps, load_meters, truth
from stackopt.errors import InvalidMethod, NotCertified
from stackopt.games.responses import follower_response
from stackopt.learning.from_samples.aggregates import expected, fit_aggregates
from stackopt.learning.from_samples.estimators import gaussian_gradient, two_point_gradient
from stackopt.learning.from_samples.inverse import Tastes, contrast, fit, invert, log_likelihood, soft_values
from stackopt.learning.from_samples.learn import learn
from stackopt.learning.from_samples.learned import Outcome
from stackopt.learning.from_samples.levels import Levels
from stackopt.learning.from_samples.semi_gradient import frozen_gradient, semi_gradient
from stackopt.learning.from_samples.stationarity import Noise, compare
from stackopt.learning.hypergradient import commitment_gradient
from stackopt.learning.oracles import Asked, KnownModel, Observation, QLearners, SoftPopulation

MANY = 20_000  # households, so that a day's value has a noise of about 1 %


# --- policies by level ------------------------------------------------------------------------------------------------


def test_whole_levels_are_pure_and_the_mean_rate_is_the_level():
    assert ((MENU == 0) | (MENU == 1)).all()
    levels = np.array([0.38, 0.4, 0.45, 0.5224])
    rate = LEVELS.policy(levels) @ np.array(RATES)
    assert rate[[0, 6, 12, 18]] == pytest.approx(levels)
    assert LEVELS.policy(levels + 1) == pytest.approx(LEVELS.policy(np.full(4, RATES[-1])))


def test_the_gradient_along_levels_is_the_chain_rule():
    game, tau = truth(0)
    at = np.array([0.38, 0.45, 0.5, 0.398])
    g = commitment_gradient(game, LEVELS.policy(at), tau)
    exact = LEVELS.gradient(at, g.direct + g.response)
    step = 1e-6 * np.eye(4)
    differences = (soft_values(game, LEVELS.policy(at + step), tau) - soft_values(game, LEVELS.policy(at - step), tau)) / 2e-6
    assert exact == pytest.approx(differences, rel=1e-4)


def test_designs_contrast():
    designs = LEVELS.designs(5)
    assert len({tuple(d) for d in designs}) == 5
    assert set(np.unique(designs)) == {RATES[0], RATES[-1]}
    assert len(LEVELS.corners(16)) == 16


@pytest.mark.parametrize(
    ("groups", "scale", "name"),
    [(list(range(24)), None, "groups"), ([0] * 24, (1, 2, 2, 3), "scale"), (None, None, "groups")],
)
def test_levels_that_cannot_be(groups, scale, name):
    with pytest.raises(InvalidMethod, match=name):
        Levels(KNOWN, groups, scale)


def test_a_leader_with_one_action_has_nothing_to_choose():
    game = so.StackelbergGame(np.zeros((2, 1, 2)), np.zeros((2, 1, 2)), so.stay, discount=0.5)
    levels = Levels(game)
    assert levels.policy(levels.menu[0]) == pytest.approx(np.ones((2, 1)))
    assert levels.gradient(levels.menu[0], np.ones((2, 1))) == pytest.approx(np.zeros(2))


# --- inverse responses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_two_exact_responses_give_the_temperature_and_every_other_response(seed):
    """Identification (closed form): the taste is known up to shaping only, responses are known."""
    game, tau = truth(seed)
    designs = LEVELS.policy(LEVELS.designs(2))
    found = invert(KNOWN, designs, follower_response(game, designs, tau).policy)
    assert found.identified
    assert found.temperature == pytest.approx(tau, rel=1e-8)
    assert found.response(KNOWN, MENU[::17]) == pytest.approx(follower_response(game, MENU[::17], tau).policy, abs=1e-8)


def test_one_policy_does_not_identify_the_temperature():
    game, tau = truth(0)
    design = LEVELS.policy(LEVELS.designs(1))
    assert contrast(KNOWN, design) == 0.0
    assert not invert(KNOWN, design, follower_response(game, design, tau).policy).identified


def test_bills_that_differ_by_shaping_do_not_identify_the_temperature():
    """Two leader actions whose rewards to the follower differ by phi - discount P phi: behaviour is the same under both."""
    rng = np.random.default_rng(0)
    P = np.repeat(rng.dirichlet(np.ones(3), (3, 1, 2)), 2, axis=1)
    phi, money = rng.normal(size=3), rng.normal(size=(3, 2))
    shaped = money + phi[:, None] - 0.7 * P[:, 0] @ phi
    game = so.StackelbergGame(np.zeros((3, 2, 2)), np.stack([money, shaped], 1), P, discount=0.7)
    policies = np.stack([np.tile([1.0, 0.0], (3, 1)), np.tile([0.0, 1.0], (3, 1))])
    assert contrast(game, policies) < 1e-12
    y = follower_response(game, policies, 0.3).policy
    assert y[0] == pytest.approx(y[1], abs=1e-10)
    assert not invert(game, policies, y).identified


def test_the_gradient_of_the_likelihood():
    rng = np.random.default_rng(1)
    policies = LEVELS.policy(LEVELS.designs(3))
    counts = rng.integers(0, 30, (3, 24, 3)).astype(float)
    w, k = rng.normal(0, 2, (24, 3)), 12.0
    _, along_w, along_k = log_likelihood(KNOWN, policies, counts, w, k)
    move = rng.normal(size=w.shape)
    up, down = (log_likelihood(KNOWN, policies, counts, w + h * move, k)[0] for h in (1e-5, -1e-5))
    assert (up - down) / 2e-5 == pytest.approx((along_w * move).sum(), rel=1e-5)
    up, down = (log_likelihood(KNOWN, policies, counts, w, k + h)[0] for h in (1e-5, -1e-5))
    assert (up - down) / 2e-5 == pytest.approx(along_k, rel=1e-5)


def test_maximum_likelihood_gets_better_with_data():
    game, tau = truth(3)
    designs = LEVELS.policy(LEVELS.designs(3))
    true = follower_response(game, MENU[::17], tau).policy
    off = []
    for households in (50, 50_000):
        counts = np.array([KnownModel(game, tau, followers=households, steps_per_day=4).observe(x, 1).counts[0] for x in designs])
        found = fit(KNOWN, designs, counts, LEVELS.of_state, 0.07)
        off.append(np.abs(found.response(KNOWN, MENU[::17]) - true).sum(-1).mean())
    assert off[1] < 0.25 * off[0]
    assert off[1] < 0.05


def test_aggregates_fit_a_follower_of_their_own_class():
    """A taste per period and action is what aggregates can fit: here it is the truth, and predictions are right."""
    rng = np.random.default_rng(0)
    taste = np.concatenate([np.zeros((4, 1)), rng.normal(0, 0.2, (4, 2))], 1)[LEVELS.of_state]
    tastes = Tastes(taste, 0.08)
    designs, meters = LEVELS.policy(LEVELS.designs(5)), load_meters()
    means = expected(KNOWN, tastes, designs, meters, 4)
    found = fit_aggregates(
        KNOWN, designs, means, np.full_like(means, 1e-3), meters=meters, steps=4, groups=LEVELS.of_state, guess=0.07
    )
    assert found.values(KNOWN, MENU[::9]) == pytest.approx(tastes.values(KNOWN, MENU[::9]), rel=0.01)


# --- gradients from values --------------------------------------------------------------------------------------------


def test_estimators_agree_with_the_exact_gradient():
    """Bias and spread of both estimators of dJ/d(levels) against C1, at a smooth point."""
    game, _ = truth(3)
    tau, at, rng = 0.3, np.array([0.41, 0.45, 0.45, 0.45]), np.random.default_rng(0)
    g = commitment_gradient(game, LEVELS.policy(at), tau)
    exact = LEVELS.gradient(at, g.direct + g.response)

    def value(levels):
        return float(soft_values(game, LEVELS.policy(levels)[None], tau)[0])

    for estimate, width in ((two_point_gradient, 0.004), (gaussian_gradient, 0.002)):
        draws = np.array([estimate(value, at, width, rng) for _ in range(300)])
        error = draws.std(0) / len(draws) ** 0.5
        assert (np.abs(draws.mean(0) - exact) <= 5 * error + 0.01 * np.abs(exact).max()).all()


def test_the_frozen_gradient_is_the_direct_term():
    game, tau = truth(2)
    g = commitment_gradient(game, MENU[100], tau)
    assert frozen_gradient(game, MENU[100], g.follower_policy) == pytest.approx(g.direct)


# --- stationarity -----------------------------------------------------------------------------------------------------


def two_periods(adaptation, wait, seed):
    game, tau = truth(0)
    population = SoftPopulation(game, tau, adaptation=adaptation, steps_per_day=4, seed=seed)
    population.observe(MENU[0], 60)
    origin = population.observe(MENU[0], 4)
    population.observe(MENU[-1], wait)
    return population.observe(MENU[-1], 4), population.observe(MENU[-1], 4), origin


def test_settled_followers_are_rarely_called_moving():
    moved = []
    for seed in range(25):
        before, after, origin = two_periods(1.0, 2, seed)
        moved.append(compare(before, after, Noise().with_run(before).with_run(after), origin=origin).moved)
    assert np.mean(moved) <= 0.16


def test_lagging_followers_are_seen_to_move():
    moved = []
    for seed in range(10):
        before, after, origin = two_periods(0.1, 1, seed)
        moved.append(compare(before, after, Noise().with_run(before).with_run(after), origin=origin).moved)
    assert np.mean(moved) >= 0.7


def test_noise_of_means_knows_that_days_are_alike():
    """AR(1) days with correlation 0.5: the spread of means of 50 days is what it is, not that of independent days."""
    rng = np.random.default_rng(0)
    x = np.zeros(20_000)
    for i in range(1, len(x)):
        x[i] = 0.5 * x[i - 1] + rng.normal()
    true = x.reshape(-1, 50).mean(1).std()
    assert Noise().with_run(Observation(x)).of_mean(50)[0] == pytest.approx(true, rel=0.1)
    assert np.isinf(Noise().of_mean(5)).all()


# --- the default learner ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 4])
def test_counts_two_percent_within_20_days(seed):
    game, tau = truth(seed)
    found = learn(KNOWN, SoftPopulation(game, tau, steps_per_day=4, seed=seed), "counts", seed=seed, **SETTING)
    assert found.outcome is Outcome.SELECTED
    assert days_to(found.history, gaps(game, tau, [h for _, h in found.history])) <= 20
    assert np.array_equal(found.require(), LEVELS.policy(found.levels))
    assert found.value == pytest.approx(soft_values(game, found.policy[None], tau)[0], abs=4 * found.error)
    assert found.bounds[0].applies
    assert "SELECTED" in str(found)
    assert found._repr_html_().startswith("<style>")


def test_aggregates_two_percent_within_50_days():
    game, tau = truth(2)
    meters = load_meters()
    oracle = SoftPopulation(game, tau, steps_per_day=4, followers=MANY, meters=meters, seed=2)
    found = learn(KNOWN, oracle, "aggregate", meters=meters, seed=2, days=90, **SETTING)
    assert days_to(found.history, gaps(game, tau, [h for _, h in found.history])) <= 50
    assert any("misspecified" in n for n in found.notes)


@pytest.mark.parametrize("seed", range(6))
def test_values_alone_two_percent_within_300_days(seed):
    game, tau = truth(seed)
    found = learn(KNOWN, SoftPopulation(game, tau, steps_per_day=4, followers=MANY, seed=seed), "value", seed=seed, days=300, **SETTING)
    assert found.outcome is Outcome.SELECTED
    assert days_to(found.history, gaps(game, tau, [h for _, h in found.history])) <= 300
    assert np.isnan(found.predicted)


def test_inertial_followers_are_waited_for():
    game, tau = truth(1)
    found = learn(KNOWN, SoftPopulation(game, tau, steps_per_day=4, adaptation=0.1, seed=1), "counts", seed=1, **SETTING)
    assert found.outcome is not Outcome.NONSTATIONARY
    assert days_to(found.history, gaps(game, tau, [h for _, h in found.history])) <= 200
    assert any(d.moved for _, d in found.drifts)


@pytest.mark.parametrize("seed", [0, 5])
def test_followers_that_do_not_settle_get_no_number(seed):
    game, tau = truth(seed)
    found = learn(KNOWN, QLearners(game, tau, steps_per_day=4, seed=seed), "counts", seed=seed, **SETTING)
    assert found.outcome is Outcome.NONSTATIONARY
    assert np.isnan(found.value)
    assert np.isnan(found.error)
    assert np.isnan(found.predicted)
    assert "none" in str(found)
    with pytest.raises(NotCertified, match=r"\[not-learned\]"):
        found.require()


def test_the_frozen_learner_fails_where_the_default_does_not():
    """C4 on the tariff: it climbs a gradient that leaves out how households answer, and ends far from the best."""
    losses = []
    for seed in (0, 4, 5):
        game, tau = truth(seed)
        trail = semi_gradient(KNOWN, SoftPopulation(game, tau, steps_per_day=4, seed=seed), groups=SETTING["groups"], scale=RATES, days=200)
        losses.append(gaps(game, tau, [trail[-1][1]])[0])
    assert max(losses) > 10


def test_too_few_days_are_a_limit():
    game, tau = truth(0)
    found = learn(KNOWN, SoftPopulation(game, tau, steps_per_day=4), "counts", days=12, **SETTING)
    assert found.outcome is Outcome.LIMIT
    assert "12 days" in found.because
    assert found.days <= 12
    with pytest.raises(NotCertified):
        found.require()


def test_an_oracle_without_noise():
    """Exact expectations instead of samples: the best of the menu."""
    game, tau = truth(1)
    found = learn(KNOWN, KnownModel(game, tau, steps_per_day=4), "counts", **SETTING)
    assert found.outcome is Outcome.SELECTED
    assert gaps(game, tau, [found.levels])[0] == pytest.approx(0.0, abs=0.1)
    assert found.error == pytest.approx(0.0, abs=1e-9)


def test_only_what_is_seen_is_read():
    """The oracle may say more than `observe`: a learner from values alone behaves the same when nothing else is there."""
    game, tau = truth(1)

    def run(hide):
        population = SoftPopulation(game, tau, steps_per_day=4, seed=3)
        oracle = Asked(lambda x, days: {"value": population.observe(x, days).value}) if hide else population
        return learn(KNOWN, oracle, "value", days=80, **SETTING)

    assert [list(h) for _, h in run(True).history] == [list(h) for _, h in run(False).history]


def test_the_followers_reward_in_the_oracle_is_never_read():
    """The game handed to the learner lacks the taste; an oracle that counts differently is the only difference it sees."""
    game, tau = truth(0)
    found = learn(KNOWN, KnownModel(game, tau, steps_per_day=4), "counts", days=60, **SETTING)
    other = learn(KNOWN, KnownModel(truth(4)[0], tau, steps_per_day=4), "counts", days=60, **SETTING)
    assert not np.array_equal(found.levels, other.levels)


def test_the_heuristic_regret_is_called_heuristic():
    game, tau = truth(1)
    found = learn(KNOWN, KnownModel(game, tau, steps_per_day=4), "counts", days=40, resamples=1, **SETTING)
    assert found.regret >= 0
    assert "heuristic" in str(found)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"observe": "everything"}, "observe"),
        ({"designs": 1}, "designs"),
        ({"block": 0}, "block"),
        ({"days": 0}, "days"),
        ({"steps_per_day": 0}, "steps_per_day"),
        ({"observe": "aggregate"}, "meters"),
    ],
)
def test_settings(change, name):
    game, tau = truth(0)
    with pytest.raises(InvalidMethod, match=name):
        learn(KNOWN, KnownModel(game, tau), **{**SETTING, **change})


def test_games_that_do_not_fit():
    rows = np.zeros((2, 2, 1, 2))
    batch = so.StackelbergGame(rows, rows, so.stay, discount=0.5)
    for wrong in (batch, so.StackelbergGame(rows[0, :, :1], rows[0, :, :1], so.stay, discount=0.5)):
        with pytest.raises(InvalidMethod, match="game"):
            learn(wrong, Asked(lambda x, days: {"value": np.ones(days)}), "value")
    with pytest.raises(InvalidMethod, match="dense"):
        SoftPopulation(batch, 0.1)


def test_an_oracle_that_does_not_count_is_refused():
    with pytest.raises(InvalidMethod, match=r"\[oracle\].*counts"):
        learn(KNOWN, Asked(lambda x, days: {"value": np.ones(days)}), "counts", **SETTING)
