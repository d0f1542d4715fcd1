"""Gather the facts about a submission for its verdict: from the Hub, the model's files and the board.

    submission.py    all facts about one submission, for admission, pull requests, `/check` and `steward check`
    model.py         one model at one commit, and the base model of an adapter or a delta
    repo.py          the files of that commit, read within bounds
    weights.py  card.py  tokenizer.py    parts of a model, from their files
    board_facts.py   facts from the board: repetitions, copies, quotas, flags
    checking.py      the request that a possible submission stands for, and what the public sees of its verdict

One model costs at most ten calls (`model.py` lists them), and only the start of a weight file is read.
"""

from bot.model_facts.board_facts import index_fields
from bot.model_facts.model import gather_model_facts
from bot.model_facts.submission import gather_submission

__all__ = ["gather_model_facts", "gather_submission", "index_fields"]
