"""Charts: drawn on the server, each a picture at an address of its own, and a table of the same figures beside it."""
