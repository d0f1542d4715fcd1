"""Scores on models' own pages: one pull request per model, which its owner asked for."""
