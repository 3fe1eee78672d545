"""`Exact` for a randomised leader whose action moves the state: which games fit, and what the search found as a `Run`."""

from __future__ import annotations

import time

import numpy as np

from stackopt.certificate import Bound
from stackopt.exact.commitment import CommitmentValue
from stackopt.exact.guarded import Outcome, Worth
from stackopt.exact.known_policies import local_search
from stackopt.exact.occupancy.polish import polished
from stackopt.exact.occupancy.search import occupancy_search
from stackopt.exact.searched import Concept, searched
from stackopt.games.profile import Profile
from stackopt.games.stackelberg import StackelbergGame
from stackopt.reformulations.formulation import choices_of
from stackopt.solution import Refusal, Report, Run, Status

#: Relaxations with more columns than this are refused: a single one would take minutes.
COLUMNS = 20_000


def refuses_occupancy(game: StackelbergGame) -> Refusal | None:
    """Why the search does not take a game, if it does not: its size."""
    S, A, B = game.shape
    columns = S * A * B + S * A * S
    if columns <= COLUMNS:
        return None
    what = f"{S} states x {A} leader actions x {B} follower actions need a relaxation of {columns} columns; the limit is {COLUMNS}"
    remedy = 'SoftmaxPolicyIteration scales; Exact(leader="deterministic") searches pure leader policies'
    return Refusal("too-large", remedy=remedy, law={"what": what})


def run_occupancy(
    game: StackelbergGame, *, concept: Concept, margin: float, time_limit: float, seed: int, report: Report | None
) -> Run[Profile]:
    r"""Search over all randomised policies.

    The weak value is at most the strong one, so the strong bound serves both. For the weak concept the best policy found is
    polished again so that every other response loses by `margin`: its response is then the only one within the margin, and its weak
    value is its strong value. What the margin costs is left in the gap, so the weak search usually ends as an interval.
    """
    begun = time.perf_counter()
    known = local_search(game.observations, np.eye(game.shape[1]), CommitmentValue(game, "strong"), seed)
    found = occupancy_search(game, known=known[-3:], time_limit=max(time_limit - (time.perf_counter() - begun), 0.0), report=report)
    best, status, because = found.best, found.status, found.because
    if concept == "weak" and best is not None:
        best, because = _with_margin(game, found, known, margin)
        gap = found.bound - best.value
        status = Status.OPTIMAL if gap <= 5e-7 * max(1.0, abs(best.value)) else Status.LIMIT
    bound = Bound(found.bound, searched(concept, "randomised", 1, margin), "D8") if np.isfinite(found.bound) else None
    profile = None
    if best is not None:
        profile = Profile(best.policy, best.response, concept=concept, margin=margin if concept == "weak" else 0.0, claim=best.value)
    return Run(status, profile, bound, found.stats, because)


def _with_margin(game: StackelbergGame, found: Outcome, known: list[np.ndarray], margin: float) -> tuple[Worth, str]:
    """The best policy whose response is the only one within the margin, among those near the strong optimum and the known ones."""
    assert found.best is not None
    weak = CommitmentValue(game, "weak", margin)
    choices = choices_of(game, np.eye(game.shape[1])).normalised()
    first = np.unique(game.observations, return_index=True)[1]
    tried = [found.best.policy, *known]
    safe = polished(choices, found.best.policy[first], found.best.response.argmax(1), margin=1.01 * margin / choices.follower_unit[0] + 1e-9)
    if safe is not None:
        tried.append(safe[game.observations])
    best = max((weak.worth(policy) for policy in tried), key=lambda worth: worth.value)
    said = f"{found.because}; against ties within the margin {best.value:.9g} is attained, at most {found.bound - best.value:.2g} below the strong value"
    return best, said
