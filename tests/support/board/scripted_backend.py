"""A backend whose platform a test controls, and readers of what the bot reports about it."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.testclient import TestClient

from bot.core.attempt_tokens import AttemptTokens
from bot.core.platforms import Platforms
from bot.setup.doctor.backends import backends as examine_backends
from bot.threads.maintainers_list import waiting_items
from bot.web.board import BoardReader
from bot.web.frame import Frame
from bot.web.page import page_routes
from bot.web.pages.workers import PAGE
from bot.web.site import PAGES, Menu
from leaderboard.backend_settings import JobsBackend
from leaderboard.tiers import Tier
from leaderboard.waiting_items import BACKEND as BACKEND_TOPIC
from redis_state.board.backend_runs import BACKENDS
from redis_state.jobs import EvaluationJob
from steward.testing.board import BoardDriver
from tests.support.board.scripted_platform import ScriptedPlatform

TIER: Tier = "medium"
BACKEND = JobsBackend(kind="jobs", namespace="board", flavor="cpu-basic", image="steward", parallel=2)


def scripted_backend(stand: BoardDriver) -> ScriptedPlatform:
    """Give the board one backend, and return its platform."""
    made = ScriptedPlatform(now=stand.time)
    stand.context.board = stand.context.board.model_copy(update={"threads": "never", "backends": {TIER: BACKEND}})
    tokens = AttemptTokens(stand.context.board.name, ["secret"])
    stand.context.platforms = Platforms({TIER: made}, tokens, "https://board.example")
    return made


def pass_time(stand: BoardDriver, platform: ScriptedPlatform, seconds: float = 1.0) -> None:
    """Advance the clock, run the timer, and sync the backends and every key that this marks."""
    stand.time += seconds
    platform.now = stand.time
    stand.tick()
    stand.context.mark(BACKENDS)
    stand.settle()


def allow_one_run(stand: BoardDriver) -> None:
    """Let the backend run one attempt at a time."""
    backend = BACKEND.model_copy(update={"parallel": 1})
    stand.context.board = stand.context.board.model_copy(update={"backends": {TIER: backend}})


def listed(stand: BoardDriver) -> list[tuple[str, str]]:
    """Return the entries about backends in the maintainers' list: titles and commands."""
    items = [item for item in waiting_items(stand.context) if item.topic == BACKEND_TOPIC]
    return [(item.title, item.actions[0].text) for item in items]


def doctor_words(stand: BoardDriver) -> str:
    """Return what `steward doctor` reports about backends."""
    checks = examine_backends(stand.context, lambda: stand.context.platforms, lambda _: "")
    return " ".join(f"{check.state} {check.words}" for check in checks)


def take(stand: BoardDriver, platform: ScriptedPlatform, run_id: str) -> EvaluationJob:
    """Let a run begin: its worker takes the job of its attempt, and the bot grants the claim."""
    attempt = platform.runs_by_id[run_id].attempt
    (job,) = [job for job in stand.queued() if job.attempt == attempt]
    platform.becomes(run_id, "running")
    assert stand.take(job)
    stand.beat(job)
    return job


def workers_page(stand: BoardDriver) -> str:
    """Return the HTML of the page of workers."""
    app = FastAPI()
    takes = stand.context.takes
    frame = Frame("Demo", "https://hub/discussions", menu=Menu(PAGES, takes), takes=takes)
    app.include_router(page_routes(PAGE, BoardReader(stand.context), frame))
    with TestClient(app) as client:
        return client.get("/workers").text
