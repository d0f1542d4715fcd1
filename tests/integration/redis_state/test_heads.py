"""The newest known commit of a repo, when two processes learn of commits at the same time."""

from __future__ import annotations

import pytest
import redis

from redis_state.heads import Heads
from redis_state.keys import Keys

REPO = "board/requests"


@pytest.fixture
def heads(connection: redis.Redis) -> Heads:
    """The heads of a board without known commits."""
    connection.flushall()
    return Heads(connection, Keys("demo"))


def test_the_newest_commit_follows_from_lists_and_known_parents(heads: Heads) -> None:
    """A list of refs sets the newest known commit, and a commit whose parent is that one replaces it."""
    assert heads.newest(REPO) is None
    heads.saw(REPO, "a", after=heads.known(REPO))
    assert heads.newest(REPO) == "a"
    heads.saw(REPO, "b", after="a")
    assert heads.newest(REPO) == "b"
    assert heads.newest("board/results") is None


def test_a_list_of_refs_that_a_commit_overtook_leaves_none_known(heads: Heads) -> None:
    """If a commit overtook a list of refs, no commit is known until the refs are listed again."""
    heads.saw(REPO, "a", after="")
    before = heads.known(REPO)
    heads.saw(REPO, "b", after="a")
    heads.saw(REPO, "a", after=before)
    assert heads.newest(REPO) is None
    heads.saw(REPO, "b", after=heads.known(REPO))
    assert heads.newest(REPO) == "b"


def test_a_commit_upon_another_one_than_the_known_leaves_none_known(heads: Heads) -> None:
    """After another client's commit in between, or a loss of Redis, no commit is known."""
    before = heads.known(REPO)
    heads.saw(REPO, "c", after="b")
    assert heads.newest(REPO) is None
    heads.saw(REPO, "b", after=before)
    assert heads.newest(REPO) is None


def test_what_may_be_newer_leaves_none_known(heads: Heads) -> None:
    """A commit with an unknown parent leaves no commit known, unless it is the known one."""
    heads.saw(REPO, "a", after="")
    heads.doubt(REPO, "a")
    assert heads.newest(REPO) == "a"
    heads.doubt(REPO, "b")
    assert heads.newest(REPO) is None
