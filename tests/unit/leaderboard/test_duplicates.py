"""Duplicates: paths and requests that ask for the same evaluation."""

from __future__ import annotations

import json
from typing import Any

from leaderboard.duplicates import find_duplicates, hash_of, possible_duplicates, repeated
from leaderboard.requests import Request, parse_request


def path(model: str, precision: str = "float16") -> str:
    """The path of a request file."""
    return f"{model}_eval_request_False_{precision}_Original.json"


def request(model: str, **fields: Any) -> Request:
    """A request for `model`, finished unless `fields` say otherwise."""
    data = json.dumps({"model": model, "status": "FINISHED", **fields}).encode()
    parsed = parse_request(path(model), data)
    assert isinstance(parsed, Request)
    return parsed


def test_only_paths_that_may_request_the_same_are_grouped() -> None:
    """Paths that differ in the case of letters are a group; a path alone, or of another precision, is in none."""
    twice = [path("ada/lion"), path("Ada/Lion")]
    others = [path("ada/lion", "4bit"), path("ada/puma"), "README.md"]
    assert possible_duplicates([*twice, *others]) == [tuple(sorted(twice))]
    hashes = repeated([*twice, *others])
    assert [listed for listed in [*twice, *others] if hash_of(listed) in hashes] == twice


def test_which_of_several_duplicate_requests_is_kept() -> None:
    """The bot keeps a finished request, else a running one, else the earliest; cancelled requests are ignored."""
    early, late = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
    finished = request("ada/LION", submitted_time=late)
    running = request("ADA/LION", status="RUNNING", submitted_time=late)
    first = request("ada/Lion", status="PENDING", submitted_time=early)
    second = request("ada/lion", status="PENDING", submitted_time=late)
    failed = request("Ada/lion", status="FAILED", submitted_time=early)
    cancelled = request("ADA/lion", status="CANCELLED", submitted_time=early)
    pairs = find_duplicates([failed, second, first, finished, cancelled, running])
    assert {pair.keep.path for pair in pairs} == {finished.path}
    assert [pair.lose for pair in pairs] == [running, first, second, failed]
    assert [(pair.keep, pair.lose) for pair in find_duplicates([second, first])] == [(first, second)]
    other_template = request("ada/liOn", use_chat_template=True)
    assert find_duplicates([finished, other_template, cancelled]) == []
