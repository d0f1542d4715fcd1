"""One call over real HTTP: limits, redirects, broken connections, and which calls are repeated."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import socket
import time

import pytest

from hub import accounts
from hub.client import Hub
from hub.errors import BadRequest, Busy, Garbled, NotFound, RateLimited, TooLarge, Transient, Unreachable
from hub.records import Repo, WriteFile
from tests.support.hub.scripted_server import QUICK, Reply, Script, file_headers

REPO = Repo("dataset", "board/requests")
WHO = Reply(body={"id": "b" * 24, "name": "bot"})
ENDLESS = Reply(body=itertools.repeat(b"x" * 65536), headers=file_headers(b"x"))


def listing(path: str, size: int) -> Reply:
    """The Hub's listing of one file."""
    return Reply(body=[{"type": "file", "path": path, "oid": "d" * 40, "size": size}])


def test_a_read_is_repeated_until_the_hub_is_well_again(script: Script, scripted: Hub) -> None:
    """After server errors and a cut connection the client repeats a read until it succeeds."""
    script.say(Reply(500), Reply(cut=True), Reply(503), WHO)
    assert scripted.whoami().name == "bot"
    assert len(script.asked) == 4


def test_a_read_gives_up_after_its_tries(script: Script, scripted: Hub) -> None:
    """A Hub that stays down ends in an error that says so."""
    script.say(Reply(500, {"error": "on fire"}))
    with pytest.raises(Transient, match="on fire"):
        scripted.whoami()
    assert len(script.asked) == QUICK.attempts


def test_a_read_that_is_answered_with_404_is_not_repeated(script: Script, scripted: Hub) -> None:
    """A 404 raises NotFound after a single request."""
    script.say(Reply(404, {"error": "gone"}))
    with pytest.raises(NotFound):
        scripted.thread(REPO, 7)
    assert len(script.asked) == 1


def test_a_hanging_hub_does_not_hang_the_caller(script: Script) -> None:
    """A call to a Hub that does not answer ends in an error after its timeout."""
    script.say(Reply(hang=True))
    started = time.monotonic()
    with Hub(script.url, None, timeout=0.1, retries=QUICK) as hub, pytest.raises(Transient):
        hub.whoami()
    assert time.monotonic() - started < 5


def test_a_hub_that_drips_is_cut_off(script: Script) -> None:
    """A response that sends single bytes slowly does not block the caller forever."""

    def drip() -> object:
        while True:
            time.sleep(0.02)
            yield b"x"

    script.say(Reply(body=drip()))
    with Hub(script.url, None, timeout=0.1, retries=QUICK) as hub, pytest.raises(Transient, match="too long"):
        hub.session.send("GET", "/slow", route="slow")


def test_a_short_rate_limit_is_slept_out_and_a_long_one_is_told(script: Script, scripted: Hub) -> None:
    """After a 429 the client waits for a short time by itself, and raises RateLimited for a wait of minutes."""
    script.say(Reply(429, headers={"Retry-After": "0"}), WHO)
    assert scripted.whoami().name == "bot"
    script.say(Reply(429, headers={"RateLimit": '"api";r=0;t=240'}))
    with pytest.raises(RateLimited) as caught:
        scripted.whoami()
    assert (caught.value.seconds, len(script.asked)) == (241.0, 1)


def test_the_hubs_quota_is_noted_from_every_answer(script: Script, scripted: Hub) -> None:
    """The client records the remaining quota from the headers of successful responses, so before a 429."""
    script.say(Reply(body=WHO.body, headers={"RateLimit": '"api";r=17;t=240'}))
    scripted.whoami()
    assert scripted.session.limits["api"].remaining == 17


def test_a_quota_counts_from_the_answer_that_told_it(script: Script, scripted: Hub) -> None:
    """A recorded quota has the time of its response, so that an old one does not count as the present one."""
    before = time.monotonic()
    script.say(Reply(body=WHO.body, headers={"RateLimit": '"api";r=17;t=240'}))
    scripted.whoami()
    at = scripted.session.limits["api"].at
    assert at is not None and before <= at <= time.monotonic()


def test_a_failed_connection_is_told_apart_from_a_lost_answer(scripted: Hub) -> None:
    """If no connection is made, Unreachable says so: the call had no effect and may be repeated."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with Hub(f"http://127.0.0.1:{port}", None, retries=QUICK) as hub, pytest.raises(Unreachable):
        hub.whoami()


def test_a_commit_without_parent_is_sent_once(script: Script, scripted: Hub) -> None:
    """A commit without a parent that fails is not sent again, because a retry could duplicate it."""
    script.say(Reply(body={"files": [{"path": "a", "uploadMode": "regular"}]}), Reply(500))
    with pytest.raises(Transient):
        scripted.commit(REPO, [WriteFile("a", b"1")], "Add a")
    assert [asked.path.split("/")[-2] for asked in script.asked] == ["preupload", "commit"]


def test_a_commit_without_parent_is_repeated_after_answers_that_prove_it_had_no_effect(
    script: Script, scripted: Hub
) -> None:
    """A commit without a parent is sent again after 409 and 429, by which the Hub says that it changed nothing."""
    committed = Reply(body={"commitOid": "c" * 40, "commitUrl": "u"})
    busy = Reply(409, {"error": "Another commit operation is in progress for this repository."})
    script.say(Reply(body={"files": []}), busy, Reply(429, headers={"Retry-After": "0"}), committed)
    assert scripted.commit(REPO, [WriteFile("a", b"1")], "Add a").oid == "c" * 40


def test_a_repo_that_stays_busy_is_an_error(script: Script, scripted: Hub) -> None:
    """If the Hub stays busy with a repo, its creation raises Busy after a bounded number of tries."""
    script.say(Reply(409, {"error": "Cannot create repo: another conflicting operation is in progress"}))
    with pytest.raises(Busy):
        scripted.create_repo(REPO)
    assert len(script.asked) == QUICK.attempts


def test_an_answer_that_is_not_json_is_garbled(script: Script, scripted: Hub) -> None:
    """An answer with status 200 that is not JSON, such as a proxy's page, raises Garbled."""
    script.say(Reply(body=b"<html>"))
    with pytest.raises(Garbled):
        scripted.whoami()


def test_a_file_that_says_it_is_too_large_is_not_read(script: Script, scripted: Hub) -> None:
    """A file that is larger than the caller accepts, by its header and by the Hub's listing, raises TooLarge."""
    whole = Reply(body=b"x" * 5000, headers=file_headers(b"x" * 5000))
    script.say(whole, listing("big.json", 5000), whole)
    with pytest.raises(TooLarge, match="5,000"):
        scripted.read_file(REPO, "big.json", max_bytes=4999)
    assert scripted.read_file(REPO, "big.json", max_bytes=5000).data == b"x" * 5000


def test_a_file_of_unknown_length_is_read_up_to_the_bound_only(script: Script, scripted: Hub) -> None:
    """A file without a length in its header raises TooLarge once the limit is reached."""
    script.say(ENDLESS, listing("endless.json", 10**9))
    with pytest.raises(TooLarge):
        scripted.read_file(REPO, "endless.json", max_bytes=1_000_000)
    assert len(script.asked) == 2


def test_a_file_that_only_seems_too_large_is_the_hubs_trouble(script: Script, scripted: Hub) -> None:
    """An answer that is larger than the limit raises Garbled, and not TooLarge, if the Hub's listing disagrees."""
    for listed in (listing("a.json", 10), Reply(body=[])):
        script.say(Reply(body=b"x" * 5000, headers=file_headers(b"x" * 10)), listed)
        with pytest.raises(Garbled, match="than it lists"):
            scripted.read_file(REPO, "a.json", max_bytes=100)


def test_a_write_follows_a_renamed_repo_with_method_and_body(script: Script, scripted: Hub) -> None:
    """After a 307 the client sends the same method, body and token to the new address."""
    moved = Reply(307, headers={"Location": "/api/datasets/board/renamed/discussions/1/comment/abc/edit"})
    script.say(moved, Reply(body={"updatedComment": {}}))
    scripted.edit_comment(REPO, 1, "abc", "text")
    first, second = script.asked
    assert (second.method, second.body) == (first.method, first.body)
    assert "renamed" in second.path
    assert second.headers["authorization"] == "Bearer hf_secret"


def test_a_redirect_that_would_turn_a_write_into_a_read_is_an_error(script: Script, scripted: Hub) -> None:
    """A 301 for a write raises BadRequest, because following it as browsers do would look like a success."""
    script.say(Reply(301, headers={"Location": "/elsewhere"}))
    with pytest.raises(BadRequest, match="301"):
        scripted.edit_comment(REPO, 1, "abc", "text")
    assert len(script.asked) == 1


def test_a_circle_of_redirects_ends(script: Script, scripted: Hub) -> None:
    """A redirect that never ends raises Transient."""
    script.say(Reply(307, headers={"Location": "/api/whoami-v2"}))
    with pytest.raises(Transient, match="too many times"):
        scripted.session.send("GET", "/api/whoami-v2", route="whoami")


def test_the_token_does_not_leave_the_hub(script: Script, scripted: Hub) -> None:
    """The client follows a redirect to another host without its token, and takes the commit from the first answer."""
    other = Script()
    other.say(Reply(body=b"data", headers={"ETag": '"of-the-store"'}))
    sha = hashlib.sha256(b"data").hexdigest()
    headers = {"Location": f"{other.url}/store", "X-Repo-Commit": "c" * 40, "X-Linked-Etag": f'"{sha}"'}
    script.say(Reply(302, headers=headers))
    file = scripted.read_file(REPO, "a.bin")
    other.close()
    assert (file.data, file.oid, file.commit) == (b"data", sha, "c" * 40)
    assert "authorization" in script.asked[0].headers
    assert "authorization" not in other.asked[0].headers


@pytest.mark.parametrize("path", ["", "/etc/passwd", "a/../b", "./a", "a//b", "a/", "a\0b"])
def test_a_path_that_leads_out_of_the_repo_is_not_asked_for(script: Script, scripted: Hub, path: str) -> None:
    """A path that is empty, absolute or not canonical raises BadRequest before any call."""
    script.say(Reply(body=b"secret"))
    with pytest.raises(BadRequest):
        scripted.read_file(REPO, path)
    assert script.asked == []


def test_odd_characters_in_paths_arrive_as_they_are(script: Script, scripted: Hub) -> None:
    """The client escapes spaces, `?`, `#` and `%` in paths and revisions, so that they stay part of the name."""
    script.say(Reply(body=b"x", headers=file_headers(b"x")))
    scripted.read_file(REPO, "a b/c?d#e%41.json", "refs/pr/3")
    assert script.asked[0].path == "/datasets/board/requests/resolve/refs%2Fpr%2F3/a%20b/c%3Fd%23e%2541.json"


def test_every_request_is_counted_also_the_repeated_ones(script: Script) -> None:
    """`on_call` is called for each request, also for repeated and redirected ones."""
    calls: list[tuple[str, str]] = []
    script.say(Reply(500), Reply(307, headers={"Location": "/api/whoami-v2"}), WHO)
    with Hub(script.url, None, retries=QUICK, on_call=lambda *call: calls.append(call)) as hub:
        hub.whoami()
    assert calls == [("GET", "whoami")] * 3
    assert "authorization" not in script.asked[0].headers


def test_a_forked_child_opens_connections_of_its_own(script: Script, scripted: Hub) -> None:
    """After a fork the child opens its own connection, because a shared socket would mix up the processes' answers."""
    script.say(WHO)
    scripted.whoami()
    before = scripted.session._client
    if (child := os.fork()) == 0:
        os._exit(0 if scripted.session._connection() is not before else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert scripted.session._client is before


def test_a_thread_that_moved_to_the_next_page_is_listed_once(script: Script, scripted: Hub) -> None:
    """If a new thread during the listing moves another one to the next page, the other one is listed once."""

    def page(start: int, *nums: int) -> Reply:
        items = [{"num": num, "title": "T", "status": "open", "createdAt": "2026-11-24T12:00:00.000Z"} for num in nums]
        return Reply(body={"discussions": items, "start": start, "count": 5})

    script.say(page(0, 4, 3), page(2, 3, 2), page(4, 1))
    assert [summary.num for summary in scripted.threads(REPO)] == [4, 3, 2, 1]


def test_a_list_whose_count_is_wrong_ends(script: Script, scripted: Hub) -> None:
    """A listing ends at an empty page, even if the reported count is higher."""
    script.say(Reply(body={"discussions": [], "start": 0, "count": 99}))
    assert list(scripted.threads(REPO)) == []


def test_large_files_are_uploaded_to_the_store_without_our_token(script: Script, scripted: Hub) -> None:
    """A large file is uploaded to the URL that the Hub names, without the token; then the Hub is notified."""
    store = Script()
    store.say(Reply(body=b""))
    upload = {"href": f"{store.url}/bucket/key", "header": {"X-Signed": "yes"}}
    verify = {"href": f"{script.url}/verify"}
    oid = hashlib.sha256(b"large").hexdigest()
    script.say(
        Reply(body={"files": [{"path": path, "uploadMode": "lfs"} for path in ("t.parquet", "empty.parquet")]}),
        Reply(body={"objects": [{"oid": oid, "size": 5, "actions": {"upload": upload, "verify": verify}}]}),
        Reply(body=b""),
        Reply(body={"commitOid": "c" * 40, "commitUrl": "u"}),
    )
    scripted.commit(REPO, [WriteFile("t.parquet", b"large"), WriteFile("empty.parquet", b"")], "Add a table")
    store.close()
    (put,) = store.asked
    assert (put.method, put.body, put.headers["x-signed"]) == ("PUT", b"large", "yes")
    assert "authorization" not in put.headers
    assert [asked.path.split("/")[-1] for asked in script.asked] == ["main", "batch", "verify", "main"]
    assert json.loads(script.asked[2].body) == {"oid": oid, "size": 5}
    keys = [json.loads(line)["key"] for line in script.asked[3].body.splitlines()]
    assert keys == ["header", "lfsFile", "file"]  # LFS stores take no empty object


def test_a_large_file_that_the_store_refuses_is_an_error(script: Script, scripted: Hub) -> None:
    """If the store refuses one object, the commit raises BadRequest with the store's message."""
    script.say(
        Reply(body={"files": [{"path": "t.parquet", "uploadMode": "lfs"}]}),
        Reply(body={"objects": [{"oid": "x", "error": {"code": 422, "message": "no room left"}}]}),
    )
    with pytest.raises(BadRequest, match="no room left"):
        scripted.commit(REPO, [WriteFile("t.parquet", b"large")], "Add a table")


def test_our_own_name_is_read_anew_after_a_while(
    script: Script, scripted: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while the client asks for its account's name again, so that it notices a rename."""
    script.say(WHO, Reply(body={"id": "b" * 24, "name": "renamed"}))
    assert [scripted.me().name, scripted.me().name] == ["bot", "bot"]
    monkeypatch.setattr(accounts, "NAME_SECONDS", -1.0)
    assert scripted.me().name == "renamed"


def test_a_hub_without_ranges_is_not_read_to_its_end(script: Script, scripted: Hub) -> None:
    """If the server sends the whole file instead of its start, only the start is read; a middle part is refused."""
    script.say(Reply(body=iter([b"x" * 4096] * 50_000), headers=file_headers(b"")))
    assert scripted.read_range(Repo("model", "ada/m"), "w", "main", 0, 1000) == b"x" * 1000
    assert script.sent < 50_000_000
    script.say(Reply(body=b"x" * 5000, headers=file_headers(b"x" * 5000)))
    with pytest.raises(BadRequest, match="all of it"):
        scripted.read_range(Repo("model", "ada/m"), "w", "main", 1000, 2000)


def test_a_range_is_read_from_the_store_without_our_token(script: Script, scripted: Hub) -> None:
    """A redirect to another host is followed with the range and without the token, whatever the file's size."""
    elsewhere = f"http://localhost:{script.url.rpartition(':')[2]}/store"
    first = {"Location": elsewhere, "x-linked-size": str(10**12), "x-linked-etag": "d" * 64}
    first["x-repo-commit"] = "c" * 40
    script.say(
        Reply(302, headers=first), Reply(206, body=b"part of a file", headers={"Content-Range": f"bytes 0-13/{10**12}"})
    )
    assert scripted.read_range(Repo("model", "ada/m"), "w", "main", 0, 14) == b"part of a file"
    assert "authorization" in script.asked[0].headers
    assert "authorization" not in script.asked[1].headers
    assert script.asked[1].headers["range"] == "bytes=0-13"


def test_a_saved_file_holds_the_good_answer_alone(script: Script, scripted: Hub) -> None:
    """A saved file has only the bytes of the successful response, not those of a failed one before it."""
    good = Reply(body=b"words", headers=file_headers(b"words"))
    script.say(Reply(503, body=b"a long page about a bad gateway"), good)
    saved = io.BytesIO()
    scripted.save_file(Repo("model", "ada/m"), "w", "main", saved, max_bytes=100)
    assert saved.getvalue() == b"words"
