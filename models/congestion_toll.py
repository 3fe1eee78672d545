"""Congestion toll: a toll by the hour against a navigation service that thinks ahead.

The state is (hour of the morning, cars that queue at a bridge). In each hour the road authority (leader) charges a toll from a menu,
and a navigation service (follower) sends its users' cars, one unit an hour, over the bridge or by the detour. Another unit of cars
comes to the bridge by itself with the probability `others` of the hour; the bridge serves one unit an hour. After the last hour
the next morning begins with an empty bridge. In an hour with queue n:

    navigation   bridge: -toll - wait * n,                      detour: -detour
    authority    the same without the toll - others * wait_others * n + funds * toll, if paid

The toll is a transfer; `funds` is what a dollar of it is worth more to the public than to a driver. What the service sends to
the bridge queues before its own users an hour later, which it minds, and before the others, which it does not. The toll does
not move the state, so the best toll is a mixed-integer linear program (theory D3). A mixed toll is an average toll.

Why to commit: once the routes are given, a higher toll costs the authority nothing, and the only fixed point up to ties is the
highest toll in all hours, where the service takes the detour even when the bridge is empty. `sees_queue` says whether the toll
answers the queue or is a schedule by the clock, as on many roads. At the fixed point neither helps: the toll is the same.

With the default figures a free bridge is worth -19.73, the best toll -14.61, the best schedule by the clock -15.47, and the fixed point
-30.00: without commitment, a toll is worse than none.

A queue longer than `longest` is not counted: cars that come then go elsewhere.

Source: constructed here. Tolls that vary over time at a bottleneck are those of W. Vickrey, Congestion theory and transport
investment, American Economic Review 59 (1969), and of R. Arnott, A. de Palma and R. Lindsey, Economics of a bottleneck, Journal of
Urban Economics 27 (1990), from memory: there drivers are many and choose when to leave; here one service chooses a route, hours are
few, and all figures are made up.
"""

from __future__ import annotations

import numpy as np

from stackopt import StackelbergGame
from stackopt.catalog import require

#: Of the default parameters; `strong_by_the_clock` with ``sees_queue=False``; `no_toll` if the bridge is free.
KNOWN: dict[str, object] = {
    "strong": -14.6116605166,
    "weak": -14.6116605166,
    "fixed_point": -30.0,
    "strong_deterministic": -15.9474538745,
    "strong_by_the_clock": -15.4724723247,
    "no_toll": -19.7269372694,
    "tolerance": 1e-6,
    "reference": "one linear program for each pure response, here and with a margin that goes to 0; enumeration of tolls; two Markov decision problems",
}

#: Of a value: the discounted sum over hours, per unit of the service's users.
UNIT = "$"


def build(
    *,
    others: tuple[float, ...] = (0.3, 0.8, 0.5),
    menu: tuple[float, ...] = (0.0, 2.0, 4.0),
    longest: int = 2,
    wait: float = 2.0,
    wait_others: float = 6.0,
    detour: float = 3.0,
    funds: float = 0.2,
    first_hour: int = 7,
    sees_queue: bool = True,
    discount: float = 0.9,
) -> StackelbergGame:
    """The toll game.

    Parameters
    ----------
    others : tuple of float
        For each hour of the morning the probability that other cars come; in [0, 1].
    menu : tuple of float
        Tolls in $, different and non-negative.
    longest : int
        Queue in units of cars, 1 to 20.
    wait, wait_others : float
        Cost of an hour behind one unit of cars, to the service's users and to the others (buses and lorries among them), $ per
        unit; non-negative.
    detour : float
        Cost of the detour, $ per unit; non-negative.
    funds : float
        What a dollar of toll is worth more to the public than to a driver; non-negative.
    first_hour : int
        Only to name the hours, 0 to 23.
    sees_queue : bool
        Whether the toll may depend on the queue.
    discount : float
        Of both players and an hour, in [0, 1).
    """
    require("congestion_toll", "others", others, len(others) > 0 and all(0 <= p <= 1 for p in others), "one or more probabilities, in [0, 1]")
    require("congestion_toll", "menu", menu, len(menu) > 0 and len(set(menu)) == len(menu) and min(menu) >= 0, "one or more different, non-negative tolls")
    require("congestion_toll", "longest", longest, 1 <= longest <= 20, "from 1 to 20")
    for name, value in (("wait", wait), ("wait_others", wait_others), ("detour", detour), ("funds", funds)):
        require("congestion_toll", name, value, value >= 0, "non-negative")
    require("congestion_toll", "first_hour", first_hour, 0 <= first_hour <= 23, "from 0 to 23")
    states = [(hour, queue) for hour in range(len(others)) for queue in range(min(hour, longest) + 1)]  # a queue grows by one unit an hour
    index = {state: s for s, state in enumerate(states)}
    toll = np.asarray(menu)
    authority, navigation = np.zeros((2, len(states), len(menu), 2))
    transition = np.zeros((len(states), len(menu), 2, len(states)))
    for (hour, queue), s in index.items():
        for route, sent in enumerate((1, 0)):
            time = wait * queue if sent else detour
            navigation[s, :, route] = -toll * sent - time
            authority[s, :, route] = -time - others[hour] * wait_others * queue + funds * toll * sent
            for more, mass in ((1, others[hour]), (0, 1 - others[hour])):
                later = (hour + 1, min(max(queue + sent + more - 1, 0), longest))
                transition[s, :, route, index.get(later, 0)] += mass  # no later hour: the next morning
    names = [f"{(first_hour + hour) % 24}:00, {queue} waiting" for hour, queue in states]
    return StackelbergGame(
        authority,
        navigation,
        transition,
        discount=discount,
        initial=np.eye(len(states))[0],
        leader_observes=None if sees_queue else [hour for hour, _ in states],
        states=names,
        leader_actions=[f"{price:g} $" for price in menu],
        follower_actions=["bridge", "detour"],
        name="congestion_toll",
    )
