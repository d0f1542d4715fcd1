"""The request file: `{org}/{model}_eval_request_{private}_{precision}_{weight_type}.json`.

Other programs read and write these files. Steward keeps the names, the fields and the meaning of each status, preserves
unknown fields, and stores its own facts in one object, `steward`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from leaderboard.attempts import MAX_NUMBER, Failure
from leaderboard.dialects import foreign_dialect
from leaderboard.holds import Hold, Priority
from leaderboard.jsontext import BOM, JsonObject
from leaderboard.options import precision_named, weight_type_named
from leaderboard.reasons import Problem as Problem
from leaderboard.reasons import Reason, bounded, table

Access = Literal["public", "gated", "private"]
"""The visibility of a model on the Hub."""
MAX_DEPTH = 20
"""Levels of nesting in the JSON of a submitted request."""
OURS = "steward"
"""The object of Steward's own facts in request files and results files."""

_PATH = re.compile(
    r"^(?:(?P<org>[^/]+)/)?(?P<name>[^/]+)_eval_request_(?P<private>True|False)_(?P<precision>(?!True_|False_)[^/_]+)_(?P<weights>[^/_]+)\.json$"
)
_NAME = re.compile(r"^(?![.-])(?!.*\.\.)(?!.*--)[A-Za-z0-9_.-]{1,96}(?<!\.git)(?<![.-])$")


REASONS = table(
    (
        Reason(
            "path-shape",
            "The file's name or folder is not that of a request.",
            "Name it {{org}}/{{model}}_eval_request_False_{{precision}}_{{weight type}}.json: in a folder with the "
            "name of the organisation, or at the root for a model without one.",
        ),
        Reason(
            "path-name", "'{name}' is not a valid name on the Hub.", "Copy the model's id from its page on the Hub."
        ),
        Reason(
            "too-large",
            "The request file is larger than {limit} bytes.",
            "A request is a few lines of JSON: remove everything that is not part of it.",
        ),
        Reason(
            "not-json",
            "The file is not JSON: {error}.",
            "Check it with a JSON validator, and commit it again.",
        ),
        Reason(
            "not-an-object",
            "The file is JSON, but not an object with fields.",
            'Write it as {{"model": …, "status": "PENDING", …}}, like the request files that were accepted.',
        ),
        Reason(
            "field",
            "The field '{name}' {wrong}.",
            "Compare it with a request file that was accepted, and commit it again.",
        ),
        Reason(
            "place",
            "The file's name gives '{placed}' as {name}, but the field in the file says '{said}'.",
            "Rename the file or correct the field, so that both agree.",
        ),
    )
)
"""The reasons why a file is no readable request."""
_WRONG = {
    "missing": "is missing",
    "string_type": "should be text",
    "string_too_short": "is empty",
    "string_too_long": "is too long",
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "model_type": "should be an object with fields",
}
"""What is wrong with a field, by pydantic's error type."""


class Status(StrEnum):
    """The statuses of a request file, as every front end knows them."""

    PENDING = "PENDING"
    RERUN = "RERUN"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    PENDING_NEW_EVAL = "PENDING_NEW_EVAL"
    CANCELLED = "CANCELLED"

    @property
    def waits(self) -> bool:
        """Whether the request waits for an evaluation."""
        return self in (Status.PENDING, Status.RERUN, Status.PENDING_NEW_EVAL)


@dataclass(frozen=True)
class RequestPath:
    """The parts of a request file's path.

    `spelled` is the path itself if it has another spelling of the precision or the weight type: a form writes `gptq`.
    """

    org: str
    name: str
    private: bool
    precision: str
    weight_type: str
    spelled: str = ""

    @property
    def model(self) -> str:
        """`org/name`, or `name` for a model without an organisation."""
        return f"{self.org}/{self.name}" if self.org else self.name

    def __str__(self) -> str:
        if self.spelled:
            return self.spelled
        folder = f"{self.org}/" if self.org else ""
        return f"{folder}{self.name}_eval_request_{self.private}_{self.precision}_{self.weight_type}.json"


def is_request_path(path: str) -> bool:
    """Whether `path` is meant as the path of a request; Steward ignores all other files of the repo."""
    return path.endswith(".json") and "_eval_request_" in path.rpartition("/")[2]


def parse_path(path: str) -> RequestPath | Problem:
    """Return the parts of `path`, or the problem with it."""
    match = _PATH.fullmatch(path)
    if match is None:
        return REASONS["path-shape"].problem()
    org, name = match["org"] or "", match["name"]
    bad = [part for part in (org, name) if part and not is_repo_name(part)]
    if bad:
        return REASONS["path-name"].problem(name="' and '".join(bounded(part, 60) for part in bad))
    precision, weight_type = precision_named(match["precision"]), weight_type_named(match["weights"])
    spelled = "" if (precision, weight_type) == match.group("precision", "weights") else path
    return RequestPath(org, name, match["private"] == "True", precision, weight_type, spelled)


def is_repo_name(part: str) -> bool:
    """Whether `part` is a valid half of a repo id on the Hub."""
    return _NAME.fullmatch(part) is not None


MAX_BILLIONS = 1_000_000
"""Billions of parameters from which on a declared number of them counts as nonsense."""


def is_model(name: str) -> bool:
    """Whether `name` is a valid model id on the Hub, unlike a path of a local folder."""
    parts = name.split("/")
    return len(parts) <= 2 and all(is_repo_name(part) for part in parts)


def ours_in(fields: Mapping[str, Any]) -> JsonObject:
    """Return the object `steward` in the fields of a file; empty if there is none."""
    facts = fields.get(OURS)
    return facts if isinstance(facts, dict) else {}


class PreviousResult(BaseModel):
    """A result that stays valid during a newer evaluation and is restored if that fails.

    `revision` is its commit; `results` is its path in the results repo and `log` the URL of its log, None if unknown.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    revision: str = Field(max_length=200)
    results: str | None = Field(default=None, max_length=1_000)
    log: str | None = Field(default=None, max_length=1_000)


class ScoresConsent(BaseModel):
    """The word of a model's owner, given before there are scores, that they are published on the model's own page.

    `thread` is the URL of the discussion of the command; "" for the form.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    by: str = Field(max_length=100)
    by_id: str = Field(max_length=100)
    at: str = Field(max_length=64)
    thread: str = Field(default="", max_length=1_000)


class StewardFacts(BaseModel):
    """The object `steward` in a request file: the facts that must survive the loss of Redis."""

    model_config = ConfigDict(extra="allow")

    attempt: int = Field(default=0, ge=0, le=MAX_NUMBER, description="the current attempt's number; 0 before the first")
    first: int = Field(default=1, ge=1, le=MAX_NUMBER, description="first attempt since a person last asked for one")
    spent: int = Field(default=0, ge=0, le=MAX_NUMBER, description="attempts up to this number were claimed, or ended")
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$", description="commit that it evaluates")
    thread: int | None = Field(default=None, ge=1, description="discussion in the requests repo")
    submitter: str | None = Field(default=None, max_length=100, description="name of the account that submitted it")
    submitter_id: str | None = Field(default=None, max_length=100, description="its id on the Hub, where it is known")
    failure: Failure | None = None
    log: str | None = Field(default=None, max_length=1_000, description="URL of the log of the last attempt")
    results: str | None = Field(default=None, max_length=1_000, description="path in the results repo")
    details: str | None = Field(
        default=None,
        max_length=200,
        description="details repo of the results, if not that of the model's name",
    )
    rescored_from: str | None = Field(
        default=None,
        max_length=1_000,
        description="results whose answers were scored again for `results`; tables of answers have the time of one "
        "of the two",
    )
    season: str | None = Field(default=None, max_length=60, description="season in which its predictions count")
    causes: list[str] = Field(default_factory=list, max_length=1_000, description="the cause of each reopening")
    access: Access | None = Field(default=None, description="visibility of the model at admission; None: public")
    weights: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", description="digest of all weight files")
    priority: Priority | None = Field(default=None, description="its priority, if a maintainer set one")
    hold: Hold | None = Field(default=None, description="the reason that holds it back")
    cancelled: Hold | None = Field(default=None, description="why, by whom and when it was withdrawn")
    gpu_seconds: float = Field(default=0.0, ge=0, description="GPU-seconds of all its attempts")
    kept: PreviousResult | None = Field(
        default=None, description="the earlier result during a newer evaluation, or after that was cancelled"
    )
    publish_scores: ScoresConsent | None = Field(
        default=None, description="that an owner wants the scores on the model's own page; removed once they are there"
    )
    tried: str | None = Field(
        default=None, max_length=200, description="commit of a newer evaluation that failed; the earlier result stayed"
    )


def _optional(kind: type | tuple[type, ...], max_chars: int) -> BeforeValidator:
    """Return the validator of an unimportant field: an invalid value counts as missing."""
    return BeforeValidator(lambda value: value if isinstance(value, kind) and len(str(value)) <= max_chars else None)


class RequestFile(BaseModel):
    """The fields of a request file that Steward reads; other fields are preserved."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str = Field(min_length=1, max_length=200)
    status: str = Field(max_length=64)
    base_model: str | None = Field(default="", max_length=200)
    revision: str | None = Field(default="main", max_length=200)
    precision: str | None = Field(default=None, max_length=32)
    weight_type: str | None = Field(default=None, max_length=32)
    private: bool | None = False
    use_chat_template: bool | None = False
    submitted_time: Annotated[str | None, _optional(str, 64)] = None
    model_type: Annotated[str | None, _optional(str, 200)] = None
    sender: Annotated[str | None, _optional(str, 100)] = None
    job_id: Annotated[str | int | None, _optional((str, int), 200)] = None
    steward: StewardFacts = Field(default_factory=StewardFacts)


@dataclass(frozen=True)
class Request:
    """A readable request file: its path, its fields and its original text."""

    path: RequestPath
    file: RequestFile
    raw: str

    def at(self, revision: str) -> Request:
        """The same request for another commit."""
        return replace(self, file=self.file.model_copy(update={"revision": revision}))

    def as_new(self, submitted_time: str | None) -> Request:
        """The same request as a new submission, without the facts of earlier attempts."""
        new = {"submitted_time": submitted_time, "steward": StewardFacts()}
        return replace(self, file=self.file.model_copy(update=new))

    @property
    def billions(self) -> float | None:
        """The billions of parameters that the front end wrote into `params`; None if it wrote none, or nonsense."""
        declared = (self.file.model_extra or {}).get("params")
        if isinstance(declared, bool) or not isinstance(declared, int | float):
            return None
        return float(declared) if 0 < declared < MAX_BILLIONS else None

    @property
    def fields(self) -> JsonObject:
        """All fields, parsed again from the text."""
        fields: JsonObject = json.loads(self.raw.removeprefix(BOM))
        return fields

    @property
    def status(self) -> Status | None:
        """The status; None if it is unknown, or the file belongs to another backend. Old files say FINISHED_…"""
        if foreign_dialect(str(self.path), self.file.model_extra or {}):
            return None
        word = self.file.status.strip().upper()
        if word.startswith("FINISHED"):
            return Status.FINISHED
        return Status(word) if word in Status.__members__ else None

    @property
    def tried(self) -> str | None:
        """The commit of a newer evaluation that failed, if the file is FINISHED by an earlier one."""
        facts = self.file.steward
        return facts.tried if self.status is Status.FINISHED and facts.failure is not None else None


def parse_request(path: str, data: bytes) -> Request | list[Problem]:
    """Return the request in `data` at `path`, or every problem that makes it unreadable."""
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


def _parse_json(data: bytes) -> JsonObject | Problem:
    try:
        fields = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return REASONS["not-json"].problem(error=_cause(error))
    if not isinstance(fields, dict):
        return REASONS["not-an-object"].problem()
    return fields


def _cause(error: Exception) -> str:
    """Return why a file is no JSON, without quoting its bytes."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _field_problem(error: ErrorDetails) -> Problem:
    wrong = _WRONG.get(error["type"], f"is invalid: {error['msg']}")
    return REASONS["field"].problem(name=".".join(map(str, error["loc"])), wrong=wrong)


def _disagreements(path: RequestPath, file: RequestFile) -> list[Problem]:
    """Return the fields that disagree with the path; without this check, two files could claim one evaluation."""
    stated = {"model": file.model, "precision": file.precision, "weight_type": file.weight_type}
    placed = {"model": path.model, "precision": path.precision, "weight_type": path.weight_type}
    named = {"precision": precision_named, "weight_type": weight_type_named}
    return [
        REASONS["place"].problem(name=name, placed=placed[name], said=value)
        for name, value in stated.items()
        if value is not None and named.get(name, str)(value) != placed[name]
    ]
