"""Equilibria of populations at a given decision of the leader: solvers that each do one thing, and one default that switches."""
