"""What is not an optimum: infeasible, unbounded, a limit, an infimum that no decision attains, and programs that are refused."""

import numpy as np
import pytest
from exact.integer.whole_programs import general, interdicted, knapsack, moore_bard, yue
from scipy import sparse

import stackopt as so
from stackopt import BilevelProgram, Level, Objective, Refused, Rows
from stackopt.bilevel.point import Point
from stackopt.exact.integer import integer_followers, refuses
from stackopt.exact.integer.form import formed
from stackopt.exact.integer.packing import PackingInterdiction
from stackopt.exact.integer.state import OutOfTime, State
from stackopt.exact.integer.structure import interdiction
from stackopt.solution import Status


def test_the_infimum_of_yue_3_is_not_attained():
    found = integer_followers(yue(3), time_limit=20.0)
    assert found.status is Status.NOT_ATTAINED
    assert found.stats["attained"] == "no"
    assert found.bound == pytest.approx(-243.5)
    assert found.stats["infimum"] == pytest.approx(-243.5)
    assert -243.5 < found.point.claim < -243.49
    assert "the infimum -243.5 is not attained: at xR = 3" in found.because
    assert found.because.count("xR = ") == 5
    assert all(check.passed for check in yue(3).certify(found.point).checks)
    assert not all(check.passed for check in yue(3).certify(Point(np.array([3.0, 8.0, 0.5, 0.0]))).checks)


def step(**changes):
    """The leader pays x - y; y = 1 only where the follower needs it for y >= x, x in [0, 1]: 1 at x = 0, worth anything above -1."""
    settings = {
        "leader_cost": ([1.0], [-1.0]), "follower_cost": [1.0], "follower_rows": ([[1.0]], [[-1.0]], [0.0]), "leader_bounds": (0, 1),
        "follower_bounds": (0, 1), "follower_integer": True, "leader_names": ["x"], "follower_names": ["y"],
    }
    return BilevelProgram.from_matrices(**settings | changes)


def test_an_infimum_and_the_same_program_with_an_optimum():
    found = integer_followers(step(), time_limit=20.0)
    assert found.stats["attained"] == "no"
    assert found.bound == pytest.approx(-1.0)
    assert found.point.values[0] > 0.0
    found = integer_followers(step(leader_cost=([-1.0], [-1.0])), time_limit=20.0)
    assert found.status is Status.OPTIMAL
    assert found.point.values.tolist() == [1.0, 1.0]
    found = integer_followers(step(leader_rows=([[-1.0]], [[0.0]], [-0.25])), time_limit=20.0)
    assert found.status is Status.OPTIMAL
    assert found.point.values.tolist() == pytest.approx([0.25, 1.0])
    assert found.bound == pytest.approx(-0.75)
    found = integer_followers(step(leader_integer=True), time_limit=20.0)
    assert found.status is Status.OPTIMAL
    assert found.bound == pytest.approx(0.0)


def test_a_large_follower_that_sees_continuous_variables_is_refused():
    program = general(0, size=4)
    seen = np.array([False, True, True, True])
    rows = program.followers[0].rows.matrix.toarray()
    changed = BilevelProgram.from_matrices(
        leader_cost=(np.ones(4), -np.ones(4)), follower_cost=np.ones(4), leader_bounds=(0, 6), follower_bounds=(0, 60),
        follower_rows=(rows[:, :4], rows[:, 4:], program.followers[0].rows.upper), leader_integer=seen, follower_integer=True,
    )
    with pytest.raises(Refused, match=r"continuous-linking.*`x\[0\]`") as caught:
        integer_followers(changed, time_limit=5.0)
    assert caught.value.code == "continuous-linking"


def test_no_reaction_satisfies_the_rows():
    found = integer_followers(moore_bard(leader_rows=([[0.0]], [[-1.0]], [-3.5])), time_limit=20.0)
    assert found.status is Status.INFEASIBLE
    assert found.point is None
    found = integer_followers(moore_bard(leader_rows=([[1.0]], [[0.0]], [-1.0])), time_limit=20.0)
    assert found.status is Status.INFEASIBLE
    found = integer_followers(interdicted(np.ones(2), np.ones((1, 2)), [-1.0], np.ones(2), 1.0), time_limit=20.0)
    assert found.status is Status.INFEASIBLE


@pytest.mark.parametrize("cost", [[-1.0], [-1.5]])
def test_a_follower_that_improves_for_ever(cost):
    program = BilevelProgram.from_matrices(
        leader_cost=([1.0], [1.0]), follower_cost=cost, follower_rows=([[1.0]], [[-1.0]], [0.0]), leader_bounds=(0, 3), leader_integer=True,
        follower_integer=True, follower_bounds=(0, None),
    )
    found = integer_followers(program, time_limit=20.0)
    assert found.status is Status.INFEASIBLE
    assert "improves for ever" in found.because


def test_a_leader_that_improves_for_ever():
    program = BilevelProgram.from_matrices(
        leader_cost=([1.0, -1.0], [1.0]), follower_cost=[1.0], follower_rows=([[1.0, 0.0]], [[-2.0]], [0.0]), leader_bounds=(0, [3, np.inf]),
        leader_integer=[True, False], follower_integer=True, follower_bounds=(0, 5),
    )
    assert integer_followers(program, time_limit=20.0).status is Status.UNBOUNDED


@pytest.mark.parametrize("program", [knapsack(14, 2), general(7, size=5, most=30), moore_bard(follower_integer=False)])
def test_no_time_is_a_limit_with_a_bound_or_none(program):
    found = integer_followers(program, time_limit=0.0)
    assert found.status is Status.LIMIT
    assert "time limit" in found.because


def test_the_incumbent_of_an_interrupted_interdiction_is_kept(monkeypatch):
    program, form = knapsack(14, 1), formed(knapsack(14, 1))
    state = State(form, np.inf, None)
    ticks = iter(range(40))

    def tick(stage, bound=np.nan):
        if next(ticks, None) is None:
            raise OutOfTime

    monkeypatch.setattr(state, "tick", tick)
    search = PackingInterdiction(state, interdiction(form), form.lower, form.upper)
    with pytest.raises(OutOfTime):
        search.run()
    best = integer_followers(program, time_limit=60.0).bound
    assert search.bound < best <= state.value < np.inf
    assert all(check.passed for check in program.certify(form.point(state.best)).checks)


def test_a_limit_keeps_incumbent_and_bound_in_order():
    program = knapsack(25, 3)
    wanted = integer_followers(program, time_limit=60.0)
    assert wanted.status is Status.OPTIMAL
    found = integer_followers(program, time_limit=0.02)
    assert not found.bound > wanted.bound + 1e-6
    if found.point is not None:
        assert found.point.claim >= wanted.bound - 1e-6


def test_long_searches_report_progress():
    seen = []
    integer_followers(knapsack(18, 4), time_limit=60.0, report=seen.append)
    assert seen
    assert {p.stage for p in seen} == {"interdiction branch-and-cut"}
    assert [p.done for p in seen] == sorted(p.done for p in seen)


def test_refusals_name_the_reason():
    def why(program):
        return refuses(program).error().law

    assert refuses(moore_bard()) is None
    assert "pessimistic" in why(moore_bard(ties="pessimistic"))
    assert "objective is quadratic" in why(moore_bard(leader_hessian=np.eye(2)))
    assert "is a MIQP" in why(moore_bard(follower_hessian=[[1.0]]))
    open_linking = BilevelProgram.from_matrices(
        leader_cost=([1.0], [1.0]), follower_cost=[1.0], follower_rows=([[1.0]], [[1.0]], [4.0]), leader_bounds=(None, None), leader_integer=True,
        follower_bounds=(0, 3), follower_integer=True, leader_names=["free"],
    )
    with pytest.raises(Refused, match="`free`, which neither bounds nor rows keep finite"):
        integer_followers(open_linking, time_limit=5.0)


def pair_of_followers(*, second_sees_first):
    """Two followers with whole answers, each at most x; the second may see the first."""
    def level(k, row):
        return Level(f"f{k}", Objective("max", np.eye(3)[k]), Rows((f"room {k}",), sparse.csr_array([row]), np.array([-np.inf]), np.array([0.0])))

    return BilevelProgram(
        names=("x", "y1", "y2"), owner=np.array([-1, 0, 1]), lower=np.zeros(3), upper=np.array([3.0, 9.0, 9.0]), integer=np.ones(3, bool),
        leader=Level("leader", Objective("max", np.array([-1.0, 2.0, -0.5])), Rows((), sparse.csr_array((0, 3)), np.zeros(0), np.zeros(0))),
        followers=(level(1, [-1.0, 1.0, 0.0]), level(2, [-2.0, 1.0 * second_sees_first, 1.0])), name="pair",
    )


def test_independent_followers_are_solved_and_others_refused():
    found = integer_followers(pair_of_followers(second_sees_first=False), time_limit=20.0)
    assert found.status is Status.OPTIMAL
    assert found.point.claim == pytest.approx(0.0)
    program = pair_of_followers(second_sees_first=True)
    assert "follower `f2` sees `y1`" in refuses(program).error().law
    with pytest.raises(Refused, match="integer-follower"):
        so.solve(program)
