"""The command line and the all-in-one. Alone may import every room, and does so lazily."""
