"""Fixed points of tiny games: textbook bimatrix games, a closed form, every one confirmed by the game, none missed where that is provable."""

import itertools

import numpy as np
import pytest

import stackopt as so
from stackopt import catalog
from stackopt.exact.fixed_points import fixed_points


def bimatrix(leader, follower, discount=0.0):
    leader, follower = np.asarray(leader, float)[None], np.asarray(follower, float)[None]
    return so.StackelbergGame(
        leader_reward=leader, follower_reward=follower, transition=so.stay(1, *leader.shape[1:]), discount=discount, name="bimatrix"
    )


def values(found):
    return sorted(round(profile.claim, 6) for profile in found.profiles)


@pytest.mark.parametrize("discount", [0.0, 0.5])
def test_textbook_games(discount):
    scale = 1 / (1 - discount)
    pennies = fixed_points(bimatrix([[1, -1], [-1, 1]], [[-1, 1], [1, -1]], discount))
    assert (len(pennies), pennies.complete) == (1, True)
    assert pennies.profiles[0].leader_policy == pytest.approx(np.full((1, 2), 0.5))
    sexes = fixed_points(bimatrix([[2, 0], [0, 1]], [[1, 0], [0, 2]], discount))
    assert values(sexes) == [round(v * scale, 6) for v in (2 / 3, 1, 2)]
    assert sexes.complete
    dilemma = fixed_points(bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]], discount))
    assert values(dilemma) == [scale]
    scissors = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    assert fixed_points(bimatrix(scissors, -scissors, discount)).profiles[0].leader_policy == pytest.approx(np.full((1, 3), 1 / 3))


def test_commitment_is_worth_more_than_the_fixed_point():
    game = catalog.build("commitment_2x2")
    found = fixed_points(game)
    assert values(found) == [2.0]
    assert so.solve(game, so.Exact()).value == pytest.approx(3.5, abs=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_an_independent_support_enumeration(seed):
    """For one state: supports and linear systems written down again, with least squares instead of Newton's method."""
    rng = np.random.default_rng(seed)
    leader, follower = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    expected = []
    for size in (1, 2, 3):
        for a, b in itertools.product(itertools.combinations(range(3), size), repeat=2):
            def mixed(payoff):
                n = len(payoff)
                system = np.block([[payoff, -np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
                return np.linalg.solve(system, np.append(np.zeros(n), 1.0))[:n]

            y, x = np.zeros(3), np.zeros(3)
            y[list(b)], x[list(a)] = mixed(leader[np.ix_(a, b)]), mixed(follower[np.ix_(a, b)].T)
            if min(x.min(), y.min()) < 0 or (leader @ y).max() > x @ leader @ y + 1e-9 or (x @ follower).max() > x @ follower @ y + 1e-9:
                continue
            expected.append(round(float(x @ leader @ y), 6))
    found = fixed_points(bimatrix(leader, follower))
    assert found.complete
    assert values(found) == sorted(expected)


def test_the_inspection_game_in_several_states():
    game = catalog.build("inspection")
    found = fixed_points(game)
    assert not found.complete
    assert "continuum" in found.because, "inspecting or not is the same where no inspections are left"
    assert any(abs(profile.claim - catalog.model("inspection").known["fixed_point"]) < 1e-6 for profile in found.profiles)
    for profile in found.profiles:
        assert game.certify(profile).certified


@pytest.mark.parametrize("seed", range(4))
def test_every_point_is_confirmed_and_pure_ones_are_all_there(seed):
    rng = np.random.default_rng(seed)
    shape = (2, 2, 2)
    game = so.StackelbergGame(
        leader_reward=rng.uniform(size=shape), follower_reward=rng.uniform(size=shape), transition=rng.dirichlet(np.ones(2), shape), discount=0.8
    )
    found = fixed_points(game)
    assert len(found), "a discounted game has a stationary equilibrium"
    assert all(game.certify(profile).certified for profile in found.profiles)
    pure = 0
    for a, b in itertools.product(itertools.product(range(2), repeat=2), repeat=2):
        x, y = np.eye(2)[list(a)], np.eye(2)[list(b)]
        certificate = game.certify(so.Profile(x, y, concept="fixed_point"))
        pure += certificate.certified
    mine = sum((p.leader_policy.max(-1) > 1 - 1e-9).all() and (p.follower_policy.max(-1) > 1 - 1e-9).all() for p in found.profiles)
    assert mine == pure


def test_degenerate_games_are_pointed_out():
    found = fixed_points(bimatrix([[1, 1], [1, 1]], [[1, 0], [0, 1]]))
    assert not found.complete
    assert "continuum" in found.because
    assert "perhaps not all" in str(found)


def test_refusals():
    game = bimatrix([[1, 0], [0, 1]], [[1, 0], [0, 1]])
    with pytest.raises(so.Refused, match="single-game"):
        fixed_points(so.StackelbergGame.stack([game, game]))
    big = so.StackelbergGame(
        leader_reward=np.arange(120.0).reshape(12, 2, 5), follower_reward=np.ones((12, 2, 5)), transition=so.stay(12, 2, 5), discount=0.5
    )
    with pytest.raises(so.Refused, match="too-large"):
        fixed_points(big)
    with pytest.raises(so.Refused, match="observation-fixed-point"):
        fixed_points(catalog.build("inspection").__class__(
            leader_reward=np.zeros((2, 2, 2)) + np.arange(2), follower_reward=np.ones((2, 2, 2)) * np.arange(2), transition=so.stay(2, 2, 2), discount=0.5,
            leader_observes=np.zeros(2, int),
        ))
