"""Rate limits, simultaneous commits, and the faults, counters and clock of the admin API."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from localhub.testing import LocalHub
from steward.testing.waiting import wait_until
from tests.support.localhub.hub_accounts import TOKENS, accounts_world, head, make_repo, put


@pytest.fixture(autouse=True)
def _no_faults_left(http: httpx.Client) -> Iterator[None]:
    """Remove all faults and restore the limits after each test."""
    before = http.get("/_admin/limits").json()
    yield
    http.delete("/_admin/faults")
    http.put("/_admin/limits", json=before)


def fault(http: httpx.Client, route: str, kind: str, **more: Any) -> None:
    """Add one fault."""
    answer = http.post("/_admin/faults", json={"route": route, "kind": kind, **more})
    assert answer.status_code == 201, answer.text


def status_of(call: Callable[[], Any]) -> int:
    """The HTTP status that a client call fails with."""
    with pytest.raises(HfHubHTTPError) as caught:
        call()
    return caught.value.response.status_code


def test_fail_the_next_calls(ada: HfApi, http: httpx.Client) -> None:
    """The next n calls of a route fail with the given status, the one after succeeds."""
    repo_id = make_repo(ada)
    fault(http, "POST /api/datasets/*/commit/*", "fail", times=2, status=503)
    for _ in range(2):
        assert status_of(lambda: put(ada, repo_id, {"a.txt": "a"})) == 503
    assert ada.list_repo_files(repo_id, repo_type="dataset") == [".gitattributes"]
    assert put(ada, repo_id, {"a.txt": "a"}).oid == head(ada, repo_id)


def test_fail_after_the_effect(ada: HfApi, http: httpx.Client) -> None:
    """With the fault `fail-after` the caller gets a 500 although the commit was made."""
    repo_id = make_repo(ada)
    before = head(ada, repo_id)
    fault(http, "POST /api/datasets/*/commit/*", "fail-after", times=1, status=500)
    assert status_of(lambda: put(ada, repo_id, {"a.txt": "a"}, commit_message="Landed")) == 500
    newest = ada.list_repo_commits(repo_id, repo_type="dataset")[0]
    assert newest.title == "Landed" and newest.commit_id != before


def test_delay_and_cut_and_hang(ada: HfApi, http: httpx.Client) -> None:
    """The faults `delay`, `cut` and `hang` delay an answer, cut the connection in its body, and send no answer."""
    repo_id = make_repo(ada)
    url = f"/api/datasets/{repo_id}"
    fault(http, "GET /api/datasets/*", "delay", times=1, seconds=0.3)
    assert http.get(url).elapsed.total_seconds() >= 0.3
    fault(http, "GET /api/datasets/*", "cut", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        http.get(url)
    fault(http, "GET /api/datasets/*", "hang", times=1)
    with pytest.raises(httpx.ReadTimeout):
        http.get(url, timeout=0.3)
    assert http.get(url).status_code == 200


def test_hang_after_the_effect(ada: HfApi, http: httpx.Client) -> None:
    """With the fault `hang-after` the comment exists although the caller got no answer."""
    repo_id = make_repo(ada)
    ada.create_discussion(repo_id, title="A question", repo_type="dataset")
    fault(http, "POST /api/datasets/*/comment", "hang-after", times=1)
    path = f"/api/datasets/{repo_id}/discussions/1/comment"
    with pytest.raises(httpx.ReadTimeout):
        http.post(path, json={"comment": "without an answer"}, timeout=0.5)
    events = ada.get_discussion_details(repo_id, 1, repo_type="dataset").events
    assert getattr(events[-1], "content", None) == "without an answer"


def test_faults_can_be_read_and_removed(http: httpx.Client) -> None:
    """A fault can be read and removed by its id; an unknown kind of fault is 400."""
    rule = http.post("/_admin/faults", json={"route": "GET /api/nothing/*", "kind": "fail"}).json()
    assert rule["id"] in [r["id"] for r in http.get("/_admin/faults").json()["rules"]]
    assert http.delete(f"/_admin/faults/{rule['id']}").status_code in (200, 204)
    assert http.get("/_admin/faults").json()["rules"] == []
    assert http.post("/_admin/faults", json={"route": "x", "kind": "explode"}).status_code == 400


def test_faults_from_python(hub: LocalHub, ada: HfApi) -> None:
    """A test can set faults from Python, without HTTP, and commit without triggering webhooks."""
    repo_id = make_repo(ada)
    hub.state.faults.fail("POST /api/datasets/*/commit/*", times=1, status=429)
    assert status_of(lambda: put(ada, repo_id, {"a.txt": "a"})) == 429
    with hub.state.faults.silence():
        put(ada, repo_id, {"a.txt": "a"})
    assert "a.txt" in ada.list_repo_files(repo_id, repo_type="dataset")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A server with the rate limits of the Hub, by `limits: hub` in its world."""
    with LocalHub(tmp_path_factory.mktemp("strict"), {**accounts_world(), "limits": "hub"}) as running:
        yield running


def as_user(hub: LocalHub, name: str | None) -> dict[str, str]:
    """The headers of an account, or of an anonymous caller."""
    return {"Authorization": f"Bearer {TOKENS[name]}"} if name else {}


def test_every_answer_has_rate_limit_headers(strict: LocalHub) -> None:
    """`RateLimit` and `RateLimit-Policy` have the form that the client parses, with a limit for each kind of route."""
    from huggingface_hub.utils._http import parse_ratelimit_headers

    repo_id = make_repo(HfApi(endpoint=strict.url, token=TOKENS["ada"]))

    def ask(path: str) -> Any:
        return parse_ratelimit_headers(httpx.get(strict.url + path, headers=as_user(strict, "ada")).headers)

    first, second = ask(f"/api/datasets/{repo_id}"), ask(f"/api/datasets/{repo_id}")
    assert (first.resource_type, first.limit, first.window_seconds) == ("api", 1000, 300)
    assert second.remaining == first.remaining - 1 and 0 <= first.reset_in_seconds <= 300
    resolve = ask(f"/datasets/{repo_id}/resolve/main/.gitattributes")
    assert (resolve.resource_type, resolve.limit) == ("resolvers", 5000)
    page = ask(f"/datasets/{repo_id}")
    assert (page.resource_type, page.limit) == ("pages", 200)


def test_anonymous_people_have_a_smaller_allowance(strict: LocalHub) -> None:
    """Anonymous callers may make 500 API calls in five minutes."""
    headers = httpx.get(f"{strict.url}/api/users/ada/overview").headers
    assert headers["RateLimit-Policy"] == '"fixed window";"api";q=500;w=300'


def test_more_than_the_allowance_is_429(strict: LocalHub) -> None:
    """An account over its limit gets 429 with `r=0` until the next window; other accounts are not affected."""
    strict.state.clock.advance(301)
    url = f"{strict.url}/api/users/ada/overview"
    with httpx.Client(headers=as_user(strict, "cleo")) as client:
        answers = [client.get(url) for _ in range(1001)]
        assert {a.status_code for a in answers[:1000]} == {200}
        last = answers[-1]
        assert last.status_code == 429 and last.json()["error"]
        assert last.headers["RateLimit"].startswith('"api";r=0;t=')
        assert httpx.get(url, headers=as_user(strict, "bob")).status_code == 200
        strict.state.clock.advance(301)
        assert client.get(url).status_code == 200


@pytest.mark.long("a second of a processor")
def test_128_commits_an_hour(strict: LocalHub) -> None:
    """The 129th commit to a repo in an hour is 429 with the message of the Hub, and without Retry-After."""
    strict.state.clock.advance(301)
    api = HfApi(endpoint=strict.url, token=TOKENS["ada"])
    repo_id, other = make_repo(api), make_repo(api)
    url = f"{strict.url}/api/datasets/{repo_id}/commit/main"
    commits = 0
    with httpx.Client(headers=as_user(strict, "ada")) as client:
        for i in range(129):
            body = (
                '{"key":"header","value":{"summary":"s","description":""}}\n'
                f'{{"key":"file","value":{{"path":"a.txt","content":"{i}","encoding":"utf-8"}}}}\n'
            )
            last = client.post(url, content=body.encode())
            if last.status_code != 200:
                break
            commits += 1
    assert last.status_code == 429 and commits in (127, 128)  # whether the initial commit counts is not known
    assert last.json()["error"] == (
        "You have exceeded the rate limit for repository commits (128 per hour). "
        "You can retry this action in about 1 hour."
    )
    assert "Retry-After" not in last.headers and ";r=0;" not in last.headers["RateLimit"]
    put(api, other, {"a.txt": "a"})
    strict.state.clock.advance(3601)
    put(api, repo_id, {"a.txt": "an hour later"})


def test_simultaneous_commits_are_409(ada: HfApi, http: httpx.Client) -> None:
    """With `simultaneous: refuse`, a commit during another one is refused with the Hub's message."""
    assert http.put("/_admin/limits", json={"simultaneous": "refuse"}).status_code == 200
    repo_id = make_repo(ada)
    errors: list[HfHubHTTPError] = []
    commits: list[str] = []

    def commit(name: str) -> None:
        try:
            commits.append(put(ada, repo_id, {f"{name}.txt": name * 100_000}).oid)
        except HfHubHTTPError as error:
            errors.append(error)

    for turn in range(20):
        threads = [threading.Thread(target=commit, args=(f"{turn}-{i}",)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            break
    assert commits and errors
    assert {e.response.status_code for e in errors} == {409}
    assert errors[0].server_message == (
        "Another commit operation is in progress for this repository. Please try again later."
    )
    assert set(commits) <= {c.commit_id for c in ada.list_repo_commits(repo_id, repo_type="dataset")}


def test_knobs_of_the_limits(http: httpx.Client) -> None:
    """A limit can be set to another number; an unknown limit is 400."""
    assert http.put("/_admin/limits", json={"commits_per_hour": 256}).status_code == 200
    assert http.get("/_admin/limits").json()["commits_per_hour"] == 256
    assert http.put("/_admin/limits", json={"speed_of_light": 1}).status_code == 400


def test_counters(ada: HfApi, bob: HfApi, http: httpx.Client) -> None:
    """The server counts calls by method, route, account and status, and commits by repo, until it is reset."""
    repo_id = make_repo(ada)
    http.post("/_admin/stats/reset")
    put(ada, repo_id, {"a.txt": "a"})
    put(ada, repo_id, {"b.txt": "b"})
    bob.dataset_info(repo_id)
    with pytest.raises(HfHubHTTPError):
        bob.dataset_info("ada/none")
    stats = http.get("/_admin/stats").json()
    assert stats["commits"] == {f"datasets/{repo_id}": 2}
    calls = stats["calls"]
    commits = [c for c in calls if c["method"] == "POST" and "/commit/" in c["route"]]
    assert [(c["account"], c["status"], c["count"]) for c in commits] == [("ada", 200, 2)]
    assert ("bob", 200) in [(c["account"], c["status"]) for c in calls if c["method"] == "GET"]
    assert ("bob", 404) in [(c["account"], c["status"]) for c in calls if c["method"] == "GET"]
    assert repo_id not in {c["route"] for c in calls}
    assert sum(c["count"] for c in calls) == stats["total"]
    http.post("/_admin/stats/reset")
    assert http.get("/_admin/stats").json()["calls"] == []


def test_webhook_counters(ada: HfApi, http: httpx.Client) -> None:
    """Deliveries are counted per webhook."""
    repo_id = make_repo(ada)
    hook = ada.create_webhook(
        url="http://127.0.0.1:9/x", watched=[{"type": "dataset", "name": repo_id}], domains=["repo"]
    )
    http.post("/_admin/stats/reset")
    put(ada, repo_id, {"a.txt": "a"})
    wait_until(
        lambda: http.get("/_admin/stats").json()["deliveries"].get(hook.id, {}).get("attempted"), describe="a try"
    )
    ada.delete_webhook(hook.id)


def test_the_clock_can_be_advanced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With STEWARD_CLOCK a test can advance the clock by months; dates of commits, threads and repos follow it."""
    monkeypatch.setenv("STEWARD_CLOCK", "1700000000,1")
    with LocalHub(tmp_path, accounts_world()) as played:
        api = HfApi(endpoint=played.url, token=TOKENS["ada"])
        repo_id = make_repo(api)
        thread = api.create_discussion(repo_id, title="A question", repo_type="dataset")
        played.state.clock.advance(90 * 86400)
        later = put(api, repo_id, {"a.txt": "a"})
        info = api.dataset_info(repo_id)
        commit = api.list_repo_commits(repo_id, repo_type="dataset")[0]
        assert info.created_at is not None and info.last_modified is not None
        assert abs(info.created_at.timestamp() - 1_700_000_000) < 60
        assert abs(thread.created_at.timestamp() - 1_700_000_000) < 60
        assert commit.commit_id == later.oid
        assert abs(commit.created_at.timestamp() - (1_700_000_000 + 90 * 86400)) < 60
        assert abs(info.last_modified.timestamp() - commit.created_at.timestamp()) < 2


def test_deleted_accounts_leave_their_threads(ada: HfApi, http: httpx.Client) -> None:
    """The threads of a deleted account stay, and the client shows their author as 'deleted'."""
    dan = HfApi(endpoint=ada.endpoint, token=TOKENS["dan"])
    repo_id = make_repo(ada)
    dan.create_discussion(repo_id, title="A question", description="Still here", repo_type="dataset")
    assert http.delete("/_admin/accounts/dan").status_code in (200, 204)
    thread = ada.get_discussion_details(repo_id, 1, repo_type="dataset")
    assert thread.author == "deleted" and thread.events[0].author == "deleted"
    assert getattr(thread.events[0], "content", None) == "Still here"
    raw = http.get(f"/api/datasets/{repo_id}/discussions").json()["discussions"][0]
    assert "author" not in raw
    assert status_of(dan.whoami) == 401
