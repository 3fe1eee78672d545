"""A tariff as a mean-field game, for the package's learners."""
