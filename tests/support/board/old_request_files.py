"""Old request files in the forms that two generations of leaderboards, and boards copied from them, wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import Any

START = datetime(2023, 5, 8, 12, tzinfo=UTC)
SHA = "0123456789abcdef0123456789abcdef01234567"
TIMES: tuple[Callable[[datetime], str], ...] = (
    lambda time: time.strftime("%Y-%m-%dT%H:%M:%SZ"),
    lambda time: time.replace(tzinfo=None).isoformat(),
    lambda time: time.strftime("%Y-%m-%dT%H-%M-%S.%f"),
    lambda time: time.strftime("%Y-%m-%d %H:%M:%S"),
)
PLAIN = ("FINISHED", "FAILED", "FINISHED", "PENDING", "RERUN", "RUNNING", "PENDING_NEW_EVAL", "CANCELLED")
STRANGE = ("FINISHED_NEW_EVAL", "Pending", "running", "Partial", "EVALUATING", "", "FINISHED_2023", "Failed")
PRECISIONS = ("float16", "bfloat16", "8bit", "4bit", "GPTQ", "float32")
WEIGHTS = ("Original", "Delta", "Adapter")

Fields = dict[str, Any]


def plain(number: int, model: str, precision: str, weights: str) -> Fields:
    """Return a request file of the second generation."""
    time = START + timedelta(hours=number)
    status = PLAIN[number % len(PLAIN)]
    return {
        "model": model,
        "base_model": "",
        "revision": SHA,
        "precision": precision,
        "params": 7.24,
        "architectures": "MistralForCausalLM",
        "weight_type": weights,
        "status": status,
        "submitted_time": TIMES[0](time),
        "model_type": "🔶 : 🔶 fine-tuned on domain-specific datasets",
        "job_id": str(4_700_000 + number) if status == "RUNNING" else -1,
        "job_start_time": TIMES[1](time) if status == "RUNNING" else None,
        "use_chat_template": bool(number % 2),
        "sender": f"user-{number % 97}",
    }


def first_generation(number: int, fields: Fields) -> Fields:
    """Return a file of 2023: a branch as its revision, `private`, likes and license, no job and no template."""
    dropped = ("architectures", "job_id", "job_start_time", "use_chat_template", "sender")
    kept = {name: value for name, value in fields.items() if name not in dropped}
    return {**kept, "revision": "main", "private": False, "likes": number % 50, "license": "cc-by-nc-4.0", "params": 0}


def another_board(number: int, fields: Fields) -> Fields:
    """Return a file of a Portuguese leaderboard, with reasons, traces and scores in the request."""
    more = {"error_msg": "CUDA out of memory", "traceback": "Traceback …\n" * 20, "result_metrics_average": 0.51}
    return {**fields, **more, "source": "script", "hide": False, "main_language": "Portuguese", "eval_version": "1.1.0"}


def strange_words(number: int, fields: Fields) -> Fields:
    """Return a file whose status, times and job number have unusual forms."""
    time = START + timedelta(minutes=number)
    return {
        **fields,
        "status": STRANGE[number % len(STRANGE)],
        "submitted_time": TIMES[number % len(TIMES)](time),
        "job_id": (number, str(number), -1, None, "ci-run/77")[number % 5],
        "job_start_time": TIMES[(number + 1) % len(TIMES)](time),
        "model_type": ("pretrained", "⭕ : instruction-tuned", "?", None, "RL-tuned")[number % 5],
    }


def forged(number: int, fields: Fields) -> Fields:
    """Return a file whose `steward` object is not the bot's, with fields of wrong types."""
    steward = ({}, {"attempt": 0, "thread": 7}, [], "ours", None)[number % 5]
    return {**fields, "steward": steward, "revision": (None, 7, ["main"])[number % 3], "params": "7B"}


DIALECTS: tuple[Callable[[int, Fields], Fields], ...] = (first_generation, another_board, strange_words, forged)


def raw(number: int, fields: Fields) -> bytes:
    """Return the text of a file in one of the encodings and layouts in which such files were written."""
    match number % 16:
        case 0:
            return b"\xef\xbb\xbf" + json.dumps(fields).encode()
        case 1:
            return json.dumps(fields, indent=4).replace("\n", "\r\n").encode()
        case 2:
            return json.dumps([fields]).encode()
        case 3:
            return json.dumps(fields).encode()[:-20]
        case 4:
            return json.dumps(fields, ensure_ascii=False).encode("latin-1", "replace")
        case 5:
            return json.dumps({**fields, "notes": "x" * 120_000 if number % 1_000 == 5 else "x"}).encode()
        case 6:
            return b""
        case 7:
            return b'{"status": "PENDING", ' + json.dumps(fields).encode()[1:]
        case _:
            return json.dumps(fields, indent=2 if number % 2 else None).encode()


def odd_path(number: int, org: str, name: str, precision: str, weights: str) -> str:
    """Return a path in one of several layouts, of which the bot accepts only some."""
    rest = f"{name}_eval_request_False_{precision}_{weights}"
    return (
        f"{rest}.json",
        f"{org}/{name}_eval_request_False_False_False.json",
        f"{org}/{name}_eval_request_True_{precision}_{weights}.json",
        f"{org}/{rest}_vllm_A100.json",
        f"{org}/sub/{rest}.json",
        f"{org}/{rest}.json",
        f"{org}/{name} copy_eval_request_False_{precision}_{weights}.json",
        f"{org}/{rest}.json",
    )[number % 8]


def old_files(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of `count` old requests with different paths; every other one is unusual."""
    kinds = cycle(DIALECTS)
    for number in range(count):
        org, name = f"org-{number // 7}", f"model-{number}"
        precision, weights = PRECISIONS[number % 6], WEIGHTS[number % 3]
        fields = plain(number // 2, f"{org}/{name}", precision, weights)
        if number % 2 == 0:
            yield f"{org}/{name}_eval_request_False_{precision}_{weights}.json", json.dumps(fields).encode()
            continue
        strange = number // 2
        fields = next(kinds)(strange, fields)
        yield odd_path(strange, org, name, precision, weights), raw(strange // 8, fields)


def first(count: int) -> list[tuple[str, bytes]]:
    """Return path and content of the first `count` old requests."""
    return list(islice(old_files(count), count))
