"""Shared fixtures of the tests of `hub`: a local Hub with a board, its bot and another user; and a scripted server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from hub.client import Hub
from hub.records import Repo, RepoKind
from localhub.testing import HubWorld, LocalHub
from tests.support.hub.scripted_server import QUICK, Script

WORLD = HubWorld().user("bot").user("ada").user("mallory").org("board", {"bot": "admin", "ada": "admin"})


@pytest.fixture
def script() -> Iterator[Script]:
    """A server that answers by script."""
    server = Script()
    yield server
    server.close()


@pytest.fixture
def scripted(script: Script) -> Iterator[Hub]:
    """A client of the scripted server; it waits for the network half a second at most."""
    with Hub(script.url, "hf_secret", timeout=0.5, retries=QUICK) as client:
        yield client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A local Hub for each test file."""
    with LocalHub(tmp_path_factory.mktemp("hub"), WORLD) as running:
        yield running


@pytest.fixture
def local(served: LocalHub) -> Iterator[LocalHub]:
    """The local Hub, without faults before and after."""
    served.state.faults.clear()
    served.state.stats.reset()
    yield served
    served.state.faults.clear()


def _client(local: LocalHub, token: str | None) -> Hub:
    return Hub(local.url, token, timeout=2.0, retries=QUICK)


@pytest.fixture
def calls() -> list[str]:
    """The routes that `bot` called so far."""
    return []


@pytest.fixture
def bot(local: LocalHub, calls: list[str]) -> Iterator[Hub]:
    """The board's bot."""

    def note(_method: str, route: str) -> None:
        calls.append(route)

    with Hub(local.url, "hf_bot", timeout=2.0, retries=QUICK, on_call=note) as client:
        yield client


@pytest.fixture
def ada(local: LocalHub) -> Iterator[Hub]:
    """A maintainer."""
    with _client(local, "hf_ada") as client:
        yield client


@pytest.fixture
def mallory(local: LocalHub) -> Iterator[Hub]:
    """Return the client of a user without rights on the board."""
    with _client(local, "hf_mallory") as client:
        yield client


_numbers = count(1)


@pytest.fixture
def new_repo(bot: Hub, calls: list[str]) -> Callable[..., Repo]:
    """Makes a repo of the board that no other test uses."""

    def make(kind: RepoKind = "dataset", *, owner: str = "board", private: bool = False) -> Repo:
        repo = Repo(kind, f"{owner}/repo-{next(_numbers)}")
        bot.create_repo(repo, private=private)
        calls.clear()
        return repo

    return make


@pytest.fixture
def repo(new_repo: Callable[..., Repo]) -> Repo:
    """A dataset of the board."""
    return new_repo()
