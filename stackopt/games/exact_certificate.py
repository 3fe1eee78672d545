"""The certificate in exact arithmetic: ties, best responses and values decided in rationals on small games.

What is certified is the candidate as given: a policy found in floating point that plays a tie at one third does not tie
exactly, because one third is no float. Then the leader's policy rounded to simple fractions is examined as well and what it
is worth is noted. Policies may hold `fractions.Fraction` (arrays of objects) and are then taken as they are. Larger games
get a rounding margin instead, see `rounding_margin`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from stackopt.certificate import Certificate, Check
from stackopt.display import number
from stackopt.errors import InvalidGame
from stackopt.games.certify import certify, policies
from stackopt.games.profile import Profile
from stackopt.games.rational import Process, Row, distribution, mixed, simplest
from stackopt.games.responses import commitment
from stackopt.games.rounding_margin import margin_notes
from stackopt.games.stackelberg import StackelbergGame

#: Rational arithmetic up to this many states ...
STATES = 30
#: ... and this many entries of a dense transition array: seconds at the most.
ENTRIES = 20_000
#: Ties and near-ties listed.
LISTED = 8
#: A gap below this, relative to the follower's values, is a near-tie worth a note.
NEAR = 1e-6


@dataclass(frozen=True, eq=False)
class ExactCommitment:
    """What a leader policy is worth, in rationals.

    Attributes
    ----------
    strong, weak, follower : Fraction
        The leader's value, ties for / against it, and the follower's, from the initial distribution.
    best : list [S]
        The follower's optimal values.
    gaps : list [S] of lists [B]
        Its action gaps; zero is a tie.
    process : Process
        The follower's.
    """

    strong: Fraction
    weak: Fraction
    follower: Fraction
    best: Row
    gaps: list[Row]
    process: Process

    @property
    def ties(self) -> list[list[int]]:
        """The best responses of every state."""
        return [[b for b, gap in enumerate(row) if gap == 0] for row in self.gaps]


def why_not_exact(game: StackelbergGame) -> str:
    """Why a game is not examined in rationals, with the figure; empty if it is."""
    S, A, B = game.shape
    if S > STATES:
        return f"{S} states, more than {STATES}"
    return f"{S * A * B * S} entries of the transitions, more than {ENTRIES}" if S * A * B * S > ENTRIES else ""


def exact_commitment(game: StackelbergGame, leader_policy: Sequence[Row], start: Sequence[int] | None = None) -> ExactCommitment:
    """S_0(x) and W_0(x) by three policy iterations in rationals  [A1].

    Parameters
    ----------
    game : StackelbergGame
        A single game for which `why_not_exact` gives no reason.
    leader_policy : rows [A] of Fractions, each with sum 1
    start : actions of the follower [S], optional
        Nearly best ones save work.
    """
    S, A, B = game.shape
    transition = game.transition.toarray().reshape(S, A, B, S) if game.sparse else game.transition
    follower = mixed(game.follower_reward, transition, leader_policy, game.follower_discount, axis=1)
    leader = mixed(game.leader_reward, transition, leader_policy, game.leader_discount, axis=1)
    value, q = follower.optimum(start or [0] * S, [range(B)] * S)
    gaps = [[v - one for one in row] for v, row in zip(value, q)]
    ties = [[b for b, gap in enumerate(row) if gap == 0] for row in gaps]
    first = [row[0] for row in ties]
    initial = distribution(game.initial)
    strong, weak = (_at(initial, leader.optimum(first, ties, minimise=least)[0]) for least in (False, True))
    return ExactCommitment(strong, weak, _at(initial, value), value, gaps, follower)


def certify_exactly(game: StackelbergGame, profile: Profile) -> Certificate:
    """The certificate of `certify` with what does not depend on a softmax decided in rationals.

    Returns
    -------
    Certificate
        Small games: values ``strong``, ``weak``, ``own_follower``, ``follower``, ``follower_regret`` and ``leader_regret`` are
        exact values, rounded once; the Fractions themselves are ``exact_strong``, ``exact_weak`` and so on. A player that is
        said to play a best response must lose nothing at all. Notes list the
        exact ties and the near-ties that are none. Larger games: the certificate in floating point with a note on why, and
        on what the rounding margin decides.

    Raises
    ------
    InvalidGame
        For a batch: certify ``game[i]``.
    InvalidCandidate
        If the policies do not fit the game.
    """
    if game.batch:
        raise InvalidGame("batch", what="exact certificates are of a single game and its candidate")
    plain = replace(profile, leader_policy=_floats(profile.leader_policy), follower_policy=_floats(profile.follower_policy))
    found = certify(game, plain)
    if not found.values:  # not a policy pair
        return found
    reason = why_not_exact(game)
    if reason:
        return replace(found, notes=(*found.notes, f"not decided in rationals: {reason}", *margin_notes(game, policies(game, plain)[0])))
    x, y = ([distribution(row) for row in policy] for policy in (profile.leader_policy, profile.follower_policy))
    nearly = commitment(game, plain.leader_policy)
    exact = exact_commitment(game, x, [int(row.argmin()) for row in nearly.gaps])
    S, A, B = game.shape
    transition = game.transition.toarray().reshape(S, A, B, S) if game.sparse else game.transition
    loss = max(best - attained for best, attained in zip(exact.best, exact.process.value(y)))
    leader = mixed(game.leader_reward, transition, y, game.leader_discount, axis=2)
    own_value = leader.value(x)
    most, _ = leader.optimum([max(range(A), key=row.__getitem__) for row in leader.action_values(own_value)], [range(A)] * S)
    leader_loss = max(best - attained for best, attained in zip(most, own_value))
    fractions = {
        "strong": exact.strong, "weak": exact.weak, "follower": exact.follower,
        "own_follower": _at(distribution(game.initial), own_value), "follower_regret": loss, "leader_regret": leader_loss,
    }  # fmt: skip
    values = {**found.values, **{name: float(v) for name, v in fractions.items()}, **{f"exact_{name}": v for name, v in fractions.items()}}
    checks = tuple(_decided(check, profile, values) for check in found.checks)
    notes = [note for note in found.notes if not note.startswith("near-tie")]
    notes += [f"decided in rationals: strong {_written(exact.strong)}, weak {_written(exact.weak)}, follower {_written(exact.follower)}"]
    notes += _ties(game, exact)
    if any(list(np.flatnonzero(tied)) != row for tied, row in zip(nearly.ties, exact.ties)):
        notes += _rounded(game, profile, exact)
    return replace(found, checks=checks, values=values, notes=tuple(notes))


def _decided(check: Check, profile: Profile, values: dict[str, Any]) -> Check:
    """A check of the certificate in floats as rationals decide it; those of soft responses stay what they are."""
    if check.name == "best responses are solved":
        return replace(check, residual=0.0, because="policy iteration in rationals, until no action improves at all")
    if check.name in ("follower optimal", "leader optimal"):
        loss = values[f"{check.name.split()[0]}_regret"]
        return replace(check, residual=loss, tolerance=0.0, because="exact largest loss over states against its best response")
    if check.name == "value restated" and profile.claim is not None and not profile.margin:
        soft = profile.concept in ("commitment", "fixed_point")
        value = values["own_follower" if soft else profile.concept]
        because = f"{number(profile.claim, 9)} claimed, {number(value, 9)} in rationals"
        return replace(check, residual=abs(float(profile.claim) - value), because=because)
    return check


def _ties(game: StackelbergGame, exact: ExactCommitment) -> list[str]:
    """Notes on exact ties, and on near-ties that are none."""
    _, _, B = game.shape
    names = game.follower_actions or tuple(str(b) for b in range(B))
    states = game.states or tuple(f"state {s}" for s in range(game.shape[0]))
    tied = [f"{states[s]}: {', '.join(names[b] for b in row)}" for s, row in enumerate(exact.ties) if len(row) > 1]
    scale = NEAR * (1 + max(abs(v) for v in exact.best))
    near = [
        f"{states[s]}: {names[b]} is {float(gap):.3g} worse"
        for s, row in enumerate(exact.gaps) for b, gap in enumerate(row) if 0 < gap <= scale
    ]  # fmt: skip
    notes = [f"exact ties at {_listed(tied)}" if tied else "no exact ties: the best response is unique"]
    return notes + ([f"near-ties that are none at {_listed(near)}"] if near else [])


def _rounded(game: StackelbergGame, profile: Profile, exact: ExactCommitment) -> list[str]:
    """A note on the leader's policy in simple fractions, where floats cannot hold the tie it plays."""
    simple = [simplest(row) for row in profile.leader_policy]
    if [distribution(row) for row in profile.leader_policy] == simple:
        return []
    nearby = exact_commitment(game, simple, [row[0] for row in exact.ties])
    if nearby.ties == exact.ties:
        return []
    rows = "; ".join("(" + ", ".join(str(v) for v in row) + ")" for row in simple[:LISTED])
    return [f"rounded to {rows}{'; ...' if len(simple) > LISTED else ''} the leader's policy is worth {_written(nearby.strong)} strong, "
            f"{_written(nearby.weak)} weak, with {_ties(game, nearby)[0]}"]  # fmt: skip


def _listed(items: list[str]) -> str:
    return "; ".join(items[:LISTED]) + (f"; and {len(items) - LISTED} more" if len(items) > LISTED else "")


def _written(value: Fraction) -> str:
    """A short fraction as it is, a long one by its nearest float."""
    return str(value) if len(str(value)) <= 20 else f"{float(value)!r}"


def _floats(policy: Any) -> Any:
    array = np.asarray(policy)
    return array.astype(float) if array.dtype == object else policy


def _at(initial: Row, value: Row) -> Fraction:
    return sum((p * v for p, v in zip(initial, value)), Fraction(0))
