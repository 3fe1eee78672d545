"""What the literature finds about tariffs, looked for in a study by sweeps."""
