"""Redis lost in the middle of everything: the same end for people, and nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.chaos.board_processes import PATIENCE, open_town
from tests.support.chaos.end_state import MODELS, all_is_well
from tests.support.sizes import WHOLE
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not WHOLE, reason="real processes: `make chaos` runs it; the state machine loses Redis, too"),
]


def test_redis_lost_in_the_middle_of_everything(tmp_path: Path) -> None:
    """FLUSHALL while requests are in every state: the same end, no comment doubled, nothing evaluated twice."""
    with open_town(tmp_path) as town:
        for name in ("web", "sync", "worker"):
            town.start(name, STEWARD_BEAT_SECONDS="1")
        wait_until(town.web_answers, describe=town.words, seconds=PATIENCE)
        town.submit(*MODELS)
        wait_until(lambda: "RUNNING" in town.statuses().values(), describe=town.words, seconds=PATIENCE)
        town.redis.flushall()
        all_is_well(town)
