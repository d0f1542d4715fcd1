"""Gather the facts about a submission for its verdict: from the Hub, the model's files and the board."""
