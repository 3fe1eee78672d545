"""A policy pair and what its author claims about it: the candidate that a game certifies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from stackopt.games.operators import Array

Concept = Literal["strong", "weak", "relaxed", "commitment", "fixed_point"]
Response = Literal["best", "max-ent", "boltzmann"]


@dataclass(frozen=True, eq=False)
class Profile:
    """A leader policy and a follower policy, with the concept they are meant for.

    Attributes
    ----------
    leader_policy : array [..., S, A]
    follower_policy : array [..., S, B]
    concept : str
        ``"strong"`` / ``"weak"``: the leader commits, the follower best-responds, ties for / against the leader (A.2);
        ``"relaxed"``: the follower may lose up to `margin` against its best response in every state, and does so for the leader (D2);
        ``"commitment"``: the leader commits knowing a *soft* follower, the objective J_tau of A.4;
        ``"fixed_point"``: each policy is a (soft) best response to the other, held fixed (A.3).
    response : str
        The follower's model: ``"best"``, ``"max-ent"`` (soft-optimal of the regularised problem) or ``"boltzmann"``
        (softmax of the unregularised optimal Q). The last two are different models (A.4).
    temperature : float
        Of the follower; 0 for ``"best"``. Units of the follower's reward.
    leader_temperature : float
        Of the leader's own soft response (``"fixed_point"`` only); 0 otherwise.
    margin : float
        ``"weak"``: responses whose gap is below `margin` count as ties (theory D2); 0 for exact ties. ``"relaxed"``: what the follower may lose.
    claim : float or None
        The leader's value according to the method; certification compares it with its own.
    """

    leader_policy: Array
    follower_policy: Array
    concept: Concept = "strong"
    response: Response = "best"
    temperature: float = 0.0
    leader_temperature: float = 0.0
    margin: float = 0.0
    claim: Any = None

    @property
    def claimed(self) -> float:
        """The claim, or NaN when the method made none."""
        return math.nan if self.claim is None else float(self.claim)
