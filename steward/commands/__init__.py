"""The commands of `steward`, a file for each group; each registers itself and imports what it needs when it runs."""
