"""Webhook payloads of events about discussions and pull requests, field by field.

Every test waits until the server has nothing left to deliver, so that it also notices missing and extra deliveries.
"""

from collections.abc import Iterator

import httpx
import pytest
from huggingface_hub import HfApi

from tests.support.localhub.hub_accounts import Listener, head, make_repo, put, watching
from tests.support.localhub.webhook_payloads import Watched, check_discussion, check_webhook, without


@pytest.fixture
def watched(ada: HfApi, http: httpx.Client, listener: Listener) -> Iterator[Watched]:
    """A fresh dataset that a webhook watches from now on."""
    repo_id = make_repo(ada)
    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        yield Watched(repo_id, path, http, listener)


@pytest.fixture(scope="module")
def ids(ada: HfApi, cleo: HfApi) -> dict[str, str]:
    """The ids of the accounts, which payloads have instead of names."""
    return {"ada": ada.whoami()["id"], "cleo": cleo.whoami()["id"]}


def test_a_new_pull_request(cleo: HfApi, ada: HfApi, watched: Watched, ids: dict[str, str]) -> None:
    """A new pull request sends discussion/create with its first comment, and repo.content/update of its new ref."""
    main = head(ada, watched.repo_id)
    info = put(
        cleo,
        watched.repo_id,
        {"a.txt": "a"},
        create_pr=True,
        commit_message="Add a",
        commit_description="Please take it",
    )
    payloads = watched.payloads()
    assert set(payloads) == {("discussion", "create"), ("repo.content", "update")}
    created, content = payloads["discussion", "create"], payloads["repo.content", "update"]
    assert without(created, "webhook", "discussion") == {
        "event": {"action": "create", "scope": "discussion"},
        "repo": watched.repo(),
        "comment": watched.comment(1, 0, ids["cleo"]),
    }
    changes = {"base": "refs/heads/main"}
    check_discussion(created["discussion"], watched.discussion(1, "open", ids["cleo"], changes=changes))
    assert content["updatedRefs"] == [{"ref": "refs/pr/1", "oldSha": None, "newSha": info.oid}]
    assert content["repo"]["headSha"] == main and "comment" not in content


def test_a_draft_pull_request(ada: HfApi, watched: Watched, ids: dict[str, str]) -> None:
    """A pull request opened without a commit sends discussion/create as a draft, and the update of its new ref."""
    ada.create_pull_request(watched.repo_id, title="A draft", description="Soon", repo_type="dataset")
    payloads = watched.payloads()
    created = payloads["discussion", "create"]
    assert created["discussion"]["status"] == "draft" and created["comment"]["content"] == "Soon"
    refs = payloads["repo.content", "update"]["updatedRefs"]
    assert refs == [{"ref": "refs/pr/1", "oldSha": None, "newSha": head(ada, watched.repo_id)}]


def test_a_new_discussion(cleo: HfApi, ada: HfApi, watched: Watched, ids: dict[str, str]) -> None:
    """A new discussion sends discussion/create with its comment, without `headSha` and `changes`."""
    cleo.create_discussion(watched.repo_id, title="A question", description="Why?", repo_type="dataset")
    payload = watched.only("discussion", "create")
    check_webhook(payload, ada)
    assert without(payload, "webhook", "discussion") == {
        "event": {"action": "create", "scope": "discussion"},
        "repo": watched.repo(),
        "comment": watched.comment(1, 0, ids["cleo"]),
    }
    check_discussion(payload["discussion"], watched.discussion(1, "open", ids["cleo"]))


def test_a_new_comment(ada: HfApi, cleo: HfApi, watched: Watched, ids: dict[str, str]) -> None:
    """A new comment sends discussion.comment/create, with the authors of the thread and of the comment."""
    cleo.create_discussion(watched.repo_id, title="A question", repo_type="dataset")
    watched.payloads()
    ada.comment_discussion(watched.repo_id, 1, "An answer", repo_type="dataset")
    payload = watched.only("discussion.comment", "create")
    assert without(payload, "webhook", "discussion") == {
        "event": {"action": "create", "scope": "discussion.comment"},
        "repo": watched.repo(),
        "comment": watched.comment(1, 1, ids["ada"]),
    }
    check_discussion(payload["discussion"], watched.discussion(1, "open", ids["cleo"]))


def test_editing_and_hiding_a_comment(ada: HfApi, watched: Watched, ids: dict[str, str]) -> None:
    """Editing and hiding a comment send discussion.comment/update; a hidden comment has no content."""
    thread = ada.create_discussion(watched.repo_id, title="A question", repo_type="dataset")
    watched.payloads()
    ada.edit_discussion_comment(watched.repo_id, 1, thread.events[0].id, "Edited", repo_type="dataset")
    payload = watched.only("discussion.comment", "update")
    assert payload["comment"] == {**watched.comment(1, 0, ids["ada"]), "content": "Edited"}
    check_discussion(payload["discussion"], watched.discussion(1, "open", ids["ada"]))
    ada.hide_discussion_comment(watched.repo_id, 1, thread.events[0].id, repo_type="dataset")
    payload = watched.only("discussion.comment", "update")
    expected = without(watched.comment(1, 0, ids["ada"]), "content")
    assert payload["comment"] == {**expected, "hidden": True}


def test_title_and_status_changes(ada: HfApi, watched: Watched, ids: dict[str, str]) -> None:
    """A new title and a new status send discussion/update without a comment."""
    ada.create_discussion(watched.repo_id, title="A question", repo_type="dataset")
    watched.payloads()
    ada.rename_discussion(watched.repo_id, 1, "A better title", repo_type="dataset")
    payload = watched.only("discussion", "update")
    assert payload["discussion"]["title"] == "A better title" and "comment" not in payload
    ada.change_discussion_status(watched.repo_id, 1, "closed", repo_type="dataset")
    payload = watched.only("discussion", "update")
    assert without(payload, "webhook", "discussion") == {
        "event": {"action": "update", "scope": "discussion"},
        "repo": watched.repo(),
    }
    check_discussion(payload["discussion"], watched.discussion(1, "closed", ids["ada"]))


def test_a_status_change_with_a_comment(ada: HfApi, watched: Watched) -> None:
    """A status change with a comment sends two events: the change and the new comment."""
    ada.create_discussion(watched.repo_id, title="A question", repo_type="dataset")
    watched.payloads()
    ada.change_discussion_status(watched.repo_id, 1, "closed", comment="Done", repo_type="dataset")
    payloads = watched.payloads()
    assert set(payloads) == {("discussion", "update"), ("discussion.comment", "create")}
    assert payloads["discussion.comment", "create"]["comment"]["content"] == "Done"
    assert "comment" not in payloads["discussion", "update"]


def test_a_merge(ada: HfApi, watched: Watched, ids: dict[str, str]) -> None:
    """A merge sends discussion/update with status merged and `mergeCommitId`, and repo.content/update of the base."""
    put(ada, watched.repo_id, {"a.txt": "a"}, create_pr=True)
    old = head(ada, watched.repo_id)
    watched.payloads()
    ada.merge_pull_request(watched.repo_id, 1, repo_type="dataset")
    new = head(ada, watched.repo_id)
    payloads = watched.payloads()
    assert set(payloads) == {("discussion", "update"), ("repo.content", "update")}
    changes = {"base": "refs/heads/main", "mergeCommitId": new}
    merged = payloads["discussion", "update"]
    check_discussion(merged["discussion"], watched.discussion(1, "merged", ids["ada"], changes=changes))
    content = payloads["repo.content", "update"]
    assert content["updatedRefs"] == [{"ref": "refs/heads/main", "oldSha": old, "newSha": new}]
    assert content["repo"]["headSha"] == new


def test_deleting_a_discussion(ada: HfApi, watched: Watched, ids: dict[str, str]) -> None:
    """Deleting a discussion sends discussion/delete with the thread's fields."""
    ada.create_discussion(watched.repo_id, title="A question", repo_type="dataset")
    expected = watched.discussion(1, "open", ids["ada"])
    watched.payloads()
    watched.http.delete(f"/api/datasets/{watched.repo_id}/discussions/1")
    payload = watched.only("discussion", "delete")
    check_discussion(payload["discussion"], expected)
    assert payload["event"] == {"action": "delete", "scope": "discussion"}


def test_payloads_hold_no_account_names(ada: HfApi, cleo: HfApi, watched: Watched) -> None:
    """Payloads hold the ids of accounts instead of names, and have no actor."""
    cleo.create_discussion(watched.repo_id, title="A question", description="Text", repo_type="dataset")
    put(ada, watched.repo_id, {"a.txt": "a"})
    for item in watched.deliveries():
        assert "cleo" not in item.raw.decode()
        assert not {"actor", "sender", "author", "user"} & set(item.payload)
