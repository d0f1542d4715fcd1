"""Adoption of a board, shadow report, doctor, consistency, re-evaluation."""
