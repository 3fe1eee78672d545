"""Networks from files as people have them: what is read all the same, and what is refused by file, row, column and unit."""

import numpy as np
import pytest
from case5 import CASE5

from stackopt.energy.market.cases import market_case
from stackopt.energy.market.dispatch import dispatch
from stackopt.energy.market.matpower import read_matpower
from stackopt.energy.market.tables import read_load, read_market
from stackopt.errors import InvalidStudy

COST = market_case("pjm5").cost


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n", "\r\n"),
        ("mpc.bus = [", "%{\nmpc.baseMVA = 1;\nmpc.bus = [ 1 2 3 ];\n%}\nmpc.bus = [ % buses\n"),
        ("	1	2	0	0	0	0	1	1	0	230	1	1.1	0.9;", "	1, 2, 0, 0, 0, 0, 1, 1, 0, 230, 1, 1.1, 0.9"),
        ("	2	1	300	98.61", "	2	1	300	...  and on\n	98.61"),
        ("mpc.version = '2';", 'mpc.version = "2";\nmpc.bus_name = {\'50 % of A\'; \'B\'};'),
        ("mpc.gencost = [", "mpc.dcline = [];\nmpc.gencost = ["),
        ("	1	4	0.00304	0.0304	0.00658	0	0	0", "	1	4	0.00304	0.0304	0.00658	Inf	0	0"),
        ("];\nmpc.gencost", "	1	3	0	0	0	0	0	0	0	0	0	-360	360;\n];\nmpc.gencost"),  # a line of no reactance, out of service
        ("];\nmpc.gen = [", "	7	4	50	0	0	0	1	1	0	230	1	1.1	0.9;\n];\nmpc.gen = ["),  # an isolated bus
        ("	10	0	0	450	-450	1	100	0	900	0;", "	10	0	0	450	-450	1	100	0	-900	0;"),  # a plant that breaks a law, out of service
        ("2	0	0	3	0	10	0;", "2	0	0	5	0	0	0	10	0	0	0;"),  # a cubic of no weight, zeros behind
        ("function mpc", "\ufefffunction mpc"),
    ],
)
def test_what_matpower_reads_is_read(tmp_path, old, new):
    assert old in CASE5
    (tmp_path / "a.m").write_bytes(CASE5.replace(old, new).encode())
    market, load = read_matpower(tmp_path / "a.m")
    assert len(market.buses) == 5
    assert dispatch(market, load).cost == pytest.approx(COST, rel=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("mpc.version = '2';", "mpc.version = '1';", ("row 3", '"version"', "not '1'")),
        ("mpc.baseMVA = 100;", "mpc.baseMVA = 0;", ("row 4", "unit MVA", "positive")),
        ("mpc.baseMVA = 100;", "mpc.baseMVA = Inf;", ("row 4", "unit MVA", "not finite")),
        ("	10	2	0	0	0	0	1", "	1	2	0	0	0	0	1", ("row 10", '"bus.bus_i"', "bus 1 appears twice")),
        ("	10	2	0	0	0	0	1", "	9.5	2	0	0	0	0	1", ("row 10", "whole numbers", "9.5")),
        ("	2	1	300	98.61", "	2	1	Inf	98.61", ("row 7", '"bus.Pd"', "unit MW", "not finite")),
        ("	3	323.49	0	390", "	33	323.49	0	390", ("row 15", '"gen.bus"', "no bus 33")),
        ("	3	4	0.00297	0.0297", "	3	44	0.00297	0.0297", ("row 25", '"branch.tbus"', "no bus 44")),
        ("2	0	0	2	30	0;", "2	0	0	-1	30	0;", ("row 31", '"gencost.n"', "whole and at least 1")),
        ("2	0	0	2	30	0;", "2	0	0	1.5	30	0;", ("row 31", '"gencost.n"')),
        ("2	0	0	2	30	0;", "2	0	0	3	30	0;", ("row 31", "3 coefficients are announced, 2 given")),
        ("2	0	0	2	30	0;", "2	0	0	3	-0.1	30	0;", ("row 15", "generator 'G3'", "quadratic part of at least 0")),
        ("2	0	0	2	30	0;", "2	0	0	2	Inf	0;", ("row 31", "unit $/h", "not finite")),
        ("2	0	0	2	30	0;", "2	0	0;", ("row 31", "3 columns", 'column "n"')),
        ("mpc.gencost = [", "mpc.if.map = [ 1 -2 ];\nmpc.gencost = [", ("limits on interfaces",)),
        ("mpc.gencost = [", "mpc.reserves.req = [ 50 ];\nmpc.gencost = [", ("reserves",)),
        ("mpc.gencost = [", "mpc.A = sparse(1, 2);\nmpc.gencost = [", ("constraints of the user's own", '"A"')),
        ("];\nmpc.gen = [", "]';\nmpc.gen = [", ("row 11", "computes its data", '"\'"')),
        ("	2	1	300	98.61", "	2	1	3*100	98.61", ("row 7", "unit MW", "'3*100' is not a number")),
        ("	1	4	0.00304", "	1	4	0,00304", ("row 22", '"mpc.branch"', "equally long", "14 columns, the first 13")),  # a comma is a space in MATLAB
        ("2	0	0	2	30	0;", "2	0	0	2	1e30	0;", ("row 31", "unit $/h", "not credible")),
        ("	2	1	300	98.61", "	2:4	1	300	98.61", ("row 7", "'2:4' is not a number")),
    ],
)
def test_what_would_be_misread_is_refused(tmp_path, old, new, parts):
    assert old in CASE5
    (tmp_path / "a.m").write_text(CASE5.replace(old, new, 1))
    with pytest.raises(InvalidStudy) as caught:
        read_matpower(tmp_path / "a.m")
    for part in ("a.m", *parts):
        assert part in str(caught.value), str(caught.value)


BUSES = "bus,load [MW]\nA,10\nB,60\n"
PLANTS = "generator,bus,capacity [MW],cost [$/MWh]\nold,A,100,20\nnew,B,100,-30\n"
LINES = "line,start,end,reactance [p.u.],capacity [MW]\nab,A,B,0.1,40\n"


def _folder(path, **changed):
    for name, text in ({"buses": BUSES, "generators": PLANTS, "lines": LINES} | changed).items():
        (path / f"{name}.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "buses",
    [
        b"\xef\xbb\xbf" + BUSES.encode(),
        BUSES.replace("\n", "\r\n"),
        '"bus", "load [MW]"\n"A", "10"\n"B", "60"\n',
        BUSES.replace("\nB", "\n\n,\nB"),
        "load [MW],bus\n1e1,A\n 60 ,B",
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path, buses):
    market, load = read_market(_folder(tmp_path, buses=buses))
    assert market.buses == ("A", "B")
    assert load.tolist() == [10.0, 60.0]
    found = dispatch(market, load)
    assert found.price[:, 0] == pytest.approx([-30.0, -30.0], abs=1e-6)  # a negative cost is a price like another


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ({"buses": BUSES.replace(",", ";")}, ("buses.csv", "row 1", "semicolons", "commas")),
        ({"buses": BUSES.replace(",", "\t")}, ("row 1", "tabs")),
        ({"buses": ""}, ("buses.csv", "is empty")),
        ({"buses": "bus,load [MW]\n"}, ("buses.csv", "no rows")),
        ({"generators": PLANTS.splitlines()[0]}, ("generators.csv", "no rows")),
        ({"buses": BUSES.encode("utf-16")}, ("buses.csv", "not UTF-8")),
        ({"buses": BUSES.replace("60", "inf")}, ("row 3", "unit MW", "'inf' is not finite")),
        ({"buses": BUSES.replace("60", "1e12")}, ("row 3", "unit MW", "'1e12' is not credible")),
        ({"buses": BUSES.replace("60", "NaN")}, ("row 3", "unit MW", "not finite")),
        ({"buses": BUSES.replace("60", '"0,6"')}, ("row 3", "'0,6' is not a number")),
        ({"buses": BUSES.replace("B", "A")}, ("row 3", "'A' appears twice")),
        ({"buses": BUSES.replace("bus,load [MW]", "bus,")}, ("row 1", "no name")),
        ({"buses": BUSES.replace("bus,load [MW]", "bus,bus")}, ("row 1", "appears twice")),
        ({"buses": BUSES.replace("load [MW]", "load [MWh]")}, ("row 1", "unit MWh", "load [MW]")),
        ({"lines": LINES.replace("B,0.1", "C,0.1")}, ("lines.csv", "row 2", "line 'ab' at bus 'C'")),
        ({"lines": LINES.replace("0.1,40", "0,40")}, ("lines.csv", "row 2", "line 'ab'", "`reactance`", "per unit")),
        ({"lines": LINES.replace("0.1,40", "0.1,0")}, ("row 2", "line 'ab'", "`capacity`", "left out")),
        ({"generators": PLANTS.replace("100,20", "inf,20")}, ("generators.csv", "row 2", "unit MW", "not finite")),
        ({"generators": PLANTS.replace("new,B", "old,B")}, ("generators.csv", "row 3", "'old' appears twice")),
    ],
)
def test_tables_that_would_be_misread_are_refused(tmp_path, changed, parts):
    with pytest.raises(InvalidStudy) as caught:
        read_market(_folder(tmp_path, **changed))
    assert caught.value.code in ("market-file", "market-value", "market-bus")
    for part in parts:
        assert part in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hour,B [MW]\n", ("no rows",)),
        ("hour,B [MW],B  [MW]\n0,1,2\n", ("bus 'B' appears twice",)),
        ("hour,C [MW]\n0,1\n", ("load.csv", "row 1", "bus 'C'")),
        ("hour,B [MW]\n0,60\n0,60\n", ("row 3", "expected 1, got '0'")),
    ],
)
def test_loads_that_would_be_misread_are_refused(tmp_path, text, parts):
    market, _ = read_market(_folder(tmp_path))
    (tmp_path / "load.csv").write_text(text)
    with pytest.raises(InvalidStudy) as caught:
        read_load(tmp_path / "load.csv", market)
    for part in parts:
        assert part in str(caught.value), str(caught.value)


def test_a_leap_year_of_loads(tmp_path):
    market, _ = read_market(_folder(tmp_path))
    (tmp_path / "load.csv").write_text("hour,B [MW]\n" + "".join(f"{h},{h % 24}\n" for h in range(8784)))
    load = read_load(tmp_path / "load.csv", market)
    assert load.shape == (2, 8784)
    assert np.array_equal(load[1], np.tile(np.arange(24), 366))
