"""Each method alone: what it solves, where it cycles, and that a cycle or a limit is never called success."""

import numpy as np
import pytest
from populations import branching, random_game, random_policy, sis

import stackopt as so
from stackopt.games.mean_field.dynamics import exploitability
from stackopt.learning.mean_field.fictitious_play import averaged
from stackopt.learning.mean_field.followers import Followers
from stackopt.learning.mean_field.gauss_seidel import Current
from stackopt.learning.mean_field.search import Search, Trail

LEFT_RIGHT = branching(-np.diag([1.0, 2.0]), "left_right")
ROCK_PAPER_SCISSORS = branching([[0, -1, 2], [4, 0, -2], [-3, 6, 0]], "rock_paper_scissors")


@pytest.mark.parametrize("method", [so.GaussSeidel(), so.MirrorDescent(), so.PathFollowing(), so.FictitiousPlay(tolerance=1e-2)])
def test_each_method_solves_left_right(method):
    solution = so.solve(LEFT_RIGHT, method)
    assert solution.certified
    assert solution.certificate.values["relative"] <= method.tolerance


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (so.GaussSeidel(), "cycle with period 3"),
        (so.FictitiousPlay(step=1.0), "cycle with period 3"),
        (so.FictitiousPlay(iterations=20), "20 iterations ran out"),
        (so.MirrorDescent(iterations=40), "40 rounds ran out"),
        (so.MirrorDescent(step=2, iterations=40), "40 rounds ran out"),
        (so.SoftmaxPolicyIteration(0.05), "cycle with period 3"),
        (so.SoftmaxPolicyIteration(0.05, damping=0.9, iterations=30), "30 iterations ran out"),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_what_does_not_settle_is_a_limit(method, reason):
    solution = so.solve(ROCK_PAPER_SCISSORS, method)
    assert solution.status is so.Status.LIMIT
    assert reason in solution.because
    assert ("period" in solution.stats) == ("cycle" in reason)
    assert not solution.certified
    with pytest.raises(so.NotCertified):
        solution.require()


def test_fictitious_play_gains_like_one_over_n():
    gains = [so.FictitiousPlay(iterations=n).run(LEFT_RIGHT).stats["relative"] for n in (30, 300)]
    assert gains[1] < 0.2 * gains[0]


def test_averages_are_by_mass():
    """Averaged masses of a fixed kernel are the masses of the averaged policy."""
    game = random_game(2, K=2, S=4, B=3, horizon=so.Finite(4, np.full(4, 0.25)), coupling=0.0)
    followers = Followers(game, np.zeros(0))
    one, two = random_policy(game, 1), random_policy(game, 2)
    mu, nu = followers.law(one)[0], followers.law(two)[0]
    mixed, _ = followers.law(averaged(one, mu, two, nu, 0.3))
    assert np.abs(mixed - (0.7 * mu + 0.3 * nu)).max() < 1e-14


@pytest.mark.parametrize("moving", [False, True])
def test_stages_kept_up_to_date_are_those_recomputed(moving):
    """Gauss-Seidel's incremental masses and values against an evaluation from scratch, after every change."""
    game = sis(so.Finite(12, [0.4, 0.6])) if moving else random_game(7, K=2, S=3, B=2, horizon=so.Finite(6, np.full(3, 1 / 3)), coupling=3.0)
    followers = Followers(game, np.zeros(0))
    current = Current(followers, followers.evaluate(game.uniform()))
    K, T, S, B = game.shape
    rng = np.random.default_rng(0)
    for t in range(T):
        q = current.play(t, np.eye(B)[rng.integers(B, size=(K, S))])
        again = followers.evaluate(current.policy)
        assert np.abs(current.mu - again.mean_field).max() < 1e-13
        assert np.abs(q - again.q[:, t]).max() < 1e-12
        assert np.abs(current.q[:, t:] - again.q[:, t:]).max() < 1e-12


def test_the_lean_evaluation_is_that_of_the_game():
    discounted = so.Finite(5, np.full(4, 0.25), discount=0.9)
    for game in (random_game(3, K=2, S=4, B=3, horizon=discounted), random_game(4, K=2, T=3), sis(), sis(so.Finite(9, [0.4, 0.6]))):
        policy = random_policy(game)
        found = Followers(game, np.zeros(0)).evaluate(policy)
        expected = exploitability(game, policy, np.zeros(0))
        assert found.exploitability == pytest.approx(expected.total, abs=1e-12)
        assert np.abs(found.q - expected.answer.q).max() < 1e-10
        assert np.abs(found.mean_field - expected.law.mean_field).max() < 1e-10


def test_gauss_seidel_needs_a_last_stage():
    with pytest.raises(so.Refused, match="no-last-stage"):
        so.solve(sis(), so.GaussSeidel())


def test_paths_that_are_too_large_are_refused():
    S = 60
    game = so.MeanFieldStackelbergGame(so.Finite(2, np.full(S, 1 / S)), np.zeros((S, 40)), np.eye(S)[:, None].repeat(40, 1), statistic="state-actions")
    with pytest.raises(so.Refused, match="path-too-large"):
        so.solve(game, so.PathFollowing())


def test_a_law_that_is_not_known_is_no_equilibrium():
    game = sis()
    search = Search(Followers(game, np.zeros(0)), 1e-6, 10.0)
    unknown = type(search.best)(**{**vars(search.best), "exploitability": np.nan})
    assert not search.accepts(unknown)
    search.take(unknown)
    assert np.isfinite(search.best.exploitability)


def test_cycles_are_told_from_slow_progress():
    trail = Trail()
    a, b = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert [trail.period(x) for x in (a, b, a)] == [0, 0, 2]
    slow = Trail()
    assert [slow.period(np.array([0.5 + 0.1**n])) for n in range(1, 8)] == [0] * 7
    still = Trail()
    assert [still.period(a) for _ in range(4)] == [0] * 4


def test_softmax_policy_iteration_settles_with_damping_and_along_a_ladder():
    for method in (so.SoftmaxPolicyIteration(0.1, damping=0.8), so.SoftmaxPolicyIteration(0.1, damping=0.8, annealing=3)):
        solution = so.solve(LEFT_RIGHT, method)
        assert solution.certified
        assert solution.certificate.values["soft_distance"] <= 1e-10
        assert len(solution.history["residual"]) == solution.stats["iterations"] + 1
    assert "softmax policy iteration tau=0.1" in str(solution)
    with pytest.raises(so.Refused, match="theta-needed"):
        so.solve(sis(leader=so.Box([0.0], [0.5])), so.SoftmaxPolicyIteration(0.1))
    with pytest.raises(so.Refused, match="population-response"):
        so.solve(LEFT_RIGHT, so.SoftmaxPolicyIteration(0.1, response="boltzmann"))


@pytest.mark.parametrize(
    ("method", "wrong"),
    [(so.QuasiNewton, {"temperature": 0.0}), (so.MirrorDescent, {"step": -1}), (so.GaussSeidel, {"sweeps": 0}), (so.FictitiousPlay, {"iterations": 1.5})],
)
def test_settings_are_checked(method, wrong):
    with pytest.raises(so.InvalidMethod):
        method(**wrong)


@pytest.mark.parametrize("method", [so.GaussSeidel(), so.MirrorDescent(), so.PathFollowing(), so.FictitiousPlay(), so.QuasiNewton(0.1)])
def test_other_problems_are_refused(method):
    with pytest.raises(so.Refused, match="wrong-problem"):
        so.solve(so.catalog.build("commitment_2x2"), method)


@pytest.mark.parametrize("seed", [1, 2])
def test_seeds_begin_elsewhere(seed):
    for method in (so.GaussSeidel(), so.MirrorDescent(), so.PathFollowing()):
        assert so.solve(LEFT_RIGHT, method, seed=seed).certified


def test_degenerate_sizes():
    """One action, one state, one stage: equilibria without a search."""
    for game in (
        so.MeanFieldStackelbergGame(so.Stationary(0.5), np.zeros((2, 1)), np.eye(2)[:, None]),
        so.MeanFieldStackelbergGame(so.Finite(1, [1.0]), np.array([[0.0, 1.0]]), np.ones((1, 2, 1))),
        so.MeanFieldStackelbergGame(so.Periodic(2, 0.5), np.array([[0.0, 1.0, 1.0]]), np.ones((1, 3, 1))),
    ):
        assert so.solve(game, so.MeanFieldEquilibrium()).certified
        assert so.solve(game, so.MeanFieldEquilibrium(temperature=0.3)).certified
