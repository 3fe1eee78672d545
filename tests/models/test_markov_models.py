"""Patrol, inventory, congestion toll, epidemic subsidy: every known answer by a route that shares no search with the package."""

import itertools
import re

import networkx as nx
import numpy as np
import pytest
from scipy.optimize import brentq, linprog, minimize

import stackopt as so
from stackopt import catalog
from stackopt.errors import InvalidMethod
from stackopt.games.responses import commitment

LEADER_LEAVES_STATE = ("inventory", "congestion_toll", "epidemic_subsidy")
MODELS = ("patrol", *LEADER_LEAVES_STATE)
#: The leader's best reply to any orders, routes or habits, up to ties: the highest price, the highest toll, no subsidy.
GREEDY = {"inventory": -1, "congestion_toll": -1, "epidemic_subsidy": 0}


@pytest.fixture(scope="module")
def games():
    return {name: catalog.build(name) for name in MODELS}


def known(name):
    return catalog.model(name).known


def always(game, action):
    return np.tile(np.eye(game.shape[1])[action], (game.shape[0], 1))


def patterns(game):
    """Pure responses; of follower actions that do the same in a state, the first."""
    S, _, B = game.shape
    rows = np.concatenate([game.follower_reward, game.leader_reward, game.transition.transpose(0, 1, 3, 2).reshape(S, -1, B)], axis=1)
    different = [[b for b in range(B) if not any(np.allclose(rows[s, :, b], rows[s, :, c]) for c in range(b))] for s in range(S)]
    return itertools.product(*different)


def over_responses(game, margin=0.0, replies=None, worst=False):
    """Best value over leader policies and responses when the leader does not move the state: one linear program for each pure response.

    Variables: x[observation, a], V[s]. `margin`: what every other action that differs must lose. `replies(plan)`: leader actions allowed,
    bool [observation, A]. `worst`: the smallest value instead.
    """
    S, A, B = game.shape
    seen, g, every = game.observations, game.discount, np.arange(S)
    classes = int(seen.max()) + 1
    P = game.transition[:, 0]  # [S, B, S]
    values = []
    for plan in patterns(game):
        plan = np.array(plan)
        visits = np.linalg.solve(np.eye(S) - g * P[every, plan].T, game.initial)
        reward = np.zeros((classes, A))
        np.add.at(reward, seen, visits[:, None] * game.leader_reward[every, :, plan])
        equal, less, slack = [], [], []
        for s, b in np.ndindex(S, B):
            row = np.zeros((classes, A))
            row[seen[s]] = game.follower_reward[s, :, b]
            row = np.concatenate([row.ravel(), g * P[s, b] - np.eye(S)[s]])
            if b == plan[s]:
                equal.append(row)
                continue
            less.append(row)
            same = np.allclose(game.follower_reward[s, :, b], game.follower_reward[s, :, plan[s]]) and np.allclose(P[s, b], P[s, plan[s]])
            slack.append(0.0 if same else -margin)
        simplex = np.hstack([np.kron(np.eye(classes), np.ones(A)), np.zeros((classes, S))])
        allowed = np.ones((classes, A), bool) if replies is None else replies(plan)
        found = linprog(
            np.concatenate([(reward if worst else -reward).ravel(), np.zeros(S)]), A_ub=np.array(less), b_ub=slack,
            A_eq=np.vstack([equal, simplex]), b_eq=np.concatenate([np.zeros(S), np.ones(classes)]),
            bounds=[(0, float(ok)) for ok in allowed.ravel()] + [(None, None)] * S,
        )  # fmt: skip
        if found.status == 0:
            values.append(found.fun if worst else -found.fun)
    return min(values) if worst else max(values)


# --- leaders that do not move the state -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEADER_LEAVES_STATE)
def test_strong_value_by_one_linear_program_for_each_response(name, games):
    assert games[name].leader_moves_state() == ""
    assert over_responses(games[name]) == pytest.approx(known(name)["strong"], abs=1e-7)


@pytest.mark.parametrize("name", LEADER_LEAVES_STATE)
def test_weak_value_is_the_limit_as_ties_are_forbidden(name, games):
    values = [over_responses(games[name], margin) for margin in (1e-4, 1e-5)]
    assert values[0] < values[1] < known(name)["strong"]
    assert values[1] + (values[1] - values[0]) / 9 == pytest.approx(known(name)["weak"], abs=1e-6)  # linear in the margin


@pytest.mark.parametrize("name", LEADER_LEAVES_STATE)
def test_all_fixed_points_with_a_pure_follower_are_worth_the_same(name, games):
    """The leader's best replies are those of every state of an observation, whatever the weights of states."""
    game = games[name]
    seen = game.observations

    def replies(plan):
        reward = game.leader_reward[np.arange(len(plan)), :, plan]
        best = np.zeros((int(seen.max()) + 1, reward.shape[1]), bool)
        for o in range(len(best)):
            total = reward[seen == o].sum(0)
            best[o] = total >= total.max() - 1e-12
        return best

    for worst in (False, True):
        assert over_responses(game, replies=replies, worst=worst) == pytest.approx(known(name)["fixed_point"], abs=1e-7)


@pytest.mark.parametrize("name", LEADER_LEAVES_STATE)
def test_the_fixed_point_is_the_greedy_leader(name, games):
    game = games[name]
    x = always(game, GREEDY[name])
    committed = commitment(game, x)
    certificate = game.certify(so.Profile(x, committed.strong_response))
    assert certificate.values["own_follower"] == pytest.approx(known(name)["fixed_point"], abs=1e-8)
    assert certificate.values["leader_regret"] == pytest.approx(0.0, abs=1e-9)
    assert certificate.values["follower_regret"] == pytest.approx(0.0, abs=1e-9)
    assert known(name)["fixed_point"] < known(name)["strong_deterministic"] < known(name)["strong"]


@pytest.mark.parametrize("name", MODELS)
def test_deterministic_value_by_enumeration(name, games):
    game = games[name]
    classes, A = int(game.observations.max()) + 1, game.shape[1]
    policies = np.eye(A)[np.array(list(itertools.product(range(A), repeat=classes)))][:, game.observations]
    best = max(float(commitment(game, x).strong) for x in policies)
    assert best == pytest.approx(known(name)["strong_deterministic"], abs=1e-8)


@pytest.mark.parametrize(("name", "ends"), [("inventory", (4.0, 8.0)), ("congestion_toll", (0.0, 4.0)), ("epidemic_subsidy", (0.0, 1.0))])
def test_only_the_mean_of_the_menu_matters(name, ends):
    assert so.solve(catalog.build(name, menu=ends), so.Exact()).value == pytest.approx(known(name)["strong"], abs=1e-6)


@pytest.mark.parametrize(
    ("name", "parameters", "key"),
    [("inventory", {"sees_stock": False}, "strong_one_price"), ("congestion_toll", {"sees_queue": False}, "strong_by_the_clock")],
)
def test_what_the_leader_sees_is_worth_something(name, parameters, key):
    game = catalog.build(name, **parameters)
    assert over_responses(game) == pytest.approx(known(name)[key], abs=1e-7)
    assert so.solve(game, so.Exact()).value == pytest.approx(known(name)[key], abs=1e-6)


def joint_optimum(reward, P, discount, initial):
    """By value iteration."""
    value = np.zeros(len(reward))
    for _ in range(2000):
        value = (reward + discount * P @ value).max(1)
    return float(initial @ value)


def test_the_supply_chain_of_one_owner(games):
    game, answers = games["inventory"], known("inventory")
    total = game.leader_reward + game.follower_reward
    assert np.allclose(total, total[:, :1]), "the price is a transfer"
    assert joint_optimum(total[:, 0], game.transition[:, 0], game.discount, game.initial) == pytest.approx(answers["one_owner"], abs=1e-7)
    solution = so.solve(game, so.Exact())
    both = solution.value + solution.certificate.values["follower"]
    assert both == pytest.approx(answers["both_under_commitment"], abs=1e-5)
    one = so.solve(catalog.build("inventory", sees_stock=False), so.Exact())
    assert one.value + one.certificate.values["follower"] == pytest.approx(answers["both_under_one_price"], abs=1e-5)
    greedy = commitment(game, always(game, -1))
    assert float(greedy.strong + game.initial @ greedy.follower.value) == pytest.approx(answers["both_at_fixed_point"], abs=1e-8)
    assert answers["both_at_fixed_point"] < answers["both_under_commitment"] < answers["one_owner"]


def test_constant_tolls_and_subsidies(games):
    free = commitment(games["congestion_toll"], always(games["congestion_toll"], 0))
    assert float(free.strong) == pytest.approx(known("congestion_toll")["no_toll"], abs=1e-8)
    half = commitment(games["epidemic_subsidy"], always(games["epidemic_subsidy"], 1))
    assert float(half.strong) == pytest.approx(known("epidemic_subsidy")["always_half"], abs=1e-8)


# --- the models re-read by hand -----------------------------------------------------------------------------------------


def test_a_week_of_the_retailer_by_hand(games):
    """Stock 2, order 2: one unit fits. Demand 0, 1, 2 leaves 3, 2, 1."""
    game = games["inventory"]
    assert game.transition[2, 0, 2] == pytest.approx([0, 0.3, 0.4, 0.3])
    sold = 0.4 + 2 * 0.3
    assert game.follower_reward[2, 1, 2] == pytest.approx(10 * sold - 6 - 0.5 * (3 - sold))
    assert game.leader_reward[2, 1, 2] == pytest.approx(6 - 3 - 1.5)
    assert game.leader_reward[2, 1, 0] == 0.0
    assert np.array_equal(game.follower_reward[2, :, 1], game.follower_reward[2, :, 2])


def test_an_hour_at_the_bridge_by_hand(games):
    game = games["congestion_toll"]
    assert game.states == ("7:00, 0 waiting", "8:00, 0 waiting", "8:00, 1 waiting", "9:00, 0 waiting", "9:00, 1 waiting", "9:00, 2 waiting")
    assert game.transition[2, 0] == pytest.approx(np.array([[0, 0, 0, 0, 0.2, 0.8], [0, 0, 0, 0.2, 0.8, 0]]))
    assert game.follower_reward[2, 1] == pytest.approx([-2 - 2, -3])
    assert game.leader_reward[2, 1] == pytest.approx([-2 - 0.8 * 6 + 0.2 * 2, -3 - 0.8 * 6])
    assert np.all(game.transition[3:, :, :, 0] == 1)


def test_a_week_of_the_town_by_simulation(games):
    """Two of four infected, the healthy protected: each person drawn by itself."""
    game, rng = games["epidemic_subsidy"], np.random.default_rng(0)
    draws = 200_000
    stays_healthy = (rng.random((draws, 2)) < 0.95) & (rng.random((draws, 2)) < 0.92) & (rng.random((draws, 2)) < 0.92)
    infected = 4 - stays_healthy.sum(1) - (rng.random((draws, 2)) < 0.5).sum(1)
    assert game.transition[2, 0, 0] == pytest.approx(np.bincount(infected, minlength=5) / draws, abs=5e-3)
    assert game.follower_reward[2, 1, 0] == pytest.approx(-0.5 * 1.0 * 2 - 2)
    assert game.leader_reward[2, 1, 0] == pytest.approx(-0.5 * 1.0 * 2 * 1.2 - 3 * 2)
    assert np.all(game.leader_reward[4, :, 0] == -12), "nobody is left to protect"


# --- the patrol -------------------------------------------------------------------------------------------------------


def patrol_root():
    """(V, to the mill, to the store): the intruder at the post is indifferent between waiting and either raid.

    A caught raid costs 3, and after a raid the night begins again, worth V: ``0.2 V = 2 - 5 m = 3 - 6 s``. A guard that has left stays
    away, and the other house is raided without risk: ``V = g ((1 - m - s) V + m (3 + g V) + s (2 + g V))``.
    """
    g = 0.8

    def away(V):
        return (2 - (1 - g) * V) / 5, (3 - (1 - g) * V) / 6

    def excess(V):
        m, s = away(V)
        return V - g * ((1 - m - s) * V + m * (3 + g * V) + s * (2 + g * V))

    V = brentq(excess, 0.0, 10.0, xtol=1e-13)
    return (V, *away(V))


def patrol_policy(mill, store):
    return np.array([[1 - mill - store, mill, store], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def test_strong_patrol_is_found_and_closed_by_exact(games):
    solution = so.solve(games["patrol"], so.Exact())
    assert solution.status.success, solution
    assert solution.certified, solution
    assert solution.value == pytest.approx(known("patrol")["strong"], abs=3e-6)
    assert solution.bound.value == pytest.approx(known("patrol")["strong"], abs=3e-6)


def test_strong_patrol_by_its_equations(games):
    game, (value, m, s) = games["patrol"], patrol_root()
    committed = commitment(game, patrol_policy(m, s), margin=1e-9)
    assert float(committed.follower.value[0]) == pytest.approx(value, abs=1e-9)
    by_hand = (-0.1 * (m + s) - 0.8 * (3 * m + 2 * s)) / (1 - 0.8 * (1 - m - s) - 0.64 * (m + s))
    assert by_hand == pytest.approx(known("patrol")["strong"], abs=1e-9)
    assert float(committed.strong) == pytest.approx(by_hand, abs=1e-8)
    a_little_more = commitment(game, patrol_policy(m + 1e-7, s + 1e-7))
    assert float(a_little_more.weak) == pytest.approx(known("patrol")["weak"], abs=1e-5)


def test_strong_patrol_by_sequential_quadratic_programming(games):
    """For each of the 27 pure responses the best patrol for which it is a best response; orders out of reach are left out."""
    game, rng = games["patrol"], np.random.default_rng(0)
    R, U, P, g, every = game.leader_reward, game.follower_reward, game.transition, game.discount, np.arange(3)

    def values(z, plan):
        x = np.array([[1 - z[0] - z[1], z[0], z[1]], [1 - z[2], z[2], 0.0], [1 - z[3], 0.0, z[3]]])
        kernel = np.einsum("sa,sabt->sbt", x, P)
        inverse = np.linalg.inv(np.eye(3) - g * kernel[every, plan])
        leader, follower = (inverse @ np.einsum("sa,sab->sb", x, reward)[every, plan] for reward in (R, U))
        loss = follower[:, None] - np.einsum("sa,sab->sb", x, U) - g * kernel @ follower
        return float(leader[0]), loss[np.arange(3) != plan[:, None]]

    best = -np.inf
    for plan in map(np.array, itertools.product(range(3), repeat=3)):
        for _ in range(3):
            found = minimize(
                lambda z, plan=plan: -values(z, plan)[0], 0.5 * rng.random(4), method="SLSQP", bounds=[(0, 1)] * 4,
                options={"ftol": 1e-12, "maxiter": 200}, constraints=[
                    {"type": "ineq", "fun": lambda z, plan=plan: values(z, plan)[1]}, {"type": "ineq", "fun": lambda z: 1 - z[0] - z[1]}],
            )  # fmt: skip
            value, slack = values(found.x, plan)
            if slack.min() >= -1e-8 and found.x[0] + found.x[1] <= 1 + 1e-12:
                best = max(best, value)
    assert best == pytest.approx(known("patrol")["strong"], abs=1e-6)


def test_the_fixed_point_has_the_same_patrol_and_raids_at_once(games):
    """The guard at the post is indifferent between its three orders; a linear system in its value and the raids' probabilities
    times what follows would be quadratic, so they are found one after the other.
    """
    game, (_, m, s) = games["patrol"], patrol_root()
    g, travel, reward = 0.8, 0.1, 0.5

    def raids(L):
        """Probabilities that make an order to go as good as to stay, if the value from the post is L."""
        gone = {"mill": -3 + g * L, "store": -2 + g * L}
        # stay: -2 a - 3 b + g L; mill: -travel + reward a - 3 b + g ((1 - a - b) gone + (a + b) L); store alike
        matrix = [[reward + 2 - g * (gone["mill"] - L), -g * (gone["mill"] - L)], [-g * (gone["store"] - L), reward + 3 - g * (gone["store"] - L)]]
        return np.linalg.solve(matrix, [travel - g * (gone["mill"] - L), travel - g * (gone["store"] - L)])

    L = brentq(lambda L: float(raids(L) @ [-2, -3]) + g * L - L, -15.0, -1.0, xtol=1e-13)
    a, b = raids(L)
    y = np.array([[1 - a - b, a, b], [0, 0, 1], [0, 1, 0]])
    assert y.min() >= 0
    certificate = game.certify(so.Profile(patrol_policy(m, s), y))
    assert certificate.values["follower_regret"] == pytest.approx(0.0, abs=1e-9)
    assert certificate.values["leader_regret"] == pytest.approx(0.0, abs=1e-9)
    assert certificate.values["own_follower"] == pytest.approx(known("patrol")["fixed_point"], abs=1e-8)
    assert float(L) == pytest.approx(known("patrol")["fixed_point"], abs=1e-8)


def test_raids_that_do_not_end_the_night_by_one_linear_program_for_each_response():
    """The guard's visits times its orders: flow, and what the intruder does in each state is best there."""
    game, answers = catalog.build("patrol", raid_ends=False), known("patrol")
    S, A, B = game.shape
    P, g = game.transition[:, :, 0], game.discount
    assert np.array_equal(game.transition, np.repeat(P[:, :, None], B, axis=2))
    flow = np.repeat(np.eye(S), A, axis=1) - g * P.reshape(S * A, S).T
    best = -np.inf
    for plan in itertools.product(range(B), repeat=S):
        rows = []
        for s, b in np.ndindex(S, B):
            row = np.zeros((S, A))
            row[s] = game.follower_reward[s, :, b] - game.follower_reward[s, :, plan[s]]
            rows.append(row.ravel())
        found = linprog(-game.leader_reward[np.arange(S), :, plan].ravel(), A_ub=np.array(rows), b_ub=np.zeros(S * B), A_eq=flow, b_eq=game.initial)
        best = max(best, -found.fun) if found.status == 0 else best
    assert best == pytest.approx(answers["strong_if_raids_go_on"], abs=1e-8)
    solution = so.solve(game, so.Exact())
    assert solution.certified, solution
    assert solution.bound.reference == "P1"
    assert solution.value == pytest.approx(answers["strong_if_raids_go_on"], abs=1e-6)


def test_a_graph_of_ones_own():
    graph = nx.grid_2d_graph(3, 2)
    nx.set_node_attributes(graph, {node: node[0] for node in graph}, "value")
    game = catalog.build("patrol", graph=graph, raid_ends=False)
    assert game.shape == (6, 6, 5)
    assert game.states[0] == "(0, 0)"
    solution = so.solve(game, so.Exact())
    assert solution.certified, solution
    assert solution.status.success
    best = max(float(commitment(game, always(game, a)).strong) for a in range(6))
    assert solution.value > best + 0.1, "better than to go to any one place"


def test_the_graph_is_the_edges():
    graph = nx.Graph([("post", "mill"), ("post", "store")])
    nx.set_node_attributes(graph, {"mill": np.int64(2), "store": 3.0}, "value")
    assert catalog.build("patrol", graph=graph).fingerprint() == catalog.build("patrol").fingerprint()


def test_one_way_streets_and_orders_out_of_reach():
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "a")])
    graph.nodes["c"]["value"] = 1.0
    game = catalog.build("patrol", graph=graph, base="b")
    assert game.initial.tolist() == [0, 1, 0]
    assert game.follower_actions == ("wait", "c")
    assert game.transition[0, :, 0].argmax(-1).tolist() == [0, 1, 0], "from a to b only"
    assert game.leader_reward[0, :, 0] == pytest.approx([0, -0.1, -0.1])
    assert game.follower_reward[1, :, 1].tolist() == [1.0, 1.0, -3.0]
    assert np.all(game.transition[:, :, 1, 1] == 1), "after a raid the night begins at the base"


# --- what is written, and bad parameters ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_the_text_says_what_is_known(name):
    """Numbers with two decimals in the paragraph on default figures are known answers, rounded."""
    text = catalog.model(name).text
    (paragraph,) = [p for p in text.split("\n\n") if p.startswith("With the default figures")]
    numbers = re.findall(r"-?\d+\.\d\d\b", paragraph)
    answers = {f"{value:.2f}" for value in known(name).values() if isinstance(value, float)}
    assert len(numbers) >= 3
    assert set(numbers) <= answers


def _valued(value):
    graph = nx.path_graph(2)
    graph.nodes[0]["value"] = value
    return graph


@pytest.mark.parametrize(
    ("name", "parameters", "law"),
    [
        ("patrol", {"edges": ()}, "one or more pairs"),
        ("patrol", {"edges": ("a-b-c",)}, "two names joined by one dash"),
        ("patrol", {"edges": ("a-wait",)}, "two names joined by one dash"),
        ("patrol", {"values": (1.0,)}, "one for each of post, mill, store"),
        ("patrol", {"values": (0.0, -1.0, 1.0)}, "non-negative"),
        ("patrol", {"values": (0.0, 0.0, 0.0)}, "a positive value"),
        ("patrol", {"graph": 3}, "a networkx graph"),
        ("patrol", {"graph": nx.Graph()}, "a networkx graph with nodes"),
        ("patrol", {"graph": nx.path_graph(3)}, "a positive value"),
        ("patrol", {"graph": nx.path_graph(["wait", "b"])}, "none of them 'wait'"),
        ("patrol", {"graph": _valued("much")}, "non-negative numbers"),
        ("patrol", {"graph": _valued(float("nan"))}, "non-negative numbers"),
        ("patrol", {"base": "church"}, "one of post, mill, store"),
        ("patrol", {"fine": 0.0}, "positive"),
        ("patrol", {"travel": -1.0}, "non-negative"),
        ("inventory", {"capacity": 0}, "from 1 to 50"),
        ("inventory", {"menu": (4.0, 4.0)}, "different"),
        ("inventory", {"menu": (-4.0,)}, "non-negative"),
        ("inventory", {"demand": (0.5, 0.6)}, "sum to 1"),
        ("inventory", {"holding": -0.1}, "non-negative"),
        ("congestion_toll", {"others": ()}, "one or more probabilities"),
        ("congestion_toll", {"others": (1.5,)}, "in [0, 1]"),
        ("congestion_toll", {"menu": ()}, "different"),
        ("congestion_toll", {"longest": 0}, "from 1 to 20"),
        ("congestion_toll", {"wait_others": -1.0}, "non-negative"),
        ("congestion_toll", {"first_hour": 24}, "from 0 to 23"),
        ("epidemic_subsidy", {"people": 0}, "from 1 to 40"),
        ("epidemic_subsidy", {"menu": (0.0, 1.5)}, "in [0, 1]"),
        ("epidemic_subsidy", {"recovery": 1.1}, "in [0, 1]"),
        ("epidemic_subsidy", {"price": -1.0}, "non-negative"),
        ("epidemic_subsidy", {"own": 4.0}, "from 0 to 3"),
        ("epidemic_subsidy", {"funds": -0.1}, "non-negative"),
    ],
    ids=lambda value: re.sub(r" at 0x[0-9a-f]+", "", str(value)),  # the same in every process
)
def test_parameters_outside_their_range_are_refused(name, parameters, law):
    with pytest.raises(InvalidMethod, match=r"\[model-value\]") as error:
        catalog.build(name, **parameters)
    assert law in str(error.value)


@pytest.mark.parametrize("name", MODELS)
def test_the_discount_is_checked_by_the_game(name):
    with pytest.raises(so.errors.InvalidGame, match="discount"):
        catalog.build(name, discount=1.0)


@pytest.mark.parametrize(
    ("name", "parameters", "shape"),
    [
        ("patrol", {"edges": ["a-b"], "values": [1, 1]}, (2, 2, 3)),
        ("inventory", {"capacity": 1, "menu": [5], "demand": [1]}, (2, 1, 2)),
        ("congestion_toll", {"others": [0.5], "longest": 5}, (1, 3, 2)),
        ("congestion_toll", {"others": [0.5] * 4, "longest": 2}, (9, 3, 2)),
        ("epidemic_subsidy", {"people": 1, "imported": 0}, (2, 3, 2)),
    ],
)
def test_other_sizes(name, parameters, shape):
    assert catalog.build(name, **parameters).shape == shape
