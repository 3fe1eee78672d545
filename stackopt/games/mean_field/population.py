"""A population's behaviour under a leader's decision, and what its author claims about it: the candidate that a game certifies."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from stackopt.games.operators import Array

Concept = Literal["commitment", "fixed_point"]


@dataclass(frozen=True, eq=False)
class Population:
    """A leader's decision, how followers answer it, and where the population then is.

    Attributes
    ----------
    theta : array [D]
        The leader's decision.
    policy : array [K, T, S, B]
        Of each type at each stage.
    mean_field : array [K, T, S]
        Distribution of each type's states at each stage, before acting.
    temperature : float
        0: each type's policy is optimal in this population (an equilibrium); above 0: it is the max-ent soft response of
        this temperature, in units of the followers' reward.
    concept : str
        ``"commitment"``: the leader knows that the population re-equilibrates; ``"fixed_point"``: its decision is best against
        this population, held fixed (theory A.4).
    tolerance : float
        Equilibria: the exploitability that the author vouches for, relative to that of uniform policies. Soft equilibria: the
        largest L1 distance between a policy and the soft response.
    claim : float or None
        The leader's value according to the method.
    others : tuple of Population
        Further equilibria under the same decision that were found. Finding none proves nothing.
    suspected : str
        What suggests that there are more, e.g. turning points on the way; "" if nothing does, which proves nothing either.
    """

    theta: Array
    policy: Array
    mean_field: Array
    temperature: float = 0.0
    concept: Concept = "commitment"
    tolerance: float = 1e-6
    claim: Any = None
    others: tuple[Population, ...] = field(default=())
    suspected: str = ""

    @property
    def claimed(self) -> float:
        """The claim, or NaN when the method made none."""
        return math.nan if self.claim is None else float(self.claim)
