"""The probe process: `python -m bot.probe FOLDER` answers questions until standard input ends; first it says READY.

It looks at nothing of a stranger itself: that is left to its forks. What they find a use for (the library's class for
a type of model) it imports afterwards, so that the next fork need not.

Whoever started it may be killed; then nobody else removes FOLDER. While they live it is theirs, however this ends.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from bot.probe import configs, tokenizers
from bot.probe.forks import ask
from bot.probe.questions import READY


def main() -> int:
    """Answer questions, one line each."""
    # Neither configs nor tokenizers need torch, even where it is installed: it costs seconds and a hundred megabytes.
    sys.modules["torch"] = None  # type: ignore[assignment]
    configs.warm("llama")
    tokenizers.warm("llama")
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    for line in sys.stdin.buffer:
        question = json.loads(line)
        answer = ask(question)
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()
        _learn(question, answer)
    shutil.rmtree(Path(sys.argv[1]), ignore_errors=True)
    return 0


def _learn(question: dict[str, Any], answer: dict[str, Any]) -> None:
    if answer.get("state") != "loaded":
        return
    # A stranger chooses the type, and some classes need packages that are not here: the forks do without them, too.
    with contextlib.suppress(Exception):
        if question["kind"] == "config":
            configs.warm(answer["model_type"])
        elif question["kind"] == "tokenizer":
            tokenizers.warm(question["model_type"])


if __name__ == "__main__":
    sys.exit(main())
