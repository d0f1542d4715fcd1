"""How `steward evaluator check` rejects wrong arguments before it runs anything."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from steward.cli import app
from tests.support.evaluators.suites import suite_fields, write_questions

CASES: dict[str, tuple[list[str], str]] = {
    "a suite of lm-eval": (["--suite", "starter", "--questions", "q"], "the suite starter names no evaluator"),
    "no such folder": (["--suite", "suite.yaml", "--questions", "nowhere"], "a folder of questions for ada/pairs"),
    "a dataset of another suite": (["--suite", "suite.yaml", "--questions", "org/other=q"], "for ada/pairs"),
    "no such program": (["--suite", "suite.yaml", "--questions", "q", "--", "/nowhere/x"], "no program /nowhere/x"),
    "no such script": (
        ["--suite", "suite.yaml", "--questions", "q", "--", "python", "x.py"],
        "there is no file x.py in",
    ),
    "no such file": (
        ["--suite", "suite.yaml", "--questions", "q", "--", "sh", "-e", "./x.sh"],
        "there is no file ./x.sh",
    ),
    "no such suite": (["--suite", "none.yaml", "--questions", "q"], "There is no suite"),
}


@pytest.mark.parametrize(("arguments", "words"), CASES.values(), ids=CASES)
def test_wrong_arguments_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    """Wrong arguments end with status 2 and a message that says what to change."""
    monkeypatch.chdir(tmp_path)
    Path("suite.yaml").write_text(yaml.safe_dump(suite_fields()))
    write_questions(Path("q"))
    ended = CliRunner().invoke(app, ["evaluator", "check", *arguments])
    assert ended.exit_code == 2
    assert words in " ".join(ended.stderr.split())
