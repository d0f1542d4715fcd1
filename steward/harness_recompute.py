"""Lets the worker's rescoring compute metrics for the bot, which does not import the harness."""

from __future__ import annotations

import threading
from pathlib import Path

from bot.core.metrics_recomputer import CannotRecompute, Recompute, RecomputedSamples
from leaderboard.suites import Suite
from redis_state.clock import iso, now

LIMIT_SECONDS = 3600.0
"""Time of one evaluation, after which its process is ended."""


def harness_recompute(suite: Suite, processes: int = 0, tasks: Path | None = None) -> Recompute:
    """The function that computes metrics again by the harness, if it is installed, in a process without tokens.

    `processes` 0: one for each core. `tasks` is a folder of other task files than those of the suite or the harness.
    """

    def recompute(results: Path, tables: Path, samples: Path) -> RecomputedSamples:
        from workers.errors import RescoringRefused
        from workers.rescoring.process import RescoringProcess

        rescoring = RescoringProcess(suite.model_dump_json(), processes, tasks)
        limit = threading.Timer(LIMIT_SECONDS, rescoring.__exit__)
        try:
            with rescoring:
                limit.start()
                out = results.with_name("recomputed.json")
                done = rescoring.rescore(results, tables, out, source="", at=iso(now()), samples=samples)
        except RescoringRefused as error:
            raise CannotRecompute(str(error)) from error
        finally:
            limit.cancel()
        return RecomputedSamples(done.scored, tuple(done.timed_out))

    return recompute
