r"""The relaxed strong commitment: the follower may lose up to a margin in every state, and does so for the leader  [D2, strong_epsilon].

.. math:: \max_{x,\,y\ \text{deterministic}}\ \rho^\top V_L^{x,y}\quad\text{s.t.}\quad V_F^{x,y}(s)\ge V_F^{x,*}(s)-\epsilon\ \ \forall s

What is returned is a *pair*: its follower's loss and its value are policy evaluations, so nothing of the solver is taken on trust. For a given x
the best y is not an MDP's (a loss in one state uses up what may be lost elsewhere), so a leader policy alone would not say its value.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from stackopt.backends.highs import solve_lp, solve_milp
from stackopt.certificate import Bound
from stackopt.display import number
from stackopt.exact.commitment import CommitmentValue, program_for
from stackopt.exact.guarded import AGREEMENT, Solver, Worth
from stackopt.exact.known_policies import local_search
from stackopt.exact.searched import Leader
from stackopt.games.dynamic_programming import optimal_value, policy_value
from stackopt.games.operators import Array, follower_mdp, one_hot
from stackopt.games.profile import Profile
from stackopt.games.responses import leader_value
from stackopt.games.stackelberg import StackelbergGame
from stackopt.reformulations.formulation import simplex_grid
from stackopt.solution import Progress, Report, Run, Status

#: How much more than the margin a follower may lose, relative to its values: a solver's accuracy, a tenth of what the certificate accepts.
ROUNDING = 1e-7


def run_relaxed(
    game: StackelbergGame, *, leader: Leader, grid: int, of: str, margin: float, time_limit: float, confirm: bool, seed: int,
    report: Report | None = None, solve: Solver = solve_milp,
) -> Run[Profile]:
    """Maximise over pairs; the game evaluates each.

    Parameters
    ----------
    game : StackelbergGame
        For a randomised leader: one whose leader does not move the state.
    leader, grid, margin, time_limit, confirm, seed, report
        As for `Exact`.
    of : str
        What the bound is a bound of.
    solve : callable
        The back end.

    Returns
    -------
    Run
        OPTIMAL only if a pair is evaluated at the bound; FAILED if two settings of the solver contradict what is attained.
    """
    deadline = time.perf_counter() + time_limit
    points = simplex_grid(game.shape[1], grid)
    program: Any = program_for(game, "relaxed", leader, points, margin)  # a Formulation
    best: Worth | None = None

    def offer(policy: Array, response: Array) -> None:
        """Keep a pair that is better, if the follower loses no more than the margin."""
        nonlocal best
        mdp = follower_mdp(game, policy)
        own = policy_value(mdp, response)
        loss = float((optimal_value(mdp).value - own).max())
        value = float(leader_value(game, policy, response))
        if loss <= margin + ROUNDING * (1.0 + float(np.abs(own).max())) and (best is None or value > best.value):
            best = Worth(policy, response, value)

    strong = CommitmentValue(game, "strong")
    for policy in local_search(game.observations, points, strong, seed):
        offer(policy, strong.worth(policy).response)
    assert best is not None  # a best response loses nothing
    faults, nodes, bound = list[str](), 0, np.inf
    for presolve in (False, True):
        left = deadline - time.perf_counter()
        if left <= 0:
            break
        if report:
            report(Progress("searching", len(faults)))
        found = solve(program.milp, time_limit=left, presolve=presolve, seed=seed)
        nodes += found.nodes
        if found.point is not None:
            response = one_hot(found.point[program.response].argmax(-1), game.shape[2])
            offer(program.lift(found.point), response)
            polished = solve_lp(program.polished(found.point, 0.0), time_limit=max(deadline - time.perf_counter(), 1.0))
            if polished.point is not None:
                offer(program.lift(polished.point), response)
        tolerance = AGREEMENT * max(1.0, abs(best.value))
        if found.status not in (Status.OPTIMAL, Status.LIMIT):
            faults.append(f"the solver says {found.status} ({found.because}) of a program that has a solution")
        elif found.bound < best.value - tolerance:
            faults.append(f"the bound {number(found.bound, 9)} is below {number(best.value, 9)}, which a pair attains")
        else:
            bound = min(bound, found.bound)
            if bound - best.value <= tolerance and not confirm:
                break
    profile = Profile(best.policy, best.response, concept="relaxed", margin=margin, claim=best.value)
    stats = {"nodes": nodes, "columns": len(program.milp.columns)}
    if faults and (len(faults) > 1 or not np.isfinite(bound)):
        return Run(Status.FAILED, profile, None, stats, "solver fault: " + "; then ".join(dict.fromkeys(faults)))
    if bound < best.value - AGREEMENT * max(1.0, abs(best.value)):
        said = f"solver fault: the bound {number(bound, 9)} is below {number(best.value, 9)}, which a pair attains"
        return Run(Status.FAILED, profile, None, stats, said)
    proved = Bound(max(bound, best.value), of, f"{program.tag}, D2") if np.isfinite(bound) else None
    gap = max(bound - best.value, 0.0)
    closed = gap <= AGREEMENT * max(1.0, abs(best.value))
    because = f"gap {gap:.2g} after {nodes} nodes" + (f"; one run was at fault: {faults[0]}" if faults else "")
    return Run(Status.OPTIMAL if closed else Status.LIMIT, profile, proved, stats, because if closed else f"time: {because}")
