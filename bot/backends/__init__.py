"""Worker backends: starts a run of a platform for each attempt that waits, and keeps runs and attempts in step."""
