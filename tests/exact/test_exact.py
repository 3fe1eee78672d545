"""Exact against known answers, enumeration and sampled policies; limits and refusals."""

import itertools

import numpy as np
import pytest

import stackopt as so
from stackopt.exact import Enumeration, Exact
from stackopt.games.responses import commitment
from stackopt.solution import STRONG_VALUE
from tests.exact.tiny import agree, commit_2x2, tiny_game

# --- known answers ----------------------------------------------------------------------------------------------------


def test_strong_commitment_of_theory_a5():
    solution = so.solve(commit_2x2(), Exact())
    assert solution.status is so.Status.PROVED
    assert solution.certified
    assert solution.value == pytest.approx(3.5, abs=1e-9)
    assert solution.candidate.leader_policy == pytest.approx(np.array([[0.5, 0.5]]), abs=1e-7)
    assert solution.certificate.values["weak"] == pytest.approx(1.5, abs=1e-6)  # the tie against the leader
    assert solution.bound.of == STRONG_VALUE
    assert solution.bound.value == pytest.approx(3.5, abs=1e-8)


def test_pure_and_net_commitments_of_theory_a5():
    pure = so.solve(commit_2x2(), Exact(leader="deterministic"))
    assert pure.certified
    assert pure.value == pytest.approx(3.0)
    assert pure.bound.of != STRONG_VALUE
    odd, even = (so.solve(commit_2x2(), Exact(leader="net", grid=n)) for n in (3, 4))
    assert even.value == pytest.approx(3.5)
    assert odd.value == pytest.approx(3 + 1 / 3)


@pytest.mark.parametrize("margin", [1e-1, 1e-3, 1e-5])
def test_weak_supremum_of_theory_a5_is_approached_but_not_attained(margin):
    solution = so.solve(commit_2x2(), Exact(concept="weak", margin=margin))
    assert solution.certified
    assert solution.value == pytest.approx(3.5 - margin / 2, abs=1e-8)  # gap 1 - 2p = margin
    assert solution.certificate.values["weak"] == pytest.approx(solution.value)


def test_myopic_follower_is_one_linear_program():
    solution = so.solve(so.catalog.build("myopic_follower"), Exact())
    assert solution.certified
    assert solution.bound.reference == "P1"
    assert solution.value == pytest.approx((55.24338344098852 + 54.30233146777212 + 54.90649207407709) / 3, abs=1e-6)


# --- enumeration ------------------------------------------------------------------------------------------------------

LEADERS = ({"leader": "deterministic"}, {"leader": "net", "grid": 2})


@pytest.mark.parametrize("concept", ["strong", "weak"])
@pytest.mark.parametrize("leader", LEADERS, ids=lambda x: x["leader"])
@pytest.mark.parametrize("shared", [False, True])
def test_finite_leaders_equal_enumeration(concept, leader, shared):
    decided = 0
    for seed in range(9):
        game = tiny_game(seed, (1 + seed % 3, 2, 2 + seed % 2), shared=shared)
        decided += agree(so.solve(game, Exact(concept, **leader)), so.solve(game, Enumeration(concept, **leader)))
    assert decided >= 7


@pytest.mark.parametrize("concept", ["strong", "weak"])
@pytest.mark.parametrize("shared", [False, True])
def test_randomised_leader_equals_enumeration_of_responses(concept, shared):
    decided = 0
    for seed in range(9):
        game = tiny_game(seed, (1 + seed % 3, 2 + seed % 2, 2), free=True, shared=shared)
        decided += agree(so.solve(game, Exact(concept)), so.solve(game, Enumeration(concept)))
    assert decided >= 7


@pytest.mark.parametrize("kind", ["myopic", "follower moves nothing"])
def test_stagewise_responses_equal_enumeration(kind):
    decided = 0
    for seed in range(10):
        rest = {"discounts": (0.9, 0.0)} if kind == "myopic" else {"stagewise": True}
        game = tiny_game(seed, (2 + seed % 2, 2, 2 + seed % 2), **rest)
        solution = so.solve(game, Exact())
        decided += agree(solution, so.solve(game, Enumeration()))
        assert not game.leader_moves_state() or solution.bound.reference == "P1"
    assert decided >= 9


def test_larger_randomised_optimum_is_above_sampled_policies():
    game = tiny_game(1, (6, 3, 3), free=True, discounts=(0.9, 0.9))
    solution = so.solve(game, Exact(time_limit=30))
    assert solution.certified
    rng = np.random.default_rng(0)
    sampled = [float(commitment(game, rng.dirichlet(np.ones(3) * rng.choice([0.1, 1.0]), 6)).strong) for _ in range(200)]
    assert max(sampled) <= solution.bound.value + 1e-6


def test_unequal_discounts_and_a_partial_view():
    game = tiny_game(5, (3, 2, 2), free=True, shared=True, discounts=(0.5, 0.9))
    full = so.StackelbergGame(game.leader_reward, game.follower_reward, game.transition, leader_discount=0.5, follower_discount=0.9, initial=game.initial)
    seen, all_seen = so.solve(game, Exact()), so.solve(full, Exact())
    assert seen.certified
    assert all_seen.certified
    assert np.array_equal(seen.candidate.leader_policy[0], seen.candidate.leader_policy[1])
    assert seen.value <= all_seen.value + 1e-7


# --- the bracket of a net ---------------------------------------------------------------------------------------------


def test_bracket_contains_finer_nets_and_random_policies():
    brackets = 0
    for seed in range(6):
        game = tiny_game(seed, (1 + seed % 2, 2, 2), discounts=(0.5, 0.5))
        coarse = so.solve(game, Exact(leader="net", grid=8))
        (bound,) = coarse.further_bounds
        assert bound.of == STRONG_VALUE
        assert coarse.value <= bound.value + 1e-7
        brackets += bound.reference == "D4"
        grid = np.linspace(0, 1, 33)
        finer = max(
            float(commitment(game, np.array([[p, 1 - p] for p in pick])).strong) for pick in itertools.product(grid, repeat=game.shape[0])
        )
        assert finer <= bound.value + 1e-6
    assert brackets >= 2


# --- limits -----------------------------------------------------------------------------------------------------------


def test_no_time_is_a_limit_without_a_bound():
    solution = so.solve(tiny_game(1, (3, 2, 2), free=True), Exact(time_limit=0))
    assert solution.status is so.Status.LIMIT
    assert not solution.certified
    assert solution.bound is None
    with pytest.raises(so.NotCertified) as raised:
        solution.require()
    assert raised.value.code == "not-certified"


def test_little_time_is_a_limit_with_incumbent_and_bound():
    game = tiny_game(7, (14, 3, 4), free=True, discounts=(0.95, 0.99))
    solution = so.solve(game, Exact(time_limit=1.0))
    assert solution.status is so.Status.LIMIT
    assert solution.candidate is not None
    assert solution.bound is None or solution.bound.value >= solution.value - 1e-7


# --- refusals and settings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [Exact(), Enumeration()])
def test_refuses_what_it_does_not_solve(method):
    assert method.refuses(so.StackelbergGame.stack([commit_2x2(), commit_2x2()])).code == "single-game"
    assert method.refuses(object()).code == "wrong-problem"


def test_weak_and_partial_views_are_refused_where_the_program_would_be_wrong():
    myopic = tiny_game(1, (3, 2, 2), discounts=(0.9, 0.0))
    assert Enumeration().refuses(myopic) is None
    assert Enumeration(concept="weak").refuses(myopic).code == "leader-moves-state"
    moved = tiny_game(1, (3, 2, 2), discounts=(0.9, 0.0), shared=True)
    assert Enumeration().refuses(moved).code == "leader-moves-state"
    assert Enumeration().refuses(moved).because
    assert Exact().refuses(moved) is None, "branch and bound takes it"


def test_refuses_what_is_too_large_with_its_size():
    game = tiny_game(1, (30, 4, 4))
    assert Exact(leader="net", grid=20).refuses(game).code == "too-large"
    refusal = Enumeration(leader="deterministic").refuses(game)
    assert refusal.code == "too-large"
    assert f"{4.0**30:.6g}" in str(refusal.error())
    with pytest.raises(so.Refused, match="to try"):
        so.solve(game, Enumeration(leader="deterministic"))


@pytest.mark.parametrize("setting", [{"concept": "mild"}, {"leader": "any"}, {"grid": 0}, {"grid": 2.5}, {"margin": 0.0}, {"time_limit": -1.0}])
def test_settings_outside_their_range(setting):
    with pytest.raises(so.InvalidMethod, match=next(iter(setting))):
        Exact(**setting)
    if "time_limit" not in setting:
        with pytest.raises(so.InvalidMethod):
            Enumeration(**setting)


def test_same_seed_same_answer_and_the_game_is_not_touched():
    game = tiny_game(4, (3, 2, 2), free=True)
    before = game.fingerprint()
    first, second = (so.solve(game, Exact(), seed=3) for _ in range(2))
    assert np.array_equal(first.candidate.leader_policy, second.candidate.leader_policy)
    assert game.fingerprint() == before


def test_a_sparse_game_has_the_value_of_the_dense_one():
    from scipy.sparse import csr_matrix

    game = tiny_game(1, (4, 2, 2), free=True, discounts=(0.9, 0.9))
    sparse = so.StackelbergGame(
        game.leader_reward, game.follower_reward, csr_matrix(game.transition.reshape(16, 4)), discount=0.9, initial=game.initial
    )
    assert sparse.sparse
    for method in (Exact(), Exact(leader="deterministic"), Exact(concept="weak")):
        assert so.solve(sparse, method).value == pytest.approx(so.solve(game, method).value, abs=1e-7)


def test_stagewise_search_on_a_sparse_game():
    from scipy.sparse import csr_matrix

    game = tiny_game(1, (3, 2, 2), stagewise=True, discounts=(0.9, 0.9))
    sparse = so.StackelbergGame(
        game.leader_reward, game.follower_reward, csr_matrix(game.transition.reshape(12, 3)), discount=0.9, initial=game.initial
    )
    solution = so.solve(sparse, Exact())
    assert solution.bound.reference == "P1"
    assert solution.value == pytest.approx(so.solve(game, Exact()).value, abs=1e-7)


@pytest.mark.parametrize("player", ["leader_reward", "follower_reward"])
@pytest.mark.parametrize("method", [so.Exact(), so.Enumeration()])
def test_units_that_hide_every_difference_are_refused(method, player):
    rewards = {"leader_reward": np.eye(2)[None], "follower_reward": np.eye(2)[None]} | {player: 1e-9 * np.arange(4.0).reshape(1, 2, 2)}
    with pytest.raises(so.Refused, match=r"\[units\](.|\n)*3e-09"):
        so.solve(so.StackelbergGame(**rewards, transition=so.stay, discount=0.0), method)


def test_units_of_static_games_are_refused():
    with pytest.raises(so.Refused, match=r"\[units\]"):
        so.solve(so.BayesianGame(1e-9 * np.arange(4.0).reshape(1, 2, 2), np.ones((1, 2, 2)), [1.0]), so.Exact())
