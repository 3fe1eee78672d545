"""The followers' optimality conditions in place of the followers; defined with the program, whose certificate needs them too."""

from stackopt.bilevel.kkt import Kkt, kkt, kkt_refusal, lower

__all__ = ["Kkt", "kkt", "kkt_refusal", "lower"]
