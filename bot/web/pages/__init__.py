"""The public pages, one module each: its query, what it shows, and its `Page`. `bot/web/site.py` lists them."""
