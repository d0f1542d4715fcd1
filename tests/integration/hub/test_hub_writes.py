"""Commits to a Hub that fails before and after the effect, and with other writers at the same time."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from hub.client import Hub
from hub.diffs import changes_in
from hub.errors import BadRequest, Denied, StaleParent, TooLarge, Transient
from hub.records import Change, DeleteFile, Repo, WriteFile, WriteLocalFile
from hub.writes import digest
from leaderboard.changes import FileChange
from localhub.testing import LocalHub
from tests.support.hub.scripted_server import QUICK

COMMIT = "POST */commit/*"


def test_a_commit_writes_and_deletes(bot: Hub, repo: Repo) -> None:
    """A commit writes and deletes files, and becomes the repo's head."""
    bot.commit(repo, [WriteFile("a", b"1"), WriteFile("b/c.bin", bytes(range(256)))], "Add")
    commit = bot.commit(repo, [DeleteFile("a"), WriteFile("b/c.bin", b"")], "Change")
    assert commit.url.endswith(commit.oid)
    assert bot.head(repo) == commit.oid
    assert bot.find_file(repo, "a") is None
    assert bot.read_file(repo, "b/c.bin").data == b""


def test_large_files_go_to_lfs(bot: Hub, repo: Repo, calls: list[str]) -> None:
    """Files that `.gitattributes` puts in LFS are stored there once, and read back unchanged."""
    data = bytes(range(256)) * 50
    files = {"table.parquet": data, "same.parquet": data, "x.json": b"{}", "empty.parquet": b""}
    bot.commit(repo, [WriteFile(path, content) for path, content in files.items()], "Add a table")
    assert calls.count("lfs-put") == 1
    assert {path: bot.read_file(repo, path).data for path in files} == files
    entries = {entry.path: entry for entry in bot.list_files(repo)}
    assert entries["table.parquet"].oid == hashlib.sha256(data).hexdigest()
    assert entries["table.parquet"].size == len(data)
    assert entries["empty.parquet"].size == 0
    assert bot.read_file(repo, "table.parquet").oid == entries["table.parquet"].oid


def test_local_files_are_committed_like_bytes(bot: Hub, repo: Repo, tmp_path: Path, calls: list[str]) -> None:
    """Committing a local file gives the same digest and content as committing its bytes, in git and in LFS."""
    data = bytes(range(256)) * 50
    (tmp_path / "local").write_bytes(data)
    paths = ("table.parquet", "plain.json")
    changes: list[Change] = [WriteLocalFile(path, tmp_path / "local") for path in paths]
    parent = bot.head(repo)
    assert digest(repo, "main", parent, changes) == digest(
        repo, "main", parent, [WriteFile(path, data) for path in paths]
    )
    bot.commit(repo, changes, "Add a table", parent=parent)
    assert calls.count("lfs-put") == 1
    assert {path: bot.read_file(repo, path).data for path in paths} == dict.fromkeys(paths, data)


def test_a_pull_request_is_opened_from_changes(mallory: Hub, repo: Repo) -> None:
    """A user without write access may open a pull request."""
    with pytest.raises(Denied):
        mallory.commit(repo, [WriteFile("a", b"1")], "Write")
    pull = mallory.commit(repo, [WriteFile("a", b"1")], "Propose", "please", create_pr=True)
    assert pull.pull_number == 1
    thread = mallory.thread(repo, 1)
    assert (thread.is_pull_request, thread.head_commit, thread.title) == (True, pull.oid, "Propose")
    same, diff = mallory.pull(repo, 1)
    assert (same, changes_in(diff)) == (thread, [FileChange("a", "added", "100644")])
    with pytest.raises(TooLarge):
        mallory.pull(repo, 1, max_bytes=len(diff))


def test_a_stale_parent_is_refused(bot: Hub, repo: Repo) -> None:
    """Compare-and-swap: no commit lands on a parent that is not the head."""
    parent = bot.head(repo)
    bot.commit(repo, [WriteFile("a", b"1")], "First", parent=parent)
    with pytest.raises(StaleParent):
        bot.commit(repo, [WriteFile("a", b"2")], "Second", parent=parent)
    assert bot.read_file(repo, "a").data == b"1"


def test_a_commit_that_failed_before_its_effect_is_sent_again(local: LocalHub, bot: Hub, repo: Repo) -> None:
    """If the Hub fails before a commit takes effect, the client sends the commit again."""
    parent = bot.head(repo)
    local.state.faults.fail(COMMIT, times=2)
    commit = bot.commit(repo, [WriteFile("a", b"1")], "Add a", parent=parent)
    assert bot.head(repo) == commit.oid
    assert len(bot.commits(repo)) == 2


@pytest.mark.parametrize("kind", ["fail-after", "cut"])
def test_a_commit_that_failed_after_its_effect_is_recognised(
    local: LocalHub, bot: Hub, repo: Repo, calls: list[str], kind: str
) -> None:
    """A commit that landed in spite of an error is found, and not sent again."""
    parent = bot.head(repo)
    local.state.faults.add(COMMIT, kind)
    commit = bot.commit(repo, [WriteFile("a", b"1")], "Add a", "with a reason", parent=parent)
    assert calls.count("commit") == 1
    assert bot.head(repo) == commit.oid
    assert bot.commits(repo)[0].title == "Add a"
    assert len(bot.commits(repo)) == 2
    assert commit.url.endswith(f"/commit/{commit.oid}")


def test_a_commit_whose_answer_never_came_is_recognised(local: LocalHub, repo: Repo) -> None:
    """If the Hub makes a commit but never answers, the client finds its commit and does not repeat it."""
    local.state.faults.hang(COMMIT, after=True)
    with Hub(local.url, "hf_bot", timeout=0.3, retries=QUICK) as impatient:
        commit = impatient.commit(repo, [WriteFile("a", b"1")], "Add a", parent=impatient.head(repo))
        assert impatient.head(repo) == commit.oid
        assert len(impatient.commits(repo)) == 2


def test_a_landed_commit_is_recognised_below_later_ones(local: LocalHub, bot: Hub, ada: Hub, repo: Repo) -> None:
    """The client recognises its commit even below a newer commit of another writer."""
    parent = bot.head(repo)
    commit = bot.commit(repo, [WriteFile("a", b"1")], "Add a", parent=parent)
    ada.commit(repo, [WriteFile("a", b"ada's")], "Improve")
    assert bot.commit(repo, [WriteFile("a", b"1")], "Add a", parent=parent).oid == commit.oid
    assert bot.read_file(repo, "a").data == b"ada's"


def test_a_copy_of_the_bots_trailer_is_not_the_bots_commit(bot: Hub, ada: Hub, repo: Repo) -> None:
    """Another user's commit whose message quotes the digest of the bot's commit is not taken for the bot's commit."""
    parent, changes = bot.head(repo), [WriteFile("a", b"1")]
    forged = f"Steward-Change: {digest(repo, 'main', parent, changes)}"
    ada.commit(repo, [WriteFile("b", b"1")], "Something else (#7)", f"* Add a\n\n{forged}")
    with pytest.raises(StaleParent):
        bot.commit(repo, changes, "Add a", parent=parent)
    assert bot.find_file(repo, "a") is None


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("fail", {"status": 500, "times": 2}),
        ("fail", {"status": 409, "error": "Another commit operation is in progress for this repository."}),
        ("fail", {"status": 429, "headers": {"Retry-After": "0"}}),
        ("fail-after", {"status": 500}),
        ("fail-after", {"status": 504}),
        ("cut", {}),
    ],
)
def test_a_commit_lands_once_whatever_goes_wrong(
    local: LocalHub, bot: Hub, repo: Repo, kind: str, options: dict[str, object]
) -> None:
    """A commit with a parent is sent again or recognised, and the caller sees no error."""
    local.state.faults.add(COMMIT, kind, **options)
    commit = bot.commit(repo, [WriteFile("a", b"1")], "Add a", parent=bot.head(repo))
    assert bot.head(repo) == commit.oid
    assert len(bot.commits(repo)) == 2


def test_many_writers_at_once_lose_nothing(local: LocalHub, repo: Repo) -> None:
    """Compare-and-swap under real contention: a counter that three writers increase equals the number of commits."""
    with Hub(local.url, "hf_bot", retries=QUICK) as hub:
        hub.commit(repo, [WriteFile("count", b"0")], "Begin")

        def work() -> None:
            landed = 0
            while landed < 10:
                file = hub.read_file(repo, "count", hub.head(repo))
                more = str(int(file.data) + 1).encode()
                try:
                    hub.commit(repo, [WriteFile("count", more)], "Count", parent=file.commit)
                    landed += 1
                except StaleParent:
                    continue  # another writer was faster: read again

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Writers that make the very same change to the very same parent share one commit.
        assert 10 <= int(hub.read_file(repo, "count").data) == len(hub.commits(repo)) - 2 <= 30


def test_a_commit_gives_up_in_the_end(local: LocalHub, bot: Hub, repo: Repo) -> None:
    """A branch that always moves, and a Hub that stays down, raise an error."""
    changes, parent = [WriteFile("a", b"1")], bot.head(repo)
    local.state.faults.fail(COMMIT, times=None, status=412)
    with pytest.raises(StaleParent):
        bot.commit(repo, changes, "Add a", parent=parent)
    local.state.faults.clear()
    local.state.faults.fail(COMMIT, times=None, status=503)
    with pytest.raises(Transient):
        bot.commit(repo, changes, "Add a", parent=parent)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([], "Nothing"),
        ([WriteFile("a", b"1"), DeleteFile("a")], "Twice"),
        ([WriteFile("../a", b"1")], "Out"),
        ([WriteFile("a", b"1")], ""),
        ([WriteFile("a", b"1")], "Two\nlines"),
    ],
)
def test_a_senseless_commit_is_refused_before_any_call(
    bot: Hub, repo: Repo, calls: list[str], changes: list[Change], message: str
) -> None:
    """An empty, contradictory or invalid commit raises BadRequest, and no call is sent."""
    with pytest.raises(BadRequest):
        bot.commit(repo, changes, message)
    assert calls == []
