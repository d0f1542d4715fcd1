"""The queue: who waits in which order, what holds it up, and what maintainers decide about it.

`queue.py` is the sync that keeps every worker an attempt ahead, in the order of `line.py`. `pauses.py` and
`outbreaks.py` hold suites back, `durations.py` knows how long they take, `queue_rules.py` is what commands do.
"""
