"""The first five minutes of an operations researcher: an ordinary Pyomo model, and what is printed about it, word for word."""

import doctest

import pyomo.environ as pyo
import pytest

import stackopt as so
from stackopt.solution import Status


def model():
    m = pyo.ConcreteModel(name="toll")
    m.toll = pyo.Var(bounds=(0, 8))
    m.follower = pyo.Block()
    m.follower.flow = pyo.Var()
    m.follower.cost = pyo.Objective(expr=-m.follower.flow)
    m.follower.road = pyo.Constraint(expr=2 * m.follower.flow <= 7 * m.toll)
    m.follower.least = pyo.Constraint(expr=4 * m.follower.flow + m.toll >= 8)
    m.follower.time = pyo.Constraint(expr=2 * m.follower.flow + m.toll <= 13)
    m.follower.room = pyo.Constraint(expr=m.follower.flow + m.toll <= 8)
    m.cap = pyo.Constraint(expr=m.follower.flow <= 5)
    m.cost = pyo.Objective(expr=3 * m.follower.flow + m.toll)
    return m


def prints(value, expected):
    checker = doctest.OutputChecker()
    flags = doctest.ELLIPSIS
    text = f"{value}\n"
    assert checker.check_output(expected, text, flags), checker.output_difference(doctest.Example("", expected), text, flags)


def test_the_program():
    m = model()
    prints(so.from_pyomo(m, follower=m.follower), """\
BilevelProgram "toll": leader minimises, 1 follower minimises
  leader    min toll + 3 flow    decides toll in [0, 8], 1 row
  follower  min -flow    decides flow, 4 rows, LP
  concept   optimistic (ties go to the leader)
  size      2 variables, 5 rows
  from      Pyomo model "toll", block "follower"
""")


def test_the_solution_its_certificate_and_a_multiplier():
    m = model()
    solution = so.solve(so.from_pyomo(m, follower=m.follower))
    prints(solution, """\
Solution of "toll" by exact: PROVED, certified
  leader value  6.133333
  leader        toll = 0.533333
  follower      flow = 1.86667
  ties          none: the follower has one optimal response here
  bound         6.13333  [proof] on the leader's optimal value
  certificate   6 of 6 checks pass
  proof         verified, optimum = 92/15 exactly (1 node)
  stopped       ...
  more          .certificate  .bound  .stats  .provenance  .require()
""")
    prints(solution.certificate, """\
Certificate: 6 of 6 checks pass
  ok  leader rows ... 1 row and bounds re-evaluated...
  ok  follower rows ... 4 rows and bounds re-evaluated...
  ok  follower optimal ... `follower` re-solved: -1.866667 against its optimum -1.866667
  ok  value restated ... toll + 3 flow = 6.133333
  ok  bound <= value ... 6.13333333 recomputed, bound 6.13333333
  ok  gap closed ... value 6.13333333, bound 6.13333333
""")
    assert solution[m.toll] == pytest.approx(8 / 15)
    assert solution[m.follower.flow] == pytest.approx(28 / 15)
    prints(solution.dual(m.follower.road), "-0.5   (not unique: any value in (-inf, -0.5]; active together: road, least)\n")
    assert solution.require() is solution.candidate


def test_infeasible_names_the_row_that_cuts_off_every_response():
    m = model()
    del m.cap
    m.quota = pyo.Constraint(expr=m.follower.flow >= 6)
    solution = so.solve(so.from_pyomo(m, follower=m.follower))
    assert solution.status is Status.INFEASIBLE
    prints(solution, """\
Solution of "toll" by exact: INFEASIBLE, proved
  why      leader row `quota` (flow >= 6) excludes every optimal response
  nearest  largest response is flow = 5.6875, at toll = 1.625
  ...
  note     as a row of the follower it would be a different problem...
  stopped  ...
""")
    with pytest.raises(so.NotCertified):
        solution.require()
    with pytest.raises(so.NotCertified):
        solution[m.toll]


def test_the_first_error():
    m = model()
    del m.follower.cost
    with pytest.raises(so.InvalidProgram) as caught:
        so.from_pyomo(m, follower=m.follower)
    prints(caught.value, """\
InvalidProgram[follower-objective]: a follower needs exactly one active Objective
  where:  block `follower` has 0; its variables: flow
  help:   m.follower.cost = pyo.Objective(expr=...)
  docs:   errors/follower-objective
""")


def test_a_big_m_without_a_proof_is_refused():
    """Some optimal multipliers are always bounded here; one that the leader counts on is not."""
    m = model()
    assert so.solve(so.from_pyomo(m, follower=m.follower), so.BigM()).value == pytest.approx(92 / 15)
    del m.cost
    m.cost = pyo.Objective(expr=3 * m.follower.flow + m.toll - 0.1 * so.dual(m.follower.road))
    with pytest.raises(so.Refused) as caught:
        so.solve(so.from_pyomo(m, follower=m.follower), so.BigM())
    assert caught.value.code == "big-m-unproven"
    assert "road" in str(caught.value)
    assert "so.Exact()" in str(caught.value)
