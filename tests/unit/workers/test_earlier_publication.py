"""How a worker recognises its own earlier publication of an attempt."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from hub.client import Hub
from hub.errors import TooLarge
from hub.records import File, Repo
from leaderboard.details import PublishedOutcome
from workers.publication.publish import _earlier_publication

ATTEMPT, HEAD, REPO = "0123456789ab-01234567-1", "a" * 40, Repo("dataset", "d/m")
OUTCOME = PublishedOutcome(
    attempt=ATTEMPT, path="p", revision=HEAD, suite="s", suite_digest="d", started=0.0, ended=1.0, results_path="r"
)


def earlier(answer: bytes | Exception | None, *, digest: str = "d") -> str | None:
    """The path of an earlier publication's results if the Hub has `answer` as its outcome file; None if not found."""

    def find_file(_: Repo, path: str, *__: object, **___: object) -> File | None:
        if isinstance(answer, Exception):
            raise answer
        return File(path, answer, "0" * 40, HEAD) if answer is not None else None

    publication = cast(
        Any, SimpleNamespace(plan=SimpleNamespace(attempt=ATTEMPT), suite=SimpleNamespace(digest=digest))
    )
    details = _earlier_publication(cast(Hub, SimpleNamespace(find_file=find_file)), publication, REPO, HEAD)
    return details.results_path if details is not None else None


def test_the_outcome_of_an_earlier_try_is_found_again() -> None:
    """The worker finds its earlier publication by the outcome file, unless that is of another version of the suite."""
    assert earlier(OUTCOME.model_dump_json().encode()) == "r"
    assert earlier(OUTCOME.model_dump_json().encode(), digest="other") is None
    assert earlier(None) is None


@pytest.mark.parametrize(
    "answer", [b"", b"{", b"[]", b'{"attempt": "x"}', TooLarge("more than a results file may have")]
)
def test_a_file_that_is_no_outcome_keeps_no_worker_from_publishing(answer: bytes | Exception) -> None:
    """The worker ignores an invalid outcome file, with which another account could make every attempt fail."""
    assert earlier(answer) is None
