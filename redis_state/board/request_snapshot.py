"""What a request file says that people who look at the queue want to know, kept in the index beside our own state."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.attempts import Failure
from leaderboard.categories import read_category
from leaderboard.jsontext import object_in
from leaderboard.privacy import access_in_file, strictest
from leaderboard.requests import Access, Request, Status
from leaderboard.times import read_time

MAX_CAUSES = 20
"""Reopenings that are kept for people to read."""
OTHER = "OTHER"
"""Stands for every status that is no word of the life cycle."""


class RequestSnapshot(BaseModel):
    """One request file, in the words that are shown. `time` is when it says that it was submitted, 0: not known."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: str = OTHER
    time: float = 0.0
    revision: str = ""
    submitter: str = Field(default="", description="as our own facts in the file have it")
    failure: Failure | None = None
    log: str = ""
    results: str = ""
    access: Access = "public"
    chat_template: bool = False
    category: str = Field(default="", description="what kind of model it says it is, in the words of the leaderboard")
    architecture: str = ""
    base_model: str = ""
    licence: str = Field(default="", description="as the file has it, which the forms of today leave out")
    causes: tuple[str, ...] = Field(default=(), description="what caused each of the newest reopenings")
    old: bool = Field(default=False, description="whether it is from before the board's adoption")


def snapshot_of(request: Request, known: Access = "public", *, old: bool = False) -> RequestSnapshot:
    """How `request` stands. `known` is what was found out about the model's access."""
    facts, status = request.file.steward, request.status
    return RequestSnapshot(
        status=status.value if status is not None else OTHER,
        time=read_time(request.file.submitted_time) or 0.0,
        revision=facts.revision or request.file.revision or "main",
        submitter=facts.submitter or "",
        failure=facts.failure,
        log=facts.log or "",
        results=facts.results or "",
        access=strictest([access_in_file(request), known]),
        chat_template=bool(request.file.use_chat_template),
        category=read_category(request.file.model_type).value,
        architecture=_display_field(request, "architectures"),
        base_model=(request.file.base_model or "")[:200],
        licence=_display_field(request, "license"),
        causes=tuple(facts.causes[-MAX_CAUSES:]),
        old=old,
    )


def _display_field(request: Request, name: str) -> str:
    """A field that only people look at; "" where it says nothing."""
    said = (request.file.model_extra or {}).get(name)
    return " ".join(said.split())[:200] if isinstance(said, str) and said.strip() != "?" else ""


def snapshot_of_unreadable(data: bytes | None, *, old: bool = False) -> RequestSnapshot:
    """How a file stands that cannot be read as a request, as far as it says; hidden, where it seems to be private."""
    fields = (object_in(data) if data is not None else None) or {}
    word, facts = fields.get("status"), fields.get("steward")
    status = word.strip().upper() if isinstance(word, str) else ""
    return RequestSnapshot(
        status=status if status in Status.__members__ else OTHER,
        failure=_failure(facts.get("failure")) if isinstance(facts, dict) else None,
        access="private" if fields.get("private") else "public",
        old=old,
    )


def _failure(said: object) -> Failure | None:
    try:
        return Failure.model_validate(said)
    except ValidationError:
        return None
