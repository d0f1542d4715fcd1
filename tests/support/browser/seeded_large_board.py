"""A board for pictures of its pages: every state, long names, reasons, flags, holds, workers and decisions."""

from __future__ import annotations

import json
import random
from typing import Any

import redis

from leaderboard.attempts import Failure
from leaderboard.categories import ModelCategory
from leaderboard.flags import FlagDecision as Ruling
from leaderboard.flags import FlagScope
from leaderboard.holds import Hold
from redis_state import clock
from redis_state.attempts import LOST, AttemptProgress, Attempts
from redis_state.board.decisions import CommandDecision, DecisionAuthor, Decisions, DecisionThread
from redis_state.board.entry import IndexEntry
from redis_state.board.index import Index
from redis_state.board.measures import Measures
from redis_state.board.pauses import Pauses
from redis_state.board.scoreboard import EvaluationScores, Scoreboard
from redis_state.board.table_rows import TableRows
from redis_state.clock import iso
from redis_state.heartbeats import WorkerCard, WorkerRegistry
from redis_state.jobs import EvaluationJob
from redis_state.keys import Keys
from tests.support.board.seeded_board import entry, flag, path_of, put_flags
from tests.support.board.timing_history import count

BOARD = """
name: {name}
title: Open LLM Leaderboard
suite: {suite}
effects: on
repos: {{requests: open-llm-leaderboard/requests, results: open-llm-leaderboard/results,
        logs: open-llm-leaderboard/logs, flags: open-llm-leaderboard/flags,
        community: open-llm-leaderboard/open_llm_leaderboard, details_namespace: open-llm-leaderboard}}
"""
COLUMNS = ("IFEval", "BBH", "MATH Lvl 5", "GPQA", "MuSR", "MMLU-PRO")
LONG = "a-very-long-organisation-name-of-47-characters/Llama-3.1-70B-Instruct-abliterated-DPO-merge-v2.5-128k-context"
FAMILIES = (
    "Qwen3",
    "Llama-3.1",
    "gemma-2",
    "Phi-4",
    "Mistral-Nemo",
    "Yi-1.5",
    "OLMo-2",
    "SmolLM3",
    "Falcon3",
    "granite-3",
)
KINDS = ("Instruct", "Base", "merge", "DPO", "chat", "abliterated", "SFT-v2", "coder")
PEOPLE = ("ada", "bob", "chen", "north-lab", "tiny-lab", "mira", "01-ai", "otto")
LICENCES = ("apache-2.0", "mit", "llama3.1", "gemma", "cc-by-nc-4.0", "other")
FAILURES = (
    Failure(
        cause="weights-not-finite",
        fault="submission",
        message="The model's weights contain NaN or infinite values: lm_head.weight has NaN in bfloat16.",
        advice="Check the training, the merge or the conversion that produced the weights, and submit the new commit.",
    ),
    Failure(
        cause="out-of-memory",
        fault="us",
        message="The evaluation ran out of memory: 78.1 of 79.3 GiB were in use, and it needed 2.0 GiB more.",
        advice="You don't need to do anything for now: the evaluation is retried once, on a larger machine.",
    ),
    Failure(
        cause="shard-missing",
        fault="submission",
        message="Some of the weight files are missing from the repo: model-00003-of-00004.safetensors.",
        advice="Upload every file that model.safetensors.index.json names, and submit the new commit.",
    ),
    Failure(
        cause="hub-away",
        fault="hub",
        message="The Hub answered with an error: 503 to every download for an hour.",
        advice="You don't need to do anything: the evaluation is retried automatically.",
    ),
)


def fill_board(
    connection: redis.Redis,
    keys: Keys,
    *,
    finished: int = 140,
    failed: int = 23,
    waiting: int = 64,
    longest: str = LONG,
) -> None:
    """Fill the board as on a busy afternoon, the same way each time."""
    dice = random.Random(7)
    index = Index(connection, keys)
    connection.hset(keys.hub_state, "logs", "public")
    _measured(Measures(connection, keys))
    done = _finished(Scoreboard(connection, keys), dice, finished, longest)
    index.put(*done, *_failed(dice, failed), *_others())
    TableRows(connection, keys).write(_facts(done), {}, index.tell)
    _running(connection, keys, index, longest)
    index.put(*_waiting(dice, waiting), *_held())
    put_flags(connection, keys, *_flags())
    hold = Hold(reason="The large machines move to another room until Friday.", by="maya", at=iso(clock.now() - 9e4))
    Pauses(connection, keys).learn("1", json.dumps({"tier:large": hold.model_dump()}).encode())
    _talks(connection, keys)
    count(connection, keys, now=clock.now(), days=32, every=16)


def _model(dice: random.Random, number: int) -> tuple[str, float]:
    size = dice.choice((0.6, 1.5, 3, 7, 8, 14, 32, 70))
    kind = KINDS[number % len(KINDS)]
    return f"{dice.choice(PEOPLE)}/{dice.choice(FAMILIES)}-{size:g}B-{kind}", size


def _finished(scores: Scoreboard, dice: random.Random, count: int, longest: str) -> list[IndexEntry]:
    entries = []
    for number in range(count):
        model, size = (longest.replace("8B", "70B"), 70.6) if number == 3 else _model(dice, number)
        finished = entry(
            model,
            "settled",
            "FINISHED",
            number=number + 20,
            path=path_of(model, dice.choice(("bfloat16", "float16", "4bit"))),
            category=dice.choice(list(ModelCategory)),
            licence=dice.choice(LICENCES),
            parameters=int(size * 1e9),
            results=f"{model}/results_2026-11-24T10-00-00.json",
            causes=(f"{'a' * 12}-deadbeef-1:worker-lost", "relaunch:x") if number % 9 == 0 else (),
        )
        average = round(10 + 8 * size**0.4 + dice.uniform(-6, 9), 2)
        each = {name: round(max(0.0, average + dice.uniform(-18, 22)), 2) for name in COLUMNS}
        category = ModelCategory(finished.standing.category)
        scores.put(
            EvaluationScores(
                path=finished.path,
                model=model,
                suite="s",
                category=category,
                average=average,
                benchmarks=each,
                errors={name: 0.6 + (len(name) + number) % 5 / 4 for name in COLUMNS},
                average_error=0.55 + number % 4 / 20,
            )
        )
        entries.append(finished)
    return entries


def _facts(entries: list[IndexEntry]) -> dict[str, dict[str, Any]]:
    """Return what the aggregated table contains of the finished requests."""
    dice = random.Random(11)
    return {
        finished.path: {
            "fullname": finished.model,
            "Hub ❤️": int(dice.expovariate(1 / 80)),
            "Upload To Hub Date": f"2025-{dice.randrange(1, 13):02}-{dice.randrange(1, 28):02}",
            "Chat Template": dice.random() < 0.5,
            "MoE": dice.random() < 0.1,
            "Merged": finished.standing.category == "merge",
            "Official Providers": finished.model.startswith(("01-ai/", "north-lab/")),
            "Generation": dice.randrange(3),
            "Base Model": entries[dice.randrange(len(entries))].model if dice.random() < 0.5 else finished.model,
        }
        for finished in entries
    }


def _failed(dice: random.Random, count: int) -> list[IndexEntry]:
    entries = []
    for number in range(count):
        model, _ = _model(dice, number)
        failed = entry(
            LONG.replace("Llama", "Broken") if number == 1 else model,
            "settled",
            "FAILED",
            number=number + 4,
            failure=FAILURES[number % len(FAILURES)],
            causes=(f"{'b' * 12}-deadbeef-1:worker-lost", f"{'b' * 12}-deadbeef-2:worker-lost", "relaunch:x"),
            attempt=f"{number + 700:012x}-deadbeef-3",
            thread=40 + number,
            log=f"https://huggingface.co/datasets/open-llm-leaderboard/logs/blob/main/{model}/log.txt",
            access="gated" if number == 3 else "public",
        )
        entries.append(failed.model_copy(update={"number": 3}))
    return entries


def _others() -> list[IndexEntry]:
    return [
        entry("ada/withdrawn-7B", "settled", "CANCELLED", number=11),
        entry("bob/just-arrived-3B", "new", "PENDING", number=0),
        entry("chen/another-backend-13B", "foreign", "RUNNING", number=30),
    ]


def _running(connection: redis.Redis, keys: Keys, index: Index, longest: str) -> None:
    attempts, workers, now = Attempts(connection, keys), WorkerRegistry(connection, keys), clock.now()
    seen = (
        ("north-lab/OLMo-2-7B-SFT-v2", AttemptProgress("evaluate", 21_404, 35_210), "small", {}),
        (longest.replace("70B", "8B"), AttemptProgress("evaluate", 980, 35_210), "medium", {}),
        ("mira/gemma-2-9b-it-dpo", AttemptProgress("download"), "medium", {}),
        ("otto/secret-14B", AttemptProgress("load"), "medium", {"access": "private"}),
    )
    for number, (model, progress, tier, changes) in enumerate(seen):
        attempt = f"{number:012x}-deadbeef-1"
        index.put(entry(model, "running", "RUNNING", number=number + 3, attempt=attempt, tier=tier, **changes))
        worker, path = f"gpu-{number}", path_of(model)
        attempts.take(attempt, path, worker, now=now - 600 * (number + 1))
        attempts.beat(attempt, progress, now=now, worker=worker, path=path)
        workers.announce(_worker(f"gpu-{number}.cluster.example:4711", attempt, now))
    workers.announce(_worker("gpu-4.cluster.example:4711", "", now))


def _worker(name: str, doing: str, now: float) -> WorkerCard:
    versions = {"lm-eval": "0.4.13", "torch": "2.9.1", "transformers": "5.24.0"}
    tiers = ("small", "medium", "large")
    return WorkerCard(
        name=name,
        tiers=tiers,
        devices="8 × NVIDIA H100 80GB HBM3",
        versions=versions,
        since=now - 8e4,
        beat=now + 19 * LOST,
        doing=doing,
    )


def _waiting(dice: random.Random, count: int) -> list[IndexEntry]:
    entries = []
    for number in range(count):
        model, size = _model(dice, number)
        attempt = f"{number + 50:012x}-deadbeef-1"
        waiting = entry(
            LONG.replace("Llama", "Waiting") if number == 5 else f"{model}-{number}",
            "waiting",
            "PENDING",
            number=number % 20,
            attempt=attempt,
            tier="small" if size < 5 else "medium",
            size=31 + int(size).bit_length(),
            **({"access": "private"} if number == 7 else {}),
        )
        entries.append(waiting.model_copy(update={"job": _job(waiting, attempt)}))
    return entries


def _job(waiting: IndexEntry, attempt: str) -> EvaluationJob:
    return EvaluationJob(
        board="looked-at",
        attempt=attempt,
        path=waiting.path,
        model=waiting.model,
        revision=waiting.sha or "",
        precision="bfloat16",
        weight_type="Original",
        suite="open-llm-v2",
        suite_digest="s",
    )


def _held() -> list[IndexEntry]:
    held = entry("bob/ash-9b", "waiting", "PENDING", number=9, attempt=f"{990:012x}-deadbeef-1")
    reason = "Its licence is not clear: the card says MIT, the base model's says otherwise."
    return [
        held.model_copy(update={"hold": Hold(reason=reason, by="maya")}),
        entry("ada/Qwen3-235B-A22B", "waiting", "PENDING", number=8, attempt=f"{991:012x}-deadbeef-1", tier="large"),
    ]


def _measured(measures: Measures) -> None:
    for size in range(31, 39):
        for seconds in (0.8, 1.0, 1.1, 1.3):
            measures.learn("open-llm-v2", size, 900 * seconds * 1.5 ** (size - 31))


def _flags() -> list[Any]:
    lifted = Ruling(what="lifted", at="2026-11-22T09:30:00Z", by="maya", reason="The card names it now.")
    return [
        flag("tiny-lab/Yi-1.5-7B-chat"),
        flag("mira/Copycat-7B", category="copy", reason="Byte for byte the weights of north-lab/OLMo-2-7B-SFT-v2."),
        flag("otto/opted-out-3B", category="opt-out", reason=""),
        flag(
            LONG,
            category="merge",
            scope=FlagScope(precision="4bit"),
            reason="Made with mergekit, which its card leaves out.",
        ),
        flag(
            "bob/forgiven-2B", status="lifted", category="merge", decisions=(lifted,), reason="It named no base model."
        ),
    ]


def _talks(connection: redis.Redis, keys: Keys) -> None:
    now = clock.now()
    commands = (
        ("maya", "/hold bob/ash-9b its licence is not clear", True),
        ("maya", "/flag mira/Copycat-7B copy https://huggingface.co/north-lab/OLMo-2-7B-SFT-v2", True),
        ("bob", "/priority high bob/ash-9b", False),
        ("ada", "/relaunch", True),
        ("a-name-of-forty-two-characters-as-the-hub-has", f"/relaunch {LONG} because it was not our fault", True),
    )
    for number, (who, command, allowed) in enumerate(commands * 4):
        decision = CommandDecision(
            at=iso(now - 3_000.0 * number),
            person=DecisionAuthor(id=f"{number:024x}", name=who),
            command=command,
            verb=command.split()[0][1:],
            allowed=allowed,
            answer="",
            comment=f"c{number}",
            thread=DecisionThread(repo="dataset/open-llm-leaderboard/requests", number=12 + number),
        )
        Decisions(connection, keys).put(decision)
    threads = (
        ("Why is my model not on the board?", "question", "chen"),
        (
            "[FLAG] mira/Copycat-7B is a copy of ours, weight by weight, and says nothing about where it comes from",
            "flag report",
            "north-lab",
        ),
        ("Thank you!", "other", "otto"),
    )
    for number, (title, topic, author) in enumerate(threads):
        url = f"https://huggingface.co/spaces/open-llm-leaderboard/open_llm_leaderboard/discussions/{number + 900}"
        fields = {"title": title, "url": url, "topic": topic, "author": author, "since": now - 8e4 * (number + 1)}
        connection.hset(keys.waiting_threads, f"thread:{number}", json.dumps(fields))
