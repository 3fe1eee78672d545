"""Codes of mean-field games."""

from __future__ import annotations

from stackopt.codes.code import ErrorCode

CODES: dict[str, ErrorCode] = {
    "horizon": ErrorCode(
        "`horizon` needs {law}; got {got}",
        "Stationary(discount), Periodic(stages, discount) or Finite(stages, initial)",
        "When followers act decides what an equilibrium is: a law that repeats itself, or one that is followed from a beginning.",
    ),
    "leader-set": ErrorCode(
        "the leader's set needs {law}; got {got}",
        "Box(lower, upper), Simplex(size), Policies(states, actions) or Menu(points)",
        "The leader's decision is a vector out of a set that can be searched, sampled and projected on.",
    ),
    "mean-field-initial": ErrorCode(
        "`initial` must be a distribution over the S states, of all types [S] or of each [K, S]",
        "non-negative weights that sum to 1",
        "A finite horizon begins somewhere; the law of every later stage follows from it.",
    ),
    "types-weights": ErrorCode(
        "`weights` must be the K types' shares of the population; got {got}",
        "non-negative numbers [K] that sum to 1",
        "Statistics and the leader's value are averages over the population; shares that do not sum to 1 would scale them silently.",
    ),
    "sizes": ErrorCode(
        "the numbers of types, states and actions must be known: {got}",
        "sizes=(K, S, B)",
        "They are read from the arrays; where rewards and transitions are both callables there is nothing to read them from.",
    ),
    "callable-and-array": ErrorCode(
        "`{name}` is a callable or a kernel, which leaves no place for {rest}",
        "let the callable add these terms itself",
        "Affine terms belong to arrays. A callable gets the statistics and the leader's decision and returns everything.",
    ),
    "callable-finite": ErrorCode(
        "`{name}` returned a value that is not finite",
        "logarithms and quotients of masses need a floor: a state may be empty",
        "Mean fields reach the boundary of the simplex, and solvers evaluate there. One NaN would spread to every value.",
    ),
}
