"""The bot's local clones of repos: safe folders, no token on disk, concurrent fetches, replaced clones."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pygit2
import pytest

from bot.core.mirrors import mirror as mirrors
from bot.core.mirrors.folder import MirrorDamaged, UnusableFolder
from bot.core.mirrors.mirror import Mirror
from hub.client import Hub
from hub.errors import BadToken, HubError, RepoNotFound, RevisionNotFound, Transient, Unreachable
from hub.records import DeleteFile, Repo, WriteFile
from hub.retries import Retries
from localhub.testing import HubWorld, LocalHub
from steward.testing.waiting import wait_until

TOKEN = "hf_mirror"
REPO = Repo("dataset", "board/private")
ONCE = Retries(attempts=1)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A Hub with a private repo."""
    files = {"a/x.json": "1", "b/y.json": "2"}
    world = HubWorld().user("bot", TOKEN).org("board", {"bot": "admin"}).repo("dataset", REPO.id, files, private=True)
    with LocalHub(tmp_path_factory.mktemp("hub"), world) as hub:
        yield hub


@pytest.fixture
def hub(local: LocalHub) -> Iterator[Hub]:
    """The bot's client."""
    local.state.stats.reset()
    with Hub(local.url, TOKEN, retries=ONCE) as client:
        yield client


@pytest.fixture
def mirror(hub: Hub, tmp_path: Path) -> Mirror:
    """A mirror that holds nothing yet."""
    return Mirror(hub, tmp_path / "mirrors")


def commit(hub: Hub, path: str, data: bytes | None) -> str:
    """Write or delete a file in one commit, and return the commit's id."""
    change = DeleteFile(path) if data is None else WriteFile(path, data)
    return hub.commit(REPO, [change], "Change", parent=hub.head(REPO)).oid


def test_what_changed_since_a_commit_is_read_without_a_call(mirror: Mirror, hub: Hub, local: LocalHub) -> None:
    """After a fetch the mirror gives differences, parents and contents without a call; an unknown commit raises."""
    first = mirror.fetch(REPO, depth=1)
    second, third = commit(hub, "a/x.json", b"3"), commit(hub, "b/y.json", None)
    local.state.stats.reset()
    assert mirror.fetch(REPO, depth=0) == third
    wait_until(lambda: [call for call in local.state.stats.read()["calls"] if "upload-pack" in call["route"]])
    local.state.stats.reset()
    with mirror.read(REPO) as view:
        assert [(change.path, change.oid is None) for change in view.changed(first, third)] == [
            ("a/x.json", False),
            ("b/y.json", True),
        ]
        assert [change.path for change in view.changed(second, third)] == ["b/y.json"]
        assert (view.parent(third), view.parent(second)) == (second, first)
        (changed,) = view.changed(first, second)
        assert changed.oid is not None
        assert view.blob(changed.oid, max_bytes=1) == b"3"
        assert view.blob(changed.oid, max_bytes=0) is None
        assert not view.has("0" * 40)
        with pytest.raises(MirrorDamaged):
            list(view.files("0" * 40))
        with pytest.raises(MirrorDamaged):
            view.blob("0" * 40, max_bytes=1)
    assert local.state.stats.read()["total"] == 0


def test_a_fetch_costs_few_calls_and_the_token_goes_with_the_first(mirror: Mirror, local: LocalHub) -> None:
    """A first fetch of a private repo takes at most four calls, a fetch without news one, and none is answered 401."""
    mirror.fetch(REPO, depth=1)
    for _ in range(5):
        mirror.fetch(REPO, depth=0)
    calls = local.state.stats.read()
    assert calls["total"] <= 4 + 5
    assert {call["status"] for call in calls["calls"]} == {200}


def test_the_token_is_nowhere_on_disk(mirror: Mirror, tmp_path: Path) -> None:
    """No file of a clone contains the token, plain or encoded, and neither does the printed address."""
    mirror.fetch(REPO, depth=1)
    address = mirror._hub.session.git(REPO)
    secrets = (TOKEN.encode(), address.headers[0].rpartition(" ")[2].encode())
    for file in (tmp_path / "mirrors").rglob("*"):
        if file.is_file():
            assert not any(secret in file.read_bytes() for secret in secrets), file
    assert TOKEN not in repr(address)
    assert "Basic" not in repr(address)


def test_a_folder_that_others_can_write_to_is_refused(hub: Hub, tmp_path: Path) -> None:
    """A folder that other accounts can write to, or a link to one, is an error: commits in it may not be the Hub's."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    for name in ("open", "link"):
        with pytest.raises(UnusableFolder, match=name):
            Mirror(hub, tmp_path / name).fetch(REPO, depth=1)
    Mirror(hub, tmp_path / "own").fetch(REPO, depth=1)
    assert (tmp_path / "own").stat().st_mode & 0o077 == 0


def test_a_full_disk_is_not_the_hubs_fault(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is reported with its folder, and does not count as an outage of the Hub."""
    mirror = Mirror(hub, tmp_path / "mirrors")

    def full(*_words: object, **_names: object) -> None:
        raise pygit2.GitError(f"cannot extend packfile 'x': {os.strerror(errno.ENOSPC)}")

    for where, what in (("pygit2.init_repository", full), ("pygit2.remotes.Remote.fetch", full)):
        with monkeypatch.context() as broken:
            broken.setattr(where, what)
            with pytest.raises(UnusableFolder, match=r"Free space in .*mirrors"):
                mirror.fetch(REPO, depth=1)
    (tmp_path / "file").touch()
    with pytest.raises(UnusableFolder):
        Mirror(hub, tmp_path / "file" / "below").fetch(REPO, depth=1)
    assert mirror.fetch(REPO, depth=1)


def test_what_a_killed_process_left_is_swept_away(mirror: Mirror, hub: Hub, tmp_path: Path) -> None:
    """A fetch removes Git's lock files and the partial pack of a killed process, and succeeds."""
    mirror.fetch(REPO, depth=1)
    (clone,) = (tmp_path / "mirrors").glob("*/dataset--board--private")
    leftovers = [clone / "refs/heads/main.lock", clone / "shallow.lock", clone / "objects/pack/pack_git2_abc"]
    for file in leftovers:
        file.write_bytes(b"")
    newest = commit(hub, "a/x.json", b"after the kill")
    assert mirror.fetch(REPO, depth=0) == newest
    assert not any(file.exists() for file in leftovers)


def test_many_packs_are_put_together_while_others_read(
    mirror: Mirror, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mirror replaces a clone that has gathered too many packs by a fresh one, and no other clone."""
    monkeypatch.setattr(mirrors, "MAX_PACKS", 3)
    for number in range(4):
        assert not mirror.tidy(REPO)
        newest = commit(hub, "a/x.json", b"%d" % number)
        mirror.fetch(REPO, depth=0)
    assert mirror.tidy(REPO)
    assert len(list((tmp_path / "mirrors").rglob("*.pack"))) == 1
    with mirror.read(REPO) as view:
        assert view.has(newest)
    assert not mirror.tidy(REPO)


def test_what_turns_out_to_be_damaged_is_thrown_away_for_the_next_fetch(mirror: Mirror) -> None:
    """Reading a missing blob raises an error and discards the clone; the next fetch makes it anew."""
    head = mirror.fetch(REPO, depth=1)
    with pytest.raises(MirrorDamaged), mirror.read_fetched(REPO) as view:
        view.content("0" * 40)
    with pytest.raises(MirrorDamaged), mirror.read(REPO):
        pass
    assert mirror.fetch(REPO, depth=0) == head
    with mirror.read_fetched(REPO) as view:
        assert view.has(head)


def test_a_clone_is_not_thrown_away_under_a_reader(mirror: Mirror) -> None:
    """The mirror discards a clone only after the last reader has closed it."""
    mirror.fetch(REPO, depth=1)
    with mirror.read(REPO) as view:
        other = threading.Thread(target=mirror.discard, args=(REPO,))
        other.start()
        assert len(list(view.files(view._git.references["refs/heads/main"].target.__str__()))) >= 1
        assert other.is_alive()
    other.join(timeout=10)
    assert not other.is_alive()
    with pytest.raises(MirrorDamaged), mirror.read(REPO):
        pass


def test_many_fetch_at_once(hub: Hub, tmp_path: Path) -> None:
    """Threads and mirrors that share one folder take turns; each of them has the newest commit afterwards."""
    fetched: list[str] = []

    def fetch() -> None:
        for _ in range(3):
            fetched.append(Mirror(hub, tmp_path / "mirrors").fetch(REPO, depth=1))

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(fetched) == {hub.head(REPO)}
    assert len(fetched) == 12


def test_refusals_are_told_as_the_hubs_other_errors_are(local: LocalHub, hub: Hub, tmp_path: Path) -> None:
    """A missing repo, a refused token, an unreachable Hub and a cut connection raise the same errors as other calls."""
    mirror = Mirror(hub, tmp_path / "mirrors")
    with pytest.raises(HubError) as missing:
        mirror.fetch(Repo("dataset", "board/nothing"), depth=1)
    assert isinstance(missing.value, RepoNotFound)
    with Hub(local.url, "hf_nobody", retries=ONCE) as stranger, pytest.raises(BadToken):
        Mirror(stranger, tmp_path / "others").fetch(REPO, depth=1)
    with Hub("http://127.0.0.1:1", TOKEN, retries=ONCE) as unreachable, pytest.raises(Unreachable):
        Mirror(unreachable, tmp_path / "none").fetch(REPO, depth=1)
    local.state.faults.cut("POST */git-upload-pack")
    with pytest.raises(Transient):
        mirror.fetch(REPO, depth=1)
    assert mirror.fetch(REPO, depth=1) == hub.head(REPO)


def test_the_token_does_not_follow_a_redirect_to_another_host(tmp_path: Path) -> None:
    """A redirect of git to another host is an error, and the other host gets no request."""
    asked: list[str | None] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization"))
            self.send_response(404 if self.server is other else 307)
            self.send_header("Location", f"http://localhost:{other.server_port}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) for _ in range(2)]
    other = servers[1]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{servers[0].server_port}"
        with Hub(url, TOKEN, retries=ONCE) as hub, pytest.raises(HubError):
            Mirror(hub, tmp_path / "mirrors").fetch(REPO, depth=1)
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
    assert len(asked) == 1


def test_a_repo_without_a_main_branch_is_an_error_of_its_own(hub: Hub, local: LocalHub, tmp_path: Path) -> None:
    """Fetching a repo that lost its main branch raises `RevisionNotFound`."""
    empty = Repo("dataset", "board/empty")
    hub.create_repo(empty)
    repo = local.state.repos.get("dataset", empty.id)
    assert repo is not None
    repo.git.delete_ref("refs/heads/main")
    with pytest.raises(RevisionNotFound):
        Mirror(hub, tmp_path / "mirrors").fetch(empty, depth=1)
