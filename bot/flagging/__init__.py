"""Flags: who is suspected of what, what was decided, and what was said since.

book.py       the flags repo as Redis has it: which flags stand, by every name of a model
naming.py     which model a name means
subjects.py   what evidence looks at, from the Hub and from the index
reports.py    what was reported, and what was found: for the eyes of maintainers until they decide
deciding.py   /flag, /unflag, /dismiss
hearing.py    the thread of a flag: what it says, what was said since, when it is opened again
importing.py  tables that others kept by hand
"""
