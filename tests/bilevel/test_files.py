"""`read` and `write`: the same program from every format, exactly; what a format cannot hold is refused by name."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import sparse

import stackopt as so
from stackopt import catalog
from stackopt.bilevel.mps import read_mps
from stackopt.errors import InvalidOutput, InvalidProgram

from .programs import toll

LINEAR = ["bjm_jump_01", "bjm_jump_06_bard_5_1_1", "bjm_3sat_dempe_3_7", "mibs_generalExample", "bjm_int_02_cont_dempe_8_1", "pao_pao1"]


def same(one, other, *, names=True):
    """Equal data, and with `names` equal names of variables and rows."""
    assert one.fingerprint() == other.fingerprint()
    for a, b in [(one.leader, other.leader), *zip(one.followers, other.followers)]:
        assert np.array_equal(a.rows.lower, b.rows.lower)
        assert np.array_equal(a.rows.upper, b.rows.upper)
        assert (a.rows.matrix != b.rows.matrix).nnz == 0
        assert a.objective.sense == b.objective.sense
        if names:
            assert a.rows.names == b.rows.names
    if names:
        assert one.symbols == other.symbols


@pytest.mark.parametrize("name", catalog.cases())
def test_json_holds_every_recorded_program(name, tmp_path):
    program = catalog.case(name).program
    (path,) = so.write(program, tmp_path / f"{name}.json")
    back = so.read(path)
    same(program, back)
    assert back.multipliers == program.multipliers
    assert back.name == name


@pytest.mark.parametrize("name", LINEAR)
def test_mps_and_aux_give_the_same_program(name, tmp_path):
    program = catalog.case(name).program
    mps, aux = so.write(program, tmp_path / f"{name}.mps")
    same(program, so.read(mps))
    same(program, so.read(aux))


def test_the_written_files_are_these(tmp_path):
    mps, aux = so.write(toll(), tmp_path / "toll.mps")
    assert mps.read_text() == """\
NAME toll
ROWS
 N  OBJ
 L  rows[0]
 L  follower.rows[0]
 L  rows[1]
 L  rows[2]
 L  rows[3]
COLUMNS
    toll  OBJ  1
    toll  follower.rows[0]  -7
    toll  rows[1]  -1
    toll  rows[2]  1
    toll  rows[3]  1
    flow  OBJ  3
    flow  rows[0]  1
    flow  follower.rows[0]  2
    flow  rows[1]  -4
    flow  rows[2]  2
    flow  rows[3]  1
RHS
    RHS  rows[0]  5
    RHS  rows[1]  -8
    RHS  rows[2]  13
    RHS  rows[3]  8
BOUNDS
 UP BOUND  toll  8
 FR BOUND  flow
ENDATA
"""
    assert aux.read_text() == "@NUMVARS\n1\n@NUMCONSTRS\n4\n@VARSBEGIN\nflow -1\n@VARSEND\n@CONSTRSBEGIN\nfollower.rows[0]\nrows[1]\nrows[2]\nrows[3]\n" + (
        "@CONSTRSEND\n@NAME\ntoll\n@MPS\ntoll.mps\n"
    )
    same(toll(), so.read(mps), names=False)


def test_a_maximising_follower_is_written_by_index(tmp_path):
    program = toll(follower_sense="max", leader_sense="max")
    mps, aux = so.write(program, tmp_path / "toll.aux")
    assert aux.read_text().splitlines() == ["N 1", "M 4", "LC 1", "LR 1", "LR 2", "LR 3", "LR 4", "LO -1", "OS -1"]
    assert mps.read_text().splitlines()[1:3] == ["OBJSENSE", "    MAX"]
    same(program, so.read(mps), names=False)


def test_json_matrices_and_mps_state_the_same_program(tmp_path):
    (json_file,) = so.write(toll(), tmp_path / "toll.json")
    mps, _ = so.write(toll(), tmp_path / "toll.mps")
    assert toll().fingerprint() == so.read(json_file).fingerprint() == so.read(mps).fingerprint()
    assert so.read(mps).source == "MPS file toll.mps, AUX file toll.aux"
    assert so.read(json_file).source == "JSON file toll.json"


def test_a_gzipped_mps_file_is_read(tmp_path):
    mps, _ = so.write(toll(), tmp_path / "toll.mps")
    (tmp_path / "toll.mps.gz").write_bytes(gzip.compress(mps.read_bytes()))
    mps.unlink()
    same(toll(), so.read(tmp_path / "toll.mps.gz"), names=False)
    same(toll(), so.read(tmp_path / "toll.aux"), names=False)


NUMBERS = st.one_of(st.integers(-9, 9).map(float), st.floats(-1e6, 1e6, allow_subnormal=False), st.sampled_from([1 / 3, 0.1, 1e-17, 12345678.9]))


@st.composite
def linear_programs(draw):
    """Any linear bilevel program: ranges, free and fixed variables, integers, both senses, empty rows and columns."""
    n, follower = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    owner = np.where(np.arange(n) < n - min(follower, n - 1), -1, 0)
    sides = [draw(st.tuples(NUMBERS, NUMBERS, st.sampled_from(["both", "low", "high", "free", "equal"]))) for _ in range(n + 6)]
    low, high = np.array([pair(*side) for side in sides]).T
    whole = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))

    def level(name, at, m):
        matrix = np.array([[draw(NUMBERS) if draw(st.booleans()) else 0.0 for _ in range(n)] for _ in range(m)]).reshape(m, n)
        rows = so.Rows(tuple(f"{name}{i}" for i in range(m)), sparse.csr_array(matrix), low[n + at : n + at + m], high[n + at : n + at + m])
        linear = np.array([draw(NUMBERS) for _ in range(n)])
        sense = draw(st.sampled_from(["min", "max"]))
        if name == "f":
            return so.Level("follower", so.Objective(sense, np.where(owner == 0, linear, 0.0)), rows)
        return so.Level("leader", so.Objective(sense, linear, constant=draw(NUMBERS)), rows)

    return so.BilevelProgram(
        names=tuple(f"x[{j},'a']" for j in range(n)), owner=owner, lower=low[:n], upper=high[:n], integer=whole,
        leader=level("l", 0, draw(st.integers(0, 3))), followers=(level("f", 3, draw(st.integers(0, 3))),), name="any",
    )


def pair(a, b, kind):
    low, high = min(a, b), max(a, b)
    return {"both": (low, high), "low": (low, np.inf), "high": (-np.inf, high), "free": (-np.inf, np.inf), "equal": (low, low)}[kind]


@hypothesis_settings(max_examples=80, deadline=None, derandomize=True)
@given(linear_programs())
def test_any_linear_program_comes_back_exactly(tmp_path_factory, program):
    folder = tmp_path_factory.mktemp("any")
    same(program, so.read(so.write(program, folder / "any.json")[0]))
    back = so.read(so.write(program, folder / "any.mps")[0])
    for one, other in [(program.leader, back.leader), (program.followers[0], back.followers[0])]:
        for mine, its in [(one.rows.lower, other.rows.lower), (one.rows.upper, other.rows.upper)]:
            finite = np.isfinite(mine)
            np.testing.assert_array_equal(finite, np.isfinite(its))
            np.testing.assert_array_almost_equal_nulp(mine[finite], its[finite], 1)
    same(program, with_sides(back, program))


def with_sides(program, other):
    """`program` with the sides of `other`'s rows."""

    def level(mine, its):
        return replace(mine, rows=replace(mine.rows, lower=its.rows.lower, upper=its.rows.upper))

    return replace(program, leader=level(program.leader, other.leader), followers=(level(program.followers[0], other.followers[0]),))


@hypothesis_settings(max_examples=40, deadline=None, derandomize=True)
@given(linear_programs())
def test_highs_reads_the_same_from_what_is_written(tmp_path_factory, program):
    mps, _ = so.write(program, tmp_path_factory.mktemp("highs") / "any.mps")
    assert_highs_agrees(mps)


def assert_highs_agrees(path):
    """HiGHS's reader and ours find the same bounds, sides, objective and matrix."""
    import highspy

    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    assert solver.readModel(str(path)) != highspy.HighsStatus.kError
    theirs, ours = solver.getLp(), read_mps(path)
    assert list(theirs.col_names_) == list(ours.columns)
    assert list(theirs.row_names_) == list(ours.rows)
    columns = [(ours.lower, theirs.col_lower_), (ours.upper, theirs.col_upper_)]
    for mine, other in [*columns, (ours.row_lower, theirs.row_lower_), (ours.row_upper, theirs.row_upper_)]:
        np.testing.assert_array_equal(infinite(mine), infinite(other))
    np.testing.assert_array_equal([ours.objective.get(j, 0.0) for j in range(len(ours.columns))], theirs.col_cost_)
    assert ours.constant == theirs.offset_
    assert ("max" if theirs.sense_ == highspy.ObjSense.kMaximize else "min") == ours.sense
    whole = [kind == highspy.HighsVarType.kInteger for kind in theirs.integrality_] or [False] * len(ours.columns)
    assert whole == ours.integer
    starts, rows, values = theirs.a_matrix_.start_, theirs.a_matrix_.index_, theirs.a_matrix_.value_
    found = {(int(rows[k]), j): float(values[k]) for j in range(len(ours.columns)) for k in range(starts[j], starts[j + 1])}
    small = {key for key, value in ours.entries.items() if abs(value) < 1e-9}  # HiGHS drops them when the model is passed on
    assert {k: v for k, v in found.items() if k not in small} == {k: v for k, v in ours.entries.items() if k not in small}


def infinite(values):
    array = np.array(values, float)
    array[array >= 1e20] = np.inf
    array[array <= -1e20] = -np.inf
    return array


# --- what cannot be written or found -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "what"),
    [
        (lambda: catalog.case("bolib_Bard1988Ex2").program, "quadratic objectives"),
        (lambda: catalog.case("pao_barguel").program, "quadratic rows"),
        (lambda: catalog.case("bjm_conejo2016_dual").program, "follower multipliers"),
        (lambda: toll(ties="pessimistic"), "pessimistic ties"),
        (lambda: toll(leader_names=["the toll"]), "names with blanks, or that begin with * @ $ # or a quote"),
        (lambda: toll(leader_bounds=(0, 1e26)), "bounds of 1e+25 or more, which mean infinity"),
        (lambda: constant(toll(), 3.0), "a constant in the follower's objective"),
        (lambda: twice(toll()), "several followers"),
        (lambda: foreign(toll()), "variables of others in the follower's objective"),
        (lambda: catalog.case("bjm_htp_9_2_4").program, "variables of others in the follower's objective"),
    ],
)
def test_what_mps_and_aux_cannot_hold_is_named(program, what, tmp_path):
    with pytest.raises(InvalidProgram, match=r"\[not-writable\]") as raised:
        so.write(program(), tmp_path / "a.mps")
    assert raised.value.law == f"MPS and AUX cannot hold {what}"
    assert "JSON" in raised.value.help
    assert not list(tmp_path.iterdir())
    so.write(program(), tmp_path / "a.json")
    assert so.read(tmp_path / "a.json").fingerprint() == program().fingerprint()


def constant(program, value):
    level = program.followers[0]
    return replace(program, followers=(replace(level, objective=replace(level.objective, constant=value)),))


def foreign(program):
    level = program.followers[0]
    return replace(program, followers=(replace(level, objective=replace(level.objective, linear=np.array([2.0, -1.0]))),))


def twice(program):
    empty = so.Rows((), sparse.csr_array((0, 3)), np.zeros(0), np.zeros(0))
    wider = [replace(part, objective=so.Objective("min", np.ones(3)), rows=empty) for part in (program.leader, program.followers[0])]
    return replace(program, names=("a", "b", "c"), owner=np.array([-1, 0, 1]), lower=np.zeros(3), upper=np.ones(3), integer=np.zeros(3, bool),
                   leader=wider[0], followers=(wider[1], replace(wider[1], name="second")))  # fmt: skip


def test_an_unknown_ending_is_refused(tmp_path):
    for act in (so.read, lambda path: so.write(toll(), path)):
        with pytest.raises(InvalidProgram, match=r"\[file-format\]"):
            act(tmp_path / "toll.lp")
    with pytest.raises(InvalidProgram, match=r"\[file-format\]"):
        so.write(toll(), tmp_path / "toll.mps.gz")
    with pytest.raises(InvalidProgram, match="an AUX file belongs to an MPS file"):
        so.read(tmp_path / "toll.json", aux=tmp_path / "toll.aux")


def test_missing_halves_are_named(tmp_path):
    mps, aux = so.write(toll(), tmp_path / "toll.mps")
    aux.unlink()
    with pytest.raises(InvalidProgram, match=r"\[aux-missing\]") as raised:
        so.read(mps)
    assert raised.value.where == "looked for toll.aux next to it"
    _, aux = so.write(toll(), tmp_path / "toll.mps")
    mps.unlink()
    with pytest.raises(InvalidProgram, match=r"\[aux-missing\]") as raised:
        so.read(aux)
    assert raised.value.where == "looked for toll.mps next to it"
    with pytest.raises(InvalidProgram, match=r"\[bilevel-file\]"):
        so.read(tmp_path / "nothing.mps")
    with pytest.raises(InvalidProgram, match=r"\[bilevel-file\]"):
        so.read(tmp_path / "nothing.aux")
    with pytest.raises(InvalidProgram, match=r"\[bilevel-file\]"):
        so.read(tmp_path / "nothing.json")


def test_an_output_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(InvalidOutput, match=r"\[output\]"):
        so.write(toll(), tmp_path / "no such folder" / "toll.json")
    (tmp_path / "toll.json").mkdir()
    with pytest.raises(InvalidOutput):
        so.write(toll(), tmp_path / "toll.json")
    assert [path.name for path in tmp_path.iterdir()] == ["toll.json"]


def test_a_side_that_no_range_gives_back_is_off_by_one_last_place(tmp_path):
    low, high = -78.69584294942864, 32.779337132874666
    program = toll()
    rows = replace(program.leader.rows, lower=np.array([low]), upper=np.array([high]))
    program = replace(program, leader=replace(program.leader, rows=rows))
    back = so.read(so.write(program, tmp_path / "range.mps")[0]).leader.rows
    assert (back.lower[0], back.upper[0]) != (low, high)
    np.testing.assert_array_almost_equal_nulp(back.lower[0], low, 1)
    np.testing.assert_array_almost_equal_nulp(back.upper[0], high, 1)
    exact = so.read(so.write(program, tmp_path / "range.json")[0]).leader.rows
    assert (exact.lower[0], exact.upper[0]) == (low, high)
