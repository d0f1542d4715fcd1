"""Renames, removals and duplicates: proposed, approved by a maintainer, applied as a whole."""
