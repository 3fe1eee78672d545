"""Bounds: plain arrays and numbers to `Bound`s whose assumptions were checked. One section of the theory per file."""
