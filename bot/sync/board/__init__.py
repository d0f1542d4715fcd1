"""The tables and logs of a whole board: contents, scores, flags, decisions.

`contents.py`, `scoreboard.py`, `flags.py` and `decisions.py` are a sync each.
"""
