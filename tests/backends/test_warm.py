"""HiGHS on plain arrays: warm LPs agree with cold ones, quadratic optima carry multipliers, nothing unchecked passes."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog

from stackopt.backends.matrix import descent, duality_gap, minimise
from stackopt.backends.warm import WarmLp
from stackopt.solution import Status

BOX = (np.zeros(3), np.full(3, 4.0))


def program(seed=0, m=4, n=3):
    rng = np.random.default_rng(seed)
    return rng.integers(-4, 5, n).astype(float), sparse.csr_array(rng.integers(-3, 4, (m, n)).astype(float)), rng.integers(1, 9, m).astype(float)


@pytest.mark.parametrize("seed", range(6))
def test_a_warm_program_follows_every_change(seed):
    cost, matrix, rhs = program(seed)
    warm = WarmLp(cost, matrix, np.full(4, -np.inf), rhs, *BOX)
    rng = np.random.default_rng(seed)
    lower, upper = BOX[0].copy(), BOX[1].copy()
    for _ in range(6):
        j, bound = int(rng.integers(3)), float(rng.integers(0, 4))
        lower[j], upper[j] = (bound, bound) if rng.random() < 0.5 else (0.0, 4.0)
        warm.bounds([j], lower[j], upper[j])
        status = warm.solve()
        cold = linprog(cost, A_ub=matrix.toarray(), b_ub=rhs, bounds=list(zip(lower, upper)))
        assert (status is Status.OPTIMAL) == (cold.status == 0)
        if cold.status == 0:
            assert warm.value == pytest.approx(cold.fun, abs=1e-8)
            assert cost @ warm.x == pytest.approx(cold.fun, abs=1e-8)


def test_rows_costs_and_bases():
    warm = WarmLp([-1.0, -1.0], sparse.csr_array([[1.0, 1.0]]), [-np.inf], [3.0], [0, 0], [2, 2])
    assert warm.solve() is Status.OPTIMAL
    assert (warm.value, warm.row_dual.tolist()) == (-3.0, [-1.0])
    basis = warm.basis()
    warm.add_row([0], [1.0], -np.inf, 0.5)
    warm.costs([1], -2.0)
    assert warm.solve() is Status.OPTIMAL
    assert warm.value == pytest.approx(-4.5)
    warm.row_bounds([1], -np.inf, np.inf)
    warm.costs([1], -1.0)
    warm.restore(basis)
    assert warm.solve() is Status.OPTIMAL
    assert warm.value == pytest.approx(-3.0)
    warm.row_bounds([0], 5.0, 6.0)
    assert warm.solve() is Status.INFEASIBLE
    assert warm.solves == 4


def test_an_unbounded_program_says_so():
    assert WarmLp([-1.0], sparse.csr_array((0, 1)), [], [], [0], [np.inf]).solve() is Status.UNBOUNDED
    assert minimise(np.array([-1.0]), sparse.csr_array((0, 1)), np.zeros(0), np.zeros(0), np.zeros(1), np.full(1, np.inf)).status is Status.UNBOUNDED


@pytest.mark.parametrize("seed", range(6))
def test_quadratic_programs_against_another_solver(seed):
    from scipy.optimize import minimize as nonlinear

    cost, matrix, rhs = program(seed)
    root = np.random.default_rng(seed).normal(size=(2, 3))
    hessian = sparse.csr_array(root.T @ root)
    found = minimise(cost, matrix, np.full(4, -np.inf), rhs, *BOX, hessian=hessian, constant=2.0)
    other = nonlinear(
        lambda x: cost @ x + 0.5 * x @ (hessian @ x) + 2.0, np.ones(3) * 0.1, bounds=list(zip(*BOX)), method="SLSQP",
        constraints={"type": "ineq", "fun": lambda x: rhs - matrix @ x}, options={"ftol": 1e-12, "maxiter": 500},
    )
    assert found.status is Status.OPTIMAL
    assert found.value == pytest.approx(other.fun, abs=1e-5)
    assert found.bound <= found.value + 1e-9
    assert found.value - found.bound <= 1e-6 * (1 + abs(found.value))


def test_integer_programs_and_infeasible_ones():
    cost, matrix, rhs = np.array([-5.0, -4.0, -3.0]), sparse.csr_array([[2.0, 3.0, 1.0], [4.0, 1.0, 2.0]]), np.array([5.0, 11.0])
    found = minimise(cost, matrix, np.full(2, -np.inf), rhs, np.zeros(3), np.full(3, np.inf), integer=np.ones(3, bool))
    assert (found.status, found.value, found.row_dual) == (Status.OPTIMAL, pytest.approx(-15.0), None)
    assert found.bound == pytest.approx(-15.0)
    none = minimise(cost, matrix, np.full(2, 20.0), np.full(2, 30.0), np.zeros(3), np.ones(3), integer=np.ones(3, bool))
    assert (none.status, none.x) == (Status.INFEASIBLE, None)


def test_the_duality_gap_needs_a_side_for_every_multiplier():
    empty = sparse.csr_array((0, 1))
    assert duality_gap(np.array([1.0]), np.zeros(0), np.array([1.0]), empty, np.zeros(0), np.zeros(0), np.array([-np.inf]), np.array([3.0])) == np.inf
    assert duality_gap(np.array([1.0]), np.zeros(0), np.array([1.0]), empty, np.zeros(0), np.zeros(0), np.array([0.0]), np.array([3.0])) == 1.0


def test_a_process_that_used_highs_with_more_threads_before():
    """HiGHS's pool of threads belongs to the process; Pyomo and CVXPY start it with more than one."""
    code = (
        "import highspy, numpy as np\n"
        "from scipy import sparse\n"
        "other = highspy.Highs(); other.setOptionValue('output_flag', False); other.setOptionValue('threads', 2)\n"
        "other.addVariable(lb=0, ub=1, obj=-1); other.run()\n"
        "from stackopt.backends.matrix import minimise\n"
        "found = minimise(np.ones(2), sparse.csr_array([[1.0, 1.0]]), np.ones(1), np.full(1, 5.0), np.zeros(2), np.ones(2))\n"
        "print('status', found.status, found.value)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "status OPTIMAL 1.0"


def test_a_bounded_quadratic_program_is_not_called_unbounded():
    """min 5 a + b + (a - b)^2 over a >= -2, b <= 3: -12.25 at (-2, -2.5), which HiGHS's active-set method was seen to miss."""
    hessian = sparse.csr_array([[2.0, -2.0], [-2.0, 2.0]])
    found = minimise(
        np.array([5.0, 1.0]), sparse.csr_array((0, 2)), np.zeros(0), np.zeros(0), np.array([-2.0, -np.inf]), np.array([np.inf, 3.0]), hessian=hessian
    )
    assert found.status is Status.OPTIMAL
    assert found.value == pytest.approx(-12.25, abs=1e-6)
    falls = minimise(
        np.array([-1.0, -1.0]), sparse.csr_array((0, 2)), np.zeros(0), np.zeros(0), np.full(2, -np.inf), np.full(2, np.inf), hessian=hessian
    )
    assert falls.status in (Status.UNBOUNDED, Status.FAILED)
    direction = descent(np.array([-1.0, -1.0]), sparse.csr_array((0, 2)), np.zeros(0), np.zeros(0), np.full(2, -np.inf), np.full(2, np.inf), hessian)
    assert direction == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("seed", range(8))
def test_interior_points_and_active_sets_agree(seed):
    from stackopt.backends.interior_point import interior_point

    cost, matrix, rhs = program(seed)
    root = np.random.default_rng(seed).normal(size=(2, 3))
    hessian = sparse.csr_array(root.T @ root)
    low = np.where(np.arange(4) == 1, rhs, -np.inf) if seed % 2 else np.full(4, -np.inf)
    found = minimise(cost, matrix, low, rhs, *BOX, hessian=hessian)
    other = interior_point(cost, matrix, low, rhs, *BOX, hessian)
    if found.status is Status.INFEASIBLE:
        assert other is None
        return
    x, duals = other
    assert cost @ x + 0.5 * x @ (hessian @ x) == pytest.approx(found.value, abs=1e-6)
    assert duals[rhs - matrix @ x > 1e-3] == pytest.approx(0.0, abs=1e-6)
