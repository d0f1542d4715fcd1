"""What is known of one request: as its last sync saw it, and who brought it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.holds import Hold, Priority
from leaderboard.requests import PreviousResult, RequestPath, parse_path
from leaderboard.tiers import Tier
from redis_state.board.request_snapshot import RequestSnapshot
from redis_state.jobs import EvaluationJob

EntryState = Literal["new", "waiting", "queued", "running", "settled", "foreign"]


class IndexEntry(BaseModel):
    """One request, as its last sync saw it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    state: EntryState = "new"
    model: str = ""
    sha: str | None = Field(default=None, description="commit at which it was accepted")
    base_model: str = Field(default="", description="what an Adapter or a Delta changes, as its acceptance saw it")
    base_sha: str = Field(default="", description="commit of that model at which it was accepted")
    asked: str = Field(default="", description="which submission that was: a new one in the same file is another")
    number: int = Field(default=1, description="of the current attempt, from 1")
    attempt: str | None = None
    used: int | None = Field(
        default=None, description="highest number of an attempt that was claimed, or ended; None where nobody looked"
    )
    fresh: bool = Field(default=False, description="whether we saw the file appear where there was none")
    submitter: str = ""
    submitted: float = 0.0
    job: EvaluationJob | None = Field(
        default=None, description="the message for the worker, ready since it was accepted"
    )
    file_oid: str = Field(default="", description="blob id of the file that was judged")
    queued: float = Field(default=0.0, description="when the bot put it into RQ")
    thread: int | None = None
    comment: str | None = Field(default=None, description="id of the status comment")
    said: str = Field(default="", description="digest of what the status comment says")
    closed: bool = Field(default=False, description="whether its thread was closed, because it waits for nobody")
    again: float = Field(default=0.0, description="before this time it is not tried again")
    shown: int = Field(default=0, description="quarters of the progress that the status comment shows")
    tier: Tier = Field(default="medium", description="how large a machine it asks for")
    size: int = Field(default=0, description="size class of its weights; 0 where that is not known")
    priority: Priority = "normal"
    hold: Hold | None = Field(default=None, description="why it gets no turn for now")
    kept: PreviousResult | None = Field(default=None, description="the result that it had when it was submitted again")
    place: int = Field(default=0, description="position that the status comment shows; 0: none")
    starts: tuple[float, float] | None = Field(default=None, description="earliest and latest start that it shows")
    why: str = Field(default="", description="what it says holds the request back, in one word")
    foretold: tuple[float, float, int] | None = Field(
        default=None, description="when its start was worked out, how many seconds later that was to be, and its round"
    )
    standing: RequestSnapshot = Field(
        default_factory=RequestSnapshot, description="what the file says, for people to read"
    )
    parameters: int | None = Field(default=None, description="of its model, when it was judged")
    nbytes: int | None = Field(default=None, description="of its model's weights, when it was judged")
    weights: str = Field(default="", description="digest of the weights: the same for every copy of them")
    licence: str = Field(default="", description="of its model, as the card has it")

    @property
    def whose(self) -> str:
        """Who submitted it, as far as it is known."""
        return self.submitter or self.standing.submitter

    @property
    def time(self) -> float:
        """When it was submitted, as far as it is known."""
        return self.standing.time or self.submitted

    @property
    def commit(self) -> str:
        """The commit that it is about: of one that finished that of its results, whatever was tried since."""
        seen = self.standing
        return seen.revision if seen.status == "FINISHED" and seen.revision else self.sha or seen.revision

    @property
    def has_results(self) -> bool:
        """Whether results of it are on the board: it finished, perhaps waits for newer ones, and was not removed."""
        return self.standing.status in ("FINISHED", "PENDING_NEW_EVAL") or self.kept is not None

    @property
    def precision(self) -> str:
        """The precision at which it is to be evaluated, as the file's name has it."""
        where = parse_path(self.path)
        return where.precision if isinstance(where, RequestPath) else ""

    @property
    def is_private(self) -> bool:
        """Whether the public may not even know that there is such a request."""
        return self.standing.access == "private"


class Origin(BaseModel):
    """Who brought a request file, and how: only what the Hub itself reports."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    author: str = Field(default="", description="name of whoever made the commit or the pull request")
    front_end: bool = Field(default=False, description="whether that is a form of the board, which submits for others")
    pull: int | None = None
    commit: str = Field(default="", description="the commit that brought it")

    def submitter(self, sender: str | None) -> str:
        """Whose submission it is: a form's file names its signed-in user; nobody else is believed about another."""
        return sender if self.front_end and sender else self.author
