"""A board with very many requests in Redis, as the syncs write them, for benchmarks of its readers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import redis

from leaderboard.attempts import Failure
from leaderboard.categories import ModelCategory
from redis_state import clock
from redis_state.attempts import LOST, AttemptProgress, Attempts
from redis_state.board.entry import IndexEntry
from redis_state.board.index import Index
from redis_state.board.measures import Measures
from redis_state.board.request_snapshot import RequestSnapshot
from redis_state.board.scoreboard import EvaluationScores
from redis_state.heartbeats import WorkerCard, WorkerRegistry
from redis_state.jobs import EvaluationJob
from redis_state.keys import Keys

BENCHMARKS = (
    "Boolean Expressions",
    "Navigation",
    "Web of Lies",
    "Date Arithmetic",
    "Object Counting",
    "Word Sorting",
)
FAMILIES = ("Qwen3", "Llama-3.1", "gemma-2", "Phi-4", "Mistral-Nemo", "Yi-1.5", "OLMo-2", "SmolLM3", "Falcon3")
LICENCES = ("apache-2.0", "mit", "llama3.1", "gemma", "cc-by-nc-4.0", "other")
PEOPLE, WORKERS, CHUNK = 4_000, 32, 1_000
REASON = Failure(
    cause="weights-not-finite",
    fault="submission",
    message="The model's weights contain NaN or infinite values: model.norm.weight has NaN in float32.",
    advice="Check the training, the merge or the conversion that produced the weights, and submit the new commit.",
)


def model_of(number: int) -> str:
    """Return the name of model `number`."""
    family = FAMILIES[number % len(FAMILIES)]
    return f"someone-{number * 7_919 % PEOPLE}/{family}-{number % 70}B-Instruct-v{number}"


def path_of(number: int) -> str:
    """Return the path of the request for model `number`."""
    return f"{model_of(number)}_eval_request_False_bfloat16_Original.json"


def fill(connection: redis.Redis, keys: Keys, rows: int) -> None:
    """Write `rows` requests: a tenth waits, a twentieth failed, one per worker runs, the others have scores."""
    index, dice, now = Index(connection, keys), random.Random(5), clock.now()
    for start in range(0, rows, CHUNK):
        numbers = range(start, min(rows, start + CHUNK))
        index.put(*(entry(number, now, dice) for number in numbers))
        score(connection, keys, numbers, dice)
    workers, attempts, measures = (
        WorkerRegistry(connection, keys),
        Attempts(connection, keys),
        Measures(connection, keys),
    )
    for number in range(WORKERS):
        # Heartbeats as far in the future as allowed, because no worker beats while pages are measured.
        card = WorkerCard(
            name=f"gpu-{number}:1", tiers=("all",), since=now, beat=now + 19 * LOST, doing=attempt_of(number)
        )
        workers.announce(card)
        attempt, path, progress = attempt_of(number), path_of(number), AttemptProgress("evaluate", number, 540)
        attempts.take(attempt, path, card.name, now=now - 600)
        attempts.beat(attempt, progress, now=now, worker=card.name, path=path)
    for _ in range(10):
        measures.learn("starter", 34, dice.uniform(600, 1_800))


def attempt_of(number: int) -> str:
    """Return the id of the attempt for model `number`."""
    return f"{number:012x}-deadbeef-1"


def entry(number: int, now: float, dice: random.Random) -> IndexEntry:
    """Return the index entry of model `number`."""
    state, status = "settled", "FINISHED"
    if number < WORKERS:
        state, status = "running", "RUNNING"
    elif number % 10 == 0:
        state, status = "waiting", "PENDING"
    elif number % 20 == 1:
        status = "FAILED"
    model, sha, time = model_of(number), f"{number:040x}", now - dice.uniform(0, 3e7)
    standing = RequestSnapshot(
        status=status,
        time=time,
        revision=sha,
        failure=REASON if status == "FAILED" else None,
        category=dice.choice(list(ModelCategory)),
        architecture="LlamaForCausalLM",
        results=f"{model}/results_2026-11-24T10-00-00.json" if status == "FINISHED" else "",
    )
    return IndexEntry(
        path=path_of(number),
        state=state,
        model=model,
        sha=sha,
        attempt=attempt_of(number) if state != "settled" else None,
        submitter=model.partition("/")[0],
        submitted=time,
        job=job(number, sha) if state == "waiting" else None,
        size=34,
        standing=standing,
        parameters=(number % 70 + 1) * 10**9,
        licence=dice.choice(LICENCES),
    )


def job(number: int, sha: str) -> EvaluationJob:
    """Return the job of model `number`."""
    return EvaluationJob(
        board="bench",
        attempt=attempt_of(number),
        path=path_of(number),
        model=model_of(number),
        revision=sha,
        precision="bfloat16",
        weight_type="Original",
        suite="starter",
        suite_digest="s",
    )


def score(connection: redis.Redis, keys: Keys, numbers: range, dice: random.Random) -> None:
    """Write the scores of the finished requests in `numbers`, and their rows of the aggregated table."""
    with connection.pipeline(transaction=False) as pipe:
        for scored in scores(numbers, dice):
            pipe.hset(keys.scores, scored.path, scored.model_dump_json())
            pipe.hset(keys.table_rows, scored.path, json.dumps(table_row(scored, dice)))
        pipe.execute()


def table_row(scored: EvaluationScores, dice: random.Random) -> dict[str, Any]:
    """Return the row of an evaluation in the aggregated table."""
    return {
        "fullname": scored.model,
        "Precision": "bfloat16",
        "Weight type": "Original",
        "Model sha": "",
        "Average ⬆️": scored.average,
        "Hub ❤️": int(dice.expovariate(1 / 40)),
        "Available on the hub": dice.random() > 0.02,
        "MoE": dice.random() < 0.05,
        "Merged": dice.random() < 0.2,
        "Flagged": False,
        "Chat Template": dice.random() < 0.4,
        "CO₂ cost (kg)": 0.0,
        **{f"{name} Raw": value / 100 for name, value in scored.benchmarks.items()},
        "Official Providers": dice.random() < 0.1,
        "Upload To Hub Date": f"202{dice.randrange(3, 7)}-0{dice.randrange(1, 10)}-1{dice.randrange(10)}",
        "Submission Date": "2026-11-24",
        "Generation": dice.randrange(4),
        "Base Model": model_of(dice.randrange(1_000)),
    }


def scores(numbers: range, dice: random.Random) -> Iterator[EvaluationScores]:
    """Yield the scores of the finished requests in `numbers`."""
    for number in numbers:
        if number < WORKERS or number % 10 == 0 or number % 20 == 1:
            continue
        each = {name: round(dice.uniform(0, 100), 2) for name in BENCHMARKS}
        average = round(sum(each.values()) / len(each), 2)
        category = dice.choice(list(ModelCategory))
        yield EvaluationScores(
            path=path_of(number),
            model=model_of(number),
            suite="s",
            category=category,
            average=average,
            benchmarks=each,
            errors=dict.fromkeys(BENCHMARKS, 1.9),
            average_error=0.8,
        )
