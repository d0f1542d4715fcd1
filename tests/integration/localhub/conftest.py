"""Fixtures for the tests that compare localhub with the protocol of the Hub.

Everything goes over HTTP through the unmodified `huggingface_hub` client, or through a plain HTTP client where the
client has no method. One server per test file keeps the suite quick; tests make the repos they need by name.
"""

import os

# The client reads it when it is imported.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi, constants

from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import TOKENS, Listener, accounts_world, set_policy


@pytest.fixture(scope="session", autouse=True)
def _quiet_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Disable this machine's own cache and token in the client, whichever module imported it first."""
    patch = pytest.MonkeyPatch()
    home = tmp_path_factory.mktemp("hf-home")
    patch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    patch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    patch.delenv("HF_TOKEN", raising=False)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A server of its own for each test file, with the accounts of `accounts_world`."""
    with LocalHub(tmp_path_factory.mktemp("hub"), accounts_world()) as running:
        yield running


def _client(hub: LocalHub, name: str) -> HfApi:
    return HfApi(endpoint=hub.url, token=TOKENS[name])


@pytest.fixture(scope="module")
def ada(hub: LocalHub) -> HfApi:
    """Admin of `board`; a write token."""
    return _client(hub, "ada")


@pytest.fixture(scope="module")
def bob(hub: LocalHub) -> HfApi:
    """Contributor of `board`; a write token."""
    return _client(hub, "bob")


@pytest.fixture(scope="module")
def cleo(hub: LocalHub) -> HfApi:
    """A user outside the organisations; a write token."""
    return _client(hub, "cleo")


@pytest.fixture(scope="module")
def anonymous(hub: LocalHub) -> HfApi:
    """An anonymous client: it sends no token."""
    return HfApi(endpoint=hub.url, token=False)


@pytest.fixture(scope="module")
def http(hub: LocalHub) -> Iterator[httpx.Client]:
    """A plain HTTP client, authorised as ada, that follows no redirect."""
    headers = {"Authorization": f"Bearer {TOKENS['ada']}"}
    with httpx.Client(base_url=hub.url, headers=headers, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    """A real HTTP server that stores every webhook it receives."""
    with Listener() as running:
        yield running


@pytest.fixture
def quick_deliveries(http: httpx.Client, listener: Listener) -> Iterator[None]:
    """A delivery policy with short waits, and a listener that answers 200 before and after the test."""
    set_policy(http, retries=3, first_wait=0.05, timeout=5, suspend_after=1000, quota=1000)
    yield
    listener.answers.clear()
    listener.always = 200
    http.delete("/_admin/faults")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty download cache."""
    return tmp_path / "cache"
