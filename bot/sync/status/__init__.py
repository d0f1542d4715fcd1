"""What a submitter is told of a request: its thread, and the status comment in it.

`status_thread.py` writes it, `views.py` and `places.py` say what, `closing.py` when the thread is closed,
`quota.py` how much may be said today.
"""
