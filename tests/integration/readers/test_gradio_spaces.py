"""The Gradio Spaces of both generations read the table of a board that names them as its front end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import tests.support.board.front_end_readers as fronts
from bot.probe import Probe
from bot.setup.consistency import disagreements
from tests.support.board.contents_table import board_with_table, commits, data, finished, look, restart_for
from tests.support.board.flags import AppealThread, FlagBoardDriver

MERGE = "🤝 : 🤝 base merges and moerges"


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board with flags and a table."""
    with board_with_table(tmp_path, connection, probe) as driver:
        yield driver


@pytest.mark.parametrize(
    "generation",
    ["v2", pytest.param("v1", marks=pytest.mark.long("three seconds of processor time for other columns"))],
)
def test_a_gradio_space_reads_its_own_columns(stand: FlagBoardDriver, generation: str) -> None:
    """A Gradio Space fails until the board names it as front end; then it hides merges and flagged models.

    One commit adds its columns, and they are read back as they were: the table of the next front end is the first one.
    """
    for model, fields in (("ada/good", {}), ("ada/merged", {"model_type": MERGE}), ("ada/plain", {})):
        stand.time += 900  # until the budget of commits allows the next one
        finished(stand, model, submitted_time="2026-11-20T10:00:00Z", **fields)
    AppealThread(stand, "[FLAG] ada/plain", "It is not what it says.").say("/flag other it is not", stand.form)
    look(stand)
    before, commits_before = data(stand), commits(stand)
    with pytest.raises(KeyError, match=r"date|Not_Merged"):
        fronts.gradio_leaderboard(before, generation)
    restart_for(stand, name=f"gradio-{generation}")
    shown = fronts.gradio_leaderboard(data(stand), generation)
    assert set(shown) == {"ada/good"}  # no merge, and no flagged model
    assert not any("flagged" in cell for cell in shown.values())
    assert (commits(stand), disagreements(stand.context)) == (commits_before + 1, [])
    restart_for(stand, name="react")
    assert (data(stand), commits(stand)) == (before, commits_before + 2)
