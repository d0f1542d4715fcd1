"""Configures the log: one event per line, for people or as JSON."""

from __future__ import annotations

import logging
import sys
from typing import TextIO, cast

import structlog


class _StandardError:
    """Standard error as it is at each line: a test may replace it, and close it, after the log was configured.

    A line that cannot be written raises nothing, because that would end the loop that reports it: the disk is full, or
    the process that read the lines has ended. After the next line that can be written, the log says how many could not.
    """

    def __init__(self) -> None:
        self._failed = 0

    def write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
            if self._failed:
                sys.stderr.write(f"steward: lines of this log that could not be written in time: {self._failed}\n")
                sys.stderr.flush()
        except OSError:
            self._failed += 1
        else:
            self._failed = 0

    def flush(self) -> None:
        """Do nothing: each write flushes."""


_standard_error = _StandardError()


def write_line(line: str) -> None:
    """Write a line to standard error. If it cannot be written, raise nothing, and count it for the next line."""
    _standard_error.write(f"{line}\n")


def configure_logs(level: str = "info", *, as_json: bool = False) -> None:
    """Write events of `level` and above to standard error."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _standard_error)),
        cache_logger_on_first_use=True,
    )
