"""The default solver on games with known answers, judged by exploitability recomputed by the game; never by distance to a policy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from populations import branching, random_game, sis

import stackopt as so
from stackopt.games.mean_field.dynamics import exploitability
from stackopt.learning.mean_field.settling import settle_soft

LEFT_RIGHT = branching(-np.diag([1.0, 2.0]), "left_right")
ROCK_PAPER_SCISSORS = branching([[0, -1, 2], [4, 0, -2], [-3, 6, 0]], "rock_paper_scissors")
EPIDEMIC = np.array([0.4, 0.6])


def gain(game, population):
    """Relative exploitability by the game's own evaluator."""
    uniform = exploitability(game, game.uniform(), population.theta).total
    return exploitability(game, population.policy, population.theta, population.mean_field).total / uniform


def crowding(t, y, theta):
    """A beach with a bar at place 2 of 4: nearness to it, less the logarithm of the crowd."""
    near = -np.minimum(np.abs(np.arange(4) - 2), 4 - np.abs(np.arange(4) - 2))
    reward = near[:, None] - np.abs(np.arange(-1, 2)) / 4
    return reward - np.log(y + 1e-20)[:, :, None]


def beach_bar():
    kernel = np.zeros((4, 3, 4))
    for s in range(4):
        for a in range(3):
            for p, noise in ((0.25, -1), (0.5, 0), (0.25, 1)):
                kernel[s, a, np.clip(s + a - 1 + noise, 0, 3)] += p
    return so.MeanFieldStackelbergGame(so.Finite(3, np.full(4, 0.25)), crowding, kernel, name="beach bar")


def test_left_right_has_its_only_equilibrium():
    solution = so.solve(LEFT_RIGHT, so.MeanFieldEquilibrium())
    assert solution.certified
    assert np.abs(solution.candidate.policy[0, 0, 0] - [2 / 3, 1 / 3]).max() < 1e-6
    assert solution.stats["uniform"] == pytest.approx(0.25)  # as published


def test_rock_paper_scissors_equalises_payoffs():
    """Interior: the payoffs M y of the three groups are equal."""
    solution = so.solve(ROCK_PAPER_SCISSORS, so.MeanFieldEquilibrium(tolerance=1e-9))
    matrix = np.array([[0, -1, 2], [4, 0, -2], [-3, 6, 0]])
    system = np.block([[matrix, -np.ones((3, 1))], [np.ones((1, 3)), np.zeros((1, 1))]])
    expected = np.linalg.solve(system, [0, 0, 0, 1])[:3]
    assert solution.certified
    assert np.abs(solution.candidate.mean_field[0, 1, 1:] - expected).max() < 1e-6
    assert "path following" in solution.stats["found_by"]  # nothing simpler gets there


def test_beach_bar():
    solution = so.solve(beach_bar(), so.MeanFieldEquilibrium())
    assert solution.certified
    assert gain(beach_bar(), solution.candidate) <= 1e-6


def test_a_short_epidemic_has_its_known_policy():
    """Three stages more than one: susceptible stay in at first and then go out; only the exploitability is asked for."""
    game = sis(so.Finite(4, EPIDEMIC))
    solution = so.solve(game, so.MeanFieldEquilibrium())
    assert solution.certified
    assert gain(game, solution.candidate) <= 1e-12
    value = exploitability(game, solution.candidate.policy, np.zeros(0)).answer.value[0, 0] @ EPIDEMIC
    assert value == pytest.approx(-2.25767611639664, abs=1e-9)


@pytest.mark.parametrize(("stages", "infected"), [(51, 0.6), (51, 0.1), (31, 0.5)])
def test_a_long_epidemic_is_solved_by_one_sweep(stages, infected):
    """Where mirror descent and paths are trapped: very many equilibria, found by answering one stage at a time."""
    game = sis(so.Finite(stages, [1 - infected, infected]))
    solution = so.solve(game, so.MeanFieldEquilibrium(starts=1))
    assert solution.certified
    assert gain(game, solution.candidate) <= 1e-9


def test_other_equilibria_of_an_epidemic_are_listed():
    game = sis(so.Finite(31, EPIDEMIC))
    solution = so.solve(game, so.MeanFieldEquilibrium(starts=4))
    assert len(solution.candidate.others) >= 1
    infected = [solution.candidate.mean_field[0, :, 1]]
    for other in solution.candidate.others:
        assert game.certify(other).certified
        assert all(np.abs(other.mean_field[0, :, 1] - known).max() > 1e-4 for known in infected)
        infected.append(other.mean_field[0, :, 1])
    assert solution.stats["leader_lowest"] <= solution.stats["leader_highest"]


def test_a_stationary_epidemic_is_endemic_and_may_also_be_free_of_disease():
    """Closed form of the endemic state; the disease-free one is a second equilibrium and is listed."""
    solution = so.solve(sis(), so.MeanFieldEquilibrium(tolerance=1e-9))
    assert solution.certified
    assert solution.candidate.mean_field[0, 0, 1] == pytest.approx(0.3828407532111236, abs=1e-7)
    assert solution.candidate.policy[0, 0, 0, 0] == pytest.approx(0.6001212366134573, abs=1e-5)
    free = [other for other in solution.candidate.others if other.mean_field[0, 0, 1] < 1e-9]
    assert len(free) == 1
    assert sis().certify(free[0]).certified
    assert "2 equilibria found" in str(solution)
    assert solution.stats["multiplicity"] == "found: 2 equilibria"


@pytest.mark.parametrize(("discount", "infected"), [(0.9, 0.50754), (0.95, 0.43535)])
def test_an_epidemic_at_other_discounts(discount, infected):
    solution = so.solve(sis(so.Stationary(discount)), so.MeanFieldEquilibrium(tolerance=1e-9, starts=1))
    assert solution.candidate.mean_field[0, 0, 1] == pytest.approx(infected, abs=1e-5)


@pytest.mark.parametrize(
    ("temperature", "infected"), [(1.0, 0.26162538224676235), (0.3, 0.2787938523799806), (0.1, 0.31947557371011187), (0.03, 0.35735884278959384)]
)
def test_a_soft_epidemic(temperature, infected):
    solution = so.solve(sis(), so.MeanFieldEquilibrium(temperature=temperature, tolerance=1e-9))
    assert solution.certified
    assert solution.candidate.mean_field[0, 0, 1] == pytest.approx(infected, abs=1e-9)
    assert solution.stats["relative"] > 0  # both residuals are shown
    assert "true exploitability" in solution.because


@pytest.mark.parametrize("game", [random_game(3, coupling=5.0), random_game(4, K=3, T=3, coupling=5.0), random_game(5, T=2, K=1, S=4, B=3, coupling=20.0)])
def test_several_types_and_periods(game):
    solution = so.solve(game, so.MeanFieldEquilibrium())
    assert solution.certified
    assert gain(game, solution.candidate) <= 1e-6


def test_two_halves_of_a_type_are_that_type():
    """A population split into equal types of its kind has the same statistics."""
    whole = random_game(1, K=1, T=2, coupling=2.0)
    arrays = {name: np.repeat(getattr(whole, name), 2, axis=0) for name in ("reward", "transition", "reward_population")}
    split = so.MeanFieldStackelbergGame(whole.horizon, **arrays, weights=[0.3, 0.7])
    found = [so.solve(game, so.MeanFieldEquilibrium(temperature=0.2, tolerance=1e-10)).require() for game in (whole, split)]
    y = [game.aggregate(p.mean_field[..., None] * p.policy) for game, p in zip((whole, split), found, strict=True)]
    assert np.abs(y[0] - y[1]).max() < 1e-8


@given(seed=st.integers(0, 2**32 - 1), coupling=st.floats(0.0, 10.0), stages=st.integers(1, 4))
@settings(max_examples=15, derandomize=True, deadline=None)
def test_what_is_called_converged_is_an_equilibrium(seed, coupling, stages):
    rng = np.random.default_rng(seed)
    game = random_game(seed, K=2, S=3, B=2, coupling=coupling, horizon=so.Finite(stages, rng.dirichlet(np.ones(3))))
    run = so.MeanFieldEquilibrium(time_limit=5, starts=1).run(game)
    found = exploitability(game, run.candidate.policy, np.zeros(0)).total
    assert found == pytest.approx(run.stats["exploitability"], abs=1e-12)
    assert (found <= 1e-6 * run.stats["uniform"] + 1e-10) == (run.status is so.Status.CONVERGED)


def test_the_clock_is_a_limit():
    solution = so.solve(ROCK_PAPER_SCISSORS, so.MeanFieldEquilibrium(time_limit=1e-9))
    assert solution.status is so.Status.LIMIT
    assert "time limit" in solution.because
    soft = so.solve(ROCK_PAPER_SCISSORS, so.MeanFieldEquilibrium(temperature=0.01, time_limit=1e-9))
    assert soft.status is so.Status.LIMIT
    assert "time limit" in soft.because


def test_runs_repeat_and_seeds_do_as_well():
    runs = [so.solve(beach_bar(), so.MeanFieldEquilibrium(), seed=seed) for seed in (0, 0, 1, 2)]
    assert np.array_equal(runs[0].candidate.policy, runs[1].candidate.policy)
    assert all(run.certified for run in runs)


def test_progress_is_reported():
    seen = []
    so.solve(beach_bar(), so.MeanFieldEquilibrium(), report=seen.append)
    so.solve(beach_bar(), so.MeanFieldEquilibrium(temperature=0.1), report=seen.append)
    assert seen
    assert all(isinstance(p, so.Progress) for p in seen)
    assert any("soft response" in p.stage for p in seen)


def test_theta_is_needed_where_the_leader_has_a_choice():
    game = sis(leader=so.Box([0.0], [0.5]))
    with pytest.raises(so.Refused, match="theta-needed"):
        so.solve(game, so.MeanFieldEquilibrium())
    with pytest.raises(so.Refused, match="theta-outside"):
        so.solve(game, so.MeanFieldEquilibrium(theta=[0.7]))
    with pytest.raises(so.Refused, match="theta-outside"):
        so.solve(game, so.MeanFieldEquilibrium(theta=[0.1, 0.1]))
    told = so.solve(game, so.MeanFieldEquilibrium(theta=0.25, starts=1))
    fixed = so.solve(game.at([0.25]), so.MeanFieldEquilibrium(starts=1))
    assert told.certified
    assert np.array_equal(told.candidate.policy, fixed.candidate.policy)
    assert told.candidate.theta.tolist() == [0.25]


@pytest.mark.parametrize("wrong", [{"theta": "high"}, {"theta": [np.nan]}, {"tolerance": 0}, {"time_limit": -1}, {"starts": 0}, {"temperature": -1.0}])
def test_settings_are_checked(wrong):
    with pytest.raises(so.InvalidMethod):
        so.MeanFieldEquilibrium(**wrong)


def test_other_problems_are_refused():
    with pytest.raises(so.Refused, match="wrong-problem"):
        so.solve(so.catalog.build("commitment_2x2"), so.MeanFieldEquilibrium())


def broken(t, y, theta):
    return np.where(y[:, :, None] > 0, 0.0, np.nan) + np.zeros((len(t), 2, 2))


def test_a_value_that_is_not_finite_names_its_state():
    """Uniform behaviour reaches both states, a best response only one: the error comes from inside the search."""
    kernel = np.eye(2)[None].repeat(2, 0)
    game = so.MeanFieldStackelbergGame(so.Finite(2, [0.5, 0.5]), broken_away, kernel, name="broken")
    with pytest.raises(so.InvalidGame, match=r"(?s)callable-finite.*\(type, stage, state, action\) = \(0, 1, "):
        so.solve(game, so.MeanFieldEquilibrium())


def broken_away(t, y, theta):
    """State 1 pays, and then stage 1 cannot be evaluated: state 0 is empty."""
    late = (t > 0)[:, None, None]
    return np.where(late, broken(t, y, theta), np.array([[0.0, 1.0], [0.0, 1.0]]))


def test_soft_equilibria_for_methods_that_move_theta():
    game = sis(leader=so.Box([0.0], [0.5]))
    settled = settle_soft(game, np.array([0.2]), 0.1)
    again = settle_soft(game, np.array([0.2]), 0.1, settled.policy)
    assert settled.settled
    assert again.settled
    assert np.abs(settled.policy - again.policy).max() < 1e-8
    late = settle_soft(game, np.array([0.2]), 0.1, time_limit=1e-9)
    assert not late.settled
    assert "time" in late.because


@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_a_figure_shows_residuals_as_residuals(temperature):
    figure = so.solve(LEFT_RIGHT, so.MeanFieldEquilibrium(temperature=temperature)).plot()
    left, right = figure.axes
    assert len(left.lines) == 1
    assert {line.get_label().split(":")[0] for line in right.lines} == {"certified"}


def test_games_out_of_reach_of_path_following_are_annealed(monkeypatch):
    """The same game with the path closed: ever colder soft equilibria lead to where mirror descent ends the work."""
    game = branching(-np.diag([1.0, 2.0, 3.0]), "three groups")
    expected = so.solve(game, so.MeanFieldEquilibrium()).require()
    monkeypatch.setattr("stackopt.learning.mean_field.equilibrium.within_reach", lambda game: False)
    monkeypatch.setattr("stackopt.learning.mean_field.equilibrium.SWEEPS", 0)  # nor Gauss-Seidel
    solution = so.solve(game, so.MeanFieldEquilibrium(tolerance=1e-4, starts=1))
    assert solution.certified
    assert any(stage.startswith("annealing") for stage in solution.stats["stages"])
    assert np.abs(solution.candidate.mean_field - expected.mean_field).max() < 1e-2
