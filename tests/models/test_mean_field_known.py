"""Every mean-field model against its known answers: exploitability is recomputed from the policy by a recursion of this file.

Policies are never compared with one another; distributions only where they are unique.
"""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq, minimize, minimize_scalar

import stackopt as so
from stackopt import catalog
from stackopt.games.mean_field.dynamics import answer, exploitability, respond
from stackopt.testing import check_problem

RECORDED = [name for name in catalog.names() if (catalog.folder("data") / "games" / f"{name}.json").exists()]
MEAN_FIELD = [name for name in RECORDED if catalog.recorded(name).kind == "mean_field"]
NOTHING = np.zeros(0)


def known(name):
    return catalog.model(name).known


def near(name, value):
    return pytest.approx(value, abs=known(name)["tolerance"])


# --- a second evaluator: finite horizon, one type, fresh loops ----------------------------------------------------------


def recursion(game, policy, theta=NOTHING):
    """(distributions [T, S], value of the policy, value of the best response) of everybody's `policy` [T, S, B]."""
    _, T, S, _ = game.shape
    mass, masses, rewards, kernels = game.initial[0], [], [], []
    for t in range(T):
        flow = mass[:, None] * policy[t]
        if isinstance(game.statistic, str):
            y = flow.sum(-1) if game.statistic == "states" else flow.ravel()
        else:
            y = np.einsum("sb,sbj->j", flow, np.broadcast_to(game.statistic, (1, T, *game.statistic.shape[2:]))[0, t])
        stage = np.array([t])
        rewards.append(game.rewards(y[None], theta, stage)[0, 0])
        kernels.append(np.broadcast_to(game.kernel(y[None], theta, stage).dense(), (1, 1, S, policy.shape[-1], S))[0, 0])
        masses.append(mass)
        mass = np.einsum("sb,sbn->n", flow, kernels[-1])
    own = best = np.zeros(S)
    for t in reversed(range(T)):
        own = (policy[t] * (rewards[t] + kernels[t] @ own)).sum(-1)
        best = (rewards[t] + kernels[t] @ best).max(-1)
    return np.array(masses), float(game.initial[0] @ own), float(game.initial[0] @ best)


def candidate(game, policy, theta=NOTHING, **claims):
    """A policy [T, S, B] with the law it brings about."""
    policy, theta = np.asarray(policy, float)[None], np.asarray(theta, float)
    return so.Population(theta, policy, exploitability(game, policy, theta).law.mean_field, **claims)


def certified(game, policy, theta=NOTHING, **claims):
    """The certificate of a policy [T, S, B] with the law it brings about."""
    return game.certify(candidate(game, policy, theta, **claims))


# --- the catalogue ------------------------------------------------------------------------------------------------------


def test_the_recorded_mean_field_games_are_models():
    assert {"left_right", "rock_paper_scissors", "beach_bar", "sis_epidemic", "sis_subsidy", "congested_logit", "logit_population"} <= set(MEAN_FIELD)
    assert "pigou_population" in MEAN_FIELD


def test_models_are_problems():
    game = catalog.build("left_right")
    policy = game.uniform()[0]
    policy[0, 0] = [2 / 3, 1 / 3]
    check_problem(game, candidate(game, policy))
    check_problem(catalog.build("pigou_population"), candidate(catalog.build("pigou_population"), [[[0.5, 0.5]]], [0.5]))


def test_every_mean_field_model_is_asserted_somewhere():
    others = {name for name in catalog.names() if catalog.model(name).kind == "MeanFieldStackelbergGame"} - set(MEAN_FIELD)
    texts = [path.read_text() for path in Path(__file__).parent.parent.rglob("test_*.py")]
    assert all(any(f'"{name}"' in text for text in texts) for name in others), others


@pytest.mark.parametrize("name", MEAN_FIELD)
def test_a_recorded_game_is_what_its_model_builds(name):
    recorded, game = catalog.recorded(name), catalog.build(name)
    assert isinstance(game, so.MeanFieldStackelbergGame)
    assert game.fingerprint() == recorded.problem.fingerprint()
    assert set(recorded.known) <= set(known(name))


@pytest.mark.parametrize("name", [name for name in MEAN_FIELD if "exploitability_uniform" in known(name)])
def test_exploitability_of_uniform_policies(name):
    game = catalog.build(name)
    _, own, best = recursion(game, game.uniform()[0])
    assert best - own == near(name, known(name)["exploitability_uniform"])
    assert exploitability(game, game.uniform(), NOTHING).total == near(name, known(name)["exploitability_uniform"])


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("beach_bar", {"horizon": 0}),
        ("beach_bar", {"places": 1}),
        ("beach_bar", {"bar": 4}),
        ("beach_bar", {"still": 1.5}),
        ("sis_epidemic", {"stages": 0}),
        ("sis_epidemic", {"infected": 1.5}),
        ("sis_epidemic", {"cost": 0.0}),
        ("sis_subsidy", {"discount": 1.0}),
        ("sis_subsidy", {"contagion": 0.0}),
        ("sis_subsidy", {"cost": 0.0}),
        ("sis_subsidy", {"cap": 0.5}),
        ("congested_logit", {"value": 0.0}),
        ("congested_logit", {"congestion": -1.0}),
        ("congested_logit", {"cap": 0.0}),
        ("logit_population", {"value": 0.0}),
        ("logit_population", {"cap": 0.0}),
        ("pigou_population", {"slope": 0.0}),
        ("pigou_population", {"railway": 0.0}),
        ("pigou_population", {"cap": -1.0}),
    ],
    ids=str,
)
def test_parameters_outside_their_range_are_refused(name, parameters):
    with pytest.raises(so.InvalidMethod, match=r"\[model-value\]"):
        catalog.build(name, **parameters)


# --- two groups and three -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "start"), [("left_right", [2 / 3, 1 / 3]), ("rock_paper_scissors", [26 / 77, 20 / 77, 31 / 77])])
def test_groups_that_earn_alike(name, start):
    game = catalog.build(name)
    policy = game.uniform()[0]
    policy[0, 0] = start
    masses, own, best = recursion(game, policy)
    assert best - own == near(name, 0.0)
    assert own == near(name, known(name)["equilibrium_value"])
    assert masses[1, 1:] == near(name, start)
    assert masses == near(name, np.array(known(name)["mean_field"]))
    assert certified(game, policy).certified


def test_left_right_has_no_other_equilibrium():
    """The gain of the better side is zero at one share only."""
    game = catalog.build("left_right")
    for p in np.linspace(0, 1, 31):
        policy = game.uniform()[0]
        policy[0, 0] = [p, 1 - p]
        _, own, best = recursion(game, policy)
        assert (best - own < 1e-9) == (abs(p - 2 / 3) < 1e-9)


# --- the beach ------------------------------------------------------------------------------------------------------------


def test_the_beach_by_its_concave_potential():
    """The distributions maximise the potential; the policy of the maximum is an equilibrium."""
    game, answers = catalog.build("beach_bar"), known("beach_bar")
    base, (kernel,) = game.reward.base[0], game.transition[0]
    shape = (3, 4, 3)

    def potential(flat):
        flow = flat.reshape(shape)
        mu = flow.sum(-1) + 1e-20
        return -float((flow * base).sum() - (mu * np.log(mu) - mu).sum())

    def balance(flat):
        flow = flat.reshape(shape)
        after = np.einsum("tsb,sbn->tn", flow, kernel)
        return np.concatenate([flow[0].sum(-1) - 0.25, (flow[1:].sum(-1) - after[:-1]).ravel()])

    start = game.uniform()[0] * recursion(game, game.uniform()[0])[0][..., None]
    options = {"ftol": 1e-15, "maxiter": 500}
    found = minimize(potential, start.ravel(), method="SLSQP", bounds=[(0, 1)] * 36, constraints={"type": "eq", "fun": balance}, options=options)
    flow = np.maximum(found.x.reshape(shape), 0.0)
    policy = flow / flow.sum(-1, keepdims=True)
    masses, own, best = recursion(game, policy)
    assert -found.fun == near("beach_bar", answers["potential"])
    assert masses == pytest.approx(np.array(answers["mean_field"]), abs=1e-5), "the potential is flat at its maximum"
    assert own == pytest.approx(answers["equilibrium_value"], abs=1e-5)
    assert best - own == pytest.approx(0.0, abs=1e-5)


# --- the epidemic ---------------------------------------------------------------------------------------------------------


def going_out(stages, pattern):
    """The policy [T, S, B] in which the susceptible go out where `pattern` says so, and the infected always."""
    out = np.array([float(c) for c in pattern])
    assert len(out) == stages
    policy = np.zeros((stages, 2, 2))
    policy[:, 0, 0], policy[:, 0, 1], policy[:, 1, 0] = out, 1 - out, 1.0
    return policy


def pure_equilibria(stages):
    """All pure policies of the susceptible that are equilibria, by the recursions of D = V_S - V_I, all 2 ** T at once."""
    out = np.array(list(itertools.product((0.0, 1.0), repeat=stages)))
    mu, shares = np.full(len(out), 0.6), []
    for t in range(stages):
        shares.append(mu)
        mu = 0.7 * mu + (1 - mu) * out[:, t] * 0.81 * mu
    D, fine = np.zeros(len(out)), np.ones(len(out), bool)
    for t in reversed(range(stages)):
        gain = 0.5 - 0.81 * shares[t] * D  # of going out over keeping a distance
        fine &= np.where(out[:, t] == 1, gain >= 0, gain <= 0)
        D = 0.5 + 0.7 * D + np.maximum(gain, 0)
    return ["".join(str(int(c)) for c in row) for row in out[fine]]


def test_the_equilibrium_of_fifty_one_stages():
    game, answers = catalog.build("sis_epidemic"), known("sis_epidemic")
    policy = going_out(51, answers["go_out"])
    _, own, best = recursion(game, policy)
    assert best - own == near("sis_epidemic", 0.0)
    assert own == near("sis_epidemic", answers["equilibrium_value"])
    certificate = certified(game, policy)
    assert certificate.certified, certificate
    assert certificate.values["exploitability"] == pytest.approx(0.0, abs=1e-12)


def test_the_equilibrium_of_four_stages():
    game, answers = catalog.build("sis_epidemic", stages=4), known("sis_epidemic")
    assert pure_equilibria(4) == [answers["go_out_4_stages"]]
    masses, own, best = recursion(game, going_out(4, answers["go_out_4_stages"]))
    assert best - own == near("sis_epidemic", 0.0)
    assert own == near("sis_epidemic", answers["equilibrium_value_4_stages"])
    assert masses[:, 1] == near("sis_epidemic", answers["mean_field_infected_4_stages"])


def test_equilibria_are_several():
    answers = known("sis_epidemic")
    found = pure_equilibria(7)
    assert found == answers["pure_equilibria_7_stages"]
    game = catalog.build("sis_epidemic", stages=7)
    for pattern in found:
        _, own, best = recursion(game, going_out(7, pattern))
        assert best - own == near("sis_epidemic", 0.0)
    assert len(pure_equilibria(16)) == answers["pure_equilibria_16_stages"]


# --- the epidemic without an end, and its subsidy -------------------------------------------------------------------------


def endemic(subsidy, g=0.99, contagion=0.81, recovery=0.3, cost=0.5):
    """(mu, P(out), value of the susceptible) of the closed form."""
    susceptible = -(cost - subsidy) / (1 - g)
    infected = (-1 + g * recovery * susceptible) / (1 - g * (1 - recovery))
    q = (cost - subsidy) / (g * (susceptible - infected))
    mu = q / contagion
    return mu, recovery * mu / ((1 - mu) * q), susceptible


def at_rest(out, mu):
    """The policy [1, S, B] and mean field [1, 1, S] where a share mu is infected and a share `out` of the rest goes out."""
    return np.array([[[out, 1 - out], [1.0, 0.0]]]), np.array([[[1 - mu, mu]]])


@pytest.mark.parametrize(("subsidy", "keys"), [(0.0, ("infected", "out")), (known("sis_subsidy")["subsidy"], ("infected_at_best", "out_at_best"))])
def test_the_endemic_equilibrium_is_one(subsidy, keys):
    game, answers = catalog.build("sis_subsidy"), known("sis_subsidy")
    mu, out, value = endemic(subsidy)
    assert (mu, out) == near("sis_subsidy", tuple(answers[key] for key in keys))
    policy, law = at_rest(out, mu)
    certificate = game.certify(so.Population(np.array([subsidy]), policy[None], law))
    assert certificate.certified, certificate
    assert certificate.values["exploitability"] == pytest.approx(0.0, abs=1e-10)
    expected = answers["leader_value"] if subsidy else answers["leader_value_without_subsidy"]
    assert certificate.values["leader"] == near("sis_subsidy", expected)
    y = np.array([[1 - mu, mu]])
    for action in (0, 1):  # policy evaluation: both pure policies are worth the same to the susceptible
        plan = np.array([[1.0 - action, action], [1.0, 0.0]])
        reward = (plan * game.rewards(y, np.array([subsidy]))[0, 0]).sum(-1)
        moves = np.einsum("sb,sbn->sn", plan, game.kernel(y, np.array([subsidy])).dense()[0, 0])
        assert np.linalg.solve(np.eye(2) - 0.99 * moves, reward)[0] == pytest.approx(value, abs=1e-9)
    if not subsidy:
        assert value == near("sis_subsidy", answers["susceptible_value"])
        assert 0.81 * mu == near("sis_subsidy", answers["infection_chance"])


def test_without_infected_people_there_is_another_equilibrium():
    game, answers = catalog.build("sis_subsidy"), known("sis_subsidy")["disease_free"]
    for subsidy in (0.0, 0.2):
        policy, law = at_rest(answers["out"], answers["infected"])
        certificate = game.certify(so.Population(np.array([subsidy]), policy[None], law))
        assert certificate.certified, certificate
        assert certificate.values["leader"] == answers["leader_value"]


def test_the_best_subsidy_by_search():
    answers = known("sis_subsidy")

    def loss(s):
        mu, out, _ = endemic(s)
        return mu + s * (1 - mu) * (1 - out)

    found = minimize_scalar(loss, bounds=(0.0, 0.49), method="bounded", options={"xatol": 1e-10})
    assert -found.fun == near("sis_subsidy", answers["leader_value"])
    assert found.x == near("sis_subsidy", answers["subsidy"])
    assert loss(np.linspace(0, 0.49, 2001)).min() >= found.fun - 1e-9


@pytest.mark.parametrize("temperature", ["1.0", "0.3", "0.1", "0.03"])
@pytest.mark.parametrize("convention", ["entropy", "boltzmann"])
def test_soft_endemic_states(convention, temperature):
    """The share of infected at which soft people keep it where it is; the same operators as a solver uses, one unknown."""
    game, tau, theta = catalog.build("sis_subsidy"), float(temperature), np.zeros(1)

    def policy(mu):
        y = np.array([[1 - mu, mu]])
        if convention == "entropy":
            return respond(game, y, theta, tau).policy[0, 0]
        q = answer(game.rewards(y, theta), game.kernel(y, theta), game.discount, cyclic=True).q[0, 0] / tau
        return np.exp(q - q.max(-1, keepdims=True)) / np.exp(q - q.max(-1, keepdims=True)).sum(-1, keepdims=True)

    def change(mu):
        return (1 - mu) * policy(mu)[0, 0] * 0.81 * mu - 0.3 * mu

    found = brentq(change, 0.05, 0.6, xtol=1e-14)
    assert found == near("sis_subsidy", known("sis_subsidy")["soft_infected"][convention][temperature])
    if convention == "entropy":
        soft = policy(found)[None, None]
        certificate = game.certify(so.Population(theta, soft, np.array([[[1 - found, found]]]), temperature=tau))
        assert certificate.certified, certificate
        assert certificate.values["exploitability"] > 0


# --- prices ---------------------------------------------------------------------------------------------------------------


def share_that_buys(game, price, tau):
    """The fixed point of the buyers' soft response, by bisection; it is unique as congestion repels."""

    def excess(d):
        return respond(game, np.array([[d]]), np.array([price]), tau).policy[0, 0, 0, 0] - d

    return brentq(excess, 0.0, 1.0, xtol=1e-15)


@pytest.mark.parametrize(("name", "tau"), [(name, tau) for name in ("congested_logit", "logit_population") for tau in known(name)["soft"]])
def test_the_best_price_of_soft_buyers(name, tau):
    game, answers, temperature = catalog.build(name), known(name)["soft"][tau], float(tau)
    found = minimize_scalar(lambda p: -p * share_that_buys(game, p, temperature), bounds=(0.0, 4.0), method="bounded", options={"xatol": 1e-9})
    assert -found.fun == near(name, answers["leader_value"])
    assert found.x == pytest.approx(answers["p"], abs=1e-6), "the value is flat at its maximum"
    demand = share_that_buys(game, answers["p"], temperature)
    assert demand == near(name, answers["demand"])
    policy = np.array([[[[demand, 1 - demand]]]])
    settled = so.Population(np.array([answers["p"]]), policy, np.ones((1, 1, 1)), temperature=temperature, claim=answers["leader_value"])
    certificate = game.certify(settled)
    assert certificate.certified, certificate
    assert certificate.values["leader"] == near(name, answers["leader_value"])


def test_the_price_of_logit_buyers_is_the_closed_form():
    from scipy.special import lambertw

    for tau, answers in known("logit_population")["soft"].items():
        w = float(lambertw(np.exp(2.0 / float(tau) - 1)).real)
        assert (answers["p"], answers["leader_value"]) == near("logit_population", (float(tau) * (1 + w), float(tau) * w))
        assert answers["demand"] == near("logit_population", w / (1 + w))
    assert known("logit_population")["soft"]["0.1"]["leader_value"] == near("logit_population", catalog.recorded("logit_price").known["soft_commitment"])


@pytest.mark.parametrize("name", ["congested_logit", "logit_population"])
def test_the_best_price_of_buyers_without_randomness(name):
    game, answers = catalog.build(name), known(name)["hard_limit"]
    d = answers["demand"]
    certificate = game.certify(so.Population(np.array([answers["p"]]), np.array([[[[d, 1 - d]]]]), np.ones((1, 1, 1)), claim=answers["leader_value"]))
    assert certificate.certified, certificate
    if name == "congested_logit":  # d = (2 - p) / 3 for prices in [0, 2]
        assert max(p * min(1.0, (2 - p) / 3) for p in np.linspace(0, 2, 2001)) == near(name, answers["leader_value"])
    values = [soft["leader_value"] for _, soft in sorted(known(name)["soft"].items(), key=lambda pair: -float(pair[0]))]
    distances = [abs(value - answers["leader_value"]) for value in values]
    assert distances == sorted(distances, reverse=True), "as the temperature falls, the value approaches that of the limit"


@pytest.mark.parametrize(
    ("name", "points", "decision", "value"),
    [
        ("congested_logit", np.linspace(0, 2, 9), "p", known("congested_logit")["hard_limit"]),
        ("logit_population", np.array([0.0, 1.0, 1.5, 2.0, 2.5]), "p", known("logit_population")["hard_limit"]),
        ("pigou_population", np.linspace(0, 1, 11), "toll", known("pigou_population")),
    ],
)
def test_exact_search_of_a_menu_that_holds_the_best_decision(name, points, decision, value):
    game = dataclasses.replace(catalog.build(name), leader=so.Menu(points))
    solution = so.solve(game, so.Exact())
    assert solution.status.success, solution
    assert solution.certified, solution
    assert solution.value == pytest.approx(value["leader_value"], abs=1e-7)
    assert solution.candidate.theta == pytest.approx([value[decision]], abs=1e-12)


# --- Pigou's toll ----------------------------------------------------------------------------------------------------------


def test_pigou_by_the_closed_form_and_by_the_bilevel_program():
    game, answers = catalog.build("pigou_population"), known("pigou_population")

    def settled(toll):  # the share at which nobody wants to move: road share + toll = 1
        x = float(np.clip(1 - toll, 0, 1))
        return np.array([[[x, 1 - x]]])

    for toll in np.linspace(0, 1, 21):
        certificate = certified(game, settled(toll), [toll])
        assert certificate.certified, certificate
        assert certificate.values["leader"] <= answers["leader_value"] + 1e-12
    best = certified(game, settled(answers["toll"]), [answers["toll"]], claim=answers["leader_value"])
    assert best.certified, best
    assert settled(answers["toll"])[0, 0, 0] == answers["on_the_road"]
    assert certified(game, settled(0.0), [0.0]).values["leader"] == near("pigou_population", answers["leader_value_without_tolls"])
    program = known("pigou_toll")
    assert (-answers["leader_value"], -answers["leader_value_without_tolls"]) == (program["value"], program["value_without_tolls"])
    assert answers["toll"] == program["toll"]


# --- the default against all of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in MEAN_FIELD if catalog.build(name).parameters == 0])
def test_the_default_finds_an_equilibrium(name):
    game = catalog.build(name)
    solution = so.solve(game, so.MeanFieldEquilibrium(starts=1))
    assert solution.status is so.Status.CONVERGED, solution
    assert solution.certified, solution
    masses, own, best = recursion(game, solution.candidate.policy[0])
    assert best - own <= 1.01e-6 * solution.certificate.values["uniform"] + 1e-12
    if name != "sis_epidemic":  # distributions are unique
        assert masses == pytest.approx(np.array(known(name)["mean_field"]), abs=2e-3)
        assert own == pytest.approx(known(name)["equilibrium_value"], abs=5e-3)


def test_the_default_lists_both_states_of_the_epidemic():
    answers = known("sis_subsidy")
    solution = so.solve(catalog.build("sis_subsidy"), so.MeanFieldEquilibrium(theta=[0.0]))
    assert solution.status is so.Status.CONVERGED, solution
    assert solution.certified, solution
    infected = sorted(float(found.mean_field[0, 0, 1]) for found in (solution.candidate, *solution.candidate.others))
    assert infected == pytest.approx([answers["disease_free"]["infected"], answers["infected"]], abs=1e-4)


@pytest.mark.parametrize("temperature", ["1.0", "0.1"])
def test_the_default_with_soft_people(temperature):
    solution = so.solve(catalog.build("sis_subsidy"), so.MeanFieldEquilibrium(theta=[0.0], temperature=float(temperature)))
    assert solution.status is so.Status.CONVERGED, solution
    assert solution.certified, solution
    infected = [float(found.mean_field[0, 0, 1]) for found in (solution.candidate, *solution.candidate.others)]
    assert min(abs(mu - known("sis_subsidy")["soft_infected"]["entropy"][temperature]) for mu in infected) < 1e-5


@pytest.mark.parametrize(("name", "tau"), [("congested_logit", "0.1"), ("congested_logit", "0.01"), ("logit_population", "0.1")])
def test_the_default_with_soft_buyers(name, tau):
    answers = known(name)["soft"][tau]
    solution = so.solve(catalog.build(name), so.MeanFieldEquilibrium(theta=[answers["p"]], temperature=float(tau)))
    assert solution.status is so.Status.CONVERGED, solution
    assert solution.certified, solution
    assert solution.candidate.policy[0, 0, 0, 0] == pytest.approx(answers["demand"], abs=1e-6)
    assert solution.value == pytest.approx(answers["leader_value"], abs=1e-5)


@pytest.mark.parametrize(("name", "tau"), [(name, tau) for name in ("congested_logit", "logit_population") for tau in known(name)["soft"]])
def test_ascent_to_the_best_price(name, tau):
    answers = known(name)["soft"][tau]
    solution = so.solve(catalog.build(name), so.HypergradientAscent(temperature=float(tau)))
    assert solution.status is so.Status.CONVERGED, solution
    assert solution.certified, solution
    assert solution.value == pytest.approx(answers["leader_value"], abs=1e-7)
    assert solution.candidate.theta == pytest.approx([answers["p"]], abs=1e-4), "the value is flat at its maximum"


def test_ascent_to_the_toll_of_pigou():
    solution = so.solve(catalog.build("pigou_population"), so.HypergradientAscent(temperature=0.1))
    assert solution.certified, solution
    assert solution.value == pytest.approx(known("pigou_population")["leader_value"], abs=1e-9), "half on each: also with soft travellers"
    assert solution.candidate.theta == pytest.approx([known("pigou_population")["toll"]], abs=1e-4)


def test_ascent_to_the_best_subsidy_of_soft_people():
    """Against a search with the endemic state as one unknown; and near the best subsidy of people who do not randomise."""
    game, tau = catalog.build("sis_subsidy"), 0.1

    def value(subsidy):
        def people(mu):
            return respond(game, np.array([[1 - mu, mu]]), np.array([subsidy]), tau).policy[0, 0]

        mu = brentq(lambda mu: (1 - mu) * people(mu)[0, 0] * 0.81 * mu - 0.3 * mu, 0.02, 0.6, xtol=1e-12)
        return -(mu + subsidy * (1 - mu) * people(mu)[0, 1])

    found = minimize_scalar(lambda s: -value(s), bounds=(0.1, 0.35), method="bounded", options={"xatol": 1e-6})
    solution = so.solve(game, so.HypergradientAscent(temperature=tau, starts=1))
    assert solution.status is so.Status.CONVERGED, solution
    assert solution.certified, solution
    assert solution.value == pytest.approx(-found.fun, abs=1e-6)
    assert solution.value == pytest.approx(known("sis_subsidy")["leader_value"], abs=0.01)
