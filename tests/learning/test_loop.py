"""The loop: every reason to stop is said, and only a true residual is success."""

from dataclasses import dataclass

import numpy as np
import pytest

import stackopt as so
from stackopt.games.profile import Profile
from stackopt.learning.loop import State, iterate, part, put, take
from stackopt.solution import Status
from stackopt.testing import random_games, two_by_two


@dataclass(frozen=True, eq=False)
class Toy(State):
    left: object  # what remains, [...]


@dataclass(frozen=True)
class ToyLearner:
    """Multiplies what remains by `factor` at each step; a state may be given to start from."""

    factor: float = 0.5
    tolerance: float = 1e-6
    iterations: int = 100
    start: tuple = (1.0, 1e-3, 8.0)
    name: str = "toy"
    interrupt_at: int = -1

    def init(self, game, seed):
        return self._at(game, np.reshape(self.start[: int(np.prod(game.batch))], game.batch))

    def step(self, game, state):
        return self._at(game, self.factor * state.left)

    def residual(self, game, state):
        return np.abs(state.left)

    def candidate(self, state):
        return Profile(state.leader_policy, state.follower_policy, "commitment", "max-ent", 1.0)

    def _at(self, game, left):
        S, A, B = game.shape
        x = np.zeros((*game.batch, S, A)) + np.asarray(left)[..., None, None]
        y = np.full((*game.batch, S, B), 1.0 / B)
        return Toy(x, y, np.asarray(left) + 0.0, np.zeros(game.batch, bool), left=np.asarray(left))


def test_stops_at_the_tolerance_and_not_before():
    run = iterate(ToyLearner(), two_by_two())
    assert run.status is Status.CONVERGED
    assert run.stats["iterations"] == 20  # 0.5 ** 20 is the first below 1e-6
    assert run.stats["residual"] == 0.5**20
    assert run.history["residual"] == [0.5**k for k in range(21)]
    assert "<= tolerance" in run.because


def test_running_out_is_a_limit_with_an_incumbent():
    run = iterate(ToyLearner(iterations=3), two_by_two())
    assert run.status is Status.LIMIT
    assert run.candidate.leader_policy.max() == 0.125
    assert "3 iterations ran out" in run.because


def test_nan_is_failure():
    run = iterate(ToyLearner(factor=np.nan), two_by_two())
    assert run.status is Status.FAILED
    assert "not finite" in run.because


def test_a_cycle_is_never_converged():
    run = iterate(ToyLearner(factor=-1.0), two_by_two())
    assert run.status is Status.LIMIT
    assert "cycle with period 2" in run.because
    assert run.stats["iterations"] < 10


def test_slow_oscillation_is_not_a_cycle():
    run = iterate(ToyLearner(factor=-0.99, iterations=2000), two_by_two())
    assert run.status is Status.CONVERGED


def test_each_game_of_a_batch_stops_on_its_own():
    run = iterate(ToyLearner(), random_games(3))
    assert run.status is Status.CONVERGED
    expected = [0.5**20, 1e-3 * 0.5**10, 8.0 * 0.5**23]
    assert np.allclose(run.candidate.leader_policy[:, 0, 0], expected, rtol=1e-12)
    assert run.stats["iterations"] == 23


def test_one_bad_game_of_a_batch_is_not_hidden():
    run = iterate(ToyLearner(start=(1.0, np.nan, 1.0)), random_games(3))
    assert run.status is Status.FAILED
    assert "1 of 3 games" in run.because
    run = iterate(ToyLearner(iterations=15), random_games(3))
    assert run.status is Status.LIMIT
    assert "1 of 3 games converged" in run.because


def test_progress_is_reported_and_interrupts_pass():
    seen = []
    iterate(ToyLearner(), two_by_two(), report=seen.append)
    assert seen[0].stage == "toy"
    assert seen[0].done == 0
    assert seen[0].total == 100

    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        iterate(ToyLearner(), two_by_two(), report=interrupt)


def test_batches_of_any_shape_come_apart_and_together():
    games = random_games(6)
    arrays = (games.leader_reward, games.follower_reward, games.transition)
    grid = so.StackelbergGame(*(a.reshape(2, 3, *a.shape[1:]) for a in arrays), discount=0.7)
    keep = np.array([True, False, False, True, True, False])
    some = part(grid, keep)
    assert some.batch == (3,)
    assert np.array_equal(some.transition, grid.transition.reshape(6, 4, 3, 3, 4)[keep])
    learner = ToyLearner(start=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    state = learner.init(grid, 0)
    rows = take(state, keep)
    assert rows.left.tolist() == [1.0, 4.0, 5.0]
    back = put(state, grid.batch, np.flatnonzero(keep), learner.step(some, rows))
    assert back.left.tolist() == [[0.5, 2.0, 3.0], [2.0, 2.5, 6.0]]
    run = iterate(learner, grid)
    assert run.status is Status.CONVERGED
    assert run.candidate.leader_policy.shape == (2, 3, 4, 3)
