"""The existing board that the adoption simulation creates, and the writes that its audit reports."""

from __future__ import annotations

import pytest

from leaderboard.request_paths import is_request_path
from simulations.adoption.existing_board import OldRequest, old_requests
from simulations.adoption.write_audit import BoardBefore, BotWrite

pytestmark = pytest.mark.long("a part of a simulation, which is no part of Steward")
ADOPTED = BoardBefore({"a/b_eval_request_False_float16_Original.json": "1" * 40}, {"dataset/board/requests": 7})
PATH = next(iter(ADOPTED.files))
REQUESTS, RESULTS = "dataset/board/requests", "dataset/board/results"
DEEDS = [
    (BotWrite("edit", REQUESTS, path=PATH, was="1" * 40), True),
    (BotWrite("edit", REQUESTS, path=PATH, was="2" * 40), False),
    (BotWrite("edit", REQUESTS, path=PATH.replace("a/b", "c/d"), was=None), False),
    (BotWrite("edit", RESULTS, path="a/b/results_2024.json", was="3" * 40), True),
    (BotWrite("edit", RESULTS, path="a/b/results_2025.json", was=None), False),
    (BotWrite("comment", REQUESTS, 7), True),
    (BotWrite("closed", REQUESTS, 7), True),
    (BotWrite("comment", REQUESTS, 8), False),
    (BotWrite("comment", REQUESTS, 3), False),
]


@pytest.mark.parametrize(("deed", "touches"), DEEDS)
def test_the_audit_reports_writes_to_old_files_and_threads(deed: BotWrite, touches: bool) -> None:
    """The audit reports edits of files from before the adoption, and writes in old threads without a question."""
    assert bool(ADOPTED.touched([deed], asked={(REQUESTS, 3)}, paths=set())) is touches


def test_the_existing_board_has_mixed_requests_and_unreadable_files() -> None:
    """The old requests have valid paths, each its own, are of three kinds, and include an empty file."""
    past = list(old_requests(2_000))
    assert len({request.path for request in past}) == len(past)
    assert all(is_request_path(request.path) for request in past)
    assert {request.kind for request in past} == {0, 1, 2}
    assert b"" in {request.file() for request in past}
    assert OldRequest(996).model.startswith("Org-")
