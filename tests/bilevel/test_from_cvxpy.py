"""CVXPY problems: what is read, under which names, and what is refused in which words."""

import pickle

import numpy as np
import pytest
from bilevel.programs import toll as toll_in_matrices
from bilevel.statements import described, in_cvxpy, without
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import stackopt as so
from stackopt import catalog
from stackopt.bilevel.follower import respond
from stackopt.bilevel.from_cvxpy_epigraphs import plain
from stackopt.errors import InvalidProgram, MissingPackage

cp = pytest.importorskip("cvxpy")


def toll(**settings):
    """The first example: (variables, follower's rows by name, program)."""
    x, y = cp.Variable(name="toll", bounds=[0, 8]), cp.Variable(name="flow")
    rows = [2 * y <= 7 * x, 4 * y + x >= 8, 2 * y + x <= 13, y + x <= 8]
    follower, leader = cp.Problem(cp.Minimize(-y), rows), cp.Problem(cp.Minimize(3 * y + x), [y <= 5])
    return (x, y), rows, so.from_cvxpy(leader=leader, follower=follower, follower_decides=[y], name="toll", **settings)


def read(objective, rows=(), *, owned, leader=None, leader_rows=(), **settings):
    """A follower's problem under a leader that mentions every other variable."""
    follower = cp.Problem(objective, list(rows))
    mine = {v.id for v in owned}
    others = [v for v in follower.variables() if v.id not in mine]
    goal = cp.Minimize(sum((cp.sum(v) for v in others), 0.0)) if leader is None else leader
    return so.from_cvxpy(leader=cp.Problem(goal, list(leader_rows)), follower=follower, follower_decides=owned, **{"leader_decides": others, **settings})


def refused(code, *args, **settings):
    with pytest.raises(InvalidProgram) as caught:
        read(*args, **settings)
    assert caught.value.code == code
    return caught.value


# --- the first example ------------------------------------------------------------------------------------------------


def test_it_is_the_program_stated_in_matrices_and_in_pyomo():
    _, _, program = toll()
    assert program.names == ("toll", "flow")
    assert program.fingerprint() == toll_in_matrices().fingerprint()
    assert toll(ties="pessimistic")[2].fingerprint() != program.fingerprint()


def test_it_reads_as_in_the_documentation():
    assert repr(toll()[2]) == (
        'BilevelProgram "toll": leader minimises, 1 follower minimises\n'
        "  leader    min toll + 3 flow    decides toll in [0, 8], 1 row\n"
        "  follower  min -flow    decides flow, 4 rows, LP\n"
        "  concept   optimistic (ties go to the leader)\n"
        "  size      2 variables, 5 rows\n"
        "  from      CVXPY problems of the leader and 1 follower"
    )


def test_rows_are_named_as_cvxpy_prints_them():
    level = toll()[2].followers[0]
    assert level.rows.names == ("2.0 * flow <= 7.0 * toll", "8.0 <= 4.0 * flow + toll", "2.0 * flow + toll <= 13.0", "flow + toll <= 8.0")
    assert level.rows.lower.tolist() == [-np.inf, 8.0, -np.inf, -np.inf]
    x = cp.Variable(2, name="x")
    long = cp.sum(cp.multiply(np.arange(2), x) + 3 * x - cp.multiply(np.ones(2), x)) <= 3
    program = read(cp.Minimize(cp.sum(x)), [x >= 0, x >= 0, long, (x <= 9).set_label("cap")], owned=[x])
    names = ("constraints[0][0]", "constraints[0][1]", "constraints[1][0]", "constraints[1][1]", "constraints[2]", "cap[0]", "cap[1]")
    assert program.followers[0].rows.names == names  # twice the same text: by number


def test_a_solution_is_looked_up_with_variables_and_constraints():
    (x, y), rows, program = toll()
    solution = so.solve(program)
    assert solution[x] == pytest.approx(8 / 15)
    assert solution[y] == pytest.approx(28 / 15)
    dual = solution.dual(rows[0])
    assert (dual.low, dual.high) == (-np.inf, pytest.approx(-0.5))
    assert x.value is None
    assert y.value is None


# --- expressions ------------------------------------------------------------------------------------------------------

P = np.array([[2.0, -1.0, 0.0], [-1.0, 3.0, 0.5], [0.0, 0.5, -1.0]])
EXPRESSIONS = {
    "affine": lambda x, y, z, p: cp.sum(y @ p) + z / 4 - 3,
    "a product of two players' variables": lambda x, y, z, p: z * x[0] + x @ y @ p,
    "sum_squares": lambda x, y, z, p: cp.sum_squares(y @ p - x),
    "sum_squares along an axis": lambda x, y, z, p: cp.quad_over_lin(y, 2.0, axis=0) @ p,
    "quad_form": lambda x, y, z, p: cp.quad_form(y[0], P, assume_PSD=True) - cp.square(z),
    "inner product": lambda x, y, z, p: cp.vec(y, order="F") @ cp.vec(y, order="C"),
    "matrix product": lambda x, y, z, p: cp.trace(y @ y.T) + cp.sum(y.T @ cp.diag(x)),
    "elementwise": lambda x, y, z, p: cp.sum(cp.multiply(cp.multiply(y[0], y[1]), p)),
    "affine of quadratic": lambda x, y, z, p: cp.sum(cp.hstack([x, y[1]]) ** 2) / 3 + cp.cumsum(cp.multiply(y[0], p + 1))[1],
    "product of affine": lambda x, y, z, p: (2 * z - x[1] + 1) * (z - 3) + 4,
    "outer": lambda x, y, z, p: cp.sum(cp.upper_tri(cp.outer(y[0], y[0]))),
    "scalar times vector": lambda x, y, z, p: cp.sum(z * x) + cp.sum(cp.kron(np.eye(2), y)) + cp.mean(y),
    "powers": lambda x, y, z, p: cp.power(z, 1) + cp.power(z, 0) + cp.sum(cp.power(x, 2)) + cp.real(z) + cp.vdot(x, y[:, 0]),
    "indices": lambda x, y, z, p: cp.sum(y[[0, 1], [2, 0]] ** 2) + x[np.array([False, True])] @ y[:, ::-2][0][:1] + y[-1, -1] * x[-2],
    "sparse": lambda x, y, z, p: cp.sum_squares(sparse.csr_array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]) @ x - 1) + cp.quad_form(x, sparse.eye_array(2)),
    "blocks": lambda x, y, z, p: cp.sum(cp.bmat([[y, 2 * y], [y, -y]])[:, 1:4]) + cp.max(cp.Constant([1.0, 2.0])) * z,
}


@pytest.mark.parametrize("what", EXPRESSIONS)
def test_coefficients_reproduce_the_expression(what):
    x, y, z = cp.Variable(2, name="x", nonneg=True), cp.Variable((2, 3), name="y"), cp.Variable(name="z")
    p = cp.Parameter(3, name="p", value=[1.0, -2.0, 0.5])
    expression = EXPRESSIONS[what](x, y, z, p)
    follower = cp.Problem(cp.Minimize(cp.sum(y)))
    program = so.from_cvxpy(leader=cp.Problem(cp.Maximize(expression)), follower=follower, follower_decides=[y], leader_decides=[x, z])
    assert program.names == ("x[0]", "x[1]", "z", *(f"y[{i}, {j}]" for i in range(2) for j in range(3)))
    assert program.leader.objective.sense == "max"
    rng = np.random.default_rng(0)
    for _ in range(3):
        point = rng.normal(size=program.size)
        for variable in (x, y, z):
            variable.save_value(np.asarray(point[program.index(variable)]))
        assert program.leader.objective.value(point) == pytest.approx(float(np.squeeze(expression.value)), rel=1e-12)


@settings(max_examples=120, derandomize=True, deadline=None)
@given(st.data())
def test_any_quadratic_expression_is_read_exactly(data):
    """Random trees of shape [2]: the polynomials have the expression's values, or the expression is refused."""
    x, y, s = cp.Variable(2, name="x"), cp.Variable((2, 2), name="y"), cp.Variable(name="s")
    leaves = [x, y[0], y @ np.array([1.0, -1.0]), cp.diag(y), cp.Constant([0.5, 2.0]), cp.Parameter(2, value=[1.0, 3.0]), y @ x, s * np.ones(2)]

    def grow(depth):
        kind = data.draw(st.sampled_from(["leaf", "+", "-", "*", "scalar", "square", "index", "stack"] if depth else ["leaf"]))
        if kind == "leaf":
            return data.draw(st.sampled_from(leaves))
        one = grow(depth - 1)
        if kind == "scalar":
            return cp.sum(one) * np.array([1.0, -0.5])
        if kind == "square":
            return cp.square(one)
        if kind == "index":
            return one[::-1] / 2
        two = grow(depth - 1)
        return one + two if kind == "+" else one - two if kind == "-" else cp.multiply(one, two) if kind == "*" else cp.hstack([one, two])[1:3]

    expression = grow(3) + x - x
    follower = cp.Problem(cp.Minimize(cp.sum(y)))
    try:
        program = so.from_cvxpy(
            leader=cp.Problem(cp.Minimize(s), [expression <= 1]), follower=follower, follower_decides=[y], leader_decides=[x]
        )
    except InvalidProgram as error:
        if error.code != "nonlinear":
            raise
        return
    point = np.array(data.draw(st.lists(st.floats(-2, 2), min_size=7, max_size=7)))
    for variable in (x, y, s):
        variable.save_value(np.asarray(point[program.index(variable)]))
    rows = program.leader.rows
    assert rows.activity(point) - rows.upper == pytest.approx(expression.value - 1, rel=1e-9, abs=1e-9)


def test_shapes_names_bounds_and_integers():
    x = cp.Variable(3, name="x", integer=True, bounds=[0, np.array([1, 2, np.inf])])
    y = cp.Variable((2, 2), name="y", boolean=True)
    u = cp.Variable((1,), name="u", nonpos=True)
    w = cp.Variable((2, 2), name="w", integer=[np.array([0]), np.array([1])], nonneg=True)
    top = cp.Parameter(name="top", value=7.0)
    v = cp.Variable(2, name="v", bounds=[-1, top])
    program = read(cp.Minimize(cp.sum(w) + cp.sum(x) + cp.sum(y) + cp.sum(u) + cp.sum(v)), owned=[w])
    assert program.names[-4:] == ("w[0, 0]", "w[0, 1]", "w[1, 0]", "w[1, 1]")
    assert program.integer.tolist() == [True] * 3 + [True] * 4 + [False] + [False] * 2 + [False, True, False, False]
    assert program.lower.tolist() == [0.0] * 3 + [0.0] * 4 + [-np.inf] + [-1.0] * 2 + [0.0] * 4
    assert program.upper.tolist() == [1.0, 2.0, np.inf] + [1.0] * 4 + [0.0] + [7.0] * 2 + [np.inf] * 4
    assert program.index(y).tolist() == [[3, 4], [5, 6]]
    assert program.index(y[:, 1]).tolist() == [4, 6]
    assert program.index(y.T).tolist() == [[3, 5], [4, 6]]
    assert program.index(x[1]) == 1
    assert program.index(u).tolist() == [7]
    assert pickle.loads(pickle.dumps(program)).index(y[1, 0]) == 5


def test_rows_of_every_relation():
    x, y = cp.Variable(name="x"), cp.Variable(2, name="y")
    rows = [y >= 3, y == x, cp.Constant(2) == y[0], cp.constraints.NonNeg(y - 1), cp.constraints.Zero(y[1] - 4)]
    rows += [cp.square(y[0]) + x * y[1] <= 9 - x, y <= np.inf]
    level = read(cp.Minimize(cp.sum(y)), rows, owned=[y]).followers[0]
    assert level.rows.lower.tolist() == [3.0, 3.0, 0.0, 0.0, 2.0, 1.0, 1.0, 4.0, -np.inf, -np.inf, -np.inf]
    assert level.rows.upper.tolist() == [np.inf, np.inf, 0.0, 0.0, 2.0, np.inf, np.inf, 4.0, 9.0, np.inf, np.inf]
    dense = level.rows.matrix.toarray()
    assert dense[[0, 2, 4, 7]].tolist() == [[0, 1, 0], [-1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert dense[8].tolist() == [1, 0, 0]
    assert level.rows.quadratic[8].toarray().tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_several_followers():
    x, a, b = cp.Variable(name="x", bounds=[0, 3]), cp.Variable(name="q", nonneg=True), cp.Variable(name="q", nonneg=True)
    firms = [cp.Problem(cp.Maximize((10 + x - a - b) * mine - mine)) for mine in (a, b)]
    state = cp.Problem(cp.Maximize(a + b - x))
    program = so.from_cvxpy(leader=state, followers=firms, follower_decides=[[a], [b]])
    assert program.names == ("x", "follower[0].q", "follower[1].q")  # both are called q
    assert [program.kind(k) for k in (0, 1)] == ["QP", "QP"]
    assert program.source == "CVXPY problems of the leader and 2 followers"
    assert program.leader.objective.linear.tolist() == [-1.0, 1.0, 1.0]
    assert program.followers[1].objective.quadratic.toarray().tolist() == [[0, 0, 1], [0, 0, -1], [0, 0, -1]]


# --- piecewise-linear terms -------------------------------------------------------------------------------------------

CONVEX = {
    "abs": lambda x, y: 2 * cp.abs(y[0] - x) + cp.sum(cp.abs(y)),
    "norm1": lambda x, y: cp.norm1(y - x) - y[1],
    "norm_inf": lambda x, y: cp.norm(y - np.array([1.0, 2.0, -1.0]), "inf") + 0.1 * cp.sum(y),
    "max": lambda x, y: cp.max(y) - cp.min(y) + cp.abs(cp.sum(y) - 2),
    "max along axes": lambda x, y: cp.sum(cp.max(cp.vstack([y, 1 - y]), axis=0)) + cp.sum(cp.max(cp.vstack([y, 2 * y]), axis=1, keepdims=True)),
    "maximum": lambda x, y: cp.maximum(y[0], x, 1 - y[1]) + cp.sum(cp.pos(y - 1)) + cp.sum(cp.neg(y)),
    "sum_largest": lambda x, y: cp.sum_largest(cp.abs(y - x), 2) - 0.5 * cp.sum_smallest(y, 2),
    "minimum": lambda x, y: -cp.minimum(y[0], 2, y[2] + x) + 2 * cp.sum(cp.abs(y)),
    "nested": lambda x, y: cp.maximum(cp.abs(y[0] - x) - 1, 0) + cp.max(cp.abs(y + 1)) - 0.3 * y[2],
    "times what is positive": lambda x, y: x * cp.abs(y[0] - 1) + cp.sum(cp.abs(y)),
    "total variation": lambda x, y: cp.tv(y) + cp.abs(cp.sum(y) - 3 * x),
}


@pytest.mark.parametrize("what", CONVEX)
@pytest.mark.parametrize("place", ["objective", "row"])
def test_piecewise_linear_terms_leave_the_followers_problem_as_it_is(what, place):
    """At several leader decisions, the follower's optimal value is the one that CVXPY finds for the original problem."""
    x, y = cp.Variable(name="x", bounds=[0.5, 2]), cp.Variable(3, name="y", bounds=[-3, 3])
    term = CONVEX[what](x, y)
    goal, rows = (term, [cp.sum(y) >= 1]) if place == "objective" else (-y[0] + 0.5 * y[1], [term <= 4 + x])
    program = read(cp.Minimize(goal), rows, owned=[y], leader_decides=[x])
    assert program.names[:4] == ("x", "y[0]", "y[1]", "y[2]")
    assert (program.owner[4:] == 0).all()
    for value in (0.5, 1.25, 2.0):
        fixed = cp.Parameter(value=value, nonneg=True)
        again = CONVEX[what](fixed, y)
        known = cp.Problem(cp.Minimize(again if place == "objective" else goal), rows if place == "objective" else [again <= 4 + value])
        assert known.solve(solver=cp.HIGHS) is not None
        assert known.status == "optimal"
        response = respond(program, 0, np.concatenate([[value], np.zeros(program.size - 1)]))
        assert response.value == pytest.approx(known.value, abs=1e-6)


def test_the_leaders_own_piecewise_linear_terms_are_the_leaders():
    x, y = cp.Variable(name="x", bounds=[0, 8]), cp.Variable(name="y")
    follower = cp.Problem(cp.Maximize(y), [y <= x])
    leader = cp.Problem(cp.Minimize(cp.abs(y - 3) + 0.1 * x))
    program = so.from_cvxpy(leader=leader, follower=follower, follower_decides=[y])
    assert program.names == ("x", "abs(y + -3.0)", "y")
    assert program.leader.rows.names == ("abs(y + -3.0) >= y + -3.0", "abs(y + -3.0) >= -(y + -3.0)")
    solution = so.solve(program)
    assert solution.value == pytest.approx(0.3)
    assert solution[y] == pytest.approx(3.0)
    with pytest.raises(InvalidProgram, match=r"\[piecewise\]") as caught:
        so.from_cvxpy(leader=leader, follower=follower, follower_decides=[y], ties="pessimistic")
    assert caught.value.where == "`abs(y + -3.0)` in the leader's problem contains decisions of a follower"


def test_quadratic_terms_of_positive_parts():
    x, y = cp.Variable(name="x", bounds=[0, 4]), cp.Variable(name="y")
    program = read(cp.Minimize(cp.square(cp.pos(x - y)) + 2 * y), owned=[y])
    assert program.kind(0) == "QP"
    for value in (1.0, 3.0):
        response = respond(program, 0, np.array([value, 0.0, 0.0]))
        assert response.value == pytest.approx(2 * value - 1)  # y = x - 1


@pytest.mark.parametrize(
    ("objective", "rows", "where"),
    [
        (lambda x, y: cp.Maximize(cp.abs(y)), lambda x, y: [], "`abs(y)` in the objective of follower `follower`"),
        (lambda x, y: cp.Minimize(y), lambda x, y: [cp.abs(y) >= 1], "`abs(y)` in constraint `1.0 <= abs(y)`"),
        (lambda x, y: cp.Minimize(y), lambda x, y: [cp.abs(y) == 1], "`abs(y)` in constraint `abs(y) == 1.0`"),
        (lambda x, y: cp.Minimize(y), lambda x, y: [cp.minimum(y, x) <= 1], "`minimum(y, x)` in constraint `minimum(y, x) <= 1.0`"),
        (lambda x, y: cp.Minimize(x * cp.abs(y)), lambda x, y: [], "`abs(y)` in the objective of follower `follower`"),
        (lambda x, y: cp.Minimize(cp.square(cp.maximum(y, x))), lambda x, y: [], "`maximum(y, x)` in the objective of follower `follower`"),
        (lambda x, y: cp.Minimize(cp.abs(cp.abs(y) - 1)), lambda x, y: [], "`abs(y)` in `abs(abs(y) + -1.0) >= -(abs(y) + -1.0)`"),
    ],
)
def test_piecewise_linear_terms_that_are_not_wanted_tight_are_refused(objective, rows, where):
    x, y = cp.Variable(name="x"), cp.Variable(name="y")
    assert refused("piecewise", objective(x, y), rows(x, y), owned=[y]).where == where


# --- multipliers ------------------------------------------------------------------------------------------------------


def test_multipliers_are_symbols_of_the_leader():
    x, y = cp.Variable(name="x", nonneg=True), cp.Variable(2, name="y", nonneg=True)
    balance, cap = (cp.sum(y) == 3).set_label("balance"), (y <= 2).set_label("cap")
    goal = cp.Minimize(so.dual(balance) * y[0] + cp.sum(so.dual(cap)) - so.dual(y) @ np.array([1.0, 0.0]))
    program = read(cp.Minimize(y @ np.array([1.0, 2.0]) + 0 * x), [balance, cap], owned=[y], leader=goal, leader_rows=[so.dual(balance) + x <= 9])
    asked = {m.name: m.constraint for m in program.multipliers}
    assert asked == {f"dual({name})": name for name in ("balance", "cap[0]", "cap[1]", "y[0]")}
    at = {name: j for j, name in enumerate(program.symbols)}
    assert program.leader.objective.linear[[at["dual(cap[0])"], at["dual(cap[1])"], at["dual(y[0])"]]].tolist() == [1.0, 1.0, -1.0]
    assert program.leader.objective.quadratic.toarray()[at["y[0]"], at["dual(balance)"]] == 1.0
    assert program.index(so.dual(balance)) == at["dual(balance)"]
    assert program.index(so.dual(cap)).tolist() == [at["dual(cap[0])"], at["dual(cap[1])"]]
    solution = so.solve(program)
    assert solution[so.dual(balance)] == pytest.approx(solution.dual(balance))
    assert [float(d) for d in solution.dual(cap)] == pytest.approx(solution[so.dual(cap)].tolist())


def test_multipliers_belong_to_followers_and_leaders_use_them():
    x, y = cp.Variable(name="x"), cp.Variable(name="y")
    mine, foreign = y >= 1, x <= 3
    cases = [
        (cp.Minimize(y), [so.dual(foreign) <= 3, foreign], "dual(x <= 3.0) is used, but `x <= 3.0` is the leader's"),
        (cp.Minimize(y), [so.dual(x) <= 3], "dual(x) is used, but `x` is the leader's"),
        (cp.Minimize(y), [so.dual(y <= 7) <= 3], "dual(y <= 7.0) is used, but `y <= 7.0` is in no follower's problem"),
        (cp.Minimize(y * so.dual(mine)), [x <= 1], "the objective of follower `follower` uses dual(...)"),
    ]
    for goal, rows, where in cases:
        assert refused("multiplier-place", goal, [mine], owned=[y], leader=cp.Minimize(x), leader_rows=rows, leader_decides=[x]).where == where


# --- refused in the user's words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "shown"),
    [
        (lambda x, y: cp.exp(y) + x, "exp(y)"),
        (lambda x, y: y**3 + 2, "power(y, 3.0)"),
        (lambda x, y: x * y * y, "x * y * y"),
        (lambda x, y: y / x, "y / x"),
        (lambda x, y: cp.huber(y), "huber(y, 1.0)"),
        (lambda x, y: cp.quad_over_lin(y, x), "quad_over_lin(y, x)"),
        (lambda x, y: cp.log_sum_exp(cp.hstack([x, y])), "log_sum_exp(...)"),
    ],
)
def test_terms_that_are_not_quadratic_are_named(term, shown):
    x, y = cp.Variable(name="x"), cp.Variable(name="y")
    assert refused("nonlinear", cp.Minimize(term(x, y)), owned=[y]).where == f"the objective of follower `follower` has `{shown}`"
    assert refused("nonlinear", cp.Minimize(y), [(term(x, y) <= 1).set_label("odd")], owned=[y]).where == f"constraint `odd` has `{shown}`"


def test_a_variable_has_one_owner():
    x, y, z = (cp.Variable(name=name) for name in "xyz")
    leader, follower = cp.Problem(cp.Minimize(x)), cp.Problem(cp.Minimize(y + z + x))

    def attempt(**settings):
        with pytest.raises(InvalidProgram, match=r"\[variable-owner\]") as caught:
            so.from_cvxpy(**{"leader": leader, "follower": follower, **settings})
        return caught.value.where

    assert attempt(follower_decides=[y]) == "`z` is in the problem of `follower`, but neither in `follower_decides` nor in the leader's problem"
    assert attempt(follower_decides=[y, z], leader_decides=[y]) == "`y` is listed for two players"
    assert attempt(follower_decides=[y, "z"]) == "`follower_decides` has str 'z'"
    assert attempt(follower_decides=[y, y + z]).startswith("`follower_decides` has AddExpression")
    assert so.from_cvxpy(leader=leader, follower=follower, follower_decides=[y], leader_decides=[z]).owner.tolist() == [-1, -1, 0]
    assert "`y` is in the problem of `follower`" in attempt(follower_decides=[])
    slip = cp.Variable(name="y")  # of the same name, in no problem
    assert attempt(follower_decides=[y, z, slip]) == "`y` is in `follower_decides`, but in no problem"


def test_problems_and_what_is_decided_fit_together():
    x, y = cp.Variable(name="x"), cp.Variable(name="y")
    leader, follower = cp.Problem(cp.Minimize(x)), cp.Problem(cp.Minimize(y))
    for arguments, where in [
        ({"leader": leader}, "give either `follower` or `followers`"),
        ({"leader": leader, "follower": follower, "followers": [follower]}, "give either `follower` or `followers`"),
        ({"leader": 3, "follower": follower}, "`leader` is int"),
        ({"leader": leader, "follower": [y >= 1]}, "`follower` is list"),
        ({"leader": leader, "followers": [follower]}, "`follower_decides` must have 1 list of variables, one per follower; got 1 entries"),
        ({"leader": leader, "followers": [follower, follower]}, "`follower_decides` must have 2 lists of variables, one per follower; got 1 entries"),
    ]:
        with pytest.raises(InvalidProgram, match=r"\[follower-problems\]") as caught:
            so.from_cvxpy(**arguments, follower_decides=[y])
        assert caught.value.where == where


def test_parameters_need_values():
    y, p = cp.Variable(name="y"), cp.Parameter(name="p")
    for goal, rows in [(p * y, []), (y, [y <= p]), (y, [cp.abs(p + 1) <= y])]:
        assert refused("missing-value", cp.Minimize(goal), rows, owned=[y]).where == "Parameter `p` has no value"
    w = cp.Variable(name="w", bounds=[0, p])
    assert refused("missing-value", cp.Minimize(w), owned=[w]).where == "a bound of `w` is `p`, which has no value"
    p.value = 4.0
    assert read(cp.Minimize(w), owned=[w], leader=cp.Minimize(0)).upper.tolist() == [4.0]


def test_attributes_and_constraints_that_cannot_be_read():
    y = cp.Variable((2, 2), name="y", symmetric=True)
    assert refused("variable-domain", cp.Minimize(cp.trace(y)), owned=[y]).where == "`y` has symmetric=True"
    x, z = cp.Variable((2, 2), name="x"), cp.Variable(2, name="z")
    error = refused("unread-component", cp.Minimize(cp.trace(x)), [x >> 0], owned=[x])
    assert error.where.endswith(" is a PSD constraint")
    assert refused("unread-component", cp.Minimize(z[0]), [cp.SOC(z[0], z)], owned=[z]).where.endswith(" is a SOC constraint")


def test_numbers_and_names_are_checked():
    x, y = cp.Variable(name="x", bounds=[0, 3]), cp.Variable(name="x")
    assert read(cp.Minimize(x + y), owned=[y]).names == ("leader.x", "follower.x")
    error = refused("bilevel-names", cp.Minimize(x + y), owned=[x, y], leader=cp.Minimize(0))
    assert error.where == "`follower.x` is used twice"
    assert refused("bilevel-data", cp.Minimize(np.nan * y), owned=[y], leader=cp.Minimize(0)).code == "bilevel-data"
    for row in (y >= np.inf, y == -np.inf, y <= cp.Constant(np.nan)):
        assert refused("bilevel-bounds", cp.Minimize(y), [row], owned=[y]).where.startswith("row `")
    never = read(cp.Minimize(y), [False, True], owned=[y]).followers[0].rows
    assert never.upper.tolist() == [-1.0, 1.0]


def test_an_unknown_key_is_refused():
    (x, _), rows, program = toll()
    for stranger in (cp.Variable(name="toll"), x + 1, rows[0], 3, cp.Variable((2, 2))[0, 1], so.dual(rows[0])):
        with pytest.raises(InvalidProgram, match=r"\[unknown-variable\]"):
            program.index(stranger)
    assert program.origin.row(x) is None
    assert program.origin.row(3) is None


def test_texts_leave_out_what_cvxpy_inserts():
    x, v = cp.Variable(name="x"), cp.Variable((3, 2), name="v")
    assert plain(str(x * v[:, 0] <= 2 + cp.sum(v))) == "x * v[0:3, 0] <= 2.0 + sum(v)"
    assert plain(str(cp.max(v, axis=0))) == "max(v, axis=0)"
    assert plain("Promote(odd") == "Promote(odd"


def test_without_cvxpy(monkeypatch):
    y = cp.Variable(name="y")
    with without(monkeypatch, "cvxpy"), pytest.raises(MissingPackage, match='pip install "cvxpy"'):
        so.from_cvxpy(leader=None, follower=None, follower_decides=[y])


# --- the same program however it is stated ----------------------------------------------------------------------------


def test_one_program_from_cvxpy_pyomo_matrices_and_files(tmp_path):
    pyo = pytest.importorskip("pyomo.environ")
    m = pyo.ConcreteModel(name="toll")
    m.toll = pyo.Var(bounds=(0, 8))
    m.follower = pyo.Block()
    m.follower.flow = pyo.Var()
    m.follower.cost = pyo.Objective(expr=-m.follower.flow)
    m.follower.rows = pyo.ConstraintList()
    for row in (2 * m.follower.flow <= 7 * m.toll, 4 * m.follower.flow + m.toll >= 8, 2 * m.follower.flow + m.toll <= 13, m.follower.flow + m.toll <= 8):
        m.follower.rows.add(row)
    m.cap = pyo.Constraint(expr=m.follower.flow <= 5)
    m.cost = pyo.Objective(expr=3 * m.follower.flow + m.toll)
    program = so.from_pyomo(m, follower=m.follower)
    so.write(program, tmp_path / "toll.mps"), so.write(program, tmp_path / "toll.json")
    programs = [program, toll()[2], toll_in_matrices(), so.read(tmp_path / "toll.mps"), so.read(tmp_path / "toll.json")]
    assert len({p.fingerprint() for p in programs}) == 1


@pytest.mark.parametrize("name", catalog.cases())
def test_recorded_cases_stated_in_cvxpy_are_the_same_programs(name):
    case = catalog.case(name)
    found = described(so.from_cvxpy(**in_cvxpy(case.record)))
    called = [level["name"] for level in case.record["followers"]]
    ours = dict(zip([f"follower[{k}]" for k in range(len(called))] if len(called) > 1 else ["follower"], called))
    text = repr(found)
    for mine, theirs in ours.items():
        text = text.replace(repr(mine), repr(theirs)).replace(f"dual({mine}.", f"dual({theirs}.")
    assert text == repr(described(case.program))
