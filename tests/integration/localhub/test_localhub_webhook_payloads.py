"""Webhook payloads of events about repos and their content, field by field.

Every test waits until the server has nothing left to deliver, so that it also notices missing and extra deliveries.
"""

from collections.abc import Iterator

import httpx
import pytest
from huggingface_hub import HfApi

from tests.support.localhub.hub_accounts import Listener, fresh, head, make_repo, put, watching
from tests.support.localhub.webhook_payloads import Watched, check_webhook, without


@pytest.fixture
def watched(ada: HfApi, http: httpx.Client, listener: Listener) -> Iterator[Watched]:
    """A fresh dataset that a webhook watches from now on."""
    repo_id = make_repo(ada)
    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        yield Watched(repo_id, path, http, listener)


def test_a_delivery_has_json_the_secret_and_an_id_of_its_own(ada: HfApi, watched: Watched) -> None:
    """A delivery is JSON, with the plain secret in a header and a `webhook-id` of its own."""
    put(ada, watched.repo_id, {"a.txt": "a"})
    put(ada, watched.repo_id, {"a.txt": "b"})
    first, second = watched.deliveries()
    for item in (first, second):
        assert item.headers["content-type"].startswith("application/json")
        assert item.headers["x-webhook-secret"] == "s3cret"
    assert first.headers["webhook-id"] != second.headers["webhook-id"]


def test_commit_on_main(ada: HfApi, watched: Watched) -> None:
    """A commit on main sends repo.content/update with the old and the new commit."""
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
    """For a commit to a pull request `updatedRefs` names refs/pr/N, and `headSha` stays that of main."""
    main = head(ada, watched.repo_id)
    old = put(ada, watched.repo_id, {"a.txt": "a"}, create_pr=True).oid
    watched.payloads()
    new = put(ada, watched.repo_id, {"a.txt": "b"}, revision="refs/pr/1").oid
    payload = watched.only("repo.content", "update")
    assert payload["repo"] == watched.repo(headSha=main)
    assert payload["updatedRefs"] == [{"ref": "refs/pr/1", "oldSha": old, "newSha": new}]
    assert not {"discussion", "comment", "movedTo", "updatedConfig"} & set(payload)


def test_branches_and_tags(ada: HfApi, watched: Watched) -> None:
    """Creating a branch or tag sends repo.content/update with a null `oldSha`, deleting it one with a null `newSha`."""
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
    """A super-squash sends repo.content/update from the old head to the squashed one."""
    old = put(ada, watched.repo_id, {"a.txt": "a"}).oid
    watched.payloads()
    ada.super_squash_history(watched.repo_id, repo_type="dataset")
    new = head(ada, watched.repo_id)
    payload = watched.only("repo.content", "update")
    assert payload["updatedRefs"] == [{"ref": "refs/heads/main", "oldSha": old, "newSha": new}]
    assert payload["repo"]["headSha"] == new


def test_visibility_and_other_settings(ada: HfApi, watched: Watched) -> None:
    """A changed setting sends repo.config/update, in which `updatedConfig` holds only `private`."""
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
    """A rename sends repo/move with the old name, and `movedTo` with the new name; the webhook follows the repo."""
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
    """repo/create and repo/delete reach the webhooks that watch the owner."""
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
    """In a payload the `repo` of a Space has its type, subdomain and addresses."""
    space = make_repo(ada, "space", space_sdk="static")
    with watching(ada, listener, [{"type": "space", "name": space}]) as path:
        put(ada, space, {"app.py": "1"}, "space")
        payload = listener.wait(path, 1)[0].payload
    base = str(http.base_url).rstrip("/")
    assert payload["repo"]["type"] == "space" and payload["repo"]["subdomain"] == space.replace("/", "-")
    assert payload["repo"]["url"] == {"web": f"{base}/spaces/{space}", "api": f"{base}/api/spaces/{space}"}


def test_models_have_no_prefix_in_their_web_address(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """In a payload the web address of a model is `/{id}`, and its API address `/api/models/{id}`."""
    model = make_repo(ada, "model")
    with watching(ada, listener, [{"type": "model", "name": model}]) as path:
        ada.create_discussion(model, title="A question")
        payload = listener.wait(path, 1)[0].payload
    base = str(http.base_url).rstrip("/")
    assert payload["repo"]["url"] == {"web": f"{base}/{model}", "api": f"{base}/api/models/{model}"}
    assert payload["discussion"]["url"]["web"] == f"{base}/{model}/discussions/1"
