"""The webhook endpoint and the inbox: deliveries are stored durably, then mark dirty keys."""
