"""Markets from files: MATPOWER cases against PYPOWER, tables there and back, and errors that name file, row, column and unit."""

import contextlib
import io
import warnings

import numpy as np
import pytest
from case5 import CASE5

from stackopt.energy.market.cases import market_case
from stackopt.energy.market.dispatch import dispatch
from stackopt.energy.market.matpower import read_matpower
from stackopt.energy.market.network import Generator
from stackopt.energy.market.tables import read_load, read_market
from stackopt.errors import InvalidStudy, StackoptError


def test_a_matpower_file_gives_the_known_prices(tmp_path):
    (tmp_path / "case5.m").write_text(CASE5)
    market, load = read_matpower(tmp_path / "case5.m")
    case, found = market_case("pjm5"), dispatch(market, load)
    assert market.buses[-1] == "10"
    assert len(market.generators) == 5  # one is out of service
    assert found.cost == pytest.approx(case.cost, rel=1e-9)
    assert np.abs(found.price[:, 0] - case.price).max() <= 1e-5


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (
            "300	98.61	0	0	1	1	0	230	1	1.1	0.9; % load",
            "three	98.61	0	0	1	1	0	230	1	1.1	0.9;",
            ("row 8", '"bus.Pd"', "unit MW", "'three' is not a number"),
        ),
        ("mpc.baseMVA = 100;", "", ("baseMVA is missing",)),
        ("2	0	0	2	30	0;", "1	0	0	2	0	0	520	15600;", ("row 31", "gencost.model", "polynomial")),
        ("2	0	0	2	30	0;", "2	0	0	4	1	0	30	0;", ("row 31", "at most quadratic")),
        ("2	0	0	2	1	0;", "", ("5 rows for 6 generators",)),
        ("0.0297	0.00674	0	0	0	0	0	1", "0	0.00674	0	0	0	0	0	1", ("row 25", "line 'L5'", "`reactance` must be", "per unit")),
        (
            "3	323.49	0	390	-390	1	100	1	520	0;",
            "3	323.49	0	390	-390	1	100	1	-520	0;",
            ("row 15", "generator 'G3'", "`capacity`", "(MW)"),
        ),
        ("	3	4	0.00297	0.0297	0.00674", "	3	4	0.00297;", ("row 25", "3 columns", 'column "x"')),
        ("1	-360	360;\n];", "1	-10	20;\n];", ("row 26", "branch.angmin", "symmetric")),
        ("];\nmpc.gencost", "];\nmpc.branch(:, 4) = mpc.branch(:, 4) / 100;\nmpc.gencost", ("computes its data",)),
        ("mpc.gencost = [", "mpc.dcline = [\n1 2 1;\n];\nmpc.gencost = [", ("direct current",)),
        ("	4	10	0.00297", "	4	4	0.00297", ("row 26", "`end`")),
    ],
)
def test_matpower_errors_say_where(tmp_path, old, new, parts):
    path = tmp_path / "bad.m"
    assert old in CASE5
    path.write_text(CASE5.replace(old, new))
    with pytest.raises(InvalidStudy) as caught:
        read_matpower(path)
    for part in (str(path), *parts):
        assert part in str(caught.value)


def test_a_missing_file_is_said_to_be(tmp_path):
    with pytest.raises(InvalidStudy) as caught:
        read_matpower(tmp_path / "none.m")
    assert caught.value.code == "market-file"
    assert "No such file" in str(caught.value)


def test_limits_on_angles_become_limits_on_flows(tmp_path):
    degrees = np.rad2deg(2.40 * 0.0297)  # 240 MW on the last line
    (tmp_path / "a.m").write_text(CASE5.replace("240	240	240	0	0	1	-360	360;", f"0	0	0	0	0	1	{-degrees:.12f}	{degrees:.12f};"))
    market, load = read_matpower(tmp_path / "a.m")
    assert dispatch(market, load).cost == pytest.approx(market_case("pjm5").cost, rel=1e-8)


def _written(path, ppc):
    """A PYPOWER case as a MATPOWER file."""
    text = ["function mpc = peer", f"mpc.baseMVA = {ppc['baseMVA']};"]
    for name in ("bus", "gen", "branch", "gencost"):
        text += [f"mpc.{name} = [", *("\t".join(repr(float(x)) for x in row) + ";" for row in ppc[name]), "];"]
    path.write_text("\n".join(text))


@pytest.mark.parametrize("name", ["case9", "case14", "case30", "case39", "case57", "case118"])
def test_ieee_networks_agree_with_pypower(tmp_path, name):
    api = pytest.importorskip("pypower.api")
    ppc = getattr(api, name)()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        peer = api.rundcopf(getattr(api, name)(), api.ppoption(VERBOSE=0, OUT_ALL=0))
    assert peer["success"]
    _written(tmp_path / "peer.m", ppc)
    found = dispatch(*read_matpower(tmp_path / "peer.m"))
    assert found.cost == pytest.approx(peer["f"], rel=1e-7)
    lmp = peer["bus"][:, 13]
    assert np.abs(found.price[:, 0] - lmp).max() <= 1e-4 * np.abs(lmp).max()
    assert np.abs(found.flow[:, 0] - peer["branch"][:, 13]).max() <= 1e-2


FILES = {
    "buses.csv": "bus,load [MW]\nA,10\nB,60\n",
    "lines.csv": "line,start,end,reactance [p.u.],capacity [MW]\nab,A,B,0.1,40\n",
    "generators.csv": "generator,bus,capacity [MW],cost [$/MWh],quadratic [$/MW2h]\nold,A,100,20,\nnew,B,100,30,0.1\n",
    "storages.csv": "storage,bus,power [MW],energy [MWh],efficiency\nlake,B,5,20,0.8\n",
    "load.csv": "hour,B [MW],A [MW]\n0,60,10\n1,70,10\n",
}


def _folder(path, **changed):
    for name, text in (FILES | {f"{key}.csv": value for key, value in changed.items()}).items():
        (path / name).write_text(text)
    return path


def test_tables_make_a_market(tmp_path):
    market, load = read_market(_folder(tmp_path), voll=1000.0)
    assert load.tolist() == [10.0, 60.0]
    assert market.generators[1] == Generator("new", "B", 100.0, (30.0, 0.1))
    assert market.storages[0].efficiency == 0.8
    assert market.voll == 1000.0
    hourly = read_load(tmp_path / "load.csv", market)
    assert hourly.tolist() == [[10.0, 10.0], [60.0, 70.0]]
    assert dispatch(market, load).flow[0, 0] == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("table", "text", "parts"),
    [
        ("generators", "generator,bus,capacity [kW],cost [$/MWh]\nold,A,100,20\n", ("row 1", '"capacity [kW]"', "unit kW", "capacity [MW]")),
        ("generators", "generator,bus,capacity,cost [$/MWh]\nold,A,100,20\n", ("unit missing",)),
        ("generators", "generator,bus,capacity [MW],cost [$/MWh]\nold,A,100,20\nnew,B,much,30\n", ("row 3", "'much'", "unit MW")),
        ("generators", "generator,bus,capacity [MW],cost [$/MWh]\nold,A,-100,20\n", ("row 2", "generator 'old'", "`capacity`", "-100")),
        ("generators", "generator,bus,capacity [MW],cost [$/MWh]\nold,A,,20\n", ("row 2", "missing", "unit MW")),
        ("generators", "generator,bus,capacity [MW],cost [$/MWh]\nold,A,100\n", ("row 2", "3 cells under 4 columns")),
        ("generators", "generator,bus,capacity [MW],cost [$/MWh],fuel\nold,A,100,20,gas\n", ("unknown column", '"fuel"')),
        ("generators", "generator,bus,capacity [MW]\nold,A,100\n", ("'cost' is missing",)),
        ("generators", "generator,bus,capacity [MW],cost [$/MWh]\nold,C,100,20\n", ("generator 'old' at bus 'C'",)),
        ("storages", "storage,bus,power [MW],energy [MWh],efficiency\nlake,B,0,20,0.8\n", ("row 2", "storage 'lake'", "power 0 MW")),
        ("lines", "line,start,end,reactance [p.u.],capacity [MW]\nab,A,,0.1,40\n", ("row 2", '"end"', "name is missing")),
    ],
)
def test_table_errors_say_where(tmp_path, table, text, parts):
    with pytest.raises(InvalidStudy) as caught:
        read_market(_folder(tmp_path, **{table: text}))
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hour,B [MW]\n0,60\n2,70\n", ("row 3", "expected 1, got '2'")),
        ("hour,B [GW]\n0,60\n", ("unit GW", "B [MW]")),
        ("hour,B [MW]\n0,x\n", ("row 2", "'x' is not a number", "unit MW")),
        ("hour,B [MW]\n0,nan\n", ("row 2", "not finite")),
        ("hour,C [MW]\n0,1\n", ("bus 'C'",)),
        ("B [MW]\n0\n", ("'hour' is missing",)),
    ],
)
def test_load_errors_say_where(tmp_path, text, parts):
    market, _ = read_market(_folder(tmp_path))
    (tmp_path / "load.csv").write_text(text)
    with pytest.raises(InvalidStudy) as caught:
        read_load(tmp_path / "load.csv", market)
    for part in parts:
        assert part in str(caught.value)


def test_a_dispatch_that_was_not_proved_is_not_given_out():
    case = market_case("case14_80")
    with pytest.raises(StackoptError) as caught:
        dispatch(case.market, np.tile(case.load[:, None], 24), time_limit=0.0)
    assert caught.value.code == "market-failed"
