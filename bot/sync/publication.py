"""The end of an attempt: check what the worker published, copy it into the shared repos, and close the request.

Only the current attempt gets here: the caller computed its id from the request file. The order is results, log, request
file, comment; the paths come from the attempt, so that a second run after a crash finds what is there and goes on.
"""

from __future__ import annotations

import structlog
from pydantic import ValidationError

from bot.desk import Desk
from bot.index import Entry
from bot.sync.edits import edit_request
from bot.sync.queue import QUEUE
from bot.sync.status_thread import tell
from bot.sync.views import view_of
from bot.texts.status import ScoreRow
from hub.errors import NotFound, TooLarge
from hub.records import Put, Repo
from leaderboard import transitions
from leaderboard.attempts import Failure, Outcome
from leaderboard.details import Published, outcome_path
from leaderboard.failures import cause
from leaderboard.requests import Request, Status
from leaderboard.results import MAX_BYTES, BadResults, Results, read_results, results_path
from wire.dirty import Priority

log = structlog.get_logger()

MAX_OUTCOME = 100_000


class NotAsPromised(Exception):
    """What the details repo holds is not what the outcome says; the message tells how it differs."""


def finish(desk: Desk, request: Request, entry: Entry, outcome: Outcome, text: str) -> None:
    """Publish the results of `outcome` and say FINISHED; FAILED where they are not what they should be."""
    try:
        results, data = check(desk, request, outcome)
    except NotAsPromised as error:
        log.error("results refused", attempt=outcome.attempt, error=str(error))
        fail(desk, request, entry, cause("results-refused").failure(str(error)), outcome, text)
        return
    path = results_path(request.path.model, outcome.ended)
    message = f"Add results of {request.path.model}"
    desk.hub.edit_files(desk.results, lambda read: [] if read(path) else [Put(path, data)], message)
    log_url = keep_log(desk, request, outcome, text)
    thread = entry.thread or request.file.steward.thread

    def write(now: Request) -> str | None:
        if now.status is Status.FINISHED or now.status is Status.CANCELLED:
            return None
        return transitions.finished(now, results=path, log=log_url, thread=thread)

    edit_request(desk, entry.path, write, f"Finish {request.path.model}", f"Attempt: {outcome.attempt}")
    view = view_of(
        desk,
        entry.model_copy(update={"attempt": outcome.attempt}),
        request,
        "finished",
        scores=score_rows(results),
        average=_shown(results.scores.average),
        results_url=desk.address(desk.results, path),
        details_url=desk.address(details_repo(desk, request)),
        log_url=log_url,
    )
    settle(desk, tell(desk, entry, view, named=request.file.steward.thread), outcome.attempt)


def fail(desk: Desk, request: Request, entry: Entry, failure: Failure, outcome: Outcome | None, text: str) -> None:
    """FAILED, with the reason in file and thread, and the log where there is one."""
    log_url = keep_log(desk, request, outcome, text) if outcome is not None else None
    attempt = outcome.attempt if outcome is not None else entry.attempt or ""
    shown = entry.model_copy(update={"attempt": attempt})
    view = view_of(desk, shown, request, "failed", failure=failure, log_url=log_url or "")
    entry = tell(desk, entry, view, named=request.file.steward.thread)

    def write(now: Request) -> str | None:
        if now.status in (Status.FINISHED, Status.CANCELLED, Status.FAILED):
            return None
        return transitions.failed(now, failure=failure, log=log_url, thread=entry.thread)

    edit_request(desk, entry.path, write, f"Fail {request.path.model}", f"Attempt: {attempt}\nCause: {failure.cause}")
    settle(desk, entry, attempt)


def settle(desk: Desk, entry: Entry, attempt: str) -> None:
    """Nothing more is to come: forget the attempt, and let the next one have its turn."""
    desk.index.put(entry.model_copy(update={"state": "settled", "attempt": attempt or None, "job": None}))
    desk.attempts.drop(attempt)
    desk.mark(QUEUE, Priority.PERSON)


def keep_log(desk: Desk, request: Request, outcome: Outcome, text: str) -> str:
    """Copy log and outcome of an attempt into the logs repo; the address of the log."""
    folder = f"{request.path.model}/{outcome.attempt}"
    log_path = f"{folder}/log.txt"
    words = text or "The attempt left no log.\n"
    files = [
        Put(log_path, words.encode("utf-8", "replace")),
        Put(f"{folder}/outcome.json", outcome.model_dump_json(indent=2).encode() + b"\n"),
    ]
    message = f"Add the log of {request.path.model}"
    desk.hub.edit_files(desk.logs, lambda read: [] if read(log_path) else files, message, f"Attempt: {outcome.attempt}")
    return desk.address(desk.logs, log_path)


def check(desk: Desk, request: Request, outcome: Outcome) -> tuple[Results, bytes]:
    """The results that `outcome` points to, and their bytes. Raises NotAsPromised where they are something else."""
    details, repo = outcome.details, details_repo(desk, request)
    if details is None or details.repo != repo.id:
        raise NotAsPromised("the details are not in the repo of this model")
    try:
        file = desk.hub.read_file(repo, details.results_path, details.commit, max_bytes=MAX_BYTES)
        results = read_results(file.data, desk.suite)
    except (NotFound, TooLarge, BadResults) as error:
        raise NotAsPromised(str(error)) from error
    said = (results.block.attempt, results.block.request, results.block.model, results.block.revision)
    if said != (outcome.attempt, str(request.path), request.path.model, outcome.revision):
        raise NotAsPromised("the results are of another attempt")
    return results, file.data


def find_outcome(desk: Desk, request: Request, attempt: str) -> Outcome | None:
    """The outcome that a worker published before it, or Redis, was lost; None where there is none that can be read."""
    repo, path = details_repo(desk, request), outcome_path(attempt)
    try:
        file = desk.hub.find_file(repo, path, max_bytes=MAX_OUTCOME)
        if file is None:
            return None
        outcome = Published.model_validate_json(file.data).outcome(repo.id, file.commit)
    except (NotFound, TooLarge, ValidationError) as error:
        log.warning("no outcome to recover", attempt=attempt, error=str(error)[:200])
        return None
    return outcome if outcome.attempt == attempt else None


def details_repo(desk: Desk, request: Request) -> Repo:
    """The dataset that holds every sample of the model's evaluations."""
    return Repo("dataset", desk.board.repos.details(request.path.model))


def score_rows(results: Results) -> list[ScoreRow]:
    """The table of scores: each benchmark, normalised and raw, in the suite's order."""
    return [ScoreRow(one.name, _shown(one.normalised), f"{one.raw:.4f}") for one in results.scores.benchmarks]


def _shown(score: float) -> str:
    return f"{score:.2f}"
