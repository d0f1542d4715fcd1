"""The React Space reads and writes the files of a board that names it as its front end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bot.probe import Probe
from tests.support.board.contents_table import GOOD, board_with_table, finished, look, table
from tests.support.board.flags import FlagBoardDriver


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board with flags and a table."""
    with board_with_table(tmp_path, connection, probe) as made:
        yield made


def test_a_form_may_spell_a_precision_in_its_own_way(stand: FlagBoardDriver) -> None:
    """It is evaluated; its file keeps the spelling, and the table has the usual one."""
    path = f"{GOOD}_eval_request_False_Float32_Original.json"
    assert finished(stand, path=path, precision="Float32") == path
    assert (stand.file(path)["status"], stand.file(path)["precision"]) == ("FINISHED", "Float32")
    look(stand)
    assert list(table(stand)["Precision"]) == ["float32"]
