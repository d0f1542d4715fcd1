"""Responses of the Hub that break the protocol while something is created or uploaded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hub.admin import Admin
from hub.errors import BadRequest, Busy, Conflict, Garbled, HubError, TooLarge
from hub.reads import Reads
from hub.records import Repo, WriteFile
from hub.retries import Retries
from hub.session import _Body
from hub.writes import _store, sha256

REPO = Repo("dataset", "town/requests")
PUT = WriteFile("weights.bin", b"0" * 10)
OID = sha256(PUT.data)


class RefusingRetries:
    """Retries that end at once with this error."""

    def __init__(self, error: HubError) -> None:
        self.error = error

    def call(self, *_args: Any, **_options: Any) -> Any:
        """Raise the error."""
        raise self.error


def test_a_branch_that_exists_is_no_error_and_a_busy_hub_is() -> None:
    """An existing branch is no error, but a Hub that stays busy is, because it created no branch."""
    admin = Admin.__new__(Admin)
    admin.retries = RefusingRetries(Conflict("the branch exists"))  # type: ignore[assignment]
    admin.create_branch(REPO, "answers")
    admin.retries = RefusingRetries(Busy("another creation is in progress"))  # type: ignore[assignment]
    with pytest.raises(Busy):
        admin.create_branch(REPO, "answers")


def test_a_history_without_a_commit_of_a_file_is_garbled(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the history lacks the commit of an existing file, the Hub's response is `Garbled`."""
    reads = Reads.__new__(Reads)
    answer = SimpleNamespace(json=lambda: [{"lastCommit": {"id": "0" * 40}}])
    monkeypatch.setattr(reads, "_repeated", lambda *_: answer, raising=False)
    monkeypatch.setattr(reads, "commits", lambda *_, **__: [], raising=False)
    with pytest.raises(Garbled):
        reads.last_commit(REPO, "a.json")


@pytest.mark.parametrize(
    "item",
    [
        {"oid": "0" * 64, "actions": {"upload": {"href": "https://hub/lfs"}}},
        {"oid": OID, "actions": {"upload": {}, "verify": {"header": {}}}},
        {"oid": OID, "actions": ["upload"]},
        {"actions": {"upload": {"href": "https://hub/lfs"}}},
        ["oid"],
    ],
)
def test_an_answer_about_another_large_file_is_garbled(item: Any) -> None:
    """An upload response that is malformed, or about another file, is `Garbled`, and nothing is sent."""
    session: Any = SimpleNamespace(send=lambda *_, **__: pytest.fail("nothing is sent"))
    with pytest.raises(Garbled):
        _store(session, Retries(), item, {OID: PUT})


def test_a_large_file_is_uploaded_and_verified_where_the_hub_says() -> None:
    """A large file is uploaded and verified at the given addresses, and not sent if the Hub already has it."""
    sent = list[tuple[str, str, Any]]()
    session: Any = SimpleNamespace(send=lambda method, url, **options: sent.append((method, url, options["headers"])))
    actions = {"upload": {"href": "https://hub/a", "header": {"x": "1"}}, "verify": {"href": "https://hub/b"}}
    _store(session, Retries(), {"oid": OID, "actions": actions}, {OID: PUT})
    _store(session, Retries(), {"oid": OID}, {OID: PUT})
    assert sent == [("PUT", "https://hub/a", {"x": "1"}), ("POST", "https://hub/b", {})]
    with pytest.raises(BadRequest, match="too big"):
        _store(session, Retries(), {"oid": OID, "error": {"message": "too big"}}, {OID: PUT})


@pytest.mark.parametrize("length", ["", "10", "\u00b2", "9" * 5_000])
def test_a_content_length_that_is_not_a_number_is_ignored(length: str) -> None:
    """A `Content-Length` that is not a number of bytes is ignored; a number above the limit is refused."""
    _Body(limit=10).expect(length, "/file")
    with pytest.raises(TooLarge):
        _Body(limit=10).expect("11", "/file")
