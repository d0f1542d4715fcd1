"""Records parsed from the Hub's JSON, in the forms that occur in practice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hub import parse
from hub.errors import BadRequest, Garbled
from hub.records import Repo, WatchedItem

THEN = "2026-11-24T12:00:00.000Z"
PULL = {
    "num": 3,
    "title": "Rename",
    "createdAt": THEN,
    "status": "open",
    "isPullRequest": True,
    "author": {"_id": "a" * 24, "name": "ada"},
    "changes": {"base": "refs/heads/main"},
    "filesWithConflicts": True,
    "events": [
        {
            "id": "1" * 24,
            "type": "comment",
            "createdAt": THEN,
            "author": {"name": "ada"},
            "data": {"edited": True, "hidden": False, "latest": {"raw": "Please"}},
        },
        {"id": "2" * 24, "type": "commit", "createdAt": THEN, "data": {"subject": "x", "oid": "c" * 40}},
        {"id": "3" * 24, "type": "locking-change", "createdAt": THEN, "data": {"locked": True}},
        {
            "id": "4" * 24,
            "type": "comment",
            "createdAt": THEN,
            "data": {"edited": False, "hidden": True, "latest": {"raw": "This comment has been hidden"}},
        },
    ],
}


def test_a_pull_request_is_read_with_its_comments_and_its_head() -> None:
    """Unknown events of a pull request are skipped; its newest commit is the head if the Hub names none."""
    thread = parse.thread(PULL, 3)
    assert (thread.author_id, thread.author_name, thread.is_pull_request) == ("a" * 24, "ada", True)
    assert (thread.head_commit, thread.target, thread.merge_commit) == ("c" * 40, "refs/heads/main", None)
    assert [comment.text for comment in thread.comments] == ["Please", ""]
    assert thread.created_at == datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_an_author_without_id_or_without_account_is_still_somebody() -> None:
    """An author without an id has only a name, and one without an account counts as deleted."""
    first, last = parse.thread(PULL, 3).comments
    assert (first.author_id, first.author_name) == (None, "ada")
    assert (last.author_id, last.author_name, last.hidden) == (None, "deleted", True)


@pytest.mark.parametrize(("files", "expected"), [(True, ("*",)), (["a"], ("a",)), ([], ()), (False, ()), (None, ())])
def test_conflicts_are_told_even_where_their_files_are_not(files: object, expected: tuple[str, ...]) -> None:
    """Conflicts whose files the Hub does not name are read as `*`."""
    assert parse.thread(PULL | {"filesWithConflicts": files}, 3).conflicting_files == expected


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({"license": "mit"}, "mit"),
        ({"license": "other", "license_name": "llama3"}, "llama3"),
        ({"license": ["mit", "apache-2.0"]}, "mit, apache-2.0"),
        ({}, None),
        (None, None),
    ],
)
def test_a_licence_is_named_as_its_card_does(card: object, expected: str | None) -> None:
    """The licence of a model is read from each of the three forms that cards use."""
    facts = parse.model_info({"id": "a/b", "sha": "c" * 40, "cardData": card})
    assert facts.license == expected


def test_a_sparse_model_gets_plain_defaults() -> None:
    """A model with only a name and a commit gets defaults."""
    facts = parse.model_info({"id": "a/b", "sha": "c" * 40})
    assert (facts.gated, facts.private, facts.disabled, facts.parameters, facts.files) == (
        False,
        False,
        False,
        None,
        (),
    )


def test_a_full_model_is_read_field_by_field() -> None:
    """The fields of a complete model are read; `gated` may be text."""
    facts = parse.model_info(
        {
            "id": "a/b",
            "sha": "c" * 40,
            "gated": "manual",
            "safetensors": {"parameters": {"BF16": 7}, "total": 7},
            "siblings": [{"rfilename": "README.md", "size": 12}, {"rfilename": "x.bin"}],
            "config": {"model_type": "llama"},
            "createdAt": THEN,
        }
    )
    assert (facts.gated, facts.parameters, facts.parameters_by_dtype) == (True, 7, {"BF16": 7})
    assert facts.files[1].size is None
    assert facts.created_at is not None


@pytest.mark.parametrize(
    ("disabled", "expected"),
    [(False, None), (True, "disabled"), ("suspended-after-failure", "suspended-after-failure")],
)
def test_a_webhook_says_why_it_is_off(disabled: object, expected: str | None) -> None:
    """The Hub's reason for a disabled webhook is kept."""
    hook = parse.webhook(
        {
            "id": "h",
            "url": "u",
            "watched": [{"type": "dataset", "name": "a/b"}],
            "domains": ["repo"],
            "disabled": disabled,
        }
    )
    assert hook.disabled == expected
    assert hook.watched == {WatchedItem("dataset", "a/b")}


@pytest.mark.parametrize("answer", [None, [], "x", {}, {"num": 1, "title": "t", "status": "open", "events": [{}]}])
def test_an_answer_without_what_it_needs_is_garbled(answer: object) -> None:
    """A response with missing fields raises `Garbled`, not `KeyError`."""
    with pytest.raises(Garbled):
        parse.parsed(lambda item: parse.thread(item, 1), answer)


def test_lists_go_on_where_the_link_header_points() -> None:
    """The next page of a listing is the link with `rel="next"`, even if the address contains a comma."""
    link = '<https://h/api?a=1&cursor=x>; rel="next", <https://h/first>; rel="first"'
    assert parse.next_page({"link": link}) == "https://h/api?a=1&cursor=x"
    comma = '<https://h/first>; rel="first", <https://h/api?cursor=a,b>; title="more"; rel="next"'
    assert parse.next_page({"link": comma}) == "https://h/api?cursor=a,b", "the listing would end there unnoticed"
    assert parse.next_page({"link": '<https://h/first>; rel="first"'}) == ""
    assert parse.next_page({}) == ""


@pytest.mark.parametrize("name", ["gpt2", "meta-llama/Llama-3.1-8B", "a/b_c.d", "0-hero/x", "_a/b_"])
def test_names_that_repos_have_are_taken(name: str) -> None:
    """Valid repo names are accepted, also those of old models, which have no owner."""
    assert Repo("model", name).web == f"/{name}"
    assert Repo("dataset", name).api == f"/api/datasets/{name}"


@pytest.mark.parametrize(
    "name", ["", "a/b/c", "../x", "a/..", "a/b?x=1", "a b", "a/b.git", "a--b/c", "/a", "a/", "ä/b", "a\n"]
)
def test_an_invalid_repo_name_is_refused(name: str) -> None:
    """An invalid repo name is refused before it becomes part of a URL."""
    with pytest.raises(BadRequest):
        Repo("model", name)
