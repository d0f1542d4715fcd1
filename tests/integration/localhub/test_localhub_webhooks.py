"""Reference 2.10 and 3.4: webhooks managed, delivered, retried, suspended and replayed."""

import itertools
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from localhub.testing import LocalHub
from localhub.webhooks.deliveries import _THREADS, DeliveryPolicy
from tests.support.localhub.hub_accounts import TOKENS, Listener, Received, fresh, make_repo, put, watching
from tests.support.waiting import wait_until

HOOKS = "/api/settings/webhooks"


@pytest.fixture(autouse=True)
def _usual_policy(http: httpx.Client, listener: Listener) -> Iterator[None]:
    """Short waits for each test, and a well-behaved listener."""
    policy = {"retries": 3, "first_wait": 0.05, "timeout": 5, "suspend_after": 1000, "quota": 1000}
    assert http.put("/_admin/webhooks/policy", json=policy).status_code == 200
    yield
    listener.answers.clear()
    listener.always = 200
    http.delete("/_admin/faults")


def policy(http: httpx.Client, **changes: Any) -> None:
    """Change some numbers of the delivery policy."""
    assert http.put("/_admin/webhooks/policy", json=changes).status_code == 200


def drain(http: httpx.Client) -> None:
    """Wait until no delivery is pending."""
    assert http.post("/_admin/webhooks/drain", params={"seconds": 10}).json()["idle"] is True


def body(repo_id: str, url: str = "http://127.0.0.1:9/x", **changes: Any) -> dict[str, Any]:
    """A valid webhook that watches one dataset."""
    return {"watched": [{"type": "dataset", "name": repo_id}], "domains": ["repo"], "url": url, **changes}


def test_create_get_list_update_delete(ada: HfApi, http: httpx.Client) -> None:
    """The life of a webhook through the client."""
    repo_id = make_repo(ada)
    made = ada.create_webhook(
        url="http://127.0.0.1:9/a", watched=[{"type": "dataset", "name": repo_id}], domains=["repo"], secret="abc"
    )
    assert (made.url, made.domains, made.disabled, made.job) == ("http://127.0.0.1:9/a", ["repo"], False, None)
    assert [(w.type, w.name) for w in made.watched] == [("dataset", repo_id)] and len(made.id) == 24
    assert ada.get_webhook(made.id) == made
    assert made.id in [w.id for w in ada.list_webhooks()]
    changed = ada.update_webhook(
        made.id,
        url="http://127.0.0.1:9/b",
        watched=[{"type": "org", "name": "board"}],
        domains=["repo", "discussion"],
        secret="def",
    )
    assert changed.url == "http://127.0.0.1:9/b" and set(changed.domains) == {"repo", "discussion"}
    assert [(w.type, w.name) for w in changed.watched] == [("org", "board")]
    assert ada.disable_webhook(made.id).disabled is True
    assert ada.enable_webhook(made.id).disabled is False
    assert http.delete(f"{HOOKS}/{made.id}").json() == {}
    with pytest.raises(HfHubHTTPError) as caught:
        ada.get_webhook(made.id)
    assert caught.value.response.status_code == 404


def test_the_object_never_shows_the_secret(ada: HfApi, http: httpx.Client) -> None:
    """`hasSecret` instead of the secret, `watched` with names, the list is a bare array."""
    repo_id = make_repo(ada)
    made = http.post(HOOKS, json=body(repo_id, secret="topsecret")).json()["webhook"]
    listed = http.get(HOOKS).json()
    assert isinstance(listed, list)
    item = next(w for w in listed if w["id"] == made["id"])
    assert {"id", "url", "disabled", "watched", "hasSecret", "domains"} <= set(item)
    assert item["hasSecret"] is True and "topsecret" not in http.get(HOOKS).text
    assert http.post(HOOKS, json=body(repo_id)).json()["webhook"]["hasSecret"] is False
    assert item["watched"][0]["name"] == repo_id and item["watched"][0]["type"] == "dataset"


@pytest.mark.parametrize(
    "changes",
    [
        {"watched": []},
        {"watched": [{"type": "galaxy", "name": "x"}]},
        {"watched": "ada/x"},
        {"domains": []},
        {"domains": ["gossip"]},
        {"url": "not a url"},
        {"url": "file:///etc/passwd"},
        {"url": None},
        {"secret": "naïve"},
        {"secret": "line\nbreak"},
    ],
)
def test_webhooks_that_make_no_sense_are_400(ada: HfApi, http: httpx.Client, changes: dict[str, Any]) -> None:
    """At least one watched thing and one domain, a web address, and an ASCII secret; new or updated."""
    repo_id = make_repo(ada)
    answer = http.post(HOOKS, json=body(repo_id, **changes))
    assert answer.status_code == 400 and answer.json()["error"]
    if changes != {"url": None}:
        made = http.post(HOOKS, json=body(repo_id)).json()["webhook"]
        update = http.post(f"{HOOKS}/{made['id']}", json=body(repo_id, **changes))
        assert update.status_code == 400 and update.json()["error"]
        assert http.get(f"{HOOKS}/{made['id']}").json()["webhook"]["domains"] == ["repo"]


def test_an_update_without_watched_or_domains_is_400(ada: HfApi, http: httpx.Client) -> None:
    """The request of `update_webhook(id, url=...)` alone is refused, and nothing changes."""
    made = http.post(HOOKS, json=body(make_repo(ada))).json()["webhook"]
    with pytest.raises(HfHubHTTPError) as caught:
        ada.update_webhook(made["id"], url="http://127.0.0.1:9/other")
    assert caught.value.response.status_code == 400
    assert ada.get_webhook(made["id"]).url == made["url"]


def test_webhooks_belong_to_their_owner(ada: HfApi, cleo: HfApi, http: httpx.Client, hub: LocalHub) -> None:
    """Others neither see nor touch them; without a token it is 401."""
    made = http.post(HOOKS, json=body(make_repo(ada))).json()["webhook"]
    assert made["id"] not in [w.id for w in cleo.list_webhooks()]
    for call in (cleo.get_webhook, cleo.delete_webhook, cleo.disable_webhook):
        with pytest.raises(HfHubHTTPError) as caught:
            call(made["id"])
        assert caught.value.response.status_code in (403, 404)
    assert httpx.get(hub.url + HOOKS).status_code == 401


def test_a_fine_grained_token_manages_webhooks_where_it_says_so(ada: HfApi, hub: LocalHub) -> None:
    """The permission belongs to the account itself: one for an organisation's repos is not enough."""
    owner = hub.state.accounts.by_name("ada")
    assert owner is not None
    watched = [{"type": "dataset", "name": make_repo(ada)}]
    for entity, permission, allowed in (
        ({"type": "user", "name": "ada"}, "user.webhooks.write", True),
        ({"type": "user", "name": "ada"}, "repo.write", False),
        ({"type": "org", "name": "ada"}, "user.webhooks.write", False),
    ):
        secret = f"hf_{uuid.uuid4().hex}"
        scoped = [{"entity": entity, "permissions": [permission]}]
        hub.state.accounts.add_token(owner, secret, {"role": "fineGrained", "scoped": scoped})
        make = partial(HfApi(hub.url, token=secret).create_webhook, url="http://127.0.0.1:9/x", watched=watched)
        if allowed:
            assert make().watched[0].name == watched[0]["name"]
        else:
            with pytest.raises(HfHubHTTPError) as caught:
                make()
            assert caught.value.response.status_code == 403


def test_a_webhook_on_what_one_may_not_read_delivers_nothing(
    ada: HfApi, cleo: HfApi, http: httpx.Client, listener: Listener
) -> None:
    """Watching an account shows strangers nothing of its private repos."""
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


def test_delivery_is_asynchronous(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """A listener that hangs does not keep the commit waiting."""
    repo_id = make_repo(ada)
    http.put("/_admin/faults/webhooks", json={"delay": 1, "seconds": 1.0})
    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        put(ada, repo_id, {"a.txt": "1"})
        assert listener.at(path) == []
        listener.wait(path, 1)


def test_failed_deliveries_are_retried_with_backoff_and_the_same_id(
    ada: HfApi, http: httpx.Client, listener: Listener
) -> None:
    """500, 404 and 302 are failures; every try carries the same Webhook-Id and body; waits grow."""
    repo_id = make_repo(ada)
    policy(http, retries=4, first_wait=0.1)
    listener.answers.extend([500, 404, 302])
    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        put(ada, repo_id, {"a.txt": "1"})
        tries = listener.wait(path, 4)
        drain(http)
        assert len(listener.at(path)) == 4
        assert len({t.headers["webhook-id"] for t in tries}) == 1 and len({t.raw for t in tries}) == 1
        waits = [b.at - a.at for a, b in itertools.pairwise(tries)]
        assert waits[0] >= 0.08 and waits[2] > waits[0]


def test_lasting_failure_suspends_until_enabled_again(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """`disabled` becomes "suspended-after-failure"; the owner may enable it again."""
    repo_id = make_repo(ada)
    policy(http, retries=1, first_wait=0.01, suspend_after=2)
    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        hook = next(w for w in ada.list_webhooks() if w.url == listener.url + path)
        listener.always = 500
        for i in range(3):
            put(ada, repo_id, {"a.txt": str(i)})
            drain(http)
        assert http.get(f"{HOOKS}/{hook.id}").json()["webhook"]["disabled"] == "suspended-after-failure"
        listener.always = 200
        before = len(listener.at(path))
        put(ada, repo_id, {"a.txt": "lost"})
        drain(http)
        assert len(listener.at(path)) == before
        assert ada.enable_webhook(hook.id).disabled is False
        put(ada, repo_id, {"a.txt": "told"})
        listener.wait(path, before + 1)


def test_the_daily_quota(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """Triggers over the quota of 24 hours are lost, and counted."""
    repo_id = make_repo(ada)
    policy(http, quota=3)
    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        hook = next(w for w in ada.list_webhooks() if w.url == listener.url + path)
        for i in range(5):
            put(ada, repo_id, {"a.txt": str(i)})
        drain(http)
        assert len(listener.at(path)) == 3
        counts = http.get("/_admin/stats").json()["deliveries"][hook.id]
        assert counts["over-quota"] == 2 and counts["delivered"] == 3


def test_the_default_quota_is_1000_a_day(tmp_path: Any) -> None:
    """The number of the Hub's documentation, unless the policy changes it."""
    with LocalHub(tmp_path) as fresh_hub:
        answer = httpx.put(f"{fresh_hub.url}/_admin/webhooks/policy", json={}).json()
        assert answer["quota"] == 1000


def test_replay_goes_to_the_current_address_with_the_old_id(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """`/replay/{logId}` sends the same body and Webhook-Id with the webhook's new URL and secret."""
    repo_id = make_repo(ada)
    target = [{"type": "dataset", "name": repo_id}]
    with watching(ada, listener, target) as path:
        put(ada, repo_id, {"a.txt": "1"})
        (first,) = listener.wait(path, 1)
        drain(http)
        hook = next(w for w in ada.list_webhooks() if w.url == listener.url + path)
        (entry,) = http.get(f"/_admin/webhooks/{hook.id}/deliveries").json()
        new_path = f"/{fresh('hook')}"
        ada.update_webhook(hook.id, url=listener.url + new_path, watched=target, domains=["repo"], secret="new")
        answer = http.post(f"{HOOKS}/{hook.id}/replay/{entry['id']}")
        assert answer.json() == {"status": 200}
        (again,) = listener.wait(new_path, 1)
        assert (again.headers["webhook-id"], again.raw) == (first.headers["webhook-id"], first.raw)
        assert again.headers["x-webhook-secret"] == "new"
        assert http.post(f"{HOOKS}/{hook.id}/replay/{'0' * 24}").status_code == 404


def test_the_activity_log(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """Each delivery is logged with its event, its payload, its tries and its last answer."""
    repo_id = make_repo(ada)
    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        listener.answers.append(503)
        put(ada, repo_id, {"a.txt": "1"})
        two = listener.wait(path, 2)
        drain(http)
        hook = next(w for w in ada.list_webhooks() if w.url == listener.url + path)
        (entry,) = http.get(f"/_admin/webhooks/{hook.id}/deliveries").json()
        assert entry["webhookId"] == two[0].headers["webhook-id"]
        assert (entry["attempts"], entry["status"]) == (2, 200)
        assert entry["event"] == {"action": "update", "scope": "repo.content"}
        assert entry["payload"] == two[0].payload


def test_dropped_doubled_and_shuffled(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """The faults drop, repeat and reorder deliveries."""
    repo_id = make_repo(ada)

    def commits(path: str, count: int) -> tuple[list[str], list[str]]:
        start = len(listener.at(path))
        made = [put(ada, repo_id, {"a.txt": fresh()}).oid for _ in range(count)]
        drain(http)
        return made, [d.payload["updatedRefs"][0]["newSha"] for d in listener.at(path)[start:]]

    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        http.put("/_admin/faults/webhooks", json={"drop": 1})
        made, got = commits(path, 2)
        assert got == made[1:]
        http.put("/_admin/faults/webhooks", json={"double": 1})
        made, got = commits(path, 1)
        assert got == made * 2
        ids = [d.headers["webhook-id"] for d in listener.at(path)[-2:]]
        assert ids[0] == ids[1]
        http.put("/_admin/faults/webhooks", json={"shuffle": 8})
        made, got = commits(path, 8)
        assert sorted(got) == sorted(made) and got != made


def test_modify_without_telling(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """A change over the admin API is committed, and triggers no webhook."""
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


def test_a_listener_that_is_not_there(ada: HfApi, http: httpx.Client) -> None:
    """Without a listener the commit is made all the same, and the failure is in the log."""
    repo_id = make_repo(ada)
    policy(http, retries=1, first_wait=0.01)
    hook = http.post(HOOKS, json=body(repo_id, url="http://127.0.0.1:9/none")).json()["webhook"]
    put(ada, repo_id, {"a.txt": "1"})
    drain(http)
    (entry,) = http.get(f"/_admin/webhooks/{hook['id']}/deliveries").json()
    assert entry["status"] is None and entry["error"]


def test_deliveries_survive_a_restart(tmp_path: Any, listener: Listener) -> None:
    """Deliveries that failed before the server stopped are sent after it starts again."""
    from tests.support.localhub.hub_accounts import the_world

    path = f"/{fresh('hook')}"
    listener.always = 503
    with LocalHub(tmp_path, the_world()) as first:
        httpx.put(f"{first.url}/_admin/webhooks/policy", json={"first_wait": 0.5})
        api = HfApi(endpoint=first.url, token=TOKENS["ada"])
        repo_id = make_repo(api)
        api.create_webhook(url=listener.url + path, watched=[{"type": "dataset", "name": repo_id}], domains=["repo"])
        put(api, repo_id, {"a.txt": "1"})
        wait_until(lambda: listener.at(path), describe="a first try")
    tries = len(listener.at(path))
    listener.always = 200
    with LocalHub(tmp_path, the_world()):
        again = listener.wait(path, tries + 1, seconds=15)
    assert len({d.headers["webhook-id"] for d in again}) == 1


def test_a_webhook_that_is_deleted_under_way_stops_no_other(tmp_path: Any, listener: Listener) -> None:
    """Deliveries fail while their webhooks are deleted, once for each sending thread; the next delivery arrives."""
    from tests.support.localhub.hub_accounts import the_world

    with LocalHub(tmp_path, the_world()) as hub, Listener() as last_straw:
        hooks = hub.state.webhooks
        hooks.policy = DeliveryPolicy(retries=0)

        def delete_it(_item: Received) -> int:
            (hook,) = hooks.all()
            hooks.delete(hook)
            return 500

        last_straw._take = delete_it
        api = HfApi(endpoint=hub.url, token=TOKENS["ada"])
        repo_id = make_repo(api)
        target = [{"type": "dataset", "name": repo_id}]
        for number in range(_THREADS):
            api.create_webhook(url=f"{last_straw.url}/gone", watched=target, domains=["repo"])
            put(api, repo_id, {"a.txt": str(number)})
            wait_until(lambda: not hooks.all(), describe="the webhook to be deleted")
            assert hooks.drain(10)
        with watching(api, listener, target) as path:
            put(api, repo_id, {"a.txt": "told"})
            listener.wait(path, 1)


def test_a_failure_from_before_it_was_enabled_suspends_no_webhook(
    ada: HfApi, http: httpx.Client, hub: LocalHub
) -> None:
    """A failure counts for the webhook as it is when the delivery ends, not as it was when it began."""
    policy(http, suspend_after=3)
    hooks, owner = hub.state.webhooks, hub.state.accounts.by_name("ada")
    assert owner is not None
    watched = [{"type": "dataset", "name": make_repo(ada)}]
    begun = hooks.create(owner, url="http://127.0.0.1:9/x", watched=watched)
    for _ in range(hooks.policy.suspend_after - 1):
        begun = hooks.get(begun.id)
        hooks.store.note_outcome(begun, delivered=False, suspend_after=hooks.policy.suspend_after)
    begun = hooks.get(begun.id)
    hooks.enable(begun)
    hooks.store.note_outcome(begun, delivered=False, suspend_after=hooks.policy.suspend_after)
    assert (hooks.get(begun.id).disabled, hooks.get(begun.id).failures) == ("", 1)
