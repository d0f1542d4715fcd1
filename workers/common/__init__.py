"""Shared parts of the workers: run plans, devices, diagnosis, logs, Hub access, system calls."""
