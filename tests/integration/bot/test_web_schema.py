"""The board's API, fuzzed from its own OpenAPI document: no answer is a server error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import schemathesis
from schemathesis.generation import GenerationMode

from steward.valkey import Valkey
from tests.support.board.fuzzed_server import fuzzed
from tests.support.openapi_calls import generate

NOT_READY = "/readyz"
"""Answers 503 here, and rightly: no sync process reports to this board."""
EXAMPLES = {GenerationMode.POSITIVE: 12, GenerationMode.NEGATIVE: 12}


@pytest.fixture(scope="module")
def asked(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A client of one web server for all."""
    with fuzzed(valkey, tmp_path_factory.mktemp("schema")) as client:
        yield client


def statuses(operation: Any, client: httpx2.Client, mode: GenerationMode) -> Counter[int]:
    """How generated calls of one operation were answered. Raises AssertionError at a server error."""
    found: Counter[int] = Counter()

    def call(case: schemathesis.Case) -> None:
        case.headers.pop("Authorization", None)  # there is no Hub here that could be asked whose it is
        answer = case.call(base_url=str(client.base_url), timeout=30)
        found[answer.status_code] += 1
        assert answer.status_code < 500, f"{case.method} {case.formatted_path} {case.body!r:.200}: {answer.text[:200]}"

    generate(operation, mode, EXAMPLES[mode], call)
    return found


@pytest.mark.parametrize("mode", list(EXAMPLES), ids=lambda mode: mode.value)
def test_no_generated_call_is_a_server_error(asked: httpx2.Client, mode: GenerationMode) -> None:
    """What the document allows, and what it does not, is answered with less than 500, on every operation."""
    document: Any = schemathesis.openapi.from_dict(asked.get("/openapi.json").json())
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) > 15
    found: Counter[int] = Counter()
    for operation in operations:
        if operation.path != NOT_READY:
            found += statuses(operation, asked, mode)
    assert found.total() > 100, found
    assert len(found) > 2, found
