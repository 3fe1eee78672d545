"""Branch and bound over occupancy measures: the best randomised commitment when the leader's action moves the state."""

from stackopt.exact.occupancy.run import refuses_occupancy, run_occupancy, run_scip
from stackopt.exact.occupancy.search import occupancy_search

__all__ = ["occupancy_search", "refuses_occupancy", "run_occupancy", "run_scip"]
