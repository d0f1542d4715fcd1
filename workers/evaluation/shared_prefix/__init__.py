"""Answers many requests with few computed tokens: a beginning that several prompts share is computed once."""
