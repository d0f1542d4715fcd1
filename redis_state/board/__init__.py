"""The bot's state of its board in Redis: request index, measurements, sessions. Workers never import it."""
