"""Typed errors: the law that was broken, the first witness, the remedy.

Every error carries a code. The codes, their laws and their explanations are data (`CODES`), so the error index of the
documentation is generated from the same table that raises, and a test keeps both equal.

    StackoptError
    ├── InvalidInput
    │   ├── InvalidGame        a game's arrays, functions or labels
    │   ├── InvalidMethod      a method's settings
    │   ├── InvalidProgram     a mixed-integer program handed to a back end
    │   └── InvalidCandidate   a policy pair handed to `certify`
    ├── Refused                a method does not solve this problem; says why and what would
    ├── NotCertified           `Solution.require()` on an answer that does not hold
    ├── UnknownModel           no model of that name
    ├── InvalidStore           a store that cannot be read or written
    ├── InvalidOutput          an output file that cannot be written
    └── MissingPackage         an optional package is needed and absent
"""

from __future__ import annotations

from dataclasses import dataclass


class StackoptError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    code : str
        A key of `CODES`.
    where : str, optional
        The first witness, e.g. ``(s, a, b) = (1, 0, 0) sums to 0.9; 3 more rows differ``.
    help : str, optional
        The remedy; by default the one registered with the code.
    **law : object
        Values for the placeholders of the registered law.
    """

    def __init__(self, code: str, *, where: str = "", help: str = "", **law: object) -> None:
        entry = CODES[code]
        self.code = code
        self.law = entry.law.format(**law)
        self.where = where
        self.placeholders = law
        self.help = help or entry.help.format(**law)
        super().__init__(self.__str__())

    def __str__(self) -> str:
        lines = [f"{type(self).__name__}[{self.code}]: {self.law}"]
        lines += [f"  where:  {self.where}"] if self.where else []
        lines += [f"  help:   {self.help}"] if self.help else []
        return "\n".join([*lines, f"  docs:   errors/{self.code}"])

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.code, self.law, self.where, self.help)


def _rebuild(kind: type[StackoptError], code: str, law: str, where: str, help: str) -> StackoptError:
    """Unpickle: a process pool must hand errors back with their texts unchanged."""
    error = kind.__new__(kind)
    error.code, error.law, error.where, error.help, error.placeholders = code, law, where, help, {}
    Exception.__init__(error, str(error))
    return error


class InvalidInput(StackoptError):
    """Something the caller passed breaks a law."""


class InvalidGame(InvalidInput):
    """A game's arrays, functions or labels break a law."""


class InvalidMethod(InvalidInput):
    """A method's settings break a law."""


class InvalidProgram(InvalidInput):
    """A mixed-integer program is malformed."""


class InvalidCandidate(InvalidInput):
    """A policy pair does not fit the game it is to be certified for."""


class Refused(StackoptError):
    """A method does not solve this problem; the remedy names what does."""


class NotCertified(StackoptError):
    """`Solution.require()` was called on an answer that is not certified."""


class UnknownModel(StackoptError):
    """There is no model of that name."""


class InvalidStore(StackoptError):
    """A store of results cannot be read or written."""


class InvalidOutput(StackoptError):
    """An output file cannot be written; nothing half-written is left."""


class MissingPackage(StackoptError):
    """An optional package is needed and not installed."""


@dataclass(frozen=True)
class ErrorCode:
    """One entry of the error index.

    Attributes
    ----------
    law : str
        What must hold; may have placeholders.
    help : str
        The default remedy.
    explanation : str
        Why the law exists, for the documentation.
    """

    law: str
    help: str
    explanation: str


CODES: dict[str, ErrorCode] = {
    # games
    "axes": ErrorCode(
        "`{array}` must be {axes} = {expected}; got {got}",
        "np.moveaxis reorders axes; S states, A leader actions, B follower actions, in this order",
        "Every array of a game has its axes written down. A transposed array of a square game would be accepted "
        "silently, so sizes are taken from `leader_reward` and everything else is held to them.",
    ),
    "action-set": ErrorCode(
        "a game needs at least one state, one leader action and one follower action",
        "give a passive player a single action",
        "A player without actions has no policy. A player with exactly one action is fine: it is passive.",
    ),
    "finite": ErrorCode(
        "`{array}` must be finite",
        "replace NaN and infinities; a forbidden action is modelled by a reward low enough never to be chosen",
        "Infinite rewards make values infinite and every bound vacuous; NaN compares false with everything, so it "
        "would slip through each later check.",
    ),
    "transition-mass": ErrorCode(
        "`transition[s, a, b, :]` must sum to 1",
        "in `from_functions`, return every outcome as a (state, probability) pair; equal targets add up",
        "Rows that lose mass describe a different, shorter-lived game and make every value wrong without a sign.",
    ),
    "transition-sign": ErrorCode(
        "`transition` must not be negative",
        "probabilities lie in [0, 1]",
        "A negative probability can hide in a row that sums to 1.",
    ),
    "discount": ErrorCode(
        "`{name}` must lie in [0, 1)",
        "use a discount below 1; an average-reward criterion is another problem",
        "With discount 1 the value of a policy is not defined in general. 0 means a myopic player.",
    ),
    "initial": ErrorCode(
        "`initial` must be a distribution over the S states",
        "non-negative weights that sum to 1",
        "Commitment values are scalarised with the initial distribution; one policy need not be best from every state.",
    ),
    "labels": ErrorCode(
        "`{name}` must list {expected} distinct labels; got {got}",
        "give one label per index, or none",
        "Labels are printed instead of indices; two equal ones would be ambiguous.",
    ),
    "printable": ErrorCode(
        "`{name}` must be printable on one line; got {got}",
        "leave out line breaks and control characters",
        "Names and labels stand in tables and reports, and on terminals, which obey control characters.",
    ),
    "observation": ErrorCode(
        "`leader_observes` must give one observation for each of the {states} states",
        "one hashable label or integer per state; states with equal observations are one class to the leader",
        "A leader that does not see the whole state plays one mixed action per class of states.",
    ),
    "batch": ErrorCode(
        "{what}",
        "solve single games: `game[i]` takes one out of the batch",
        "Leading axes of the arrays are batch axes. Some methods work on a single game only.",
    ),
    "unknown-state": ErrorCode(
        "`transition` of `from_functions` returned a state that is not in `states`",
        "return pairs (state, probability) with states from the list",
        "A typing error in a state would otherwise lose probability.",
    ),
    "follower-types": ErrorCode(
        "a Bayesian game needs one leader and one follower payoff matrix and a probability for each type",
        "shapes [K, A, B], [K, A, B] and [K]",
        "Types share the leader's actions; probabilities are those of meeting each type.",
    ),
    "security": ErrorCode(
        "a security game needs {law}",
        "covered is at least as good for the defender and at most as good for the attacker",
        "The compact formulation of a security game relies on coverage being good for the defender.",
    ),
    "recorded-game": ErrorCode(
        "the recorded game {path} must be {law}",
        "data/games/README.md describes the schema",
        "A recorded game names its source, its known answers and their tolerance; a file without them would be an unsupported claim.",
    ),
    "candidate": ErrorCode(
        "`{array}` must be {axes} = {expected}; got {got}",
        "one row per state, one column per action, rows sum to 1",
        "A candidate is certified against the tensors of the game, so it has to fit them.",
    ),
    "game-file": ErrorCode(
        "the game {path} cannot be read",
        "an .npz file written by numpy.savez, or .json, with leader_reward, follower_reward and transition",
        "A game file holds the arrays of a game under the names that `StackelbergGame` gives them. Pickled objects are not read.",
    ),
    # methods
    "temperature": ErrorCode(
        "a temperature must be a positive finite number; got {got}",
        "temperature > 0; for unregularised responses use Exact",
        "The softmax response divides by the temperature.",
    ),
    "setting": ErrorCode(
        "`{name}` must be {law}; got {got}",
        "see the docstring of the method",
        "A setting outside its range would silently change the algorithm.",
    ),
    # bilevel programs
    "bilevel-shape": ErrorCode(
        "{array} must be {wanted}; got {got}",
        "symbols are the variables followed by the multipliers that the leader uses",
        "Every array of a bilevel program is held to the number of its variables and rows, so that nothing is broadcast by accident.",
    ),
    "bilevel-data": ErrorCode(
        "a bilevel program needs {law}",
        "see the docstring of BilevelProgram",
        "NaN compares false with everything and an infinite coefficient makes a row meaningless; both are refused where they enter.",
    ),
    "bilevel-names": ErrorCode(
        "names of {what} must be distinct",
        "rename one of them",
        "Names stand in certificates, errors and files; two equal ones would be ambiguous.",
    ),
    "bilevel-bounds": ErrorCode(
        "a lower bound must not exceed the upper bound",
        "exchange them; an infinite bound is -inf below and inf above",
        "Crossed bounds make a program infeasible by a slip of the pen; a follower with crossed bounds never answers.",
    ),
    "variable-owner": ErrorCode(
        "every variable is decided by the leader or by exactly one follower, and every follower decides something",
        "owner is -1 for the leader and k for follower k",
        "Who decides what is what makes a program bilevel; a variable owned by nobody has no optimality condition.",
    ),
    "multiplier-place": ErrorCode(
        "a multiplier belongs to a row or a variable of a follower, and only the leader may use it",
        "use dual(constraint) in the leader's objective and rows",
        "A multiplier is the derivative of a follower's optimal value; inside the follower's own program it would define itself.",
    ),
    "unknown-variable": ErrorCode(
        "{program!r} has no variable {name!r}",
        "use a name from the list, or a variable of the model it was made from",
        "Solutions are looked up by the names and objects that the user wrote.",
    ),
    # reformulations of bilevel programs
    "big-m-unproven": ErrorCode(
        "{what} of `{row}` has no finite bound that is proved",
        "so.Exact() needs none",
        "A big-M that is too small cuts off optima without a sign, and one that is too large lets points through that are not optimal for "
        "the follower. So a constant is used only with a proof, or as a declared condition of the answer.",
    ),
    "strong-duality-form": ErrorCode(
        "strong duality is exact where others' variables are absent from the follower's right-hand sides, or are whole numbers in finite bounds",
        "so.Exact(), or so.Sos1() through a solver with SOS1 sets",
        "The dual objective multiplies multipliers by the right-hand sides. With a continuous variable there, the product is not convex "
        "and its linear relaxation is another problem.",
    ),
    "solver-features": ErrorCode(
        "{solver} does not take {what}",
        "a solver that does, or so.Exact()",
        "A reformulation is handed to a solver only if the solver states it exactly; nothing is replaced by constants in silence.",
    ),
    "no-solver": ErrorCode(
        "there is no solver {solver!r} on this machine",
        'solver="highs" or "scip", or install the solver: Pyomo finds executables on the PATH',
        "Solvers driven by Pyomo are found when they are asked for.",
    ),
    "not-a-response": ErrorCode(
        "a point stands in a reformulation only if every follower's answer in it is optimal",
        "certify(point) says which follower has a better answer",
        "Reformulations hold multipliers of each follower; they exist for optimal answers only.",
    ),
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
    # refusals
    "observation-fixed-point": ErrorCode(
        "a fixed point needs a leader that sees the state: with `leader_observes` the leader's best response is a POMDP",
        'use concept="commitment", or drop `leader_observes`',
        "When the leader's policy must be constant on classes of states, its best response to a fixed follower is the "
        "solution of a partially observed problem: stationary policies need not be optimal, and Bellman equations on "
        "the observations alone are wrong. Commitment only asks for the best policy of the class and stays well defined.",
    ),
    "leader-moves-state": ErrorCode(
        "this search over randomised leader policies needs transitions that do not depend on the leader's action",
        'Exact() on dense arrays searches by branch and bound; or Exact(leader="deterministic"), Exact(leader="net", grid=4)',
        "When the leader's action moves the state, the follower's optimality conditions multiply two unknowns. Pure "
        "leader policies and nets of mixed actions remain mixed-integer linear (theory D1, D4); all policies need branch and "
        "bound over occupancy measures (D8), which Exact does for dense games of a few states.",
    ),
    "too-large": ErrorCode(
        "{what}",
        "SoftmaxPolicyIteration scales; Exact is for small instances",
        "Exact methods build a mixed-integer program or enumerate policies; past a size this would only exhaust memory.",
    ),
    "units": ErrorCode(
        "rewards must differ by at least {smallest}, or not at all, to be solved exactly",
        "multiply the rewards: other units, the same game",
        "Solvers, ties and certificates work to absolute tolerances for values of about one. In units so large that all "
        "rewards are tiny, a wrong answer would pass for optimal.",
    ),
    "kkt-form": ErrorCode(
        "optimality conditions do not stand for the followers: {why}",
        "so.Exact() picks a method that fits; so.Scip() solves nonconvex followers globally where pyscipopt is installed",
        "Stationarity, signs and complementarity are equivalent to optimality for linear and convex quadratic followers with "
        "linear rows. Elsewhere they are at best necessary, and a solution of them need not be a reaction of the follower.",
    ),
    "needs-scip": ErrorCode(
        "this program is not convex and needs the global solver SCIP ({what})",
        'pip install "stackopt[scip]"',
        "Nonconvex followers, quadratic constraints and nonconvex leaders are solved by SCIP's global search where pyscipopt is "
        "installed; without it they are refused, because a local optimum would not be an answer.",
    ),
    "not-enumerable": ErrorCode(
        "{method} solves a bilevel program case by case; here that leaves more than one ordinary program",
        "so.Exact() says which search fits",
        "With the tight rows of every follower fixed, or all integer variables, what is left must be a linear or convex program. "
        "Products of unknowns and continuous variables seen by integer followers are not.",
    ),
    "pessimistic": ErrorCode(
        "no exact search takes ties against the leader here: {why}",
        'ties="optimistic" has an exact search; solution.certificate shows what ties would cost there',
        "A pessimistic program becomes an optimistic one with an adversary in place of the follower. That needs a follower whose "
        "rows and objective do not multiply its variables by others'; otherwise its optimal responses jump and the optimum need "
        "not be attained.",
    ),
    "integer-follower": ErrorCode(
        "the searches for integer followers do not cover this program: {why}",
        "linear levels and optimistic ties; followers that see nothing of each other",
        "They cover linear programs, optimistic ties, and followers that are independent of each other.",
    ),
    "continuous-linking": ErrorCode(
        "an integer follower sees the continuous variable `{variable}`, and {why}",
        "make what the follower sees integer (in small steps, if need be)",
        "The optimal value of an integer follower jumps as a continuous variable moves, so the leader may come as close as it "
        "likes to a value that no decision attains. Where the follower is small the infimum is still proved, and shown by "
        "decisions that approach it; elsewhere the program is refused, because a rounded answer would not be one.",
    ),
    "single-game": ErrorCode(
        "{method} solves one game at a time; this is a batch of shape {batch}",
        "solve(game[i], method) for each i, or SoftmaxPolicyIteration, which batches",
        "A mixed-integer program per element has nothing to share.",
    ),
    "wrong-problem": ErrorCode(
        "{method} does not solve a {problem}",
        "see `stackopt models` for what each method solves",
        "A method says which types of problems it solves and refuses the others, instead of failing somewhere inside.",
    ),
    # results
    "not-certified": ErrorCode(
        "the solution is not certified: {status}",
        "print(solution.certificate) shows each check; a LIMIT may need more time or iterations",
        "`require()` returns the candidate only if the problem certified it. A limit reached is not success.",
    ),
    "model": ErrorCode(
        "there is no model called {name!r}",
        "`stackopt models` lists them",
        "Models are found by name in the catalogue that ships with the package.",
    ),
    "case": ErrorCode(
        "there is no recorded bilevel program called {name!r}",
        "stackopt.catalog.cases() lists them",
        "Recorded programs are found by name in the data that ship with the package.",
    ),
    "model-parameter": ErrorCode(
        "{name!r} is not a parameter of model {model!r}",
        "`stackopt models NAME` lists the parameters",
        "Models are functions of keyword parameters; `--set name=value` passes one.",
    ),
    "model-value": ErrorCode(
        "`{name}` of model {model!r} must be {law}; got {got}",
        "`stackopt models NAME` lists the parameters with their defaults",
        "A parameter of a model has the kind of its default and the range that the model's docstring gives; anything else "
        "would build another game than the one named.",
    ),
    "model-file": ErrorCode(
        "the model file {path} cannot be loaded",
        "a model file has a docstring, `build(**parameters)` with defaults and a return annotation, and `KNOWN`",
        "Models are found by being there; a file in the folder that is not a model is named, never skipped in silence.",
    ),
    "store": ErrorCode(
        "the store {path} cannot be {verb}",
        "choose another folder, or remove the file named above",
        "A store holds one immutable file per finished cell. A file that cannot be read is named, never skipped in silence.",
    ),
    "output": ErrorCode(
        "the output {path} cannot be written",
        "choose a folder that exists or can be created, and that you may write to",
        "Outputs are written to a temporary file and renamed, so nothing half-written is left behind.",
    ),
    "package": ErrorCode(
        "{feature} needs the package {package}",
        'pip install "{package}"',
        "Plots, reports and data frames use optional packages, imported only where they are used.",
    ),
    "plot": ErrorCode(
        "a response curve needs {law}",
        "see `stackopt.plot.response_figure`",
        "A response curve shows what each follower answers on its own while one leader variable moves.",
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
    "program": ErrorCode(
        "a mixed-integer program needs {law}",
        "see the docstring of Milp",
        "Malformed programs are refused before any solver sees them.",
    ),
}
