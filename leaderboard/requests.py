"""The request file: `{org}/{model}_eval_request_{private}_{precision}_{weight_type}.json`.

Other programs read and write these files. Steward keeps the names, the fields and the meaning of each status, preserves
unknown fields, and stores its own facts in one object, `steward`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from leaderboard.dialects import foreign_dialect
from leaderboard.jsontext import BOM, JsonObject
from leaderboard.options import precision_named, weight_type_named
from leaderboard.reasons import Problem, Reason, table
from leaderboard.request_paths import PATH_REASONS, RequestPath, parse_path
from leaderboard.steward_facts import StewardFacts

MAX_DEPTH = 20
"""Levels of nesting in the JSON of a submitted request."""


REASONS = {
    **PATH_REASONS,
    **table(
        (
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
    ),
}
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


MAX_OPTION = 32
"""Characters of the name of a precision, or of a type of weights."""
MAX_BILLIONS = 1_000_000
"""Billions of parameters; a declared number that is not below this one counts as invalid."""
MAX_PARAMETERS = MAX_BILLIONS * 10**9


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
    precision: str | None = Field(default=None, max_length=MAX_OPTION)
    weight_type: str | None = Field(default=None, max_length=MAX_OPTION)
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
        """Return the same request for another commit."""
        return replace(self, file=self.file.model_copy(update={"revision": revision}))

    def as_new(self, submitted_time: str | None) -> Request:
        """Return the same request as a new submission, without the facts of earlier attempts."""
        new = {"submitted_time": submitted_time, "steward": StewardFacts()}
        return replace(self, file=self.file.model_copy(update=new))

    @property
    def billions(self) -> float | None:
        """The billions of parameters that the front end wrote into `params`; None for none, or an invalid number."""
        declared = (self.file.model_extra or {}).get("params")
        if isinstance(declared, bool) or not isinstance(declared, int | float):
            return None
        return float(declared) if 0 < declared < MAX_BILLIONS else None

    @property
    def fields(self) -> JsonObject:
        """All fields, parsed again from the text."""
        fields: JsonObject = json.loads(self.raw.removeprefix(BOM))
        return fields

    @cached_property
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
        fields = json.loads(data.decode().removeprefix(BOM))
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
    stated = (
        ("model", file.model, path.model, str),
        ("precision", file.precision, path.precision, precision_named),
        ("weight_type", file.weight_type, path.weight_type, weight_type_named),
    )
    return [
        REASONS["place"].problem(name=name, placed=placed, said=value)
        for name, value, placed, named in stated
        if value is not None and named(value) != placed
    ]
