"""The tariff study as a mean-field game, held against the study's own equilibrium, gradients and criteria: two routes that share only the demand of an hour."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from towns import LOAD, SUN, town

import stackopt as so
from stackopt.energy.criteria import criteria
from stackopt.energy.designs.problem import DesignProblem
from stackopt.energy.equilibrium import equilibrium, spectral_radius
from stackopt.energy.games.factors import factors_game
from stackopt.energy.games.game import as_game, criteria_of, outcome, per_day, prices_of
from stackopt.energy.games.moves import IMPOSSIBLE
from stackopt.energy.games.objective import Weights
from stackopt.energy.gradients import gradients
from stackopt.energy.households import Battery, Households, HouseholdType, Weather
from stackopt.energy.market.network import Generator, Line, Market
from stackopt.energy.market.smooth import NetworkSupply
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.standard import standard_households
from stackopt.energy.tariff import Tariff
from stackopt.energy.welfare import welfare_optimum
from stackopt.games.mean_field.derivatives import Partials
from stackopt.learning.mean_field.leader_gradient import leader_gradient
from stackopt.learning.mean_field.settling import settle_soft

SMALL = Battery(levels=4)
PASS = Tariff("pass-through", pass_buy=1.0, pass_sell=1.0)


def solved(game, temperature=0.02, **settings):
    return so.solve(game, so.MeanFieldEquilibrium(temperature=temperature, starts=1, **settings))


def reference(households, market, tariff=PASS, temperature=0.02):
    found = equilibrium(households, market, tariff, temperature=temperature, tolerance=1e-11)
    assert found.converged
    return found


# --- the followers' equilibrium ---------------------------------------------------------------------------------------------


def test_standard_size_with_a_certificate():
    """45 types x 24 h x 2 regimes x 11 levels, of which the 15 with a battery play."""
    households, market = standard_households(), LinearSupply()
    game, known = as_game(households, market, PASS), reference(households, market)
    assert game.shape == (15, 24, 22, 7)
    found = solved(game)
    assert found.status is so.Status.CONVERGED
    assert found.certified
    assert np.abs(prices_of(game, found.candidate) - known.price).max() <= 1e-7  # $/kWh; of the discount, measured 2e-8
    gain = per_day(game, found.certificate.values["exploitability"])
    assert gain == pytest.approx(float(households.share @ known.response.exploitability()), abs=1e-6)
    assert 0.005 < gain < 0.02  # $ a day and household: what softness costs
    seen, own = criteria_of(game, found.candidate), criteria(known)
    for name in ("cost", "utility", "wear", "gap", "volumetric", "wholesale", "peak", "ramp", "price_spread"):
        assert getattr(seen, name) == pytest.approx(getattr(own, name), rel=2e-6), name


@pytest.mark.parametrize("batteries", [(Battery(), Battery()), (Battery(), Battery(kwh=6.0, kw=3.0, levels=5, efficiency=0.8))], ids=["alike", "two kinds"])
def test_outcome_measures_what_is_left_to_gain(batteries):
    """The study's best answers against the moves of a policy, and the certificate's: equal up to the discount."""
    types = [HouseholdType(name, "g", "PVB", 0.2, 50_000, LOAD, SUN, battery) for name, battery in zip("ab", batteries, strict=True)]
    households = Households([*types, HouseholdType("c", "g", "C", 0.6, 50_000, LOAD)])
    game = as_game(households, LinearSupply(), PASS)
    for temperature in (0.03, 0.1):
        found = solved(game, temperature)
        seen = outcome(game, found.candidate)
        gain = float(households.share @ seen.response.exploitability())
        assert gain > 1e-3
        assert gain == pytest.approx(per_day(game, found.certificate.values["exploitability"]), rel=1e-3)
        assert not seen.converged  # the study did not find it
        assert criteria(seen).cost == pytest.approx(criteria_of(game, found.candidate).cost, abs=1e-12)


def test_prices_differ_by_the_discount_and_by_nothing_else():
    households, market = town(), LinearSupply()
    known = reference(households, market)
    away = []
    for missing in (1e-3, 1e-4, 1e-5):
        game = as_game(households, market, PASS, discount=1.0 - missing)
        away.append(np.abs(prices_of(game, solved(game).candidate) - known.price).max())
    assert away[2] < 2e-6
    assert away[0] / away[1] == pytest.approx(10.0, rel=0.05)
    assert away[1] / away[2] == pytest.approx(10.0, rel=0.05)


def test_damped_softmax_policy_iteration_finds_the_same_prices():
    households, market = town(), LinearSupply()
    game, known = as_game(households, market, PASS), reference(households, market)
    damped = so.solve(game, so.SoftmaxPolicyIteration(0.02, "fixed_point", damping=0.5, tolerance=1e-6))
    assert damped.status is so.Status.CONVERGED
    assert np.abs(prices_of(game, damped.candidate) - known.price).max() <= 1e-6
    undamped = so.solve(game, so.SoftmaxPolicyIteration(0.02, "fixed_point", tolerance=1e-6, iterations=15))
    assert undamped.status is so.Status.LIMIT
    assert not undamped.certified
    assert spectral_radius(known) > 1.0


def test_hard_instance():
    """Slope 0.2, temperature 0.005: undamped iteration runs from one side to the other, and says so; the default converges."""
    households, market = standard_households(shapes=("ca",)), LinearSupply(slope=0.2)
    game, known = as_game(households, market, PASS), reference(households, market, temperature=0.005)
    cycling = so.solve(game, so.SoftmaxPolicyIteration(0.005, "fixed_point", iterations=15))
    assert cycling.status is so.Status.LIMIT
    assert not cycling.certified
    assert cycling.certificate.values["soft_distance"] > 1.0
    found = solved(game, 0.005)
    assert found.status is so.Status.CONVERGED
    assert found.certified
    assert np.abs(prices_of(game, found.candidate) - known.price).max() <= 1e-5
    assert per_day(game, found.certificate.values["exploitability"]) == pytest.approx(float(households.share @ known.response.exploitability()), abs=1e-5)


def test_hard_players_reach_the_welfare_optimum():
    """Under equal pass-through the equilibrium is the optimum of a convex program, which knows nothing of games; the gap is within the certificate's."""
    households, market = town(), LinearSupply(slope=0.2)
    game, least = as_game(households, market, PASS), welfare_optimum(households, market)
    found = so.solve(game, so.MeanFieldEquilibrium(starts=1))
    assert found.status is so.Status.CONVERGED
    assert found.certified
    gain = per_day(game, found.certificate.values["exploitability"])
    above = criteria_of(game, found.candidate).cost - least.bound
    assert -1e-9 <= above <= gain + 1e-7
    assert gain < 1e-5  # $ a day and household
    assert np.abs(prices_of(game, found.candidate)[0] - least.price).max() < 2e-4


def test_where_wear_exceeds_the_spread_of_prices_batteries_stand_still():
    households, market = standard_households(), LinearSupply()
    game = as_game(households, market, PASS)
    found = so.solve(game, so.MeanFieldEquilibrium(starts=1))
    assert found.certified
    price = prices_of(game, found.candidate)
    assert price.max(1).max() - price.min(1).min() < Battery().wear
    assert np.abs(game.aggregate(found.candidate.mean_field[..., None] * found.candidate.policy) - game.reward.market.at_rest).max() < 1e-12


def test_learners_that_do_not_get_there_say_so():
    game = as_game(town(), LinearSupply(), PASS)
    averaging = so.solve(game, so.FictitiousPlay(iterations=60))
    assert averaging.status is so.Status.LIMIT  # falls like 1/n
    assert 0.0 < averaging.certificate.values["relative"] < 0.02
    responding = so.solve(game, so.FictitiousPlay(step=1.0, iterations=30))
    assert "cycle" in str(responding)
    assert not responding.certified
    descending = so.solve(game, so.MirrorDescent(step=10, iterations=30))
    assert descending.certificate.values["relative"] < 0.1


def test_nobody_tries_the_impossible():
    game = as_game(town(), LinearSupply(), PASS)
    policy = solved(game).candidate.policy.reshape(24, 2, 11, 7)
    assert np.abs(policy[:, :, 0, :3]).max() <= np.exp(-0.9 * IMPOSSIBLE / 0.02) + 1e-300  # empty, and discharging
    assert policy[:, :, 10, 4:].max() < 1e-90


def test_everyone_may_play():
    households, market = town(), LinearSupply()
    few, all_ = as_game(households, market, PASS), as_game(households, market, PASS, everyone=True)
    assert all_.shape[0] == 4
    first, second = solved(few), solved(all_)
    assert np.abs(prices_of(few, first.candidate) - prices_of(all_, second.candidate)).max() <= 1e-8
    gains = [per_day(game, s.certificate.values["exploitability"]) for game, s in ((few, first), (all_, second))]
    assert gains[0] == pytest.approx(gains[1], rel=1e-5)


def test_batteries_of_several_kinds():
    large, small = Battery(), Battery(kwh=6.0, kw=3.0, levels=5, efficiency=0.8)
    types = [
        HouseholdType("large", "rich", "PVB", 0.1, 200_000, LOAD, SUN, large),
        HouseholdType("small", "rich", "PVB", 0.2, 200_000, 1.2 * LOAD, SUN, small),
        HouseholdType("none", "poor", "C", 0.7, 30_000, LOAD),
    ]
    households, market = Households(types), LinearSupply()
    known = reference(households, market)
    for everyone in (False, True):
        game = as_game(households, market, PASS, everyone=everyone)
        found = solved(game)
        assert found.certified
        assert np.abs(prices_of(game, found.candidate) - known.price).max() <= 1e-6


@pytest.mark.parametrize(
    "tariff",
    [
        Tariff("announced", buy=np.where(np.arange(24) // 5 == 3, 0.4, 0.2), net_metering=True),
        Tariff("net billing", buy=0.15, pass_buy=1.0, pass_sell=0.5, discount={"Q5": 0.2}),
    ],
    ids=lambda t: t.name,
)
def test_other_tariffs(tariff):
    households, market = town(), LinearSupply()
    game, known = as_game(households, market, tariff), reference(households, market, tariff)
    found = solved(game)
    assert found.certified
    assert np.abs(prices_of(game, found.candidate) - known.price).max() <= 5e-6  # $/kWh; of the discount
    assert outcome(game, found.candidate).response.bills == pytest.approx(known.response.bills, abs=1e-5)


def test_weather_by_the_hour_and_loads_by_regime():
    warm = np.stack([LOAD, 1.3 * LOAD, 0.9 * LOAD], axis=1)
    types = [HouseholdType("a", "g", "PVB", 0.3, 50_000, warm, SUN, Battery()), HouseholdType("b", "g", "C", 0.7, 50_000, LOAD)]
    weather = Weather(("clear", "hot", "cloudy"), (1.0, 0.9, 0.3), (0.9, 0.8, 0.85), changes="hourly")
    households, market = Households(types, weather), LinearSupply()
    game, known = as_game(households, market, PASS), reference(households, market)
    assert np.abs(prices_of(game, solved(game).candidate) - known.price).max() <= 1e-6


def test_a_network():
    market = NetworkSupply(
        Market(
            ["north", "south"], [Line("tie", "north", "south", 0.1, 250.0)],
            [Generator("g1", "north", 1500.0, (20.0, 0.02)), Generator("g2", "south", 1500.0, (35.0, 0.03))],
        ),
        barrier=20.0, base=np.array([200.0, 300.0]),
    )  # fmt: skip
    types = [replace(t, bus=bus) for t, bus in zip(town(SMALL).types, ("north", "south", "north", "south"), strict=True)]
    households = Households(types, count=400_000)
    game, known = as_game(households, market, PASS), reference(households, market)
    found = solved(game)
    assert found.certified
    assert np.abs(prices_of(game, found.candidate) - known.price).max() <= 1e-6
    assert np.abs(known.price[0] - known.price[1]).max() > 1e-3  # the line binds: it is a network


# --- the leader ---------------------------------------------------------------------------------------------------------------

KINDS = {
    "pass-through": {},
    "share of wholesale": {"pass_buy": 0.0, "pass_sell": 0.5, "sell": (-0.05, 0.05)},
    "net metering": {"net_metering": True},
    "discounts": {"pass_sell": 0.5, "discount": {"Q1": 0.35}, "sell": (-0.1, 0.05), "buy": (0.05, 0.8)},
}
TWO = {"day": range(16), "evening": range(16, 24)}


def designed(kind="pass-through", weights=None, **settings):
    households, market = town(), LinearSupply(slope=0.1)
    problem = DesignProblem(households, market, **({"required": 3.0, "periods": TWO} | KINDS[kind] | settings))
    base = [0.12, 0.17] if problem.pass_buy else [0.32, 0.37]
    theta = np.array([*base, *([] if problem.net_metering else [0.01, -0.02]), 0.1, 0.2, 0.3])
    return as_game(households, market, problem, weights=weights or Weights(gap=20.0, shortfall=1.0, peak=1e-3, variance=1e-4)), theta


def bent(game):
    """Shares of moves that nobody chose."""
    k, W, A = game.reward.market.shape
    y = game.reward.market.at_rest.reshape(24, k, W, A).copy()
    idle = y[..., A // 2].copy()
    for a, part in ((1, 0.2), (A - 2, 0.15)):
        y[..., a] += part * idle
    y[..., A // 2] *= 0.65
    return y.reshape(24, -1)


@pytest.mark.parametrize("kind", KINDS)
def test_products_of_derivatives_are_difference_quotients(kind):
    game, theta = designed(kind)
    rng, y, h = np.random.default_rng(1), bent(designed(kind)[0]), 1e-6
    dy, dtheta, g = rng.normal(size=y.shape) * y, rng.normal(size=theta.shape) * 0.1, rng.normal(size=game.shape)
    partials = Partials(game, y, theta)
    for own, along, moved in (
        ((partials.reward_in_y(g) * dy).sum(), lambda s: (g * game.rewards(y + s * dy, theta)).sum(), game.rewards(y + 1e-30j * dy, theta)),
        (partials.reward_in_theta(g) @ dtheta, lambda s: (g * game.rewards(y, theta + s * dtheta)).sum(), game.rewards(y, theta + 1e-30j * dtheta)),
    ):
        assert own == pytest.approx((along(h) - along(-h)) / (2 * h), rel=1e-6)
        assert own == pytest.approx((g * moved.imag).sum() / 1e-30, rel=1e-11)
    of_y, of_theta = game.objective.gradient(y, theta)
    assert (of_y * dy).sum() == pytest.approx((game.objective(y + h * dy, theta) - game.objective(y - h * dy, theta)) / (2 * h), rel=1e-5)
    assert of_theta @ dtheta == pytest.approx((game.objective(y, theta + h * dtheta) - game.objective(y, theta - h * dtheta)) / (2 * h), rel=1e-5)
    assert game.objective(y + 1e-30j * dy, theta).imag / 1e-30 == pytest.approx((of_y * dy).sum(), rel=1e-11)


def test_some_stages_are_the_same_as_in_the_whole_day():
    game, theta = designed()
    y, t = bent(game), np.array([5, 17, 5, 0])
    rows = y[t] * np.array([[1.0], [1.0], [0.5], [1.0]])
    some = game.rewards(rows, theta, t)
    whole = game.rewards(y, theta)
    assert np.abs(some[:, [0, 1, 3]] - whole[:, [5, 17, 0]]).max() < 1e-12
    assert np.abs(some[:, 2] - whole[:, 5]).max() > 1e-6  # other statistics, other prices


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_the_learners_is_that_of_the_study(kind):
    """Weights of nothing but cost; the study's adjoints are in average rewards and in closed loop, the game's are discounted and by GMRES."""
    game, theta = designed(kind, Weights(shortfall=0.0))
    at = settle_soft(game, theta, 0.02)
    assert at.settled
    found = leader_gradient(game, at.policy, at.mean_field, theta, 0.02)
    announced = game.objective.market.announce(theta)
    known = reference(game.objective.market.households, game.objective.market.market, announced.tariff)
    exact = gradients(known, announced.buy, announced.sell).cost
    assert np.abs(found.gradient + exact).max() <= 5e-5 * np.abs(exact).max()  # the discount: measured 2e-5
    assert found.value == pytest.approx(-criteria(known).cost, abs=1e-6)


def test_gradient_of_every_weight_is_a_difference_quotient():
    game, theta = designed()
    at = settle_soft(game, theta, 0.02)
    found = leader_gradient(game, at.policy, at.mean_field, theta, 0.02)
    assert found.residual < 1e-9
    for d, e in enumerate(np.eye(len(theta))):
        ends = [settle_soft(game, theta + s * 1e-4 * e, 0.02, at.policy) for s in (1, -1)]
        values = [leader_gradient_value(game, end, theta + s * 1e-4 * e) for end, s in zip(ends, (1, -1), strict=True)]
        assert (values[0] - values[1]) / 2e-4 == pytest.approx(found.gradient[d], abs=2e-4 * np.abs(found.gradient).max())


def leader_gradient_value(game, at, theta):
    flows = at.mean_field[..., None] * at.policy
    return game.leader_value(flows, game.aggregate(flows), theta)


def test_hypergradient_ascent_ends_where_the_study_sees_no_slope():
    households, market = town(), LinearSupply()
    problem = DesignProblem(households, market, required=3.0, periods={"day": range(24)}, net_metering=True, buy=(0.0, 0.4), cap=10.0)
    game = as_game(households, market, problem, weights=Weights(shortfall=1.0))
    found = so.solve(game, so.HypergradientAscent(temperature=0.05, starts=1, tolerance=1e-4))
    assert found.status is so.Status.CONVERGED
    assert found.certified
    assert found.candidate.theta[1:] == pytest.approx(10.0 * 12 / 365)  # fixed charges cost nothing: all of them at the cap
    announced = game.objective.market.announce(found.candidate.theta)
    known = reference(households, market, announced.tariff, 0.05)
    moved, seen = gradients(known, announced.buy, announced.sell), criteria(known, 3.0)
    assert seen.shortfall > 0.1
    slope = -moved.cost - 2.0 * seen.shortfall * (moved.wholesale - moved.volumetric)
    assert abs(slope[0]) < 1e-3 * abs(moved.cost[0])
    start = so.solve(game.at(game.leader.center()), so.MeanFieldEquilibrium(temperature=0.05, starts=1))
    assert found.value > start.value + 0.01


def test_model_free_ascent_improves_on_its_start():
    """It sees what the utility earns of each announced tariff, households learn from samples; the certificate is of the model."""
    households, market = town(), LinearSupply(slope=0.05)
    problem = DesignProblem(households, market, required=3.0, cap=30.0, periods={"day": range(24)}, buy=(0.0, 0.6), sell=(-0.1, 0.0))
    game = as_game(households, market, problem, weights=Weights(shortfall=1.0), discount=0.98)
    start = so.solve(game.at(game.leader.center()), so.MeanFieldEquilibrium(temperature=0.05, starts=1))
    seen = so.solve(game, so.ModelFreeAscent(temperature=0.05, steps=6, settle=3, measure=1, followers=1000, length=0.4), seed=1)
    assert all(check.passed for check in seen.certificate.checks)
    assert seen.certificate.values["leader"] > start.value + 0.02
    assert seen.status is so.Status.LIMIT  # six steps are not an optimum, and it says so


def test_sell_adders_are_capped_by_buy_adders():
    game, theta = designed()
    theta[:4] = 0.1, 0.2, 0.15, 0.1
    announced = game.objective.market.announce(theta)
    assert announced.tariff.sell[0] == announced.tariff.buy[0] == 0.1
    assert announced.tariff.sell[20] == 0.1
    assert announced.sell[0].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert announced.sell[20].tolist() == [0, 0, 0, 1, 0, 0, 0]


# --- literal households ----------------------------------------------------------------------------------------------------------


def test_factors_of_use_are_chosen_softly_at_the_prices():
    households, market = town(), LinearSupply()
    game = as_game(households, market, PASS, demand="factors")
    assert game.shape == (4, 24, 22, 35)
    found = solved(game)
    assert found.status is so.Status.CONVERGED
    assert found.certified
    price = prices_of(game, found.candidate)
    buy, sell = PASS.rates(households, price)
    use = households.load[..., None] * np.array([0.8, 0.9, 1.0, 1.1, 1.2])
    for i in (0, 1, 2):  # without a battery: softmax over five factors, whatever the imaginary charge
        net, away = use[i] - households.sun[i, ..., None], use[i] - households.load[i][..., None]
        utility = 0.3 * away - away**2 * 0.3 / (2 * 0.2 * households.load[i][..., None])
        worth = (utility - np.maximum(net, 0) * buy[i][..., None] + np.maximum(-net, 0) * sell[i][..., None]) / 0.02
        odds = np.exp(worth - worth.max(-1, keepdims=True))
        chosen = found.candidate.policy[i].reshape(24, 2, 11, 7, 5).sum(3)
        assert np.abs(chosen - (odds / odds.sum(-1, keepdims=True))[:, :, None]).max() <= 1e-6
    near = reference(households, market)
    assert np.abs(price - near.price).max() < 5e-3  # a coarser household, not another world
    k = game.reward
    y = game.aggregate(found.candidate.mean_field[..., None] * found.candidate.policy)
    moved = game.rewards(y + 1e-30j * np.ones_like(y), np.zeros(0)).imag / 1e-30
    quotient = (game.rewards(y + 1e-5, np.zeros(0)) - game.rewards(y - 1e-5, np.zeros(0))) / 2e-5
    assert np.abs(moved - quotient).max() <= 1e-7 * max(1.0, np.abs(quotient).max())
    assert k.prices(y) == pytest.approx(price)


def test_literal_households_are_a_priced_population():
    """The package's fast layer, which knows neither this game nor its reward, on the same households: prices in channels by regime."""
    households, factors = town(SMALL), np.array([0.9, 1.0, 1.1])
    market = LinearSupply(slope=0.1)
    game = factors_game(households, market, PASS, factors=factors, discount=0.99)
    price = prices_of(game, solved(game).candidate)[0]

    battery, share, weather = households.types[3].battery, households.share, households.weather
    own = np.array([0.0, 0.0, 0.0, 1.0])
    load, sun = households.load[..., None, None], households.sun[..., None, None]
    net = factors * load - sun + (own[:, None] * battery.metered)[:, None, None, :, None]  # [i, 24, w, a, d]
    away = (factors - 1.0) * load
    base = 0.3 * away - away**2 * 0.3 / (0.4 * load) - (own[:, None] * battery.worn)[:, None, None, :, None]
    to = np.arange(4)[:, None] + battery.moves
    inside = np.repeat((to >= 0) & (to < 4), 3, axis=-1)
    flat = [np.broadcast_to(a, net.shape).reshape(4, 24, 2, 9) for a in (base, net)]
    tried = flat[0] - IMPOSSIBLE * own[:, None, None, None]  # entries of what cannot be made follow those that can
    by_regime = np.concatenate([flat[1], flat[1]], -1)[..., None] * np.eye(2)[:, None, :]
    population = so.PricedPopulation(
        move=np.repeat(np.where((to >= 0) & (to < 4), to, np.arange(4)[:, None]), 3, axis=-1),
        signal=weather.hourly, base=np.concatenate([flat[0], tried], -1), net=by_regime, discount=0.99,
        entry=np.where(inside, np.arange(9), 9 + np.arange(9)), weights=share,
    )  # fmt: skip
    slope = 0.1 / 1000 * households.count / 1000 / weather.shares
    prices = so.Prices(np.full((24, 2), (18 + 0.1 * 700) / 1000), np.diag(slope), np.zeros((24, 2, 1)))
    fast = so.price_equilibrium(population, prices, np.zeros(1), temperature=0.02, compiled=False)
    assert fast.converged
    assert np.abs(fast.prices - price).max() < 1e-7


# --- bad input, and being sent about -----------------------------------------------------------------------------------------------


def test_bad_input():
    households, market = town(), LinearSupply()
    bare = Households([replace(households.types[0], share=1.0)])
    for settings, law in (
        ({"households": bare}, "have a battery"),
        ({"tariff": Tariff("yearly", buy=0.3, net_metering=True, true_up=0.05)}, "without a true-up"),
        ({"demand": "elastic"}, "'continuous' or 'factors'"),
        ({"tariff": DesignProblem(households, market), "demand": "factors"}, "a Tariff where demand is an action"),
    ):
        given = {"households": households, "market": market, "tariff": PASS} | settings
        with pytest.raises(so.InvalidStudy, match=law):
            as_game(given.pop("households"), given.pop("market"), given.pop("tariff"), **given)
    with pytest.raises(so.InvalidStudy, match="may not be paid more"):
        as_game(households, market, Tariff("odd", buy=0.1, sell=0.3))
    with pytest.raises(so.InvalidStudy, match="may not be paid more"):
        as_game(households, market, Tariff("odd", buy=0.1, sell=0.3), demand="factors")
    with pytest.raises(so.InvalidStudy, match="finite weight"):
        Weights(gap=-1.0)
    many = Households([replace(households.types[3], name=f"household {n}", share=1 / 2000) for n in range(2000)])
    with pytest.raises(so.Refused, match="tariff game of 2000 types"):
        as_game(many, market, PASS)
    factors = as_game(households, market, PASS, demand="factors")
    with pytest.raises(so.InvalidStudy, match="continuous demand"):
        criteria_of(factors, solved(factors).candidate)


def test_a_game_is_the_same_after_use_and_after_a_journey():
    game, theta = designed()
    name = game.fingerprint()
    again = pickle.loads(pickle.dumps(game))
    y = bent(game)
    assert np.array_equal(again.rewards(y, theta), game.rewards(y, theta))
    assert again.objective(y, theta) == game.objective(y, theta)
    assert game.fingerprint() == name == designed()[0].fingerprint()
    assert designed(required=3.1)[0].fingerprint() != name
