"""Bilevel programs on a user's own networkx graph: tolls, congestion tolls, interdiction; what they answer, and a picture of it.

Examples
--------
>>> import networkx as nx
>>> import stackopt as so
>>> from stackopt import networks
>>> graph = nx.DiGraph()
>>> graph.add_edge("home", "work", minutes=10)
>>> graph.add_edge("home", "bridge", minutes=2)
>>> graph.add_edge("bridge", "work", minutes=3, toll=True)
>>> program = networks.toll_setting(graph, [("home", "work", 100)], cost="minutes")
>>> solution = so.solve(program)
>>> round(float(solution.value), 6), networks.outcome(solution).tolls
(500.0, {('bridge', 'work'): 5.0})
"""

from stackopt.networks.congestion import congestion_tolls as congestion_tolls
from stackopt.networks.drawing import draw as draw
from stackopt.networks.interdiction import maximum_flow_interdiction as maximum_flow_interdiction
from stackopt.networks.interdiction import shortest_path_interdiction as shortest_path_interdiction
from stackopt.networks.outcome import Outcome as Outcome
from stackopt.networks.outcome import outcome as outcome
from stackopt.networks.roads import sioux_falls as sioux_falls
from stackopt.networks.tolls import toll_setting as toll_setting

__all__ = ["Outcome", "congestion_tolls", "draw", "maximum_flow_interdiction", "outcome", "shortest_path_interdiction", "sioux_falls", "toll_setting"]
