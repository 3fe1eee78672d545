"""The page of a tariff study and its figures, from the stored tables."""
