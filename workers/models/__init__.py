"""Models on a worker's disk: download, shared store, checks of files."""
