"""A rich board that is served, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from steward.valkey import Valkey
from tests.support.browser.seeded_large_board import fill_board
from tests.support.browser.served_site import ServedSite, serving


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A queue server."""
    with Valkey(tmp_path_factory.mktemp("queue")) as valkey:
        yield valkey


@pytest.fixture(scope="package")
def rich(server: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """The board that `seeded_large_board` fills, with as many rows as one page shows: axe-core looks at each."""
    small = partial(fill_board, finished=10, failed=8, waiting=27)
    with serving(server, tmp_path_factory.mktemp("rich"), "looked-at", small) as site:
        yield site
