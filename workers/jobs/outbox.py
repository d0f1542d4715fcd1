"""Sends a worker's outcomes to the bot; while the bot or its Redis is away they stay in a folder on disk."""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError

from leaderboard.attempts import Outcome
from redis_state.crashpoints import pass_by, point
from workers.common.diagnosis import diagnose, evidence_of
from workers.errors import CallRefused, WorkerError
from workers.jobs.board_link import BoardLink

log = logging.getLogger(__name__)

OUTCOME_STORED = point("outcome laid down, bot not told")
ENDED = point("bot told, request not marked")

OUTCOME, LOG, WORKER = "outcome.json", "log.txt", "worker.txt"


class OutcomeUnsent(WorkerError):
    """The slot's folder holds an outcome that was not sent; the caller must not overwrite it."""


def store_and_send(folder: Path, link: BoardLink, outcome: Outcome, text: str, *, worker: str) -> None:
    """Store the outcome and the log `text` of an attempt of `worker` in `folder`, then send them.

    Raises what `send_outcome` raises.
    """
    try:
        store_outcome(folder, outcome, text, worker=worker)
    except OSError as error:  # a full disk: unlike a stored outcome, this one is lost if the worker dies now
        log.warning("the outcome of attempt %s cannot be stored: %s", outcome.attempt, error)
        send_outcome(link, outcome, text, worker=worker)
        return
    pass_by(OUTCOME_STORED)
    send_unsent_outcome(folder, link)


def store_outcome(folder: Path, outcome: Outcome, text: str, *, worker: str) -> None:
    """Write the outcome and the log `text` of an attempt of `worker` to `folder`, before they are sent."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOG).write_text(text, "utf-8")
    (folder / WORKER).write_text(worker, "utf-8")
    draft = folder / f"{OUTCOME}.new"
    draft.write_text(outcome.model_dump_json(), "utf-8")
    draft.rename(folder / OUTCOME)


def has_unsent_outcome(folder: Path) -> bool:
    """Whether `folder` holds an outcome that was not sent to the bot."""
    return (folder / OUTCOME).exists()


def send_unsent_outcome(folder: Path, link: BoardLink) -> str | None:
    """Send the outcome in `folder`, if there is one, then remove it. Return the attempt's id.

    Raises one of AWAY while the bot does not answer; the outcome then stays. Raises CallRefused as `send_outcome` does.
    """
    try:
        outcome = Outcome.model_validate_json((folder / OUTCOME).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValidationError:
        log.warning("%s holds an outcome that cannot be read; it is dropped", folder)
        (folder / OUTCOME).unlink()
        return None
    worker = (folder / WORKER).read_text("utf-8")
    try:
        send_outcome(link, outcome, (folder / LOG).read_text("utf-8"), worker=worker)
    except CallRefused:
        (folder / OUTCOME).unlink()
        raise
    (folder / OUTCOME).unlink()
    return outcome.attempt


def send_outcome(link: BoardLink, outcome: Outcome, text: str, *, worker: str) -> None:
    """Send the outcome and the log `text` of an attempt of `worker`. Raises one of AWAY without an answer.

    An outcome that the bot refuses for good is sent without its log, and then as a failure that says so. Raises
    CallRefused if the bot refuses that as well, or refuses published results, which it finds on the Hub.
    """
    if not _end(link, outcome, text, worker):
        log.warning("another worker runs attempt %s: the outcome of worker %s is dropped", outcome.attempt, worker)
    pass_by(ENDED)
    link.mark(outcome.path)


def _end(link: BoardLink, outcome: Outcome, text: str, worker: str) -> bool:
    """End the attempt as `send_outcome` says; False if another worker holds it."""
    attempts = link.attempts()
    try:
        return attempts.end(outcome, text, worker=worker)
    except CallRefused as error:
        log.error("the outcome of attempt %s is sent without its log: %s", outcome.attempt, error)
        refusal = error
    note = f"[worker] the log is left out: {refusal}\n"
    try:
        return attempts.end(outcome, note, worker=worker)
    except CallRefused:
        if outcome.ok:
            raise
    evidence = evidence_of(refusal, outcome.phase)
    changes = {"trial": None, "failure": diagnose(evidence), "evidence": evidence}
    return attempts.end(outcome.model_copy(update=changes), note, worker=worker)
