"""State that Steward's processes share in Redis: keys, messages, dirty marks, attempts, heartbeats, the clock."""
