"""Exact search for programs whose followers have integer variables."""

from stackopt.exact.integer.portfolio import integer_followers, refuses

__all__ = ["integer_followers", "refuses"]
