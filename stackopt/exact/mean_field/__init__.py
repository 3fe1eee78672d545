"""Exact mean-field equilibria of small games: one mixed-integer program, support patterns one by one, and convex potentials."""
