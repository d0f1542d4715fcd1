"""The `lm_eval` command several times: `lm_eval_script.py FILE …`, each file with a JSON list of the arguments of one.

Prints the name of each file whose command has ended. The harness is imported once, which takes longer than the
commands themselves; each runs in a fork of this process.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from pathlib import Path


def run(arguments: list[str]) -> None:
    """What the installed script `lm_eval` does."""
    from lm_eval.__main__ import cli_evaluate

    sys.argv = ["lm_eval", *arguments]
    cli_evaluate()


def run_each(files: list[Path]) -> int:
    """Run one after the other; the exit status, 1 as soon as one of them fails."""
    import lm_eval.evaluator
    import lm_eval.models.huggingface
    import lm_eval.tasks  # noqa: F401

    for file in files:
        child = multiprocessing.get_context("fork").Process(target=run, args=[json.loads(file.read_text())])
        child.start()
        child.join()
        if child.exitcode:
            return 1
        print(file.stem, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_each([Path(file) for file in sys.argv[1:]]))
