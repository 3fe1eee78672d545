"""A leader that sees only meters: readings, what they reveal, a learned tariff."""
