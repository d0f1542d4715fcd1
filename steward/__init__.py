"""The command line and the demo. This package may import every other one, and does so lazily."""
