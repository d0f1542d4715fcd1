"""Scores of finished evaluations, computed again from their stored answers: no model, no GPU, no data set."""
