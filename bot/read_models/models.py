"""What the API answers about requests and the queue, field by field. Times are ISO in UTC; addresses are of the Hub."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.attempts import Fault
from leaderboard.requests import Access

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
    """The root of all answers."""

    model_config = ConfigDict(frozen=True)


class ErrorResponse(ApiModel):
    """Why there is no other answer, and what to do."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [{"code": "not-found", "message": "There is no such request.", "advice": "Check the path."}]
        },
    )

    code: str = Field(description="one word for programs")
    message: str
    advice: str = ""


class FailureView(ApiModel):
    """What an evaluation or a submission failed of, and whose fault it was."""

    cause: str
    fault: Fault
    message: str
    advice: str = ""


class StartView(ApiModel):
    """When an evaluation is likely to start."""

    earliest: str
    expected: str
    latest: str


class QueuePositionView(ApiModel):
    """The turn of a waiting request: its position, from 1, among those that wait for the same `workers`."""

    position: int
    among: int
    workers: int
    start: StartView | None = Field(default=None, description="null where nothing was measured yet, or nobody works")


class QueueBlockerView(ApiModel):
    """What keeps a request from having its turn."""

    kind: Literal["hold", "pause", "budget"]
    what: str = Field(default="", description="what is paused, or whose budget is used up")
    reason: str = ""
    by: str = ""


class ProgressView(ApiModel):
    """How far a running evaluation is; `total` 0 where that is not known yet."""

    phase: str
    done: int
    total: int
    started: str | None = None


class RequestSummaryView(ApiModel):
    """One request. Of a gated model no reason, log or thread is shown; private ones are not listed at all."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [SUMMARY]})

    path: str = Field(description="of its file in the requests repo")
    model: str
    revision: str = ""
    precision: str = ""
    weight_type: str = ""
    status: str = Field(description="the word in the file; OTHER where it is none that Steward knows")
    state: State = Field(description="where it is: in words that tell more than the status")
    submitter: str = ""
    submitted: str | None = None
    request_url: str
    thread_url: str | None = None
    log_url: str | None = None
    results_url: str | None = None
    details_url: str | None = Field(default=None, description="of the dataset with every question and answer")
    failure: FailureView | None = None
    failed: bool = Field(
        default=False,
        description="whether its newest evaluation failed: where it has finished, an earlier result stays",
    )
    access: Access = "public"
    from_before: bool = Field(default=False, description="whether it is from before Steward took over the board")


class RequestView(RequestSummaryView):
    """One request, with where it stands now."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{**SUMMARY, "attempt": 1, "place": PLACE, "held": None}]}
    )

    attempt: int = Field(default=0, description="number of the attempt that runs, or was the last; 0 before the first")
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
    """One that waits, in turn. Of a private model only the place is shown."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"path": PATH, "model": "ada/tiny", "tier": "small", **PLACE}]}
    )

    path: str | None
    model: str | None
    precision: str = ""
    submitter: str = ""
    tier: str


class BlockedRequestView(QueueBlockerView):
    """One that gets no turn for now, and why."""

    path: str | None
    model: str | None
    submitter: str = ""
    tier: str


class RunningRequestView(ProgressView):
    """One that is being evaluated."""

    path: str | None
    model: str | None
    precision: str = ""
    submitter: str = ""
    tier: str


class QueueCountsView(ApiModel):
    """How many there are in all."""

    waiting: int
    held: int
    running: int
    workers: int


class QueueResponse(ApiModel):
    """The queue: those that wait in turn, those that are held back, and those that run."""

    counts: QueueCountsView
    waiting: list[WaitingRequestView]
    held: list[BlockedRequestView]
    running: list[RunningRequestView]
    next: int | None = Field(description="`after` of the next page of those that wait; null where there is none")
    next_held: int | None = Field(description="`held_after` of the next page of those that are held back")


class WholeQueueResponse(QueueResponse):
    """Everything that front ends show as the queue, in one document. Of those that ended, the newest."""

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
    next_finished: str | None = Field(description="cursor of `/api/requests?status=FINISHED`; null where that is all")
    next_failed: str | None = Field(description="cursor of `/api/requests?status=FAILED`; null where that is all")
