r"""Congestion tolls: travel times grow with the flow, travellers settle in an equilibrium, the leader wants the least total time.

An arc takes :math:`t_a(f) = \alpha_a + \beta_a f` with :math:`\alpha_a, \beta_a \ge 0`. At a Wardrop equilibrium every used route
costs as little, time and tolls together, as any other from the same source to the same target. For separable times these are
the solutions of one convex quadratic program (Beckmann), which is the follower:

.. math::
    \min_{T}\ \sum_a \alpha_a f_a + \beta_a f_a^2, \qquad
    x \in \arg\min_{x \ge 0} \Bigl\{ \sum_a (\alpha_a + T_a) f_a + \tfrac12 \beta_a f_a^2 \;:\;
    f = \sum_k x^k,\ N x^k = n_k (e_{s_k} - e_{t_k}) \Bigr\} .

The derivative of the follower's objective along a route is that route's cost, so its optimality conditions say that no used
route costs more than another one: Wardrop's. Tolls are transfers and do not count for the leader. With all arcs tolled,
:math:`T_a = \beta_a f^*_a` at the flow :math:`f^*` of least total time makes the follower's conditions those of the leader's
own program over flows: the marginal-cost toll, and no toll does better. With some arcs tolled this is a second best.

**Tolls need no guessed cap.** Flows are between 0 and the total demand D (without cycles), so the argument of
`stackopt.networks.tolls` holds with :math:`\gamma_k` the cheapest route at the highest tolls and times :math:`\alpha + \beta D` and
:math:`\ell_{ka}` the cheapest through a at times :math:`\alpha`: a toll above :math:`\max_k(\gamma_k - \ell_{ka})^+` empties its arc, and
lowered to it leaves the same equilibrium. If all arcs are tolled the marginal-cost tolls, at most :math:`\beta_a D`, already
attain the best there is, so :math:`\beta_a D` caps lose nothing.

Source: A. C. Pigou, The Economics of Welfare (1920); J. G. Wardrop (1952); M. Beckmann, C. B. McGuire, C. B. Winsten, Studies in the
Economics of Transportation (1956); D. Braess, Unternehmensforschung 12 (1968).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.bilevel.program import BilevelProgram, Level, Objective
from stackopt.networks.assembly import NetworkOrigin, Triplets, balance, flow_name, form, vector
from stackopt.networks.graph import Array, Attribute, Commodity, Network, read, read_commodities
from stackopt.networks.tolls import limited


def congestion_tolls(
    graph: Any,
    commodities: Iterable[Any],
    tolled: str | Iterable[Any] = "toll",
    constant: Attribute = "constant",
    slope: Attribute = "slope",
    *,
    max_toll: float | Attribute | None = None,
    name: str = "congestion_tolls",
) -> BilevelProgram:
    """The tolls under which selfish travellers lose least time in all; see the module for the algebra.

    Parameters
    ----------
    graph : networkx DiGraph or MultiDiGraph
    commodities : iterable of (source, target) or (source, target, demand)
    tolled : str or iterable of arcs
        An edge attribute that is true on the arcs that may be tolled, or a list of them.
    constant, slope : str, number or mapping of arc to number
        Travel time without traffic, and how much each unit of flow adds; non-negative. Tolls are in units of time.
    max_toll : number, str or mapping, optional
        Caps on tolls, 0 for no tolls at all; without it, a bound that follows from the data.
    name : str

    Returns
    -------
    BilevelProgram
        Leader variables ``toll[u->v]``, one follower, "travellers", with variables ``flow[...]``; its value is the total time.

    Raises
    ------
    InvalidProgram
        As `toll_setting`; without a cap there must be a toll-free route for every commodity, or every arc must be tolled.

    Examples
    --------
    >>> import networkx as nx
    >>> from stackopt import networks
    >>> graph = nx.MultiDiGraph()
    >>> _ = graph.add_edge("s", "t", "road", constant=0, slope=1, toll=True), graph.add_edge("s", "t", "rail", constant=1, slope=0)
    >>> networks.congestion_tolls(graph, [("s", "t")]).names
    ('toll[s->t road]', 'flow[s->t road]', 'flow[s->t rail]')
    """
    network = read(graph)
    fixed, rising = network.values(constant, "constant", "non-negative"), network.values(slope, "slope", "non-negative")
    mask = network.chosen(tolled, "tolled")
    travellers = read_commodities(network, commodities)
    total = sum(k.demand for k in travellers)
    caps = network.values(max_toll, "max_toll", "capacity", missing=np.inf) if max_toll is not None else np.full(len(fixed), np.inf)
    if mask.all() and max_toll is None:
        caps = rising * total
    caps, travellers, _ = limited(network, travellers, np.where(mask, caps, 0.0), fixed, fixed + rising * total)
    return _program(network, travellers, mask, (fixed, rising), caps, name)


def _program(
    network: Network, travellers: tuple[Commodity, ...], mask: NDArray[np.bool_], times: tuple[Array, Array], caps: Array, name: str
) -> BilevelProgram:
    several, (fixed, rising) = len(travellers) > 1, times
    tolled = np.flatnonzero(mask)
    names = [f"toll[{network.label(int(a))}]" for a in tolled]
    toll_of = {int(a): i for i, a in enumerate(tolled)}
    on_arc: dict[int, list[int]] = {}
    columns = []
    for k in travellers:
        columns.append(np.arange(len(names), len(names) + len(k.arcs)))
        names += [flow_name(network, k, a, several) for a in k.arcs]
        for j, a in zip(columns[-1], k.arcs):
            on_arc.setdefault(int(a), []).append(int(j))
    n = len(names)
    rows = Triplets()
    for k, mine in zip(travellers, columns):
        own, first = balance(network, k, mine, several), len(rows.names)
        for row, low, high in zip(own.names, own.lower, own.upper):
            rows.row(row, low, high)
        rows.entries += [(first + row, column, value) for row, column, value in own.entries]
    linear = vector([(j, float(fixed[a])) for a, flows in on_arc.items() for j in flows], n)
    # the square of an arc's flow, written out over the commodities that share it
    square = [(i, j, float(rising[a]) * (1 if i == j else 2)) for a, flows in on_arc.items() if rising[a] for i in flows for j in flows if i <= j]
    paid = [(toll_of[a], j, 1.0) for a, flows in on_arc.items() if a in toll_of for j in flows]
    upper = np.full(n, np.inf)
    upper[: len(tolled)] = caps[tolled]
    return BilevelProgram(
        names=tuple(names),
        owner=np.where(np.arange(n) < len(tolled), -1, 0),
        lower=np.zeros(n),
        upper=upper,
        integer=np.zeros(n, bool),
        leader=Level("leader", Objective("min", linear, form(square, n)), Triplets().rows(n)),
        followers=(Level("travellers", Objective("min", linear.copy(), form([(i, j, v / 2) for i, j, v in square] + paid, n)), rows.rows(n)),),
        name=name,
        source=f"a network of {len(network.nodes)} nodes and {len(network.arcs)} arcs",
        origin=NetworkOrigin("congestion_tolls", network, travellers, tuple(columns), toll_of, {"constant": fixed, "slope": rising}),
    )
