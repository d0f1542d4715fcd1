"""The gate is the only way from the bot to a write on the Hub."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOOR = re.compile(r"\b_?hub\.(commit|open_thread|ensure_comment|edit_comment|set_status|merge|create_repo)\(")
LEDGER = re.compile(r"\b_?ledger\.(stage|write)\(")
BESIDE = {
    "setup/adopting.py": "an operator asks for the record by name",
    "setup/doctor/rights.py": "its commit cannot land",
    "ledger/ledger.py": "the ledger, which only the gate stages edits for",
    "core/former_paths.py": "it asks the gate before its commit, which has to be a compare-and-swap",
    "changes/changesets.py": "it asks the gate before its one commit, which has to be a compare-and-swap",
}


@pytest.mark.parametrize(("what", "beside"), [(DOOR, BESIDE), (LEDGER, {})])
def test_nothing_is_written_past_the_gate(project: Path, what: re.Pattern[str], beside: dict[str, str]) -> None:
    """No module of the bot but the gate calls what writes, and the few exceptions are known by their place."""
    bot = project / "bot"
    found = {path.relative_to(bot).as_posix() for path in bot.rglob("*.py") if what.search(path.read_text())}
    assert found - {"core/guarded_writes.py"} - beside.keys() == set()


def test_the_gate_itself_is_found(project: Path) -> None:
    """The search would see a write if there were one."""
    text = (project / "bot" / "core" / "guarded_writes.py").read_text()
    assert len(DOOR.findall(text)) == 5
    assert len(LEDGER.findall(text)) == 2
