"""A board in Redis as the syncs would write it: requests in every state, scores, flags and workers."""

from __future__ import annotations

import json
from typing import Any

import redis

from leaderboard.attempts import Failure
from leaderboard.categories import ModelCategory
from leaderboard.flags import FlagDecision, FlagRecord
from leaderboard.holds import Hold
from redis_state import clock
from redis_state.attempts import LOST, AttemptProgress, Attempts
from redis_state.board.entry import IndexEntry
from redis_state.board.index import Index
from redis_state.board.request_snapshot import RequestSnapshot
from redis_state.board.scoreboard import EvaluationScores, Scoreboard
from redis_state.heartbeats import WorkerCard, WorkerRegistry
from redis_state.keys import Keys

KEYS = Keys("looked-at")
"""The keys of the board that the tests of its pages and tables read."""
BENCHMARKS = (
    "Boolean Expressions",
    "Navigation",
    "Web of Lies",
    "Date Arithmetic",
    "Object Counting",
    "Word Sorting",
)
FINISHED = (
    ("tiny-lab/cedar-7b", "apache-2.0", "chat", 7.24, 51.3),
    ("tiny-lab/cedar-7b-base", "apache-2.0", "pretrained", 7.24, 44.8),
    ("ada/willow-1.5b-merge", "mit", "merge", 1.54, 47.9),
    ("north/birch-70b", "llama3", "fine-tuned", 70.6, 63.2),
    ("01-ai/Yi-34B", "other", "pretrained", 34.4, 58.7),
    ("mistral-like/mixtral-8x7b-v0.1", "apache-2.0", "pretrained", 46.7, 60.4),
    ("chen/juniper-0.5b", "cc-by-sa-4.0", "continuously pretrained", 0.494, 21.6),
)
RESUMED = {"north/birch-70b": 1_204}
"""Model → the number of answers in its results that an interrupted attempt had computed."""
REASONS = (
    Failure(
        cause="weights-not-finite",
        fault="submission",
        message="The model's weights contain NaN or infinite values: model.norm.weight has NaN in float32.",
        advice="Check the training, the merge or the conversion that produced the weights, and submit the new commit.",
    ),
    Failure(
        cause="worker-lost",
        fault="us",
        message="The evaluation machine stopped before the evaluation had finished, three times.",
        advice="Ask in its thread for another try: a maintainer can relaunch it.",
    ),
)


def path_of(model: str, precision: str = "bfloat16") -> str:
    """Return the path of a request."""
    return f"{model}_eval_request_False_{precision}_Original.json"


def entry(model: str, state: Any, status: str, *, number: int = 0, **changes: Any) -> IndexEntry:
    """Return the index entry of a request; `changes` are fields of the entry or of its snapshot."""
    time = clock.now() - 3_600.0 * (number + 1)
    snapshot = {name: changes.pop(name) for name in list(changes) if name in RequestSnapshot.model_fields}
    path = changes.pop("path", path_of(model))
    fields: dict[str, Any] = {"submitter": model.split("/")[0], "sha": f"{number:02x}" * 20, **changes}
    standing = RequestSnapshot(status=status, time=time, **snapshot)
    return IndexEntry(path=path, model=model, state=state, submitted=time, standing=standing, **fields)


def score(scores: Scoreboard, finished: IndexEntry, average: float, category: str) -> None:
    """Store the scores of a finished request in the scoreboard."""
    each = {name: round(average + 7 * (at - 2.5), 2) for at, name in enumerate(BENCHMARKS)}
    kind = ModelCategory(category) if category in set(ModelCategory) else ModelCategory.UNKNOWN
    fields: dict[str, Any] = {"path": finished.path, "model": finished.model, "average": average, "benchmarks": each}
    replayed = RESUMED.get(finished.model, 0)
    scores.put(EvaluationScores(suite="s", category=kind, replayed=replayed, **fields))


def flag(model: str, **changes: Any) -> FlagRecord:
    """Return a flag that is in force."""
    decision = FlagDecision(what="flagged", at="2026-11-20T10:00:00Z", by="maya", reason="See the thread.")
    fields = {
        "status": "flagged",
        "category": "contamination",
        "reason": "Half of its answers are the reference answers, word by word.",
        "thread": "https://huggingface.co/datasets/board/requests/discussions/12",
        "decisions": (decision,),
        **changes,
    }
    return FlagRecord(model=model, **fields)


def put_flags(connection: redis.Redis, keys: Keys, *records: FlagRecord) -> None:
    """Store these flags as a sync that read the flags repo does."""
    connection.delete(keys.flags)
    for record in records:
        connection.hset(keys.flags, f"name {record.model.casefold()}", json.dumps([record.model_dump(mode="json")]))
    connection.hset(keys.flags_state, "commit", f"{len(records)}{records[0].model if records else ''}")


def fill_board(connection: redis.Redis, keys: Keys) -> None:
    """Fill a board with requests in every state."""
    index, scores, now = Index(connection, keys), Scoreboard(connection, keys), clock.now()
    for number, (model, licence, category, size, average) in enumerate(FINISHED):
        finished = entry(
            model,
            "settled",
            "FINISHED",
            number=number + 10,
            category=category,
            licence=licence,
            parameters=int(size * 1e9),
            results=f"{model}/results_2026-11-24T10-00-00.json",
        )
        index.put(finished)
        score(scores, finished, average, category)
    causes = (f"{'a' * 12}-deadbeef-1:worker-lost", "relaunch:x")
    for number, (model, failure) in enumerate(zip(("bob/overtrained-2b", "ada/oak-13b"), REASONS, strict=True)):
        failed = entry(
            model, "settled", "FAILED", number=number + 5, failure=failure, causes=causes, attempt="x", thread=7
        )
        index.put(failed)
    attempts, workers = Attempts(connection, keys), WorkerRegistry(connection, keys)
    for number, (model, done, replayed) in enumerate((("north/spruce-3b", 412, 0), ("chen/maple-1b", 31, 20))):
        attempt = f"{number:012x}-deadbeef-1"
        index.put(entry(model, "running", "RUNNING", number=number + 3, attempt=attempt, tier="small"))
        worker, path = f"gpu-{number}", path_of(model)
        attempts.take(attempt, path, worker, now=now - 600)
        progress = AttemptProgress("evaluate", done, 540, replayed)
        attempts.beat(attempt, progress, now=now, worker=worker, path=path)
        workers.announce(_worker(f"gpu-{number}.cluster:4711", attempt, now))
    workers.announce(_worker("gpu-2.cluster:4711", "", now))
    for number in range(8):
        model = f"{('ada', 'bob', 'chen')[number % 3]}/sapling-{number}b"
        index.put(entry(model, "waiting", "PENDING", number=number, attempt=f"{number + 50:012x}-deadbeef-1"))
    held = entry("bob/ash-9b", "waiting", "PENDING", number=9, attempt=f"{99:012x}-deadbeef-1")
    index.put(held.model_copy(update={"hold": Hold(reason="Its licence is not clear.", by="maya")}))
    put_flags(connection, keys, flag("ada/willow-1.5b-merge"))


def _worker(name: str, doing: str, now: float) -> WorkerCard:
    """Return the card of a worker whose heartbeat is in the future, so that it counts as alive for the whole test."""
    versions = {"lm-eval": "0.4.13", "torch": "2.9.1", "transformers": "5.24.0"}
    tiers = ("small", "medium", "large")
    return WorkerCard(
        name=name,
        tiers=tiers,
        devices="NVIDIA H100 80GB",
        versions=versions,
        since=now - 8e4,
        beat=now + 19 * LOST,
        doing=doing,
    )
