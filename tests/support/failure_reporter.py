"""A plugin of pytest that prints each failure when it happens, instead of at the end of the run."""

from __future__ import annotations

import time

import pytest

LINES = 100
"""Lines of a failure that are printed at once; the report at the end has all of them."""


class FailureReporter:
    """Prints every failure, also of tests that ran in another process of pytest-xdist."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self.terminal, self.began = terminal, time.monotonic()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print a failed set-up, call or tear-down of a test."""
        if report.failed:
            self._tell(report, report.when or "")

    @pytest.hookimpl(trylast=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Print the error of a file that could not be imported."""
        if report.failed:
            self._tell(report, "import")

    def _tell(self, report: pytest.TestReport | pytest.CollectReport, phase: str) -> None:
        crash = getattr(report.longrepr, "reprcrash", None)
        words = f"{crash.path}:{crash.lineno}: {crash.message}" if crash else report.longreprtext
        seconds = time.monotonic() - self.began
        self.terminal.ensure_newline()
        self.terminal.write_line(f"FAILED after {seconds:.0f} s: {report.nodeid} ({phase})", red=True)
        for line in words.splitlines()[:LINES]:
            self.terminal.write_line(f"    {line}")
        self.terminal.flush()  # output to a pipe would stay in a buffer, perhaps for minutes


def pytest_sessionstart(session: pytest.Session) -> None:
    """Report only in the process with the terminal: the worker processes of pytest-xdist have none."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        session.config.pluginmanager.register(FailureReporter(terminal))
