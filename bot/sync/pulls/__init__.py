"""Pull requests in the requests repo: checked at their head, reported on once, merged where the board lets us.

`pulls.py` is the sync: `checks.py` looks, `report.py` tells, `record.py` remembers, `merging.py` merges, and
`approving.py` lets a maintainer say so.
"""
