"""Charts drawn on the server: each an SVG at its own address, with a table of the same figures beside it."""
