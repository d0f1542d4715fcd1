"""The tables and logs of a whole board: contents, flags, decisions.

`contents.py`, `flags.py` and `decisions.py` are a sync each.
"""
