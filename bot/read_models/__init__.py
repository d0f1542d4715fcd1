"""Data for pages, the API and commands: JSON shapes, the queue snapshot, lists of requests."""
