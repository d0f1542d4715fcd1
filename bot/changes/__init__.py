"""Renames, removals and withdrawals of duplicates: proposed, approved by a maintainer, applied as a whole."""
