"""One attempt through a real worker: what the bot sees, what is published, what it died of."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from workers_kit import TOKEN, Bot, WorkerProcess, eventually, job

from wire.heartbeats import Workers

Start = Callable[..., WorkerProcess]


def test_an_attempt_from_queue_to_end(bot: Bot, start_worker: Start) -> None:
    """A queued job is taken, claimed, evaluated, published once and ended, and each step marks the request dirty."""
    asked, worker = job("fine"), start_worker()
    bot.enqueue(asked)
    bot.reaches(asked, "taken")
    assert eventually(lambda: bot.dirty(asked))
    bot.clean()
    bot.attempts.answer_claim(asked.attempt, granted=True)
    outcome, log = bot.outcome(asked)
    assert outcome.ok and outcome.details.repo == "trial-details/details_trial__fine"
    assert (outcome.path, outcome.revision, outcome.phase) == (asked.path, asked.revision, "publish")
    assert outcome.versions["lm-eval"] and "claim granted" in log
    assert eventually(lambda: bot.dirty(asked))
    assert worker.hub() == ["fetch", "fetched", "publish", "published"]
    assert bot.attempts.alive(now=1e12) == set() and bot.attempts.lost(now=1e12) == set()
