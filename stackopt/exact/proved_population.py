"""A proof for what `Exact` found of a mean-field game, and then another word for the status."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

from stackopt.exact.guarded import AGREEMENT
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.leaders import Menu
from stackopt.proof.mean_field import prove_mean_field
from stackopt.solution import Run, Status

#: With ``proof="auto"`` games of at most this many (k, t, s, b) and decisions get a proof ...
MASSES = 80
#: ... for which this many seconds, or as long as the search took, are spent at most.
SECONDS = 2.0


def proved_population(
    game: MeanFieldStackelbergGame, run: Run[Any], *, concept: str, proof: bool | str, seconds: float, time_limit: float
) -> Run[Any]:
    """`run` with a proof of the leader's value in its best equilibrium (weak: in the worst one of a single decision), if there is one in time.

    Parameters
    ----------
    game : MeanFieldStackelbergGame
    run : Run
    concept : str
        ``"strong"`` or ``"weak"``; nothing is proved of others.
    proof : bool or ``"auto"``
        Auto: small games whose search succeeded, for as long as the search took. True: any, for the whole time limit.
    seconds : float
        What the search took.
    time_limit : float
        Of the method.

    Returns
    -------
    Run
        PROVED if the checker accepted a proof whose value the candidate attains, as far as `AGREEMENT`.
    """
    one = isinstance(game.leader, Menu) and len(game.leader) == 1
    small = math.prod(game.shape) * (len(game.leader) if isinstance(game.leader, Menu) else 1) <= MASSES and run.status is Status.OPTIMAL
    if proof is False or run.candidate is None or not (concept == "strong" or (concept == "weak" and one)) or (proof == "auto" and not small):
        return run
    begun = time.perf_counter()
    limit = min(max(seconds, SECONDS), time_limit) if proof == "auto" else time_limit
    found = prove_mean_field(game, "best" if concept == "strong" else "worst", seconds=limit)
    stats = {**run.stats, "proof_seconds": time.perf_counter() - begun}
    if isinstance(found, str):
        return run if proof == "auto" and "time" not in found else dataclasses.replace(run, stats={**stats, "unproved": found})
    run = dataclasses.replace(run, stats={**stats, "proof_nodes": found.nodes, "proof_bytes": len(found.text)}, proof=found)
    tolerance = AGREEMENT * max(1.0, abs(float(found.lower)))
    claim = getattr(run.candidate, "claim", None) or 0.0  # nothing to gain: the proof is of existence
    if not abs(claim - float(found.lower)) <= tolerance or float(found.upper - found.lower) > tolerance:
        return run
    because = f"{run.because}; the checker accepts a proof with {found.nodes} node{'s' * (found.nodes != 1)}"
    bound = None if run.bound is None else dataclasses.replace(run.bound, value=float(found.upper))
    return dataclasses.replace(run, status=Status.PROVED, bound=bound, because=because)
