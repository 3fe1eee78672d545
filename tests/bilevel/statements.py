"""The same bilevel program written in Pyomo, in CVXPY and as data, and what all of them must come to."""

import contextlib

from stackopt.bilevel.fingerprint import row_keys


def described(program):
    """Everything that defines a program, by the names of its symbols, so that orders do not matter."""
    names = (*program.names, *(f"dual({m.follower}.{m.constraint})" for m in program.multipliers))

    def products(form):
        found = form.tocoo() if form is not None else None
        return {} if form is None else {frozenset((names[i], names[j])): a for i, j, a in zip(*found.coords, found.data) if a}

    def level(player):
        goal, rows = player.objective, []
        for name, (linear, quadratic, low, high) in zip(player.rows.names, oriented(player.rows, names)):
            terms = sorted((names[j], a) for j, a in linear)
            rows.append((name, terms, sorted((*sorted((names[i], names[j])), a) for i, j, a in quadratic), low, high))
        linear = {names[j]: a for j, a in enumerate(goal.linear) if a}
        return {"goal": (goal.sense, goal.constant, linear, products(goal.quadratic)), "rows": sorted(rows)}

    players = [level.name for level in program.followers]
    return {
        "variables": {
            name: ("leader" if k < 0 else players[k], low, high, bool(whole))
            for name, k, low, high, whole in zip(program.names, program.owner, program.lower, program.upper, program.integer)
        },
        "leader": level(program.leader),
        "followers": {player.name: level(player) for player in program.followers},
        "multipliers": sorted((m.follower, m.constraint) for m in program.multipliers),
        "ties": program.ties,
    }


def oriented(rows, names):
    """Rows with the coefficient of the first name positive, whatever the order of the columns."""
    for linear, quadratic, low, high in row_keys(rows):
        first = min([(names[j], a) for j, a in linear] or [(tuple(sorted((names[i], names[j]))), a) for i, j, a in quadratic] or [("", 1.0)])[1]
        if first < 0:
            yield [(j, -a) for j, a in linear], [(i, j, -a) for i, j, a in quadratic], -high + 0.0, -low + 0.0
        else:
            yield list(linear), list(quadratic), low, high


def in_pyomo(record):
    """A recorded case as (model, followers' blocks); see docs/bilevel-files.md for the schema."""
    import pyomo.environ as pyo

    import stackopt as so

    model = pyo.ConcreteModel(name=record["name"])
    blocks = {}
    for player in record["followers"]:
        model.add_component(player["name"], pyo.Block())
        blocks[player["name"]] = model.find_component(player["name"])
    domains = {"continuous": pyo.Reals, "integer": pyo.Integers, "binary": pyo.Binary}
    symbols = {}
    for v in record["variables"]:
        home = blocks.get(v["owner"], model)
        home.add_component(v["name"], pyo.Var(domain=domains[v["type"]], bounds=(v["lb"], v["ub"])))
        symbols[v["name"]] = home.find_component(v["name"])
    compare = {"<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b, "==": lambda a, b: a == b}
    for home, level in [*((blocks[level["name"]], level) for level in record["followers"]), (model, record["leader"])]:
        if home is model:
            for d in record.get("duals", []):
                inside = blocks[d["follower"]]
                of = inside.component(d["constraint"]) or symbols[d["constraint"]]
                symbols[d["name"]] = so.dual(of)
        goal = level["objective"]
        sense = pyo.minimize if goal["sense"] == "min" else pyo.maximize
        home.add_component("the objective", pyo.Objective(expr=algebra(goal, symbols), sense=sense))
        for row in level["constraints"]:
            home.add_component(row["name"], pyo.Constraint(expr=compare[row["op"]](algebra(row, symbols), row["rhs"])))
    return model, list(blocks.values())


def in_cvxpy(record):
    """A recorded case as the arguments of `from_cvxpy`."""
    import cvxpy as cp

    import stackopt as so

    symbols = {v["name"]: cp.Variable(name=v["name"], **attributes(v)) for v in record["variables"]}
    compare = {"<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b, "==": lambda a, b: a == b}
    problems = {}
    for level in [*record["followers"], record["leader"]]:
        if level is record["leader"]:
            for d in record.get("duals", []):
                of = {c.label: c for c in problems[d["follower"]].constraints}.get(d["constraint"])
                symbols[d["name"]] = so.dual(symbols[d["constraint"]] if of is None else of)
        goal = level["objective"]
        rows = [compare[row["op"]](algebra(row, symbols), row["rhs"]).set_label(row["name"]) for row in level["constraints"]]
        objective = cp.Minimize if goal["sense"] == "min" else cp.Maximize
        problems[level.get("name", "leader") if level is not record["leader"] else None] = cp.Problem(objective(algebra(goal, symbols)), rows)
    players = [level["name"] for level in record["followers"]]
    return {
        "leader": problems[None],
        "followers": [problems[name] for name in players],
        "follower_decides": [[symbols[v["name"]] for v in record["variables"] if v["owner"] == name] for name in players],
        "leader_decides": [symbols[v["name"]] for v in record["variables"] if v["owner"] == "leader"],
        "name": record["name"],
    }


def attributes(v):
    if v["type"] == "binary" and (v["lb"], v["ub"]) == (0, 1):
        return {"boolean": True}
    bounds = None if v["lb"] is None and v["ub"] is None else [-float("inf") if v["lb"] is None else v["lb"], float("inf") if v["ub"] is None else v["ub"]]
    return {"bounds": bounds, "integer": v["type"] != "continuous"}


def algebra(form, symbols):
    terms = [a * symbols[name] for name, a in form.get("linear", {}).items()]
    terms += [a * (symbols[v] * symbols[w]) if v != w else a * symbols[v] ** 2 for v, w, a in form.get("quadratic", [])]
    whole = sum(terms[1:], terms[0]) if terms else 0.0 * next(iter(symbols.values()))
    return whole + form["constant"] if form.get("constant") else whole


@contextlib.contextmanager
def without(monkeypatch, package):
    """As if a package were not installed."""
    import importlib

    real = importlib.import_module

    def missing(name, *rest):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(importlib, "import_module", missing)
        yield
