"""A Hub on this machine: real git repos, threads, webhooks and pages behind the Hub's own API."""
