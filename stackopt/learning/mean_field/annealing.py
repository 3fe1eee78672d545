r"""Hard equilibria of games too large for path following: soft equilibria of ever lower temperature, each begun where the last ended.

The exploitability of a soft equilibrium is at most :math:`\tau\log|B|` a stage [B6.2], so it falls with the temperature, and where equilibria grow
hard to find another method goes on from a good start. The verdict is on the true exploitability as everywhere.
"""

from __future__ import annotations

import time
from typing import Any

from stackopt.games.operators import Array
from stackopt.learning.mean_field.mirror_descent import span
from stackopt.learning.mean_field.search import Search
from stackopt.learning.mean_field.soft import SoftSearch

#: The first temperature, relative to the span of action values at uniform policies; by which factor it falls; and where rounding ends it.
HOT, FALL, COLDEST = 0.05, 2.5, 1e-7
#: On the largest L1 distance between a policy and its soft response: a rung is on the way, and its exploitability is measured.
ROUGH = 1e-3
#: Soft responses that a rung may take; beyond, equilibria are dearer than what they still gain.
RESPONSES = 40
#: Share of the time that is left.
SHARE = 0.7


def anneal(search: Search) -> str:
    """Lower the temperature until the exploitability is within the tolerance, an equilibrium is not found, or time is up; returns why it stopped."""
    search.stage = "annealing"
    followers = search.followers
    width = max(span(search.first.q), span(search.first.own_q))
    if not width > 0.0:
        return "all actions are worth the same"
    temperature = HOT * width
    deadline = time.monotonic() + SHARE * (search.time_limit - (time.monotonic() - search.started))
    y, mu = search.first.y, search.first.mean_field
    reached: Any = None
    while temperature >= COLDEST * width:
        left = deadline - time.monotonic()
        if left <= 0.0:
            return f"time, at temperature {temperature:.2g}"
        soft = SoftSearch(followers, ROUGH, left)
        point, why = soft.approach(temperature, y, mu)
        policy: Array = point.answer.policy
        found = search.offer(policy, point.mu)
        if search.over:
            return "solved" if search.solved else "time"
        if why:
            return f"{why} (after temperature {reached:.2g})" if reached is not None else why
        reached, y, mu = temperature, point.brought, found.mean_field
        if soft.responses > RESPONSES:
            return f"{soft.responses} responses at temperature {temperature:.2g}"
        temperature /= FALL
    return f"temperature {reached:.2g}, below which rounding decides"
