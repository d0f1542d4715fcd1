"""What people ask for on the web, carried out by the sync process, for the web server has no token.

`checks.py`, `submissions.py` and `errands.py` are a sync each.
"""
