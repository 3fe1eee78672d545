"""Codes of methods, refusals, results and the catalogue."""

from __future__ import annotations

from stackopt.codes.code import ErrorCode

CODES: dict[str, ErrorCode] = {
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
    "oracle": ErrorCode(
        "an oracle must give {what}",
        "see `Observation` in stackopt.learning.oracles",
        "A learner that sees only behaviour has nothing but what the oracle says; days that are missing or not numbers would be "
        "learned from as if they had happened.",
    ),
    "not-learned": ErrorCode(
        "no policy was selected: {outcome}",
        "NONSTATIONARY: followers have to settle first, hold policies longer (patience=) or see more (observe='counts'); LIMIT: more days",
        "`Learned.require()` returns the policy only if followers settled every time and came back to what they did at first. A "
        "value measured on followers that still move says nothing about tomorrow.",
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
    "program": ErrorCode(
        "a mixed-integer program needs {law}",
        "see the docstring of Milp",
        "Malformed programs are refused before any solver sees them.",
    ),
}
