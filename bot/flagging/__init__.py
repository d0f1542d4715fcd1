"""Flags: who is suspected of what, what was decided, and what was said since.

book.py       the flags repo as Redis has it: which flags stand, by every name of a model
writing.py    records and tables, written in one commit
naming.py     which model a name means
subjects.py   what evidence looks at, from the Hub and from the index
reports.py    what was reported, and what was found: for the eyes of maintainers until they decide
taking.py     reports, as they are found in threads, and the end of them told there
wishes.py     what somebody wants to have flagged, and what is wrong with that
deciding.py   /flag, /unflag, /dismiss
hearing.py    the thread of a flag: what it says
pleas.py      what was said there since, and when a closed one is opened again
cures.py      whether the cause of a flag is gone
notices.py    our own short words in such a thread, and what of ours stands there
importing.py  tables that others kept by hand
"""
