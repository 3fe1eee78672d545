"""What the leader has without commitment: the example of theory A.5, fixed points listed independently, and nothing claimed where responses cycle."""

import numpy as np
import pytest

import stackopt as so
from stackopt.games.uncommitted import reached


def pennies():
    """Matching pennies: exact responses cycle, the only fixed point is half and half, worth 0."""
    return so.StackelbergGame([[[1, -1], [-1, 1]]], [[[-1, 1], [1, -1]]], so.stay, discount=0.5, name="pennies")


def test_the_example_of_the_theory():
    solution = so.solve(so.catalog.build("commitment_2x2"))
    assert solution.certificate.values["fixed_point"] == pytest.approx(2.0)
    assert "2  by best responses to each other (commitment gains 1.5)  [A2]" in str(solution)


def test_cycling_responses_end_in_a_soft_fixed_point():
    game = pennies()
    found = reached(game, np.array([[0.9, 0.1]]))
    assert found.share > 0
    assert found.value == pytest.approx(0.0, abs=1e-6)
    assert game.certify(found.profile).certified
    assert "by soft players, temperature" in str(so.solve(game))


@pytest.mark.parametrize("seed", range(12))
def test_what_is_reached_is_a_fixed_point(seed):
    """Certified by the game; exact ones are in the list that support enumeration makes; none exceeds the strong value (A2)."""
    rng = np.random.default_rng(seed)
    game = so.StackelbergGame(rng.normal(size=(2, 2, 2)), rng.normal(size=(2, 2, 2)), rng.dirichlet(np.ones(2), (2, 2, 2)), discount=0.6)
    found = reached(game, np.full((2, 2), 0.5))
    if found is None:
        return
    certificate = game.certify(found.profile)
    assert certificate.certified, certificate
    if not found.share:
        listed = so.fixed_points(game)
        assert min(abs(p.claim - found.value) for p in listed.profiles) <= 1e-9
        assert found.value <= so.solve(game).bound.value + 1e-9


def test_nothing_where_there_is_nothing_to_say():
    game = pennies()
    assert reached(so.StackelbergGame.stack([game, game]), np.full((2, 1, 2), 0.5)) is None
    hidden = so.StackelbergGame(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), so.stay, discount=0.5, leader_observes=[0, 0])
    assert reached(hidden, np.full((2, 2), 0.5)) is None
    assert "fixed point  " not in str(so.solve(hidden))
    fixed = so.solve(game, so.SoftmaxPolicyIteration(2.0, "fixed_point"))
    assert "fixed_point" not in fixed.certificate.values


def test_the_status_does_not_depend_on_it(monkeypatch):
    from stackopt.games import uncommitted

    monkeypatch.setattr(uncommitted, "TURNS", 0)
    monkeypatch.setattr(uncommitted, "ROUNDS", 0)
    solution = so.solve(pennies())
    assert solution.certified
    assert "fixed_point" not in solution.certificate.values
