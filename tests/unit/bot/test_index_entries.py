"""Index entries of requests: used attempt numbers, and the queue positions of requests that begin to wait."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.core.context import BoardContext
from bot.request_files.gather import note_used_number
from bot.request_files.queue_places import without_place
from bot.requests.first_look import entry_of_new_file
from leaderboard.requests import Request, parse_request
from redis_state.board.entry import EntryState, IndexEntry

PATH = "ada/lion_eval_request_False_float16_Original.json"


def request(**facts: Any) -> Request:
    """A waiting request with these facts of earlier attempts."""
    parsed = parse_request(PATH, json.dumps({"model": "ada/lion", "status": "PENDING", "steward": facts}).encode())
    assert isinstance(parsed, Request)
    return parsed


@pytest.mark.parametrize(
    ("indexed", "spent", "expected"), [(None, 0, None), (None, 2, 2), (1, 2, 2), (2, 2, 2), (3, 2, 3), (3, 0, 3)]
)
def test_the_highest_used_number_is_stored_and_never_lowered(
    indexed: int | None, spent: int, expected: int | None
) -> None:
    """A request file that is replaced by one with a lower attempt number does not make used numbers free again."""
    stored: list[IndexEntry] = []
    context = cast(BoardContext, SimpleNamespace(index=SimpleNamespace(put=stored.append)))
    entry = IndexEntry(path=PATH, used=indexed)
    assert note_used_number(context, entry, request(spent=spent)).used == expected
    assert [written.used for written in stored] == ([expected] if expected != indexed else [])


@pytest.mark.parametrize(("state", "is_shown"), [("waiting", True), ("new", False), ("settled", False)])
def test_only_a_waiting_request_keeps_the_place_that_its_thread_shows(state: EntryState, is_shown: bool) -> None:
    """Only a waiting request keeps its queue position, start time and reason; in any other state they are cleared."""
    entry = without_place(IndexEntry(path=PATH, state=state, place=7, starts=(1, 2), why="hold"))
    assert (entry.place, entry.starts, entry.why) == ((7, (1, 2), "hold") if is_shown else (0, None, ""))


@pytest.mark.parametrize("field", ["architectures", "license"])
def test_a_request_with_half_of_a_surrogate_pair_can_be_stored(field: str) -> None:
    """Half of a surrogate pair in a request file is replaced; it used to end the sync of all new requests."""
    data = json.dumps({"model": "ada/lion", "status": "PENDING", field: "Lion\ud800ForCausalLM"}).encode()
    entry, needs_sync = entry_of_new_file(PATH, "a" * 40, data)
    assert needs_sync
    assert "Lion?ForCausalLM" in entry.model_dump_json()
