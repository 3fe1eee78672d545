"""Path following: its linear systems against finite differences and each other, its derivatives, its bound, its turning points."""

import numpy as np
import pytest
from populations import branching, random_game, sis

import stackopt as so
from stackopt.games.mean_field.kernels import Sparse
from stackopt.learning.mean_field.derivatives import Derivatives
from stackopt.learning.mean_field.followers import Followers
from stackopt.learning.mean_field.kernel_rows import rows
from stackopt.learning.mean_field.path import Path
from stackopt.learning.mean_field.path_condensed import Condensed
from stackopt.learning.mean_field.path_equations import Equations, barrier_value
from stackopt.learning.mean_field.path_following import reward_scale, suspicion
from stackopt.learning.mean_field.path_sparse import SparseBlocks, fits, transitions
from stackopt.learning.mean_field.search import Search

NO_THETA = np.zeros(0)


def mixing(t, y, theta):
    """A kernel that leans to where many are."""
    n = y.shape[1]
    kernel = np.full((1, len(t), n, 2, n), 0.5 / n, y.dtype)
    kernel[..., 0, :] = kernel[..., 0, :] + 0.5 * y[None, :, None, :]
    kernel[..., 1, :] = 1.0 / n
    return kernel


def moving(horizon):
    rng = np.random.default_rng(0)
    return so.MeanFieldStackelbergGame(horizon, rng.normal(size=(3, 2)), mixing, reward_population=rng.normal(size=(3, 2, 3)))


def line(n=12, T=3, K=1):
    """Walks on a line, away from crowds: sparse, with few entries a row."""
    from scipy.sparse import csr_array

    s = np.arange(n)
    targets = np.stack([np.clip(s + a, 0, n - 1) for a in (-1, 0, 1)], 1).ravel()
    kernel = Sparse(csr_array((np.ones(3 * n), (np.arange(3 * n), targets)), shape=(3 * n, n)))
    first = np.random.default_rng(1).dirichlet(np.ones(n), K)
    return so.MeanFieldStackelbergGame(so.Finite(T, first), crowd, kernel, sizes=(K, n, 3), weights=np.arange(1, K + 1) / np.arange(1, K + 1).sum())


def crowd(t, y, theta):
    n = y.shape[1]
    return (np.sin(np.arange(n) + t[:, None]) - np.log(y + 1e-3))[:, :, None] - 0.1 * np.abs(np.arange(-1, 2))


GAMES = {
    "finite": random_game(1, K=2, S=3, B=2, horizon=so.Finite(3, np.full(3, 1 / 3)), coupling=2.0),
    "periodic": random_game(2, K=2, T=3, coupling=2.0),
    "stationary": random_game(3, K=1, coupling=2.0),
    "moving, finite": moving(so.Finite(3, np.full(3, 1 / 3))),
    "moving, stationary": moving(so.Stationary(0.9)),
    "epidemic": sis(so.Finite(5, [0.4, 0.6])),
    "line": line(),
}


def begun(game, k=0.1):
    search = Search(Followers(game, NO_THETA), 1e-6, 60.0)
    equations = Equations(search.followers, reward_scale(search))
    return search, equations, equations.state(equations.centre(search.best, k))


def change(equations, point, direction, h=1e-6):
    """Residuals' derivative along a direction, by central differences."""
    ahead, behind = (equations.state(point.moved(direction, s * h)).residuals for s in (1, -1))
    return {name: (getattr(ahead, name) - getattr(behind, name)) / (2 * h) for name in ("slack", "policy", "law", "statistics")}


@pytest.mark.parametrize("name", GAMES)
def test_newton_directions_are_those_of_finite_differences(name):
    """Along the direction to a right-hand side the residuals change by it; along the tangent by nothing."""
    _, equations, state = begun(GAMES[name])
    system = Condensed(equations, state)
    for right, d_log_k in ((state.residuals, 0.0), (None, 1.0)):
        moved = change(equations, state.point, system.solve(right, d_log_k))
        for part, found in moved.items():
            expected = np.zeros(1) if right is None else getattr(right, part)
            if equations.followers.game.cyclic and part == "law":  # one equation is redundant: the total mass
                found = found - found.mean(-1, keepdims=True)
                expected = expected - np.broadcast_to(expected, found.shape).mean(-1, keepdims=True)
            assert np.abs(found - expected).max() < 1e-7, part


@pytest.mark.parametrize("K", [1, 2])
def test_the_sparse_system_is_the_condensed_one(K):
    _, equations, state = begun(line(K=K, T=4))
    assert fits(equations)
    dense, sparse = Condensed(equations, state), SparseBlocks(equations, state, transitions(equations, state))
    for right, d_log_k in ((state.residuals, 0.0), (None, 1.0)):
        one, two = dense.solve(right, d_log_k), sparse.solve(right, d_log_k)
        for part in ("beta", "value", "mu", "y"):
            assert np.abs(getattr(one, part) - getattr(two, part)).max() < 1e-10


def test_the_sparse_system_solves(monkeypatch):
    monkeypatch.setattr("stackopt.learning.mean_field.path.DENSE", 1)
    solution = so.solve(line(n=20), so.PathFollowing())
    assert solution.certified


def test_many_statistics_that_are_averages_are_condensed(monkeypatch):
    """The sparse system is for states as statistics only."""
    monkeypatch.setattr("stackopt.learning.mean_field.path.DENSE", 1)
    rng = np.random.default_rng(3)
    H = rng.normal(size=(3, 2, 2))
    horizon = so.Finite(3, np.full(3, 1 / 3))
    game = so.MeanFieldStackelbergGame(horizon, rng.normal(size=(3, 2)), rng.dirichlet(np.ones(3), size=(3, 2)), statistic=H, reward_population=-H)
    assert not fits(Equations(Followers(game, NO_THETA), 1.0))
    assert so.solve(game, so.PathFollowing()).certified


def test_a_barrier_policy_answers_exactly():
    q = np.random.default_rng(0).normal(size=(5, 4))
    for k in (10.0, 0.1, 1e-8):
        value, slack = barrier_value(q, k)
        assert np.abs((k / slack).sum(-1) - 1.0).max() < 1e-9
        assert np.abs(value[:, None] - q - slack).max() < 1e-12


@pytest.mark.parametrize("name", ["finite", "epidemic", "line", "stationary"])
def test_exploitability_on_the_path_is_bounded_by_k(name):
    """At most T B k (discounted: B k / (1 - discount) summed, B k a stage), in scaled rewards."""
    game = GAMES[name]
    search, equations, state = begun(game)
    path = Path(search, equations, careful=True)
    _, T, _, B = game.shape
    for k in (0.1, 0.03):
        found = path.onto(equations.at_k(state.point, k), 1e-3)
        assert found is not None
        policy = found.policy / found.policy.sum(-1, keepdims=True)
        gain = search.followers.evaluate(policy, np.maximum(found.point.mu, 0)).exploitability
        assert gain * equations.scale <= (1 if game.cyclic else T) * B * k * 1.02


def test_turning_points_are_passed_and_make_one_suspicious():
    """The path of an epidemic over 21 stages folds again and again."""
    search, equations, state = begun(sis(so.Finite(21, [0.4, 0.6])))
    followed = Path(search, equations).follow(state.point, 1e-9, steps=60)
    assert followed.folds > 2
    search.stats.update(folds=followed.folds, turns=followed.turns)
    run = search.run("60 steps ran out", suspected=suspicion(search))
    assert run.status is so.Status.LIMIT
    assert run.stats["multiplicity"].startswith(f"suspected: {followed.folds} turning points")
    assert np.isfinite(run.candidate.policy).all()
    assert "suspected" in str(dict(search.followers.game.summarize(run.candidate, search.followers.game.certify(run.candidate))))


def real_only(t, y, theta):
    """Drops imaginary parts."""
    return -np.array(y.real, dtype=float)[:, :, None] * np.ones(2)


def refuses_complex(t, y, theta):
    return np.array([[[-float(v) for _ in range(2)] for v in row] for row in y])


def rounding(t, y, theta):
    return -np.round(8 * y.real)[:, :, None] * np.ones(2)


@pytest.mark.parametrize("reward", [real_only, refuses_complex])
def test_callables_that_lose_complex_steps_are_differenced(reward):
    kernel = np.zeros((3, 2, 3))
    kernel[:, 0, 1] = kernel[:, 1, 2] = 1.0
    game = so.MeanFieldStackelbergGame(so.Finite(2, [1.0, 0, 0]), reward, kernel, sizes=(1, 3, 2))
    derivatives = Derivatives(Followers(game, NO_THETA))
    assert derivatives.by == "central differences"
    assert derivatives.jumps == ""
    y = np.full((2, 3), 1 / 3)
    expected = -np.eye(3)[:, None] * np.ones((3, 2, 1))
    assert np.abs(derivatives.rewards(y)[0, 0] - expected).max() < 1e-8
    assert so.solve(game, so.PathFollowing()).certified


def test_jumps_are_detected_and_said():
    kernel = np.zeros((3, 2, 3))
    kernel[:, 0, 1] = kernel[:, 1, 2] = 1.0
    game = so.MeanFieldStackelbergGame(so.Finite(2, [1.0, 0, 0]), rounding, kernel, sizes=(1, 3, 2))
    assert Derivatives(Followers(game, NO_THETA)).jumps == "reward"
    assert Derivatives(Followers(branching(-np.diag([1.0, 2.0]), "smooth"), NO_THETA)).jumps == ""
    run = so.PathFollowing(time_limit=5.0).run(game)
    if run.status is not so.Status.CONVERGED:
        assert "jumps in the statistics" in run.because


def test_sparse_derivatives_follow_a_pattern_that_changes():
    """A dependence that appears only elsewhere is noticed, and the columns are coloured anew."""
    game = so.MeanFieldStackelbergGame(so.Finite(2, np.full(4, 0.25)), late_dependence, np.eye(4)[:, None].repeat(2, 1), sizes=(1, 4, 2))
    derivatives = Derivatives(Followers(game, NO_THETA))
    for y in (np.full((2, 4), 0.25), np.array([[0.9, 0.1, 0.0, 0.0]] * 2)):
        dense = derivatives.rewards(y)[0].reshape(2, 8, 4)
        sparse = derivatives.sparse_rewards(y)[0]
        assert all(np.abs(s.toarray() - d).max() < 1e-12 for s, d in zip(sparse, dense, strict=True))


def late_dependence(t, y, theta):
    extra = np.where(y[:, :1].real > 0.8, y[:, :1] ** 2, 0.0)
    return (-y + extra)[:, :, None] * np.ones(2)


def test_rows_of_structured_kernels():
    move = np.array([[0, 1], [1, 2], [2, 0]])
    signal = np.array([[0.9, 0.1], [0.4, 0.6]])
    for kernel in (so.Factored(move, signal), so.Factored(np.stack([move, move[:, ::-1]], -1), signal, np.full((3, 2, 2), 0.5))):
        found = rows(kernel, 0)
        assert np.abs(found.toarray() - kernel.dense()[0, 0].reshape(12, 6)).max() < 1e-15
