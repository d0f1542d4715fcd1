"""The probe process: `python -m bot.probe FOLDER` writes READY, then answers questions until standard input ends.

It opens no untrusted file itself; its forks do. After an answer it imports what the fork needed (the library's class
for a type of model), so that the next fork need not.

It removes FOLDER when standard input ends, since the process that started it may have been killed.
"""

from __future__ import annotations

import contextlib
import gc
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from bot.probe import answers, configs, tokenizers
from bot.probe.forks import ask
from bot.probe.questions import READY


def main() -> int:
    """Answer the questions on standard input, one JSON line each, until it ends."""
    # Configs and tokenizers do not need torch, whose import costs seconds and a hundred megabytes.
    sys.modules["torch"] = None  # type: ignore[assignment]
    gc.disable()  # the imports make no garbage
    configs.warm("llama")
    tokenizers.warm("llama")
    gc.freeze()  # so that the collector of a fork does not scan the imported objects, which would copy their memory
    gc.enable()
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    for line in sys.stdin.buffer:
        question = json.loads(line)
        answer = ask(question)
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()
        _import_needed(question, answer)
    shutil.rmtree(Path(sys.argv[1]), ignore_errors=True)
    return 0


def _import_needed(question: dict[str, Any], answer: dict[str, Any]) -> None:
    is_table = question["kind"] in ("answers", "table-parts", "sample-sums")
    if (is_table and answer.keys() & {"counts", "parts", "rows"}) or question.get("format") == "parquet":
        answers.warm()
    if answer.get("state") != "loaded":
        return
    # The untrusted file chooses the type, and some classes need packages that are not installed; forks work without.
    with contextlib.suppress(Exception):
        if question["kind"] == "config":
            configs.warm(answer["model_type"])
        elif question["kind"] == "tokenizer":
            tokenizers.warm(question["model_type"])


if __name__ == "__main__":
    sys.exit(main())
