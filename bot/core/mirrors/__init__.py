"""Clones of the board's repos on this machine, so that a sync finds what changed without a call for each file."""
