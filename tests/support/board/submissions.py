"""Submissions over HTTP, and sync loops that run beside the test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from bot.core.commands.registry import BadArguments
from bot.core.context import BoardContext
from bot.core.settings import BotSettings
from bot.read_models.submit_models import SubmissionBody, SubmissionResponse
from bot.requests.api_submission import arguments_of
from bot.web.mailbox_syncs import sync_submission
from redis_state import clock
from redis_state.board.mailbox import Mailbox
from redis_state.board.messages import ApiSubmission
from redis_state.keys import Keys
from steward.testing.board import ADA, BoardDriver

KEYS = Keys("demo")
STORED = KEYS.message(ApiSubmission.KEY, "*")
"""The pattern of the keys of all submissions in Redis."""
GOOD = {"model": "ada/good", "precision": "float32"}
PATH = "ada/good_eval_request_False_float32_Original.json"


@pytest.fixture
def hub_settings(settings: BotSettings, stand: BoardDriver) -> BotSettings:
    """The settings of a web server that checks tokens on the Hub of `stand`."""
    return settings.model_copy(update={"hf_endpoint": stand.hub.url})


@contextmanager
def syncs_beside(stand: BoardDriver) -> Iterator[None]:
    """Run a sync loop on a thread, with the real clock, which the web server uses too."""
    stand.context.now = clock.now
    stand.context.me()
    thread = threading.Thread(target=stand.loop.run)
    thread.start()
    try:
        yield
    finally:
        stand.loop.stop()
        thread.join()


def put(context: BoardContext, submission: ApiSubmission) -> None:
    """Store the submission for a sync, as the web server does."""
    Mailbox(context.redis, context.keys, ApiSubmission, SubmissionResponse).put(submission)


def post(web: httpx2.Client, body: object, token: str = ADA, **headers: str) -> httpx2.Response:
    """Submit over the API."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"authorization": f"Bearer {token}"} if token else {}
    return web.post("/api/requests", content=content, headers={**given, **headers}, timeout=30)


def asked_whose(stand: BoardDriver) -> int:
    """Return how many times any program asked the Hub for the owner of a token."""
    return sum(call["count"] for call in stand.hub.state.stats.read()["calls"] if "whoami" in call["route"])


def settled(web: httpx2.Client, body: object, token: str = ADA, **headers: str) -> httpx2.Response:
    """Repeat a submission until the board has decided on it; return the last response."""
    answer = post(web, body, token, **headers)
    for _ in range(20):
        if answer.status_code != 202 or answer.json()["code"] != "under-way":
            break
        answer = post(web, body, token, **headers)
    return answer


def post_after_sync(web: httpx2.Client, stand: BoardDriver, asked: SubmissionBody, who: str) -> httpx2.Response:
    """Return the API's answer to a submission of `who` that a sync has carried out already."""
    account, arguments = stand.context.hub.user(who), arguments_of(asked)
    assert not isinstance(arguments, BadArguments)
    submission = ApiSubmission(person_id=account.id, person_name=who, arguments=dict(arguments), at=clock.now())
    put(stand.context, submission)
    sync_submission(stand.context, submission.message_id)
    return post(web, json.loads(asked.model_dump_json()), f"hf_{who}")
