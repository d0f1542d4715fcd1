"""Reference 3.1 to 3.3: each row of the table of events, field by field, at a real listener.

Every test waits until the server says that nothing is left to deliver, so that what did *not* come is checked too.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from huggingface_hub import HfApi
from localhub_kit import Listener, Received, fresh, head, make_repo, put, watching


@dataclass
class Watched:
    """A repo of ada's whose webhook path is listened to."""

    repo_id: str
    path: str
    http: httpx.Client
    listener: Listener
    raw: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.raw = self.http.get(f"/api/datasets/{self.repo_id}").json()

    def deliveries(self) -> list[Received]:
        """All that came since the last call, once nothing is left to deliver."""
        drained = self.http.post("/_admin/webhooks/drain", params={"seconds": 10}).json()
        assert drained["idle"] is True
        everything = self.listener.at(self.path)
        self._seen, before = len(everything), getattr(self, "_seen", 0)
        return everything[before:]

    def payloads(self) -> dict[tuple[str, str], Any]:
        """The payloads since the last call by (scope, action); two of a kind are an error."""
        found = [item.payload for item in self.deliveries()]
        by_event = {(p["event"]["scope"], p["event"]["action"]): p for p in found}
        assert len(by_event) == len(found), [p["event"] for p in found]
        return by_event

    def only(self, scope: str, action: str) -> Any:
        """The one payload since the last call."""
        payloads = self.payloads()
        assert list(payloads) == [(scope, action)]
        return payloads[scope, action]

    def repo(self, **more: Any) -> dict[str, Any]:
        """The `repo` object as the table describes it, without headSha."""
        base = str(self.http.base_url).rstrip("/")
        return {
            "type": "dataset",
            "name": self.repo_id,
            "id": self.raw["_id"],
            "private": False,
            "url": {
                "web": f"{base}/datasets/{self.repo_id}",
                "api": f"{base}/api/datasets/{self.repo_id}",
            },
            "owner": {"id": self.http.get("/api/whoami-v2").json()["id"]},
            **more,
        }

    def thread(self, num: int) -> dict[str, Any]:
        """The raw detail of a thread."""
        return dict(self.http.get(f"/api/datasets/{self.repo_id}/discussions/{num}").json())

    def discussion(self, num: int, status: str, author: str, **more: Any) -> dict[str, Any]:
        """The `discussion` object as the table describes it, without `changes` and `pinned`."""
        base = str(self.http.base_url).rstrip("/")
        thread = self.thread(num)
        return {
            "id": thread["_id"],
            "num": num,
            "title": thread["title"],
            "url": {
                "web": f"{base}/datasets/{self.repo_id}/discussions/{num}",
                "api": f"{base}/api/datasets/{self.repo_id}/discussions/{num}",
            },
            "status": status,
            "author": {"id": author},
            "isPullRequest": thread["isPullRequest"],
            **more,
        }

    def comment(self, num: int, index: int, author: str) -> dict[str, Any]:
        """The `comment` object for the comment that is event number `index` of a thread."""
        event = self.thread(num)["events"][index]
        base = str(self.http.base_url).rstrip("/")
        return {
            "id": event["id"],
            "author": {"id": author},
            "content": event["data"]["latest"]["raw"],
            "hidden": False,
            "url": {"web": f"{base}/datasets/{self.repo_id}/discussions/{num}#{event['id']}"},
        }


@pytest.fixture
def watched(ada: HfApi, http: httpx.Client, listener: Listener) -> Iterator[Watched]:
    """A fresh dataset that a webhook watches from now on."""
    repo_id = make_repo(ada)
    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        yield Watched(repo_id, path, http, listener)


@pytest.fixture(scope="module")
def ids(ada: HfApi, cleo: HfApi) -> dict[str, str]:
    """Account ids: payloads never hold names."""
    return {"ada": ada.whoami()["id"], "cleo": cleo.whoami()["id"]}


def without(item: dict[str, Any], *names: str) -> dict[str, Any]:
    """A dict without some optional keys."""
    return {key: value for key, value in item.items() if key not in names}


def check_webhook(payload: dict[str, Any], ada: HfApi) -> None:
    """`webhook` holds an id of the owner's webhooks and version 3."""
    assert payload["webhook"]["version"] == 3 and set(payload["webhook"]) == {"id", "version"}
    assert payload["webhook"]["id"] in [w.id for w in ada.list_webhooks()]


def check_discussion(got: dict[str, Any], expected: dict[str, Any]) -> None:
    """Equal but for the optional `pinned`."""
    assert without(got, "pinned") == expected


def test_the_request_itself(ada: HfApi, watched: Watched) -> None:
    """JSON, the plain secret, and an id of its own for each delivery."""
    put(ada, watched.repo_id, {"a.txt": "a"})
    put(ada, watched.repo_id, {"a.txt": "b"})
    one, two = watched.deliveries()
    for item in (one, two):
        assert item.headers["content-type"].startswith("application/json")
        assert item.headers["x-webhook-secret"] == "s3cret"
    assert one.headers["webhook-id"] != two.headers["webhook-id"]


def test_commit_on_main(ada: HfApi, watched: Watched) -> None:
    """repo.content/update with the ref's old and new commit and main's head."""
    old = head(ada, watched.repo_id)
    new = put(ada, watched.repo_id, {"a.txt": "a"}).oid
    payload = watched.only("repo.content", "update")
    check_webhook(payload, ada)
    assert without(payload, "webhook") == {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": watched.repo(headSha=new),
        "updatedRefs": [{"ref": "refs/heads/main", "oldSha": old, "newSha": new}],
    }


def test_commit_on_a_pull_request_ref(ada: HfApi, watched: Watched) -> None:
    """updatedRefs names refs/pr/N; headSha stays that of main."""
    main = head(ada, watched.repo_id)
    old = put(ada, watched.repo_id, {"a.txt": "a"}, create_pr=True).oid
    watched.payloads()
    new = put(ada, watched.repo_id, {"a.txt": "b"}, revision="refs/pr/1").oid
    payload = watched.only("repo.content", "update")
    assert payload["repo"] == watched.repo(headSha=main)
    assert payload["updatedRefs"] == [{"ref": "refs/pr/1", "oldSha": old, "newSha": new}]
    assert not {"discussion", "comment", "movedTo", "updatedConfig"} & set(payload)


def test_a_new_pull_request(cleo: HfApi, ada: HfApi, watched: Watched, ids: dict[str, str]) -> None:
    """discussion/create with the first comment, and repo.content/update of a ref that had no commit."""
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
    """A pull request by POST /discussions is created as a draft; its ref appears."""
    ada.create_pull_request(watched.repo_id, title="A draft", description="Soon", repo_type="dataset")
    payloads = watched.payloads()
    created = payloads["discussion", "create"]
    assert created["discussion"]["status"] == "draft" and created["comment"]["content"] == "Soon"
    refs = payloads["repo.content", "update"]["updatedRefs"]
    assert refs == [{"ref": "refs/pr/1", "oldSha": None, "newSha": head(ada, watched.repo_id)}]


def test_a_new_discussion(cleo: HfApi, ada: HfApi, watched: Watched, ids: dict[str, str]) -> None:
    """discussion/create with its comment; no headSha, no changes."""
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
    """discussion.comment/create with the thread's author in one place and the comment's in the other."""
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
    """discussion.comment/update; a hidden comment has no content."""
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
    """discussion/update without a comment."""
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
    """Both events come: the change, and the comment of its own."""
    ada.create_discussion(watched.repo_id, title="A question", repo_type="dataset")
    watched.payloads()
    ada.change_discussion_status(watched.repo_id, 1, "closed", comment="Done", repo_type="dataset")
    payloads = watched.payloads()
    assert set(payloads) == {("discussion", "update"), ("discussion.comment", "create")}
    assert payloads["discussion.comment", "create"]["comment"]["content"] == "Done"
    assert "comment" not in payloads["discussion", "update"]


def test_a_merge(ada: HfApi, watched: Watched, ids: dict[str, str]) -> None:
    """discussion/update with status merged and mergeCommitId, and repo.content/update on the base."""
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
    """discussion/delete still names the thread."""
    ada.create_discussion(watched.repo_id, title="A question", repo_type="dataset")
    expected = watched.discussion(1, "open", ids["ada"])
    watched.payloads()
    watched.http.delete(f"/api/datasets/{watched.repo_id}/discussions/1")
    payload = watched.only("discussion", "delete")
    check_discussion(payload["discussion"], expected)
    assert payload["event"] == {"action": "delete", "scope": "discussion"}


def test_branches_and_tags(ada: HfApi, watched: Watched) -> None:
    """repo.content/update: oldSha null when a ref is made, newSha null when it goes."""
    sha = head(ada, watched.repo_id)
    kind = "dataset"
    steps = [
        (lambda: ada.create_branch(watched.repo_id, branch="dev", repo_type=kind), "refs/heads/dev", None, sha),
        (lambda: ada.delete_branch(watched.repo_id, branch="dev", repo_type=kind), "refs/heads/dev", sha, None),
        (lambda: ada.create_tag(watched.repo_id, tag="v1", repo_type=kind), "refs/tags/v1", None, sha),
        (lambda: ada.delete_tag(watched.repo_id, tag="v1", repo_type=kind), "refs/tags/v1", sha, None),
    ]
    for step, ref, old, new in steps:
        step()
        payload = watched.only("repo.content", "update")
        assert payload["updatedRefs"] == [{"ref": ref, "oldSha": old, "newSha": new}]
        assert payload["repo"] == watched.repo(headSha=sha)


def test_super_squash(ada: HfApi, watched: Watched) -> None:
    """repo.content/update from the old head to the squashed one."""
    old = put(ada, watched.repo_id, {"a.txt": "a"}).oid
    watched.payloads()
    ada.super_squash_history(watched.repo_id, repo_type="dataset")
    new = head(ada, watched.repo_id)
    payload = watched.only("repo.content", "update")
    assert payload["updatedRefs"] == [{"ref": "refs/heads/main", "oldSha": old, "newSha": new}]
    assert payload["repo"]["headSha"] == new


def test_visibility_and_other_settings(ada: HfApi, watched: Watched) -> None:
    """repo.config/update: `updatedConfig` tells only about `private`."""
    ada.update_repo_settings(watched.repo_id, private=True, repo_type="dataset")
    payload = watched.only("repo.config", "update")
    assert without(payload, "webhook") == {
        "event": {"action": "update", "scope": "repo.config"},
        "repo": watched.repo(private=True, headSha=head(ada, watched.repo_id)),
        "updatedConfig": {"private": True},
    }
    ada.update_repo_settings(watched.repo_id, gated="auto", repo_type="dataset")
    assert watched.only("repo.config", "update")["updatedConfig"] == {}


def test_a_move(ada: HfApi, watched: Watched) -> None:
    """repo/move: `repo.name` is the old name, `movedTo` the new name and owner; the webhook follows the repo."""
    new = f"board/{fresh()}"
    sha = head(ada, watched.repo_id)
    ada.move_repo(watched.repo_id, new, repo_type="dataset")
    payload = watched.only("repo", "move")
    board = watched.http.get("/api/whoami-v2").json()["orgs"]
    owner = next(org["id"] for org in board if org["name"] == "board")
    assert payload["event"] == {"action": "move", "scope": "repo"}
    assert payload["movedTo"] == {"name": new, "owner": {"id": owner}}
    assert payload["repo"]["name"] == watched.repo_id and payload["repo"]["id"] == watched.raw["_id"]
    assert payload["repo"]["headSha"] == sha
    put(ada, new, {"a.txt": "a"})
    after = watched.only("repo.content", "update")
    assert (after["repo"]["name"], after["repo"]["id"]) == (new, watched.raw["_id"])
    assert after["repo"]["owner"] == {"id": owner}


def test_repo_create_and_delete(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """repo/create and repo/delete reach whoever watches the owner."""
    with watching(ada, listener, [{"type": "user", "name": "ada"}], ["repo"]) as path:
        repo_id = make_repo(ada)
        watched = Watched(repo_id, path, http, listener)
        sha = head(ada, repo_id)
        created = watched.payloads()["repo", "create"]
        assert without(created, "webhook") == {
            "event": {"action": "create", "scope": "repo"},
            "repo": watched.repo(headSha=sha),
        }
        ada.delete_repo(repo_id, repo_type="dataset")
        deleted = watched.only("repo", "delete")
        assert without(deleted["repo"], "headSha") == watched.repo()


def test_spaces_have_a_subdomain(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """The `repo` of a Space has type, subdomain and its own addresses."""
    space = make_repo(ada, "space", space_sdk="static")
    with watching(ada, listener, [{"type": "space", "name": space}]) as path:
        put(ada, space, {"app.py": "1"}, "space")
        payload = listener.wait(path, 1)[0].payload
    base = str(http.base_url).rstrip("/")
    assert payload["repo"]["type"] == "space" and payload["repo"]["subdomain"] == space.replace("/", "-")
    assert payload["repo"]["url"] == {"web": f"{base}/spaces/{space}", "api": f"{base}/api/spaces/{space}"}


def test_models_have_no_prefix_in_their_web_address(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """`/{id}` for people, `/api/models/{id}` for programs."""
    model = make_repo(ada, "model")
    with watching(ada, listener, [{"type": "model", "name": model}]) as path:
        ada.create_discussion(model, title="A question")
        payload = listener.wait(path, 1)[0].payload
    base = str(http.base_url).rstrip("/")
    assert payload["repo"]["url"] == {"web": f"{base}/{model}", "api": f"{base}/api/models/{model}"}
    assert payload["discussion"]["url"]["web"] == f"{base}/{model}/discussions/1"


def test_payloads_name_nobody(ada: HfApi, cleo: HfApi, watched: Watched) -> None:
    """Only ids of accounts are sent; repo events have no actor at all."""
    cleo.create_discussion(watched.repo_id, title="A question", description="Text", repo_type="dataset")
    put(ada, watched.repo_id, {"a.txt": "a"})
    for item in watched.deliveries():
        assert "cleo" not in item.raw.decode()
        assert not {"actor", "sender", "author", "user"} & set(item.payload)
