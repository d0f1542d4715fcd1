"""What tests control and observe: faults, rate limits, statistics."""
