"""Request files of other programs: the bot leaves foreign files alone, and changes only the status of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from leaderboard.times import read_time
from steward.testing.board import REQUESTS, BoardDriver

WAITING: dict[str, Any] = {"status": "PENDING", "revision": "main", "submitted_time": "2024-04-02T03-12-45.123456"}
FOREIGN = {
    "ada/m_eval_request_False_True_False.json": {"model": "ada/m"},
    "ada/m_eval_request_False_4bit_Original_hf-chat_NVIDIA-A100.json": {"model": "ada/m", "gpu_type": "NVIDIA-A100"},
    "ada/m_eval_request_False_4bit_Original.request.json": {"model": "ada/m"},
    "ada/m_eval_request_False_4bit_Original.json": {"model": "ada/m", "submitted_by": "ada", "ci_run_id": 7},
}


def data(stand: BoardDriver, path: str) -> bytes:
    """The file at `path`, as it is on the Hub."""
    return stand.context.hub.read_file(stand.context.requests, path).data


def test_files_of_other_backends_are_neither_told_about_nor_rewritten(stand: BoardDriver) -> None:
    """Files of other backends get no thread and no edit, and the request beside them is queued."""
    stand.worker()
    for path, fields in FOREIGN.items():
        stand.put(path, json.dumps({**WAITING, **fields}).encode())
    stand.submit("ada/good")
    before = {path: data(stand, path) for path in FOREIGN}
    stand.settle()
    assert {path: data(stand, path) for path in FOREIGN} == before
    assert {stand.context.index.get(path).state for path in FOREIGN} == {"foreign"}
    assert [job.model for job in stand.queued()] == ["ada/good"]
    assert not any("ada/m" in thread.title for thread in stand.threads())


def test_a_status_changes_and_no_other_byte_of_the_file(stand: BoardDriver) -> None:
    """A refusal sets the status and adds `steward`, but keeps a byte order mark, Windows line ends and odd blanks."""
    path = "ada/nothing_eval_request_False_float32_Original.json"
    lines = ('"model":  "ada/nothing",', '"é": [1,2 ,3],', '"status":  "PENDING",', '"params": 7.0')
    text = "\r\n\t".join(("\ufeff{", *lines)) + "\r\n}\r\n"
    stand.put(path, text.encode())
    stand.settle()
    now = data(stand, path).decode()
    start, end = text.split("PENDING")
    assert now.startswith(start + "FAILED" + end.removesuffix("\r\n}\r\n") + ',\r\n\t"steward":  {\r\n')
    assert now.endswith("\r\n\t}\r\n}\r\n")
    assert json.loads(now.removeprefix("\ufeff"))["steward"]["failure"]["cause"] == "model-not-found"
    assert stand.form.file_exists(REQUESTS, path, repo_type="dataset")


def test_a_time_in_the_future_is_set_to_now_before_the_request_is_judged(stand: BoardDriver) -> None:
    """A future submission time becomes the present one, for the queue's order; past times and other fields stay."""
    stand.worker()
    path = stand.submit("ada/good", submitted_time="2099-01-01T00:00:00Z")
    old = stand.submit("ada/strange", submitted_time="2024-01-01T00:00:00Z")
    stand.settle()
    file = stand.file(path)
    assert read_time(file["submitted_time"]) == pytest.approx(stand.time, abs=1)
    assert (file["status"], file["mystery"]) == ("PENDING", [1, "é"])
    assert [job.path for job in stand.queued()] == [path]
    assert stand.file(old)["submitted_time"] == "2024-01-01T00:00:00Z"
    assert stand.commits() == 5  # the repo's first one, two submissions, one date, one refusal
