"""What a bilevel program is: laws with witnesses, printing, fingerprints."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from stackopt import BilevelProgram, InvalidProgram, Level, Multiplier, Objective, Rows

from .programs import duopoly, rows, toll


def test_prints_who_decides_what():
    assert str(toll()) == (
        'BilevelProgram "toll": leader minimises, 1 follower minimises\n'
        "  leader    min toll + 3 flow    decides toll in [0, 8], 1 row\n"
        "  follower  min -flow    decides flow, 4 rows, LP\n"
        "  concept   optimistic (ties go to the leader)\n"
        "  size      2 variables, 5 rows"
    )
    assert "2 followers maximise" in str(duopoly())
    assert 'aria-label="BilevelProgram' in toll()._repr_html_()


def test_fingerprint_is_of_the_data_only():
    same = toll(
        follower_rows=([[1.0], [-1.0], [1.0], [-7.0]], [[1.0], [-4.0], [2.0], [2.0]], [8.0, -8.0, 13.0, 0.0]), leader_names=["price"], name="other"
    )
    assert same.fingerprint() == toll().fingerprint()
    for change in (
        {"leader_bounds": (0, 7)}, {"follower_cost": [1.0]}, {"ties": "pessimistic"}, {"follower_sense": "max"}, {"leader_integer": True},
        {"follower_rows": ([[-7.0]], [[2.0]], [0.0])},
    ):
        assert toll(**change).fingerprint() != toll().fingerprint(), change


def test_a_row_written_the_other_way_round_is_the_same_row():
    program = toll()
    level = program.followers[0]
    flipped = Rows(level.rows.names, -level.rows.matrix, -level.rows.upper, -level.rows.lower)
    assert replace(program, followers=(replace(level, rows=flipped),)).fingerprint() == program.fingerprint()


def test_is_immutable_and_survives_pickling():
    program = toll()
    with pytest.raises(ValueError, match="read-only"):
        program.lower[0] = -1.0
    assert pickle.loads(pickle.dumps(program)).fingerprint() == program.fingerprint()


def test_kinds_of_followers():
    assert toll().kind(0) == "LP"
    assert toll(follower_integer=True).kind(0) == "MILP"
    assert toll(follower_hessian=[[2.0]]).kind(0) == "QP"
    assert toll(follower_hessian=[[-2.0]]).kind(0) == "nonconvex QP"
    assert toll(follower_hessian=[[-2.0]], follower_sense="max").kind(0) == "QP"
    assert toll(follower_hessian=[[2.0]], follower_integer=True).kind(0) == "MIQP"
    assert toll(follower_cross=[[1.0]]).kind(0) == "LP", "x*y is linear once x is fixed"
    curved = duopoly()
    square = sparse.csr_array(([1.0], ([1], [1])), shape=(3, 3))
    level = Level("firm 1", curved.followers[0].objective, Rows(("cap",), sparse.csr_array((1, 3)), np.array([-np.inf]), np.array([4.0]), {0: square}))
    assert replace(curved, followers=(level, curved.followers[1])).kind(0) == "QCQP"
    product = sparse.csr_array(([1.0], ([0], [1])), shape=(3, 3))
    level = Level("firm 1", curved.followers[0].objective, Rows(("cap",), sparse.csr_array((1, 3)), np.array([-np.inf]), np.array([4.0]), {0: product}))
    bilinear = replace(curved, followers=(level, curved.followers[1]))
    assert bilinear.bilinear(0)
    assert not bilinear.bilinear(1)


def test_index_by_name():
    program = toll()
    assert (program.index("toll"), program.index("flow")) == (0, 1)
    with pytest.raises(InvalidProgram, match="unknown-variable") as caught:
        program.index("tool")
    assert "toll, flow" in str(caught.value)


@pytest.mark.parametrize(
    ("code", "witness", "change"),
    [
        ("bilevel-shape", "leader_cost[1]", {"leader_cost": ([1.0], [3.0, 1.0])}),
        ("bilevel-shape", "follower_rows[0]", {"follower_rows": ([[1.0, 2.0]], [[1.0]], [0.0])}),
        ("bilevel-shape", "leader_bounds", {"leader_bounds": ([0, 0], 1)}),
        ("bilevel-shape", "leader_names", {"leader_names": ["a", "b"]}),
        ("bilevel-data", "coefficient of `flow` in row `rows[0]`", {"follower_rows": ([[1.0]], [[np.nan]], [0.0])}),
        ("bilevel-data", "coefficient of `toll` is inf", {"leader_cost": ([np.inf], [3.0])}),
        ("bilevel-data", "sense", {"leader_sense": "maximise"}),
        ("bilevel-data", "ties", {"ties": "weak"}),
        ("bilevel-data", "symmetric", {"leader_hessian": [[0.0, 1.0], [0.0, 0.0]]}),
        ("bilevel-bounds", "`toll` in [8, 0]", {"leader_bounds": (8, 0)}),
        ("bilevel-bounds", "`toll` in", {"leader_bounds": (np.nan, 0)}),
        ("bilevel-names", "`toll` is used twice", {"follower_names": ["toll"]}),
        ("printable", "names", {"leader_names": ["to\nll"]}),
    ],
)
def test_laws_name_the_first_witness(code, witness, change):
    with pytest.raises(InvalidProgram) as caught:
        toll(**change)
    assert caught.value.code == code
    assert witness in str(caught.value)


def with_multiplier(symbol, leader=None):
    program = toll()
    wide = lambda level, objective=None: replace(  # noqa: E731
        level,
        objective=objective or Objective(level.objective.sense, np.append(level.objective.linear, 0.0)),
        rows=replace(level.rows, matrix=sparse.csr_array(sparse.hstack([level.rows.matrix, sparse.csr_array((len(level.rows), 1))]))),
    )
    return replace(program, multipliers=(symbol,), leader=wide(program.leader, leader), followers=(wide(program.followers[0]),))


def test_multipliers_belong_to_rows_or_variables_of_followers():
    program = with_multiplier(Multiplier("price", "follower", "rows[0]"))
    assert program.symbols == ("toll", "flow", "price")
    assert program.fingerprint() != with_multiplier(Multiplier("price", "follower", "rows[1]")).fingerprint()
    for symbol in (Multiplier("price", "nobody", "rows[0]"), Multiplier("price", "follower", "rows[9]"), Multiplier("price", "follower", "toll")):
        with pytest.raises(InvalidProgram, match="multiplier-place"):
            with_multiplier(symbol)


def test_a_follower_may_not_use_multipliers():
    program = with_multiplier(Multiplier("price", "follower", "rows[0]"))
    level = replace(program.followers[0], objective=Objective("min", np.array([0.0, -1.0, 1.0])))
    with pytest.raises(InvalidProgram, match="multiplier-place") as caught:
        replace(program, followers=(level,))
    assert "`price` is used by follower `follower`" in str(caught.value)


def test_every_follower_decides_something_and_every_variable_has_an_owner():
    program = duopoly()
    for owner in ([-1, 0, 0], [-1, 0, 2], [-2, 0, 1]):
        with pytest.raises(InvalidProgram, match="variable-owner"):
            replace(program, owner=np.array(owner))
    with pytest.raises(InvalidProgram, match="at least one follower"):
        replace(program, owner=np.array([-1, -1, -1]), followers=())
    with pytest.raises(InvalidProgram, match="bilevel-names"):
        replace(program, followers=(program.followers[0],) * 2)
    lower = sparse.csr_array(([1.0], ([2], [1])), shape=(3, 3))
    with pytest.raises(InvalidProgram, match="upper triangle"):
        replace(program, leader=Level("state", Objective("max", np.zeros(3), lower), rows()))


def test_sparse_matrices_are_taken_as_they_are():
    dense, program = toll(), toll(follower_rows=(*(sparse.csr_matrix(part) for part in toll_rows()[:2]), toll_rows()[2]))
    assert program.fingerprint() == dense.fingerprint()
    assert isinstance(program, BilevelProgram)


def toll_rows():
    return [[-7.0], [-1.0], [1.0], [1.0]], [[2.0], [-4.0], [2.0], [1.0]], [0.0, -8.0, 13.0, 8.0]
