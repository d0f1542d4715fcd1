"""Predictions in place of a model: the private answers, the check of files, scores, and the end of seasons."""
