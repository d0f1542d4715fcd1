"""The questions of a suite: the datasets that hold them, the tasks that a suite defines itself, and errata."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from leaderboard.yaml_edits import added, replaced, value_of

TaskName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]{0,99}$")]
Repo = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,96}/[A-Za-z0-9_.-]{1,96}$")]


class SuitePart(BaseModel):
    """A part of a suite file; it allows no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Dataset(SuitePart):
    """A dataset repo of questions. `revision` None: the head at the time of the download, which is recorded."""

    repo: Repo
    configs: tuple[str, ...] = Field(default=(), description="its configs; empty if it has only one")
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    content: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="digest of its data files; see `content_digest`"
    )

    def at(self, revision: str | None, *, repo: str | None = None) -> Dataset:
        """The same questions at the commit `revision`, in the copy `repo` if one is given."""
        return self.model_copy(update={"repo": repo or self.repo, "revision": revision})


class Definition(SuitePart):
    """A task that the suite defines, in the terms of the harness; its templates use the fields of a question."""

    task: TaskName
    config: str = Field(max_length=100, description="config of the suite's dataset")
    output: Literal["multiple_choice", "generate_until"]
    description: str = Field(default="", max_length=2_000)
    prompt: str = Field(default="Q: {{input}}\nA:", max_length=2_000)
    target: str = Field(default="{{target}}", max_length=200)
    choices: tuple[str, ...] = Field(default=(), max_length=50)
    until: tuple[str, ...] = ("\n",)
    max_tokens: int = Field(default=16, ge=1, le=4096)

    @model_validator(mode="after")
    def _choices_where_there_is_a_choice(self) -> Definition:
        if (self.output == "multiple_choice") != bool(self.choices):
            raise ValueError(f"{self.task}: multiple_choice needs `choices`, and no other output allows them")
        return self


class Erratum(SuitePart):
    """A question that is still asked and does not count any more, because it is wrong."""

    task: TaskName = Field(description="the task that asks it")
    question: int = Field(ge=0, description="its number in the task: `doc_id` in the tables of answers")
    reason: str = Field(min_length=1, max_length=500, description="what is wrong with it")


def pin_datasets(text: str, commits: Mapping[str, str]) -> str:
    """Return the suite file `text` with the `revision` of each dataset that `commits` (repo → commit) names.

    Nothing else of the text changes. A file that is written in another way than a list of mappings stays as it is.
    """
    suite = yaml.compose(text)
    datasets = value_of(suite, "datasets") if isinstance(suite, yaml.MappingNode) else None
    for dataset in reversed(datasets.value if isinstance(datasets, yaml.SequenceNode) else []):
        repo = value_of(dataset, "repo") if isinstance(dataset, yaml.MappingNode) else None
        if repo is None or (commit := commits.get(str(repo.value))) is None:
            continue
        current, quoted = value_of(dataset, "revision"), f'"{commit}"'  # without quotes, digits alone are a number
        text = added(text, dataset, f"revision: {quoted}") if current is None else replaced(text, current, quoted)
    return text


def content_digest(files: dict[str, bytes]) -> str:
    """Return the SHA-256 of data files (path in the repo → bytes), independent of their commit: 64 hex digits."""
    lines = [f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
