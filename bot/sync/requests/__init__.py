"""One request, from its file: judged, accepted or refused, and what was evaluated before.

`request.py` is the sync: `gather.py` says what is known, `judging.py` what follows for a request that waits.
`earlier.py`, `numbers.py`, `dates.py`, `old.py` and `unreadable.py` each know one thing about such a file. Whoever
changes one goes by `edits.py`: `submitting.py` and `relaunching.py` do.
"""
