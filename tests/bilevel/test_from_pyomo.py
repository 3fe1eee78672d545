"""Pyomo models: what is read, under which names, and what is refused in which words."""

import pickle

import numpy as np
import pytest
from bilevel.programs import toll as toll_in_matrices
from bilevel.statements import described, in_pyomo, without
from hypothesis import given, settings
from hypothesis import strategies as st

import stackopt as so
from stackopt import catalog
from stackopt.errors import InvalidProgram, MissingPackage

pyo = pytest.importorskip("pyomo.environ")


def toll():
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


OTHER = toll()  # kept: Pyomo components do not keep their model


def read(m, **settings):
    return so.from_pyomo(m, **({} if "follower" in settings else {"follower": m.follower}), **settings)


def refused(code, m, **settings):
    with pytest.raises(InvalidProgram) as caught:
        read(m, **settings)
    assert caught.value.code == code
    return caught.value


def coefficients(program, level, row):
    """A row as {symbol: coefficient}, its products, its bounds."""
    rows = level.rows
    i = rows.names.index(row)
    part = rows.matrix[[i]].toarray()[0]
    form = rows.quadratic.get(i)
    products = {} if form is None else {(program.symbols[a], program.symbols[b]): v for a, b, v in zip(*form.tocoo().coords, form.data)}
    return {program.symbols[j]: a for j, a in enumerate(part) if a}, products, (rows.lower[i], rows.upper[i])


# --- the first example ------------------------------------------------------------------------------------------------


def test_the_first_example_reads_as_in_the_documentation():
    assert repr(read(toll())) == (
        'BilevelProgram "toll": leader minimises, 1 follower minimises\n'
        "  leader    min toll + 3 flow    decides toll in [0, 8], 1 row\n"
        "  follower  min -flow    decides flow, 4 rows, LP\n"
        "  concept   optimistic (ties go to the leader)\n"
        "  size      2 variables, 5 rows\n"
        '  from      Pyomo model "toll", block "follower"'
    )


def test_it_is_the_program_stated_in_matrices():
    program = read(toll())
    assert program.names == ("toll", "flow")
    assert program.followers[0].rows.names == ("road", "least", "time", "room")
    assert program.leader.rows.names == ("cap",)
    assert program.fingerprint() == toll_in_matrices().fingerprint()
    assert read(toll(), ties="pessimistic").fingerprint() != program.fingerprint()


def test_a_solution_is_looked_up_with_the_variables_and_constraints_of_the_model():
    m = toll()
    solution = so.solve(read(m))
    assert solution[m.toll] == pytest.approx(8 / 15)
    assert solution[m.follower.flow] == pytest.approx(28 / 15)
    dual = solution.dual(m.follower.road)  # of a follower that minimises -flow: more room for flow lowers its value by 1/2 a unit
    assert (dual.low, dual.high) == (-np.inf, pytest.approx(-0.5))
    assert m.toll.value is None  # the model stays as it is


# --- everything a model may contain -----------------------------------------------------------------------------------


def market():
    """Two firms, indexed variables, parameters, a nested block, ranges, quadratic objectives."""
    m = pyo.ConcreteModel(name="market")
    m.T = pyo.RangeSet(2)
    m.price = pyo.Param(m.T, initialize={1: 3.0, 2: 4.0}, mutable=True)
    m.tax = pyo.Var(m.T, domain=pyo.NonNegativeReals, bounds=(None, 9))
    m.build = pyo.Var(["old", "new"], m.T, domain=pyo.Binary)
    m.units = pyo.Var(domain=pyo.Integers, bounds=(1, 7))
    m.firm = pyo.Block(["a", "b"])
    for name in m.firm:
        firm = m.firm[name]
        firm.make = pyo.Var(m.T, domain=pyo.NonNegativeReals)
        firm.store = pyo.Block()
        firm.store.level = pyo.Var(bounds=(-2, 3))
        firm.revenue = pyo.Expression(expr=sum(m.price[t] * firm.make[t] for t in m.T))
        firm.profit = pyo.Objective(expr=firm.revenue - sum((firm.make[t] + m.tax[t]) ** 2 for t in m.T), sense=pyo.maximize)
        firm.limit = pyo.Constraint(m.T, rule=lambda b, t, m=m: pyo.inequality(1, b.make[t] + 2 * b.store.level + 3, 5))
        firm.store.full = pyo.Constraint(expr=firm.store.level == m.units / 2)
    m.rule = pyo.ConstraintList()
    m.rule.add(m.firm["a"].make[1] * m.tax[1] + m.firm["b"].make[2] ** 2 <= 8)
    m.rule.add(m.build["old", 1] + m.build["new", 2] >= 1)
    m.welfare = pyo.Objective(expr=sum(m.tax[t] * (m.firm["a"].make[t] + m.firm["b"].make[t]) for t in m.T), sense=pyo.maximize)
    return m


def test_several_followers_are_the_members_of_an_indexed_block():
    m = market()
    program = so.from_pyomo(m, follower=m.firm)
    assert [level.name for level in program.followers] == ["firm[a]", "firm[b]"]
    leader = ("tax[1]", "tax[2]", "build[old,1]", "build[old,2]", "build[new,1]", "build[new,2]", "units")
    assert program.names[:7] == leader
    assert program.names[7:10] == ("firm[a].make[1]", "firm[a].make[2]", "firm[a].store.level")  # `make[1]` alone could be either's
    assert program.owner.tolist() == [-1] * 7 + [0] * 3 + [1] * 3
    assert program.followers[1].rows.names == ("limit[1]", "limit[2]", "store.full")
    assert program.source == 'Pyomo model "market", blocks "firm[a]", "firm[b]"'
    again = so.from_pyomo(m, follower=[m.firm["a"], m.firm["b"]])
    assert again.fingerprint() == program.fingerprint()


def test_bounds_domains_ranges_and_quadratic_terms():
    m = market()
    program = so.from_pyomo(m, follower=m.firm)
    at = {name: j for j, name in enumerate(program.names)}
    assert (program.lower[at["tax[1]"]], program.upper[at["tax[1]"]]) == (0, 9)  # the domain and the bounds together
    assert program.integer.tolist() == [False] * 2 + [True] * 5 + [False] * 6
    assert (program.lower[at["build[new,2]"]], program.upper[at["build[new,2]"]]) == (0, 1)
    a = program.followers[0]
    assert a.objective.sense == program.leader.objective.sense == "max"
    assert a.objective.linear[[at["firm[a].make[1]"], at["firm[a].make[2]"]]].tolist() == [3.0, 4.0]
    square = a.objective.quadratic.toarray()
    x, y = at["tax[2]"], at["firm[a].make[2]"]
    assert (square[y, y], square[x, x], square[x, y]) == (-1.0, -1.0, -2.0)
    assert coefficients(program, a, "limit[2]") == ({"firm[a].make[2]": 1.0, "firm[a].store.level": 2.0}, {}, (-2.0, 2.0))
    assert coefficients(program, a, "store.full") == ({"firm[a].store.level": 1.0, "units": -0.5}, {}, (0.0, 0.0))
    products = {("tax[1]", "firm[a].make[1]"): 1.0, ("firm[b].make[2]", "firm[b].make[2]"): 1.0}
    assert coefficients(program, program.leader, "rule[1]") == ({}, products, (-np.inf, 8.0))
    assert program.kind(0) == "QP"


def test_indexed_variables_are_looked_up_whole():
    m = market()
    program = so.from_pyomo(m, follower=m.firm)
    assert program.index(m.build).tolist() == [2, 3, 4, 5]
    assert program.index(m.firm["b"].make).tolist() == [10, 11]
    assert program.index(m.build["new", 2]) == 5
    assert program.index(pyo.Reference(m.firm[:].store.level)).tolist() == [9, 12]
    assert program.origin.row(m.firm["b"].limit).tolist() == [("firm[b]", "limit[1]"), ("firm[b]", "limit[2]")]
    assert program.origin.row(m.rule[1]) is None


def test_parameters_have_their_present_values():
    m = market()
    before = so.from_pyomo(m, follower=m.firm)
    m.price[1] = 30.0
    after = so.from_pyomo(m, follower=m.firm)
    assert (before.followers[0].objective.linear[7], after.followers[0].objective.linear[7]) == (3.0, 30.0)


def test_a_fixed_variable_is_a_constant_and_said_to_be_one():
    m = toll()
    m.rate = pyo.Var(initialize=2.5)
    m.rate.fix()
    m.follower.levy = pyo.Constraint(expr=m.rate * m.follower.flow + m.rate**2 <= 20)
    program = read(m)
    assert coefficients(program, program.followers[0], "levy") == ({"flow": 2.5}, {}, (-np.inf, 13.75))
    assert "rate" not in program.names
    assert program.source.endswith("; fixed, so constant: rate = 2.5")
    with pytest.raises(InvalidProgram, match="`value\\(rate\\)`") as caught:
        program.index(m.rate)
    assert "fixed at 2.5" in caught.value.where
    refused("variable-owner", fix_flow(toll()))


def fix_flow(m):
    m.follower.flow.fix(1)
    return m


def test_what_is_deactivated_is_ignored():
    m = toll()
    m.extra = pyo.Block()
    m.extra.spare = pyo.Var(bounds=(0, 1))
    m.extra.never = pyo.Constraint(expr=m.toll >= 100)
    m.extra.deactivate()
    m.cap2 = pyo.Constraint(expr=m.toll >= 100)
    m.cap2.deactivate()
    m.other = pyo.Objective(expr=m.toll)
    m.other.deactivate()
    assert read(m).fingerprint() == read(toll()).fingerprint()
    m.uses = pyo.Constraint(expr=m.extra.spare <= m.toll)  # a variable of a deactivated block is still a variable
    assert read(m).names == ("toll", "extra.spare", "flow")


def test_a_variable_belongs_to_the_block_it_is_declared_in():
    m = toll()
    m.follower.spare = pyo.Var()  # used nowhere
    m.shared = pyo.Var()
    m.follower.uses = pyo.Constraint(expr=m.shared <= m.follower.flow)
    program = read(m)
    assert program.names == ("toll", "shared", "flow", "spare")
    assert program.owner.tolist() == [-1, -1, 0, 0]
    given = read(m, follower_decides=[m.shared])
    assert given.names == ("toll", "shared", "flow", "spare")
    assert given.owner.tolist() == [-1, 0, 0, 0]
    assert given.index(m.shared) == 1


def test_names_are_full_where_short_ones_would_be_ambiguous():
    m = toll()
    m.flow = pyo.Var()
    assert read(m).names == ("toll", "flow", "follower.flow")
    m.road = pyo.Var()  # decided by the follower, so it and the follower's row would both be `road`
    program = read(m, follower_decides=m.road)
    assert program.names == ("toll", "flow", "road", "follower.flow")
    assert program.followers[0].rows.names[0] == "follower.road"


# --- multipliers ------------------------------------------------------------------------------------------------------


def test_multipliers_are_symbols_of_the_leader():
    m = toll()
    m.pays = pyo.Constraint(expr=so.dual(m.follower.road) + so.dual(m.follower.road) * m.toll - so.dual(m.follower.flow) <= 3)
    program = read(m)
    assert program.symbols == ("toll", "flow", "dual(road)", "dual(flow)")
    assert [(s.follower, s.constraint) for s in program.multipliers] == [("follower", "road"), ("follower", "flow")]
    assert coefficients(program, program.leader, "pays")[:2] == ({"dual(road)": 1.0, "dual(flow)": -1.0}, {("toll", "dual(road)"): 1.0})
    assert program.index(so.dual(m.follower.flow)) == 3
    other = toll()
    assert program.origin.find(so.dual(other.follower.flow)) is None


def test_a_multiplier_added_to_the_model_has_the_name_it_is_given():
    m = toll()
    m.price = so.dual(m.follower.road)
    m.pays = pyo.Constraint(expr=m.price <= 3)
    program = read(m)
    assert program.symbols == ("toll", "flow", "price")
    assert program.index(m.price) == program.index(so.dual(m.follower.road)) == 2
    copy = m.clone()
    again = read(copy)
    assert again.symbols == program.symbols
    assert again.fingerprint() == program.fingerprint()


def test_indexed_constraints_have_a_multiplier_per_index():
    m = market()
    prices = {name: so.dual(m.firm[name].limit) for name in m.firm}
    assert sorted(prices["a"]) == [1, 2]
    m.pays = pyo.Constraint(expr=prices["a"][1] + prices["b"][1] <= 4)
    program = so.from_pyomo(m, follower=m.firm)
    assert program.symbols[-2:] == ("dual(firm[a].limit[1])", "dual(firm[b].limit[1])")


def test_the_multiplier_of_a_row_is_the_derivative_of_the_followers_value():
    """lam = d(optimal value) / d(rhs), for both senses and all three relations; rows with variables on both sides are left - right."""
    for sense, relation, expected in (("min", "le", -2.0), ("max", "ge", -2.0), ("min", "eq", 2.0), ("max", "eq", 2.0)):
        m = pyo.ConcreteModel()
        m.x = pyo.Var(bounds=(1, 1))
        m.follower = pyo.Block()
        m.follower.y = pyo.Var(bounds=(-10, 10))
        sign = {"le": -1.0, "ge": -1.0, "eq": 1.0}[relation]
        m.follower.goal = pyo.Objective(expr=sign * 2 * m.follower.y, sense=pyo.minimize if sense == "min" else pyo.maximize)
        body = m.follower.y - 3 * m.x
        m.follower.row = pyo.Constraint(expr=body <= 4 if relation == "le" else body >= 4 if relation == "ge" else body == 4)
        m.goal = pyo.Objective(expr=so.dual(m.follower.row) + m.x)
        solution = so.solve(read(m))
        assert solution[so.dual(m.follower.row)] == pytest.approx(expected)
        assert solution.dual(m.follower.row) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["bjm_conejo2016_dual", "bjm_fanzeres2017_dual"])
def test_published_programs_with_multipliers_have_their_published_values(name):
    case = catalog.case(name)
    model, blocks = in_pyomo(case.record)
    solution = so.solve(so.from_pyomo(model, follower=blocks))
    assert solution.certified
    assert case.agrees(solution.value)


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (lambda m: m.cap, "`cap` is the leader's"),
        (lambda m: m.toll, "`toll` is the leader's"),
        (lambda m: m.follower.off, "`follower.off` is deactivated, fixed or without a bound"),
        (lambda m: OTHER.follower.road, "`follower.road` is not in the model"),
    ],
)
def test_only_followers_rows_and_variables_have_multipliers(of, reason):
    m = toll()
    m.follower.off = pyo.Constraint(expr=m.toll <= 9)
    m.follower.off.deactivate()
    target = of(m)
    m.pays = pyo.Constraint(expr=so.dual(target) <= 3)
    assert reason in refused("multiplier-place", m).where


def test_followers_do_not_use_multipliers():
    m = toll()
    m.follower.pays = pyo.Constraint(expr=so.dual(m.follower.road) <= 3)
    assert "used by follower `follower`" in refused("multiplier-place", m).where
    for odd in (3, m.cost, m):
        with pytest.raises(InvalidProgram, match=r"\[multiplier-place\]"):
            so.dual(odd)


# --- finding things again ---------------------------------------------------------------------------------------------


def test_a_program_survives_pickling_and_still_finds_variables():
    m = market()
    m.pays = pyo.Constraint(expr=so.dual(m.firm["a"].limit[1]) <= 4)
    program = pickle.loads(pickle.dumps(so.from_pyomo(m, follower=m.firm)))
    assert program.index(m.tax).tolist() == [0, 1]
    assert program.index(so.dual(m.firm["a"].limit[1])) == program.size
    assert program.origin.row(m.firm["b"].store.level) == ("firm[b]", "firm[b].store.level")


@pytest.mark.parametrize("stranger", [lambda m: OTHER.toll, lambda m: m.late, lambda m: m.cap, lambda m: 3, lambda m: m.cost, lambda m: m.none])
def test_an_unknown_key_is_refused(stranger):
    m = toll()
    program = read(m)
    m.late = pyo.Var()
    m.none = pyo.Var([])
    with pytest.raises(InvalidProgram, match=r"\[unknown-variable\]"):
        program.index(stranger(m))


# --- refused in the user's words --------------------------------------------------------------------------------------


def test_a_follower_without_an_objective():
    m = toll()
    m.follower.del_component("cost")
    assert str(refused("follower-objective", m)) == (
        "InvalidProgram[follower-objective]: a follower needs exactly one active Objective\n"
        "  where:  block `follower` has 0; its variables: flow\n"
        "  help:   m.follower.cost = pyo.Objective(expr=-m.follower.flow)\n"
        "  docs:   errors/follower-objective"
    )


def test_a_follower_whose_objective_sleeps_or_has_a_rival():
    m = toll()
    m.follower.cost.deactivate()
    error = refused("follower-objective", m)
    assert (error.where, error.help) == ("block `follower` has 0; `follower.cost` is deactivated", "m.follower.cost.activate()")
    m = toll()
    m.follower.second = pyo.Objective(expr=m.toll)
    error = refused("follower-objective", m)
    assert (error.where, error.help) == ("block `follower` has 2: follower.cost, follower.second", "m.follower.second.deactivate()")


def test_a_leader_without_an_objective_or_with_two():
    m = toll()
    m.second = pyo.Objective(expr=m.toll)
    assert refused("leader-objective", m).where == "the leader has 2: cost, second"
    m.del_component("second"), m.del_component("cost")
    error = refused("leader-objective", m)
    assert (error.where, error.help) == ("the leader has 0; its variables: toll", "m.cost = pyo.Objective(expr=m.toll)")


def test_unknown_blocks():
    m, other = toll(), toll()
    m.follower.inner = pyo.Block()
    for follower, where in [
        (other.follower, "block `follower` is not in model `toll`"),
        (m.toll, "got ScalarVar 'toll'"),
        ("follower", "got str 'follower'"),
        ([], "got none"),
        (m, "the whole model was given: nothing is left for the leader"),
        ([m.follower, m.follower], "a block is given twice"),
        ([m.follower, m.follower.inner], "block `follower.inner` lies inside follower `follower`: that would be a third level"),
    ]:
        assert refused("follower-block", m, follower=follower).where == where
    m.follower.deactivate()
    error = refused("follower-block", m)
    assert (error.where, error.help) == ("block `follower` is deactivated", "m.follower.activate()")


def test_not_a_model():
    m = toll()
    for model, where in [(3, "got int"), (pyo.AbstractModel(), "`unknown` is abstract"), (pyo.Block([1, 2]), "got IndexedBlock")]:
        assert refused("pyomo-model", model, follower=m.follower).where == where


def test_a_variable_that_is_not_the_models():
    m, other = toll(), toll()
    m.uses = pyo.Constraint(expr=other.toll <= m.toll)
    assert refused("variable-owner", m).where == "constraint `uses` uses `toll`, which belongs to model `toll`"
    m = toll()
    stray = pyo.Var(name="stray")
    stray.construct()
    m.follower.uses = pyo.Constraint(expr=stray * m.toll <= 3)
    assert refused("variable-owner", m).where == "constraint `follower.uses` uses `stray`, which was never added to the model"


def test_owners_by_hand_are_checked():
    m = market()
    m.both = pyo.Var()
    for decides, where in [
        ([m.both], "`follower_decides` has 1 lists for 2 followers"),
        ([[m.both], [m.both]], "`both` is claimed by follower `firm[b]` but is follower `firm[a]`'s"),
        ([[m.firm["b"].make], []], "`firm[b].make[1]` is claimed by follower `firm[a]` but is follower `firm[b]`'s"),
        ([["both"], []], "`follower_decides` has str 'both'"),
    ]:
        assert refused("variable-owner", m, follower=m.firm, follower_decides=decides).where == where
    assert so.from_pyomo(m, m.firm, follower_decides=[[], [m.both]]).owner.tolist()[-1] == 1


@pytest.mark.parametrize(
    ("term", "shown"),
    [
        (lambda x, y: x + x * pyo.exp(y), "toll*exp(follower.flow)"),
        (lambda x, y: x**3 + y, "toll**3"),
        (lambda x, y: x * y * y, "toll*follower.flow*follower.flow"),
        (lambda x, y: y - pyo.sqrt(x) + 1, "sqrt(toll)"),
        (lambda x, y: abs(y), "abs(follower.flow)"),
    ],
)
def test_terms_that_are_not_quadratic_are_named(term, shown):
    m = toll()
    m.follower.odd = pyo.Constraint(expr=term(m.toll, m.follower.flow) <= 3)
    where = refused("nonlinear", m).where
    assert where.startswith("constraint `follower.odd` has `")
    assert shown in where
    assert len(where) < len(shown) + 36  # the term alone


def test_missing_values_are_named(caplog):
    def with_param(use):
        m = toll()
        m.p = pyo.Param(mutable=True)
        use(m)
        return refused("missing-value", m).where

    assert with_param(lambda m: m.add_component("odd", pyo.Constraint(expr=m.p * m.toll <= 3))) == "constraint `odd`: Param `p` has no value"
    assert with_param(lambda m: m.add_component("odd", pyo.Constraint(expr=m.toll <= m.p))) == "constraint `odd`: Param `p` has no value"
    assert with_param(lambda m: m.add_component("odd", pyo.Var(bounds=(m.p, 3)))) == "bounds of `odd`: Param `p` has no value"
    assert with_param(lambda m: m.cost.set_value(m.p * m.toll)) == "objective `cost`: Param `p` has no value"
    assert with_param(lambda m: m.toll.fix()) == "objective `cost`: `toll` is fixed without a value"
    assert not caplog.records  # said once, by the error


def test_numbers_that_are_none():
    m = toll()
    m.toll.setub(-1)
    assert refused("bilevel-bounds", m).where == "`toll` in [0, -1]"
    m = toll()
    m.low = pyo.Param(initialize=3, mutable=True)
    m.follower.odd = pyo.Constraint(expr=pyo.inequality(m.low, m.toll, 2))
    assert refused("bilevel-bounds", m).where == "row `odd` of `follower` in [3, 2]"
    m = toll()
    m.cost.set_value(float("nan") * m.toll)
    refused("bilevel-data", m)
    m = toll()
    m.odd = pyo.Constraint(expr=m.toll >= np.inf)
    assert refused("bilevel-data", m).where.startswith("constraint `odd`: ")
    m = toll()
    m.part = pyo.Expression()
    m.odd = pyo.Constraint(expr=m.part + m.toll <= 1)
    assert refused("missing-value", m).where.startswith("constraint `odd`: a part of `part")


def test_domains_and_components_that_cannot_be_read():
    m = toll()
    m.steps = pyo.Var(domain=pyo.RangeSet(0, 10, 5))
    assert refused("variable-domain", m).where.startswith("`steps` has domain ")
    m = toll()
    m.x = pyo.Var([1, 2])
    m.one = pyo.SOSConstraint(var=m.x, sos=1)
    assert refused("unread-component", m).where == "`one` is a SOSConstraint"
    m.one.deactivate()
    assert read(m).size == 4


def test_names_stay_on_one_line():
    m = toll()
    m.add_component("two\nlines", pyo.Var())
    m.add_component("follower.flow", pyo.Var())
    assert read(m).names == ("toll", "'two\\nlines'", "'follower.flow'", "flow")  # as Pyomo writes them


def test_without_pyomo(monkeypatch):
    m = toll()
    with without(monkeypatch, "pyomo"), pytest.raises(MissingPackage, match='pip install "pyomo"'):
        so.from_pyomo(m, follower=m.follower)


# --- the same program however it is stated ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", catalog.cases())
def test_recorded_cases_stated_in_pyomo_are_the_same_programs(name):
    case = catalog.case(name)
    model, blocks = in_pyomo(case.record)
    assert described(so.from_pyomo(model, follower=blocks)) == described(case.program)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.data())
def test_any_quadratic_expression_is_read_exactly(data):
    """Random expressions: the polynomial has the expression's value at random points, or the expression is refused."""
    m = toll()
    m.more = pyo.Var([0, 1])
    m.rate = pyo.Var(initialize=-1.5)
    m.rate.fix()
    m.p = pyo.Param(initialize=3.0, mutable=True)
    leaves = [m.toll, m.follower.flow, m.more[0], m.more[1], m.rate, m.p, 2.0, -0.5]

    def grow(depth):
        kind = data.draw(st.sampled_from(["leaf", "+", "-", "*", "neg", "/", "square", "sum"] if depth else ["leaf"]))
        if kind == "leaf":
            return data.draw(st.sampled_from(leaves))
        one = grow(depth - 1)
        if kind == "neg":
            return -one
        if kind == "/":
            return one / m.p
        if kind == "square":
            return one**2
        two = grow(depth - 1)
        return one + two if kind == "+" else one - two if kind == "-" else one * two if kind == "*" else sum([one, two, grow(depth - 1)])

    m.cost.set_value(grow(4) + m.toll)
    try:
        program = read(m)
    except InvalidProgram as error:
        if error.code != "nonlinear":
            raise
        return
    keys = [m.toll, m.more[0], m.more[1], m.follower.flow]
    for _ in range(3):
        point = np.array(data.draw(st.lists(st.floats(-2, 2), min_size=4, max_size=4)))
        for key, value in zip(keys, point):
            key.set_value(value, skip_validation=True)
        value = pyo.value(m.cost)
        assert program.leader.objective.value(point[np.argsort([program.index(key) for key in keys])]) == pytest.approx(value, rel=1e-9, abs=1e-9)
