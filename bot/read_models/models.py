"""JSON shapes of the API's answers about requests and the queue. Times are ISO in UTC; addresses are on the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.attempts import Failure
from leaderboard.dispatch import BlockerKind
from leaderboard.steward_facts import Access

State = Literal["new", "waiting", "running", "finished", "failed", "cancelled", "elsewhere", "settled"]
PATH = "ada/tiny_eval_request_False_float16_Original.json"
FAILURE: dict[str, Any] = {
    "cause": "weights-not-safetensors",
    "fault": "submission",
    "message": "The weights are there as pickle files only; this leaderboard loads safetensors alone.",
    "advice": "Upload the weights as safetensors: save_pretrained() does so by default.",
}
SUMMARY: dict[str, Any] = {
    "path": PATH,
    "model": "ada/tiny",
    "revision": "5f6b6d1a3a1f0a3f6f8e5b8b5c9d9a4f1c2e3d4b",
    "precision": "float16",
    "weight_type": "Original",
    "status": "PENDING",
    "state": "waiting",
    "submitter": "ada",
    "submitted": "2026-11-24T12:00:00Z",
    "request_url": f"https://huggingface.co/datasets/board/requests/blob/main/{PATH}",
    "thread_url": "https://huggingface.co/datasets/board/requests/discussions/7",
    "log_url": None,
    "results_url": None,
    "details_url": None,
    "predictions_url": None,
    "failure": None,
    "failed": False,
    "access": "public",
    "from_before": False,
}
START: dict[str, Any] = {
    "earliest": "2026-11-24T13:10:00Z",
    "expected": "2026-11-24T14:00:00Z",
    "latest": "2026-11-24T15:30:00Z",
}
PLACE: dict[str, Any] = {"position": 3, "among": 12, "workers": 2, "start": START}


class ApiModel(BaseModel):
    """The base class of all answers."""

    model_config = ConfigDict(frozen=True)


class ErrorResponse(ApiModel):
    """An error, and what to do about it."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [{"code": "not-found", "message": "There is no such request.", "advice": "Check the path."}]
        },
    )

    code: str = Field(description="one word for programs")
    message: str
    advice: str = ""


class StartView(ApiModel):
    """When an evaluation is likely to start."""

    earliest: str
    expected: str
    latest: str


class QueuePositionView(ApiModel):
    """The position of a waiting request, from 1, among the requests that wait for the same `workers`."""

    position: int
    among: int
    workers: int
    start: StartView | None = Field(default=None, description="null where there is no measurement yet, or no worker")


class QueueBlockerView(ApiModel):
    """What blocks a request: a hold, a pause or a budget; the Hub, which does not answer about its model; or the delay
    of its retry."""

    kind: BlockerKind
    what: str = Field(default="", description="what is paused, or whose budget is used up")
    reason: str = ""
    by: str = ""
    until: str | None = Field(default=None, description="when it is retried, for the kind `retry`")

    @property
    def scope(self) -> str:
        """The kind of a pause's target: `board`, `tier` or `suite`."""
        return self.what.partition(":")[0]

    @property
    def name(self) -> str:
        """The name of the paused tier or suite."""
        return self.what.partition(":")[2]

    @property
    def words(self) -> str:
        """Kind, target and reason on one line, for a terminal and for lists in threads."""
        return ": ".join(filter(None, (f"{self.kind} {self.what}".strip(), self.reason)))


WAITS_FOR_HUB = QueueBlockerView(
    kind="hub",
    reason="For at least ten minutes the Hub has answered every question about this model with an error, although it "
    "answers others. So the model is not checked yet; that says nothing about the model. Steward tries again at least "
    "every ten minutes, and goes on once the Hub answers.",
)


PHASES: Mapping[str, str] = {
    "claim": "a worker is taking it",
    "download": "downloading the model",
    "start": "starting the sandbox",
    "load": "loading the weights",
    "prepare": "preparing the questions",
    "evaluate": "answering questions",
    "score": "scoring",
    "publish": "publishing",
}
"""Phase of an evaluation → its name for people."""


class ProgressView(ApiModel):
    """The progress of a running evaluation; `total` is 0 where it is not known yet."""

    phase: str
    done: int
    total: int
    replayed: int = Field(default=0, description="how many of those that are done an earlier attempt computed")
    started: str | None = None


class RequestSummaryView(ApiModel):
    """One request. A request for a gated model has no reason, log or thread; private requests are not listed."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [SUMMARY]})

    path: str = Field(description="path of its file in the requests repo")
    model: str
    revision: str = ""
    precision: str = ""
    weight_type: str = ""
    status: str = Field(description="the status in the file; OTHER for one that Steward does not know")
    state: State = Field(description="the state, which is more precise than the status")
    submitter: str = ""
    submitted: str | None = None
    request_url: str
    thread_url: str | None = None
    log_url: str | None = Field(default=None, description="address of the last log, if everybody can open it")
    has_log: bool = Field(default=False, description="whether a log is stored; without log_url for maintainers alone")
    results_url: str | None = None
    details_url: str | None = Field(default=None, description="address of the dataset with all questions and answers")
    predictions_url: str | None = Field(
        default=None, description="address of its file of predictions, if it is for one"
    )
    failure: Failure | None = None
    failed: bool = Field(
        default=False,
        description="whether its newest evaluation failed; a finished request keeps its earlier result",
    )
    access: Access = "public"
    removed: bool = Field(default=False, description="whether it was taken off the board, and can be restored")
    from_before: bool = Field(default=False, description="whether it is older than Steward's adoption of the board")


class RequestView(RequestSummaryView):
    """One request, with its position, blocker or progress."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{**SUMMARY, "attempt": 1, "place": PLACE, "held": None}]}
    )

    attempt: int = Field(default=0, description="number of the running or last attempt; 0 before the first")
    place: QueuePositionView | None = None
    held: QueueBlockerView | None = None
    progress: ProgressView | None = None


class RequestListResponse(ApiModel):
    """A page of requests, newest first."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"requests": [SUMMARY], "next": "MTczMjQ1MDAwMC4wIGFkYS90aW55"}]}
    )

    requests: list[RequestSummaryView]
    next: str | None = Field(description="cursor of the next page; null where there is none. A page may be short")


class WaitingRequestView(QueuePositionView):
    """A waiting request. A request for a private model shows only its position."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"path": PATH, "model": "ada/tiny", "tier": "small", **PLACE}]}
    )

    path: str | None
    model: str | None
    precision: str = ""
    submitter: str = ""
    tier: str


class BlockedRequestView(QueueBlockerView):
    """A blocked request, and the reason."""

    path: str | None
    model: str | None
    submitter: str = ""
    tier: str


class RunningRequestView(ProgressView):
    """A request whose evaluation runs."""

    path: str | None
    model: str | None
    precision: str = ""
    submitter: str = ""
    tier: str


class QueueCountsView(ApiModel):
    """The numbers of requests and workers."""

    waiting: int
    held: int
    running: int
    workers: int


class QueueResponse(ApiModel):
    """The queue: waiting requests in order, blocked requests, and running requests."""

    counts: QueueCountsView
    waiting: list[WaitingRequestView]
    held: list[BlockedRequestView]
    running: list[RunningRequestView]
    next: int | None = Field(description="`after` of the next page of waiting requests; null on the last one")
    next_held: int | None = Field(description="`held_after` of the next page of blocked requests; null on the last one")


class WholeQueueResponse(QueueResponse):
    """The queue as front ends show it, in one document, with the newest finished and failed requests."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "counts": {"waiting": 1, "held": 0, "running": 0, "workers": 2},
                    "waiting": [{"path": PATH, "model": "ada/tiny", "tier": "small", **PLACE}],
                    "held": [],
                    "running": [],
                    "next": None,
                    "next_held": None,
                    "finished": [],
                    "failed": [{**SUMMARY, "status": "FAILED", "state": "failed", "failure": FAILURE, "failed": True}],
                    "next_finished": None,
                    "next_failed": None,
                }
            ]
        },
    )

    finished: list[RequestSummaryView]
    failed: list[RequestSummaryView] = Field(description="each with its reason in `failure`, unless its model is gated")
    next_finished: str | None = Field(
        description="cursor of `/api/requests?status=FINISHED`; null where there is no more"
    )
    next_failed: str | None = Field(description="cursor of `/api/requests?status=FAILED`; null where there is no more")
