"""The facts of a submission: what the Hub, the model's files and the board know of it, gathered for its verdict.

    submission.py    everything about one submission, for admission, pull requests, `/check` and `steward check` alike
    model.py         one model at one commit, and the base model that an adapter or a delta is applied to
    repo.py          the files of that commit: which there are, and reading them within bounds
    weights.py  card.py  tokenizer.py    parts of a model, from the files that tell of them
    surroundings.py  what the board knows: repetitions, copies, quotas, flags

One model costs ten calls at most, and no more than the start of a weight file is read. See `model.py` for which.
"""

from bot.model_facts.board_facts import worth_keeping
from bot.model_facts.model import gather_model_facts
from bot.model_facts.submission import gather_submission

__all__ = ["gather_model_facts", "gather_submission", "worth_keeping"]
