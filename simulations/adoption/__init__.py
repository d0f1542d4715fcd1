"""A living board is taken over: see `__main__`."""
