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
    "term": ErrorCode(
        "{term}: `{name}` must be {law}; got {got}",
        "a weight of 0 leaves the term out",
        "A ready-made term promises something about equilibria, such as that crowding repels; with other figures it would not hold.",
    ),
    "callable-finite": ErrorCode(
        "`{name}` returned a value that is not finite",
        "logarithms and quotients of masses need a floor: a state may be empty",
        "Mean fields reach the boundary of the simplex, and solvers evaluate there. One NaN would spread to every value.",
    ),
    "mean-field-arrays": ErrorCode(
        "exact searches need rewards as arrays, affine in the population's statistics and in theta",
        "so.MeanFieldEquilibrium() solves callables; exact: reward, reward_population, reward_leader, leader_reward",
        "Equilibria are restated as linear rows with binary columns. A callable says nothing about values it was not asked for.",
    ),
    "mean-field-kernel": ErrorCode(
        "exact searches need transitions that the population does not change",
        "so.MeanFieldEquilibrium() solves them, without a proof that there is no better equilibrium",
        "The law of a population multiplies masses with transitions. If these depend on the masses, the rows are bilinear and no "
        "mixed-integer linear program states them (theory D5).",
    ),
    "mean-field-menu": ErrorCode(
        "this search (concept {concept!r}) needs a finite menu of the leader's decisions",
        "leader=Menu(points), e.g. a grid over the set",
        "The worst equilibrium under a decision jumps as the decision moves, a fixed point compares finitely many rewards, and a "
        "callable objective is evaluated point by point.",
    ),
    "mean-field-products": ErrorCode(
        "the leader is paid in proportion to a decision that is not from a menu",
        "leader=Menu(points), where these products are exact; so.MeanFieldEquilibrium() with an ascent searches boxes without a bound",
        "A decision times a mass is a product of two unknowns. Times the binary choice of a point of a menu it is linear (theory D5).",
    ),
    "mean-field-size": ErrorCode(
        "this population is too large for an exact search",
        "so.MeanFieldEquilibrium() scales",
        "Exact searches write a binary column for every type, stage, state and action, or try every pattern of them.",
    ),
    "theta-needed": ErrorCode(
        "{method} finds the followers' equilibrium at a given decision of the leader, and here the leader has a choice",
        "theta=..., a member of the leader's set; or game.at(theta); or a method that searches for the leader",
        "Equilibria of followers and the leader's choice are two problems. A default decision would be a hidden answer to the second.",
    ),
    "theta-outside": ErrorCode(
        "theta must be a member of the leader's set: {leader}",
        "game.leader.project(theta) is the nearest member",
        "An equilibrium under a decision that the leader may not take answers another question.",
    ),
    "no-last-stage": ErrorCode(
        "Gauss-Seidel goes through the stages of a finite horizon; in this game the last stage is followed by the first",
        "so.MeanFieldEquilibrium() chooses what fits, so.MirrorDescent() and so.PathFollowing() solve cyclic games",
        "One stage after the other can only answer what earlier stages have made of the population if there is a first one.",
    ),
    "path-too-large": ErrorCode(
        "path following factorises Newton's equations, which are too large here",
        "so.MeanFieldEquilibrium() chooses what fits; so.MirrorDescent() needs no equations",
        "Condensed to the statistics the equations are dense, and their size is stages times statistics; sparse ones need a finite horizon.",
    ),
    "population-response": ErrorCode(
        "soft equilibria of populations are those of max-ent followers",
        'response="max-ent"',
        "Softmax of the unregularised Q is another model of followers (theory A.4); populations are certified for the max-ent one only.",
    ),
}
