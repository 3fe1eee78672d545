"""What a search over a finite set of leader policies says about all of them: the bracket of theory D4, or a relaxation of B8."""

from __future__ import annotations

import time

import numpy as np

from stackopt.backends.highs import solve_milp
from stackopt.bounds import net
from stackopt.certificate import Bound
from stackopt.exact.guarded import AGREEMENT, Solver
from stackopt.games.certify import PROGRAM_TRIPLES
from stackopt.games.constants import follower_constants, leader_constants, too_large
from stackopt.games.operators import Array
from stackopt.games.relaxations import upper_bounds
from stackopt.games.stackelberg import StackelbergGame
from stackopt.reformulations.commitment_finite import strong_finite
from stackopt.reformulations.formulation import choices_of
from stackopt.solution import Status


def upper_bracket(game: StackelbergGame, points: Array, grid: int, attained: float, time_limit: float, seed: int = 0, solve: Solver = solve_milp) -> Bound:
    """The best upper bound on the strong commitment over *all* leader policies that a net gives  [D4, B8].

    Solves the net's program again with a follower that may lose what a move by the radius of the net can cost it. Where that
    allowance is too large to exclude anything, or no time is left, the best of U1, U2 and U3 is all there is.

    Parameters
    ----------
    game : StackelbergGame
    points : array [J, A]
        The net of mixed actions in multiples of ``1 / grid``.
    grid : int
    attained : float
        A leader value that is attained on the net; a relaxed optimum below it is a solver fault and gives no bound.
    time_limit : float
        Seconds.
    seed : int
    solve : callable
        The back end.
    """
    S, A, B = game.shape
    highest = min(upper_bounds(game, programs=S * A * B <= PROGRAM_TRIPLES), key=lambda bound: bound.value)
    if too_large(game):
        return highest
    distance = net.radius(game.shape[1], grid)
    leader = leader_constants(game)
    allowance = net.follower_loss(follower_constants(game), distance).value
    spread = float(np.ptp(game.follower_reward)) / (1.0 - game.follower_discount)
    if allowance >= spread or net.strong_value(attained, leader, distance).value >= highest.value:
        return highest  # any response is allowed, or the leader's own term alone exceeds the relaxation
    program = strong_finite(choices_of(game, points), allowance).milp
    deadline, relaxed = time.perf_counter() + time_limit, -np.inf
    for presolve in (False, True):  # the larger of two independent bounds: each alone may be too low by a fault
        result = solve(program, time_limit=deadline - time.perf_counter(), presolve=presolve, seed=seed)
        usable = result.status in (Status.OPTIMAL, Status.LIMIT) and result.bound >= attained - AGREEMENT * max(1.0, abs(attained))
        relaxed = max(relaxed, result.bound if usable else np.inf)
        if not np.isfinite(relaxed):
            return highest
    bound = net.strong_value(relaxed, leader, distance)
    return bound if bound.value < highest.value else highest
