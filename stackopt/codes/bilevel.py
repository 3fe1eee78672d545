"""Codes of bilevel programs and their reformulations."""

from __future__ import annotations

from stackopt.codes.code import ErrorCode

CODES: dict[str, ErrorCode] = {
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
    "proof-rejected": ErrorCode(
        "the proof does not prove anything about this problem",
        "solve again with so.Exact(proof=True); a proof belongs to one problem, number by number",
        "The checker reads the problem's JSON and the proof, follows every line in exact rational arithmetic, and stops at the first that "
        "does not hold. That a proof is rejected says nothing about the problem itself.",
    ),
    "vipr-form": ErrorCode(
        "a proof has a VIPR certificate if its system has no pairs, no products, and bounds on every column",
        "give the proof of a game over deterministic, randomised or stagewise policies, or of a mean-field game",
        "VIPR knows rows and integer variables. A complementarity would need a binary variable and a bound on its multiplier, and "
        "multipliers of followers have none; boxes of policies have rows of their own in each cell.",
    ),
}
