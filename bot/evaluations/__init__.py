"""One attempt of a request: claim, progress, publication, recovery."""
