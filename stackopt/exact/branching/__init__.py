"""Complementarity branch and bound: bilevel programs with linear and convex quadratic followers, without any big-M."""

from stackopt.exact.branching.solve import complementarity_branching

__all__ = ["complementarity_branching"]
