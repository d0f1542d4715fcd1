"""Simulates the adoption of an existing board: see `__main__`."""
