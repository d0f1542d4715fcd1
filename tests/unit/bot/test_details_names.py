"""A request file can name any text as the repo of its details."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from bot.core.context import BoardContext
from bot.results.details_reader import DetailsRefused, TableAddress, _link
from hub.client import Hub


@pytest.mark.parametrize("name", ["", "a b/c", "../other", "a/b/c"])
def test_a_name_that_is_none_on_the_hub_has_no_public_table(name: str, tmp_path: Path) -> None:
    """BadRequest ended every later sync of the answers."""
    table = TableAddress(name, "run/details.parquet", "task")
    with pytest.raises(DetailsRefused) as refused:
        _link(cast(BoardContext, None), cast(Hub, None), table, tmp_path / "table")
    assert refused.value.code == "not-public"
