"""Which events a webhook delivers."""

import httpx
import pytest
from huggingface_hub import HfApi

from tests.support.localhub.hub_accounts import Listener, drain, fresh, make_repo, put, watching

pytestmark = pytest.mark.usefixtures("quick_deliveries")


def test_a_webhook_delivers_no_events_of_repos_its_owner_may_not_read(
    ada: HfApi, cleo: HfApi, http: httpx.Client, listener: Listener
) -> None:
    """A webhook that watches another user delivers events of that user's public repos only."""
    private, public = make_repo(ada, private=True), make_repo(ada)
    with watching(cleo, listener, [{"type": "user", "name": "ada"}]) as path:
        put(ada, private, {"a.txt": "secret"})
        put(ada, public, {"a.txt": "open"})
        drain(http)
        assert [d.payload["repo"]["name"] for d in listener.at(path)] == [public]


def test_domains_and_watched_things(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """Only events of the chosen domain of the chosen repo, user or organisation are delivered."""
    repo_id, other, orgs = make_repo(ada), make_repo(ada), make_repo(ada, owner="board")
    target = [{"type": "dataset", "name": repo_id}]
    with (
        watching(ada, listener, target, ["repo"]) as repo_path,
        watching(ada, listener, target, ["discussion"]) as talk_path,
        watching(ada, listener, [{"type": "org", "name": "board"}]) as org_path,
    ):
        for name in (repo_id, other, orgs):
            put(ada, name, {"a.txt": name})
            ada.create_discussion(name, title="A question", repo_type="dataset")
        drain(http)

        def got(path: str) -> set[tuple[str, str]]:
            return {(d.payload["repo"]["name"], d.payload["event"]["scope"]) for d in listener.at(path)}

        assert got(repo_path) == {(repo_id, "repo.content")}
        assert got(talk_path) == {(repo_id, "discussion")}
        assert got(org_path) == {(orgs, "repo.content"), (orgs, "discussion")}


def test_a_disabled_webhook_is_silent(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """Events while a webhook is disabled are lost; once it is enabled again, later events are delivered."""
    repo_id = make_repo(ada)
    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        hook = next(w for w in ada.list_webhooks() if w.url == listener.url + path)
        ada.disable_webhook(hook.id)
        put(ada, repo_id, {"a.txt": "1"})
        drain(http)
        ada.enable_webhook(hook.id)
        second = put(ada, repo_id, {"a.txt": "2"}).oid
        drain(http)
        assert [d.payload["updatedRefs"][0]["newSha"] for d in listener.at(path)] == [second]


def test_a_silent_change_triggers_no_webhook(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """A commit over the admin API changes the repo and triggers no webhook."""
    repo_id = make_repo(ada)
    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        change = {"type": "dataset", "id": repo_id, "files": {"s.txt": "silent"}, "message": "Silently"}
        answer = http.post("/_admin/modify", json=change)
        assert answer.status_code in (200, 201)
        assert ada.dataset_info(repo_id).sha == answer.json()["commitOid"]
        drain(http)
        assert listener.at(path) == []
        put(ada, repo_id, {"a.txt": "loud"})
        listener.wait(path, 1)


def test_dropped_doubled_and_shuffled(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """The faults `drop`, `double` and `shuffle` drop, repeat and reorder deliveries."""
    repo_id = make_repo(ada)

    def commits(path: str, count: int) -> tuple[list[str], list[str]]:
        start = len(listener.at(path))
        pushed = [put(ada, repo_id, {"a.txt": fresh()}).oid for _ in range(count)]
        drain(http)
        return pushed, [d.payload["updatedRefs"][0]["newSha"] for d in listener.at(path)[start:]]

    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        http.put("/_admin/faults/webhooks", json={"drop": 1})
        pushed, received = commits(path, 2)
        assert received == pushed[1:]
        http.put("/_admin/faults/webhooks", json={"double": 1})
        pushed, received = commits(path, 1)
        assert received == pushed * 2
        ids = [d.headers["webhook-id"] for d in listener.at(path)[-2:]]
        assert ids[0] == ids[1]
        http.put("/_admin/faults/webhooks", json={"shuffle": 8})
        pushed, received = commits(path, 8)
        assert sorted(received) == sorted(pushed) and received != pushed
