"""Redis loses all data in the middle of everything: every request ends as it should, and nothing happens twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from steward.testing.waiting import wait_until
from tests.support.chaos.board_processes import PATIENCE, open_board_processes
from tests.support.chaos.end_state import MODELS, check_end_state

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(900),
    pytest.mark.long("real processes: `make chaos` runs it; the state machine loses Redis, too"),
]


def test_redis_lost_in_the_middle_of_everything(tmp_path: Path) -> None:
    """After FLUSHALL during an evaluation every request ends as it should, with one status comment and one result."""
    with open_board_processes(tmp_path) as board:
        for name in ("web", "sync", "worker"):
            board.start(name, STEWARD_BEAT_SECONDS="1")
        wait_until(board.web_answers, describe=board.words, seconds=PATIENCE)
        board.submit(*MODELS)
        wait_until(lambda: "RUNNING" in board.statuses().values(), describe=board.words, seconds=PATIENCE)
        board.redis.flushall()
        check_end_state(board)
