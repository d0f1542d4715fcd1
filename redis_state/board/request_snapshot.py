"""The fields of a request file that pages show, stored in the index beside the bot's own state."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.attempts import Failure
from leaderboard.categories import read_category
from leaderboard.jsontext import object_in, storable
from leaderboard.prediction_submissions import predictions_file
from leaderboard.predictions import PREDICTIONS
from leaderboard.privacy import access_in_file, strictest
from leaderboard.removals import REMOVED
from leaderboard.requests import Request, Status
from leaderboard.steward_facts import Access, ScoresConsent
from leaderboard.times import read_time

MAX_CAUSES = 20
"""Causes of reopenings that are stored."""
OTHER = "OTHER"
"""Stands for every status that is not part of the life cycle."""


class RequestSnapshot(BaseModel):
    """The displayed fields of one request file. `time` is its time of submission, 0: not known."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: str = OTHER
    time: float = 0.0
    revision: str = ""
    submitter: str = Field(default="", description="as in the file's `steward` block")
    submitter_id: str = Field(default="", description="as in the `steward` block")
    failure: Failure | None = None
    log: str = ""
    results: str = ""
    details: str = Field(default="", description="details repo of the results, if not that of the present name")
    predictions: str = Field(default="", description="the file of predictions, if it is for such a file")
    rescored_from: str = Field(default="", description="results whose answers were scored again for `results`")
    access: Access = "public"
    chat_template: bool = False
    category: str = Field(default="", description="the kind of model, as one of the leaderboard's categories")
    architecture: str = ""
    base_model: str = ""
    licence: str = Field(default="", description="as the file has it; current front ends leave it out")
    causes: tuple[str, ...] = Field(default=(), description="causes of the newest reopenings")
    publish_scores: ScoresConsent | None = Field(
        default=None, description="an owner's word that the scores are published on the model's own page"
    )
    old: bool = Field(default=False, description="whether it is from before the board's adoption")
    removed: bool = Field(default=False, description="whether its model was taken off the board, and can be restored")

    def with_access(self, access: Access) -> RequestSnapshot:
        """The same snapshot with another access."""
        return self.model_copy(update={"access": access})

    def with_details(self, details: str) -> RequestSnapshot:
        """The same snapshot with the details repo of its results."""
        return self.model_copy(update={"details": details})

    def as_old(self) -> RequestSnapshot:
        """The same snapshot of a file from before the board's adoption."""
        return self.model_copy(update={"old": True})

    def failed_with(self, failure: Failure) -> RequestSnapshot:
        """The same snapshot of a request that failed."""
        return self.model_copy(update={"status": Status.FAILED.value, "failure": failure})


def snapshot_of(request: Request, known: Access = "public", *, old: bool = False) -> RequestSnapshot:
    """The snapshot of `request`. `known` is the model's access as far as it is known."""
    facts, status = request.file.steward, request.status
    return RequestSnapshot(
        status=status.value if status is not None else OTHER,
        time=read_time(request.file.submitted_time) or 0.0,
        revision=facts.revision or request.file.revision or "main",
        submitter=facts.submitter or "",
        submitter_id=facts.submitter_id or "",
        failure=facts.failure,
        log=facts.log or "",
        results=facts.results or "",
        details=facts.details or "",
        predictions=_predictions(request),
        rescored_from=facts.rescored_from or "",
        access=strictest([access_in_file(request), known]),
        chat_template=bool(request.file.use_chat_template),
        category=read_category(request.file.model_type).value,
        architecture=_display_field(request, "architectures"),
        base_model=(request.file.base_model or "")[:200],
        licence=_display_field(request, "license"),
        causes=tuple(facts.causes[-MAX_CAUSES:]),
        publish_scores=facts.publish_scores,
        old=old,
        removed=status is Status.CANCELLED and isinstance((facts.model_extra or {}).get(REMOVED), dict),
    )


def _predictions(request: Request) -> str:
    """The path of the predictions that a request names; "" if it is for a model, or names no file of its own."""
    if request.path.precision != PREDICTIONS:
        return ""
    file = predictions_file(request.path.model, request.fields.get(PREDICTIONS))
    return file if isinstance(file, str) else ""


def _display_field(request: Request, name: str) -> str:
    """A field that is only displayed; "" if it is empty or unknown."""
    value = (request.file.model_extra or {}).get(name)
    return storable(" ".join(value.split()))[:200] if isinstance(value, str) and value.strip() != "?" else ""


def snapshot_of_unreadable(data: bytes | None, *, old: bool = False) -> RequestSnapshot:
    """The snapshot of a file that is no valid request, as far as it can be read; private if it seems so."""
    fields = (object_in(data) if data is not None else None) or {}
    word, facts = fields.get("status"), fields.get("steward")
    status = word.strip().upper() if isinstance(word, str) else ""
    return RequestSnapshot(
        status=status if status in Status.__members__ else OTHER,
        failure=_failure(facts.get("failure")) if isinstance(facts, dict) else None,
        access="private" if fields.get("private") else "public",
        old=old,
    )


def _failure(value: object) -> Failure | None:
    try:
        return Failure.model_validate(value)
    except ValidationError:
        return None
