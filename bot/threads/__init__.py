"""Discussions of people: first answers, command answering, subscriptions, the maintainers' list."""
