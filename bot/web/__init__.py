"""What the web server shows of the board: read from Redis alone, and never more than everybody may know."""
