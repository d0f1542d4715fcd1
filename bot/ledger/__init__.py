"""The one writer of files in shared repos: edits are staged in Redis, planned, and committed by compare-and-swap."""
