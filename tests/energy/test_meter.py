"""Meters: what they show is the model's, what they hide stays hidden; samples are unbiased and say their own errors; revealed welfare is welfare."""

import dataclasses
import itertools

import numpy as np
import pytest
from towns import town

import stackopt as so
from stackopt.energy.criteria import criteria
from stackopt.energy.equilibrium import Equilibrium, equilibrium
from stackopt.energy.households import Battery, Households, HouseholdType
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.metering.files import Readings
from stackopt.energy.metering.meter import EquilibriumMeter, Reading, average
from stackopt.energy.metering.revealed import cost_bounds, cost_change, value_change
from stackopt.energy.metering.sampled import SampledMeter
from stackopt.energy.response import Response
from stackopt.energy.tariff import Tariff

MARKET = LinearSupply(slope=0.1)
PEAK = np.array([(h >= 16) & (h < 21) for h in range(24)], float)


def tariff(step=0.0, **rest):
    """Rates that move in every part with `step`."""
    kind = {"pass_buy": 1.0, "pass_sell": 0.5, "discount": {"Q1": 0.1}} | rest
    return Tariff("t", 0.15 + step * (0.5 + PEAK), 0.01 + step * (0.3 - 0.2 * PEAK), **kind)


@pytest.mark.parametrize("kind", [{}, {"net_metering": True, "discount": {}}, {"pass_buy": 0.0, "pass_sell": 0.0}])
def test_a_reading_is_the_equilibriums(kind):
    found = equilibrium(town(), MARKET, tariff(**kind), tolerance=1e-9)
    seen, shown = criteria(found), EquilibriumMeter(town(), MARKET).read(tariff(**kind))
    assert shown.exact
    np.testing.assert_allclose(shown.collected[0] @ shown.share, seen.volumetric, rtol=1e-9)
    np.testing.assert_allclose(shown.collected[0], found.households.by_group(found.response.bills), rtol=1e-9)
    np.testing.assert_allclose(shown.purchases, seen.wholesale, rtol=1e-9)
    np.testing.assert_allclose(shown.generation, seen.generation, rtol=1e-9)
    np.testing.assert_allclose((shown.system @ shown.regime).max(), seen.peak, rtol=1e-9)


def reached(thing, seen):
    """Everything that hangs on an object."""
    if id(thing) in seen or isinstance(thing, str | bytes | int | float | type(None)):
        return
    seen[id(thing)] = thing
    if isinstance(thing, np.ndarray):
        reached(thing.base, seen)
        return
    parts = list(thing.values()) if isinstance(thing, dict) else list(thing) if isinstance(thing, list | tuple) else []
    for part in [*parts, *getattr(thing, "__dict__", {}).values()]:
        reached(part, seen)


def test_nothing_of_the_model_hangs_on_a_reading():
    for meter in (EquilibriumMeter(town(), MARKET), SampledMeter(town(), MARKET, 200, days=12)):
        seen = {}
        reached(meter.read(tariff()), seen)
        assert not [x for x in seen.values() if isinstance(x, Households | HouseholdType | Battery | Response | Equilibrium | LinearSupply)]
        assert not any(isinstance(x, np.ndarray) and x.size > 8 * 3 * 24 * 2 for x in seen.values())  # nothing by type: 4 of them


def test_samples_are_unbiased_and_say_their_error():
    """Averages over many samples are the long run's; standard errors by random groups are those of repetition."""
    long_run = EquilibriumMeter(town(), MARKET).read(tariff())
    values, errors = [], []
    for seed in range(60):
        r = SampledMeter(town(), MARKET, 160, days=10, seed=seed, random_groups=4).read(tariff())
        if np.isnan(r.imports).any():
            continue
        values.append(np.concatenate([r.collected.mean(0), [r.purchases.mean(), r.generation.mean()]]))
        errors.append(r.collected.std(0, ddof=1) / 2.0)
    truth = np.concatenate([long_run.collected[0], long_run.purchases, long_run.generation])
    spread = np.std(values, 0, ddof=1)
    assert (np.abs(np.mean(values, 0) - truth) <= 3.5 * spread / np.sqrt(len(values)) + 1e-12).all()
    said = np.sqrt(np.mean(np.square(errors), 0))
    mixed = said > 1e-9  # Q1 and Q3 are of one type each: nothing is random in them but the weather
    assert mixed.any()
    np.testing.assert_allclose(said[mixed], spread[:3][mixed], rtol=0.3)


def test_a_sample_without_a_battery_is_random_by_who_is_in_it_alone():
    """Known answer: with one type in every group and no battery, any sample is the long run."""
    whole = town()
    plain = dataclasses.replace(whole, types=[dataclasses.replace(t, battery=None, kind=t.kind[:2], group=t.name) for t in whole.types])
    free = tariff(discount={})
    read = SampledMeter(plain, MARKET, 80, days=20, random_groups=2).read(free)
    truth = EquilibriumMeter(plain, MARKET).read(free)
    np.testing.assert_allclose(read.imports, np.broadcast_to(truth.imports, read.imports.shape), atol=1e-9)
    np.testing.assert_allclose(read.generation, truth.generation[0], atol=1e-9)


def test_the_same_households_are_read_again_unless_asked_otherwise():
    for fresh in (False, True):
        meter = SampledMeter(town(), MARKET, 400, days=20, fresh=fresh)
        first, second = meter.read(tariff()), meter.read(tariff(0.05))
        level = first.collected.std(0)[2]  # of Q5, where types are mixed
        change = (second.collected - first.collected).std(0)[2]
        assert (change < 0.5 * level) is not fresh


def test_work_does_not_grow_with_the_sample():
    small, large = (SampledMeter(town(), MARKET, n, days=5, seed=1).read(tariff()) for n in (400, 4_000_000))
    assert small.imports.shape == large.imports.shape
    blind = np.isnan(large.imports).any((0, 1, 2))
    truth = EquilibriumMeter(town(), MARKET).read(tariff()).imports
    miss = np.abs(large.imports.mean(0) - truth[0])[..., ~blind]
    assert miss.max() < 0.05  # what is left is the charge of batteries after the days' own weather


def test_revealed_welfare_is_welfare_where_nothing_is_random():
    """Without batteries cost is cost; under net metering use is linear in the rate, so that one trapezoid is exact. Known answer: `criteria`."""
    still = dataclasses.replace(town(), types=[dataclasses.replace(t, battery=None, kind=t.kind[:2]) for t in town().types])
    meter = EquilibriumMeter(still, MARKET, tolerance=1e-11)
    tariffs = [tariff(s, net_metering=True, discount={}) for s in (0.0, 0.2)]
    costs = [criteria(equilibrium(still, MARKET, t, tolerance=1e-11)).cost for t in tariffs]
    revealed = cost_change(*map(meter.read, tariffs))[0][0]
    assert abs(costs[1] - costs[0]) > 1e-3
    assert revealed == pytest.approx(costs[1] - costs[0], abs=1e-8)


def test_revealed_welfare_of_soft_choice_is_the_soft_value():
    """With batteries: utility less wear, plus temperature times entropy, against an independent route; halved steps err by a quarter."""
    def soft(step):
        found = equilibrium(town(), MARKET, tariff(step), tolerance=1e-11)
        value = np.zeros(len(found.households.types))
        for part in found.response.parts:
            value[part.members] = part.control.gain if part.control is not None else (part.moves * part.hour.worth).sum((1, 2, 3))
        return float((found.market.cost(found.response.load) * found.households.weather.shares).sum()) / found.households.count - float(
            found.households.share @ (value + found.response.bills)
        )

    meter = EquilibriumMeter(town(), MARKET, tolerance=1e-11)
    exact = soft(0.2) - soft(0.0)
    errors = []
    for steps in (2, 4, 8):
        read = [meter.read(tariff(s)) for s in np.linspace(0.0, 0.2, steps + 1)]
        errors.append(abs(sum(float(cost_change(a, b)[0][0]) for a, b in itertools.pairwise(read)) - exact))
    assert errors[0] < 0.05 * abs(exact)
    assert errors[1] < 0.5 * errors[0]
    assert errors[2] < 0.1 * errors[0] + 1e-9


def test_bounds_of_revealed_welfare_hold_and_chains_tighten_them():
    meter = EquilibriumMeter(town(), MARKET, tolerance=1e-11)
    read = [meter.read(tariff(s)) for s in (0.0, 0.1, 0.2)]
    fine = [meter.read(tariff(s)) for s in np.linspace(0.0, 0.2, 17)]
    exact = sum(float(cost_change(a, b)[0][0]) for a, b in itertools.pairwise(fine))
    _, least, most = cost_change(read[0], read[2])
    low, high = cost_bounds(read, 0, 2)
    assert least[0] < low < exact < high < most[0]
    middle, lower, upper = value_change(read[0], read[2])
    assert (lower <= middle + 1e-12).all()
    assert (middle <= upper + 1e-12).all()


def test_fixed_charges_change_nothing_that_meters_show():
    meter = EquilibriumMeter(town(), MARKET)
    first, second = meter.read(tariff()), meter.read(dataclasses.replace(tariff(), fixed=30.0))
    np.testing.assert_array_equal(first.imports, second.imports)
    assert cost_change(first, second)[0][0] == 0.0


def test_averages_and_random_groups():
    meter = SampledMeter(town(), MARKET, 400, days=20, random_groups=4)
    first, second = meter.read(tariff()), meter.read(tariff())
    both = average([first, second])
    np.testing.assert_allclose(both.imports, 0.5 * (first.imports + second.imports))
    np.testing.assert_array_equal(both.days, first.days + second.days)
    assert average([first]) is first
    assert len(first.without(1).imports) == 3
    np.testing.assert_array_equal(first.without(0).exports, first.exports[1:])


def test_readings_outlive_a_run(tmp_path):
    meter = SampledMeter(town(), MARKET, 400, days=3)
    read = [meter.read(dataclasses.replace(tariff(s), fixed={"Q1": 1.0, "other": 2.0})) for s in (0.0, 0.1, 0.2)]
    store = Readings(tmp_path / "readings", {"seed": 0})
    for k, r in enumerate(read):
        store.add(k, r)
    again = Readings(tmp_path / "readings", {"seed": 0}).kept()
    for one, other in zip(read, again, strict=True):
        for field in dataclasses.fields(Reading):
            if field.name not in ("tariff", "groups"):
                np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
        np.testing.assert_array_equal(one.rates[0], other.rates[0])
        assert (one.tariff.fixed, one.groups) == (other.tariff.fixed, other.groups)
    store.add(1, read[0])  # the run went another way
    assert len(store.kept()) == 2
    assert Readings(tmp_path / "readings", {"seed": 1}).kept() == []


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("meter-true-up", lambda: EquilibriumMeter(town(), MARKET).read(Tariff("t", 0.3, net_metering=True, true_up=0.05))),
        ("sell-above-buy", lambda: EquilibriumMeter(town(), MARKET).read(Tariff("t", 0.1, 0.2))),
        ("study-tariff-limit", lambda: EquilibriumMeter(town(), MARKET, tolerance=1e-30).read(tariff())),
        ("setting-value", lambda: SampledMeter(town(), MARKET, 10)),
    ],
)
def test_what_meters_refuse(code, read):
    with pytest.raises(so.InvalidStudy) as caught:
        read()
    assert caught.value.code == code
