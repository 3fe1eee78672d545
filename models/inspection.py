"""Inspection: few inspections, many occasions to violate.

A season has `periods` periods and the inspector (leader) has `inspections` inspections for it. In each period the inspectee
(follower) complies or violates; a violation, caught or not, ends the season and a new one starts. The state is (periods left,
inspections left); inspecting uses up an inspection, so the leader's action moves the state, and the exact optimum over
randomised policies is not a mixed-integer linear program: deterministic policies and nets of mixed ones are (theory D1).

    rewards (leader, follower)      comply              violate
    inspect                         -cost, 0            -caught_loss - cost, -fine
    do not inspect                  0, 0                -1, 1

Without inspections left "inspect" acts as "do not". Violations are not undone by being caught (0 < caught_loss < 1).

For two periods and one inspection the best commitment has a closed form. With p the probability to inspect in the first
period and q in the second if the inspection is still there, deterring in both needs

    q >= 1 / (1 + fine),     p >= 1 / (1 + fine + discount / (1 + discount)),

and pays, with equality in both and from the first period,

    -(cost * p + discount * (p + (1 - p) * cost * q)) / (1 - discount ** 2):

a spent inspection is a violation in the next period.

Source: the recursive inspection game of M. Dresher, A sampling inspection problem in arms control agreements (RAND, 1962),
with leadership as in M. Maschler, Naval Research Logistics Quarterly 13 (1966); not zero-sum as in B. von Stengel, Recursive
inspection games (1991, 2016), from memory. Seasons without end, the discount and the cost of inspecting are added here.
"""

from __future__ import annotations

from typing import NamedTuple

from stackopt import StackelbergGame
from stackopt.catalog import require


class State(NamedTuple):
    """What is left of the season."""

    periods: int
    inspections: int

    def __str__(self) -> str:
        return f"{self.periods} left, {self.inspections} to inspect"


#: Of the default parameters. The weak value is approached by inspecting a little more often, not attained; `weak_at_best` is what
#: the best policy is worth if ties go against the inspector. The fixed point is the mixed equilibrium in which both are indifferent
#: in the first and in the second period: it has the *same* inspection probabilities, and no inspector who anticipates the response.
KNOWN: dict[str, object] = {
    "strong": -2.6226203807,
    "weak": -2.6226203807,
    "weak_at_best": -7.7765957447,
    "fixed_point": -5.2073490814,
    "strong_net_4": -3.1315789474,
    "weak_net_4": -3.25,
    "strong_deterministic": -5.7894736842,
    "tolerance": 1e-6,
    "reference": "closed form above; enumeration of all net policies; the indifference equations solved numerically",
}


def build(
    *,
    periods: int = 2,
    inspections: int = 1,
    fine: float = 1.0,
    caught_loss: float = 0.25,
    cost: float = 0.2,
    discount: float = 0.9,
) -> StackelbergGame:
    """The inspection game.

    Parameters
    ----------
    periods, inspections : int
        Of a season, at most 12 periods; 0 <= inspections <= periods.
    fine : float
        What the inspectee loses when caught, in gains from an undetected violation; positive.
    caught_loss : float
        What the inspector loses by a violation that it catches, in losses from one that it misses; in [0, 1].
    cost : float
        Of an inspection; non-negative, in the inspector's units.
    discount : float
        Of both players, in [0, 1).
    """
    require("inspection", "periods", periods, 1 <= periods <= 12, "from 1 to 12")
    require("inspection", "inspections", inspections, 0 <= inspections <= periods, f"from 0 to {periods} (periods)")
    require("inspection", "fine", fine, fine > 0, "positive")
    require("inspection", "caught_loss", caught_loss, 0 <= caught_loss <= 1, "in [0, 1]")
    require("inspection", "cost", cost, cost >= 0, "non-negative")
    start = State(periods, inspections)
    states = [State(n, m) for n in range(periods, 0, -1) for m in range(inspections, -1, -1) if inspections - m <= periods - n]

    def inspected(state: State, action: str) -> bool:
        return action == "inspect" and state.inspections > 0

    def transition(state: State, action: str, response: str) -> list[tuple[State, float]]:
        n, m = state
        return [(start if response == "violate" or n == 1 else State(n - 1, m - inspected(state, action)), 1.0)]

    def leader_reward(state: State, action: str, response: str) -> float:
        caught = inspected(state, action)
        return 0.0 - cost * caught - (response == "violate") * (caught_loss if caught else 1.0)

    def follower_reward(state: State, action: str, response: str) -> float:
        return (response == "violate") * (-fine if inspected(state, action) else 1.0)

    return StackelbergGame.from_functions(
        states=states,
        leader_actions=("inspect", "do not"),
        follower_actions=("comply", "violate"),
        transition=transition,
        leader_reward=leader_reward,
        follower_reward=follower_reward,
        initial=lambda state: float(state == start),
        discount=discount,
        name="inspection",
    )
