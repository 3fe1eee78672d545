"""Wholesale markets: what electricity costs, where and when."""
