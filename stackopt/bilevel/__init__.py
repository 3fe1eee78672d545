"""Bilevel programs: a leader's program over the optimal responses of its followers."""
