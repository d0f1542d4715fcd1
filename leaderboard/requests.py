"""The request file: `{org}/{model}_eval_request_{private}_{precision}_{weight_type}.json`.

Other programs read and write these files, so Steward keeps their names, their fields and the meaning of each status,
preserves every field that it does not know, and keeps its own facts in one object named `steward`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from leaderboard.attempts import MAX_NUMBER, Failure
from leaderboard.dialects import foreign_dialect
from leaderboard.holds import Hold, Priority
from leaderboard.jsontext import BOM
from leaderboard.reasons import Problem as Problem
from leaderboard.reasons import Reason, bounded, table

Access = Literal["public", "gated", "private"]
"""Who may see a model on the Hub."""
WEIGHT_TYPES = ("Original", "Delta", "Adapter")
MAX_DEPTH = 20
OURS = "steward"
"""The one object in a request file, and in a results file, whose members are ours."""

_PATH = re.compile(
    r"^(?:(?P<org>[^/]+)/)?(?P<name>[^/]+)_eval_request_(?P<private>True|False)_(?P<precision>(?!True_|False_)[^/_]+)_(?P<weights>[^/_]+)\.json$"
)
_NAME = re.compile(r"^(?![.-])(?!.*\.\.)(?!.*--)[A-Za-z0-9_.-]{1,96}(?<!\.git)(?<![.-])$")


REASONS = table(
    (
        Reason(
            "path-shape",
            "The file's name or folder is not that of a request.",
            "Call it {{org}}/{{model}}_eval_request_False_{{precision}}_{{weight type}}.json: in one folder, with "
            "the name of the organisation, or at the root for a model without one.",
        ),
        Reason("path-name", "'{name}' cannot be a name on the Hub.", "Copy the model's id from its page on the Hub."),
        Reason(
            "too-large",
            "The request file has more than {limit} bytes.",
            "A request is a few lines of JSON: leave out what is not about this request.",
        ),
        Reason(
            "not-json",
            "The file is not JSON: {error}.",
            "Check it with any JSON validator, and commit it again.",
        ),
        Reason(
            "not-an-object",
            "The file holds JSON, but not an object with fields.",
            'Write it as {{"model": …, "status": "PENDING", …}}; any request file that was accepted is an example.',
        ),
        Reason(
            "field",
            "The field '{name}' {wrong}.",
            "Compare it with a request file that was accepted, and commit it again.",
        ),
        Reason(
            "place",
            "The file's name says that {name} is '{placed}', the file itself says '{said}'.",
            "Rename the file or mend the field, so that both say the same.",
        ),
    )
)
"""Why a file is not read as a request."""
_WRONG = {
    "missing": "is missing",
    "string_type": "should be text",
    "string_too_short": "is empty",
    "string_too_long": "is longer than anything that belongs there",
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "model_type": "should be an object with fields",
}
"""What is wrong with a field, by pydantic's word for it."""


class Status(StrEnum):
    """The life cycle that every front end knows, as it is written in the file."""

    PENDING = "PENDING"
    RERUN = "RERUN"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    PENDING_NEW_EVAL = "PENDING_NEW_EVAL"
    CANCELLED = "CANCELLED"

    @property
    def waits(self) -> bool:
        """Whether an evaluation is still to come."""
        return self in (Status.PENDING, Status.RERUN, Status.PENDING_NEW_EVAL)


@dataclass(frozen=True)
class RequestPath:
    """What the path of a request file says."""

    org: str
    name: str
    private: bool
    precision: str
    weight_type: str

    @property
    def model(self) -> str:
        """`org/name`, or `name` for a model without an organisation."""
        return f"{self.org}/{self.name}" if self.org else self.name

    def __str__(self) -> str:
        folder = f"{self.org}/" if self.org else ""
        return f"{folder}{self.name}_eval_request_{self.private}_{self.precision}_{self.weight_type}.json"


def is_request_path(path: str) -> bool:
    """Whether a file at `path` is meant as a request; everything else in the repo is none of our business."""
    return path.endswith(".json") and "_eval_request_" in path.rpartition("/")[2]


def parse_path(path: str) -> RequestPath | Problem:
    """The parts of `path`, or what is wrong with it."""
    found = _PATH.match(path)
    if found is None:
        return REASONS["path-shape"].problem()
    org, name = found["org"] or "", found["name"]
    bad = [part for part in (org, name) if part and not is_repo_name(part)]
    if bad:
        return REASONS["path-name"].problem(name="' and '".join(bounded(part, 60) for part in bad))
    return RequestPath(org, name, found["private"] == "True", found["precision"], found["weights"])


def is_repo_name(part: str) -> bool:
    """Whether `part` may be one half of a repo id on the Hub."""
    return _NAME.match(part) is not None


def is_model(name: str) -> bool:
    """Whether `name` may be the id of a model: a person's local folder, say, may not."""
    parts = name.split("/")
    return len(parts) <= 2 and all(is_repo_name(part) for part in parts)


def ours_in(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Our object in the fields of a file; empty where there is none."""
    found = fields.get(OURS)
    return found if isinstance(found, dict) else {}


class PreviousResult(BaseModel):
    """A result that stays while a newer evaluation is under way, and is put back should that fail.

    `revision` is the commit that it is of; `results` its path in the results repo and `log` the address of its log,
    None where they are not known.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    revision: str = Field(max_length=200)
    results: str | None = Field(default=None, max_length=1_000)
    log: str | None = Field(default=None, max_length=1_000)


class StewardFacts(BaseModel):
    """The object `steward` in a request file: what must survive the loss of Redis."""

    model_config = ConfigDict(extra="allow")

    attempt: int = Field(default=0, ge=0, le=MAX_NUMBER, description="the current attempt's number; 0 before the first")
    first: int = Field(default=1, ge=1, le=MAX_NUMBER, description="the first attempt's since people asked last")
    spent: int = Field(default=0, ge=0, le=MAX_NUMBER, description="attempts up to this number were claimed, or ended")
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$", description="commit that it evaluates")
    thread: int | None = Field(default=None, ge=1, description="discussion in the requests repo")
    submitter: str | None = Field(default=None, max_length=100, description="name of the account that brought it")
    failure: Failure | None = None
    log: str | None = Field(default=None, max_length=1_000, description="URL of the log of the last attempt")
    results: str | None = Field(default=None, max_length=1_000, description="path in the results repo")
    causes: list[str] = Field(default_factory=list, max_length=1_000, description="what caused each reopening")
    access: Access | None = Field(default=None, description="who might see the model when it was judged; None: all")
    weights: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", description="digest of all weight files")
    priority: Priority | None = Field(default=None, description="of its turn, where a maintainer set one")
    hold: Hold | None = Field(default=None, description="why it gets no turn for now")
    cancelled: Hold | None = Field(default=None, description="why, by whom and when it was withdrawn")
    gpu_seconds: float = Field(default=0.0, ge=0, description="what its attempts took so far")
    kept: PreviousResult | None = Field(
        default=None, description="the earlier result, where a newer evaluation is under way or was cancelled"
    )
    tried: str | None = Field(
        default=None, max_length=200, description="commit of a newer evaluation that failed; the earlier result stayed"
    )


def _a_hint(kind: type | tuple[type, ...], longest: int) -> BeforeValidator:
    """A field that nothing depends on: what is no hint of this kind is as good as none."""
    return BeforeValidator(lambda value: value if isinstance(value, kind) and len(str(value)) <= longest else None)


class RequestFile(BaseModel):
    """The fields of a request file that Steward reads; the rest is kept as it came."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str = Field(min_length=1, max_length=200)
    status: str = Field(max_length=64)
    base_model: str | None = Field(default="", max_length=200)
    revision: str | None = Field(default="main", max_length=200)
    precision: str | None = Field(default=None, max_length=32)
    weight_type: str | None = Field(default=None, max_length=32)
    private: bool | None = False
    use_chat_template: bool | None = False
    submitted_time: Annotated[str | None, _a_hint(str, 64)] = None
    model_type: Annotated[str | None, _a_hint(str, 200)] = None
    sender: Annotated[str | None, _a_hint(str, 100)] = None
    job_id: Annotated[str | int | None, _a_hint((str, int), 200)] = None
    steward: StewardFacts = Field(default_factory=StewardFacts)


@dataclass(frozen=True)
class Request:
    """A request file that could be read: where it lies, what it says, and its text as it came."""

    path: RequestPath
    file: RequestFile
    raw: str

    @property
    def fields(self) -> dict[str, Any]:
        """All that its text says, read anew."""
        found: dict[str, Any] = json.loads(self.raw.removeprefix(BOM))
        return found

    @property
    def status(self) -> Status | None:
        """The status; None where it is a word that Steward does not know, or another backend's. Old: FINISHED_…"""
        if foreign_dialect(str(self.path), self.file.model_extra or {}):
            return None
        word = self.file.status.strip().upper()
        if word.startswith("FINISHED"):
            return Status.FINISHED
        return Status(word) if word in Status.__members__ else None

    @property
    def tried(self) -> str | None:
        """The commit of a newer evaluation that failed, where the file says FINISHED for an earlier one."""
        facts = self.file.steward
        return facts.tried if self.status is Status.FINISHED and facts.failure is not None else None


def parse_request(path: str, data: bytes) -> Request | list[Problem]:
    """The request in `data` at `path`, or every problem that keeps it from being read as one."""
    where = parse_path(path)
    problems = [where] if isinstance(where, Problem) else []
    fields = _parse_json(data)
    if isinstance(fields, Problem):
        return [*problems, fields]
    try:
        file = RequestFile.model_validate(fields)
    except ValidationError as error:
        return [*problems, *(_field_problem(e) for e in error.errors(include_url=False))]
    if isinstance(where, Problem):
        return problems
    problems.extend(_disagreements(where, file))
    return problems or Request(where, file, data.decode())


def _parse_json(data: bytes) -> dict[str, Any] | Problem:
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return REASONS["not-json"].problem(error=_cause(error))
    if not isinstance(found, dict):
        return REASONS["not-an-object"].problem()
    return found


def _cause(error: Exception) -> str:
    """Why it is no JSON, in words without the bytes of the file."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _field_problem(error: ErrorDetails) -> Problem:
    wrong = _WRONG.get(error["type"], f"is not as it should be: {error['msg']}")
    return REASONS["field"].problem(name=".".join(map(str, error["loc"])), wrong=wrong)


def _disagreements(path: RequestPath, file: RequestFile) -> list[Problem]:
    """A file must be where its own fields say that it is, or two files could claim the same evaluation."""
    said = {"model": file.model, "precision": file.precision, "weight_type": file.weight_type}
    placed = {"model": path.model, "precision": path.precision, "weight_type": path.weight_type}
    return [
        REASONS["place"].problem(name=name, placed=placed[name], said=value)
        for name, value in said.items()
        if value is not None and value != placed[name]
    ]
