"""A board on which every text that users can set is an attack."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import redis

from leaderboard.attempts import Failure
from redis_state import clock
from redis_state.attempts import AttemptProgress, Attempts
from redis_state.board.decisions import CommandDecision, DecisionAuthor, Decisions, DecisionThread
from redis_state.board.index import Index
from redis_state.board.scoreboard import EvaluationScores, Scoreboard
from redis_state.heartbeats import WorkerCard, WorkerRegistry
from redis_state.keys import Keys
from tests.support.browser.seeded_large_board import entry, flag, put_flags

HOSTILE = "\"'><img src=x onerror=alert(1)><script>alert(1)</script>{{7*7}}"
ATTEMPT, RUNNING = f"{1:012x}-deadbeef-1", f"{HOSTILE}/runs.json"


def fill_with_attacks(connection: redis.Redis, keys: Keys) -> None:
    """Fill the board with requests, scores, flags, workers, decisions and threads whose texts are attacks."""
    index, now = Index(connection, keys), clock.now()
    bad = Failure(cause="odd", fault="unknown", message=HOSTILE, advice=HOSTILE)
    words = ("submitter", "licence", "category", "architecture", "base_model", "revision", "results")
    said: dict[str, Any] = {**dict.fromkeys(words, HOSTILE), "failure": bad, "log": "javascript:alert(1)"}
    said["causes"] = (f"{'a' * 12}-deadbeef-1:{HOSTILE}", f"report:{HOSTILE}")
    index.put(
        entry(HOSTILE, "settled", "FAILED", path=f"{HOSTILE}/failed.json", **said),
        entry(HOSTILE, "settled", "FINISHED", path=f"{HOSTILE}/done.json", number=1, **said),
        entry(HOSTILE, "waiting", "PENDING", path=f"{HOSTILE}/waits.json", attempt="x", number=2),
        entry(HOSTILE, "running", "RUNNING", path=RUNNING, attempt=ATTEMPT, number=3),
    )
    Attempts(connection, keys).take(ATTEMPT, RUNNING, "w", now=now)
    Attempts(connection, keys).beat(ATTEMPT, AttemptProgress(HOSTILE, 1, 2), now=now, worker="w", path=RUNNING)
    scored = EvaluationScores(path=f"{HOSTILE}/done.json", model=HOSTILE, suite="s", average=50.0)
    Scoreboard(connection, keys).put(scored)
    put_flags(connection, keys, flag(HOSTILE, reason=HOSTILE, thread="javascript:alert(1)"))
    card = WorkerCard(name=HOSTILE, tiers=("small",), devices=HOSTILE, versions={HOSTILE: HOSTILE}, since=now, beat=now)
    WorkerRegistry(connection, keys).announce(card)
    decision = CommandDecision(
        at=HOSTILE[:40],
        person=DecisionAuthor(id="1", name=HOSTILE),
        command=HOSTILE,
        verb="x",
        allowed=True,
        comment=HOSTILE,
        thread=DecisionThread(repo="dataset/board/requests", number=1),
    )
    Decisions(connection, keys).put(decision)
    fields = {"title": HOSTILE, "url": "https://hub.example/1", "topic": HOSTILE, "author": HOSTILE, "since": now}
    connection.hset(keys.waiting_threads, "thread:1", json.dumps(fields))


def attacked_pages() -> list[str]:
    """Every page that shows one of these texts."""
    name = quote(HOSTILE)
    lists = ("/queue", "/requests", "/?flagged=1", "/flags", "/workers", "/decisions", "/threads-waiting")
    ones = [f"/requests/{name}/{what}.json" for what in ("failed", "done", "waits", "runs")]
    return [*lists, *ones, f"/models/{name}", f"/requests?q={name}", f"/models/none{name}"]
