"""Sentences of `steward evaluator check` about a run, for the evaluator's author."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leaderboard.evidence import MAX_LINE_CHARS
from leaderboard.jsontext import JsonObject
from leaderboard.steward_block import BLOCK
from workers.common.logs import WORKER_PREFIX
from workers.common.run_plan import RunLimits, RunProgress

LOG_LINES = 8
"""Lines at the end of a log that are shown."""
SHOWN_TASKS = 4
"""Tasks whose number of questions is shown."""
_BROKEN_REPORTED = "its weights were cut off, and it reported results all the same"
_BROKEN_BLAMED_ITSELF = (
    'its weights were cut off, and failure.json names the evaluator: write `"fault": "model"`, so that the model\'s '
    "author is told"
)
_BROKEN_UNTOLD = (
    'without a failure.json with `"fault": "model"`, the model\'s author is not told why, and the evaluation is '
    "tried twice"
)
_STOPPED: Mapping[str, str] = {
    "time-limit": "it had not ended after {seconds:g} seconds, the time of each run (--seconds); {progress}",
    "stalled": "it made no progress for {stall_seconds:g} seconds, the time of each run (--seconds); {progress}",
    "memory-limit": "it held more than {memory:,} MiB of memory, nine tenths of this machine's; {progress}",
    "spool-limit": "its files had more than {disk:,} MiB; {progress}",
}
_KILLED = "{words}; the system ends a process in this way if it needs too much memory"


def failure_words(cause: str, words: str, stopped: str, limits: RunLimits, progress: Sequence[RunProgress]) -> str:
    """Why a run failed: `stopped` is the worker's reason to end it, or ""; `words` say how it ended otherwise."""
    if stopped in _STOPPED:
        return _STOPPED[stopped].format(
            seconds=limits.max_seconds,
            stall_seconds=limits.stall_seconds,
            memory=(limits.memory_bytes or 0) >> 20,
            disk=(limits.spool_bytes or 0) >> 20,
            progress=_progress_words(progress),
        )
    if stopped:
        return f"{words or cause} (stopped: {stopped})"
    return _KILLED.format(words=words) if cause == "killed-by-kernel" else words


def _progress_words(progress: Sequence[RunProgress]) -> str:
    counts = [line for line in progress if line.done or line.total]
    if not counts:
        return "it said no progress"
    total = f" of {counts[-1].total:,}" if counts[-1].total else ""
    return f"its last line of progress says {counts[-1].done:,}{total} questions"


def answered_words(results: JsonObject | None) -> str:
    """The number of questions that each task asked, for the author to compare with the task."""
    assert results is not None
    tasks = results[BLOCK]["digests"]["tasks"]
    counts = [f"{parts['asked']['questions']:,} of {task}" for task, parts in tasks.items()]
    more = [f"{len(counts) - SHOWN_TASKS} more tasks"] if len(counts) > SHOWN_TASKS else []
    return ", ".join([*counts[:SHOWN_TASKS], *more])


def broken_model_words(reported: bool, cause: str) -> tuple[bool, str]:
    """Whether an evaluator gives no results for a broken model, and what it could do better.

    `reported`: whether it left results; otherwise `cause` is that of its failure.
    """
    if reported:
        return False, _BROKEN_REPORTED
    if cause == "evaluator-gave-up":
        return False, _BROKEN_BLAMED_ITSELF
    return True, "" if cause == "evaluator-refused-model" else _BROKEN_UNTOLD


def log_end(log: str) -> tuple[str, ...]:
    """The last lines of `log` that the evaluator wrote, each cut."""
    prefix = WORKER_PREFIX.decode()
    lines = [line.rstrip() for line in log.splitlines() if line.strip() and not line.startswith(prefix)]
    return tuple(line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]} …" for line in lines[-LOG_LINES:])
