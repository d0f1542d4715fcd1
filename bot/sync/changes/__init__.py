"""What is proposed, approved by a maintainer, and carried out in several repos at once.

`proposals.py` asks and hears, `changesets.py` carries out; `removing.py` and `duplicates.py` propose (as do
renames).
"""
