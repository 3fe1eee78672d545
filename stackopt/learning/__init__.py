"""Learners: softmax policy iteration, hypergradient ascent, and the naive ascent that shows why the gradient matters."""

from stackopt.learning.hypergradient import HypergradientAscent as HypergradientAscent
from stackopt.learning.naive_ascent import NaiveAscent as NaiveAscent
from stackopt.learning.softmax_policy_iteration import SoftmaxPolicyIteration as SoftmaxPolicyIteration
