"""AUX in its three forms: by index, by name, and interdiction; every contradiction is named with its line."""

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import stackopt as so
from stackopt.errors import InvalidProgram

from .test_files import assert_highs_agrees, same

#: MPS and AUX files from coin-or/MibS, which do not come with this package.
INSTANCES = Path(os.environ.get("STACKOPT_MIBS_INSTANCES", Path(__file__).parents[3] / "shared" / "bilevel" / "instances"))
MPS = """\
NAME moore
ROWS
 L  R1
 L  R2
 N  cost
 L  R3
COLUMNS
    M  'MARKER'  'INTORG'
    x  cost  -1  R1  -25
    x  R2  1  R3  2
    y  cost  -10  R1  20
    y  R2  2  R3  -1
    M  'MARKER'  'INTEND'
RHS
    B  R1  30  R2  10
    B  R3  15
BOUNDS
 UP B x 10
 UP B y 5
ENDATA
"""
BY_INDEX = "N 1\nM 2\nLC 1\nLR 0\nLR 2\nLO 4\nOS 1\n"
BY_NAME = "@NUMVARS\n1\n@NUMCONSTRS\n2\n@VARSBEGIN\ny 4\n@VARSEND\n@CONSTRSBEGIN\nR1\nR3\n@CONSTRSEND\n@NAME\nmoore\n@MPS\nmoore.mps\n"
ITEMS = """\
NAME items
ROWS
 N  cost
 L  room
COLUMNS
    a  cost  -7  room  2
    b  cost  -5  room  3
    c  cost  -4  room  2
RHS
    B  room  5  cost  -1
BOUNDS
 BV B a
 UI B b 3
 UP B c 2
ENDATA
"""
INTERDICTION = "N 3\nM 4\nLC 3\nLC 4\nLC 5\nLR 1\nLR 2\nLR 3\nLR 4\nLO -7\nLO -5\nLO -4\nOS 1\nIC 2\nIC 1\nIC 1\nIB 2\n"


def read(tmp_path, aux, mps=MPS):
    (tmp_path / "moore.mps").write_text(mps)
    (tmp_path / "moore.aux").write_text(aux)
    return so.read(tmp_path / "moore.mps")


@pytest.mark.parametrize(
    "aux",
    [
        BY_INDEX,
        BY_INDEX.replace("\n", "\r\n").lower(),
        "* follower\n" + BY_INDEX.replace("\n", "\n\n"),
        BY_INDEX.replace("\n", "  "),  # pairs may share a line
        BY_NAME,
        BY_NAME.replace("\n", "\r\n"),
        BY_NAME.replace("@NUMVARS\n1\n@NUMCONSTRS\n2\n", "").replace("@NAME\nmoore\n@MPS\nmoore.mps\n", ""),
        BY_NAME.replace("CONSTRS", "CONSTR"),  # as the documentation of MibS spells them
        BY_NAME.replace("@VARSBEGIN", "@varsbegin").replace("\n", "\n  "),
    ],
)
def test_both_forms_state_the_same_program(aux, tmp_path):
    program = read(tmp_path, aux)
    assert program.names == ("x", "y")
    assert program.owner.tolist() == [-1, 0]
    assert program.integer.tolist() == [True, True]
    assert program.upper.tolist() == [10, 5]
    assert program.leader.objective.linear.tolist() == [-1, -10]
    assert program.leader.rows.names == ("R2",)
    follower = program.followers[0]
    assert follower.rows.names == ("R1", "R3")
    assert follower.rows.matrix.toarray().tolist() == [[-25, 20], [2, -1]]
    assert follower.rows.upper.tolist() == [30, 15]
    assert follower.objective.linear.tolist() == [0, 4]
    assert (program.leader.objective.sense, follower.objective.sense) == ("min", "min")
    assert program.name == "moore"


def test_a_follower_that_maximises(tmp_path):
    assert read(tmp_path, BY_INDEX.replace("OS 1", "OS -1")).followers[0].objective.sense == "max"


def test_the_aux_file_can_lie_elsewhere(tmp_path):
    program = read(tmp_path, BY_INDEX)
    (tmp_path / "moore.aux").rename(tmp_path / "other.txt")
    assert so.read(tmp_path / "moore.mps", aux=tmp_path / "other.txt").fingerprint() == program.fingerprint()


def test_interdiction_is_written_out(tmp_path):
    """min 7a + 5b + 4c - 1 over what the follower packs: the leader's binaries, budget and blocking rows as MibS makes them."""
    program = read(tmp_path, INTERDICTION, ITEMS)
    assert program.names == ("interdict[a]", "interdict[b]", "interdict[c]", "a", "b", "c")
    assert program.owner.tolist() == [-1, -1, -1, 0, 0, 0]
    assert program.integer.tolist() == [True, True, True, True, True, False]
    assert program.upper.tolist() == [1, 1, 1, 1, 3, 2]
    leader, follower = program.leader, program.followers[0]
    assert leader.objective.linear.tolist() == [0, 0, 0, 7, 5, 4]
    assert leader.objective.constant == -1.0  # minus the constant 1 of the MPS file's objective
    assert leader.rows.names == ("budget",)
    assert leader.rows.matrix.toarray().tolist() == [[2, 1, 1, 0, 0, 0]]
    assert leader.rows.upper.tolist() == [2]
    assert follower.objective.linear.tolist() == [0, 0, 0, -7, -5, -4]
    assert follower.rows.names == ("room", "block[a]", "block[b]", "block[c]")
    assert follower.rows.matrix.toarray().tolist() == [[0, 0, 0, 2, 3, 2], [1, 0, 0, 1, 0, 0], [0, 3, 0, 0, 1, 0], [0, 0, 2, 0, 0, 1]]
    assert follower.rows.upper.tolist() == [5, 1, 3, 2]


def test_interdiction_costs_belong_to_the_columns_of_lc(tmp_path):
    swapped = INTERDICTION.replace("LC 3\nLC 4\n", "LC 4\nLC 3\n").replace("LO -7\nLO -5", "LO -5\nLO -7").replace("IC 2\nIC 1\nIC 1", "IC 1\nIC 2\nIC 1")
    assert read(tmp_path, swapped, ITEMS).fingerprint() == read(tmp_path, INTERDICTION, ITEMS).fingerprint()


def test_names_made_for_interdiction_are_fresh(tmp_path):
    mps = ITEMS.replace("    c  ", "    interdict[a]  ").replace("B c", "B interdict[a]").replace("room", "budget")
    program = read(tmp_path, INTERDICTION, mps)
    assert program.names[:3] == ("interdict_[a]", "interdict_[b]", "interdict_[interdict[a]]")
    assert program.leader.rows.names == ("budget_",)


def index(old, new):
    assert old in BY_INDEX
    return BY_INDEX.replace(old, new)


def name(old, new):
    assert old in BY_NAME
    return BY_NAME.replace(old, new)


@pytest.mark.parametrize(
    ("aux", "code", "where"),
    [
        (index("LO 4\n", ""), "aux-count", "0 entries LO for 1 follower columns LC"),
        (index("LO 4\n", "LO 4\nLO 5\n"), "aux-count", "2 entries LO for 1 follower columns LC"),
        (index("N 1", "N 2"), "aux-count", "N announces 2, but there are 1 entries LC"),
        (index("M 2", "M 3"), "aux-count", "M announces 3, but there are 2 entries LR"),
        (index("N 1\n", ""), "aux-file", "N is missing"),
        (index("N 1", "N 1 N 1"), "aux-file", "line 1: a second N"),
        (index("OS 1\n", ""), "aux-file", "OS is missing"),
        (index("OS 1", "OS 0"), "aux-file", "line 7: OS 0"),
        (index("OS 1", "OS 1 OS 1"), "aux-file", "line 7: a second OS"),
        (index("LC 1", "LC y"), "aux-file", "line 3: LC is 'y', not a number of at least 0"),
        (index("LC 1", "LC -1"), "aux-file", "line 3: LC is '-1', not a number of at least 0"),
        (index("LO 4", "LO four"), "aux-file", "line 6: LO is 'four', not a finite number"),
        (index("LO 4", "LO nan"), "aux-file", "line 6: LO is 'nan', not a finite number"),
        (index("LO 4", "LQ 4"), "aux-file", "line 6: no keyword is called 'LQ'"),
        (index("OS 1\n", "OS\n"), "aux-file", "line 7: 'OS' has no value"),
        (index("LC 1", "LC 2"), "aux-names", "line 3: column 2 of moore.mps, which has 2"),
        (index("LR 2", "LR 3"), "aux-names", "line 5: row 3 of moore.mps, which has 3"),
        (index("LR 2", "LR 0"), "aux-names", "line 5: row `0` a second time"),
        ("N 0\nM 0\nOS 1\n", "aux-file", "no follower column"),
        (index("OS 1\n", "OS 1\nIB 3\n"), "aux-file", "IC is missing"),
        (index("OS 1\n", "OS 1\nIC 3\n"), "aux-file", "IB is missing"),
        (index("OS 1\n", "OS 1\nIC 3\nIC 4\nIB 3\n"), "aux-count", "2 entries IC for 1 follower columns"),
        (index("OS 1\n", "OS 1\nIC 3\nIB 3\nIB 4\n"), "aux-file", "line 10: a second IB"),
        (index("OS 1\n", "OS 1\nIC 3\nIB 3\n"), "aux-names", "interdiction with follower columns other than 2 to 3"),
        (name("y 4", "z 4"), "aux-names", "line 6: moore.mps has no column called `z`"),
        (name("R3", "r3"), "aux-names", "line 10: moore.mps has no row called `r3`"),
        (name("R3", "cost"), "aux-names", "line 10: moore.mps has no row called `cost`"),
        (name("R3", "R1"), "aux-names", "line 10: row `R1` a second time"),
        (name("y 4", "y"), "aux-file", "line 6: a follower variable is a name and its cost; got 'y'"),
        (name("y 4", "the y 4"), "aux-file", "line 6: a follower variable is a name and its cost; got 'the y 4'"),
        (name("y 4", "y four"), "aux-file", "line 6: cost of `y` is 'four', not a finite number"),
        (name("R3", "the row"), "aux-file", "line 10: a follower row is a name; got 'the row'"),
        (name("@NUMVARS\n1", "@NUMVARS\n2"), "aux-count", "@NUMVARS announces 2, but there are 1"),
        (name("@NUMCONSTRS\n2", "@NUMCONSTRS\n1"), "aux-count", "@NUMCONSTRS announces 1, but there are 2"),
        (name("@VARSEND\n", ""), "aux-file", "line 7: @CONSTRSBEGIN inside @VARSBEGIN"),
        (name("@CONSTRSEND\n@NAME\nmoore\n@MPS\nmoore.mps\n", ""), "aux-file", "@CONSTRSBEGIN does not end"),
        (name("@VARSBEGIN\ny 4\n", ""), "aux-file", "line 5: @VARSEND without its beginning"),
        (name("@NUMVARS\n1", "@NUMVARS 1"), "aux-file", "line 1: '@NUMVARS 1': the value of @NUMVARS stands in the next line"),
        (name("@NAME", "@OBJSENSE"), "aux-file", "line 12: no keyword is called '@OBJSENSE'"),
        (name("@MPS", "@LP"), "aux-file", "line 14: @LP: programs in LP format are not read"),
        ("stray\n" + BY_NAME, "aux-file", "line 1: 'stray' stands in no section"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(aux, code, where, tmp_path):
    with pytest.raises(InvalidProgram) as raised:
        read(tmp_path, aux)
    assert (raised.value.code, raised.value.where) == (code, where)
    assert str(tmp_path / "moore.aux") in raised.value.law


def test_a_misspelt_name_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(InvalidProgram, match="did you mean `R3`"):
        read(tmp_path, name("R3", "R33"))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda mps: mps.replace(" UI B b 3\n", ""), "`b` of moore.mps has no upper bound"),
        (lambda mps: mps.replace(" UI B b 3\n", " LI B b 1\n UI B b 3\n"), "`b` of moore.mps has the lower bound 1"),
        (lambda mps: "OBJSENSE\n MAX\n" + mps, "interdiction with OBJSENSE MAX in moore.mps"),
    ],
)
def test_followers_that_cannot_be_interdicted(change, where, tmp_path):
    with pytest.raises(InvalidProgram, match=r"\[aux-file\]") as raised:
        read(tmp_path, INTERDICTION, change(ITEMS))
    assert raised.value.where == where


# --- against the definition, on programs small enough to look at every point ---------------------------------------------


def brute_force(program):
    """The leader's best value over all integer points, by the definition."""
    grids = [range(int(low), int(high) + 1) for low, high in zip(program.lower, program.upper)]
    points = np.stack(np.meshgrid(*grids, indexing="ij"), -1).reshape(-1, program.size).astype(float)
    follower, leader = program.followers[0], program.leader
    inside = points[within(follower.rows, points)]
    cost = follower.objective.sign * (inside @ follower.objective.linear)
    _, decision = np.unique(inside[:, program.owned(-1)], axis=0, return_inverse=True)
    best = np.full(decision.max() + 1, math.inf)
    np.minimum.at(best, decision, cost)
    left = inside[cost <= best[decision] + 1e-9]
    left = left[within(leader.rows, left)]
    values = left @ leader.objective.linear + leader.objective.constant
    return leader.objective.sign * (leader.objective.sign * values).min()


def within(rows, points):
    activity = points @ rows.matrix.toarray().T
    return ((activity >= rows.lower - 1e-9) & (activity <= rows.upper + 1e-9)).all(1)


def test_interdiction_means_what_it_says(tmp_path):
    """Budget 2 buys a alone, or b and c: without a the follower packs b, c (value 9), without b and c only a (7); c is whole here."""
    program = read(tmp_path, INTERDICTION, ITEMS.replace("UP B c 2", "UI B c 2"))
    assert brute_force(program) == 7 - 1


@pytest.mark.parametrize(("instance", "optimum"), [("moore90", -22), ("knapsack", 2), ("linderoth", -2), ("K5010W03.KNP", 526), ("F5010W01.KNP", 115)])
def test_published_instances_have_their_published_optima(instance, optimum):
    """Senses and defaults of all forms: OS -1, integer columns without bounds, interdiction."""
    path = INSTANCES / f"{instance}.mps"
    if not path.is_file():
        pytest.skip(f"the MibS instances are not at {INSTANCES}")
    program = so.read(path)
    if instance == "linderoth":  # its rows imply these bounds of the follower's variables
        program = replace(program, upper=np.array([1.0, 1.0, 1.0, 1.0, 31.0, 6.0]))
    assert brute_force(program) == optimum


@pytest.mark.parametrize("path", [p for p in sorted(INSTANCES.glob("*.mps")) if p.stat().st_size < 2e5], ids=lambda path: path.stem)
def test_published_instances_survive_writing(path, tmp_path):
    assert_highs_agrees(path)
    program = so.read(path)
    written, _ = so.write(program, tmp_path / "again.mps")
    same(program, so.read(written))
    same(program, so.read(so.write(program, tmp_path / "again.json")[0]))
