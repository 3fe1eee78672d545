"""Study files: the documented example is the defaults, own tables are read exactly, and every mistake is named with its place."""

import tomllib

import numpy as np
import pytest
from studies import TOML, TYPES, write
from towns import LOAD, SUN

import stackopt as so
from stackopt.energy.market.smooth import MeritOrder, NetworkSupply
from stackopt.energy.studies.keys import KEYS, example
from stackopt.energy.studies.study import read_study, study_of


def test_the_example_states_every_default():
    raw = tomllib.loads(example())
    for key in KEYS:
        if key.default is None:
            assert f"\n# {key.name} = " in example()
            assert key.name not in raw[key.section]
        else:
            assert raw[key.section][key.name] == key.default
            assert key.accepts(key.default)
    stated, silent = study_of(example()), study_of("")
    assert stated.settings == silent.settings
    assert len(stated.households.types) == 45
    assert np.array_equal(stated.households.load, silent.households.load)


def test_figures_in_the_example_have_a_unit_or_are_shares_and_a_status():
    for key in KEYS:
        if key.status:
            assert key.status.startswith(("seen", "reconstructed", "recalled", "assumption"))
        if isinstance(key.default, float) and key.section != "objective":
            assert key.unit, key.name


def test_doubtful_figures_are_labelled():
    study = study_of("[population]\nelasticity = 0.3\n")
    by_item = {a.item: a for a in study.assumptions}
    assert by_item["[population] elasticity"].status == "assumption of the study file"
    assert by_item["[storage] efficiency"].status == "recalled, unverified"
    assert by_item["[revenue] required"].doubtful
    assert any("2509.16296" in a.source for a in study.assumptions)
    assert "reconstructed" in study.basis
    assert "recalled" in study.basis


def test_own_households_are_read_exactly(tmp_path):
    study = read_study(write(tmp_path))
    h = study.households
    assert [t.kind for t in h.types] == ["C", "PV", "C", "PVB"]
    assert np.allclose(h.load[..., 0], [0.8 * LOAD, LOAD, 1.5 * LOAD, 1.5 * LOAD], atol=1e-11)
    assert np.allclose(h.types[3].sun, 1.5 * SUN, atol=1e-11)
    assert h.share.tolist() == [0.5, 0.15, 0.25, 0.1]
    assert h.types[3].battery.kwh == 13.5
    assert study.name == "town"


def test_a_study_without_a_name_is_called_as_its_file(tmp_path):
    (tmp_path / "village.toml").write_text('[population]\nshapes = ["ca"]\n')
    assert read_study(tmp_path / "village.toml").name == "village"


def test_many_days_are_averaged_and_use_scales_the_shape(tmp_path):
    scaled = TYPES.replace("load,pv\n", "load,pv,use [kWh/year],panels [kW]\n").replace("flat,\n", "flat,,7300,\n").replace("house,roof", "house,roof,,2")
    scaled = scaled.replace("villa,\n", "villa,,,\n").replace("villa,large", "villa,large,,")
    h = read_study(write(tmp_path, types=scaled, days=5)).households
    assert h.load[0, :, 1].sum() == pytest.approx(20.0)
    assert np.allclose(h.load[1, :, 0], LOAD)
    assert np.allclose(h.types[1].sun, 2 * SUN)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("[populaton]\n", "study-key", ["study.toml line 1, [populaton]\n", "did you mean `population`?"]),
        ("[storage]\nkwh = 10\n\nefficency = 0.9\n", "study-key", ["study.toml line 4, [storage] efficency", "did you mean `efficiency`?"]),
        ("[tariff]\nbuy = [0, 38]\n", "rate-units", ["line 2, [tariff] buy", "38 $/kWh", "0.38"]),
        ("[population]\nelasticity = -0.2\n", "setting-value", ["line 2, [population] elasticity", "above 0", "-0.2"]),
        ("[population]\nhouseholds = 2.5\n", "setting-value", ["unit households", "2.5"]),
        ("[population]\nseason = \"autumn\"\n", "setting-value", ["autumn", "shoulder"]),
        ("[population]\nshapes = [\"ny\"]\n", "setting-value", ["study.toml", "'ny'", "vt"]),
        ("[storage]\nkw = 0.1\n", "battery", ["study.toml", "cannot reach"]),
        ("[weather]\nstay = [0.8]\n", "setting-value", ["line 2, [weather] stay", "2 values"]),
        ("[market]\nkind = \"merit\"\n", "setting-value", ["merit", "kind"]),
        ('[market]\nkind = "network"\nnetwork = "grid"\n', "setting-value", ["placement", 'tx = "BUS"', "got none"]),
        ("[market]\nvoll = 500\n", "setting-value", ["[market] voll", "linear"]),
        ("[tariff]\nperiods = { day = [0, 16] }\n", "hours", ["[tariff]", "hour 16 0 times"]),
        ("[tariff]\ndiscount = { Q9 = 0.35 }\n", "setting-value", ["[tariff] discount", "Q9", "Q1"]),
        ("[tariff]\nratios = { Q1 = 1 }\n", "setting-value", ["[tariff] ratios", "none for 'Q2'"]),
        ("[benchmarks]\nnames = [\"flat_nm\"]\n", "study-tariff", ["line 2, [benchmarks] names", "did you mean `flat_nem`?"]),
        ("[benchmarks.mine]\nby = 0.3\n", "study-key", ["line 1, [benchmarks.mine]", "did you mean `buy`?"]),
        ("[benchmarks.mine]\nbuy = [0.3, 0.2]\n", "setting-value", ["[benchmarks.mine]", "24", "$/kWh"]),
        ("[benchmarks.mine]\nbuy = 30\n", "rate-units", ["[benchmarks.mine]", "0.38"]),
        ("[benchmarks.mine]\nbuy = 0.3\nfixed = { Q7 = 1 }\n", "group", ["[benchmarks.mine]", "Q7"]),
        ("[population]\nload = \"load.csv\"\n", "setting-value", ["[population] load", "`types`"]),
        ("name = 3\n", "setting-value", ["line 1", "a text"]),
        ("[population\n", "study-file", ["not TOML", "line 1"]),
    ],
)
def test_mistakes_are_named_with_their_place(text, code, words):
    with pytest.raises(so.InvalidStudy) as caught:
        study_of(text)
    assert caught.value.code == code
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(so.InvalidStudy, match=r"nowhere\.toml"):
        read_study(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("types.csv", "income [$/year]", "income", ["row 1", 'column "income"', "income [$/year]", "missing"]),
        ("types.csv", "income [$/year]", "income [k$/year]", ["row 1", "unit k$/year"]),
        ("types.csv", "type,group", "type,class", ['column "class"', "unknown column"]),
        ("types.csv", ",load,pv", ",load,load", ["row 1", "appears twice"]),
        ("types.csv", "0.5,20000", "0.6,20000", ["row 5", "share", "sum to 1.1"]),
        ("types.csv", "0.5,20000", "50%,20000", ["row 2", "share", "40 % as 0.4"]),
        ("types.csv", "0.5,20000", "0.5,", ["row 2", "income [$/year]", "missing"]),
        ("types.csv", "Q3,PV,", "Q3,solar,", ["row 3", "kind", "'solar'"]),
        ("types.csv", "75000,house", "75000,hut", ["row 3", 'column "load"', "hut [kWh]", "house"]),
        ("types.csv", "house,roof", "house,", ["row 3", "generates"]),
        ("types.csv", "richest,", "rich,", ["row 5", "twice"]),
        ("load.csv", "flat [kWh]", "flat [MWh]", ["row 1", "unit MWh", "convert", "flat [kWh]"]),
        ("load.csv", "\n3,", "\n03:00 AM,", ["row 5", "expected 3", "without dates or clock times"]),
        ("load.csv", "\n3,0.32", "\n3,-0.32", ["row 5", 'column "flat [kWh]"', "unit kWh", "-0.32"]),
        ("load.csv", "\n3,0.32", "\n3,nan", ["row 5", "unit kWh"]),
        ("load.csv", "\n3,0.32", "\n3,0", ["flat [kWh]", "'poor'", "3 o'clock"]),
        ("load.csv", "\n3,", "\n4,", ["row 5", "expected 3", "'4'"]),
        ("load.csv", "\n23,", "\n\n24,", ["expected 23"]),
        ("pv.csv", "hour,", "time,", ["'hour' is missing"]),
    ],
)
def test_mistakes_in_tables_name_file_column_row_and_unit(tmp_path, file, old, new, words):
    path = write(tmp_path)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1))
    with pytest.raises(so.InvalidStudy) as caught:
        read_study(path)
    assert caught.value.code == "study-file"
    for word in [file, *words]:
        assert word in str(caught.value), str(caught.value)


def test_a_day_cut_short_and_a_missing_table(tmp_path):
    path = write(tmp_path)
    (tmp_path / "load.csv").write_text("\n".join((tmp_path / "load.csv").read_text().splitlines()[:-2]) + "\n")
    with pytest.raises(so.InvalidStudy, match="there are 22 hours"):
        read_study(path)
    (tmp_path / "pv.csv").unlink()
    with pytest.raises(so.InvalidStudy):
        read_study(path)


def test_markets_of_plants_and_of_networks(tmp_path):
    merit = study_of('[population]\nshapes = ["ca"]\n[market]\nkind = "merit"\nblocks = [[800, 20], [900, 60], [900, 100]]\n')
    assert isinstance(merit.market, MeritOrder)
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid" / "buses.csv").write_text("bus,load [MW]\nA,300\nB,400\n")
    (tmp_path / "grid" / "lines.csv").write_text("line,start,end,reactance [p.u.],capacity [MW]\nAB,A,B,0.1,500\n")
    (tmp_path / "grid" / "generators.csv").write_text("generator,bus,capacity [MW],cost [$/MWh]\nsteam,A,1500,30\ngas,B,1500,60\n")
    text = '[population]\nshapes = ["ca", "tx"]\n[market]\nkind = "network"\nnetwork = "grid"\nplacement = { ca = "A", tx = "B" }\n'
    study = study_of(text, folder=tmp_path)
    assert isinstance(study.market, NetworkSupply)
    assert study.households.buses == ("A", "B")
    with pytest.raises(so.InvalidStudy, match="none for 'tx'"):
        study_of(text.replace(', tx = "B"', ""), folder=tmp_path)
    with pytest.raises(so.InvalidStudy):
        study_of(text.replace('"grid"', '"nowhere"'), folder=tmp_path)


def test_the_problem_of_the_leader_is_that_of_the_file():
    text = TOML.split("[response]")[1].join(["[response]", '[tariff]\ncap = 40\nratios = { Q1 = 1, Q2 = 2, Q3 = 3, Q4 = 4, Q5 = 5 }\nnet_metering = true\n'])
    problem = study_of(text).problem(0.05)
    assert (problem.cap, problem.ratios, problem.net_metering, problem.required, problem.temperature) == (40.0, [1.0, 2.0, 3.0, 4.0, 5.0], True, 3.0, 0.02)
    assert problem.limits.gap == 0.05
    assert list(problem.periods["peak"]) == list(range(16, 21))


def test_a_changed_study_is_built_anew():
    study = study_of('[population]\nshapes = ["ca"]\n')
    other = study.changed(population__elasticity=0.4, market__slope=0.09)
    assert (other.households.elasticity, other.market.slope) == (0.4, 0.09)
    assert (study.households.elasticity, study.market.slope) == (0.2, 0.045)


# --- a year -------------------------------------------------------------------------------------------------------------

YEAR = TOML.replace('pv = "pv.csv"\n', 'pv = "pv.csv"\nseason = "year"\n')


def hours_of_a_year(columns, factors):
    """8760 rows; each month's days are a factor of the day given, so that seasons differ by known averages."""
    days = np.repeat(factors, [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    lines = ["hour," + ",".join(f"{name} [kWh]" for name in columns)]
    lines += [f"{24 * d + h}," + ",".join(f"{days[d] * v[h]:.12g}" for v in columns.values()) for d in range(365) for h in range(24)]
    return "\n".join(lines) + "\n"


def test_own_tables_of_a_year_are_averaged_by_season(tmp_path):
    scaled = TYPES.replace("load,pv\n", "load,pv,use [kWh/year]\n").replace("flat,\n", "flat,,7300\n").replace("roof\n", "roof,\n")
    path = write(tmp_path, YEAR, scaled.replace("villa,\n", "villa,,\n").replace("large\n", "large,\n"))
    use, light = np.array([1.0, 1.0, 1.1, 0.9, 0.9, 1.3, 1.5, 1.5, 1.3, 0.9, 1.0, 1.0]), np.array([3, 4, 6, 8, 9, 10, 10, 9, 8, 6, 4, 3]) / 10
    (tmp_path / "load.csv").write_text(hours_of_a_year({"flat": 0.8 * LOAD, "house": LOAD, "villa": 1.5 * LOAD}, use))
    (tmp_path / "pv.csv").write_text(hours_of_a_year({"roof": SUN, "large": 1.5 * SUN}, light))
    study = read_study(path)
    h = study.households
    assert h.weather.names[2:4] == ("winter, clear", "winter, cloudy")
    winter = (1.0 * (30 + 31 + 31 + 28)) / 120
    summer = (1.3 * 60 + 1.5 * 62) / 122
    assert np.allclose(h.load[1][:, [0, 1, 2, 3]], np.outer(LOAD, [summer, summer, winter, winter]))
    assert np.allclose(h.sun[1][:, 3], 0.35 * SUN * (4 * 30 + 3 * 31 + 3 * 31 + 4 * 28) / 1200)
    assert (h.load[0] * h.weather.shares).sum() == pytest.approx(20.0)  # 7300 kWh a year
    assert any(a.item == "[population] seasons" and a.doubtful for a in study.assumptions)


def test_a_year_needs_hours_of_a_year(tmp_path):
    with pytest.raises(so.InvalidStudy, match="a year of 8760 hours, from 1 January, by season; there are 24") as caught:
        read_study(write(tmp_path, YEAR))
    assert caught.value.code == "study-file"


def test_rates_of_ones_own_by_season():
    text = '[population]\nshapes = ["ca"]\nseason = "year"\n[benchmarks.mine]\nbuy = { summer = { off = 0.3, midday = 0.2, peak = 0.5, night = 0.3 }, '
    text += "winter = 0.25, shoulder = 0.2 }\nnet_metering = true\ntrue_up = 0.04\n"
    study = study_of(text)
    mine = study.own["mine"].tariff(2.0)
    assert mine.buy.shape == (24, 6)
    assert mine.buy[[3, 17, 17, 17], [0, 0, 2, 4]].tolist() == [0.6, 1.0, 0.5, 0.4]
    assert mine.true_up == 0.04
    assert study_of(text.replace("true_up = 0.04\n", "") + "[benchmarks]\ntrue_up = 0.03\n")["benchmarks", "true_up"] == 0.03
    with pytest.raises(so.InvalidStudy, match="or of the seasons summer, winter, shoulder"):
        study_of(text.replace("shoulder = 0.2", "spring = 0.2"))
    sheet = {a.item: a.status for a in study.assumptions}
    assert sheet["[population] seasons"] == "assumption"
    assert {f"load shape ca ({s})" for s in ("summer", "winter", "shoulder")} <= set(sheet)
    assert "load shape tx (summer)" not in sheet


def test_weather_by_season():
    text = '[population]\nseason = "year"\nshapes = ["ca"]\n[weather]\npv = { summer = [1, 0.4], winter = [0.9, 0.3], shoulder = [1, 0.35] }\n'
    weather = study_of(text + "stay = { summer = [0.9, 0.4], winter = [0.6, 0.7], shoulder = [0.8, 0.6] }\n").households.weather
    assert weather.sun.tolist() == [1.0, 0.4, 0.9, 0.3, 1.0, 0.35]
    assert weather.within[:, 1] == pytest.approx([0, 0, 3 / 7, 4 / 7, 0, 0])
    assert study_of(text).households.weather.within[:, 1] == pytest.approx([0, 0, 2 / 3, 1 / 3, 0, 0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[population]\nseasons = { summer = [6, 7], winter = [1] }\n', ["line 2, [population] seasons", 'season = "year"']),
        ('[population]\nseason = "year"\nseasons = { summer = [6, 7], winter = [1] }\n', ["line 3, [population] seasons", "month 2 0 times"]),
        ('[population]\nseason = "year"\nseasons = { summer = [6, 7], winter = [13] }\n', ["line 3", "1 to 12"]),
        ('[population]\nseason = "year"\nseasons = { summer = [6], monsoon = [1,2,3,4,5,7,8,9,10,11,12] }\n', ["'monsoon'", "summer, winter or shoulder"]),
        ("[weather]\npv = { summer = [1, 0.3], winter = [1, 0.3], shoulder = [1, 0.3] }\n", ["line 2, [weather] pv", 'season = "year"']),
        ('[population]\nseason = "year"\n[weather]\nstay = { summer = [1, 0.3], autumn = [1, 0.3] }\n', ["line 4, [weather] stay", "summer, winter, shoulder"]),
        ('[population]\nseason = "year"\n[weather]\nstay = { summer = [1], winter = [1, 1], shoulder = [1, 1] }\n', ["line 4", "2 values"]),
        ('[population]\nseason = "year"\n[weather]\nstay = { summer = [1, 2], winter = [1, 1], shoulder = [1, 1] }\n', ["line 4", "0 to 1"]),
        ("[benchmarks]\ntrue_up = 0.05\n", ["line 2, [benchmarks] true_up", 'season = "year"']),
        ("[benchmarks.mine]\nbuy = 0.3\nnet_metering = true\ntrue_up = 0.05\n", ["[benchmarks.mine]", "true_up", 'season = "year"']),
        ('[population]\nseason = "year"\n[benchmarks.mine]\nbuy = 0.3\ntrue_up = 0.05\n', ["[benchmarks.mine]", "net_metering"]),
    ],
)
def test_mistakes_about_years_are_named_with_their_place(text, words):
    with pytest.raises(so.InvalidStudy) as caught:
        study_of(text)
    assert caught.value.code == "setting-value"
    for word in words:
        assert word in str(caught.value), str(caught.value)
