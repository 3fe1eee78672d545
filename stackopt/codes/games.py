"""Codes of games and their candidates."""

from __future__ import annotations

from stackopt.codes.code import ErrorCode

CODES: dict[str, ErrorCode] = {
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
}
