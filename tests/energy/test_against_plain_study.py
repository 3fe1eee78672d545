"""Every number of a small study against `plain_study`, which computes them slowly from their definitions and shares no code with the package."""

from dataclasses import fields, replace

import numpy as np
import plain_study as plain
import pytest
from scipy.optimize import minimize_scalar
from towns import LOAD, SUN

from stackopt.energy.benchmarks_named import benchmark, neutral
from stackopt.energy.criteria import criteria
from stackopt.energy.diagnosis import closure, histories
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.exhibits.tables import exhibits
from stackopt.energy.gradients import gradients
from stackopt.energy.households import Battery, Households, HouseholdType
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.tariff import DAYS_PER_MONTH, Tariff
from stackopt.solution import Status

REQUIRED = 2.5
SUPPLY = LinearSupply(20.0, 0.12, 100 + 10 * np.sin(np.arange(24) / 3))
PEAK = np.array([0.0] * 16 + [1.0] * 5 + [0.0] * 3)


def population():
    """Consumers, panels and two kinds of battery; in one group incomes are alike and bills are not."""
    small, large = Battery(4.0, 2.0, 0.9, 5, 0.04), Battery(3.6, 1.2, 0.85, 4, 0.03)
    types = [
        HouseholdType("poor", "low", "C", 0.35, 20_000, 0.8 * LOAD),
        HouseholdType("poor with panels", "low", "PV", 0.05, 20_000, 0.7 * LOAD, 0.6 * SUN),
        HouseholdType("middle", "middle", "C", 0.20, 75_000, LOAD),
        HouseholdType("middle with all", "middle", "PVB", 0.15, 75_000, LOAD, SUN, small),
        HouseholdType("rich with all", "high", "PVB", 0.10, 250_000, 1.5 * LOAD, 1.5 * SUN, large),
        HouseholdType("rich", "high", "C", 0.15, 250_000, 1.6 * LOAD),
    ]
    return Households(types, count=300_000)


PEOPLE = population()


def discounted(level):
    """Two rates, exports at most of the wholesale price and a little more, a discount."""
    return Tariff("own", level * (1 + 0.5 * PEAK), 0.01, pass_sell=0.8, discount={"low": 0.2}, fixed={"low": 3.0, "other": 9.0})


@pytest.fixture(scope="module")
def outcomes():
    """Today's tariff, two that pass the wholesale price on for exports, one that passes all on."""
    first = benchmark("flat_nem", PEOPLE, SUPPLY, REQUIRED, fixed=6.0)
    own = neutral("own", discounted, PEOPLE, SUPPLY, REQUIRED)
    return [first, own, *(benchmark(name, PEOPLE, SUPPLY, REQUIRED) for name in ("care", "lmp"))]


@pytest.fixture(scope="module")
def studies(outcomes):
    """The same tariffs, made again from the levels found, and computed plainly."""
    nem, own, care, lmp = (o.level for o in outcomes)
    assert lmp == 0.0
    through = plain.settle(PEOPLE, SUPPLY, Tariff("lmp", 0.0, 0.0, 1.0, 1.0))
    lacking = plain.criteria(through, REQUIRED)["shortfall"]
    # 0.40 of households are the poorest: a fifth at 6, a fifth at 12.08 $/month; everyone else at 24.15
    ratios = {"low": (6.0 + 12.08) / 2, "middle": 24.15, "high": 24.15}
    mean = sum(t.share * ratios[t.group] for t in PEOPLE.types)
    through.tariff = Tariff("lmp", 0.0, 0.0, 1.0, 1.0, {g: lacking * r / mean * DAYS_PER_MONTH for g, r in ratios.items()})
    return [
        plain.settle(PEOPLE, SUPPLY, Tariff("flat_nem", nem, net_metering=True, fixed=6.0)),
        plain.settle(PEOPLE, SUPPLY, discounted(own)),
        plain.settle(PEOPLE, SUPPLY, Tariff("care", care, pass_sell=1.0, discount={"low": 0.35, "middle": 0.35})),
        through,
    ]


@pytest.fixture(scope="module")
def tables(outcomes):
    return {t.name: t for t in exhibits(outcomes, outcomes[0], [])}


def rows_of(table, name):
    """Rows of a tariff, without its name."""
    return [row[1:] for row in table.rows if row[0] == name]


def alike(found, expected, tolerance=1e-7):
    """Rows of texts and numbers."""
    found, expected = list(found), list(expected)
    assert len(found) == len(expected) > 0
    for mine, other in zip(found, expected, strict=True):
        assert len(mine) == len(other)
        for a, b in zip(mine, other, strict=True):
            assert (a == b) if isinstance(b, str) else abs(a - b) <= tolerance * (1 + abs(b)), (mine, other)


def test_best_use_is_that_of_a_scalar_optimiser():
    rng = np.random.default_rng(0)
    for _ in range(40):
        load, sun, charge, buy = (np.array([[v]]) for v in rng.uniform((0.2, 0.0, -2.0, 0.0), (2.0, 3.0, 2.0, 0.9)))
        sell = buy * rng.uniform(0, 1)
        use = plain.best_use(load, sun, charge[0], buy, sell, 0.3, 0.25)[0, 0, 0]

        def lost(x, load=load, sun=sun, charge=charge, buy=buy, sell=sell):
            net = x - sun + charge
            return float((buy * np.maximum(net, 0) - sell * np.maximum(-net, 0) - plain.utility(x, load, 0.3, 0.25)).item())

        best = minimize_scalar(lost, bounds=(0.0, 12.0), method="bounded", options={"xatol": 1e-10})
        assert abs(best.x - use) <= 1e-6
        assert lost(use) <= best.fun + 1e-12


def test_equilibria_what_households_do_and_all_criteria(outcomes, studies):
    for o, s in zip(outcomes, studies, strict=True):
        assert o.status is Status.CONVERGED
        r, e = o.equilibrium.response, o.equilibrium
        everyone = range(len(PEOPLE.types))
        for found, expected in (
            (e.price[0], s.price), (e.cleared[0], s.cleared()), (r.load[0], s.load()), (e.market.total(r.load), s.system()),
            (r.net, [s.net(i) for i in everyone]), (r.bills, [s.energy(i) for i in everyone]), (r.utility, [s.happy(i) for i in everyone]),
            (r.wear, [s.worn(i) for i in everyone]), (r.exploitability(), [s.gain(i) for i in everyone]),
            (r.imports, [s.homes[i].by_hour(np.maximum(s.homes[i].net, 0)) for i in everyone]),
            (r.exports, [s.homes[i].by_hour(np.maximum(-s.homes[i].net, 0)) for i in everyone]),
            (r.rates[0], [s.rates(i)[0] for i in everyone]), (r.rates[1], [s.rates(i)[1] for i in everyone]),
        ):  # fmt: skip
            assert np.abs(np.asarray(found) - expected).max() <= 1e-8 * (1 + np.abs(expected).max())
        for part in r.parts:
            if part.control is None:
                continue
            for k, i in enumerate(part.members):
                assert np.abs(part.control.occupancy[k] - s.homes[i].law).max() <= 1e-8
                assert np.abs(part.control.policy[k] - s.homes[i].policy).max() <= 1e-7
        expected = plain.criteria(s, REQUIRED)
        assert {f.name for f in fields(o.criteria)} == {"households", *expected}
        for name, value in expected.items():
            assert np.abs(getattr(o.criteria, name) - value).max() <= 1e-7 * (1 + np.abs(value).max()), name
        assert abs(expected["shortfall"]) <= 1e-6


def test_levels_are_the_smallest_that_recover_the_requirement(outcomes, studies):
    nem = outcomes[0].level
    for level in [*np.arange(0.02, nem - 1e-3, 0.03), nem - 1e-3]:
        assert plain.criteria(plain.settle(PEOPLE, SUPPLY, Tariff("nem", level, net_metering=True, fixed=6.0)), REQUIRED)["shortfall"] > 0
    for low, near in ((discounted(outcomes[1].level - 1e-3), studies[1]), (Tariff("care", outcomes[2].level - 1e-3, pass_sell=1.0,
                      discount={"low": 0.35, "middle": 0.35}), studies[2])):  # fmt: skip
        assert plain.criteria(plain.settle(PEOPLE, SUPPLY, low, near=near, tolerance=1e-9), REQUIRED)["shortfall"] > 0


def test_tables_of_payers(outcomes, studies, tables):
    before = studies[0]
    for o, s in zip(outcomes, studies, strict=True):
        expected = plain.criteria(s, REQUIRED)
        if s is not before:
            alike(rows_of(tables["bills"], o.name), plain.bill_rows(before, s))
        alike(rows_of(tables["lorenz"], o.name), plain.lorenz_rows(s))
        alike(rows_of(tables["cross_subsidy"], o.name), plain.cross_subsidy_rows(s, REQUIRED))
        alike(rows_of(tables["typical"], o.name), plain.typical_rows(s, before))
        high = 100 * sum(t.share for i, t in enumerate(PEOPLE.types) if 365 * s.bill(i) > 0.06 * t.income)
        alike(rows_of(tables["equity"], o.name), [(*(100 * expected["incidence"]), 100 * expected["gap"], expected["gini"], expected["suits"], high)])
        spared = s.total(lambda i, s=s: plain.discount_of(s, i))
        keys = ("required", "wholesale", "volumetric", "fixed", "shortfall", "generation")
        alike(rows_of(tables["revenue"], o.name), [(*(expected[k] for k in keys), 0.0, spared)], 1e-6)
        discount = s.tariff.discount
        alike(rows_of(tables["fixed_charges"], o.name), [(g, s.fixed(g) * plain.MONTH, 100 * discount.get(g, 0.0)) for g in ("low", "middle", "high")])


def test_households_by_the_change_of_their_bill(outcomes, studies, tables):
    table, seen = tables["winners"], []
    for o, s in zip(outcomes[1:], studies[1:], strict=True):
        rows = rows_of(table, o.name)
        edges = sorted({row[1] for row in rows} | {row[2] for row in rows})
        seen.append(edges)
        for kind in ("C", "PV", "PVB"):
            held = np.zeros(len(edges) - 1)
            for i, t in enumerate(PEOPLE.types):
                if t.kind == kind:
                    change = (s.bill(i) - studies[0].bill(i)) * plain.MONTH
                    held[next((k for k in range(len(held) - 1) if change < edges[k + 1]), len(held) - 1)] += 100 * t.share
            assert [row[3] for row in rows if row[0] == kind] == pytest.approx(held.tolist(), abs=1e-9)
    assert seen[0] == seen[1] == seen[2]
    assert np.ptp(np.diff(seen[0])) <= 1e-9
    width = seen[0][1] - seen[0][0]
    assert float(f"{width:.0e}") == pytest.approx(width)
    assert f"{width:.0e}"[0] in "125"


def test_tables_of_the_system(outcomes, studies, tables):
    lmp = plain.criteria(studies[3], REQUIRED)["cost"]
    for o, s in zip(outcomes, studies, strict=True):
        expected, law = plain.criteria(s, REQUIRED), s.regimes
        alike([row[1:-1] for row in rows_of(tables["summary"], o.name)], [plain.summary_row(s, expected, lmp)], 1e-6)
        alike(rows_of(tables["load"], o.name), plain.load_rows(s))
        alike(rows_of(tables["prices"], o.name), [("one", h, name, 1000 * s.price[h, w]) for h in range(24) for w, name in enumerate(PEOPLE.weather.names)])
        buy, sell = s.adders()
        whole = s.price @ law
        bought = buy @ law + s.tariff.pass_buy * whole
        sold = bought if s.tariff.net_metering else sell @ law + s.tariff.pass_sell * whole
        adder = 0 * whole if s.tariff.net_metering else sell @ law
        alike(rows_of(tables["rates"], o.name), [(h, bought[h], sold[h], (buy @ law)[h], adder[h]) for h in range(24)])
        alike(rows_of(tables["loss"], o.name), [(*plain.loss_row(s), expected["cost"] - lmp)])


def test_response_of_the_load_to_the_rates(outcomes, studies, tables):
    """A cent more in one hour, households and market anew, by central differences."""
    names = list(dict.fromkeys(row[0] for row in tables["response"].rows))
    assert names == ["flat_nem", "lmp"]
    for name, s, hours in (("flat_nem", studies[0], range(1, 24, 6)), ("lmp", studies[3], (12, 19))):
        found = {(k, j): v for k, j, v in rows_of(tables["response"], name)}
        for k in hours:
            changed = [replace(s.tariff, buy=s.tariff.buy + d * np.eye(24)[k]) for d in (2e-5, -2e-5)]
            moved = [plain.settle(PEOPLE, SUPPLY, t, near=s, tolerance=1e-11).load() for t in changed]
            quotient = (moved[0] - moved[1]) @ s.regimes / 4e-5 / 100
            assert np.abs([found[k, j] for j in range(24)] - quotient).max() <= 2e-5 * np.abs(quotient).max()


def test_gradients_of_all_criteria(outcomes, studies):
    """Central differences of the plain study: all rates, the peak's, exports'."""
    o, s, step = outcomes[1], studies[1], 2e-5
    found = gradients(o.equilibrium, np.column_stack([np.ones(24), PEAK, np.zeros(24)]), np.column_stack([np.zeros(24), np.zeros(24), np.ones(24)]))
    for d, (buy, sell) in enumerate(((np.ones(24), 0), (PEAK, 0), (0, np.ones(24)))):
        moved, seen = [], []
        for sign in (1, -1):
            t = replace(s.tariff, buy=s.tariff.buy + sign * step * buy, sell=s.tariff.sell + sign * step * sell)
            moved.append(plain.settle(PEOPLE, SUPPLY, t, near=s, tolerance=1e-11))
            seen.append(plain.criteria(moved[-1], REQUIRED))

        def quotient(key, seen=seen):
            return (seen[0][key] - seen[1][key]) / (2 * step)

        groups = [[i for i, t in enumerate(PEOPLE.types) if t.group == g] for g in ("low", "middle", "high")]
        bills = [sum(PEOPLE.types[i].share * quotient("bills")[i] for i in g) / sum(PEOPLE.types[i].share for i in g) for g in groups]
        variance = (seen[0]["price_spread"] ** 2 - seen[1]["price_spread"] ** 2) / (2 * step)
        for name, value in (
            ("cost", quotient("cost")), ("volumetric", quotient("volumetric")), ("wholesale", quotient("wholesale")), ("incidence", quotient("incidence")),
            ("bills", bills), ("price_variance", variance), ("price", (moved[0].price - moved[1].price)[None] / (2 * step)),
            ("load", (moved[0].load() - moved[1].load()) / (2 * step)),
        ):  # fmt: skip
            assert np.abs(getattr(found, name)[..., d] - value).max() <= 2e-5 * (1e-3 + np.abs(value).max()), (name, d)


def test_diagnosis_by_demand_differences_and_by_iterating(outcomes, studies, tables):
    o, s = outcomes[3], studies[3]
    d, law = o.diagnosis, s.regimes
    jacobian = plain.demand_jacobian(s)
    regime = np.tile(law, 24)
    joint = regime[:, None] * jacobian / (PEOPLE.count / 1000)
    assert d.spectral_radius == pytest.approx(np.abs(np.linalg.eigvals(SUPPLY.slope / 1000 * jacobian)).max(), rel=1e-5)
    assert d.monotonicity == pytest.approx(np.linalg.eigvalsh((joint + joint.T) / 2).max(), rel=1e-3, abs=1e-6)
    gains = [s.gain(i) for i in range(len(PEOPLE.types))]
    owned = [t.share * (t.battery is not None) for t in PEOPLE.types]
    assert d.exploitability == pytest.approx(s.total(lambda i: gains[i]), abs=1e-9)
    assert d.of_owners == pytest.approx(np.dot(owned, gains) / sum(owned), abs=1e-9)
    usual = sum(t.share * plain.profiles(PEOPLE, i)[0] for i, t in enumerate(PEOPLE.types)) * PEOPLE.count / 1000
    near, price = s, s.cleared(usual)
    shown = [row[3] for row in rows_of(tables["iterations"], "lmp") if row[0] == "undamped"]
    for expected in shown:
        near = plain.Study(PEOPLE, SUPPLY, s.tariff, s.temperature, price).answer(near)
        wanted = near.cleared()
        assert expected == pytest.approx(np.abs(wanted - price).max(), rel=1e-5, abs=1e-10)
        price = wanted


def test_closure_by_carrying_laws_and_by_households_that_throw_dice(outcomes, studies):
    o, s = outcomes[3], studies[3]
    found = closure(o.equilibrium, paths=3, days=2, seed=4)
    regimes = histories(PEOPLE.weather, 3, 24 * 3, 4)
    loads = plain.along(s, regimes)
    off, prices = [], []
    for path in range(3):
        for t in range(24, 72):
            w = regimes[path, t]
            off.append(loads[path, t] - s.load()[t % 24, w])
            system = loads[path, t] + SUPPLY.base[t % 24]
            prices.append(SUPPLY.intercept + SUPPLY.slope * system - 1000 * s.price[t % 24, w])
    for values, names in ((off, ("load_bias", "load_deviation", "load_worst")), (prices, ("price_bias", "price_deviation", "price_worst"))):
        for name, value in zip(names, (np.mean(values), np.std(values), np.abs(values).max()), strict=True):
            assert getattr(found, name) == pytest.approx(value, abs=1e-6)
    many = 3000
    dice = plain.simulated(s, regimes[:1], many, 0)
    # a household's reading varies by at most what its battery can move, 2 kWh to either side
    noise = PEOPLE.count / 1000 * np.sqrt(sum((4 * t.share) ** 2 / 4 / many for t in PEOPLE.types if t.battery is not None))
    assert np.abs(dice - loads[:1]).max() <= 4.5 * noise
    assert np.abs((dice - loads[:1]).mean()) <= noise


def test_indices_do_not_depend_on_the_order_of_types(outcomes):
    o = outcomes[0]
    turned = replace(PEOPLE, types=PEOPLE.types[::-1])
    again = criteria(equilibrium(turned, SUPPLY, o.tariff), REQUIRED)
    assert (again.gini, again.suits) == pytest.approx((o.criteria.gini, o.criteria.suits), abs=1e-9)
