"""The demo's display: one line per event, and a progress bar for each running evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from bot.read_models.models import PHASES
from steward.demo.watch import DemoResult, SubmissionReport, SubmissionStatus

MARKS = {"FINISHED": "✅", "FAILED": "❌"}
SILENCE = 5.0
"""Seconds without a new line after which a line names what the demo waits for."""


class Timeline:
    """Prints each event once, and shows a progress bar for each running attempt."""

    def __init__(self, console: Console, *, live: bool) -> None:
        self._console, self._live = console, live
        self._began = self._last_line = time.monotonic()
        self._said: dict[str, str] = {}
        self._progress = Progress(
            TextColumn("         {task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            console=console,
            disable=not live,
            transient=True,
        )
        self._progress.start()
        self._bars: dict[str, TaskID] = {}

    def say(self, words: str) -> None:
        """Print one line with the seconds since the start."""
        self._last_line = time.monotonic()
        self._progress.console.print(
            f"[dim]{time.monotonic() - self._began:7.1f}s[/dim] {escape(words)}", highlight=False
        )

    def show(self, standings: list[SubmissionStatus], *, has_worker: bool) -> None:
        """Print the changes since the last call, or after a silence what the demo waits for."""
        for standing in standings:
            self._bar(standing)
            words = _words(standing)
            key = standing.submission.path
            if self._said.get(key) != words:
                self._said[key] = words
                self.say(f"{standing.submission.model}: {words}")
        waiting = [standing for standing in standings if not standing.ended]
        is_shown = self._live and self._bars
        if waiting and not is_shown and time.monotonic() - self._last_line > SILENCE:
            why = "" if has_worker else "; the worker is still loading the evaluation harness"
            self.say(f"… {waiting[0].submission.model}: {_words(waiting[0])}{_done(waiting[0])}{why}")

    def _bar(self, standing: SubmissionStatus) -> None:
        model, attempt = standing.submission.model, standing.attempt
        if attempt is None or not attempt.progress.total:
            if model in self._bars:
                self._progress.remove_task(self._bars.pop(model))
            return
        if model not in self._bars:
            self._bars[model] = self._progress.add_task(model, total=attempt.progress.total)
        self._progress.update(self._bars[model], completed=attempt.progress.done, total=attempt.progress.total)

    def ending(self, result: DemoResult) -> None:
        """Print the scores, outcomes and threads."""
        self._progress.stop()
        table = Table(title=f"Results after {result['seconds']} s", title_justify="left")
        for heading in ("Model", "Status", "Outcome", "Thread"):
            table.add_column(heading, overflow="fold")
        for request in result["requests"]:
            mark = MARKS.get(request["status"], "") if request["right"] else "❗ not as expected:"
            table.add_row(
                escape(request["model"]), f"{mark} {request['status']}", _outcome(request), request["thread"] or ""
            )
        self._console.print(table)

    def serve_on(self, next_steps: str, check: Callable[[], None]) -> None:
        """Print what to try next, and keep serving until Ctrl-C."""
        self._console.print(f"\n{escape(next_steps)}", highlight=False, soft_wrap=True)
        while True:
            check()
            time.sleep(0.5)

    def close(self) -> None:
        """Remove the live display."""
        self._progress.stop()


def _words(standing: SubmissionStatus) -> str:
    if standing.failure is not None and standing.ended:
        return f"{standing.status}: {standing.failure.cause}"
    if standing.attempt is not None:
        phase = standing.attempt.progress.phase
        return f"{standing.status}, {PHASES.get(phase, phase or 'getting ready')}"
    return standing.status


def _done(standing: SubmissionStatus) -> str:
    progress = standing.attempt.progress if standing.attempt is not None else None
    return f", {progress.done} of {progress.total}" if progress is not None and progress.total else ""


def _outcome(request: SubmissionReport) -> str:
    if request["scores"]:
        rows = [f"{name}: {score:.1f}" for name, score in request["scores"]["benchmarks"].items()]
        return "\n".join([f"[bold]Average: {request['scores']['average']:.1f}[/bold]", *map(escape, rows)])
    failure = request["failure"]
    return escape(f"{failure['cause']}: {failure['message']}") if failure else ""
