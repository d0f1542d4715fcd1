"""The index entry of a request, as its last sync saw it, and the origin of its file."""

from __future__ import annotations

from typing import Literal, TypedDict, Unpack

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.holds import Hold, Priority
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.steward_facts import PreviousResult
from leaderboard.tiers import Tier
from redis_state.board.request_snapshot import RequestSnapshot
from redis_state.jobs import EvaluationJob

EntryState = Literal["new", "waiting", "queued", "running", "settled", "foreign"]

UNANSWERED_SECONDS = 600.0
"""Seconds without an answer of the Hub about a model, after which pages and threads say so."""


class EntryChanges(TypedDict, total=False):
    """Fields of an index entry that change; `IndexEntry` describes them."""

    state: EntryState
    model: str
    sha: str | None
    base_model: str
    base_sha: str
    asked: str
    number: int
    attempt: str | None
    used: int | None
    fresh: bool
    submitter: str
    submitter_id: str
    submitted: float
    job: EvaluationJob | None
    file_oid: str
    queued: float
    thread: int | None
    comment: str | None
    said: str
    closed: bool
    again: float
    shown: int
    tier: Tier
    size: int
    priority: Priority
    hold: Hold | None
    kept: PreviousResult | None
    place: int
    starts: tuple[float, float] | None
    why: str
    foretold: tuple[float, float, int] | None
    unanswered: float
    standing: RequestSnapshot
    parameters: int | None
    nbytes: int | None
    weights: str
    licence: str


class IndexEntry(BaseModel):
    """One request, as its last sync saw it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    state: EntryState = "new"
    model: str = ""
    sha: str | None = Field(default=None, description="commit at which it was accepted")
    base_model: str = Field(default="", description="base model of an Adapter or a Delta, as of its acceptance")
    base_sha: str = Field(default="", description="commit of that model at which it was accepted")
    asked: str = Field(default="", description="id of the submission: a new one in the same file has another")
    number: int = Field(default=1, description="of the current attempt, from 1")
    attempt: str | None = None
    used: int | None = Field(
        default=None, description="highest number of an attempt that was claimed or ended; None: not read yet"
    )
    fresh: bool = Field(default=False, description="whether the bot saw the file appear where there was none")
    submitter: str = ""
    submitter_id: str = Field(default="", description="the submitter's id on the Hub, where it is known")
    submitted: float = 0.0
    job: EvaluationJob | None = Field(
        default=None, description="the message for the worker, ready since it was accepted"
    )
    file_oid: str = Field(default="", description="blob id of the file that was judged")
    queued: float = Field(default=0.0, description="when the bot put it into RQ")
    thread: int | None = None
    comment: str | None = Field(default=None, description="id of the status comment")
    said: str = Field(default="", description="digest of what the status comment says")
    closed: bool = Field(default=False, description="whether its thread was closed, because nothing in it is open")
    again: float = Field(default=0.0, description="time before which it is not retried; 0 once it was judged again")
    shown: int = Field(default=0, description="quarters of the progress that the status comment shows")
    tier: Tier = Field(default="medium", description="size of the machine that it needs")
    size: int = Field(default=0, description="size class of its weights; 0: not known")
    priority: Priority = "normal"
    hold: Hold | None = Field(default=None, description="why it is not dispatched for now")
    kept: PreviousResult | None = Field(default=None, description="the result that it had when it was submitted again")
    place: int = Field(default=0, description="position that the status comment shows; 0: none")
    starts: tuple[float, float] | None = Field(
        default=None, description="earliest and latest start that the status comment shows"
    )
    why: str = Field(
        default="", description="what holds it back, as the status comment shows it (`QueueBlocker.stored`)"
    )
    foretold: tuple[float, float, int] | None = Field(
        default=None, description="when its start was estimated, in how many seconds it was to start, and its round"
    )
    unanswered: float = Field(
        default=0.0,
        description="since when the Hub does not answer about its model, which is not judged; 0: it does",
    )
    standing: RequestSnapshot = Field(default_factory=RequestSnapshot, description="what the file says, for display")
    parameters: int | None = Field(default=None, description="of its model, when it was judged; else as its file says")
    nbytes: int | None = Field(default=None, description="of its model's weights, when it was judged")
    weights: str = Field(default="", description="digest of the weights: the same for every copy of them")
    licence: str = Field(default="", description="of its model, as the card has it")

    def changed(self, **changes: Unpack[EntryChanges]) -> IndexEntry:
        """The same entry with `changes`."""
        return self.model_copy(update={**changes})

    @property
    def known_submitter(self) -> str:
        """The submitter, if known."""
        return self.submitter or self.standing.submitter

    @property
    def known_submitter_id(self) -> str:
        """The id of `known_submitter`, where it is known."""
        return self.submitter_id if self.submitter else self.standing.submitter_id

    @property
    def time(self) -> float:
        """When it was submitted, if known; else 0."""
        return self.standing.time or self.submitted

    @property
    def commit(self) -> str:
        """The model's commit; for a finished request that of its results, whatever was attempted since."""
        snapshot = self.standing
        if snapshot.status == "FINISHED" and snapshot.revision:
            return snapshot.revision
        return self.sha or snapshot.revision

    @property
    def has_results(self) -> bool:
        """Whether its results are on the board: it finished, may wait for newer results, and was not removed."""
        return self.standing.status in ("FINISHED", "PENDING_NEW_EVAL") or self.kept is not None

    def waits_for_hub(self, now: float) -> bool:
        """Whether it is not judged yet because the Hub has not answered about its model for UNANSWERED_SECONDS."""
        return self.state == "new" and 0 < self.unanswered <= now - UNANSWERED_SECONDS

    @property
    def waits_for_retry(self) -> bool:
        """Whether its last attempt failed through no fault of the model, and the next one is due at `again`."""
        return self.state == "new" and self.again > 0 and not self.unanswered

    @property
    def precision(self) -> str:
        """The precision of the evaluation, from the file's name."""
        path = parse_path(self.path)
        return path.precision if isinstance(path, RequestPath) else ""

    @property
    def is_private(self) -> bool:
        """Whether even the request's existence must not be public."""
        return self.standing.access == "private"


class Origin(BaseModel):
    """The author of a request file, and how it was submitted: only facts that the Hub itself reports."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    author: str = Field(default="", description="author of the commit or the pull request")
    author_id: str = Field(default="", description="its id, which the Hub reports of pull requests, not of commits")
    front_end: bool = Field(
        default=False, description="whether the author is a front end of the board, which submits for others"
    )
    pull: int | None = None
    commit: str = Field(default="", description="the commit that added the file")

    def submitter(self, sender: str | None) -> str:
        """The submitter: a front end's `sender` is its signed-in user; any other author is the submitter themselves."""
        return sender if self.front_end and sender else self.author

    @property
    def submitter_id(self) -> str:
        """The id of `submitter`, where it is known: a front end names its users only."""
        return "" if self.front_end else self.author_id
