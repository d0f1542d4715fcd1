"""Threads of people: answered at first, followed to the end, remembered where they wait for a maintainer.

`threads.py` is the sync that finds them; then `first_answer.py`, `following.py` and `waiting_threads.py`.
`later.py` reads what an author adds to an opening post, `own_threads.py` knows those that we opened.
"""
