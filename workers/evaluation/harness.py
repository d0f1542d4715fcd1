"""The harness, as the `lm_eval` command drives it. Importing this module is what the zygote is for.

Imports only: not one tensor operation and not one tokenisation may happen before the fork, or children deadlock.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import lm_eval.tasks
import torch
import transformers.models.llama.modeling_llama  # noqa: F401  # the commonest architecture, loaded once for all children
from lm_eval.evaluator import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from lm_eval.utils import sanitize_model_name

from leaderboard.results import BLOCK
from workers.common.run_plan import STREAM, Report, RunPlan, RunProgress
from workers.errors import EvaluationFailed
from workers.evaluation import data_parallel
from workers.evaluation.harness_model import REPORTING_MODEL, ReportingTaskManager, RequestCounter, has_tokenizer


def run(plan: RunPlan, report: Report) -> None:
    """Evaluate `plan` as the command would, and leave results and samples in its spool."""
    if plan.threads:
        torch.set_num_threads(plan.threads)
    datasets.config.HF_DATASETS_CACHE = _view_of(plan.datasets, plan.spool / "datasets")
    if plan.moved:
        datasets.load_dataset = _load_moved(plan.moved, datasets.load_dataset)
    report(RunProgress("load"))
    if plan.copies > 1:
        data_parallel.start_copies(
            plan.copies, on_cpu=plan.device == "cpu", body=partial(_run_copy, plan), stream=STREAM
        )
    tracker = EvaluationTracker(output_path=str(plan.spool))
    counter = RequestCounter(report, plan.dtype)
    results = _evaluate(plan, counter, tracker)
    if results is None:
        raise EvaluationFailed("the harness ended without results")
    samples = results.pop("samples")
    _describe(plan, results, tracker)
    results[BLOCK] = {"seconds": counter.seconds}
    save(plan.spool, tracker, results, samples)


def _run_copy(plan: RunPlan) -> None:
    """Answer this copy's share of the questions, and hand the answers to the first."""
    _evaluate(plan, RequestCounter(lambda _: None, plan.dtype))


def _evaluate(
    plan: RunPlan, counter: RequestCounter, tracker: EvaluationTracker | None = None
) -> dict[str, Any] | None:
    """The harness's results; None in a copy."""
    found: dict[str, Any] | None = simple_evaluate(**_arguments(plan, counter), evaluation_tracker=tracker)
    return found


def _load_moved(moved: dict[str, str], load: Any) -> Any:
    """`load_dataset`, with questions where the board holds them: the harness's task files name a repo of their own.

    It is replaced for this process alone, which evaluates once and ends.
    """

    def loaded(path: str, *arguments: Any, **options: Any) -> Any:
        return load(moved.get(path, path), *arguments, **options)

    return loaded


def _view_of(cache: Path, folder: Path) -> Path:
    """A folder that shows what is in `cache` and can be written to.

    The library puts lock files there, and tables that tasks derive from the questions. These must be kept for as long
    as the evaluation runs: GPQA shuffles its choices whenever it derives them, and derives them several times.
    """
    for path in sorted(cache.rglob("*")):
        shown = folder / path.relative_to(cache)
        if path.is_dir():
            shown.mkdir(parents=True, exist_ok=True)
        else:
            shown.parent.mkdir(parents=True, exist_ok=True)
            shown.symlink_to(path)
    return folder


def _arguments(plan: RunPlan, counter: RequestCounter) -> dict[str, Any]:
    """What the command hands to `simple_evaluate` for this plan."""
    folders = _task_folders(plan)
    described = _model_arguments(plan)
    manager = ReportingTaskManager(
        counter, plan.shots, include_path=folders, include_defaults=not folders, metadata=described
    )
    return {
        "model": REPORTING_MODEL,
        "model_args": {**model_arguments(plan), "counter": counter, "plan": plan},
        "tasks": list(plan.tasks),
        "num_fewshot": plan.num_fewshot,
        "limit": plan.limit,
        "batch_size": plan.batch_size,
        "device": plan.device,
        "apply_chat_template": plan.use_chat_template,
        "fewshot_as_multiturn": plan.use_chat_template or None,
        "task_manager": manager,
        "log_samples": True,
        "random_seed": 0,
        "numpy_random_seed": plan.seed,
        "torch_random_seed": plan.seed,
        "fewshot_random_seed": plan.seed,
    }


def model_arguments(plan: RunPlan) -> dict[str, Any]:
    """What the harness's `hf` model is told: in its own words, but for what no word of it does.

    It knows no `load_in_8bit` that transformers 5 would take, and adds deltas with both models whole in memory:
    `WatchedModel` sees to these two by the plan.
    """
    words: dict[str, Any] = {
        "pretrained": str(plan.weights_path),
        "dtype": plan.dtype,
        "trust_remote_code": False,
        "use_safetensors": True,
    }
    if plan.weight_type == "Adapter":
        words["peft"] = str(plan.model_path)
    if plan.weight_type != "Original" and has_tokenizer(plan.model_path):
        words["tokenizer"] = str(plan.model_path)
    if plan.spread == "parts":
        words["parallelize"] = True
    return words


def _task_folders(plan: RunPlan) -> list[Path]:
    """Where the plan's tasks are described; none where the harness has to look through all that it has.

    That takes it seconds, so a group of its own that has a folder of its name is read from there alone.
    """
    if plan.task_folder is not None:
        return [plan.task_folder]
    folders = [Path(lm_eval.tasks.__file__).parent / name for name in plan.tasks]
    return folders if all(folder.is_dir() for folder in folders) else []


def _model_arguments(plan: RunPlan) -> dict[str, Any]:
    """The model as the command would be told it: by name and commit, not by a folder of this machine."""
    told: dict[str, Any] = {"pretrained": plan.model, "revision": plan.revision, "dtype": plan.dtype}
    if plan.weight_type != "Original":
        told |= {"pretrained": plan.base_model, "revision": plan.base_revision}
        told["peft" if plan.weight_type == "Adapter" else "delta"] = f"{plan.model}@{plan.revision}"
    return told | plan.quantisation


def _describe(plan: RunPlan, results: dict[str, Any], tracker: EvaluationTracker) -> None:
    """Put the model's name where the harness saw a folder, and leave out where on this machine the tasks lay."""
    results["config"] |= {
        "model": "hf",
        "model_args": _model_arguments(plan),
        "model_revision": plan.revision,
        "model_sha": plan.revision,
    }
    for config in results["configs"].values():
        metadata = config.get("metadata") or {}
        if "config_source" in metadata:
            metadata["config_source"] = Path(metadata["config_source"]).name
    general = tracker.general_config_tracker
    general.model_source = "hf"
    general.model_name = plan.model
    general.model_name_sanitized = sanitize_model_name(plan.model)


def save(spool: Path, tracker: EvaluationTracker, results: dict[str, Any], samples: dict[str, Any]) -> None:
    """Let the harness write its own files, then give them the names that the worker expects.

    The harness logs a failure to write and goes on, so what should be there is looked for.
    """
    tracker.save_results_aggregated(results=results, samples=samples)
    tasks = list(samples)
    for task in tasks:
        tracker.save_results_samples(task_name=task, samples=_release_each(samples.pop(task)))
    written = spool / str(tracker.general_config_tracker.model_name_sanitized)
    (spool / "samples").mkdir(exist_ok=True)
    for task in tasks:
        _take(written, f"samples_{task}_*.jsonl", spool / "samples" / f"{task}.jsonl")
    _take(written, "results_*.json", spool / "results.json")
    written.rmdir()


def _release_each(answers: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each in order, and then held no longer: writing them down makes each of them larger."""
    answers.reverse()
    while answers:
        yield answers.pop()


def _take(folder: Path, pattern: str, target: Path) -> None:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise EvaluationFailed(f"the harness left {len(found)} files {pattern}, where one was expected")
    found[0].rename(target)
