"""The probe process: `python -m bot.probe FOLDER` answers questions until standard input ends.

It looks at nothing of a stranger itself: that is left to its forks. What they find a use for (the library's class for
a type of model) it imports afterwards, so that the next fork need not.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from bot.probe import configs, tokenizers
from bot.probe.forks import ask


def main() -> int:
    """Answer questions, one line each."""
    # Neither configs nor tokenizers need torch, even where it is installed: it costs seconds and a hundred megabytes.
    sys.modules["torch"] = None  # type: ignore[assignment]
    folder = Path(sys.argv[1])
    try:
        configs.warm("llama")
        tokenizers.warm("llama")
        for line in sys.stdin.buffer:
            question = json.loads(line)
            answer = ask(question)
            sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
            sys.stdout.buffer.flush()
            _learn(question, answer)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # whoever started us may have been killed: then nobody else does
    return 0


def _learn(question: dict[str, Any], answer: dict[str, Any]) -> None:
    if answer.get("state") != "loaded":
        return
    if question["kind"] == "config":
        configs.warm(answer["model_type"])
    elif question["kind"] == "tokenizer":
        tokenizers.warm(question["model_type"])


if __name__ == "__main__":
    sys.exit(main())
