"""Clones of the board's repos, so that what changed is found without a call for each file.

`mirror.py` fetches them into the folder that `folder.py` knows, and `gittrees.py` compares their trees. Read from them
are `history.py`, `log_lines.py` and `contents.py`; `consistency.py` looks whether they agree with each other.
"""
