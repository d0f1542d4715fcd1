"""All writes of the bot to the Hub go through the guarded writer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

WRITE = re.compile(r"\b_?hub\.(commit|open_thread|ensure_comment|edit_comment|set_status|merge|create_repo)\(")
LEDGER = re.compile(r"\b_?(ledger|edits)\.(stage|write)\(")
EXCEPTIONS = {
    "setup/adopting.py": "an operator asks for the record by name",
    "setup/doctor/rights.py": "its commit cannot land",
    "ledger/ledger.py": "the ledger writes edits that only the guarded writer stages",
    "core/former_paths.py": "it asks the guarded writer before its commit, which must be a compare-and-swap",
    "core/log_repos.py": "it asks the guarded writer before it creates the private logs repo",
    "model_pages/pull_request.py": "it asks the guarded writer before each write, with the token for models' repos",
    "changes/changesets.py": "it asks the guarded writer before its commit, which must be a compare-and-swap",
}


@pytest.mark.parametrize(("what", "exceptions"), [(WRITE, EXCEPTIONS), (LEDGER, {"ledger/ledger.py": "itself"})])
def test_only_the_guarded_writer_writes(project: Path, what: re.Pattern[str], exceptions: dict[str, str]) -> None:
    """No module but the guarded writer, and the listed exceptions, calls functions that write."""
    bot = project / "bot"
    modules = {path.relative_to(bot).as_posix() for path in bot.rglob("*.py") if what.search(path.read_text())}
    assert modules - {"core/guarded_writes.py"} - exceptions.keys() == set()


def test_the_search_finds_the_guarded_writer(project: Path) -> None:
    """The patterns match all writes of the guarded writer itself."""
    text = (project / "bot" / "core" / "guarded_writes.py").read_text()
    assert len(WRITE.findall(text)) == 5
    assert len(LEDGER.findall(text)) == 2
