"""What reacts: the webhook server, the inbox, the syncs, dispatch, and what is said to people."""
