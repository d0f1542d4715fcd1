"""The contract between a worker and an evaluator: the files that an evaluator reads and leaves, version 1.

    plan.json              the worker writes it: what to evaluate, on what, within which limits; or, in the mode
                           `score`, which stored samples to score again
    samples/{task}.jsonl   the evaluator leaves one line for each question
    results.json           the evaluator leaves it last: metric values, counts, versions
    failure.json           left instead of results, before an exit status other than 0: why it could not evaluate
    attachments/           any other files to publish beside the answers, such as logs of its own

All of them are in the evaluator's working folder, the only one that it can write to besides its home. It reports its
progress as JSON lines to the descriptor that PROGRESS_VARIABLE names. Standard output and error go to the log.

Each file is a model of this module, and its JSON schema is published in docs/schemas.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, Strict, StringConstraints, model_validator

from leaderboard.evaluators import EvaluatorIdentity, MetricName
from leaderboard.suite_questions import TaskName

CONTRACT: Literal[1] = 1
PLAN, RESULTS, SAMPLES, FAILURE = "plan.json", "results.json", "samples", "failure.json"
ATTACHMENTS = "attachments"
PLAN_VARIABLE, PROGRESS_VARIABLE = "STEWARD_PLAN", "STEWARD_PROGRESS"
"""The environment variables with the path of plan.json, and with the number of the descriptor for progress."""
MAX_FILE_BYTES = 1024 * 1024
"""The most bytes of results.json, and of failure.json."""
MAX_LINE_BYTES = 2 * 1024 * 1024
"""The most bytes of a line of a file of samples, with its line end."""
MAX_TEXT = 200_000
"""Characters of a prompt, an output, a target."""
MAX_SAMPLES, MAX_SAMPLES_BYTES = 200_000, 1 << 30
"""Lines and bytes of a file of samples."""
MAX_ATTACHMENTS, MAX_ATTACHMENTS_BYTES = 50, 64 << 20
"""Files in the folder of attachments, and their bytes in all."""
MAX_PROGRESS_BYTES = 4_096
"""The most bytes of a line of progress."""
ATTACHMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
"""The names that an attachment may have."""

Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ShortText = Annotated[str, StringConstraints(max_length=200)]
PackageName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
LongText = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Count = Annotated[int, Strict(), Field(ge=0, le=1_000_000_000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def question_digest(question: Mapping[str, Any]) -> str:
    """Return the digest of a question: SHA-256 of its JSON with sorted keys, no spaces, and non-ASCII text escaped."""
    canonical = json.dumps(question, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


# --- what the worker writes


class PlannedBaseModel(_Part):
    """The base model of an adapter or a delta."""

    name: str = Field(description="org/name")
    revision: str = Field(description="its commit")
    folder: str = Field(description="folder with its files, read-only")


class PlannedModel(_Part):
    """The model to evaluate."""

    name: str = Field(description="org/name; results.json repeats it")
    revision: Commit = Field(description="its commit; results.json repeats it")
    folder: str = Field(
        description="folder with its config, tokenizer and safetensors, read-only; empty where `mode` is `score`"
    )
    weight_type: Literal["Original", "Adapter", "Delta"] = Field(description="`Adapter` and `Delta` need their base")
    base: PlannedBaseModel | None = Field(default=None, description="the base model of an Adapter or a Delta")
    dtype: str = Field(description="dtype in which to load the weights: float32, float16, bfloat16")
    quantisation: dict[str, str | bool] = Field(
        default_factory=dict, description="arguments of transformers' BitsAndBytesConfig; empty: none"
    )
    use_chat_template: bool = Field(default=False, description="whether the request asks for the chat template")


class PlannedDevices(_Part):
    """The devices of the evaluation."""

    device: str = Field(description="`cpu`, `cuda` or `cuda:0`; only the worker's GPUs are visible")
    spread: Literal["one", "copies", "parts"] = Field(
        description="how the worker would use several: one of them, a copy of the model on each, or layers on each"
    )
    copies: int = Field(ge=1, description="devices, where `spread` is `copies`")
    batch_size: int = Field(ge=1, description="questions at once that should fit into memory")
    threads: int | None = Field(default=None, description="CPU threads; null: your choice")


class PlannedQuestions(_Part):
    """One dataset of the suite: the files of its repo, as they are on the Hub."""

    repo: str = Field(description="org/name, as the suite names it")
    revision: str = Field(description="its commit")
    folder: str = Field(description="folder with the repo's files, read-only")


class PlannedTask(_Part):
    """One task: it gets a file of samples and an entry in results.json."""

    name: TaskName = Field(description="its name; the samples go to samples/{name}.jsonl")
    metrics: tuple[MetricName, ...] = Field(description="metrics that the suite scores")
    shots: int = Field(ge=0, description="examples before each question")
    withdrawn: tuple[int, ...] = Field(
        default=(), description="ids of questions that are asked and do not count in the metrics that you report"
    )


class PlannedLimits(_Part):
    """The limits of the evaluation: the worker ends an evaluator that exceeds one."""

    seconds: float = Field(description="of the whole evaluation")
    stall_seconds: float = Field(description="without new progress")
    memory_bytes: int | None = Field(default=None, description="of main memory; null: no limit")
    disk_bytes: int | None = Field(default=None, description="of all files; null: no limit")
    line_bytes: int = Field(default=MAX_LINE_BYTES, description="of one line of samples")
    samples: int = Field(default=MAX_SAMPLES, description="of one task")
    samples_bytes: int = Field(default=MAX_SAMPLES_BYTES, description="of the samples of one task")
    attachments: int = Field(default=MAX_ATTACHMENTS, description="files in attachments/")
    attachments_bytes: int = Field(default=MAX_ATTACHMENTS_BYTES, description="of all files in attachments/")


class EvaluatorPlan(_Part):
    """plan.json: one evaluation."""

    contract: Literal[1] = Field(description="version of this contract")
    mode: Literal["evaluate", "score"] = Field(
        default="evaluate",
        description="`score`: score the samples in `stored` again, without a model; only where the suite has "
        "`scores_again`",
    )
    evaluator: EvaluatorIdentity = Field(description="name and version that the suite asks for")
    model: PlannedModel = Field(description="what to evaluate")
    devices: PlannedDevices = Field(description="on what")
    seed: int = Field(description="for everything random")
    questions: tuple[PlannedQuestions, ...] = Field(
        description="the suite's datasets; none where `mode` is `score`: the samples hold their questions"
    )
    stored: str | None = Field(
        default=None,
        description="folder with {task}.jsonl for each task, read-only: the samples to score again; null: none",
    )
    tasks: tuple[PlannedTask, ...] = Field(description="the suite's tasks, in its order")
    limit: int | None = Field(default=None, description="ask the first questions of each task only; null: ask all")
    limits: PlannedLimits = Field(description="within which limits")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="the suite's options, as it has them")


# --- what the evaluator leaves


class EvaluatorSample(_Part):
    """A line of samples/{task}.jsonl: one question with its answer."""

    id: Count = Field(description="number of the question in its task, from 0, the same in each evaluation")
    question_digest: Sha256 = Field(
        description="SHA-256 of the question with its answer, as JSON with sorted keys, without spaces, in ASCII"
    )
    question: dict[str, JsonValue] | None = Field(
        default=None, description="the question itself, for pages and for clusters; it must have that digest"
    )
    prompt: LongText = Field(description="what the model is asked, before any chat template")
    target: LongText = Field(default="", description="the right answer")
    output: LongText = Field(description="what the model answered")
    metrics: dict[MetricName, Number] = Field(
        max_length=50, description="metric → value for this question, 0 to 1 where the suite takes the mean"
    )
    error: Annotated[str, StringConstraints(max_length=1_000)] = Field(
        default="", description="why there is no answer; empty: there is one"
    )

    @model_validator(mode="after")
    def _digest_is_of_the_question(self) -> EvaluatorSample:
        if self.question is not None and question_digest(self.question) != self.question_digest:
            raise ValueError("question_digest is not the digest of question")
        return self


class TaskReport(_Part):
    """The results of one task."""

    questions: Count = Field(description="number of samples")
    errors: Count = Field(default=0, description="number of samples with an error")
    metrics: dict[MetricName, Number] = Field(max_length=50, description="metric → value for the task, 0 to 1")


class EvaluatorResults(_Part):
    """results.json: the results of the evaluation."""

    contract: Literal[1] = Field(description="version of this contract")
    evaluator: EvaluatorIdentity = Field(description="name and version of the program that wrote this")
    model: ShortText = Field(description="name of the model that was evaluated")
    revision: Commit = Field(description="its commit")
    tasks: dict[TaskName, TaskReport] = Field(max_length=200, description="task → its results")
    versions: dict[PackageName, Annotated[str, StringConstraints(max_length=100)]] = Field(
        default_factory=dict,
        max_length=40,
        description="package → version, of all that computed the results; results with another version of a package "
        "that scores, so not of torch, transformers, numpy or the like, are scored otherwise",
    )


class EvaluatorFailure(_Part):
    """failure.json: why the evaluator could not evaluate."""

    contract: Literal[1] = Field(description="version of this contract")
    fault: Literal["model", "evaluator"] = Field(
        description="`model`: its author must change something; `evaluator`: the board's operators must"
    )
    message: Annotated[str, StringConstraints(min_length=1, max_length=1_000)] = Field(
        description="one sentence for the people who read why it failed"
    )


class EvaluatorProgress(_Part):
    """A line of progress."""

    done: Count = Field(description="questions that are done")
    total: Count = Field(default=0, description="all questions; 0: not known yet")

    @model_validator(mode="after")
    def _within_total(self) -> EvaluatorProgress:
        if self.total and self.done > self.total:
            raise ValueError("done is more than total")
        return self


FILES: Mapping[str, type[BaseModel]] = {
    "plan": EvaluatorPlan,
    "sample": EvaluatorSample,
    "results": EvaluatorResults,
    "failure": EvaluatorFailure,
    "progress": EvaluatorProgress,
}
"""The files of the contract, and their models."""


def schema(name: str) -> dict[str, Any]:
    """The JSON schema of the file `name` of FILES."""
    title = {"title": f"Steward evaluator contract {CONTRACT}: {name}"}
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**dialect, **FILES[name].model_json_schema(mode="validation"), **title}
