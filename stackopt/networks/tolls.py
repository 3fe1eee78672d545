r"""Toll setting: the leader prices some arcs of a network, travellers take the cheapest route, the leader collects.

With fixed costs :math:`c_a \ge 0`, tolls :math:`T_a \ge 0` on the tolled arcs :math:`A_1` and demands :math:`n_k` from
:math:`s_k` to :math:`t_k`,

.. math::
    \max_{T}\ \sum_k \sum_{a \in A_1} T_a x^k_a, \qquad
    x^k \in \arg\min_{x \ge 0} \Bigl\{ \sum_a (c_a + T_a) x_a \;:\; Nx = n_k (e_{s_k} - e_{t_k}) \Bigr\},

N the node-arc matrix. Where routes cost the same, the traveller takes the one that pays the leader most (optimistic ties).

**Revenue without products.** :math:`T_a x_a` is bilinear. Let :math:`\lambda^k` be the multipliers of :math:`Nx = b`: the cost of
travelling on from each node, counted from the target, whose row is left out. At a best response the follower's program and
its dual have equal values (linear programming duality), so

.. math:: \sum_a (c_a + T_a) x^k_a = n_k \lambda^k_{s_k} \quad\Longrightarrow\quad
          \sum_{a \in A_1} T_a x^k_a = n_k \lambda^k_{s_k} - \sum_a c_a x^k_a .

Revenue is what travellers pay in all, less what the network takes: linear in symbols of the program, exactly, at every point
that the leader can reach. So the leader uses the multiplier of the source's row (``price[s to t]``) and no product.

**Tolls need no guessed cap.** Let :math:`\gamma_k` be the cost of k's cheapest route at the highest tolls (a toll-free route,
where tolls have no cap), :math:`\ell_{ka}` that of its cheapest route through arc a with all tolls zero, and
:math:`u_{ka} = (\gamma_k - \ell_{ka})^+`. At a toll above :math:`u_{ka}`, k does not use a. Lower every toll that is above
:math:`u_a = \max_k u_{ka}` to :math:`u_a`: the routes in use contain none of these arcs and cost what they did, at most :math:`\gamma_k`; a
route through one of them still costs at least :math:`\ell_{ka} + u_a \ge \gamma_k`. The same flows stay optimal and pay the same, so
tolls in :math:`[0, u_a]` lose nothing, and the bound comes from the data. If every route of a commodity has a toll without a cap,
revenue has no bound, and that is an error.

**Between tolls, only the cheapest way matters.** A route is tolled arcs and toll-free stretches between them. At any tolls a cheapest
route has cheapest stretches, and all of these cost and pay the same. So each follower gets a network of its source, its
target and the ends of tolled arcs, joined by the tolled arcs and by one arc ``u..v`` for the cheapest toll-free way from u to v: for
every choice of tolls its optimal value, and the payments among its optima, are those of the whole network. An arc (or stretch) with
:math:`\ell_{ka} > \gamma_k` is on no cheapest route of k and is left out. `outcome` gives the flows on the user's own arcs.

**What each traveller pays on each arc.** Leader variables :math:`p_{ka}` (``paid[s to t, u->v]``) split the revenue up:

.. math:: \sum_a p_{ka} = n_k \lambda^k_{s_k} - \sum_a c_a x^k_a, \qquad 0 \le p_{ka} \le n_k T_a, \qquad p_{ka} \le u_{ka} x^k_a, \qquad
          p_{ka} \ge n_k T_a - u_a (n_k - x^k_a) .

They change neither the optimum nor what is optimal: with :math:`p_{ka} = T_a x^k_a` every row holds at a best response without
cycles (:math:`x \le n`, and :math:`x > 0` only if :math:`T_a \le u_{ka}`), and whatever the split, its sum is the revenue. But in a
relaxation they tie the tolls that different travellers pay on the same arc together, which the multipliers alone do not: on the
model ``network_toll`` complementarity branching closes 349 cells with them, 33,480 without.

Source: M. Labbé, P. Marcotte, G. Savard, A bilevel model of taxation and its application to optimal highway pricing,
Management Science 44 (1998); L. Brotcorne, M. Labbé, P. Marcotte, G. Savard, Transportation Science 35 (2001); networks of
toll-free stretches: M. Bouhtou, S. van Hoesel, A. F. van der Kraaij, J.-L. Lutton, INFORMS Journal on Computing 19 (2007). From
memory; the arguments are written out here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.bilevel.program import BilevelProgram, Level, Multiplier, Objective
from stackopt.errors import InvalidProgram
from stackopt.networks.assembly import NetworkOrigin, Triplets, balance, flow_name, form, vector
from stackopt.networks.contraction import contracted, cost_through, same
from stackopt.networks.graph import Array, Attribute, Commodity, Network, read, read_commodities


def toll_setting(
    graph: Any,
    commodities: Iterable[Any],
    tolled: str | Iterable[Any] = "toll",
    cost: Attribute = "cost",
    *,
    max_toll: float | Attribute | None = None,
    name: str = "toll_setting",
) -> BilevelProgram:
    """The tolls that bring in most when every traveller takes its cheapest route; see the module for the algebra.

    Parameters
    ----------
    graph : networkx DiGraph or MultiDiGraph
    commodities : iterable of (source, target) or (source, target, demand)
        One follower each.
    tolled : str or iterable of arcs
        The arcs that may be tolled: an edge attribute that is true on them, or a list of ``(u, v)``.
    cost : str, number or mapping of arc to number
        What an arc costs without a toll, in the units of the tolls; non-negative.
    max_toll : number, str or mapping, optional
        Caps on tolls; without it, the bound that follows from toll-free routes.
    name : str

    Returns
    -------
    BilevelProgram
        Leader variables ``toll[u->v]``, follower variables ``flow[...]`` in units of demand; its value is the revenue.

    Raises
    ------
    InvalidProgram
        If the graph is undirected or empty, a node is unknown, a commodity has no path, an arc has no cost or a negative one,
        nothing is tolled, or a commodity has no toll-free route and tolls have no cap.

    Examples
    --------
    >>> import networkx as nx
    >>> from stackopt import networks
    >>> graph = nx.DiGraph([("s", "m", {"cost": 1, "toll": True}), ("m", "t", {"cost": 1}), ("s", "t", {"cost": 7})])
    >>> program = networks.toll_setting(graph, [("s", "t", 10)])
    >>> program.names[0], float(program.upper[0])
    ('toll[s->m]', 5.0)
    """
    network = read(graph)
    costs = network.values(cost, "cost", "non-negative")
    mask = network.chosen(tolled, "tolled")
    travellers = read_commodities(network, commodities)
    caps = network.values(max_toll, "max_toll", "capacity", missing=np.inf) if max_toll is not None else np.full(len(costs), np.inf)
    caps, travellers, dearest = limited(network, travellers, np.where(mask, caps, 0.0), costs, costs)
    return _program(network, travellers, mask, costs, caps, dearest, name)


def limited(network: Network, travellers: tuple[Commodity, ...], caps: Array, least: Array, most: Array) -> tuple[Array, tuple[Commodity, ...], Array]:
    """Caps on tolls and arcs of commodities that lose nothing, by the argument of the module.

    Parameters
    ----------
    caps : array [A]
        On tolls as given: zero on arcs without tolls, infinite where there is none.
    least, most : array [A]
        Bounds on what each arc can cost without its toll; both are the cost where it is fixed.

    Returns
    -------
    caps : array [A]
        At most the given ones; finite.
    travellers : tuple of Commodity
        With the arcs that can be on a cheapest route.
    dearest : array [K]
        No commodity ever pays more than this for each unit.

    Raises
    ------
    InvalidProgram
        If every route of a commodity has a toll without a cap.
    """
    through = [cost_through(network, k, least) for k in travellers]
    dearest = np.array([network.distances(k.source, most + caps)[k.target] for k in travellers])
    bound = np.zeros(len(caps))
    for k, cost, way in zip(travellers, dearest, through):
        if np.isinf(cost):
            open_ended = next(network.label(a) for a in k.arcs if np.isinf(caps[a]))
            where = f"every route from {k.ends[0]} to {k.ends[1]} has a toll without a cap, e.g. on {open_ended}"
            raise InvalidProgram("network-unbounded", law="a toll-free route for every commodity, or a cap on tolls", where=where,
                                 help="max_toll=... caps the tolls; or leave a route free")  # fmt: skip
        bound[k.arcs] = np.maximum(bound[k.arcs], cost - way[k.arcs])
    kept = [dataclasses.replace(k, arcs=k.arcs[way[k.arcs] <= same(cost)]) for k, cost, way in zip(travellers, dearest, through)]
    return np.minimum(caps, bound), tuple(kept), dearest


def _program(
    network: Network, travellers: tuple[Commodity, ...], mask: NDArray[np.bool_], costs: Array, caps: Array, dearest: Array, name: str
) -> BilevelProgram:
    short, users, price, stretches = contracted(network, travellers, mask, costs, dearest)
    tolled, several = np.flatnonzero(mask), len(users) > 1
    cap = caps[tolled]  # the tolled arcs come first in the short network, and so do the leader's variables: arc i has toll i
    names = [f"toll[{short.label(i)}]" for i in range(len(tolled))]
    paid = {(k, int(i)): len(names) + j for j, (k, i) in enumerate((k, i) for k, user in enumerate(users) for i in user.arcs if i < len(tolled))}
    names += [flow_name(short, users[k], i, several, "paid") for k, i in paid]
    owner = [-1] * len(names)
    columns = []
    for k, user in enumerate(users):
        columns.append(np.arange(len(names), len(names) + len(user.arcs)))
        names += [flow_name(short, user, i, several) for i in user.arcs]
        owner += [k] * len(user.arcs)
    n, size = len(names), len(names) + len(users)
    followers, multipliers, leader = [], [], Triplets()
    for k, (user, mine) in enumerate(zip(users, columns)):
        cost = [(int(j), float(price[i])) for j, i in zip(mine, user.arcs)]
        products = [(int(i), int(j), 1.0) for j, i in zip(mine, user.arcs) if i < len(tolled)]
        rows = balance(short, user, mine, several)
        followers.append(Level(user.name, Objective("min", vector(cost, size), form(products, size)), rows.rows(size)))
        at_source = next(row for row, demand in zip(rows.names, rows.lower) if demand)
        multipliers.append(Multiplier(f"price[{user.name}]", user.name, at_source))
        revenue = leader.row(f"revenue[{user.name}]", 0.0, 0.0)
        leader.fill(revenue, [(n + k, -user.demand), *cost, *((column, 1.0) for (other, _), column in paid.items() if other == k)])
    ways = [cost_through(short, user, np.where(np.isin(np.arange(len(price)), user.arcs), price, np.inf)) for user in users]
    for (k, i), column in paid.items():
        user, flow = users[k], int(columns[k][np.flatnonzero(users[k].arcs == i)[0]])
        at, most = flow_name(short, user, i, several, "").strip("[]"), float(cap[i])
        limit = min(most, max(float(dearest[k] - ways[k][i]), 0.0))
        leader.fill(leader.row(f"at most the toll[{at}]", -np.inf, 0.0), [(column, 1.0), (i, -user.demand)])
        leader.fill(leader.row(f"only with flow[{at}]", -np.inf, 0.0), [(column, 1.0), (flow, -limit)])
        leader.fill(leader.row(f"all with flow[{at}]", -most * user.demand, np.inf), [(column, 1.0), (i, -user.demand), (flow, -most)])
    return BilevelProgram(
        names=tuple(names),
        owner=np.array(owner),
        lower=np.zeros(n),
        upper=np.concatenate([cap, np.full(n - len(tolled), np.inf)]),
        integer=np.zeros(n, bool),
        leader=Level("leader", Objective("max", vector([(column, 1.0) for column in paid.values()], size)), leader.rows(size)),
        followers=tuple(followers),
        multipliers=tuple(multipliers),
        name=name,
        source=f"a network of {len(network.nodes)} nodes and {len(network.arcs)} arcs",
        origin=NetworkOrigin("toll_setting", network, users, tuple(columns), {int(a): i for i, a in enumerate(tolled)}, {"cost": costs}, stretches),
    )
