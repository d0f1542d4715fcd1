"""The requests repo as a whole: what is new or changed in it, who brought it, and what was removed by hand.

`requests_repo.py` is the sync; `first_look.py` decides what is new to us, `origins.py` who brought it; `kept.py`
is the other sync, of what we published and somebody removed.
"""
