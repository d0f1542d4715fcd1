"""The Hub client: typed reads and idempotent writes."""
