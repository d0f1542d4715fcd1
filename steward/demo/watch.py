"""The state of the demo's submissions, from the request files and, for the progress, from Redis."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypedDict

from hub.client import Hub
from hub.errors import HubError
from hub.records import Repo
from leaderboard.attempts import Failure
from leaderboard.requests import Request, parse_request
from redis_state.attempts import Attempts, AttemptState
from redis_state.clock import now
from redis_state.heartbeats import WorkerRegistry
from redis_state.keys import Keys
from redis_state.redis import Redis
from steward.demo.story import SUBMISSIONS, DemoSubmission
from steward.demo.world import REQUESTS, RESULTS

ENDED = ("FINISHED", "FAILED")


@dataclass(frozen=True)
class SubmissionStatus:
    """The state of one submission."""

    submission: DemoSubmission
    status: str = "not there yet"
    failure: Failure | None = None
    thread: str | None = None
    results: str | None = None
    attempt: AttemptState | None = None

    @property
    def ended(self) -> bool:
        """Whether the request has ended."""
        return self.status in ENDED

    @property
    def progress(self) -> tuple[str, str, int]:
        """The status, the attempt's phase, and how much of the phase is done: it changes while work is done."""
        if self.attempt is None:
            return self.status, "", 0
        return self.status, self.attempt.progress.phase, self.attempt.progress.done

    @property
    def right(self) -> bool:
        """Whether it ended as expected."""
        cause = self.failure.cause if self.failure is not None else None
        return self.status == self.submission.status and cause == self.submission.cause and self.thread is not None


class PublishedScores(TypedDict):
    """The average of a results file, and the score of each benchmark."""

    average: float
    benchmarks: dict[str, float]


class SubmissionReport(TypedDict):
    """The end of one submission, for the table and the JSON output."""

    model: str
    status: str
    scores: PublishedScores | None
    failure: dict[str, str] | None
    thread: str | None
    right: bool


class DemoResult(TypedDict):
    """The JSON output of a demo."""

    seconds: float
    hub: str
    requests: list[SubmissionReport]


class SubmissionWatcher:
    """Reads the state of all submissions, with one call each."""

    def __init__(self, hub: Hub, redis: Redis, keys: Keys) -> None:
        self._hub = hub
        self._attempts, self._workers = Attempts(redis, keys), WorkerRegistry(redis, keys)
        self._repo = Repo("dataset", REQUESTS)
        self._last: dict[str, SubmissionStatus] = {}

    def has_worker(self) -> bool:
        """Whether the worker takes jobs."""
        return bool(self._workers.alive(now=now()))

    def look(self) -> list[SubmissionStatus]:
        """Return the present states; a submission that is unreadable for a moment keeps its last state."""
        return [self._standing(submission) for submission in SUBMISSIONS]

    def _standing(self, submission: DemoSubmission) -> SubmissionStatus:
        before = self._last.get(submission.path, SubmissionStatus(submission))
        if before.ended:
            return before
        try:
            file = self._hub.find_file(self._repo, submission.path)
        except HubError:
            return before
        request = parse_request(submission.path, file.data) if file is not None else None
        if not isinstance(request, Request):
            return before
        self._last[submission.path] = standing = self._read(submission, request)
        return standing

    def _read(self, submission: DemoSubmission, request: Request) -> SubmissionStatus:
        facts, job = request.file.steward, request.file.job_id
        attempt = self._attempts.read(job) if isinstance(job, str) and request.file.status == "RUNNING" else None
        thread = f"{self._hub.endpoint}{self._repo.web}/discussions/{facts.thread}" if facts.thread else None
        return SubmissionStatus(submission, request.file.status, facts.failure, thread, facts.results, attempt)

    def scores(self, standing: SubmissionStatus) -> PublishedScores | None:
        """Return the published scores of a finished submission from the results repo."""
        if standing.results is None:
            return None
        file = self._hub.read_file(Repo("dataset", RESULTS), standing.results)
        return published_scores(file.data)


def published_scores(data: bytes) -> PublishedScores:
    """Return the average and the score of each benchmark from the `steward` block of a results file."""
    block = json.loads(data)["steward"]
    return {"average": block["average"], "benchmarks": block["benchmarks"]}
