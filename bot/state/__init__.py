"""What the bot knows of its board, kept in Redis; what matters of it is found again on the Hub.

By request: `entry.py`, what the last sync of each saw, `index.py`, all of them, and beside it `catalog.py`,
`standing.py`, `neighbours.py` and `waiting.py`; `searching.py` looks among them. By model: `licences.py`. By board:
`pauses.py`, `decisions.py`, `unknown.py`, `visibility.py`, and in numbers `measures.py`, `timings.py` and
`scoreboard.py`. What the web asks of the sync process: `sessions.py`, `questions.py`, `submissions.py` and
`errands.py`.
"""
