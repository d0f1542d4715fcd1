"""The sentences that `steward evaluator check` prints about a run."""

from __future__ import annotations

import pytest

from leaderboard.steward_block import BLOCK
from workers.common.run_plan import RunLimits, RunProgress
from workers.jobs.evaluator_check_words import answered_words, broken_model_words, failure_words, log_end

LIMITS = RunLimits(max_seconds=20, stall_seconds=20, memory_bytes=2 << 30, spool_bytes=1 << 30)
STARTED = RunProgress("evaluate")

CASES: dict[str, tuple[str, list[RunProgress], str]] = {
    "nothing was said": (
        "time-limit",
        [STARTED],
        "it had not ended after 20 seconds, the time of each run (--seconds); it said no progress",
    ),
    "some questions were done": (
        "time-limit",
        [STARTED, RunProgress("evaluate", 1_007, 2_000)],
        "it had not ended after 20 seconds, the time of each run (--seconds); "
        "its last line of progress says 1,007 of 2,000 questions",
    ),
    "the total was not known": (
        "stalled",
        [RunProgress("evaluate", 7)],
        "it made no progress for 20 seconds, the time of each run (--seconds); "
        "its last line of progress says 7 questions",
    ),
    "too much memory": (
        "memory-limit",
        [],
        "it held more than 2,048 MiB of memory, nine tenths of this machine's; it said no progress",
    ),
    "too many files": ("spool-limit", [], "its files had more than 1,024 MiB; it said no progress"),
    "another reason": ("flood", [], "the last line (stopped: flood)"),
}


@pytest.mark.parametrize(("stopped", "progress", "words"), CASES.values(), ids=CASES)
def test_a_stopped_run_is_reported_with_its_limit_and_progress(
    stopped: str, progress: list[RunProgress], words: str
) -> None:
    """For a run that was stopped, the command prints the limit that it reached and its last progress."""
    assert failure_words("any", "the last line", stopped, LIMITS, progress) == words


def test_a_run_that_ended_by_itself_is_reported_with_its_end() -> None:
    """For a run that ended by itself, the command prints how it ended, and the usual reason for SIGKILL."""
    assert failure_words("evaluator-ended", "it ended with status 3", "", LIMITS, []) == "it ended with status 3"
    assert "needs too much memory" in failure_words("killed-by-kernel", "ended by SIGKILL", "", LIMITS, [])


def test_the_end_of_the_log_is_short_and_has_no_line_of_the_worker() -> None:
    """The printed end of the log has at most eight lines, each shortened, and none of the worker's own."""
    log = "\n".join([*(f"line {number}" for number in range(20)), "", "x" * 5_000, "[worker] the child is stopped"])
    lines = log_end(log)
    assert (len(lines), lines[0]) == (8, "line 13")
    assert lines[-1].startswith("xxx") and len(lines[-1]) < 300


def test_the_number_of_questions_of_each_task_is_printed() -> None:
    """The command prints the number of questions of the first four tasks, and how many more tasks there are."""
    tasks = {f"t{number}": {"asked": {"questions": 1_000 + number}} for number in range(6)}
    assert answered_words({BLOCK: {"digests": {"tasks": tasks}}}) == (
        "1,000 of t0, 1,001 of t1, 1,002 of t2, 1,003 of t3, 2 more tasks"
    )


def test_what_happens_to_a_broken_model_is_judged() -> None:
    """For a broken model, results or a failure blamed on the evaluator are faults; a missing failure.json is not."""
    assert broken_model_words(True, "") == (False, "its weights were cut off, and it reported results all the same")
    assert broken_model_words(False, "evaluator-refused-model") == (True, "")
    blamed, untold = (broken_model_words(False, cause) for cause in ("evaluator-gave-up", "evaluator-ended"))
    assert blamed[0] is False and '`"fault": "model"`' in blamed[1]
    assert untold[0] is True and "tried twice" in untold[1]
