"""Boards of several kinds on one Hub at the same time, and people who submit to all of them."""
