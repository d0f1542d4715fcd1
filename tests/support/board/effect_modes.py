"""A board whose effects are switched, what it wrote, and what it would have done."""

from __future__ import annotations

from typing import Any

from leaderboard.attempts import Failure
from leaderboard.effects import Effect, EffectMode, Effects
from leaderboard.request_paths import RequestPath
from redis_state.heartbeats import WorkerCard
from redis_state.jobs import EvaluationJob
from tests.support.board.board_driver import BoardDriver

SHADOW, ON = (dict.fromkeys(Effect, mode) for mode in (EffectMode.SHADOW, EffectMode.ON))
CORRUPTED = Failure(cause="weights-corrupted", fault="submission", message="The weights are cut off.")


def switch(stand: BoardDriver, modes: dict[Effect, EffectMode], **others: EffectMode) -> None:
    """Give the board these effects, as a restart with another board file does."""
    named = {Effect(kind.replace("_", "-")): mode for kind, mode in others.items()}
    stand.context.board = stand.context.board.model_copy(update={"effects": Effects(modes={**modes, **named})})


def path_of(precision: str, model: str = "ada/good") -> str:
    """Where the request for a model at a precision lies."""
    return str(RequestPath(*model.split("/"), private=False, precision=precision, weight_type="Original"))


def submit(stand: BoardDriver, precision: str, **fields: Any) -> str:
    """The form submits ada/good at another precision."""
    return stand.submit("ada/good", path=path_of(precision), precision=precision, **fields)


def begun(stand: BoardDriver, precision: str) -> EvaluationJob:
    """An evaluation that a worker is at."""
    stand.context.workers.announce(WorkerCard(name=precision, tiers=("all",), since=stand.time, beat=stand.time))
    path = submit(stand, precision)
    stand.settle()
    (job,) = (job for job in stand.queued() if job.path == path)
    assert stand.take(job) is True
    return job


def written(stand: BoardDriver) -> dict[str, Any]:
    """Everything that people can see of what the bot, or anybody, wrote."""
    repos = [f"board/{name}" for name in ("requests", "results", "logs")]
    heads = {name: stand.form.list_repo_commits(name, repo_type="dataset")[0].commit_id for name in repos}
    texts = {t.num: (t.status, [getattr(e, "content", e.type) for e in t.events]) for t in stand.threads()}
    return {**heads, "threads": texts}


def later(stand: BoardDriver, seconds: float) -> None:
    """Time goes by, for us and for the Hub; the timer ticks, and all that is due is done."""
    stand.hub.state.clock.advance(seconds)
    # The Hub's clock goes on while a test runs, and ours does not: who compares the two needs them together.
    stand.time = max(stand.time + seconds, stand.hub.state.clock.seconds())
    stand.worker()
    stand.tick()
    stand.work()


def listed(stand: BoardDriver) -> list[tuple[str, str, str]]:
    """The list, oldest first: kind, file, status."""
    things = stand.context.effects.shadow.read().things
    return [(shadowed.effect, shadowed.path, shadowed.status) for shadowed in reversed(things)]
