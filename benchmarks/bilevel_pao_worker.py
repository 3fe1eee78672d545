"""Runs inside an environment with PAO and nothing of ours: reads a recorded case, writes what PAO answered as JSON.

``python bilevel_pao_worker.py SOLVER MIP CASE.json ...``: one line of JSON per case. Standard library, Pyomo and PAO only.
"""

import contextlib
import io
import json
import sys
import time


def build(case):
    """The case as a Pyomo model with one PAO submodel, its variables by name, and the leader's objective."""
    import pyomo.environ as pe
    from pao.pyomo import SubModel

    domains = {"continuous": pe.Reals, "integer": pe.Integers, "binary": pe.Binary}
    model = pe.ConcreteModel()
    variables = {}
    leader = [v for v in case["variables"] if v["owner"] == "leader"]
    for entry in leader:
        variables[entry["name"]] = variable = pe.Var(bounds=(entry["lb"], entry["ub"]), domain=domains[entry["type"]])
        model.add_component("leader_" + entry["name"], variable)
    model.follower = SubModel(fixed=[variables[v["name"]] for v in leader])
    for entry in case["variables"]:
        if entry["owner"] != "leader":
            variables[entry["name"]] = variable = pe.Var(bounds=(entry["lb"], entry["ub"]), domain=domains[entry["type"]])
            model.follower.add_component("follower_" + entry["name"], variable)

    def expression(part):
        linear = sum(a * variables[name] for name, a in part.get("linear", {}).items())
        return linear + sum(a * variables[one] * variables[other] for one, other, a in part.get("quadratic", []))

    for block, level in ((model, case["leader"]), (model.follower, case["followers"][0])):
        objective = level["objective"]
        sense = pe.minimize if objective["sense"] == "min" else pe.maximize
        block.goal = pe.Objective(expr=expression(objective) + objective.get("constant", 0), sense=sense)
        for number, row in enumerate(level["constraints"]):
            left = expression(row)
            whole = {"<=": left <= row["rhs"], ">=": left >= row["rhs"], "==": left == row["rhs"]}[row["op"]]
            block.add_component(f"row_{number}", pe.Constraint(expr=whole))
    return model, variables


def answer(path, solver, mip):
    """PAO's answer: variable values, or why there is none."""
    with open(path, encoding="utf-8") as file:
        case = json.load(file)
    noise, begun = io.StringIO(), time.perf_counter()
    try:
        import pyomo.environ as pe
        from pao.pyomo import Solver

        begun = time.perf_counter()
        with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise):
            model, variables = build(case)
            options = {"mip_solver": mip if mip == "cbc" else pe.SolverFactory(mip)}
            Solver(f"pao.pyomo.{solver}").solve(model, **options)
        values = {name: variable.value for name, variable in variables.items()}
        word = "answered" if all(v is not None for v in values.values()) else "no values"
        return {"case": case["name"], "status": word, "values": values, "seconds": time.perf_counter() - begun}
    except BaseException as error:  # whatever it raises is its answer
        if isinstance(error, KeyboardInterrupt):
            raise
        text = f"{type(error).__name__}: {error}".strip().splitlines()[0][:100]
        return {"case": case["name"], "status": text, "values": {}, "seconds": time.perf_counter() - begun}


if __name__ == "__main__":
    for case_file in sys.argv[3:]:
        print(json.dumps(answer(case_file, *sys.argv[1:3])), flush=True)
