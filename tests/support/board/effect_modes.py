"""Helpers for tests of effects in shadow: switch them, read what the bot wrote, and what it would have written."""

from __future__ import annotations

from typing import Any

from leaderboard.attempts import Failure
from leaderboard.effects import Effect, EffectMode, Effects
from leaderboard.request_paths import RequestPath
from redis_state.heartbeats import WorkerCard
from redis_state.jobs import EvaluationJob
from steward.testing.board import BoardDriver

SHADOW, ON = (dict.fromkeys(Effect, mode) for mode in (EffectMode.SHADOW, EffectMode.ON))
CORRUPTED = Failure(cause="weights-corrupted", fault="submission", message="The weights are cut off.")


def switch(stand: BoardDriver, modes: dict[Effect, EffectMode], **others: EffectMode) -> None:
    """Give the board these effects, as a restart with another board file does."""
    named = {Effect(kind.replace("_", "-")): mode for kind, mode in others.items()}
    stand.context.board = stand.context.board.model_copy(update={"effects": Effects(modes={**modes, **named})})


def path_of(precision: str, model: str = "ada/good") -> str:
    """Return the path of the request for a model at a precision."""
    return str(RequestPath(*model.split("/"), private=False, precision=precision, weight_type="Original"))


def submit(stand: BoardDriver, precision: str, **fields: Any) -> str:
    """Submit ada/good at another precision as the form does."""
    return stand.submit("ada/good", path=path_of(precision), precision=precision, **fields)


def submit_and_take(stand: BoardDriver, precision: str) -> EvaluationJob:
    """Submit ada/good, and let a new worker take the job."""
    stand.context.workers.announce(WorkerCard(name=precision, tiers=("all",), since=stand.time, beat=stand.time))
    path = submit(stand, precision)
    stand.settle()
    (job,) = (job for job in stand.queued() if job.path == path)
    assert stand.take(job) is True
    return job


def public_state(stand: BoardDriver) -> dict[str, Any]:
    """Return the heads of the board's repos and the texts of its threads."""
    repos = [f"board/{name}" for name in ("requests", "results", "logs")]
    heads = {name: stand.form.list_repo_commits(name, repo_type="dataset")[0].commit_id for name in repos}
    texts = {t.num: (t.status, [getattr(e, "content", e.type) for e in t.events]) for t in stand.threads()}
    return {**heads, "threads": texts}


def pass_time(stand: BoardDriver, seconds: float) -> None:
    """Advance the clocks of the bot and of the Hub, run the timer, and sync every key that is due."""
    stand.hub.state.clock.advance(seconds)
    # The Hub's clock advances while a test runs, the bot's does not: code that compares the two needs them equal.
    stand.time = max(stand.time + seconds, stand.hub.state.clock.seconds())
    stand.worker()
    stand.tick()
    stand.work()


def listed(stand: BoardDriver) -> list[tuple[str, str, str]]:
    """Return the shadow report, oldest first: effect, file, status."""
    things = stand.context.effects.shadow.read().things
    return [(shadowed.effect, shadowed.path, shadowed.status) for shadowed in reversed(things)]
