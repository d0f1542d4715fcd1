"""Renames of models, asked for by pull request or by command.

`pulls.py` holds a pull request against the plan of the rename, `saga.py` carries out what a command asked for;
both plan from `sources.py` and `facts.py`. `after.py` mends what we know, `links.py` ends the discussions that
asked.
"""
