"""What `steward evaluator check` says: a good evaluator that was written from the documents, and bad ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steward.cli import app
from tests.support.evaluators.suites import FOLDER, GOOD, REPO, faulty, suite, write_questions
from tests.support.long import long_except
from workers.jobs.evaluator_check import EvaluatorFinding, check_evaluator
from workers.jobs.evaluator_check_words import LOG_LINES
from workers.jobs.evaluator_trial import EvaluatorTrial
from workers.models.tiny_model import model as tiny_model

ROOT = Path(__file__).parents[3]
WRITTEN = FOLDER / "word_problems"
SECONDS = 60.0
whole = pytest.mark.long("several runs of an evaluator")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvaluatorTrial]:
    """One sandbox for all tests; each test sets the suite, which names the evaluator."""
    questions = write_questions(tmp_path_factory.mktemp("pairs") / "files")
    with EvaluatorTrial.opened(suite(), tmp_path_factory.mktemp("trial"), {REPO: questions}) as opened:
        yield opened


def first_failure(trial: EvaluatorTrial, fault: str, seconds: float = SECONDS) -> EvaluatorFinding:
    """Return the first check that the evaluator with this fault fails."""
    trial.suite = faulty(fault)
    return next(finding for finding in check_evaluator(trial, seconds=seconds, limit=None) if finding.passed is False)


BAD: dict[str, tuple[str, str]] = {
    "silent": ("It leaves every file", "there is no file samples/nearer.jsonl"),
    "dying": ("It ends without an error", "it ended with status 3"),
    "crashing": ("It ends without an error", "ended by SIGSEGV"),
    "other-model": (
        "It reports the evaluation that its plan asks for",
        "results.json names org/better as the model; the plan says steward/one",
    ),
    "lying": ("Its results follow from its samples", "says 1,000 questions of nearer; its samples have 24"),
    "forging": ("Its results follow from its samples", "says 1.000000 for accuracy of nearer; its samples give"),
    "not-a-number": (
        "Its files are as the contract says",
        "results.json: tasks.nearer.metrics.accuracy: not a finite number",
    ),
    "linking": ("It leaves every file", "there is no file samples/nearer.jsonl"),
    "flooding-progress": ("Its lines of progress are valid", "a line of progress has more than 4,096 bytes"),
    "guessing": ("It gives the same again", "it scores otherwise in a second run of the same model"),
    "asking-all": ("It reads model and limit from its plan", "has 24 questions; the plan's limit is 2"),
    "mistrusting-nothing": ("It gives no results for a broken model", "it reported results all the same"),
    "blaming-itself": ("It gives no results for a broken model", 'write `"fault": "model"`'),
}
"""Fault of an evaluator → title and message of the check that fails."""


@pytest.mark.parametrize("fault", long_except({"not-a-number"}, BAD, "unit tests check an evaluator's files"))
def test_the_first_line_that_fails_says_what_is_wrong(trial: EvaluatorTrial, fault: str) -> None:
    """Each fault fails the check that is about it, with a message that says what the evaluator did."""
    failed, (title, words) = first_failure(trial, fault), BAD[fault]
    assert failed.title == title, failed
    assert words in failed.words


def test_a_timeout_names_the_limit_and_the_progress(trial: EvaluatorTrial) -> None:
    """If an evaluator exceeds its time, the message names the limit, its option, and the reported progress."""
    failed = first_failure(trial, "slow", seconds=1.0)
    assert failed.title == "It ends in time"
    assert failed.words == ("it had not ended after 1 seconds, the time of each run (--seconds); it said no progress")
    assert not failed.log, "the log must not show the worker's own lines"


@whole
def test_output_without_end_does_not_hide_what_is_wrong(trial: EvaluatorTrial) -> None:
    """If an evaluator prints without end, the log in the finding is cut, and the message is a short sentence."""
    failed = first_failure(trial, "flooding-log", seconds=2.0)
    assert failed.title == "It ends in time" and len(failed.words) < 200
    assert 0 < len(failed.log) <= LOG_LINES and max(map(len, failed.log)) < 300


@whole
def test_memory_and_disk_have_limits(trial: EvaluatorTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluator that takes all memory, or fills the disk, is ended before the machine suffers."""
    monkeypatch.setattr("workers.jobs.evaluator_trial.MEMORY_BYTES", 512 << 20)
    monkeypatch.setattr("workers.jobs.evaluator_trial.DISK_BYTES", 64 << 20)
    hoarding = first_failure(trial, "hoarding")
    assert hoarding.title == "It stays within memory and disk" and "more than 512 MiB of memory" in hoarding.words
    assert first_failure(trial, "flooding-disk").title in (
        "It stays within memory and disk",
        "It ends without an error",
    )


@whole
def test_results_before_samples_are_found(trial: EvaluatorTrial) -> None:
    """An evaluator that writes results.json before its samples fails a check."""
    assert first_failure(trial, "leaving-early").title == "It leaves results.json last"


def test_the_log_ends_with_what_the_evaluator_printed(trial: EvaluatorTrial) -> None:
    """The log ends with the evaluator's error and its traceback, without lines of the worker's code."""
    failed = first_failure(trial, "no-such-fault")
    assert failed.log[-1] == "KeyError: 'no_such_fault'"
    assert any("faulty.py" in line for line in failed.log) and not any("/workers/" in line for line in failed.log)


@whole
def test_private_files_are_readable_in_the_sandbox(tmp_path: Path) -> None:
    """A model and questions that only their owner can read are copied for the sandbox's user."""
    questions = write_questions(tmp_path / "files")
    (tmp_path / "model").mkdir(mode=0o700)
    for name, data in tiny_model().items():
        (tmp_path / "model" / name).write_bytes(data)
    for path in (*questions.iterdir(), *(tmp_path / "model").iterdir()):
        path.chmod(0o600)
    questions.chmod(0o700)
    (tmp_path / "trial").mkdir()
    chosen = suite("python", str(GOOD))
    with EvaluatorTrial.opened(chosen, tmp_path / "trial", {REPO: questions}, tmp_path / "model") as opened:
        run = opened.run(seconds=SECONDS)
    assert run.results is not None, run.words


@whole
@pytest.mark.timeout(400)
def test_an_evaluator_written_from_the_documentation_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluator of word problems, written from the documentation alone, passes `steward evaluator check`."""
    monkeypatch.chdir(ROOT)
    words = ["--suite", str(WRITTEN / "suite.yaml"), "--questions", str(WRITTEN / "questions"), "--json"]
    ended = CliRunner().invoke(app, ["evaluator", "check", *words])
    report = json.loads(ended.stdout)
    assert report["passed"], report
    answered = next(finding for finding in report["findings"] if finding["title"] == "It answers every question")
    assert answered["words"] == "12 of left, 9 of rows"
    assert ended.exit_code == 0
