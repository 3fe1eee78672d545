"""Every model of the catalogue and every recorded game is built, solved and compared with its known answers.

What cannot be asserted is skipped with its reason, never passed in silence.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

import stackopt as so
from stackopt import catalog
from stackopt.games.dynamic_programming import soft_optimal_value
from stackopt.games.operators import follower_mdp, one_hot, softmax
from stackopt.games.responses import commitment, follower_response, leader_value
from stackopt.solution import STRONG_VALUE

ROOT = Path(__file__).parent.parent.parent
ALL_RECORDED = sorted(p.stem for p in (ROOT / "data" / "games").glob("*.json"))
MEAN_FIELD = [name for name in ALL_RECORDED if catalog.recorded(name).kind == "mean_field"]
RECORDED = [name for name in ALL_RECORDED if name not in MEAN_FIELD]
#: The optimum over randomised policies is not a mixed-integer program here; separate tests below.
LEADER_MOVES_STATE = ("inspection", "patrol", "vorobeychik_random")  # patrol: test_markov_models.py
#: How far below the weak value Exact's answer with its default margin may lie.
MARGIN_COST = 1e-2


def known(name):
    return catalog.model(name).known


def tolerance(name):
    return float(known(name)["tolerance"])


@pytest.fixture(scope="module")
def strong():
    """Strong solutions by model, solved once."""
    solved = {}

    def solve(name):
        if name not in solved:
            solved[name] = so.solve(catalog.build(name), so.Exact())
        return solved[name]

    return solve


def models_that_know(key, but=()):
    return [name for name in catalog.names() if key in known(name) and name not in but]


def test_every_model_is_asserted_somewhere():
    asserted = {*models_that_know("strong"), *models_that_know("soft_value"), *models_that_know("value")}  # value: test_bilevel_known.py
    populations = {name for name in catalog.names() if catalog.model(name).kind == "MeanFieldStackelbergGame"}  # test_mean_field_known.py
    assert asserted | populations == set(catalog.names())


@pytest.mark.parametrize("name", models_that_know("strong", LEADER_MOVES_STATE))
def test_strong_value(name, strong):
    solution = strong(name)
    assert solution.status.success, solution
    assert solution.certified, solution
    assert solution.value == pytest.approx(known(name)["strong"], abs=tolerance(name))
    assert solution.bound.value == pytest.approx(known(name)["strong"], abs=max(tolerance(name), 1e-6))


@pytest.mark.parametrize("name", models_that_know("weak", LEADER_MOVES_STATE))
def test_weak_value_is_approached(name):
    solution = so.solve(catalog.build(name), so.Exact(concept="weak"))
    assert solution.status is so.Status.OPTIMAL, solution
    assert solution.certified, solution
    assert known(name)["weak"] - MARGIN_COST <= solution.value <= known(name)["weak"] + tolerance(name)
    if "weak_margin_1e-4" in known(name):
        assert solution.value == pytest.approx(known(name)["weak_margin_1e-4"], abs=tolerance(name))


@pytest.mark.parametrize("name", models_that_know("strong_deterministic"))
def test_strong_value_of_deterministic_leaders(name):
    solution = so.solve(catalog.build(name), so.Exact(leader="deterministic"))
    assert solution.certified, solution
    assert solution.value == pytest.approx(known(name)["strong_deterministic"], abs=tolerance(name))


@pytest.mark.parametrize("name", models_that_know("leader_policy"))
def test_the_recorded_policy_has_the_recorded_value(name):
    game, answers = catalog.build(name), known(name)
    # the recorded policy sits on a tie, to the accuracy of the solver that found it
    committed = commitment(game, np.array(answers["leader_policy"]), margin=1e-8)
    assert float(committed.strong) == pytest.approx(answers["strong"], abs=tolerance(name))
    if "follower_actions" in answers:
        profile = so.Profile(np.array(answers["leader_policy"]), one_hot(np.array(answers["follower_actions"]), game.shape[2]))
        certificate = game.certify(profile)
        assert certificate.certified, certificate
        assert certificate.values["own_follower"] == pytest.approx(answers["strong"], abs=tolerance(name))
    if "follower_value" in answers:
        assert float(committed.follower.value[0]) == pytest.approx(answers["follower_value"], abs=tolerance(name))
    if "weak_at_best" in answers:
        assert float(committed.weak) == pytest.approx(answers["weak_at_best"], abs=tolerance(name))


@pytest.mark.parametrize("name", models_that_know("pure_equilibria"))
def test_pure_equilibria_of_matrix_games(name):
    game = catalog.build(name)
    R, U = game.leader_reward[0], game.follower_reward[0]
    found = [[a, b] for a, b in np.ndindex(R.shape) if R[a, b] == R[:, b].max() and U[a, b] == U[a].max()]
    assert found == known(name)["pure_equilibria"]


# --- the two-by-two game and the price ---------------------------------------------------------------------------------


def test_fixed_point_and_commitment_differ(strong):
    game = catalog.build("commitment_2x2")
    fixed = so.solve(game, so.SoftmaxPolicyIteration(temperature=0.01, concept="fixed_point"))
    assert fixed.certified
    assert fixed.certificate.values["own_follower"] == pytest.approx(known("commitment_2x2")["fixed_point"], abs=1e-6)
    assert strong("commitment_2x2").value == pytest.approx(3.5, abs=1e-7)


def test_soft_price_is_the_closed_form():
    from scipy.special import lambertw

    answers, recorded = known("logit_price"), catalog.recorded("logit_price")
    game = catalog.build("logit_price")
    learned = so.solve(game, so.SoftmaxPolicyIteration(temperature=0.1))
    assert learned.certified, learned
    assert learned.certificate.values["own_follower"] == pytest.approx(answers["soft_commitment"], abs=recorded.tolerance)
    price = 2.0 * learned.candidate.leader_policy[0, 1]
    assert price == pytest.approx(answers["price"], abs=1e-4)  # the objective is flat at its maximum
    assert learned.candidate.follower_policy[0, 0] == pytest.approx(answers["demand"], abs=1e-4)
    W = lambertw(np.exp(2.0 / 0.1 - 1)).real
    assert answers["soft_commitment"] == pytest.approx(0.1 * W, abs=1e-12)
    assert answers["price"] == pytest.approx(0.1 * (1 + W), abs=1e-12)
    assert answers["demand"] == pytest.approx(W / (1 + W), abs=1e-12)


def test_soft_values_of_the_bandit():
    game = catalog.build("soft_bandit")
    mdp = follower_mdp(game, np.ones((1, 1)))
    for temperature, value in known("soft_bandit")["soft_value"].items():
        tau = float(temperature)
        optimum = soft_optimal_value(mdp, tau)
        assert float(optimum.value[0]) == pytest.approx(value, abs=1e-10)
        assert softmax(optimum.action_values, tau)[0] == pytest.approx(known("soft_bandit")["policy"][temperature], abs=1e-10)
        assert follower_response(game, np.ones((1, 1)), tau).policy[0] == pytest.approx(known("soft_bandit")["policy"][temperature], abs=1e-10)
        assert 0 <= value - 10.0 <= tau * np.log(3) / (1 - 0.9) + 1e-12


# --- Bayesian and security games --------------------------------------------------------------------------------------


def test_bayesian_game_by_two_routes(strong):
    answers, game = known("bayes_dobss"), catalog.build("bayes_dobss")
    solution = strong("bayes_dobss")
    assert solution.candidate.leader_policy[0] == pytest.approx(answers["leader_strategy"], abs=1e-6)
    assert solution.candidate.follower_policy.argmax(-1).tolist() == answers["follower_actions"]
    transformed = so.solve(game.harsanyi(), so.Exact())
    assert transformed.certified
    assert transformed.value == pytest.approx(answers["strong"], abs=tolerance("bayes_dobss"))


def test_security_game_by_two_routes(strong):
    answers, game = known("security_zero_sum"), catalog.build("security_zero_sum")
    solution = strong("security_zero_sum")
    assert solution.certificate.values["follower"] == pytest.approx(answers["attacker_value"], abs=1e-7)
    certificate = game.certify(so.Coverage(np.array(answers["coverage"]), answers["attacked"], claim=answers["strong"]))
    assert certificate.certified, certificate
    written_out = so.solve(game.expand(), so.Exact())
    assert written_out.value == pytest.approx(answers["strong"], abs=1e-7)


# --- stochastic games in which the leader moves the state -------------------------------------------------------------


def test_values_per_state_with_a_myopic_follower():
    answers = known("myopic_follower")
    game = catalog.build("myopic_follower")
    for state, value in enumerate(answers["leader_value_per_state"]):
        arrays = {name: getattr(game, name) for name in ("leader_reward", "follower_reward", "transition", "leader_discount", "follower_discount")}
        started = so.StackelbergGame(**arrays, initial=np.eye(3)[state])
        assert float(commitment(started, np.array(answers["leader_policy"])).strong) == pytest.approx(value, abs=1e-8)


def test_the_randomised_optimum_lies_in_the_bracket_of_the_net():
    answers, game = known("vorobeychik_random"), catalog.build("vorobeychik_random")
    assert so.solve(game, so.Exact()).value == pytest.approx(answers["strong"], abs=answers["tolerance"])
    net = so.solve(game, so.Exact(leader="net", grid=8))
    assert net.certified, net
    (bracket,) = [b for b in net.further_bounds if b.of == STRONG_VALUE]
    assert bracket.applies
    assert net.value <= answers["strong"] + 1e-9
    assert answers["strong"] <= bracket.value + 1e-9


def test_the_randomised_optimum_by_sequential_quadratic_programming():
    """For each pure response, the best leader policy for which it is a best response; an optimiser of its own."""
    answers, game = known("vorobeychik_random"), catalog.build("vorobeychik_random")
    R, U, P, discount, start = game.leader_reward, game.follower_reward, game.transition, game.leader_discount, game.initial
    rng = np.random.default_rng(0)
    states = np.arange(2)

    def values(p, plan):
        x = np.stack([p, 1 - p], -1)
        kernel = np.einsum("sa,sabt->sbt", x, P)
        solve = np.linalg.inv(np.eye(2) - discount * kernel[states, plan])
        leader, follower = (solve @ np.einsum("sa,sab->sb", x, reward)[states, plan] for reward in (R, U))
        q = np.einsum("sa,sab->sb", x, U) + discount * kernel @ follower
        return float(start @ leader), follower - q[states, 1 - plan]  # the slack of the other action

    best = -np.inf
    for plan in itertools.product(range(2), repeat=2):
        plan = np.array(plan)
        for _ in range(16):
            found = minimize(
                lambda p, plan=plan: -values(p, plan)[0], rng.random(2), method="SLSQP", bounds=[(0, 1)] * 2, options={"ftol": 1e-13, "maxiter": 300},
                constraints=[{"type": "ineq", "fun": lambda p, plan=plan: values(p, plan)[1]}],
            )  # fmt: skip
            value, slack = values(found.x, plan)
            if slack.min() >= -1e-9:
                best = max(best, value)
    assert best == pytest.approx(answers["strong"], abs=1e-6)
    assert answers["grid_lower_bound"] <= best


def inspection_policy(first, second):
    return np.array([[first, 1 - first], [second, 1 - second], [0.0, 1.0]])


def test_inspection_closed_form():
    answers, game = known("inspection"), catalog.build("inspection")
    fine, cost, g = 1.0, 0.2, 0.9
    q, p = 1 / (1 + fine), 1 / (1 + fine + g / (1 + g))
    committed = commitment(game, inspection_policy(p, q))
    assert -(cost * p + g * (p + (1 - p) * cost * q)) / (1 - g * g) == pytest.approx(answers["strong"], abs=1e-9)
    assert float(committed.strong) == pytest.approx(answers["strong"], abs=1e-8)
    assert float(committed.weak) == pytest.approx(answers["weak_at_best"], abs=1e-8)
    assert float(commitment(game, inspection_policy(p + 1e-7, q + 1e-7)).weak) == pytest.approx(answers["weak"], abs=1e-5)


def test_inspection_no_policy_is_better():
    """On a fine net that contains the kinks; the value is piecewise smooth between them."""
    answers, game = known("inspection"), catalog.build("inspection")
    kinks = [1 / (2 + 0.9 / 1.9), 0.5]
    best = max(
        float(commitment(game, inspection_policy(first, second)).strong)
        for first in np.unique([*np.linspace(0, 1, 41), *kinks])
        for second in np.unique([*np.linspace(0, 1, 21), *kinks])
    )
    assert best == pytest.approx(answers["strong"], abs=1e-8)


def test_inspection_net_and_deterministic_values_by_enumeration():
    answers, game = known("inspection"), catalog.build("inspection")
    for grid, suffix in ((4, "net_4"), (1, "deterministic")):
        points = np.arange(grid + 1) / grid
        committed = [commitment(game, inspection_policy(p, q)) for p in points for q in points]
        assert max(float(c.strong) for c in committed) == pytest.approx(answers[f"strong_{suffix}"], abs=1e-8)
        if f"weak_{suffix}" in answers:
            assert max(float(c.weak) for c in committed) == pytest.approx(answers[f"weak_{suffix}"], abs=1e-8)


@pytest.mark.parametrize("concept", ["strong", "weak"])
def test_inspection_net_value_by_exact(concept):
    game = catalog.build("inspection")
    solution = so.solve(game, so.Exact(concept=concept, leader="net", grid=4))
    assert solution.certified, solution
    assert solution.value == pytest.approx(known("inspection")[f"{concept}_net_4"], abs=1e-6)


def test_inspection_fixed_point_has_no_regret_and_the_best_leader_policy():
    """Both indifferent: solve the inspector's indifference for the violation probabilities."""
    answers, game = known("inspection"), catalog.build("inspection")
    x = inspection_policy(1 / (2 + 0.9 / 1.9), 0.5)
    late = 0.2 / 0.75  # the inspector is indifferent in the second period: 0.75 late = cost
    low, high = 0.0, 1.0
    for _ in range(100):  # and in the first: its advantage of inspecting grows with the violation probability
        early = 0.5 * (low + high)
        y = np.array([[1 - early, early], [1 - late, late], [0.0, 1.0]])
        inspect, rest = (float(leader_value(game, inspection_policy(p, 0.5), y)) for p in (1.0, 0.0))  # from the first period
        low, high = (early, high) if inspect < rest else (low, early)
    certificate = game.certify(so.Profile(x, y))
    assert certificate.values["follower_regret"] == pytest.approx(0.0, abs=1e-9)
    assert certificate.values["leader_regret"] == pytest.approx(0.0, abs=1e-9)
    assert certificate.values["own_follower"] == pytest.approx(answers["fixed_point"], abs=1e-8)
    assert len({round(float(answers[k]), 6) for k in ("strong", "strong_net_4", "weak_net_4", "fixed_point", "strong_deterministic")}) == 5


#: The kinds of answers in recorded games; each is asserted above, and a new kind needs a test.
ASSERTED = {
    "strong", "weak", "strong_deterministic", "leader_policy", "follower_actions", "follower_value", "pure_equilibria", "leader_strategy",
    "attacker_value", "coverage", "attacked", "leader_value_per_state", "grid_lower_bound", "soft_value", "policy", "price", "soft_commitment", "demand",
}  # fmt: skip


# --- recorded games ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_game_is_a_model(name):
    recorded = catalog.recorded(name)
    assert name in catalog.names()
    assert catalog.build(name).fingerprint() == recorded.problem.fingerprint()
    assert set(recorded.known) <= ASSERTED
    assert set(recorded.known) <= set(known(name))


