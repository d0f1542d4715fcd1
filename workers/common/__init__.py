"""What all parts of a worker need: run plans, diagnosis, logs, access to the Hub, calls of the kernel."""
