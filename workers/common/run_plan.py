"""The run plan: the complete description of one evaluation and its limits, which the child gets as JSON.

A plan holds no token, no address and no name of another machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from leaderboard.attempts import ATTEMPT_ID
from leaderboard.engines import EngineName
from leaderboard.evaluators import EvaluatorIdentity

HARNESS_SEED = 1234
"""The lm_eval command's seed for numpy, torch and the few-shot sampler; it seeds `random` with 0."""

CHILD_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONHASHSEED": "0",
    # Query GPUs without initialising CUDA: a process that initialised it cannot fork children that use a GPU.
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    # Waiting threads sleep instead of spinning on cores that others need: ten times faster on a busy machine.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Variables of the zygote's environment; they put its libraries into offline mode before they are imported."""

NLTK_DATA = "NLTK_DATA"
"""The environment variable that names folders with nltk's data; the zygote inherits it from the worker."""

STREAM = 3
"""The file descriptor of the stream from a child to its worker."""
JOURNAL = STREAM + 1
"""The file descriptor of the child's journal; those of the other copies of the model follow.

If the plan names `answers`, the copies' journals of answers by request follow, then `offered` ones of other machines.
"""


CHANGED_TASKS = "changed_tasks.json"
"""The file in the spool with the digests of the child's tasks, if its plan does not accept these tasks."""


CLAIMS_COMPARED = "claims_compared.json"
"""The file in the spool with the verdict about each claimed answer, if the plan names claimed answers."""


PROMPT_TOKENS = "prompt_tokens.json"
"""The file in the spool with the tokens of each question's prompt, if the plan asks for them."""


@dataclass(frozen=True)
class RunProgress:
    """The child's progress: `done` of `total` requests of the harness; total 0 means not known yet.

    Phases in order: `load` (weights), `prepare` (prompts), `evaluate`, `score`. An earlier attempt answered `replayed`
    of the done requests.
    """

    phase: str
    done: int = 0
    total: int = 0
    replayed: int = 0


Report = Callable[[RunProgress], None]
"""A callback for progress. The evaluation calls it once per request; `StreamWriter` sends only some of the calls on."""


class RunLimits(BaseModel):
    """The limits of one attempt: time, memory, disk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_seconds: float = Field(default=8 * 3600, gt=0)
    stall_seconds: float = Field(default=1800, gt=0, description="without progress")
    memory_bytes: int | None = Field(default=None, gt=0, description="address space of the child; None: no limit")
    spool_bytes: int | None = Field(default=None, gt=0, description="of all files in the spool; None: no limit")


WeightType = Literal["Original", "Adapter", "Delta"]
Spread = Literal["one", "copies", "parts"]
"""How an evaluation uses its devices: one of them; a copy of the model on each; or layers distributed over them."""


class EvaluatorCommand(EvaluatorIdentity):
    """The command of an evaluator other than lm-eval, ready to start on this machine."""

    words: tuple[str, ...] = Field(min_length=1, description="program and arguments, with absolute paths")
    folders: tuple[Path, ...] = Field(default=(), description="what the sandbox shows of the machine besides")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="the suite's options")
    metrics: dict[str, tuple[str, ...]] = Field(description="task → metrics that the suite scores")


class ClaimedAnswer(BaseModel):
    """The answers that another worker claims to one question, one for each request of the harness.

    An answer is a text, or a log-likelihood and whether its text is the most likely one. None: they could not be read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    number: int = Field(ge=0)
    answers: tuple[tuple[float, bool] | str, ...]


class RunPlan(BaseModel):
    """One evaluation, ready to run without the network."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    attempt: str = Field(pattern=ATTEMPT_ID.pattern)
    model: str = Field(max_length=200, description="org/name, for people")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    model_path: Path = Field(description="folder with the model's files at that revision")
    weight_type: WeightType = "Original"
    base_model: str = Field(
        default="", max_length=200, description="org/name of the base model of an Adapter or a Delta"
    )
    base_revision: str = Field(default="", pattern=r"^([0-9a-f]{40})?$")
    base_path: Path | None = Field(default=None, description="folder with the base model's files at that revision")
    dtype: str = "float32"
    quantisation: dict[str, str | bool] = Field(
        default_factory=dict, description="arguments of BitsAndBytesConfig; empty: as the checkpoint itself says"
    )
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    spread: Spread = "one"
    copies: int = Field(default=1, ge=1, le=64, description="processes that share the questions, where spread: copies")
    batch_size: int = Field(default=1, ge=1, le=4096)
    engine: EngineName = Field(default="shared-prefix", description="how the model's answers are computed")
    evaluator: EvaluatorCommand | None = Field(default=None, description="the suite's evaluator; None: lm-eval")
    stored: Path | None = Field(
        default=None,
        description="folder of stored samples that the evaluator scores again, without the model; None: it evaluates",
    )
    tasks: tuple[str, ...] = Field(min_length=1, description="names of tasks, or of groups of the harness")
    task_folder: Path | None = Field(default=None, description="the suite's own task files; None: the harness's own")
    datasets: Path = Field(
        description="cache folder of `datasets` that holds all questions; for another evaluator, the repos' own files"
    )
    moved: dict[str, str] = Field(
        default_factory=dict, description="dataset that the harness's tasks name → the one that is in the cache"
    )
    revisions: dict[str, str] = Field(default_factory=dict, description="dataset in the cache → its commit")
    use_chat_template: bool = False
    num_fewshot: int | None = Field(default=None, ge=0, description="of all tasks; None: what each says")
    shots: dict[str, int] = Field(default_factory=dict, description="task → examples, where the suite says how many")
    withdrawn: dict[str, tuple[int, ...]] = Field(
        default_factory=dict, description="task → questions that are asked and do not count"
    )
    claimed: tuple[ClaimedAnswer, ...] = Field(
        default=(), description="answers of another worker: these questions alone are computed, and compared"
    )
    keep_tokens: bool = Field(default=False, description="leave the tokens of the prompts in the spool: a few prompts")
    limit: int | None = Field(default=None, ge=1, description="questions of each task; None: all, as scores need it")
    seed: int = HARNESS_SEED
    limits: RunLimits = RunLimits()
    spool: Path = Field(description="the only folder that the child writes to")
    suite: str
    suite_digest: str
    rules: str = Field(default="", description="digest of the suite's rules that make scores")
    accepted: tuple[str, ...] = Field(
        default=(), description="fingerprints of what may be asked and how it may be scored; empty: anything"
    )
    journal: str = Field(
        default="",
        pattern=r"^([0-9a-f]{64})?$",
        description="what this evaluation's answers depend on; none: no journal",
    )
    journal_bytes: int = Field(default=0, ge=0, description="the largest journal of one copy of the model")
    answers: str = Field(
        default="",
        pattern=r"^([0-9a-f]{64})?$",
        description="what this evaluation's answers depend on besides the machine; none: no answers by request",
    )
    answers_bytes: int = Field(default=0, ge=0, description="the most bytes of one copy's answers by request")
    offered: int = Field(default=0, ge=0, le=64, description="journals of answers by request of other machines")
    threads: int | None = Field(default=None, ge=1, description="CPU threads of torch; None: its own choice")

    def with_examples(self, *, shots: int | None, limit: int | None) -> RunPlan:
        """The same plan with `shots` examples for all tasks (None: their own), and `limit` questions of each."""
        return self.model_copy(update={"num_fewshot": shots, "limit": limit})

    def with_tasks(self, folder: Path, tasks: tuple[str, ...], *, keep_tokens: bool = False) -> RunPlan:
        """The same plan for other tasks, whose files in `folder` hold complete prompts."""
        changes: dict[str, Any] = {"task_folder": folder, "tasks": tasks, "keep_tokens": keep_tokens}
        as_written: dict[str, Any] = {"use_chat_template": False, "num_fewshot": None, "limit": None, "shots": {}}
        return self.model_copy(update={**changes, **as_written})

    def with_claimed(self, claimed: tuple[ClaimedAnswer, ...], tasks: tuple[str, ...]) -> RunPlan:
        """The same plan for these tasks, in which one copy of the model computes only the claimed questions."""
        spread = "one" if self.spread == "copies" else self.spread
        return self.model_copy(update={"claimed": claimed, "tasks": tasks, "spread": spread, "copies": 1})

    @property
    def weights_path(self) -> Path:
        """The folder that the harness loads: the base model's, for an Adapter or a Delta."""
        return self.model_path if self.base_path is None else self.base_path
