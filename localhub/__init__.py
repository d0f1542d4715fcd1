"""A Hub on this machine: real git repos, threads, webhooks and pages behind the Hub's own API."""

__version__ = "0.2.0.dev0"
"""Equal to Steward's; both are released together."""
