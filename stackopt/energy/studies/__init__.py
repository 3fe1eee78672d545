"""Studies as values: files, named tariffs, solving, sensitivity and sweeps."""
