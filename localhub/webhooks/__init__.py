"""Webhooks: subscriptions, deliveries, payloads, senders."""
