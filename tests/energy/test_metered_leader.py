"""A leader that sees meters only: it finds what full information finds, within its bounds, and says so only where measurements do."""

import dataclasses

import numpy as np
import pytest
from towns import town
from years import year_of

import stackopt as so
from stackopt.energy.criteria import criteria
from stackopt.energy.designs.design import design
from stackopt.energy.designs.problem import DesignProblem, Limits, seasonal
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.households import Battery
from stackopt.energy.market.network import Generator, Line, Market
from stackopt.energy.market.smooth import NetworkSupply
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.metering.leader import learn
from stackopt.energy.metering.meter import EquilibriumMeter
from stackopt.energy.metering.model import CURVATURE, Accounts, fit
from stackopt.energy.metering.result import MET, UNKNOWN
from stackopt.energy.metering.revealed import cost_change
from stackopt.energy.metering.sampled import SampledMeter
from stackopt.energy.metering.step import Model, books_of, charges, misses
from stackopt.energy.tariff import Tariff
from stackopt.solution import Status

MARKET = LinearSupply(slope=0.1)
PERIODS = {"day": range(16), "evening": range(16, 24)}


def problem(**rest):
    return DesignProblem(**({"households": town(), "market": MARKET, "periods": PERIODS, "cap": 40.0} | rest))


class Stub:
    """Shows `read` and nothing else, and notes what is announced."""

    __slots__ = ("announced", "read")

    def __init__(self, meter):
        self.announced = []

        def read(tariff):
            self.announced.append(tariff)
            return meter.read(tariff)

        self.read = read


CASES = {
    "free": {},
    "gap": {"limits": Limits(gap=0.08)},
    "strong coupling": {"market": LinearSupply(slope=0.4), "temperature": 0.005},
    "announced rates": {"pass_buy": 0.0, "pass_sell": 0.0},
    "net metering": {"net_metering": True, "required": 2.0},
    "peak": {"limits": Limits(peak=1600.0)},
}


@pytest.mark.parametrize("name", CASES)
def test_it_finds_what_full_information_finds(name):
    """The independent route: SLSQP on the model, with exact gradients."""
    p = problem(**CASES[name])
    full = design(p, starts=2)
    assert full.status is Status.CONVERGED
    meter = EquilibriumMeter(p.households, p.market, temperature=p.temperature)
    stub = Stub(meter)
    found = learn(p, stub)
    assert found.status is Status.CONVERGED, found
    assert found.learned_by == len(stub.announced) <= 20
    seen = criteria(equilibrium(p.households, p.market, found.tariff, temperature=p.temperature), p.required)
    assert abs(seen.shortfall) <= 2 * MET
    assert seen.gap <= p.limits.gap + 1e-5
    assert seen.peak <= p.limits.peak * 1.001
    assert seen.cost - full.criteria.cost <= 0.01
    revealed = cost_change(meter.read(full.tariff), meter.read(found.tariff))[0][0]
    assert revealed <= 0.005  # the soft cost, which is what it lowers
    for t in stub.announced:
        z = np.array([t.buy[0], t.buy[16], t.sell[0], t.sell[16]])
        assert (z >= -1e-12).all()
        assert (z <= 0.8 + 1e-12).all()
        assert p.net_metering or (t.buy >= t.sell - 1e-9).all()
        assert all(0.0 <= f <= 40.0 + 1e-9 for f in t.fixed.values())


def test_prices_by_bus():
    """On a network whose line binds, rates that pass prices through differ by bus; smooth prices are not quite marginal costs."""
    market = NetworkSupply(
        Market(
            ["north", "south"], [Line("tie", "north", "south", 0.1, 250.0)],
            [Generator("g1", "north", 1500.0, (20.0, 0.02)), Generator("g2", "south", 1500.0, (35.0, 0.03))],
        ),
        barrier=5.0, base=np.array([200.0, 300.0]),
    )  # fmt: skip
    types = [dataclasses.replace(t, bus=bus) for t, bus in zip(town().types, ("north", "south", "north", "south"), strict=True)]
    p = problem(households=dataclasses.replace(town(), types=types, count=400_000), market=market)
    meter = EquilibriumMeter(p.households, p.market)
    found = learn(p, meter)
    assert found.status is Status.CONVERGED
    assert np.abs(np.diff(found.trials[-1].reading.price, axis=0)).max() > 1e-3
    full = design(p, starts=1)
    assert full.status is Status.CONVERGED
    assert cost_change(meter.read(full.tariff), meter.read(found.tariff))[0][0] <= 0.005


def test_rates_by_season():
    year = year_of(town())
    p = problem(households=year, periods=seasonal({"day": range(24)}, year), required=3.0)
    meter = EquilibriumMeter(year, MARKET)
    found = learn(p, meter)
    assert found.status is Status.CONVERGED
    assert found.tariff.buy.shape == (24, 6)
    full = design(p, starts=1)
    assert cost_change(meter.read(full.tariff), meter.read(found.tariff))[0][0] <= 0.005


def test_nothing_of_the_households_reaches_the_leader():
    """Known answer: with loads, roofs, batteries and elasticities of somebody else in its problem, it does exactly the same."""
    p = problem()
    honest = learn(p, Stub(EquilibriumMeter(p.households, p.market)), trials=8)
    others = [
        dataclasses.replace(t, load=3.0 * t.load[::-1], sun=None, battery=Battery(kwh=5.0), kind="PVB") if t.battery is not None
        else dataclasses.replace(t, load=0.2 * t.load, sun=None)
        for t in p.households.types
    ]  # fmt: skip
    wrong = dataclasses.replace(p.households, types=others, elasticity=0.9, reference_price=0.1)
    elsewhere = dataclasses.replace(p, households=wrong, temperature=0.5, market=LinearSupply(99.0, 1.0))
    misled = learn(elsewhere, Stub(EquilibriumMeter(p.households, p.market)), trials=8)
    np.testing.assert_array_equal(honest.x, misled.x)
    assert [t.cost for t in honest.trials] == [t.cost for t in misled.trials]


def test_the_same_seed_announces_the_same_tariffs():
    p = problem()
    first, second = (learn(p, SampledMeter(p.households, p.market, 2000, days=15, seed=3), trials=9, seed=5) for _ in range(2))
    assert first.status is Status.LIMIT  # nine readings of a sample settle nothing
    np.testing.assert_array_equal(np.stack([t.x for t in first.trials]), np.stack([t.x for t in second.trials]))
    assert len(first.trials) <= 9


def test_samples_find_nearly_the_same_and_state_their_error():
    p = problem()
    full = design(p, starts=1)
    found = learn(p, SampledMeter(p.households, p.market, 20_000, days=30, seed=1), trials=20)
    seen = criteria(equilibrium(p.households, p.market, found.tariff), p.required)
    assert found.errors["revenue"] > 0.0
    assert abs(seen.shortfall) <= found.missed["revenue"] + 4.0 * found.errors["revenue"]
    again = design(dataclasses.replace(p, required=p.required - seen.shortfall), starts=0, begin=[full.z])
    assert seen.cost - again.criteria.cost <= 0.02
    assert found.cost_error > 0.0
    assert "+-" in str(found)


def test_learned_cost_is_against_today_and_between_its_bounds():
    p = problem()
    today = Tariff("today", 0.35, net_metering=True)
    found = learn(p, EquilibriumMeter(p.households, p.market), today=today)
    assert found.cost_least <= found.cost <= found.cost_most
    truth = criteria(equilibrium(p.households, p.market, found.tariff)).cost - criteria(equilibrium(p.households, p.market, today)).cost
    assert truth < -0.3
    assert found.cost == pytest.approx(truth, rel=0.1)  # by trapezoids; and soft, where the model's cost is not
    assert found.learned_by == len(found.trials) + 1
    assert "against today's tariff" in str(found)


class Interrupting:
    """Ctrl-C at the k-th reading."""

    def __init__(self, meter, at):
        self.meter, self.left = meter, at

    def read(self, tariff):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return self.meter.read(tariff)


def test_an_interrupted_run_shows_what_it_has_and_goes_on_from_it():
    p = problem()
    kept = []
    part = learn(p, Interrupting(EquilibriumMeter(p.households, p.market), 4), keep=lambda k, r: kept.append(r))
    assert (part.status, part.interrupted, len(part.trials), len(kept)) == (Status.LIMIT, True, 4, 4)
    assert "interrupted" in str(part)
    stub = Stub(EquilibriumMeter(p.households, p.market))
    whole = learn(p, EquilibriumMeter(p.households, p.market))
    resumed = learn(p, stub, earlier=kept)
    np.testing.assert_array_equal(whole.x, resumed.x)
    assert len(stub.announced) == len(whole.trials) - 4
    with pytest.raises(KeyboardInterrupt):  # with nothing read there is nothing to show
        learn(p, Interrupting(EquilibriumMeter(p.households, p.market), 0))


class Refusing:
    """A world that refuses the k-th tariff."""

    def __init__(self, meter, which):
        self.meter, self.count, self.which = meter, 0, which

    def read(self, tariff):
        self.count += 1
        if self.count in self.which:
            raise so.InvalidStudy("study-tariff-limit", where="made up", name=tariff.name)
        return self.meter.read(tariff)


def test_refused_tariffs_are_trials_without_a_reading():
    p = problem()
    found = learn(p, Refusing(EquilibriumMeter(p.households, p.market), {2, 4}))
    assert [t.purpose for t in found.trials].count("refused") == 2
    assert found.status is Status.CONVERGED
    with pytest.raises(so.InvalidStudy):
        learn(p, Refusing(EquilibriumMeter(p.households, p.market), {1}))


def test_a_requirement_out_of_reach_is_never_called_converged():
    p = problem(required=50.0)
    found = learn(p, EquilibriumMeter(p.households, p.market), trials=15)
    assert found.status is Status.LIMIT
    assert found.missed["revenue"] > 1.0
    assert "limits missed" in found.because


def test_a_world_that_does_not_answer_as_the_textbook_is_learned_all_the_same():
    """Use that does not answer at all: batteries aside, the guess is wrong by its whole size."""
    still = dataclasses.replace(town(), elasticity=0.01)
    p = dataclasses.replace(problem(), households=still)
    found = learn(p, EquilibriumMeter(still, MARKET))
    assert found.status is Status.CONVERGED
    best = design(p, starts=2)
    seen = criteria(equilibrium(still, MARKET, found.tariff), p.required)
    assert seen.cost - best.criteria.cost <= 0.01


def test_the_fitted_response_is_the_responses_slope():
    """Finite differences of the world, in directions that were tried."""
    p = problem()
    accounts, meter = Accounts(p), EquilibriumMeter(p.households, p.market, tolerance=1e-11)
    here = np.array([0.2, 0.25, 0.05, 0.02])
    xs = np.array([here, *(here + 1e-3 * e for e in np.eye(4))])
    readings = [meter.read(accounts.with_fixed(x)) for x in xs]
    fitted = fit(accounts, xs, readings, 0)
    for d in range(4):
        quotient = (readings[d + 1].imports - readings[0].imports)[0] / 1e-3
        np.testing.assert_allclose(fitted.slopes[0][..., d], quotient, atol=1e-4 * np.abs(quotient).max())
        quotient = (readings[d + 1].price - readings[0].price) / 1e-3
        np.testing.assert_allclose(fitted.slopes[2][..., d], quotient, atol=1e-4 * np.abs(quotient).max())
    doubt = (CURVATURE * 1e-3) ** 2  # of one trial, that far away, over what it may say
    np.testing.assert_allclose(fitted.unknown, doubt / (1.0 + doubt) * np.eye(4), atol=1e-7)
    far = fit(accounts, xs[:3], readings[:3], 0)
    assert far.unknown[2, 2] == pytest.approx(1.0)  # nothing was learned of sell rates


def test_slopes_of_the_predicted_problem_are_difference_quotients():
    p = problem(pass_sell=0.5)
    accounts, meter = Accounts(p), EquilibriumMeter(p.households, p.market)
    rng = np.random.default_rng(0)
    here = np.array([0.2, 0.25, 0.05, 0.02])
    xs = np.array([here, *(here + 0.02 * rng.normal(size=4) for _ in range(3))])
    model = Model(fit(accounts, xs, [meter.read(accounts.with_fixed(x)) for x in xs], 0))
    x = here + 0.01 * rng.normal(size=4)
    bills, short, peak, variance = model.slopes(x)
    for d, e in enumerate(np.eye(4)):
        up, down = model.books(x + 1e-5 * e), model.books(x - 1e-5 * e)
        for slope, first, second in (
            (model.cost(x)[1][d], model.cost(x + 1e-5 * e)[0], model.cost(x - 1e-5 * e)[0]), (bills[:, d], up.bills, down.bills),
            (short[d], up.short, down.short), (peak[:, d], up.peak, down.peak), (variance[d], up.variance, down.variance),
        ):  # fmt: skip
            np.testing.assert_allclose(slope, (np.asarray(first) - second) / 2e-5, rtol=1e-5, atol=1e-6)


def test_fixed_charges_close_the_books_and_then_the_gap():
    """Known answer: with room for it, revenue is met and incidence made equal."""
    p = problem(cap=3000.0)
    accounts, meter = Accounts(p), EquilibriumMeter(p.households, p.market)
    found = books_of(accounts, meter.read(accounts.with_fixed(np.array([0.05, 0.05, 0.0, 0.0]))))
    fixed = charges(accounts, found, np.zeros(3))
    assert misses(accounts, found, fixed)["revenue"] <= 1e-9
    incidence = (found.bills + fixed) / accounts.income
    capped = charges(Accounts(problem(cap=0.0)), found, np.zeros(3))
    assert (capped == 0.0).all()
    assert np.ptp(incidence) <= np.ptp((found.bills + found.short) / accounts.income)  # no worse than all alike
    even = charges(Accounts(problem(cap=3000.0, ratios=(1.0, 2.0, 4.0))), found, np.zeros(3))
    np.testing.assert_allclose(even[1:] / even[0], (2.0, 4.0), rtol=1e-6)


@pytest.mark.parametrize("wrong", [{"trials": 3}, {"radius": 0.0}, {"gain": -1.0}])
def test_settings_that_are_refused(wrong):
    with pytest.raises(so.InvalidMethod) as caught:
        learn(problem(), EquilibriumMeter(town(), MARKET), **wrong)
    assert caught.value.code == "setting"


def test_a_first_period_that_misses_a_weather_is_refused():
    p = problem()
    meter = SampledMeter(p.households, p.market, 200, days=1)
    with pytest.raises(so.InvalidStudy) as caught:
        learn(p, meter)
    assert caught.value.code == "meter-weather"


def test_a_later_period_may_miss_a_weather():
    """What was not seen is filled in from what was learned, and counts for nothing."""
    p = problem()

    class Blind:
        count = 0

        def read(self, tariff):
            self.count += 1
            return SampledMeter(p.households, p.market, 4000, days=30 if self.count < 3 else 2, seed=1, periods=self.count).read(tariff)

    found = learn(p, Blind(), trials=12)
    assert any((t.reading.days == 0).any() for t in found.trials if t.reading is not None)
    assert np.isfinite([t.cost for t in found.trials]).all()
    assert found.unknown > UNKNOWN or found.status is Status.LIMIT
