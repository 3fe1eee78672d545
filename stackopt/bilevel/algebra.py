"""Expressions as a person writes them; kept in `stackopt.programs.algebra`, which programs share."""

from stackopt.programs.algebra import SHOWN, interval, relation, terms

__all__ = ["SHOWN", "interval", "relation", "terms"]
