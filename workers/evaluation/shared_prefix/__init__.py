"""Answers many requests with few tokens: what prompts begin with alike is computed once."""
