"""What a commission asks for: the tables of a tariff study."""
