"""Admission: judges the facts about a submission and returns a verdict with every reason."""
