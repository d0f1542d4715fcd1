"""Sign-in with the Hub by OAuth: the flow, its routes, and the board's OAuth app."""
