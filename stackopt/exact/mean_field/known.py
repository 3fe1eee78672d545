"""Equilibria that cost next to nothing: averages of best answers, rounded to a support and solved for the rest.

They refute a solver that claims less, and are what a search that runs out of time returns if it found nothing better.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stackopt.exact.mean_field.value import is_equilibrium
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.dynamics import respond
from stackopt.games.mean_field.laws import law
from stackopt.games.mean_field.leaders import Menu
from stackopt.games.operators import Array
from stackopt.reformulations.mean_field_arrays import AffineFollowers, affine_followers
from stackopt.reformulations.mean_field_equilibrium import Masses
from stackopt.reformulations.mean_field_masses import as_population, refined

#: Rounds of averaging.
ROUNDS = 200
#: Decisions tried at most, spread over a menu.
DECISIONS = 5
#: Average masses up to these, in turn, are taken for what the average still remembers of its beginning.
FORGOTTEN = (3e-2, 1e-2, 3e-3, 1e-3)


def known_equilibria(followers: AffineFollowers) -> Iterator[Masses]:
    """Equilibria under the fixed decision, or under a few decisions of the leader's set, as masses."""
    game = followers.game
    if followers.theta is not None:
        decisions = [followers.theta]
    elif isinstance(game.leader, Menu):
        picks = np.unique(np.linspace(0, len(game.leader) - 1, DECISIONS).round().astype(int))
        decisions = list(game.leader.points[picks])
    else:
        decisions = [game.leader.center()]  # type: ignore[union-attr]
    for theta in decisions:
        found = _at(followers if followers.theta is not None else affine_followers(game, theta), theta)
        if found is not None:
            yield found


def _at(followers: AffineFollowers, theta: Array) -> Masses | None:
    """An equilibrium under one decision, if the support of averaged best answers is that of one."""
    game = followers.game
    policy = game.uniform()
    flow = operators.flow(law(game, policy, theta).mean_field, policy)
    start = None
    for n in range(1, ROUNDS + 1):
        answer = respond(game, game.aggregate(flow), theta, start=start)
        start = answer.value if game.cyclic else None
        best = np.eye(game.shape[-1])[answer.q.argmax(-1)]
        mass = law(game, best, theta, flow.sum(-1)).mean_field
        flow = flow + (operators.flow(mass, best) - flow) * 2.0 / (n + 2.0)  # late rounds weigh more: the beginning is forgotten sooner
    for least in FORGOTTEN:
        kept = np.where(flow > least, flow, 0.0)
        if not (kept.sum((2, 3)) > 0).all():
            continue
        kept = kept / kept.sum((2, 3), keepdims=True)
        masses = refined(followers, Masses(theta, kept, kept > 0))
        if is_equilibrium(game, as_population(followers, masses)):
            return masses
    return None
