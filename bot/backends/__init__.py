"""Worker backends: start a run on a platform for each attempt that waits, and keep the runs in step with the queue."""
