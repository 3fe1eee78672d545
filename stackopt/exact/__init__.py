"""Exact methods: the best commitment by mixed-integer programming, and by enumeration as an independent check."""

from stackopt.exact.enumeration import Enumeration as Enumeration
from stackopt.exact.exact import Exact as Exact
