"""Evaluates as plan.json says, and leaves samples, results and inspect-ai's logs."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.evaluators.inspect_tasks.settings import (
    NAME,
    VERSION,
    CannotEvaluate,
    InspectOptions,
    leave_failure,
    one_line,
    read_options,
    working_folder,
)

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.log import EvalLog

_PACKAGES = ("inspect_ai", "transformers", "torch", "datasets", "numpy")


def main() -> None:
    """Evaluate, or leave failure.json and end with status 1."""
    plan = json.loads(Path(os.environ["STEWARD_PLAN"]).read_text("utf-8"))
    try:
        _evaluate(plan, read_options(plan))
    except CannotEvaluate as failure:
        leave_failure(failure.fault, str(failure))
        sys.exit(1)


def _evaluate(plan: dict[str, Any], options: InspectOptions) -> None:
    if importlib.util.find_spec("inspect_ai") is None:
        raise CannotEvaluate("evaluator", f"{sys.executable} has no inspect-ai: install steward-leaderboard[inspect]")
    if plan["mode"] == "score":
        words = "inspect-ai's scorers do not run again on stored answers: leave scores_again out of the suite"
        raise CannotEvaluate("evaluator", words)
    folder = working_folder()
    _enter_datasets(plan, folder)
    os.environ.update(INSPECT_DISPLAY="none", INSPECT_LOG_LEVEL="warning", HF_DATASETS_CACHE=str(folder / "cache"))
    from workers.evaluators.inspect_tasks.tasks import make_tasks  # imports inspect-ai, which reads the environment

    random.seed(plan["seed"])
    tasks = make_tasks(plan, options)
    logs = _run(plan, options, tasks)
    from workers.evaluators.inspect_tasks.answers import task_answers

    reports = {}
    for task in plan["tasks"]:
        name = task["name"]
        answers = task_answers(name, task["metrics"], logs[name], tasks[name].dataset, task["withdrawn"])
        lines = (json.dumps(sample, ensure_ascii=False) + "\n" for sample in answers.samples)
        (folder / "samples" / f"{name}.jsonl").write_text("".join(lines), "utf-8")
        reports[name] = answers.report
    _attach(plan, folder, logs)
    results = {
        "contract": 1,
        "evaluator": {"name": NAME, "version": VERSION},
        "model": plan["model"]["name"],
        "revision": plan["model"]["revision"],
        "tasks": reports,
        "versions": _versions(options),
    }
    (folder / "results.json").write_text(json.dumps(results), "utf-8")


def _enter_datasets(plan: Mapping[str, Any], folder: Path) -> None:
    """Change to a folder where `org/name` of each dataset links to its files: `load_dataset` searches there first."""
    here = folder / "datasets"
    for questions in plan["questions"]:
        link = here / questions["repo"]
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(questions["folder"])
    here.mkdir(exist_ok=True)
    os.chdir(here)


def _run(plan: dict[str, Any], options: InspectOptions, tasks: Mapping[str, Task]) -> dict[str, EvalLog]:
    """Run the tasks with the plan's model; return the log of each."""
    import torch
    import transformers

    from workers.evaluators.inspect_tasks.model import answer_tokens, load_model
    from workers.evaluators.inspect_tasks.progress import report_progress

    if threads := plan["devices"]["threads"]:
        torch.set_num_threads(threads)
    batch, limit = plan["devices"]["batch_size"], plan["limit"]
    sizes = (min(len(task.dataset), limit or len(task.dataset)) * (task.epochs or 1) for task in tasks.values())
    report_progress(int(os.environ["STEWARD_PROGRESS"]), sum(sizes))
    model = load_model(plan, options)
    transformers.set_seed(plan["seed"])
    settings: dict[str, Any] = {
        "max_tokens": answer_tokens(model.api.model, options),
        "max_connections": batch,
        "max_samples": batch,
        "seed": plan["seed"],
        **({"temperature": options.temperature, "top_p": options.top_p} if options.temperature else {}),
    }
    return {
        name: _log_of(name, task, model=model, limit=limit, time_limit=options.question_seconds, **settings)
        for name, task in tasks.items()
    }


def _log_of(name: str, task: Task, **settings: Any) -> EvalLog:
    """Run one task; return its log. Raises CannotEvaluate."""
    import inspect_ai

    try:
        (log,) = inspect_ai.eval(
            task,
            fail_on_error=False,
            log_dir=str(working_folder() / "logs" / name),
            log_format="eval",
            log_realtime=False,
            acp_server=False,
            ctl_server=False,
            display="none",
            **settings,
        )
    except Exception as error:  # a task is untrusted code, and may raise anything
        raise CannotEvaluate("evaluator", f"task {name} ended with an error: {one_line(error)}") from error
    return log


def _attach(plan: Mapping[str, Any], folder: Path, logs: Mapping[str, EvalLog]) -> None:
    """Move the logs to where the worker publishes them, as long as they fit."""
    left = plan["limits"]["attachments_bytes"]
    for name in list(logs)[: plan["limits"]["attachments"]]:
        for log in (folder / "logs" / name).glob("*.eval"):
            if (size := log.stat().st_size) <= left:
                log.rename(folder / "attachments" / f"{name}.eval")
                left -= size
            else:
                print(f"the log of {name} has {size:,} bytes and is not attached: {left:,} are left")


def _versions(options: InspectOptions) -> dict[str, str]:
    """The versions of the packages that computed the results, among them those of the tasks."""
    modules = {source.function.partition(".")[0].partition(":")[0] for source in options.tasks.values()} - {""}
    distributions = metadata.packages_distributions() if modules else {}
    packages = {*_PACKAGES, *(name for module in modules for name in distributions.get(module, ()))}
    return {name: metadata.version(name) for name in sorted(packages)}


if __name__ == "__main__":
    main()
