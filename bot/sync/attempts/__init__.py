"""One attempt of a request: claimed, watched, tried again or found lost, published.

`attempt.py` goes from the claim to the end, `publication.py` copies what the worker found. `costs.py` and
`timing.py` count, `scores.py` says how the model did beside others.
"""
