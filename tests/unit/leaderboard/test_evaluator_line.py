"""The command line that repeats an evaluation by another evaluator than lm-eval, and when there is none."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from leaderboard.command_lines import NotReproducible, ReproductionCommand
from leaderboard.reproduction import reproduction_command
from leaderboard.result_digests import ResultDigests
from leaderboard.results import ResultsFile
from leaderboard.scores import Scores
from leaderboard.steward_block import StewardBlock
from leaderboard.suites import Suite, find_suite, parse_suite
from tests.support.evaluators.code import SUITE
from tests.support.evaluators.suites import suite
from tests.unit.leaderboard.test_evaluator_needs import BLOCK

COMMIT, QUESTIONS = "a" * 40, "c" * 40
HOSTILE = "$(touch pwned)`touch pwned`;touch pwned|'\"\n&& touch pwned # "
CODE = parse_suite(yaml.safe_dump(SUITE))


def made(of: Suite = CODE, **changes: Any) -> ReproductionCommand:
    """The command for results of a suite."""
    fields = {
        "model": "org/model",
        "revision": COMMIT,
        "precision": "bfloat16",
        "batch_size": 8,
        "datasets": {of.datasets[0].repo: QUESTIONS},
        "suite_digest": of.digest,
        "versions": {"torch": "2.9.1+cu128", "python": "3.11.9", "steward": "1.0", "python of solutions": "3.11"},
        "hardware": "NVIDIA H100",
    }
    block = StewardBlock.model_validate({**BLOCK, **fields, **changes})
    return reproduction_command(ResultsFile(block, Scores((), 0.0), {"results": {}}), of)


def test_the_line_installs_downloads_and_evaluates() -> None:
    """The command installs exact versions, downloads pinned commits and runs the evaluator with the same options."""
    command = made(use_chat_template=True)
    assert command.install == "python -m pip install torch==2.9.1"
    steps = [shlex.split(step) for step in command.run.split(" && ")]
    assert steps[0] == [
        "hf",
        "download",
        "org/model",
        "--revision",
        COMMIT,
        "--local-dir",
        f"steward-model-{COMMIT[:12]}",
    ]
    assert steps[1][:7] == ["hf", "download", "ada/problems", "--repo-type", "dataset", "--revision", QUESTIONS]
    assert parse_suite(steps[2][2]) == CODE and steps[2][3:] == [">", "steward-suite.yaml"]
    assert " ".join(steps[3]) == (
        f"steward evaluator run --suite steward-suite.yaml --model steward-model-{COMMIT[:12]} --name org/model "
        f"--revision {COMMIT} --precision bfloat16 --batch-size 8 "
        "--questions ada/problems=steward-questions/ada/problems --chat-template --output steward-results"
    )
    assert any("Steward 1.0 runs it" in note for note in command.notes)
    assert any("NVIDIA H100" in note for note in command.notes)
    assert not any("a program of this board" in note for note in command.notes)


def test_folders_of_the_boards_machines_are_not_shown() -> None:
    """Programs of the board are shown without their folders, a note names them, and the digest is unchanged."""
    own = suite("/opt/secret/venv/bin/python3", "/opt/secret/pairs.py", "--fast")
    command = made(own)
    assert "secret" not in command.line
    text = shlex.split(command.run.split(" && ")[2])[2]
    shown = parse_suite(text)
    assert shown.evaluator is not None and shown.evaluator.command == ("python", "./pairs.py", "--fast")
    assert shown.digest == own.digest
    assert any("pairs 1.0 is a program of this board" in note and "./pairs.py" in note for note in command.notes)


def test_packages_of_the_board_are_named() -> None:
    """The command does not install packages that may be the board's own; a note names them."""
    versions = {"inspect_ai": "0.3.285", "our_evals": "1.0"}
    for packages, named in ((versions, True), ({"inspect_ai": "0.3.285"}, False)):
        command = made(digests=ResultDigests.model_construct(versions=packages), versions=packages)
        assert command.install == "python -m pip install inspect-ai==0.3.285"
        assert any("names these packages: our-evals." in note for note in command.notes) is named


def test_a_copy_of_the_questions_stands_for_the_suites_own() -> None:
    """If the board asked from its own copy of the questions, the command downloads that copy."""
    run = made(datasets={"board/copy": QUESTIONS}).run
    assert f"hf download board/copy --repo-type dataset --revision {QUESTIONS}" in run
    assert "--local-dir steward-questions/ada/problems" in run


def test_texts_of_a_suite_are_quoted(tmp_path: Path) -> None:
    """Shell characters in a suite are quoted: nothing else runs, and the written file has the suite's digest."""
    evaluator = {**SUITE["evaluator"], "options": {"stop": [HOSTILE, "é😀\u2028"]}}
    hostile = parse_suite(yaml.safe_dump({**SUITE, "evaluator": evaluator, "title": HOSTILE}))
    run = made(hostile).run
    step = run[run.index("printf") : run.index(" && steward evaluator run")]
    subprocess.run(["sh", "-c", step], cwd=tmp_path, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["steward-suite.yaml"]
    assert find_suite(str(tmp_path / "steward-suite.yaml")).digest == hostile.digest


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": HOSTILE}, "name a model that cannot exist"),
        ({"weight_type": "Adapter"}, f"no command line for adapters .* steward reproduce {BLOCK['attempt']}"),
        ({"datasets": {}}, "the commit of the questions"),
        ({"datasets": {"a/b": QUESTIONS, "c/d": QUESTIONS}}, "the commit of the questions"),
        ({"datasets": {HOSTILE: QUESTIONS}}, "the commit of the questions"),
        ({"datasets": {"ada/problems": HOSTILE}}, "the commit of the questions"),
    ],
)
def test_there_is_no_line_where_something_is_not_known(changes: dict[str, Any], reason: str) -> None:
    """If a fact about the results is missing or invalid, an error without a command line says which one."""
    with pytest.raises(NotReproducible, match=reason):
        made(**changes)


def test_a_suite_that_fills_a_comment_has_no_line() -> None:
    """A suite that is too long for a comment on the Hub has no command line, and the error says so."""
    evaluator = {**SUITE["evaluator"], "options": {"stop": ["x" * 10_000] * 2}}
    errata = [{"task": "times", "question": number, "reason": "x" * 400} for number in range(40)]
    large = parse_suite(
        yaml.safe_dump({**SUITE, "evaluator": {**evaluator, "options": {"x": "y" * 15_000}}, "errata": errata})
    )
    with pytest.raises(NotReproducible, match="too long for a command line"):
        made(large)
