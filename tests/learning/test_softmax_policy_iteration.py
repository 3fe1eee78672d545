"""Softmax policy iteration in both concepts, single and in batches."""

import numpy as np
import pytest
from scipy import sparse

import stackopt as so
from stackopt.bounds.contraction import Contraction
from stackopt.bounds.fixed_point import follower_regret, leader_regret
from stackopt.errors import InvalidMethod, Refused
from stackopt.games.constants import both_constants
from stackopt.games.dynamic_programming import optimal_value, policy_value
from stackopt.games.operators import follower_mdp, leader_mdp
from stackopt.games.responses import follower_response, leader_response
from stackopt.learning.simplex import distance
from stackopt.solution import Status
from stackopt.testing import check_learner, check_method, random_games, two_by_two


def cycling_game():
    """Matching pennies: each side's best response to a lopsided policy overshoots at low temperatures."""
    leader = np.array([[[1.0, -1.0], [-1.0, 1.0]]])
    leader[0, 0, 0] = 1.5
    return so.StackelbergGame(leader, -np.array([[[1.0, -1.0], [-1.0, 1.0]]]), so.stay, discount=0.0, name="pennies")


def test_fixed_point_of_the_two_by_two_game():
    solution = so.solve(two_by_two(), so.SoftmaxPolicyIteration(0.02, concept="fixed_point"))
    assert solution.certified
    assert solution.candidate.leader_policy[0, 0] == pytest.approx(1.0, abs=1e-9)  # T
    assert solution.candidate.follower_policy[0, 0] == pytest.approx(1.0, abs=1e-9)  # l
    assert float(solution.candidate.claim) == pytest.approx(2.0, abs=1e-9)


@pytest.mark.parametrize("response", ["max-ent", "boltzmann"])
def test_returned_pair_is_a_fixed_point_recomputed_from_nothing(response):
    game = random_games(1, seed=5)[0]
    method = so.SoftmaxPolicyIteration(0.8, concept="fixed_point", response=response, leader_temperature=1.3)
    solution = so.solve(game, method)
    assert solution.certified
    x = solution.candidate.leader_policy
    y = follower_response(game, x, 0.8, response).policy
    again = leader_response(game, y, 1.3, response).policy
    assert distance(again, x) <= 1e-9
    assert distance(y, solution.candidate.follower_policy) <= 1e-9


def test_a_cycle_is_reported_and_damping_breaks_it():
    undamped = so.solve(cycling_game(), so.SoftmaxPolicyIteration(0.3, concept="fixed_point"), seed=1)
    assert undamped.status is Status.LIMIT
    assert "cycle" in undamped.because
    assert not undamped.certified
    damped = so.solve(cycling_game(), so.SoftmaxPolicyIteration(0.3, concept="fixed_point", damping=0.9), seed=1)
    assert damped.status is Status.CONVERGED
    assert damped.certified


def test_damping_does_not_move_the_fixed_point():
    game = random_games(1, seed=7)[0]
    policies = [
        so.solve(game, so.SoftmaxPolicyIteration(1.0, concept="fixed_point", damping=d)).require().leader_policy for d in (0.0, 0.4, 0.8)
    ]
    assert np.allclose(policies[0], policies[1], atol=1e-8)
    assert np.allclose(policies[0], policies[2], atol=1e-8)


def test_e5_e6_bounds_hold_along_the_iterates():
    games = random_games(4, states=3, actions=2, discount=0.3, seed=9)
    for i in range(4):
        game = games[i]
        leader, follower = both_constants(game)
        temperature = 1.1 * np.sqrt(follower.slope * leader.slope)
        contraction = Contraction(follower=follower, leader=leader, follower_temperature=temperature, leader_temperature=temperature)
        assert contraction.modulus < 1.0
        method = so.SoftmaxPolicyIteration(float(temperature), concept="fixed_point", tolerance=1e-14)
        fixed = [method.run(game, seed=s).candidate.leader_policy for s in (0, 1, 2)]
        assert np.allclose(fixed[0], fixed[1], atol=1e-12)
        assert np.allclose(fixed[0], fixed[2], atol=1e-12)
        state = method.init(game, 1)
        for k in range(1, 6):
            new = method.step(game, state)
            last_step = float(distance(new.leader_policy, state.leader_policy))
            error = float(distance(new.leader_policy, fixed[0]))
            assert error <= contraction.a_posteriori(last_step).value + 1e-12
            assert error <= contraction.a_priori(k).value + 1e-12
            assert error <= contraction.residual(float(method.residual(game, new))).value + 1e-12
            state = new


def test_e8_regrets_are_bounded_at_every_iterate_and_temperature():
    game = random_games(1, discount=0.8, seed=13)[0]
    leader, _ = both_constants(game)
    for temperature in (0.02, 0.2, 2.0):
        method = so.SoftmaxPolicyIteration(temperature, concept="fixed_point")
        state = method.init(game, 3)
        for _ in range(5):
            mdp = follower_mdp(game, state.leader_policy)
            regret = (optimal_value(mdp).value - policy_value(mdp, state.follower_policy)).max()
            assert -1e-9 <= regret <= follower_regret(3, temperature, 0.8).value + 1e-9
            mdp = leader_mdp(game, state.follower_policy)
            regret = (optimal_value(mdp).value - policy_value(mdp, state.leader_policy)).max()
            assert regret <= leader_regret(leader, 3, temperature, float(method.residual(game, state))).value + 1e-9
            state = method.step(game, state)


def test_commitment_is_at_least_the_fixed_point():
    games = random_games(6, discount=0.9, seed=21)
    committed = so.SoftmaxPolicyIteration(0.2).run(games)
    assert committed.status is Status.CONVERGED
    for i in range(6):
        fixed = so.SoftmaxPolicyIteration(0.2, concept="fixed_point", damping=0.5).run(games[i])
        if fixed.status is Status.CONVERGED:
            assert committed.candidate.claim[i] >= fixed.candidate.claim - 1e-7  # J_tau at its point is at most sup J_tau [E11]


@pytest.mark.parametrize("concept", ["commitment", "fixed_point"])
def test_batch_equals_single_solves(concept):
    games = random_games(6, states=5, discount=0.9, seed=2)
    method = so.SoftmaxPolicyIteration(1.0, concept=concept)
    together = so.solve(games, method)
    assert together.certified
    for i in range(6):
        alone = so.solve(games[i], method)
        assert abs(float(alone.candidate.claim) - together.candidate.claim[i]) <= 1e-9
        assert np.allclose(alone.candidate.leader_policy, together.candidate.leader_policy[i], atol=1e-6)


@pytest.mark.parametrize("concept", ["commitment", "fixed_point"])
def test_sparse_equals_dense(concept):
    game = random_games(1, states=7, seed=4)[0]
    twin = so.StackelbergGame(game.leader_reward, game.follower_reward, sparse.csr_matrix(game.transition.reshape(-1, 7)), discount=0.7)
    method = so.SoftmaxPolicyIteration(1.0, concept=concept, starts=2 if concept == "commitment" else None)  # the default depends on sparsity
    assert so.solve(game, method).value == pytest.approx(so.solve(twin, method).value, abs=1e-8)


@pytest.mark.parametrize(
    ("method", "limit"),
    [
        (so.SoftmaxPolicyIteration(1.0, concept="fixed_point"), 2.0),
        (so.SoftmaxPolicyIteration(1.0, concept="fixed_point", response="boltzmann", damping=0.3), 2.0),
        (so.SoftmaxPolicyIteration(0.3), 3.5),
        (so.SoftmaxPolicyIteration(0.3, response="boltzmann"), 3.5),
    ],
    ids=lambda v: v.name if hasattr(v, "name") else str(v),
)
def test_is_a_learner_and_a_method(method, limit):
    check_learner(method, commitment_value=limit)
    check_method(method, random_games(1)[0])


def test_leader_that_sees_classes():
    game = random_games(1, seed=8)[0]
    blind = so.StackelbergGame(game.leader_reward, game.follower_reward, game.transition, discount=0.7, leader_observes=[0, 0, 1, 1])
    solution = so.solve(blind, so.SoftmaxPolicyIteration(0.1))
    assert solution.certified
    x = solution.candidate.leader_policy
    assert np.array_equal(x[0], x[1])
    assert np.array_equal(x[2], x[3])
    seeing = so.solve(game, so.SoftmaxPolicyIteration(0.1))
    assert seeing.candidate.claim >= solution.candidate.claim - 1e-7
    check_method(so.SoftmaxPolicyIteration(0.1), blind)


def test_fixed_point_refuses_a_leader_that_does_not_see_the_state():
    game = so.StackelbergGame(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), so.stay, discount=0.5, leader_observes=[0, 0])
    with pytest.raises(Refused, match=r"\[observation-fixed-point\]") as refused:
        so.solve(game, so.SoftmaxPolicyIteration(0.1, concept="fixed_point"))
    assert "commitment" in str(refused.value)
    assert "1 observations of 2 states" in str(refused.value)


def test_other_problems_are_refused():
    with pytest.raises(Refused, match=r"\[wrong-problem\]"):
        so.solve("not a game", so.SoftmaxPolicyIteration(0.1))


@pytest.mark.parametrize(
    "setting",
    [{"concept": "nash"}, {"damping": 1.0}, {"damping": -0.1}, {"concept": "fixed_point", "starts": 3}, {"response": "best"}],
)
def test_settings_have_laws(setting):
    with pytest.raises(InvalidMethod, match=r"\[setting\]"):
        so.SoftmaxPolicyIteration(0.1, **setting)


def test_temperatures_are_positive():
    with pytest.raises(InvalidMethod, match=r"\[temperature\]"):
        so.SoftmaxPolicyIteration(0.1, leader_temperature=0.0)


def test_names_tell_settings_apart():
    names = {
        so.SoftmaxPolicyIteration(0.1).name,
        so.SoftmaxPolicyIteration(0.1, response="boltzmann").name,
        so.SoftmaxPolicyIteration(0.1, concept="fixed_point").name,
        so.SoftmaxPolicyIteration(0.2).name,
    }
    assert len(names) == 4
    assert so.SoftmaxPolicyIteration(0.1).name == "softmax commitment tau=0.1"


# --- annealing ----------------------------------------------------------------------------------------------------------


def two_fixed_points():
    """Battle of the sexes: two pure fixed points, of which the start decides at low temperatures."""
    leader, follower = np.array([[[3.0, 0.0], [0.0, 2.0]]]), np.array([[[2.0, 0.0], [0.0, 3.0]]])
    return so.StackelbergGame(leader, follower, so.stay, discount=0.0, name="battle")


def test_annealing_follows_one_branch_from_every_start():
    game = two_fixed_points()
    cold = [float(so.solve(game, so.SoftmaxPolicyIteration(0.1, "fixed_point"), seed=s).candidate.claim) for s in range(8)]
    assert max(cold) - min(cold) > 0.5
    annealed = [so.solve(game, so.SoftmaxPolicyIteration(0.1, "fixed_point", annealing=6), seed=s) for s in range(8)]
    assert all(s.status is Status.CONVERGED and s.certified for s in annealed)
    values = [float(s.candidate.claim) for s in annealed]
    assert max(values) - min(values) <= 1e-8


def test_annealing_does_not_hide_a_cycle_at_the_final_temperature():
    solution = so.solve(cycling_game(), so.SoftmaxPolicyIteration(0.1, "fixed_point", annealing=4), seed=1)
    assert solution.status is Status.LIMIT
    assert not solution.certified
    damped = so.solve(cycling_game(), so.SoftmaxPolicyIteration(0.3, "fixed_point", annealing=4, damping=0.9), seed=1)
    assert damped.status is Status.CONVERGED
    assert damped.candidate.temperature == 0.3


def test_annealing_of_a_batch_is_that_of_its_games():
    games = random_games(4, states=4, discount=0.8, seed=6)
    method = so.SoftmaxPolicyIteration(0.7, "fixed_point", annealing=3, damping=0.3)
    together = method.run(games)
    for i in range(4):
        alone = method.run(games[i])
        if together.status is Status.CONVERGED:
            assert np.allclose(alone.candidate.leader_policy, together.candidate.leader_policy[i], atol=1e-8)


def test_a_commitment_may_do_without_the_ladder():
    none, some = (so.solve(two_by_two(), so.SoftmaxPolicyIteration(0.1, annealing=n)) for n in (0, 5))
    assert float(some.candidate.claim) == pytest.approx(float(so.solve(two_by_two(), so.SoftmaxPolicyIteration(0.1)).candidate.claim), abs=1e-12)
    assert float(none.candidate.claim) <= float(some.candidate.claim) + 1e-8
    assert "annealed" in so.SoftmaxPolicyIteration(0.1, "fixed_point", annealing=2).name
    with pytest.raises(InvalidMethod):
        so.SoftmaxPolicyIteration(0.1, annealing=-1)
    with pytest.raises(InvalidMethod):
        so.SoftmaxPolicyIteration(0.1, annealing=1.5)
