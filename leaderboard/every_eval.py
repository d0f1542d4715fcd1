"""Evaluations as records of Every Eval Ever, a common format for the results of all harnesses (schema 0.3.0).

    data/{board}/{developer}/{model}/{uuid}.json              one evaluation: a result per task and per benchmark
    data/{board}/{developer}/{model}/{uuid}_samples.jsonl     its answers, a line each

The same results file always gives the same file, byte for byte: ids are derived from its path, and the record's time is
that of the evaluation. Scores are the raw ones (0-1); a record also has the normalised ones.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from leaderboard.evaluations import Evaluation
from leaderboard.jsontext import JsonObject
from leaderboard.results import parse_harness, read_results, results_time
from leaderboard.scores import BadResults, Scores, score
from leaderboard.steward_block import BLOCK, StewardBlock
from leaderboard.suites import Benchmark, Suite

SCHEMA_VERSION = "0.3.0"
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]|^$')
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{name}{n}" for name in ("COM", "LPT") for n in range(1, 10)), "DATA"}


@dataclass(frozen=True)
class ExportSource:
    """Where the evaluations come from: the board's name, title and owner, and the address of its results repo."""

    board: str
    title: str
    organisation: str
    organisation_url: str
    results_url: str


@dataclass(frozen=True)
class ExportedEvaluation:
    """One evaluation with the content of its results file. `block` is None if another program wrote the file."""

    evaluation: Evaluation
    scores: Scores
    harness: Mapping[str, Any]
    block: StewardBlock | None
    time: float

    @property
    def path(self) -> str:
        """The path of its results file."""
        return self.evaluation.measured.path

    @property
    def model(self) -> str:
        """Its model."""
        return self.evaluation.measured.model


def read_evaluation(evaluation: Evaluation, data: bytes, suite: Suite) -> ExportedEvaluation | None:
    """Read the results file of an evaluation; None if it is not of `suite`, or its name has no time."""
    time = results_time(evaluation.measured.path)
    if time is None:
        return None
    try:
        if f'"{BLOCK}"'.encode() in data:
            results = read_results(data, suite)
            return ExportedEvaluation(evaluation, results.scores, results.data, results.block, time)
        harness = parse_harness(data)
        return ExportedEvaluation(evaluation, score(harness["results"], suite), harness, None, time)
    except BadResults:
        return None


def record_path(board: str, model: str, results: str) -> str | None:
    """Return the path of a record without its extension; None if the format forbids a name in it."""
    developer, _, name = model.rpartition("/")
    parts = (board, developer or "unknown", name)
    if any(_FORBIDDEN.search(part) or part.split(".")[0].upper() in _RESERVED or part.endswith(".") for part in parts):
        return None
    digest = hashlib.sha256(f"every-eval-ever\n{board}\n{results}".encode()).digest()
    return "/".join(("data", *parts, str(uuid.UUID(bytes=digest[:16], version=4))))


def evaluation_id(board: str, exported: ExportedEvaluation) -> str:
    """Return the id that joins a record and its samples."""
    return f"{board}/{exported.model.replace('/', '_')}/{exported.time:.6f}"


def record(source: ExportSource, suite: Suite, exported: ExportedEvaluation, samples: JsonObject | None) -> JsonObject:
    """Return the record of one evaluation; `samples` refers to the file of its answers, if there is one."""
    developer, _, name = exported.model.rpartition("/")
    note = exported.evaluation.measured.note
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation_id(source.board, exported),
        "evaluation_timestamp": f"{exported.time:.6f}",
        "retrieved_timestamp": f"{exported.time:.6f}",
        "source_metadata": {
            "source_name": source.title,
            "source_type": "evaluation_run" if samples is not None else "documentation",
            "source_organization_name": source.organisation,
            "source_organization_url": source.organisation_url,
            "evaluator_relationship": "third_party",
            "additional_details": {
                "results": f"{source.results_url}/{exported.path}",
                "suite": f"{suite.name} {suite.version}",
                "suite_digest": suite.digest,
                "average": str(exported.scores.average),
                **({"note": note} if note else {}),
            },
        },
        "eval_library": _library(exported),
        "model_info": {
            "name": name,
            "id": exported.model,
            "developer": developer or "unknown",
            "additional_details": _model_details(exported),
        },
        "evaluation_results": list(_results(suite, exported)),
        **({"detailed_evaluation_results": samples} if samples is not None else {}),
    }


def _library(exported: ExportedEvaluation) -> JsonObject:
    versions = exported.block.versions if exported.block is not None else {}
    details = {"additional_details": dict(versions)} if versions else {}
    if exported.block is not None and (evaluator := exported.block.evaluator) is not None:
        return {"name": evaluator.name, "version": evaluator.version, **details}
    version = versions.get("lm-eval") or exported.harness.get("lm_eval_version") or "unknown"
    return {"name": "lm_eval", "version": str(version), **details}


def _model_details(exported: ExportedEvaluation) -> dict[str, str]:
    request, measured, block = exported.evaluation.request, exported.evaluation.measured, exported.block
    base = block.base_model if block is not None else request.file.base_model or ""
    details = {
        "deployment_type": "self_deployed",
        "model_availability": "open_weights",
        "precision": request.path.precision,
        "weight_type": request.path.weight_type,
        "revision": exported.evaluation.revision,
        "base_model": base,
        "chat_template": "" if measured.chat_template is None else str(measured.chat_template).lower(),
        "parameters": str(measured.parameters or ""),
    }
    return {name: value for name, value in details.items() if value}


def _results(suite: Suite, exported: ExportedEvaluation) -> Iterator[JsonObject]:
    """Yield a result per task, and one per benchmark that is not a single task."""
    for benchmark, scored in zip(suite.benchmarks, exported.scores.benchmarks, strict=True):
        for task in scored.tasks:
            yield _result(suite, exported, benchmark, task.name, task.name, task.raw, task.normalised)
        if [task.name for task in benchmark.tasks] != [benchmark.source]:
            name = f"benchmark:{benchmark.source}"
            yield _result(suite, exported, benchmark, name, benchmark.name, scored.raw, scored.normalised)


def _result(
    suite: Suite, exported: ExportedEvaluation, benchmark: Benchmark, key: str, name: str, raw: float, normalised: float
) -> JsonObject:
    metrics = " + ".join(metric.partition(",")[0] for metric in benchmark.metrics)
    return {
        "evaluation_result_id": key,
        "evaluation_name": name,
        "source_data": _source_data(suite, exported, benchmark, key),
        "metric_config": {
            "evaluation_description": f"{benchmark.name}, {benchmark.shots}-shot",
            "metric_id": metrics,
            "metric_name": metrics,
            "metric_kind": "accuracy",
            "metric_unit": "proportion",
            "metric_parameters": {"shots": benchmark.shots},
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": {"score": raw, "details": _score_details(exported, benchmark, key, normalised)},
    }


def _score_details(exported: ExportedEvaluation, benchmark: Benchmark, key: str, normalised: float) -> dict[str, str]:
    """Return the normalised score, and its standard error where the result is that of the whole benchmark."""
    details = {"benchmark": benchmark.name, "normalised": str(normalised)}
    errors = exported.block.errors if exported.block is not None else {}
    is_whole = key.removeprefix("benchmark:") == benchmark.source
    if is_whole and benchmark.name in errors:
        details["normalised_standard_error"] = str(errors[benchmark.name])
    return details


def _source_data(suite: Suite, exported: ExportedEvaluation, benchmark: Benchmark, key: str) -> JsonObject:
    """Return the dataset of questions: as the harness's file names it, else the suite's, if it has only one."""
    configs = exported.harness.get("configs")
    config = configs.get(key) if isinstance(configs, Mapping) else None
    repo = config.get("dataset_path") if isinstance(config, Mapping) else None
    commits = exported.block.datasets if exported.block is not None else {}
    known = [dataset.repo for dataset in suite.datasets]
    if not (isinstance(repo, str) and repo in known):
        repo = known[0] if len(known) == 1 else None
    if repo is None:
        return {
            "dataset_name": benchmark.name,
            "source_type": "other",
            "additional_details": {"datasets": ", ".join(known)},
        }
    commit = commits.get(repo)
    details = {"additional_details": {"revision": commit}} if commit else {}
    return {"dataset_name": benchmark.name, "source_type": "hf_dataset", "hf_repo": repo, **details}


def sample_record(evaluation: str, model: str, task: str, row: Mapping[str, Any]) -> JsonObject | None:
    """Return one answer, a row of a details table, as a record; None if it has no finite score."""
    value = row.get("score")
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    prompt, target = str(row["prompt"]), str(row["target"])
    choices = [text for text in _listed(row["continuations"]) if isinstance(text, str)]
    is_choice = len(choices) > 1
    answer = _answer(_listed(row["answers"]), choices if is_choice else [])
    hashed = json.dumps({"raw": prompt, "reference": target}, sort_keys=True)
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation,
        "model_id": model,
        "evaluation_name": task,
        "evaluation_result_id": task,
        "sample_id": str(row["doc_id"]),
        "sample_hash": hashlib.sha256(hashed.encode()).hexdigest(),
        "interaction_type": "single_turn",
        "input": {"raw": prompt, "reference": [target], **({"choices": choices} if is_choice else {})},
        "output": {"raw": [answer]},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": answer,
                "extraction_method": str(row["filter"]) or "none",
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": float(value), "is_correct": float(value) == 1.0},
        "metadata": {"metrics": str(row["metrics"]), "answers": str(row["answers"])},
    }


def _number(value: Any) -> float:
    """Return a log-likelihood, which the harness may write as text; -inf for a value that is not a number."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return -math.inf
    return -math.inf if math.isnan(number) else number


def _listed(text: Any) -> list[Any]:
    """Return the list in a column of JSON text; empty where the text was cut off and is no JSON any more, or the column
    holds no text."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return []
    return value if isinstance(value, list) else []


def _answer(answers: list[Any], choices: list[str]) -> str:
    """Return the model's answer: of `choices` the one with the highest log-likelihood, else the text."""
    likelihoods = [_number(answer[0]) for answer in answers if isinstance(answer, list) and answer]
    if choices and len(likelihoods) == len(choices):
        return choices[max(range(len(choices)), key=lambda at: likelihoods[at])]
    first = answers[0] if answers else ""
    return first if isinstance(first, str) else json.dumps(first, ensure_ascii=False)
