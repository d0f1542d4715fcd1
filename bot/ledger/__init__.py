"""The batched writer of files in shared repos: syncs stage edits in Redis, and the ledger commits them.

edits.py          the edits, the pure rule that applies them to files, the messages of commits
store.py          staged edits in Redis
commit_budget.py  how many commits a repo may get
ledger.py         `Ledger`, which stages edits and writes them
"""
