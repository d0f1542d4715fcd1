"""Calls generated from the API's own OpenAPI document cause no server error, and no promised name is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import schemathesis
from schemathesis.generation import GenerationMode

from steward.valkey import Valkey
from tests.support.board.fuzzed_server import fuzzed
from tests.support.openapi_calls import generate
from tests.support.stable_interface import missing, names_of_server

NOT_READY = "/readyz"
"""The address that answers 503, because no sync process reports to this board."""
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@dataclass(frozen=True)
class Target:
    """A web server, and all operations of its document."""

    url: str
    operations: list[Any]


@pytest.fixture(scope="module")
def target(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The web server that all tests of this module share."""
    with fuzzed(valkey, tmp_path_factory.mktemp("schema")) as client:
        document: Any = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        yield Target(str(client.base_url), [result.ok() for result in document.get_all_operations()])


def statuses(operation: Any, target: Target, mode: GenerationMode, examples: int) -> Counter[int]:
    """Count the statuses of generated calls of one operation. Raises AssertionError at a server error."""
    counts: Counter[int] = Counter()

    def call(case: schemathesis.Case) -> None:
        case.headers.pop("Authorization", None)  # no Hub runs that could name its owner
        answer = case.call(base_url=target.url, timeout=30)
        counts[answer.status_code] += 1
        assert answer.status_code < 500, f"{case.method} {case.formatted_path} {case.body!r:.200}: {answer.text[:200]}"

    generate(operation, mode, examples, call)
    return counts


def test_every_promised_address_field_and_metric_is_one(target: Target) -> None:
    """The server has every address, parameter, field and metric that docs/stability.md promises."""
    with httpx2.Client(base_url=target.url) as client:
        names = names_of_server(client)
    assert len(names) > 50
    assert missing(names, server=True) == []


@pytest.mark.parametrize("examples", [2, pytest.param(12, marks=pytest.mark.long("many calls of each operation"))])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_no_generated_call_is_a_server_error(target: Target, mode: GenerationMode, examples: int) -> None:
    """No operation answers a call, whether the document allows it or not, with a server error."""
    assert len(target.operations) > 15
    counts: Counter[int] = Counter()
    for operation in target.operations:
        if operation.path != NOT_READY:
            counts += statuses(operation, target, mode, examples)
    assert counts.total() > 30, counts
    assert len(counts) > 2, counts
