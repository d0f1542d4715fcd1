"""How webhook deliveries are sent, retried, counted, logged and replayed."""

import itertools
from typing import Any

import httpx
import pytest
from huggingface_hub import HfApi

from localhub.testing import LocalHub
from localhub.webhooks.deliveries import _THREADS, DeliveryPolicy
from steward.testing.waiting import wait_until
from tests.support.localhub.hub_accounts import (
    HOOKS,
    TOKENS,
    Listener,
    Received,
    accounts_world,
    drain,
    fresh,
    make_repo,
    put,
    set_policy,
    watching,
)

pytestmark = pytest.mark.usefixtures("quick_deliveries")


def test_delivery_is_asynchronous(ada: HfApi, http: httpx.Client, listener: Listener) -> None:
    """A commit does not wait for its webhook delivery, which is delayed."""
    repo_id = make_repo(ada)
    http.put("/_admin/faults/webhooks", json={"delay": 1, "seconds": 1.0})
    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        put(ada, repo_id, {"a.txt": "1"})
        assert listener.at(path) == []
        listener.wait(path, 1)


def test_failed_deliveries_are_retried_with_backoff_and_the_same_id(
    ada: HfApi, http: httpx.Client, listener: Listener
) -> None:
    """After a 500, 404 or 302 the server retries with the same Webhook-Id and body, after growing waits."""
    repo_id = make_repo(ada)
    set_policy(http, retries=4, first_wait=0.1)
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
    """After repeated failures a webhook is "suspended-after-failure" until its owner enables it again."""
    repo_id = make_repo(ada)
    set_policy(http, retries=1, first_wait=0.01, suspend_after=2)
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
    """Events over the daily quota are not delivered, and counted as over-quota."""
    repo_id = make_repo(ada)
    set_policy(http, quota=3)
    with watching(ada, listener, [{"type": "dataset", "name": repo_id}]) as path:
        hook = next(w for w in ada.list_webhooks() if w.url == listener.url + path)
        for i in range(5):
            put(ada, repo_id, {"a.txt": str(i)})
        drain(http)
        assert len(listener.at(path)) == 3
        counts = http.get("/_admin/stats").json()["deliveries"][hook.id]
        assert counts["over-quota"] == 2 and counts["delivered"] == 3


def test_the_default_quota_is_1000_a_day(tmp_path: Any) -> None:
    """A webhook without another policy delivers at most 1,000 events a day, as the Hub documents."""
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


def test_a_delivery_without_a_listener_fails_and_is_logged(ada: HfApi, http: httpx.Client) -> None:
    """Without a listener the commit is made all the same, and the failure is in the log."""
    repo_id = make_repo(ada)
    set_policy(http, retries=1, first_wait=0.01)
    watched = [{"type": "dataset", "name": repo_id}]
    hook = ada.create_webhook(url="http://127.0.0.1:9/none", watched=watched, domains=["repo"])
    put(ada, repo_id, {"a.txt": "1"})
    drain(http)
    (entry,) = http.get(f"/_admin/webhooks/{hook.id}/deliveries").json()
    assert entry["status"] is None and entry["error"]


def test_failed_deliveries_are_sent_after_a_restart(tmp_path: Any, listener: Listener) -> None:
    """Deliveries that failed before the server stopped are sent after it starts again."""
    path = f"/{fresh('hook')}"
    listener.always = 503
    with LocalHub(tmp_path, accounts_world()) as first:
        httpx.put(f"{first.url}/_admin/webhooks/policy", json={"first_wait": 0.5})
        api = HfApi(endpoint=first.url, token=TOKENS["ada"])
        repo_id = make_repo(api)
        api.create_webhook(url=listener.url + path, watched=[{"type": "dataset", "name": repo_id}], domains=["repo"])
        put(api, repo_id, {"a.txt": "1"})
        wait_until(lambda: listener.at(path), describe="a first try")
    tries = len(listener.at(path))
    listener.always = 200
    with LocalHub(tmp_path, accounts_world()):
        again = listener.wait(path, tries + 1, seconds=15)
    assert len({d.headers["webhook-id"] for d in again}) == 1


def test_a_webhook_deleted_during_its_delivery_stops_no_other(tmp_path: Any, listener: Listener) -> None:
    """Each sending thread has a failed delivery whose webhook was deleted meanwhile; later deliveries still arrive."""
    with LocalHub(tmp_path, accounts_world()) as hub, Listener() as last_straw:
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


def test_a_failure_from_before_enabling_suspends_no_webhook(ada: HfApi, http: httpx.Client, hub: LocalHub) -> None:
    """A delivery that began before its webhook was enabled again counts as the first failure since then."""
    set_policy(http, suspend_after=3)
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
