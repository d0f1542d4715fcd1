"""Evaluating a suite: the harness, placement on devices, adapters, batch sizes."""
