"""The leader's problem: rates and fixed charges of least cost within limits."""
