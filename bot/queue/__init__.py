"""Dispatch of evaluation jobs, holds, pauses, priorities, and the circuit breaker for outbreaks of one cause."""
