"""The checker's system against the optimality conditions that the search uses: the same pairs, the same rows, number by number."""

import numpy as np
import pytest

import stackopt as so
from stackopt import catalog
from stackopt.bilevel.kkt import kkt, kkt_refusal
from stackopt.proof.check import slack
from stackopt.proof.floats import floats
from stackopt.proof.lowering import lowered, pair_numbers, places
from stackopt.verification.bilevel_instances import FAMILIES, instance

#: Recorded cases that the checker covers.
COVERED = 76


def rows_and_columns(low, mpec):
    """Every row of the `Mpec` as the checker writes it: dense coefficients [m, n], right-hand sides [m], which are equations [m]."""
    system, where, n = low.system, places(mpec), mpec.variables
    column, sign = list(range(n)), [1.0] * n
    for key in zip(mpec.pair_row.tolist(), mpec.pair_column.tolist(), mpec.pair_side.tolist()):
        column.append(where.multipliers[key])
        sign.append(1.0)
    for row, variable in zip(mpec.free_row.tolist(), mpec.free_column.tolist()):
        column.append(where.multipliers[row, variable, 0])
        sign.append(-1.0)  # the search adds multipliers of equations in stationarity, the checker subtracts them
    assert sorted(column) == list(range(len(system.lb)))
    found, rhs, equal = np.full((len(system.rows), len(column)), np.nan), np.full(len(system.rows), np.nan), np.zeros(len(system.rows), bool)

    def put(at, coefficients, b, side):
        turned = -1.0 if side > 0 else 1.0
        found[at] = 0.0
        found[at, column] = turned * coefficients * np.array(sign)
        rhs[at], equal[at] = turned * b, side == 0

    wide = np.hstack([mpec.follower_rows.toarray(), np.zeros((len(mpec.follower_lower), len(column) - n))])
    for (i, side), at in where.follower_rows.items():
        put(at, wide[i], mpec.follower_upper[i] if side > 0 else mpec.follower_lower[i], side)
    leader = mpec.leader_rows.toarray()
    for (i, side), at in where.leader_rows.items():
        put(at, leader[i], mpec.leader_upper[i] if side > 0 else mpec.leader_lower[i], side)
    dense = mpec.stationarity.toarray()
    for i, j in enumerate(mpec.stationarity_column.tolist()):
        put(where.stationarity[j], dense[i], mpec.stationarity_rhs[i], 0)
    return found, rhs, equal, column, sign


def the_same(program):
    """Compare everything; False if the checker does not cover the program."""
    low = lowered(program)
    if isinstance(low, str):
        return False
    mpec, system = kkt(program).mpec, low.system
    found, rhs, equal, column, sign = rows_and_columns(low, mpec)
    stated = np.zeros_like(found)
    for i, (coef, is_equation, b) in enumerate(system.rows):
        for j, a in coef.items():
            stated[i, j] = float(a)
        assert (float(b), is_equation) == (rhs[i], equal[i])
    assert (stated == found).all()
    cost = np.zeros(len(column))
    cost[column] = mpec.linear * np.array(sign)
    assert [float(system.cost.get(j, 0)) for j in range(len(cost))] == cost.tolist()
    assert (float(system.const), system.sense, system.ints) == (mpec.constant, mpec.sign, np.flatnonzero(mpec.integer).tolist())
    bent = np.zeros((len(column), len(column)))
    bent[np.ix_(column, column)] = mpec.hessian.toarray() * np.outer(sign, sign)
    assert all(float(system.quad.get(i, {}).get(j, 0)) == bent[i, j] for i in range(len(column)) for j in range(len(column)))
    lower = [-np.inf if b is None else float(b) for b in system.lb]
    upper = [np.inf if b is None else float(b) for b in system.ub]
    assert [lower[j] for j in column] == mpec.lower.tolist()
    assert [upper[j] for j in column] == mpec.upper.tolist()
    order = pair_numbers(system, mpec)
    assert sorted(order) == list(range(len(system.pairs)))
    z = np.random.default_rng(0).integers(-3, 9, len(column)).astype(float)
    from fractions import Fraction

    exactly = [Fraction(x) for x in z.tolist()]
    assert [float(slack(system, p, exactly)) for p in order] == pytest.approx(mpec.slack(z[: mpec.variables]).tolist())
    assert [system.pairs[p][2] for p in order] == column[mpec.variables : mpec.variables + mpec.pairs]
    return True


def test_recorded_cases():
    programs = [catalog.case(name).program for name in catalog.cases()]
    assert sum(the_same(program) for program in programs) == COVERED


@pytest.mark.parametrize("family", FAMILIES)
def test_random_programs(family):
    covered = [the_same(instance(family, seed)) for seed in range(8) if kkt_refusal(instance(family, seed)) is None]
    assert all(covered) or FAMILIES[family].quadratic_leader


def test_ranges_fixed_variables_and_several_followers():
    program = so.read(catalog.data_file("bilevel", "bjm_jump_03_dempe_ch3_2.json"))
    from dataclasses import replace

    rows = program.followers[0].rows
    ranged = replace(program.followers[0], rows=replace(rows, lower=np.where(np.isinf(rows.lower), -40.0, rows.lower)))
    assert the_same(replace(program, followers=(ranged,)))
    fixed = replace(program, lower=np.array([0.0, 1.5]), upper=np.array([8.0, 1.5]))
    assert the_same(fixed)


def test_search_units_change_no_digit():
    """The matrices of the search are those of the system times powers of two."""
    program = instance("linear", 3)
    from stackopt.verification.bilevel_instances import in_units

    for one in (program, in_units(program, 1e-6, 1e7)):
        system = lowered(one).system
        f = floats(system)
        back = f.matrix.toarray() / f.row[:, None] / f.column
        for i, (coef, _, b) in enumerate(system.rows):
            assert [float(coef.get(j, 0)) for j in range(len(system.lb))] == back[i].tolist()
            assert float(b) == f.rhs[i] / f.row[i]
        assert [float(system.cost.get(j, 0)) for j in range(len(system.lb))] == (f.cost / f.unit / f.column).tolist()
        assert all(np.log2(x) == round(np.log2(x)) for x in (*f.row, *f.column, f.unit))
