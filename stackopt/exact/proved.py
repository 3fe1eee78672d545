"""A proof for what `Exact` found of a game: its own texts, its own checker, and then another word for the status."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

import numpy as np

from stackopt.certificate import Bound
from stackopt.exact.commitment import CommitmentValue
from stackopt.exact.guarded import AGREEMENT
from stackopt.exact.searched import Leader, searched
from stackopt.games.profile import Profile
from stackopt.games.stackelberg import StackelbergGame
from stackopt.proof.games import GameProof, prove_game
from stackopt.solution import Run, Status

#: With ``proof="auto"`` games of at most this many triples (s, a, b) get a proof ...
TRIPLES = 150
#: ... for which this many seconds, or as long as the search took, are spent at most.
SECONDS = 2.0

#: Where the lowerings of `check_games` are derived.
TAGS = {"stagewise": "P1", "randomised": "D3", "deterministic": "D1", "boxes": "D8"}


def proved(game: StackelbergGame, run: Run[Any], *, leader: Leader, proof: bool | str, seconds: float, time_limit: float) -> Run[Any]:
    """`run` with a proof of the strong value, if there is one within the time.

    Parameters
    ----------
    game : StackelbergGame
    run : Run
        Of a search for the strong value over `leader` policies.
    leader : str
    proof : bool or ``"auto"``
        Auto: small games whose search succeeded, for as long as the search took. True: any, for the whole time limit.
    seconds : float
        What the search took.
    time_limit : float
        Of the method.

    Returns
    -------
    Run
        PROVED if the checker accepted a proof whose value, known to `AGREEMENT`, the candidate attains. Else as it was, with the proof of
        what was proved, if anything, or in ``stats["unproved"]`` why there is none.
    """
    small = math.prod(game.shape) <= TRIPLES and run.status is Status.OPTIMAL
    if proof is False or leader == "net" or run.candidate is None or (proof == "auto" and not small):
        return run
    begun = time.perf_counter()
    limit = min(max(seconds, SECONDS), time_limit) if proof == "auto" else time_limit
    over = "deterministic" if leader == "deterministic" else "randomised"
    found = prove_game(game, over, response=run.candidate.follower_policy.argmax(-1), policy=run.candidate.leader_policy, seconds=limit)
    stats = {**run.stats, "proof_seconds": time.perf_counter() - begun}
    if isinstance(found, str):
        return dataclasses.replace(run, stats={**stats, "unproved": found})
    run = dataclasses.replace(run, stats={**stats, "proof_nodes": found.nodes, "proof_bytes": len(found.text)}, proof=found)
    lower, upper = float(found.lower), float(found.upper)
    tolerance = AGREEMENT * max(1.0, abs(lower))
    candidate = _attaining(game, run, found, lower, tolerance)
    if candidate is None or upper - lower > tolerance:
        return run
    bound = Bound(upper, searched("strong", leader, 1, 0.0), TAGS[found.kind] if run.bound is None else run.bound.reference)
    because = f"{run.because}; the checker accepts a proof with {found.nodes} node{'s' * (found.nodes != 1)}"
    return dataclasses.replace(run, status=Status.PROVED, candidate=candidate, bound=bound, because=because)


def _attaining(game: StackelbergGame, run: Run[Any], found: GameProof, lower: float, tolerance: float) -> Profile | None:
    """A candidate that the game evaluates at the proved value: the search's own, or the one in the proof."""
    assert run.candidate is not None
    if run.candidate.claim is not None and abs(float(run.candidate.claim) - lower) <= tolerance:
        own: Profile = run.candidate
        return own
    worth = CommitmentValue(game, "strong").worth(np.array([[float(v) for v in row] for row in found.policy]))
    return Profile(worth.policy, worth.response, claim=worth.value) if abs(worth.value - lower) <= tolerance else None
