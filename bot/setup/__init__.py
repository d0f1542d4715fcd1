"""Operators' tools: adoption of a board, shadow report, doctor, consistency check, re-evaluation."""
