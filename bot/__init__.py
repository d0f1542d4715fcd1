"""The bot: the webhook server with its inbox and pages, and the syncs that act on the Hub and answer people."""
