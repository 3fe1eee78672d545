"""Values, laws and exploitability against routes of their own: long sums, closed forms, forward simulation."""

import numpy as np
import pytest
from populations import random_game, random_policy, sis

import stackopt as so
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.dynamics import answer, exploitability, policy_value, respond
from stackopt.games.mean_field.kernels import Dense, Factored, Sparse
from stackopt.games.mean_field.laws import consistency, law, stationary

NOTHING = np.zeros(0)


@pytest.mark.parametrize("discount", [0.0, 0.9, 0.9999])
@pytest.mark.parametrize("temperature", [0.0, 0.3])
def test_answers_solve_the_bellman_equation(discount, temperature):
    game = random_game(T=5, horizon=so.Periodic(5, discount))
    y = np.full((5, 3), 1 / 3)
    found = respond(game, y, NOTHING, temperature)
    reward, kernel = game.rewards(y, NOTHING), game.kernel(y, NOTHING)
    value = np.zeros(found.value.shape)
    for _ in range(3000 if discount < 0.99 else 0):
        q = reward + discount * kernel.expect(np.roll(value, -1, axis=1))
        value = q.max(-1) if temperature == 0 else temperature * np.log(np.exp(q / temperature).sum(-1))
    if discount < 0.99:
        assert np.allclose(found.value, value, atol=1e-10)
    assert found.residual <= 1e-11 * (1 + np.abs(found.value).max())
    assert np.allclose(found.policy.sum(-1), 1.0)


def test_finite_values_are_sums_over_paths():
    game = random_game(T=3, horizon=so.Finite(3, [0.2, 0.3, 0.5]))
    policy = random_policy(game)
    induced = law(game, policy, NOTHING)
    reward, kernel = game.rewards(induced.y, NOTHING), game.kernel(induced.y, NOTHING)
    value = policy_value(operators.policy_average(policy, reward), kernel, policy, 1.0, cyclic=False)
    earned = (operators.flow(induced.mean_field, policy) * reward).sum((1, 2, 3))  # forward: what each type earns on its way
    assert np.allclose((game.initial * value[:, 0]).sum(-1), earned)


def test_krylov_and_direct_evaluation_agree(monkeypatch):
    game = random_game(T=4, S=6, horizon=so.Periodic(4, 0.999))
    policy, y = random_policy(game), np.full((4, 6), 1 / 6)
    reward, kernel = operators.policy_average(policy, game.rewards(y, NOTHING)), game.kernel(y, NOTHING)
    direct = policy_value(reward, kernel, policy, 0.999, cyclic=True)
    mu = stationary(kernel, policy, np.full((2, 6), 1 / 6))[0]
    monkeypatch.setattr("stackopt.games.mean_field.dynamics.DIRECT_STATES", 0)
    monkeypatch.setattr("stackopt.games.mean_field.laws.DIRECT_STATES", 0)
    assert np.allclose(policy_value(reward, kernel, policy, 0.999, cyclic=True), direct, rtol=1e-8)
    assert np.allclose(stationary(kernel, policy, np.full((2, 6), 1 / 6))[0], mu, atol=1e-10)


def test_sparse_kernels_give_the_same_answers():
    import scipy.sparse as sp

    game = random_game(K=1, S=4)
    dense = game.transition[0, 0]
    sparse = Sparse(sp.csr_array(dense.reshape(8, 4)))
    y = np.full((1, 4), 0.25)
    reward = game.rewards(y, NOTHING)
    assert np.allclose(answer(reward, sparse, 0.9, cyclic=True).value, answer(reward, Dense(dense), 0.9, cyclic=True).value)


def test_stationary_law_of_the_epidemic_matches_its_closed_form():
    """Indifference between going out and distancing, and recovery balancing infection  (games with known answers: SIS)."""
    game = sis()
    policy = np.zeros(game.shape)
    policy[..., 0, :], policy[..., 1, :] = [0.6, 0.4], [1.0, 0.0]
    found = law(game, policy, NOTHING)
    mu_i = found.mean_field[0, 0, 1]
    assert mu_i * 0.3 == pytest.approx((1 - mu_i) * 0.6 * 0.81 * mu_i, abs=1e-12)
    assert found.residual <= 1e-12
    assert mu_i > 0.1
    empty = law(game, policy, NOTHING, np.array([[[1.0, 0.0]]]))  # nobody ever falls ill
    assert empty.mean_field[0, 0].tolist() == [1.0, 0.0]


def test_periodic_chain_has_a_law_and_two_classes_are_said():
    swap = np.zeros((2, 1, 2))
    swap[0, 0, 1] = swap[1, 0, 0] = 1.0
    game = so.MeanFieldStackelbergGame(so.Stationary(0.9), np.zeros((2, 1)), swap)
    found = law(game, game.uniform(), NOTHING)
    assert np.allclose(found.mean_field, 0.5)
    assert not found.several
    apart = so.MeanFieldStackelbergGame(so.Stationary(0.9), np.zeros((2, 1)), np.eye(2)[:, None])
    found = law(apart, apart.uniform(), NOTHING, np.array([[[0.3, 0.7]]]))
    assert np.allclose(found.mean_field[0, 0], [0.3, 0.7])
    assert found.several


@pytest.mark.parametrize("horizon", [so.Stationary(0.9), so.Periodic(3, 0.95), so.Finite(4, [1.0, 0.0, 0.0])], ids=str)
def test_exploitability_is_what_the_best_pure_policy_gains(horizon):
    game = random_game(T=horizon.stages, horizon=horizon, seed=4)
    policy = random_policy(game, 1)
    found = exploitability(game, policy, NOTHING)
    assert found.total >= 0
    y = found.law.y
    reward, kernel = game.rewards(y, NOTHING), game.kernel(y, NOTHING)
    assert consistency(game, found.law.mean_field, policy, NOTHING) <= 1e-10
    best = np.full(game.shape[:3], -np.inf)
    for code in range(2 ** (3 * horizon.stages)) if horizon.stages == 1 else range(200):
        rng = np.random.default_rng(code)
        bits = [(code >> i) & 1 for i in range(3)] if horizon.stages == 1 else rng.integers(0, 2, size=(horizon.stages, 3)).ravel()
        pure = np.eye(2)[np.reshape(bits, (1, horizon.stages, 3))].repeat(2, 0)
        value = policy_value(operators.policy_average(pure, reward), kernel, pure, game.discount, cyclic=game.cyclic)
        best = np.maximum(best, value)
    assert (best <= found.answer.value + 1e-10).all()
    if horizon.stages == 1:
        assert np.allclose(best, found.answer.value)


def test_soft_exploitability_is_within_its_bound():
    game = random_game(seed=5, coupling=0.2)
    policy = game.uniform()
    for _ in range(400):
        found = respond(game, law(game, policy, NOTHING).y, NOTHING, 0.2)
        policy = 0.5 * policy + 0.5 * found.policy
    mu = law(game, policy, NOTHING).mean_field
    population = so.Population(NOTHING, policy, mu, temperature=0.2)
    assert game.certify(population).certified
    (examined,) = [e for e in game.examinations(population) if e.bound.reference == "B6.2"]
    assert examined.verdict == "holds"


def test_policy_iteration_goes_on_while_values_rise(monkeypatch):
    """A store of 31 levels near a discount of 1: the residual stands still for many rounds, in which plans reach further and further."""
    hours, levels = np.arange(24), 31
    noise = np.random.default_rng(4).normal(size=(24, 2))
    price = 0.06 + 0.04 * np.sin(2 * np.pi * (hours - 9) / 24)[:, None] * np.array([1.0, 0.4]) + 0.002 * noise
    move = np.arange(-3, 4)
    to = np.arange(levels)[:, None] + move
    inside = (to >= 0) & (to < levels)
    earned = -1.35 * price[..., None] * np.where(move > 0, move / 0.94, move * 0.94) - 0.0675 * np.maximum(-move, 0)
    reward = (earned[..., None, :] + np.where(inside, 0.0, -5.0)).reshape(1, 24, 2 * levels, 7)
    weather = np.broadcast_to(np.eye(2), (24, 2, 2)).copy()
    weather[-1] = [[0.8, 0.2], [0.4, 0.6]]
    kernel = Factored(np.where(inside, to, np.arange(levels)[:, None]), weather)
    assert answer(reward, kernel, 1 - 1e-6, cyclic=True).residual <= 1e-10
    monkeypatch.setattr("stackopt.games.mean_field.dynamics.RISE", np.inf)
    assert answer(reward, kernel, 1 - 1e-6, cyclic=True).residual > 1e-4
