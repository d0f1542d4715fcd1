"""The board's pages and JSON API, read from Redis alone; public pages show public facts only."""
