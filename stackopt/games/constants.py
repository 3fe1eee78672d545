"""The constants of both players, read off a game's tensors (theory B3); for a game too large, why not."""

from __future__ import annotations

import numpy as np

from stackopt.bounds.lipschitz import Constants, constants, of_opponent, work
from stackopt.games.operators import Array
from stackopt.games.stackelberg import StackelbergGame

#: Constants are computed up to this many multiplications (seconds) ...
WORK = 2e9
#: ... and up to this many entries of a dense transition array (8 bytes each).
ENTRIES = 20_000_000


def too_large(game: StackelbergGame) -> str:
    """Why the constants of `game` are not computed, with the figure; empty if they are."""
    S, A, B = game.shape
    entries = S * A * B * S
    if entries > ENTRIES:
        return f"dense transitions have {entries:.3g} entries, more than {ENTRIES:.3g}"
    needed = work(S, A, B)
    return f"comparing all rows of the transitions takes {needed:.2g} operations, more than {WORK:.2g}" if needed > WORK else ""


def follower_constants(game: StackelbergGame) -> Constants:
    """The follower's constants: its opponent is the leader.

    Raises
    ------
    ValueError
        If `too_large` gives a reason, or for a batch.
    """
    _refuse(game)
    return constants(_dense(game), game.follower_reward, game.follower_discount)


def leader_constants(game: StackelbergGame) -> Constants:
    """The leader's constants: its opponent is the follower. Also without a view of the full state: values do not know who sees what.

    Raises
    ------
    ValueError
        If `too_large` gives a reason, or for a batch.
    """
    return both_constants(game)[0]


def both_constants(game: StackelbergGame) -> tuple[Constants, Constants]:
    """(leader's, follower's), comparing the rows of the transitions once.

    Raises
    ------
    ValueError
        If `too_large` gives a reason, or for a batch.
    """
    follower = follower_constants(game)
    return of_opponent(follower, np.swapaxes(game.leader_reward, 1, 2), game.leader_discount), follower


def _refuse(game: StackelbergGame) -> None:
    reason = "a batch has constants game by game: game[i]" if game.batch else too_large(game)
    if reason:
        raise ValueError(reason)


def _dense(game: StackelbergGame) -> Array:
    S, A, B = game.shape
    dense: Array = game.transition.toarray().reshape(S, A, B, S) if game.sparse else game.transition
    return dense
