"""Models on a worker's disk: downloads, the shared store, checks of their files."""
