"""Paths, clock, limits, database, cards and signed addresses of the local Hub."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localhub.clock import Clock, iso
from localhub.controls.limits import RateLimits
from localhub.database import Database
from localhub.errors import BadRequest, ClockSettingError, Forbidden, HubError
from localhub.repos.cards import card_data, check_card
from localhub.repos.lfs_store import LfsStore
from localhub.repos.paths import clean, is_clean
from localhub.repos.records import Repo


@pytest.mark.parametrize(
    "path",
    [
        *("", "/a", "a/", "a//b", "..", "a/../b", "./a", ".git/x", "a/.GIT", "a/.git. ", "git~1/x"),
        *("a\0b", "a\nb", "\ud800", "x" * 256, "x/" * 101 + "y", "é" * 128),
    ],
)
def test_paths_that_no_repo_may_hold(path: str) -> None:
    """A path is refused if it leaves the repo, is in git's own folder, or would break a checkout."""
    assert not is_clean(path)


@given(st.text(max_size=60))
def test_a_clean_path_stays_inside(path: str) -> None:
    """An accepted path is unchanged, and has no empty, relative or `.git` parts."""
    if is_clean(path):
        assert clean(path) == path
        assert not {"", ".", "..", ".git"} & set(path.lower().split("/"))


def test_the_clock_runs_from_the_time_and_at_the_rate_of_its_setting() -> None:
    """A clock set to `epoch,rate,started` shows `epoch` at the real time `started`, and runs at `rate` from then on."""
    started = time.time() - 10
    clock = Clock(f"1000000000,60,{started}")
    assert 1_000_000_600 <= clock.seconds() < 1_000_000_700
    clock.advance(3600)
    assert clock.seconds() >= 1_000_004_200
    assert iso(Clock("0,0").now()) == "1970-01-01T00:00:00.000Z"
    with pytest.raises(ClockSettingError, match="epoch,rate"):
        Clock("soon")


def test_commits_of_a_repo_are_limited_by_the_hour() -> None:
    """The commit after the last allowed one is refused with a message, until an hour has passed."""
    clock = Clock("0,0")
    limits = RateLimits(clock)
    limits.set(commits_per_hour=2)
    repo, other = (cast(Repo, SimpleNamespace(oid=oid)) for oid in "ab")
    for _ in range(2):
        limits.count_commit(repo)
    with pytest.raises(HubError, match=r"2 per hour\).*about 1 hour") as refused:
        limits.count_commit(repo)
    assert refused.value.status == 429
    limits.count_commit(other)
    clock.advance(3601)
    limits.count_commit(repo)


def test_calls_are_counted_in_windows_of_five_minutes() -> None:
    """The calls that are left count down to zero, further calls are refused, and the next window is full again."""
    clock = Clock("3000,0")
    limits = RateLimits(clock)
    limits.set(api=2, anonymous_api=1)
    taken = [limits.take("ada", "api", anonymous=False) for _ in range(3)]
    assert [(allowance.left, allowance.refused) for allowance in taken if allowance] == [
        (1, False),
        (0, False),
        (0, True),
    ]
    assert taken[2] and taken[2].headers()["RateLimit"] == '"api";r=0;t=300'
    anonymous = [limits.take("127.0.0.1", "api", anonymous=True) for _ in range(2)]
    assert [allowance.refused for allowance in anonymous if allowance] == [False, True]
    clock.advance(300)
    again = limits.take("ada", "api", anonymous=False)
    assert again and again.left == 1
    assert limits.take("ada", "pages", anonymous=False) is None


def test_no_call_of_anonymous_callers_can_be_allowed() -> None:
    """A limit of 0 for anonymous callers refuses all their calls, and is not replaced by the limit of accounts."""
    limits = RateLimits(Clock("3000,0"))
    limits.set(api=2, anonymous_api=0)
    refused, allowed = (limits.take("x", "api", anonymous=anonymous) for anonymous in (True, False))
    assert refused and (refused.quota, refused.refused) == (0, True)
    assert allowed and (allowed.quota, allowed.refused) == (2, False)


def test_a_transaction_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """An exception undoes the outer transaction with the inner one; readers see only what is committed."""
    store = Database(tmp_path / "x.sqlite")
    store.ensure("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
    with pytest.raises(ZeroDivisionError), store.write() as db:
        with store.write():
            db.execute("INSERT INTO t VALUES (1)")
        assert len(store.rows("SELECT * FROM t")) == 1
        _ = 1 / 0
    assert store.rows("SELECT * FROM t") == []
    with store.write() as db:
        db.execute("INSERT INTO t VALUES (2)")
    row = store.row("SELECT n FROM t")
    assert row and row["n"] == 2
    store.close()


def test_threads_that_are_gone_leave_no_connection_open(tmp_path: Path) -> None:
    """Threads that read the database and end leave no open files behind."""
    store = Database(tmp_path / "x.sqlite")
    store.ensure("CREATE TABLE IF NOT EXISTS t (n INTEGER)")

    def reads_in_a_thread() -> int:
        thread = Thread(target=store.rows, args=("SELECT * FROM t",))
        thread.start()
        thread.join()
        return sum(path.resolve().name.startswith("x.sqlite") for path in Path("/proc/self/fd").iterdir())

    first = reads_in_a_thread()
    assert [reads_in_a_thread() for _ in range(5)] == [first] * 5
    store.close()


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ("a: [", "Invalid metadata"),
        ("- a", "expected a mapping"),
        ("tags: {a: b}", '"tags" must be'),
        ("license: {a: b}", '"license" must be a string'),
        ("model-index: 1", "must be an array"),
        ("a: &a [*a]", "Invalid metadata"),
        ("d: 2026-13-45", "Invalid metadata"),
        ("!!python/name:os.system x", "Invalid metadata"),
        (
            "a0: &a0 [x,x,x,x,x,x,x,x]\n"
            + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 9)),
            "too",
        ),
    ],
)
def test_cards_that_no_commit_may_contain(block: str, complaint: str) -> None:
    """Each mistake in a card's metadata is named; reading such a card gives what can be read and never an error."""
    card = f"---\n{block}\n---\ntext"
    errors = check_card(card)["errors"]
    assert errors and complaint in errors[0]["message"]
    assert isinstance(card_data(card.encode()), dict)


@given(st.text(max_size=80))
def test_any_card_is_read_without_an_error(block: str) -> None:
    """No text in a card's metadata block makes the reader or the check raise an error."""
    card = f"---\n{block}\n---\n"
    check_card(card)
    card_data(card.encode("utf-8", "replace"))


def test_storage_addresses_are_good_for_what_they_were_made_for(tmp_path: Path) -> None:
    """A signed address is valid for its method, repo, object and query only."""
    store = Database(tmp_path / "x.sqlite")
    lfs = LfsStore(tmp_path / "lfs", store, Clock())
    query = dict(parse_qsl(urlsplit(lfs.address("put", "repo", "f" * 64, size="3")).query))
    lfs.check("put", "repo", "f" * 64, dict(query))
    changed = [("get", "repo", "f" * 64, query), ("put", "other", "f" * 64, query), ("put", "repo", "e" * 64, query)]
    changed += [("put", "repo", "f" * 64, {**query, "size": "4"}), ("put", "repo", "f" * 64, {"size": "3"})]
    for verb, repo, sha, given_query in changed:
        with pytest.raises(Forbidden):
            lfs.check(verb, repo, sha, dict(given_query))
    store.close()


def test_an_upload_that_is_not_what_it_says_is_thrown_away(tmp_path: Path) -> None:
    """An upload with another hash or size than stated is refused and removed; one with the right ones is stored."""
    store = Database(tmp_path / "x.sqlite")
    lfs = LfsStore(tmp_path / "lfs", store, Clock())
    upload = lfs.begin()
    upload.write(b"wrong")
    with pytest.raises(BadRequest):
        lfs.keep("repo", upload, "a" * 64, 5)
    assert lfs.size("repo", "a" * 64) is None and not list((tmp_path / "lfs/incoming").iterdir())
    assert lfs.add("repo", b"right").decode().endswith("size 5\n")
    (held,) = lfs.objects("repo")
    assert lfs.path(held[0]).read_bytes() == b"right"
    lfs.unlink("repo", held[0])
    assert not lfs.path(held[0]).exists()
    store.close()
