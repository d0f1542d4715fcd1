"""A Hub on this machine: real git repos, threads, webhooks and pages behind the Hub's own API."""

__version__ = "1.0.0"
"""Equal to Steward's; both are released together."""
