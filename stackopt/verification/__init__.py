"""Verification: the predictions of theory E measured on random games built to break them."""
