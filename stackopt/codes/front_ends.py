"""Codes of what bilevel programs are made from: files, Pyomo and CVXPY models, networks."""

from __future__ import annotations

from stackopt.codes.code import ErrorCode

CODES: dict[str, ErrorCode] = {
    # files of bilevel programs
    "file-format": ErrorCode(
        "{path} is no file of a bilevel program",
        "the name ends in .json, .mps, .mps.gz or .aux (written: .json, .mps or .aux)",
        "The ending of a file's name decides how it is read and written.",
    ),
    "bilevel-file": ErrorCode(
        "the program {path} cannot be read",
        "docs/bilevel-files.md describes what is read",
        "A file is read as its format defines it or not at all: what is not understood is named with its line, never skipped.",
    ),
    "aux-missing": ErrorCode(
        "the {what} file that belongs to {path} is missing",
        "put it next to the other under the same name, or name it: read(path, aux=...) in Python, --aux on the command line",
        "MPS states one linear program; only the AUX file says which variables and rows are the follower's and what it optimises.",
    ),
    "aux-file": ErrorCode(
        "the AUX file {path} cannot be read",
        "docs/bilevel-files.md describes its three forms",
        "A keyword or an entry that is not understood could change who decides what, so it is an error with its line.",
    ),
    "aux-names": ErrorCode(
        "the AUX file {path} does not fit its MPS file",
        "the follower's columns and rows are named, or counted from 0, as in the MPS file",
        "A column or row that is not found would silently stay the leader's: a different program with a plausible answer.",
    ),
    "aux-count": ErrorCode(
        "the AUX file {path} contradicts itself",
        "every follower column has one cost, and the announced numbers are those of the entries",
        "With one cost too few, each cost after the gap would belong to another variable.",
    ),
    "bilevel-json": ErrorCode(
        "the bilevel program {path} breaks its schema",
        "docs/bilevel-files.md describes the schema",
        "Unknown keys and unknown variables are errors: a misspelt bound or coefficient would otherwise be lost without a sign.",
    ),
    "not-writable": ErrorCode(
        "{format} cannot hold {what}",
        "JSON holds every bilevel program",
        "A file that leaves something out would be read back as another program.",
    ),
    # models of Pyomo and CVXPY
    "pyomo-model": ErrorCode(
        "`model` must be a constructed Pyomo model",
        "pyo.ConcreteModel()",
        "The front end reads components of `pyomo.environ`; an abstract model has none before it meets its data.",
    ),
    "follower-block": ErrorCode(
        "`follower` must be an active Block of the model, or a list of such Blocks",
        "m.follower = pyo.Block(), and from_pyomo(m, follower=m.follower)",
        "What a follower decides is what is declared in its Block, so the Block has to be part of the model and of no other follower.",
    ),
    "follower-objective": ErrorCode(
        "a follower needs exactly one active Objective",
        "m.follower.cost = pyo.Objective(expr=...)",
        "Without an objective every feasible answer is optimal and the follower would silently become part of the leader; with two it "
        "is not said which one it follows.",
    ),
    "leader-objective": ErrorCode(
        "the leader needs exactly one active Objective",
        "m.cost = pyo.Objective(expr=...), outside the follower's Block",
        "The leader's objective is the one declared outside all followers' Blocks.",
    ),
    "follower-problems": ErrorCode(
        "from_cvxpy needs the leader's problem, each follower's, and what each follower decides",
        "from_cvxpy(leader=..., follower=..., follower_decides=[y]), or followers=[...] and follower_decides=[[y], [z]]",
        "CVXPY problems do not say who decides a variable, so it is written down for each follower.",
    ),
    "unread-component": ErrorCode(
        "a model is read completely or not at all",
        "variables, objectives and constraints are read",
        "A component that restricts decisions and is skipped would give the answer to another problem.",
    ),
    "variable-domain": ErrorCode(
        "a variable must be real, integer or binary, between bounds",
        "use bounds and integrality",
        "Exact methods branch on integers and on complementarity; other domains are not among the data of a bilevel program.",
    ),
    "missing-value": ErrorCode(
        "parameters and fixed variables need values",
        "set it before the program is made: m.p = 3 in Pyomo, p.value = 3 in CVXPY",
        "Coefficients are read once, when the program is made.",
    ),
    "nonlinear": ErrorCode(
        "objectives and constraints must be polynomials of degree at most 2",
        "linearise it, or replace it by new variables and constraints",
        "Exact methods rest on optimality conditions of linear and quadratic programs.",
    ),
    "piecewise": ErrorCode(
        "a piecewise-linear term must be convex where it is made small and concave where it is made large",
        "model the choice between its pieces with binary variables",
        "Such a term is replaced by a variable beyond all its pieces. Where nothing pushes that variable back to the pieces it would "
        "take other values than the term.",
    ),
    # networks
    "network-graph": ErrorCode(
        "a network must be a networkx DiGraph or MultiDiGraph with at least one arc",
        "networkx.DiGraph(edges); attributes of the edges hold costs, capacities, tolls",
        "Flows have a direction. An undirected edge is two arcs, and whether both may be tolled or removed is the user's choice.",
    ),
    "network-node": ErrorCode(
        "`{what}` must name a node of the graph",
        "nodes are compared as they are: 1 and '1' are different",
        "A typing error in a node would otherwise become a problem without a path.",
    ),
    "network-path": ErrorCode(
        "there must be a path from {source} to {target}",
        "add the missing arcs, or check their direction",
        "Without a path the follower has no feasible answer whatever the leader does.",
    ),
    "network-attribute": ErrorCode(
        "`{name}` must be {law}",
        "set it for every arc: graph.edges[u, v][name] = value, or give one number for all arcs",
        "Shortest paths need non-negative lengths: a cycle of negative length would have no shortest path. Flows need non-negative capacities.",
    ),
    "network-arcs": ErrorCode(
        "`{name}` must name arcs of the graph",
        "an edge attribute that is true on these arcs, or a list of (u, v)",
        "A leader without an arc to decide about has no problem to solve.",
    ),
    "network-commodity": ErrorCode(
        "commodities must be {law}",
        'e.g. [("home", "work", 100)]; the demand is 1 if left out',
        "Each commodity is a demand from one node to another; followers travel for it.",
    ),
    "network-unbounded": ErrorCode(
        "the optimum must be finite: {law}",
        "see the docstring of the function for what makes it finite",
        "A traveller without a toll-free route pays any toll, and a network that can be cut has no longest shortest path.",
    ),
    "network-outcome": ErrorCode(
        "this needs {law}",
        "solve(networks.toll_setting(graph, ...)), then outcome(solution) and draw(graph, solution)",
        "Tolls, flows and interdicted arcs are read from what the program remembers of its graph.",
    ),
}
