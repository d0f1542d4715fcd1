"""Fixtures of the tests with readers of front ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.probe import Probe


@pytest.fixture(scope="session")
def probe() -> Iterator[Probe]:
    """One probe for all boards: its imports take seconds."""
    with Probe() as made:
        yield made
