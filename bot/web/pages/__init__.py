"""The public pages, by subject: the query, the view, the function that reads it, and the `Page` of each.

`bot/web/site.py` lists them. These modules do not import `annotations` from `__future__`: FastAPI reads the types of
queries and views when the routes are added.
"""
