"""The digests of a result, which show whether it can be compared with another one, and the parts of these digests.

A results file names three digests beside `suite_digest`, each a SHA-256 of what the evaluation used:

- `asked`: the questions. For each task its requests in order, before chat template and tokenizer, with the arguments of
  generation, and the questions with their right answers, as the task prepared them.
- `scored`: the scoring of the answers. For each task its metrics, filters and targets, the source of each module
  that computes them, and the versions of the packages that these use; and the suite's rules, such as normalisation.
- `prompts`: the token lists that the model was given. They depend on the tokenizer and the chat template too, so this
  digest is the same only for models that share them.

The file also has the parts of the digests, so that a comparison can name a difference. Results with the same `asked`
answered the same questions. With the same `scored` too, their scores can be compared; otherwise the answers can be
scored anew. Older results without digests are compared by the suite's digest.

`workers.evaluation.digest_recorder` computes the parts; the functions here combine them.
`leaderboard.comparability` compares two results.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from leaderboard.suite_questions import TaskName
from leaderboard.suites import Suite

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
PartDigest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""The shortened digest of a part, which comparisons use to name a difference."""
ModuleName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Version = Annotated[str, StringConstraints(max_length=100)]
SHORT_DIGEST = 12
"""Digits of `asked` that pages show and searches find."""


def digest_of(value: Any) -> str:
    """The SHA-256 of JSON data, which does not depend on the order of an object's members: 64 hexadecimal digits."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


class AskedParts(BaseModel):
    """The questions of one task. The digest `asked` covers requests and documents; the other fields are for people."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    requests: Digest = Field(description="digest of the requests in order: no chat template, but generation arguments")
    documents: Digest = Field(description="digest of the questions with their right answers, as the task prepared them")
    questions: int = Field(ge=0, description="number of questions")
    shots: int = Field(default=0, ge=0, le=1_000, description="examples before each question")
    dataset: str = Field(default="", max_length=300, description="repo@commit of the questions")


class ScoredParts(BaseModel):
    """The scoring of one task's answers. `modules` and `packages` name entries of the result's own lists."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    metrics: PartDigest = Field(description="digest of the metrics with their options and aggregations")
    filters: PartDigest = Field(description="digest of the filters of answers")
    targets: PartDigest = Field(description="digest of how the task reads the right answer and the choices")
    modules: tuple[ModuleName, ...] = Field(
        default=(), max_length=200, description="names in `modules` of the modules that compute its scores"
    )
    packages: tuple[ModuleName, ...] = Field(
        default=(), max_length=100, description="names in `versions` of the packages that these use"
    )


class TaskDigests(BaseModel):
    """The parts of one task. `prompts` is "" where the tokens are not known."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    asked: AskedParts
    scored: ScoredParts
    prompts: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""


class DigestParts(BaseModel):
    """The parts from which the digests of one result are computed, as the evaluation reports them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    tasks: dict[TaskName, TaskDigests] = Field(min_length=1, max_length=1_000, description="task → its parts")
    modules: dict[ModuleName, PartDigest] = Field(
        default_factory=dict, max_length=1_000, description="module that computes scores → digest of its source"
    )
    versions: dict[ModuleName, Version] = Field(
        default_factory=dict, max_length=200, description="package that these modules use → its version"
    )
    softmax_dtype: str = Field(default="", max_length=32, description="dtype of the softmax, if not the model's")

    def scored_of(self, task: str) -> dict[str, Any]:
        """The scoring of the answers to `task`, as JSON data."""
        scored = self.tasks[task].scored
        return {
            "metrics": scored.metrics,
            "filters": scored.filters,
            "targets": scored.targets,
            "modules": {name: self.modules.get(name, "") for name in scored.modules},
            "versions": {name: self.versions.get(name, "") for name in scored.packages},
        }


class ResultDigests(DigestParts):
    """The digests of one result, and the parts from which they were computed."""

    asked: Digest = Field(description="digest of all questions: results with the same one answered the same questions")
    scored: Digest = Field(description="digest of all that makes scores of the answers")
    prompts: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = Field(
        default="", description="digest of the token lists that the model was given"
    )
    rules: PartDigest = Field(description="digest of the suite's rules that make scores of the harness's values")

    @property
    def fingerprint(self) -> str:
        """The beginnings of the digests `asked` and `scored`."""
        return short(self.asked, self.scored)

    def is_consistent(self) -> bool:
        """Whether the digests are those of the parts."""
        return (self.asked, self.scored, self.prompts) == (
            asked_digest(self),
            scored_digest(self, self.rules),
            prompts_digest(self),
        )


_ASKING: dict[str, Any] = {
    "name": True, "title": True, "version": True, "run": True, "datasets": True, "definitions": True, "engine": True,
    "evaluator": True,
    "benchmarks": {"__all__": {"shots", "generative", "restricted", "cluster", "stratum"}},
    "errata": {"__all__": {"reason"}},
}  # fmt: skip
"""Fields of a suite that do not turn an evaluator's values into scores. All other fields, also new ones, are rules."""


def rules_digest(suite: Suite) -> str:
    """Return the digest of the suite's rules that turn the harness's values into scores, such as normalisation."""
    return digest_of(suite.model_dump(mode="json", exclude=_ASKING))[:16]


def asked_digest(parts: DigestParts) -> str:
    """The digest `asked` of a result with these parts."""
    asked = {task: digests.asked for task, digests in parts.tasks.items()}
    return digest_of({task: [parts_of_task.requests, parts_of_task.documents] for task, parts_of_task in asked.items()})


def scored_digest(parts: DigestParts, rules: str) -> str:
    """The digest `scored` of a result with these parts; `rules` is the `rules_digest` of its suite."""
    return digest_of({"rules": rules, "tasks": {task: parts.scored_of(task) for task in parts.tasks}})


def prompts_digest(parts: DigestParts) -> str:
    """The digest `prompts` of a result with these parts; "" if the tokens of a task are not known."""
    prompts = {task: digests.prompts for task, digests in parts.tasks.items()}
    return digest_of(prompts) if all(prompts.values()) else ""


def fingerprint(parts: DigestParts, rules: str) -> str:
    """The digests `asked` and `scored` of a result with these parts, shortened to 33 characters together."""
    return short(asked_digest(parts), scored_digest(parts, rules))


def short(asked: str, scored: str) -> str:
    """Return both digests, shortened to 33 characters together."""
    return f"{asked[:16]}-{scored[:16]}"


def combine(parts: DigestParts, suite: Suite) -> ResultDigests:
    """The digests of a result of `suite` with these parts."""
    rules = rules_digest(suite)
    return ResultDigests(
        **parts.model_dump(include=set(DigestParts.model_fields)),
        asked=asked_digest(parts),
        scored=scored_digest(parts, rules),
        prompts=prompts_digest(parts),
        rules=rules,
    )
