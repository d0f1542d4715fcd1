"""Evaluators in the worker's own sandbox: a good one, one with each fault, and what `steward evaluator check` says."""

from __future__ import annotations

import socket
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from leaderboard.failures import cause
from tests.support.evaluators.suites import FOLDER, GOOD, REPO, faulty, scoring, suite, write_questions
from tests.support.long import long_except
from workers.errors import EvaluatorMissing
from workers.evaluation.evaluator_command import evaluator_command
from workers.jobs.evaluator_check import EvaluatorFinding, check_evaluator, failures
from workers.jobs.evaluator_trial import EvaluatorTrial, TrialRun

SECONDS = 60.0
whole = pytest.mark.long("one run of an evaluator more")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvaluatorTrial]:
    """One sandbox for all tests; each test sets the suite, which names the evaluator."""
    questions = write_questions(tmp_path_factory.mktemp("pairs") / "files")
    with pytest.MonkeyPatch.context() as environment:
        for secret in ("HF_TOKEN", "STEWARD_WORKER_TOKEN", "REDIS_URL"):
            environment.setenv(secret, "secret")
        with EvaluatorTrial.opened(suite(), tmp_path_factory.mktemp("trial"), {REPO: questions}) as opened:
            yield opened


def run(trial: EvaluatorTrial, fault: str, *arguments: str, seconds: float = SECONDS) -> TrialRun:
    """One run of the evaluator with this fault."""
    trial.suite = faulty(fault, *arguments)
    return trial.run(seconds=seconds)


def test_a_good_evaluator_passes_every_check(trial: EvaluatorTrial) -> None:
    """An evaluator of sixty lines that uses no library passes all 16 checks."""
    trial.suite = suite("python", str(GOOD))
    findings = list(check_evaluator(trial, seconds=SECONDS, limit=None))
    assert not [finding for finding in findings if not finding.passed]
    assert len(findings) == 16


@whole
def test_an_evaluator_that_scores_again_is_checked_for_it(trial: EvaluatorTrial) -> None:
    """An evaluator that can rescore gets the samples of its own run, and passes if it gives the same scores."""
    trial.suite = scoring("good")
    finding = scored_again(trial)
    assert (finding.title, finding.passed) == ("It scores stored samples again", True), finding


def scored_again(trial: EvaluatorTrial) -> EvaluatorFinding:
    """Return the finding about rescoring, without the checks after it."""
    findings = check_evaluator(trial, seconds=SECONDS, limit=6)
    return next(finding for finding in findings if "stored samples" in finding.title)


@whole
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("other-output", "other outputs or errors"),
        ("other-prompt", "other prompts or questions"),
        ("forgetful", "other prompts or questions"),
        ("wrong", "otherwise"),
        ("missing", "it failed"),
    ],
)
def test_each_fault_of_scoring_again_is_found(trial: EvaluatorTrial, fault: str, words: str) -> None:
    """The check finds each fault of an evaluator's rescoring, and says what differs."""
    trial.suite = scoring(fault)
    finding = scored_again(trial)
    assert finding.passed is False and words in finding.words


FAULTS: dict[str, tuple[str, str]] = {
    "silent": ("evaluator-left-nothing", "there is no file samples/nearer.jsonl"),
    "without-samples": ("evaluator-left-nothing", "there is no file samples/nearer.jsonl"),
    "flooding-progress": ("progress", "a line of progress"),
    "forging": ("evaluator-contradiction", "says 1.000000 for accuracy of nearer; its samples give"),
    "other-model": ("evaluator-other-run", "names org/better as the model"),
    "dying": ("evaluator-ended", "it ended with status 3"),
    "out-of-gpu-memory": ("gpu-out-of-memory", "it ended with status 1"),
    "crashing": ("crashed", "SIGSEGV"),
    "lying": ("evaluator-contradiction", "says 1,000 questions of nearer; its samples have 24"),
    "not-a-number": ("evaluator-files-invalid", "results.json: tasks.nearer.metrics.accuracy: "),
    "linking": ("evaluator-left-nothing", "there is no file samples/nearer.jsonl"),
    "giving-up": ("evaluator-gave-up", "there is no licence for the tests"),
}
"""Fault → cause of the failure, and a part of its message."""
SHOWN = {"silent", "forging", "dying", "out-of-gpu-memory"}
"""The faults that `make test` runs: unit tests check an evaluator's files."""


@pytest.mark.parametrize("fault", long_except(SHOWN, FAULTS, "starts a sandbox; unit tests check an evaluator's files"))
def test_each_fault_has_its_cause(trial: EvaluatorTrial, fault: str) -> None:
    """A run of a faulty evaluator fails with the cause in the table, and with a message for the evaluator's author."""
    ended, (code, words) = run(trial, fault), FAULTS[fault]
    assert (ended.results, ended.cause) == (None, code)
    assert words in ended.words


def test_the_model_is_not_at_fault_for_what_its_evaluator_leaves() -> None:
    """Failures that invalid files of an evaluator cause are the board's fault, not the submission's."""
    faults = {
        cause(code).fault for code, _ in FAULTS.values() if code.startswith("evaluator-") and code != "evaluator-ended"
    }
    assert faults == {"us"}


def test_a_slow_evaluator_is_ended_at_its_limit(trial: EvaluatorTrial) -> None:
    """An evaluator that exceeds its time limit is ended, and the cause is `time-limit`."""
    started = time.monotonic()
    ended = run(trial, "slow", seconds=1.0)
    assert ended.cause == "time-limit" and time.monotonic() - started < 15


@whole
def test_endless_output_is_cut_and_ended_with_the_evaluator(trial: EvaluatorTrial) -> None:
    """The log of an evaluator that prints without end stays below 1 MiB, and the evaluator ends at its time limit."""
    ended = run(trial, "flooding-log", seconds=1.0)
    assert ended.cause == "time-limit" and ended.log.cut > 1 << 20
    assert len(ended.log.text()) < 1 << 20


@whole
def test_gigabytes_are_not_written(trial: EvaluatorTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluator that fills the disk is ended at its limit."""
    monkeypatch.setattr("workers.jobs.evaluator_trial.DISK_BYTES", 64 << 20)
    assert run(trial, "flooding-disk").cause in ("file-limit", "disk-full", "evaluator-ended")


def test_nothing_is_written_outside_its_folder(trial: EvaluatorTrial) -> None:
    """An evaluator that tries to write outside its folder leaves no file there, and its evaluation goes on."""
    ended = run(trial, "writing-outside")
    assert ended.results is not None, ended.words
    assert not list(trial.slot.folder.rglob("steward-was-here")) + list(trial.questions.rglob("steward-was-here"))


def test_there_is_no_network_and_no_token(trial: EvaluatorTrial) -> None:
    """An evaluator can reach no server, not even on the same machine, and finds no token in its environment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = run(trial, "phoning", str(server.getsockname()[1]))
    assert ended.results is not None, ended.words


@whole
def test_a_broken_model_is_the_models_fault_where_the_evaluator_says_so(trial: EvaluatorTrial, tmp_path: Path) -> None:
    """If the evaluator's failure.json blames the model, the submission is at fault and gets the evaluator's message."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes((trial.model / "model.safetensors").read_bytes()[:-1])
    trial.suite = suite("python", str(GOOD))
    ended = trial.run(seconds=SECONDS, model=tmp_path / "model")
    assert (ended.cause, ended.words) == ("evaluator-refused-model", "the weights are cut off")
    assert cause(ended.cause).fault == "submission"


SCRIPT = """\
set -e
echo '{"done": 0, "total": 1}' >&$STEWARD_PROGRESS
digest=$(printf '{}' | sha256sum | cut -d' ' -f1)
sample='"question": {}, "prompt": "?", "output": "!", "metrics": {"accuracy": 1}'
echo '{"id": 0, "question_digest": "'$digest'", '$sample'}' > samples/nearer.jsonl
echo '{"done": 1, "total": 1}' >&$STEWARD_PROGRESS
model=$(sed -n '/"model": {/,/}/s/.*"name": "\\(.*\\)",/\\1/p' plan.json)
revision=$(sed -n '/"model": {/,/}/s/.*"revision": "\\(.*\\)",/\\1/p' plan.json)
echo '{"contract": 1, "evaluator": {"name": "pairs", "version": "1.0"}, "model": "'$model'", "revision": "'$revision'",
    "tasks": {"nearer": {"questions": 1, "metrics": {"accuracy": 1}}}}' > results.json
"""


def test_a_shell_script_is_an_evaluator(trial: EvaluatorTrial, tmp_path: Path) -> None:
    """An evaluator can be a shell script, which reports its progress by a redirection."""
    (tmp_path / "evaluate.sh").write_text(SCRIPT)
    trial.suite = suite("sh", str(tmp_path / "evaluate.sh"))
    ended = trial.run(seconds=SECONDS)
    assert ended.results is not None, (ended.words, ended.log.text())
    assert [(progress.done, progress.total) for progress in ended.progress] == [(0, 0), (1, 1)]


@whole
def test_an_environment_of_its_own_runs_in_the_sandbox(trial: EvaluatorTrial, tmp_path: Path) -> None:
    """An evaluator in a virtual environment imports its own packages and modules, and none of the worker's packages."""
    venv.create(tmp_path / "venv", with_pip=False)
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (site / "only_here.py").write_text("")
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "pairs.py").write_text(GOOD.read_text())
    words = ["import importlib.util", "import only_here", "import pairs"]
    words += ["assert importlib.util.find_spec('pydantic') is None", "pairs.main()"]
    (tmp_path / "program" / "__main__.py").write_text("\n".join(words))
    trial.suite = suite(str(tmp_path / "venv" / "bin" / "python"), str(tmp_path / "program"))
    ended = trial.run(seconds=SECONDS)
    assert ended.results is not None, (ended.words, ended.log.text())


def test_the_check_says_what_is_wrong(trial: EvaluatorTrial) -> None:
    """The checks before the fault pass, the faulty one fails, and those after it are not run."""
    trial.suite = faulty("forging")
    findings = list(check_evaluator(trial, seconds=SECONDS, limit=None))
    assert failures(findings) == 1
    assert [finding.passed for finding in findings] == [True] * 8 + [False, None]


def test_the_check_shows_the_end_of_the_log(trial: EvaluatorTrial) -> None:
    """If an evaluator ends with an error, the finding shows the error from its log."""
    trial.suite = faulty("no-such-fault")
    failed = next(finding for finding in check_evaluator(trial, seconds=SECONDS, limit=None) if not finding.passed)
    assert failed.title == "It ends without an error" and "KeyError: 'no_such_fault'" in failed.log


def test_a_missing_program_is_reported_at_once(tmp_path: Path) -> None:
    """A command whose program is missing, or that needs the whole machine in the sandbox, raises EvaluatorMissing."""
    with pytest.raises(EvaluatorMissing, match="there is no program /opt/nowhere/bin/python"):
        evaluator_command(suite("/opt/nowhere/bin/python", "-m", "pairs"))
    with pytest.raises(EvaluatorMissing, match="the whole machine"):
        evaluator_command(suite("python", "/"))


def test_the_sandbox_shows_what_the_command_names(tmp_path: Path) -> None:
    """The sandbox contains the evaluator's script, and its whole virtual environment with the base interpreter."""
    environment, home = tmp_path / "venv", tmp_path / "python"
    (environment / "bin").mkdir(parents=True)
    (home / "bin").mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text(f"home = {home / 'bin'}\nversion = 3.12\n")
    (environment / "bin" / "python").symlink_to("/bin/sh")
    command = evaluator_command(suite(str(environment / "bin" / "python"), str(FOLDER / "pairs.py"), "nothing"))
    assert command is not None
    assert command.folders == (environment, home, FOLDER / "pairs.py")
    assert command.words == (str(environment / "bin" / "python"), str(FOLDER / "pairs.py"), "nothing")
