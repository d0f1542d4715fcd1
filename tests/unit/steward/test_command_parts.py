"""Parts of commands that need no board: files that are changed in place, words of processes that died."""

from __future__ import annotations

import os
from inspect import signature
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bot.read_models.submit_models import SubmissionBody
from redis_state.board.messages import CheckQuestion
from steward.children import ChildDied
from steward.commands.check import check
from steward.commands.effects import _replace
from steward.commands.submit import submit
from steward.demo.run import died


def test_a_board_file_keeps_its_rights(tmp_path: Path) -> None:
    """The permissions stay, the file is written as a whole, and no other file is left."""
    file = tmp_path / "board.yaml"
    file.write_text("old")
    file.chmod(0o640)
    _replace(file, "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o640)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change a file of somebody else and leave it theirs")
def test_a_board_file_that_root_changes_stays_its_owners(tmp_path: Path) -> None:
    """The owner stays, because the processes run as the owner."""
    file = tmp_path / "board.yaml"
    file.write_text("old")
    file.chmod(0o600)
    os.chown(file, 1000, 1000)
    _replace(file, "new")
    assert (file.stat().st_uid, file.stat().st_gid, file.stat().st_mode & 0o777) == (1000, 1000, 0o600)


def test_what_is_checked_is_what_would_be_submitted() -> None:
    """Default precision, commit and weight type are equal for the command line and the API."""
    for name in ("precision", "revision", "weight_type"):
        said = [signature(command).parameters[name].default for command in (check, submit)]
        assert {*said, CheckQuestion.model_fields[name].default} == {SubmissionBody.model_fields[name].default}, name


def test_the_last_words_of_a_process_are_no_markup() -> None:
    """A log is full of brackets: they are shown, and break nothing."""
    shown = StringIO()
    Console(file=shown, width=200).print(died(ChildDied("web ended with status 1:\n[info     ] read [/tmp/x] [red]")))
    assert shown.getvalue() == "web ended with status 1:\n[info     ] read [/tmp/x] [red]\n"
