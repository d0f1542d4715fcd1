"""Runs the harness as the `lm_eval` command does. The zygote imports this module once for all children.

The import must run no tensor operation and no tokenisation: either would make forked children deadlock.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import lm_eval.evaluator
import torch
import transformers.models.llama.modeling_llama  # noqa: F401  # the most common architecture, loaded once for all children
from lm_eval.evaluator import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from lm_eval.utils import sanitize_model_name

from leaderboard.steward_block import BLOCK
from workers.common.run_plan import PROMPT_TOKENS, STREAM, Report, RunPlan, RunProgress
from workers.errors import EvaluationFailed
from workers.evaluation import data_parallel
from workers.evaluation.claimed_answers import CLAIMS_MODEL
from workers.evaluation.digest_recorder import DigestRecorder
from workers.evaluation.harness_model import REPORTING_MODEL
from workers.evaluation.installed_packages import list_packages_without_pip
from workers.evaluation.model_checks import has_tokenizer
from workers.evaluation.request_counter import ReportingTaskManager, RequestCounter
from workers.evaluation.shared_prefix.templates import compile_templates_once
from workers.evaluation.task_loading import aggregate_without, seed_language_detection, task_folders
from workers.evaluation.template_date import pin_template_date


def run(plan: RunPlan, report: Report) -> None:
    """Evaluate `plan` as the `lm_eval` command would, and write results and samples to its spool."""
    if plan.threads:
        torch.set_num_threads(plan.threads)
    datasets.config.HF_DATASETS_CACHE = _writable_view(plan.datasets, plan.spool / "datasets")
    if plan.moved:
        datasets.load_dataset = _load_moved(plan.moved, datasets.load_dataset)
    # The harness would run git, which prints in the log that the folder is no repository, or describes Steward's.
    lm_eval.evaluator.get_git_commit_hash = lambda: None
    list_packages_without_pip()
    evaluator = lm_eval.evaluator
    evaluator._process_results = aggregate_without(plan.withdrawn, evaluator._process_results)
    seed_language_detection()
    compile_templates_once()
    pin_template_date()
    report(RunProgress("load"))
    if plan.copies > 1:
        data_parallel.start_copies(
            plan.copies, on_cpu=plan.device == "cpu", body=partial(_run_copy, plan), stream=STREAM
        )
    tracker = EvaluationTracker(output_path=str(plan.spool))
    counter = RequestCounter(report, plan.dtype, _recorder(plan))
    results = _evaluate(plan, counter, tracker)
    if results is None:
        raise EvaluationFailed("the harness ended without results")
    samples = results.pop("samples")
    _describe(plan, results, tracker)
    results[BLOCK] = {"seconds": counter.seconds}
    if counter.engine_record is not None:
        results[BLOCK]["engine"] = asdict(counter.engine_record)
    results[BLOCK]["digests"] = counter.digests.parts().model_dump(mode="json")
    if counter.digests.tokens is not None:
        (plan.spool / PROMPT_TOKENS).write_text(json.dumps(counter.digests.tokens))
    save(plan.spool, tracker, results, samples)


def _run_copy(plan: RunPlan) -> None:
    """Answer this copy's share of the questions; the harness sends the answers to rank 0."""
    _evaluate(plan, RequestCounter(lambda _: None, plan.dtype, _recorder(plan)))


def _recorder(plan: RunPlan) -> DigestRecorder:
    recorder = DigestRecorder(plan.revisions, plan.moved)
    recorder.tokens = {} if plan.keep_tokens else None
    return recorder


def _evaluate(
    plan: RunPlan, counter: RequestCounter, tracker: EvaluationTracker | None = None
) -> dict[str, Any] | None:
    """The harness's results; None in a copy other than rank 0."""
    results: dict[str, Any] | None = simple_evaluate(**_arguments(plan, counter), evaluation_tracker=tracker)
    return results


def _load_moved(moved: dict[str, str], load: Any) -> Any:
    """Wrap `load_dataset` so that it reads the board's copies instead of the repos that the harness's task files name.

    The replacement affects only this process, which evaluates once and ends.
    """

    def loaded(path: str, *arguments: Any, **options: Any) -> Any:
        return load(moved.get(path, path), *arguments, **options)

    return loaded


def _writable_view(cache: Path, folder: Path) -> Path:
    """Fill `folder` with links to the files in `cache`, as a view of the cache that can be written to.

    `datasets` writes lock files to it, and tables that tasks derive from the questions. The tables must stay for the
    whole evaluation: GPQA shuffles its choices each time it derives them, and derives them several times.
    """
    for path in sorted(cache.rglob("*")):
        link = folder / path.relative_to(cache)
        if path.is_dir():
            link.mkdir(parents=True, exist_ok=True)
        else:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return folder


def _arguments(plan: RunPlan, counter: RequestCounter) -> dict[str, object]:
    """The arguments that the command passes to `simple_evaluate` for this plan."""
    folders = task_folders(plan.tasks, plan.task_folder)
    manager = ReportingTaskManager(
        counter,
        plan.shots,
        include_path=folders,
        include_defaults=not folders,
        metadata=_published_model_arguments(plan),
    )
    return {
        "model": CLAIMS_MODEL if plan.claimed else REPORTING_MODEL,
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


def model_arguments(plan: RunPlan) -> dict[str, object]:
    """The arguments of the harness's `hf` model, except for quantisation and deltas.

    Its `load_in_8bit` does not work with transformers 5, and it adds deltas with both models whole in memory:
    `ReportingModel` does both by the plan.
    """
    arguments: dict[str, Any] = {
        "pretrained": str(plan.weights_path),
        "dtype": plan.dtype,
        "trust_remote_code": False,
        "use_safetensors": True,
    }
    if plan.weight_type == "Adapter":
        arguments["peft"] = str(plan.model_path)
    if plan.weight_type != "Original" and has_tokenizer(plan.model_path):
        arguments["tokenizer"] = str(plan.model_path)
    if plan.spread == "parts":
        arguments["parallelize"] = True
    return arguments


def _published_model_arguments(plan: RunPlan) -> dict[str, object]:
    """The model arguments as the command would get them: by name and commit, not by a folder of this machine."""
    arguments: dict[str, Any] = {"pretrained": plan.model, "revision": plan.revision, "dtype": plan.dtype}
    if plan.weight_type != "Original":
        arguments |= {"pretrained": plan.base_model, "revision": plan.base_revision}
        arguments["peft" if plan.weight_type == "Adapter" else "delta"] = f"{plan.model}@{plan.revision}"
    return arguments | plan.quantisation


def _describe(plan: RunPlan, results: dict[str, Any], tracker: EvaluationTracker) -> None:
    """Replace the model's folder in the results by its name, and drop the task folders of this machine.

    The arguments are an object, as this version of the `lm_eval` command writes them. Front ends that expect a text
    there read `model_name` first, a field that the harness itself does not write.
    """
    results["config"] |= {
        "model": "hf",
        "model_name": plan.model,
        "model_args": _published_model_arguments(plan),
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
    """Let the harness write its files, then rename them as the worker expects.

    The harness logs a failed write and goes on, so this function checks that each file exists.
    """
    tracker.save_results_aggregated(results=results, samples=samples)
    tasks = list(samples)
    for task in tasks:
        tracker.save_results_samples(task_name=task, samples=_release_each(samples.pop(task)))
    written = spool / str(tracker.general_config_tracker.model_name_sanitized)
    (spool / "samples").mkdir(exist_ok=True)
    for task in tasks:
        _move(written, f"samples_{task}_*.jsonl", spool / "samples" / f"{task}.jsonl")
    _move(written, "results_*.json", spool / "results.json")
    written.rmdir()


def _release_each(answers: list[dict[str, Any]]) -> Iterator[dict[str, object]]:
    """Yield each answer in order and release it: the writer makes each of them larger."""
    answers.reverse()
    while answers:
        yield answers.pop()


def _move(folder: Path, pattern: str, target: Path) -> None:
    """Move the one file that matches `pattern` to `target`. Raises EvaluationFailed if there is not exactly one."""
    files = sorted(folder.glob(pattern))
    if len(files) != 1:
        raise EvaluationFailed(f"the harness left {len(files)} files {pattern}, where one was expected")
    files[0].rename(target)
