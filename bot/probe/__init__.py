"""Open untrusted files, of models and of details repos, in a separate process, which may crash on them.

A config may claim a billion layers, a tokenizer may nest a thousand levels, a chat template may loop for ever, a header
may claim a terabyte. So a sync process parses none of them. `python -m bot.probe` imports transformers once and forks
for each question. The fork has limited memory and time and an empty environment, opens only its folder and the
installed libraries, and ends after one answer. If it dies, the answer is `too-costly`; if the machine was too busy to
run it, or the probe itself ended, there is no answer, and the caller asks again later.

    process.py     the caller's side: writes files into a folder, asks, and turns answers into facts
    __main__.py    the probe process: one JSON line for each question, one for each answer
    forks.py       a fork with limits
    configs.py  tokenizers.py  weights.py  answers.py  sample_sums.py  metric_comparison.py
                   the code in the fork, by kind of question
    kept_files.py  downloaded tables of answers, which are kept for a while
"""

from bot.probe.process import MAX_CONFIG, Probe

__all__ = ["MAX_CONFIG", "Probe"]
