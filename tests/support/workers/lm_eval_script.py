"""Runs the `lm_eval` command several times: `lm_eval_script.py FILE …`, each file a JSON list of arguments.

For the model `steward-hf` it runs the `steward-eval` command instead. Prints the name of each file whose command has
ended. The harness is imported and its task files are read once, which takes longer than the commands themselves; each
runs in a fork of this process.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FOLDERS = ("arc", "gsm8k", "hellaswag", "leaderboard", "mmlu/default", "truthfulqa", "winogrande")
"""The folders of the harness with the tasks of both leaderboards' suites. It would take six seconds to read
its 15,000 task files in all folders."""


def run(arguments: list[str]) -> None:
    """Run the installed script `lm_eval` or `steward-eval`."""
    if "steward-hf" in arguments:
        from workers.evaluation.shared_prefix.__main__ import main
    else:
        from lm_eval.__main__ import cli_evaluate as main

    sys.argv = ["lm_eval", *arguments]
    main()


def read_task_files_once() -> None:
    """Let the harness read its own task files now, and later only those that a command adds."""
    import lm_eval.tasks
    from lm_eval.tasks._index import TaskIndex

    build, (shipped,) = TaskIndex.build, lm_eval.tasks.__path__
    known = build([Path(shipped, folder) for folder in FOLDERS])

    def build_rest(paths: Iterable[Path]) -> dict[str, Any]:
        first, *rest = paths
        assert first == Path(shipped)
        return {**known, **build(rest)}

    TaskIndex.build = staticmethod(build_rest)


def list_packages_once() -> None:
    """Let the harness, which writes the installed packages to each results file, list them now and not again."""
    from torch.utils import collect_env

    packages = collect_env.get_pip_packages(collect_env.run)
    collect_env.get_pip_packages = lambda *_: packages


def run_each(files: list[Path]) -> int:
    """Run one after the other; return the exit status, 1 as soon as one of them fails."""
    gc.disable()  # the imports create a million objects that are never freed
    import lm_eval.evaluator
    import lm_eval.models.huggingface  # noqa: F401
    import transformers.models.llama.modeling_llama  # noqa: F401  # the architecture of the model

    read_task_files_once()
    list_packages_once()
    gc.freeze()
    gc.enable()
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
