"""Strangers' files, opened by a process of their own that may die of them.

A config may claim a billion layers, a tokenizer may nest a thousand deep, a chat template may loop for ever, a header
may claim a terabyte. So none of them is parsed in a sync process. `python -m bot.probe` imports transformers once and
forks for each question; the fork has little memory and time, no environment worth reading, opens nothing outside its
folder and the installed libraries, and ends after one answer. Whatever kills it, the answer is then `too-costly`; but
where our machine was too busy to let it run, or the probe itself ended, there is none, and the question is put again
later.

    process.py     our side: puts files into a folder, asks, and turns answers into facts
    __main__.py    the probe process: one JSON line for each question, one for each answer
    forks.py       a fork with limits
    configs.py  tokenizers.py  weights.py  adapters.py     what happens in the fork, by kind of question
"""

from bot.probe.process import MAX_CONFIG, Probe

__all__ = ["MAX_CONFIG", "Probe"]
