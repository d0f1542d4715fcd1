"""When the table of a season waits for submissions that are not scored yet."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from bot.core.context import BoardContext
from bot.predictions.seasons import _is_any_unscored
from hub.records import Repo

WAITING = "ada/first_eval_request_False_predictions_Original.json"


@pytest.mark.parametrize(
    ("head", "unjudged", "expected"), [(None, [], True), ("a" * 40, [], False), ("a" * 40, [WAITING], True)]
)
def test_a_table_waits_until_the_requests_are_read_and_scored(
    head: str | None, unjudged: list[str], expected: bool
) -> None:
    """After Redis was lost no request is known: a table that was frozen then would lack all that were not scored."""
    index = SimpleNamespace(head=lambda _repo: head, unjudged=lambda: unjudged)
    context = cast(BoardContext, SimpleNamespace(index=index, requests=Repo("dataset", "board/requests")))
    assert _is_any_unscored(context) is expected
