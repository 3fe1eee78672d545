"""Electricity tariffs designed by a leader against a population: markets, bills, households, studies."""
