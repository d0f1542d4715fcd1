"""What the tests of the room `hub` share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hub_kit import QUICK, Script

from hub.client import Hub


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
