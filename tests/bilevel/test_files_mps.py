"""The MPS dialect: what every section means, and that nothing that is not understood is skipped."""

import math

import pytest

from stackopt.bilevel.mps import read_mps, sides
from stackopt.errors import InvalidProgram

from .test_files import assert_highs_agrees

INF = math.inf
EXAMPLE = """\
* a comment
NAME          example
ROWS
 N  cost
 L  r1
 G  r2
 E  r3
 E  r4
 N  unused
COLUMNS
    a         cost      1.0            r1        1.0
    a         r2        2.5            unused    7.0
    M1        'MARKER'                 'INTORG'
    b         cost      2.0            r3        -1.0
    c         r3        1.0            r4        2.0
    M2        'MARKER'                 'INTEND'
    d         r1        3.0
RHS
    RHS       cost      -5.0           r1        10.0
    RHS       r2        1.0            r3        2.0
    RHS       r4        3.0            unused    9.0
RANGES
    RNG       r1        4.0            r2        -5.0
    RNG       r3        -2.0           r4        2.0
BOUNDS
 LI BND       b         2
 MI BND       d
 UP BND       d         8.0
ENDATA
"""


def read(tmp_path, text):
    path = tmp_path / "example.mps"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_mps(path)


def minimal(bounds="", *, columns="    a  cost  1\n    b  r1  1\n", rhs="", ranges="", head="", rows=" N  cost\n L  r1\n"):
    more = (f"RANGES\n{ranges}" if ranges else "") + (f"BOUNDS\n{bounds}" if bounds else "")
    return f"{head}NAME x\nROWS\n{rows}COLUMNS\n{columns}RHS\n{rhs}{more}ENDATA\n"


def test_every_section(tmp_path):
    mps = read(tmp_path, EXAMPLE)
    assert (mps.name, mps.sense, mps.constant) == ("example", "min", 5.0)
    assert list(mps.columns) == ["a", "b", "c", "d"]
    assert list(mps.rows) == ["r1", "r2", "r3", "r4"]
    assert mps.objective == {0: 1.0, 1: 2.0}
    assert mps.entries == {(0, 0): 1.0, (1, 0): 2.5, (2, 1): -1.0, (2, 2): 1.0, (3, 2): 2.0, (0, 3): 3.0}
    assert mps.row_lower == [6.0, 1.0, 0.0, 3.0]
    assert mps.row_upper == [10.0, 6.0, 2.0, 5.0]
    assert mps.lower == [0.0, 2.0, 0.0, -INF]
    assert mps.upper == [INF, INF, 1.0, 8.0]  # an integer column without bounds is binary
    assert mps.integer == [False, True, True, False]


def test_highs_reads_the_same(tmp_path):
    (tmp_path / "example.mps").write_text(EXAMPLE)
    assert_highs_agrees(tmp_path / "example.mps")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.lower().replace("'marker'", "'Marker'"),  # keywords in any case; names keep theirs
        lambda text: "\n".join(" ".join(line.split()) if line.startswith(" ") else line for line in text.splitlines()).replace("\n", "\n "),
        lambda text: text.replace("RHS       ", "").replace("RNG       ", "").replace("BND       ", ""),  # vectors without names
        lambda text: text + "what follows ENDATA is not read\n",
        lambda text: text.replace("'MARKER'", "MARKER").replace("'INTORG'", "INTORG"),
        lambda text: text.replace("ROWS\n", "\n\n* another\nROWS\n"),
    ],
    ids=["windows", "byte order mark", "small letters", "free", "no vector names", "after the end", "no quotes", "blank lines"],
)
def test_the_same_file_in_other_clothes(change, tmp_path):
    one = read(tmp_path, EXAMPLE)
    text = change(EXAMPLE)
    other = read(tmp_path, text.replace("\n ROWS", "\nROWS").replace("\n COLUMNS", "\nCOLUMNS").replace("\n NAME", "\nNAME") if isinstance(text, str) else text)
    assert one == other


@pytest.mark.parametrize(
    ("bounds", "expected", "integer"),
    [
        (" UP B a 3\n", (0, 3), False),
        (" UP B a 0\n", (0, 0), False),
        (" UP B a -3\n", (-INF, -3), False),  # as CoinUtils: no lower bound under a negative upper one
        (" LO B a -7\n UP B a -3\n", (-7, -3), False),
        (" UP B a -3\n LO B a -7\n", (-7, -3), False),
        (" MI B a\n", (-INF, INF), False),
        (" MI B a 0\n UP B a 4\n", (-INF, 4), False),
        (" PL B a\n", (0, INF), False),
        (" FR B a\n", (-INF, INF), False),
        (" FR a\n", (-INF, INF), False),
        (" FX B a 2.5\n", (2.5, 2.5), False),
        (" BV B a\n", (0, 1), True),
        (" BV B a 0.\n", (0, 1), True),
        (" BV a 1\n", (0, 1), True),
        (" UI B a 1e+30\n", (0, INF), True),
        (" UP B a 1e25\n LO B a -1e30\n", (-INF, INF), False),
        (" LI B a -2\n UI B a 4\n", (-2, 4), True),
        (" up b a 3\n", (0, 3), False),
    ],
)
def test_bounds(bounds, expected, integer, tmp_path):
    mps = read(tmp_path, minimal(bounds))
    assert (mps.lower[0], mps.upper[0]) == expected
    assert mps.integer[0] is integer
    assert (mps.lower[1], mps.upper[1]) == (0, INF)


@pytest.mark.parametrize(
    ("kind", "rhs", "reach", "expected"),
    [
        ("L", 5, None, (-INF, 5)), ("G", 5, None, (5, INF)), ("E", 5, None, (5, 5)), ("E", 5, 0.0, (5, 5)),
        ("L", 5, 2, (3, 5)), ("L", 5, -2, (3, 5)), ("G", 5, 2, (5, 7)), ("G", 5, -2, (5, 7)), ("E", 5, 2, (5, 7)), ("E", 5, -2, (3, 5)),
    ],
)  # fmt: skip
def test_ranges(kind, rhs, reach, expected):
    assert sides(kind, rhs, reach) == expected


@pytest.mark.parametrize("head", ["OBJSENSE\n    MAX\n", "OBJSENSE MAXIMIZE\n", "objsense\n maximise\n"])
def test_the_sense_of_the_objective(head, tmp_path):
    assert read(tmp_path, minimal(head=head)).sense == "max"
    assert read(tmp_path, minimal(head="OBJSENSE\n    MIN\n")).sense == "min"


def test_the_objective_can_be_named(tmp_path):
    rows = " N  other\n N  cost\n L  r1\n"
    assert read(tmp_path, minimal(rows=rows)).objective == {}
    assert read(tmp_path, minimal(rows=rows, head="OBJNAME\n    cost\n")).objective == {0: 1.0}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (minimal(columns="    a  cost  1\n    a  cost  2\n"), "line 7: a second coefficient of `a` in row `cost`"),
        (minimal(columns="    a  r1  1\n    b  r1  1\n    a  cost  1\n"), "line 8: column `a` continues after another one began"),
        (minimal(columns="    a  r9  1\n"), "line 6: no row is called `r9`"),
        (minimal(columns="    a  r1  one\n"), "line 6: coefficient of `a` in row `r1` is 'one', not a finite number"),
        (minimal(columns="    a  r1  inf\n"), "line 6: coefficient of `a` in row `r1` is 'inf', not a finite number"),
        (minimal(columns="    the toll  r1  1\n"), "line 6: a column is a name and one or two pairs of row and number; got 'the toll r1 1'"),
        (minimal(columns="    M  'MARKER'  'SOSORG'\n"), "line 6: marker 'SOSORG'"),
        (minimal(rows=" N  cost\n L  the row\n"), "line 4: a row is a type and a name; got 'L the row'"),
        (minimal(rows=" N  cost\n X  r1\n"), "line 4: row type 'X' of row `r1`"),
        (minimal(rows=" N  cost\n L  r1\n G  r1\n"), "line 5: a second row `r1`"),
        (minimal(rows=" L  r1\n", columns="    b  r1  1\n"), "line 7: no objective row"),
        (minimal(head="OBJNAME\n    profit\n"), "line 11: no objective row `profit`"),
        (minimal(columns=""), "line 7: there are no columns"),
        (minimal(rhs="    RHS  r9  1\n"), "line 9: no row is called `r9`"),
        (minimal(rhs="    RHS  r1  1\n    RHS  r1  1\n"), "line 10: a second right-hand side of row `r1`"),
        (minimal(rhs="    RHS  r1  1\n    ALT  cost  1\n"), "line 10: a second vector 'ALT' in RHS"),
        (minimal(rhs="    RHS  r1\n"), "line 9: no row is called `RHS`"),
        (minimal(rhs="    RHS  r1  -1e30\n"), "line 9: the sides of row `r1` are [-inf, -inf]"),
        (minimal(rhs="    RHS  cost  1e30\n"), "line 9: an infinite constant of the objective `cost`"),
        (minimal(ranges="    RNG  r1  1e30\n"), "line 10: an infinite range of row `r1`"),
        (minimal(ranges="    RNG  cost  1\n"), "line 10: a range of the free row `cost`"),
        (minimal(ranges="    RNG  r1  1\n    RNG  r1  2\n"), "line 11: a second range of row `r1`"),
        (minimal(" UP B z 3\n"), "line 10: no column is called `z`"),
        (minimal(" UP B a\n"), "line 10: no column is called `B`"),
        (minimal(" UP B a x\n"), "line 10: bound of `a` is 'x', not a number"),
        (minimal(" UP B a nan\n"), "line 10: bound of `a` is 'nan', not a number"),
        (minimal(" UP B a 3\n UP B a 4\n"), "line 11: a second upper bound of `a`"),
        (minimal(" FX B a 3\n LO B a 1\n"), "line 11: a second lower bound of `a`"),
        (minimal(" LO B a 4\n UP B a 3\n"), "line 11: `a` in [4, 3]"),
        (minimal(" UI B a -3\n"), "line 10: `a` in [0, -3]"),
        (minimal(" SC B a 3\n"), "line 10: bound type SC: semicontinuous variables are not read"),
        (minimal(" QQ B a 3\n"), "line 10: bound type 'QQ'"),
        (minimal(" UP B a 3 4 5\n"), "line 10: a bound is a type, a column and a number; got 'UP B a 3 4 5'"),
        (minimal(head="OBJSENSE\n    UP\n"), "line 2: objective sense 'UP'"),
        (minimal().replace("ENDATA\n", ""), "line 8: the file ends before ENDATA"),
        (minimal().replace("ENDATA", "QUADOBJ"), "line 9: section QUADOBJ is not read"),
        (minimal().replace("RHS\n", "RHS\nRHS\n"), "line 9: a second section RHS"),
        ("", "line 0: the file ends before ENDATA"),
        ("hello\n", "line 1: no section is called 'hello'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text, where, tmp_path):
    with pytest.raises(InvalidProgram, match=r"\[bilevel-file\]") as raised:
        read(tmp_path, text)
    assert raised.value.where == where
    assert str(tmp_path / "example.mps") in raised.value.law


def test_names_with_blanks_are_explained(tmp_path):
    with pytest.raises(InvalidProgram, match="names must not contain any"):
        read(tmp_path, minimal(rows=" N  cost\n L  the row\n"))


def test_files_that_are_no_text(tmp_path):
    with pytest.raises(InvalidProgram, match=r"\[bilevel-file\]"):
        read(tmp_path, b"\xff\xfe\x00")
    (tmp_path / "cut.mps.gz").write_bytes(b"\x1f\x8b\x08cut")
    with pytest.raises(InvalidProgram, match=r"\[bilevel-file\]"):
        read_mps(tmp_path / "cut.mps.gz")
    with pytest.raises(InvalidProgram, match="Is a directory"):
        read_mps(tmp_path)
