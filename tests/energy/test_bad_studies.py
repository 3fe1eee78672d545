"""Bad input of studies: each is handled or refused with file, row, column and unit, through the study file and through the API; and a fuzz."""

import numpy as np
import pytest
from case5 import CASE5
from hypothesis import given, settings
from hypothesis import strategies as st
from studies import TOML, TYPES, write
from towns import LOAD, SUN, town

import stackopt as so
from stackopt.energy.benchmarks_named import tariff_at
from stackopt.energy.criteria import criteria
from stackopt.energy.diagnosis import diagnose
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.households import Battery, Households, HouseholdType, Weather
from stackopt.energy.market.network import Generator, Line, Market
from stackopt.energy.market.smooth import MeritOrder, NetworkSupply
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.static import StaticTown
from stackopt.energy.studies.study import read_study
from stackopt.energy.tariff import Tariff


def rewritten(folder, file, old, new):
    """The study's path, with `old` in one file replaced; texts that are bytes replace the file."""
    path = write(folder)
    if isinstance(new, bytes):
        (folder / file).write_bytes(new)
    else:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new), newline="")
    return path


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("types.csv", "type,group", "\ufefftype,group"),
        ("load.csv", "\n", "\r\n"),
        ("types.csv", "income [$/year]", '"income [$/year]"'),
        ("types.csv", "poor,Q1", '"poor", "Q1"'),
        ("load.csv", "hour,flat [kWh]", 'hour, "flat [kWh]"'),
        ("types.csv", "\npoor", "\n\n,,,,,,\npoor"),
        ("study.toml", "name", "\ufeffname"),
        ("study.toml", "\n", "\r\n"),
        ("types.csv", "20000", "2e4"),
    ],
)
def test_files_as_spreadsheets_write_them_are_read(tmp_path, file, old, new):
    (tmp_path / "plain").mkdir()
    (tmp_path / "other").mkdir()
    plain, other = (read_study(p).households for p in (write(tmp_path / "plain"), rewritten(tmp_path / "other", file, old, new)))
    assert [t.name for t in other.types] == [t.name for t in plain.types]
    assert np.array_equal(other.load, plain.load)
    assert np.array_equal(other.income, plain.income)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("load.csv", ",", ";", ["row 1", "semicolons", "commas"]),
        ("load.csv", ",", "\t", ["row 1", "tabs"]),
        ("load.csv", "", b"", ["is empty"]),
        ("load.csv", "", b"hour,flat [kWh]\n", ["no rows"]),
        ("load.csv", "", "hour,flat [kWh]\n0,0,5\n".encode("utf-16"), ["not UTF-8"]),
        ("load.csv", "hour,flat [kWh]", "hour,house [kWh]", ["row 1", "house [kWh]", "appears twice"]),
        ("load.csv", "hour,flat [kWh]", "hour,house  [kWh]", ["row 1", "'house' appears twice"]),
        ("load.csv", "flat [kWh]", "flat [kW]", ["row 1", "unit kW", "flat [kWh]"]),
        ("load.csv", "\n5,", "\n4,", ["row 7", "expected 5", "'4'"]),
        ("load.csv", "\n23,", "\n23,1,1,1\n24,", ["25 hours"]),
        ("load.csv", "\n3,0.32", "\n3,inf", ["row 5", "unit kWh", "'inf'"]),
        ("load.csv", "\n3,0.32", "\n3,1e5", ["row 5", "flat [kWh]", "not credible"]),
        ("load.csv", "\n3,0.32", "\n3,0,32", ["row 5", "5 cells under 4 columns"]),
        ("types.csv", "0.5,20000", "0.5,0", ["row 2", "income [$/year]", "positive"]),
        ("types.csv", "0.5,20000", "0.5,20", ["row 2", "$/year", "thousands"]),
        ("types.csv", "0.5,20000", "50 %,20000", ["row 2", "'50 %' is not a number", "share"]),
        ("types.csv", "0.5,20000", "-0.5,20000", ["row 2", "share", "-0.5"]),
        ("types.csv", "0.5,20000", "nan,20000", ["row 2", "share", "nan"]),
        ("types.csv", ",kind,", ",", ["row 2", "7 cells under 6 columns"]),
        ("types.csv", "flat,\n", "flat,roof\n", ["row 2", '"pv"', "consumer", "'roof'"]),
        ("types.csv", ",pv\n", ",load []\n", ["row 1", "appears twice"]),
        ("types.csv", "middle", "poor", ["row 3", "twice"]),
    ],
)
def test_what_would_be_misread_names_its_place(tmp_path, file, old, new, words):
    with pytest.raises(so.InvalidStudy) as caught:
        read_study(rewritten(tmp_path, file, old, new))
    assert caught.value.code == "study-file"
    for word in [file, *words]:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_loads_in_mwh_or_wh_are_not_taken_for_kwh(tmp_path, factor):
    path = write(tmp_path)
    rows = [f"{h},{0.8 * v * factor},{v * factor},{1.5 * v * factor}" for h, v in enumerate(LOAD)]
    (tmp_path / "load.csv").write_text("\n".join(["hour,flat [kWh],house [kWh],villa [kWh]", *rows]) + "\n")
    with pytest.raises(so.InvalidStudy, match=r"is this in MWh or Wh\?") as caught:
        read_study(path)
    assert "flat [kWh]" in str(caught.value)


@pytest.mark.parametrize(("days", "reads"), [(365, True), (366, True), (1, True)])
def test_years_and_leap_years_are_averaged_by_hour(tmp_path, days, reads):
    study = read_study(write(tmp_path, days=days))
    assert study.households.load[1].shape[0] == 24
    assert np.allclose(study.households.load[1].reshape(24, -1)[:, 0], LOAD) == reads


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[storage]\nkw = 1e-320\n", ["[storage] kw", "nearer to 0"]),
        ("[population]\nhouseholds = 1" + "0" * 400 + "\n", ["[population] households", "not beyond 1e+09"]),
        ("[market]\nintercept = 1e308\n", ["[market] intercept", "$/MWh", "1e+308"]),
        ("[market]\nintercept = nan\n", ["[market] intercept", "nan"]),
        ("[weather]\nstay = [1.0, 1.0]\n", ["weather", "for ever"]),
        ("[storage]\nlevels = 100000\n", ["2 to 1000 levels"]),
        ("[tariff]\nperiods = { day = [0, 12], night = [11, 24] }\n", ["hour 11 2 times"]),
        ("[population]\nadoption = [0.1, 0.1, 0.1, 0.1, 1.1]\n", ["[population] adoption", "from 0 to 1"]),
        ("[population]\nadoption = [0.1]\n", ["adoption", "5 shares"]),
        ("[tariff]\nsell = [0.9, 0.2]\n", ["[tariff] sell", "lowest"]),
        ("[benchmarks]\nfixed = 1e308\n", ["[benchmarks] fixed", "$/month"]),
    ],
)
def test_settings_that_nobody_can_mean(tmp_path, text, words):
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(so.InvalidStudy) as caught:
        read_study(tmp_path / "study.toml")
    for word in ["study.toml", *words]:
        assert word in str(caught.value), str(caught.value)


def one(**rest):
    return HouseholdType(**({"name": "a", "group": "g", "kind": "C", "share": 1.0, "income": 5e4, "load": LOAD} | rest))


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "make",
    [
        lambda: one(load=[NAN] * 24), lambda: one(load=-LOAD), lambda: one(load=LOAD[:23]), lambda: one(income=0), lambda: one(income=INF),
        lambda: one(share=NAN), lambda: one(kind="solar"), lambda: Households([]), lambda: Households([one(share=0.4)]),
        lambda: Households([one(share=0.5), one(share=0.5)]), lambda: Households([one()], count=INF), lambda: Households([one()], elasticity=NAN),
        lambda: Households([one()], reference_price=INF), lambda: Weather(sun=(1, INF)), lambda: Weather(stay=(2.0, 0.5)), lambda: Weather(stay=(1.0, 0.6)),
        lambda: Battery(kw=0.0), lambda: Battery(kwh=INF), lambda: Battery(kw=INF), lambda: Battery(wear=NAN), lambda: Battery(kwh=1e-320),
        lambda: Battery(levels=10**6), lambda: Tariff("t", NAN), lambda: Tariff("t", 38.0), lambda: Tariff("t", np.ones(23)),
        lambda: Tariff("t", 0.3, pass_buy=NAN), lambda: Tariff("t", 0.3, fixed={"Q1": INF}), lambda: Tariff("t", 0.3, discount={"Q1": NAN}),
        lambda: Tariff("t", 0.3, discount={"Q1": -0.5}),
        lambda: LinearSupply(NAN), lambda: LinearSupply(slope=INF), lambda: LinearSupply(base=NAN), lambda: LinearSupply(base=np.ones(23)),
        lambda: LinearSupply(floor=NAN), lambda: MeritOrder([]), lambda: MeritOrder([(NAN, 20.0)]), lambda: MeritOrder([(1e308, 20.0)]),
        lambda: MeritOrder([(10.0, 20.0)], base=np.ones(23)), lambda: MeritOrder([(10.0, 20.0)], voll=1e308), lambda: MeritOrder([(10.0, 20.0)], 1e-320),
        lambda: NetworkSupply(Market(["A"], [], [Generator("g", "A", 5.0, 20.0, ramp=1.0)])), lambda: StaticTown(count=(-1.0, 1.0, 1.0)),
        lambda: StaticTown(income=(0.0, 1.0, 1.0)), lambda: StaticTown(elasticity=0.0), lambda: StaticTown(sun=(0.0, 0.0, NAN)),
        lambda: StaticTown(required=1e4).recovering(), lambda: StaticTown().outcome([0.1, 0.2]), lambda: StaticTown().outcome(NAN),
    ],
)  # fmt: skip
def test_the_api_refuses_what_cannot_be_computed(make):
    with pytest.raises(so.InvalidStudy):
        make()


def test_the_largest_reachable_revenue_is_said():
    with pytest.raises(so.InvalidStudy, match=r"at most 9\d\.\d+ of 1e\+04 \$/h") as caught:
        StaticTown(required=1e4).recovering()
    assert caught.value.code == "revenue"


def test_selling_above_buying_is_refused_where_it_happens():
    with pytest.raises(so.InvalidStudy) as caught:
        equilibrium(town(), LinearSupply(), Tariff("t", 0.3, np.where(np.arange(24) == 13, 0.31, 0.1)))
    assert caught.value.code == "sell-above-buy"
    assert "13" in str(caught.value)


def test_negative_wholesale_prices_are_prices():
    """More panels than load: without a floor the price falls below 0 at noon, with one it stops there; bills and criteria stay finite."""
    households = town()
    free, floored = (equilibrium(households, LinearSupply(18.0, 0.045, 0.0, floor), Tariff("t", 0.0, 0.0, 1.0, 1.0)) for floor in (-INF, 0.0))
    assert free.price.min() < -0.01
    assert floored.price.min() == pytest.approx(0.0, abs=1e-9)
    for found in (free, floored):
        assert found.converged
        assert np.isfinite(criteria(found, 1.0).bills).all()


def test_an_island_without_plants_is_unserved_and_said_to_be():
    """Its price is the value of lost load, which is no price of energy: the diagnosis says how much is not served."""
    types = [one(name="with", share=0.5, bus="A"), one(name="without", share=0.5, bus="B")]
    market = Market(["A", "B"], [], [Generator("g", "A", 3000.0, (20.0, 0.01))], voll=1000.0)
    found = equilibrium(Households(types, Weather(("clear",), (1.0,), (1.0,))), NetworkSupply(market, 0.1, ["A", "B"]), Tariff("t", 0.3))
    assert found.price[1].min() == pytest.approx(1.0, rel=1e-3)  # $/kWh
    assert "load is shed, up to 700 MW" in str(diagnose(found))
    joined = Market(["A", "B"], [Line("ab", "A", "B", 0.1)], market.generators, voll=1000.0)
    assert "load is shed" not in str(diagnose(equilibrium(found.response.households, NetworkSupply(joined, 0.1, ["A", "B"]), Tariff("t", 0.3))))


GRID = {
    "grid/buses.csv": "bus,load [MW]\nA,300\nB,400\n",
    "grid/lines.csv": "line,start,end,reactance [p.u.],capacity [MW]\nAB,A,B,0.1,500\n",
    "grid/generators.csv": "generator,bus,capacity [MW],cost [$/MWh]\nsteam,A,1500,30\ngas,B,1500,60\n",
    "case5.m": CASE5,
}
MORE = """
[storage]
kwh = 13.5
kw = 5.0
levels = 6
[weather]
pv = [1.0, 0.35]
stay = [0.8, 0.6]
[tariff]
periods = { day = [0, 16], evening = [16, 24] }
buy = [0.0, 0.8]
discount = { Q1 = 0.3 }
[benchmarks]
names = ["flat_nb", "mine"]
fixed = { Q1 = 1.0, other = 4.0 }
[benchmarks.mine]
buy = { day = 0.2, evening = 0.35 }
fixed = { Q1 = 5.0, other = 20.0 }
"""
MARKETS = {
    "linear": "base = 300.0\nintercept = 18.0\nslope = 0.1\nfloor = 0.0\n",
    "merit": "blocks = [[800, 20], [900, 60], [900.0, 100.0]]\nbarrier = 0.1\nvoll = 1000.0\n",
    "grid": 'network = "grid"\nbarrier = 0.1\n',
    "case5": 'network = "case5.m"\nvoll = 1000.0\n',
}
NASTY = [
    "", "nan", "inf", "-inf", "-1", "0", "1e400", "1e308", "1e-320", "abc", "\u00e9", '"', " 5 ", "0x10", "1_0", "[]", "{}", "true", '"x"', "10" * 30, "-0.0",
    "1e9", "[1, 2]", "[[0, 0]]", "{ a = 1 }", "2", "0.5", "[nan, 1.0]", "1979-05-27", "%{", "];", ",,,", "\x00", "#",
]  # fmt: skip
MUTATIONS = st.tuples(st.integers(0, 5), st.sampled_from(["drop", "twice", "insert", "cell", "value", "letter", "cut", "swap", "mark"]), st.floats(0, 0.999),
                      st.floats(0, 0.999), st.sampled_from(NASTY))  # fmt: skip


def mutated(text, how, where, within, nasty, separator):
    """The text with one line or part of it changed; `where` and `within` are shares of its length."""
    lines = text.split("\n")
    at = int(where * len(lines))
    line = lines[at]
    cells = line.split(separator)
    k = int(within * len(cells))
    changed = {
        "drop": [], "twice": [line, line], "insert": [nasty, line], "cell": [separator.join([*cells[:k], nasty, *cells[k + 1 :]])],
        "value": [f"{line.split('=')[0]}= {nasty}"], "letter": [line[: int(within * len(line))] + nasty + line[int(within * len(line)) + 1 :]],
        "swap": [lines[int(within * len(lines))]], "mark": [line.replace(separator, ";")],
    }  # fmt: skip
    return "\n".join(lines[:at]) if how == "cut" else "\n".join([*lines[:at], *changed[how], *lines[at + 1 :]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(list(MARKETS)), st.lists(MUTATIONS, min_size=1, max_size=2))
def test_a_mutated_study_is_computed_or_refused(folder, kind, changes):
    """Never another exception, never a silent NaN: whatever reads is computed to finite criteria, or says that it did not converge."""
    named = "network" if kind in ("grid", "case5") else kind
    toml = TOML + MORE + f'[market]\nkind = "{named}"\n{MARKETS[kind]}'
    types = TYPES
    if named == "network":
        header, *rows = TYPES.strip().split("\n")
        types = "\n".join([f"{header},bus", *(f"{row},{'A' if kind == 'grid' else '2'}" for row in rows)]) + "\n"
    path = write(folder, toml, types)
    (folder / "grid").mkdir(exist_ok=True)
    for name, text in GRID.items():
        (folder / name).write_text(text)
    files = ["study.toml", "study.toml", "types.csv", "load.csv", "pv.csv", "case5.m"]
    files[5] = {"grid": "grid/generators.csv", "case5": "case5.m"}.get(kind, "study.toml")
    for file, how, where, within, nasty in changes:
        target = folder / files[file]
        separator = "," if target.suffix == ".csv" else "\t" if target.suffix == ".m" else " "
        target.write_text(mutated(target.read_text(encoding="utf-8"), how, where, within, nasty, separator), encoding="utf-8", newline="")
    try:
        study = read_study(path)
        found = equilibrium(study.households, study.market, tariff_at("flat_nb", 0.3, study.households), temperature=0.02, tolerance=1e-6, time_limit=1.0)
    except so.InvalidInput:
        return
    if found.residual <= 1e-6:
        judged = criteria(found, study.required)
        for values in (found.price, judged.cost, judged.bills, judged.gap, judged.shortfall, judged.peak):
            assert np.isfinite(values).all()


def test_the_fuzz_both_computes_and_refuses(folder):
    """The unchanged folder is good, and a study that lost a column is not: the fuzz does not pass by refusing everything."""
    path = write(folder, TOML + MORE)
    study = read_study(path)
    found = equilibrium(study.households, study.market, tariff_at("flat_nb", 0.3, study.households))
    assert found.converged
    assert np.isclose(study.households.sun.max(), 1.5 * SUN.max())
    (folder / "types.csv").write_text(TYPES.replace(",share", ""))
    with pytest.raises(so.InvalidStudy):
        read_study(path)
