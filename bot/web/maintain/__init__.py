"""What is for maintainers alone: what came from the Hub, what is parked, what failed of nobody knows what."""
