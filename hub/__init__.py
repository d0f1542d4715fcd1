"""The one door to the Hub: typed reads and idempotent writes."""
