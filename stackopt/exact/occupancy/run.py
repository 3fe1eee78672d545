"""`Exact` and `Scip` for a randomised leader whose action moves the state: which games fit, and what was found as a `Run`."""

from __future__ import annotations

import time

import numpy as np

from stackopt.backends import scip
from stackopt.certificate import Bound
from stackopt.exact.commitment import CommitmentValue
from stackopt.exact.guarded import Outcome, Worth
from stackopt.exact.known_policies import local_search
from stackopt.exact.occupancy.by_scip import ask_scip
from stackopt.exact.occupancy.polish import polished
from stackopt.exact.occupancy.search import OccupancySearch
from stackopt.exact.searched import Concept, searched
from stackopt.games.operators import Array
from stackopt.games.profile import Profile
from stackopt.games.stackelberg import StackelbergGame
from stackopt.reformulations.formulation import choices_of
from stackopt.solution import STRONG_VALUE, Refusal, Report, Run, Status

#: Relaxations with more columns than this are refused: a single one would take minutes.
COLUMNS = 20_000
#: Shares of the time of the search before SCIP is asked, and of SCIP; the search has the rest.
FIRST, SECOND = 1 / 6, 1 / 3


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
    r"""Search over all randomised policies; where the gap stays open and SCIP is installed, SCIP searches too, and the smaller bound counts.

    The weak value is at most the strong one, so the strong bound serves both. For the weak concept the best policy found is
    polished again so that every other response loses by `margin`: its response is then the only one within the margin, and its weak
    value is its strong value. What the margin costs is left in the gap, so the weak search usually ends as an interval.
    """
    begun = time.perf_counter()
    known = local_search(game.observations, np.eye(game.shape[1]), CommitmentValue(game, "strong"), seed)

    def left() -> float:
        return max(time_limit - (time.perf_counter() - begun), 0.0)

    search = OccupancySearch(game, known=known[-3:], time_limit=left(), report=report)
    search.advance(FIRST * left() if scip.available() else left())
    found, remark, nodes = search.outcome(), "", 0
    if found.status is not Status.OPTIMAL and scip.available() and left() > 0:
        said = ask_scip(search, time_limit=SECOND * time_limit, seed=seed)
        search.tell(said.bound)
        nodes, remark = said.nodes, f"; {'fault: ' if said.fault else ''}{said.because}"
        search.advance(left())
        found = search.outcome()
    stats = {**found.stats, "scip_nodes": nodes} if nodes else found.stats
    best, status, because = found.best, found.status, found.because + remark
    if concept == "weak" and best is not None:
        best, because = _with_margin(game, found, known, margin)
        gap = found.bound - best.value
        status = Status.OPTIMAL if gap <= 5e-7 * max(1.0, abs(best.value)) else Status.LIMIT
    return _run(status, best, found.bound, concept, margin, stats, because)


def run_scip(game: StackelbergGame, *, time_limit: float, seed: int, report: Report | None) -> Run[Profile]:
    """SCIP alone over all randomised policies, the strong concept.

    OPTIMAL only if a policy is evaluated at SCIP's bound; LIMIT with the interval; FAILED if SCIP contradicts what a policy attains.
    """
    begun = time.perf_counter()
    known = local_search(game.observations, np.eye(game.shape[1]), CommitmentValue(game, "strong"), seed)
    search = OccupancySearch(game, known=known[-3:], time_limit=time_limit, report=report)
    said = ask_scip(search, time_limit=max(time_limit - (time.perf_counter() - begun), 0.0), seed=seed)
    search.tell(said.bound)
    attained = search.attained()
    stats: dict[str, float | int | str] = {"nodes": said.nodes, "formulation": "occupancy measures"}
    if said.fault:
        return _run(Status.FAILED, search.best, np.inf, "strong", 0.0, stats, f"solver fault: {said.because}")
    gap = (search.bound - attained) / max(1.0, abs(attained))
    closed = gap <= search.gap
    because = f"gap {gap:.2g}{' <=' if closed else ' >'} {search.gap:.2g}: {said.because}"
    return _run(Status.OPTIMAL if closed else Status.LIMIT, search.best, search.bound, "strong", 0.0, stats, because)


def _run(status: Status, best: Worth | None, bound: float, concept: Concept, margin: float, stats: dict[str, float | int | str], because: str) -> Run[Profile]:
    proved = Bound(bound, STRONG_VALUE if concept == "strong" else searched(concept, "randomised", 1, margin), "D8") if np.isfinite(bound) else None
    profile = None
    if best is not None:
        profile = Profile(best.policy, best.response, concept=concept, margin=margin if concept == "weak" else 0.0, claim=best.value)
    return Run(status, profile, proved, stats, because)


def _with_margin(game: StackelbergGame, found: Outcome, known: list[Array], margin: float) -> tuple[Worth, str]:
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
