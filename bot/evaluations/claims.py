"""Compares results that a worker published with its samples, and with answers that another worker computes, before the
bot publishes them; each comparison is made once."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.context import BoardContext
from bot.evaluations.cross_checks import cross_check
from bot.evaluations.recomputing import recomputed_metrics
from bot.evaluations.samples import SamplesNotShown, compare_with_samples
from hub.errors import Garbled
from hub.records import Repo
from leaderboard.attempts import Details
from leaderboard.cross_checks import CrossCheckRecord
from leaderboard.requests import Request
from leaderboard.results import ResultsFile, dump
from leaderboard.sample_checks import MAX_UNCHECKED, CheckedSamples, SamplesDiffer
from leaderboard.steward_block import with_block
from redis_state.board.sample_verdicts import RecomputedMetrics, published_as


class SamplesRefused(Exception):
    """The results do not follow from the samples that the worker published; the message names the difference."""


@dataclass(frozen=True)
class PublishedResults:
    """The results of an attempt, as they are in a details repo. `may_lag`: the Hub may not show all of it yet."""

    attempt: str
    repo: Repo
    details: Details
    results: ResultsFile
    may_lag: bool = False

    @property
    def key(self) -> str:
        """The key under which the comparisons of this publication of the attempt are stored."""
        return published_as(self.attempt, self.details)


def compare(context: BoardContext, request: Request, published: PublishedResults) -> CheckedSamples:
    """Compare the results with the samples beside them. Raises SamplesRefused, HubError and ProbeError."""
    checked = context.sample_verdicts.compared(published.key)
    if checked is not None:
        return checked
    try:
        checked = compare_with_samples(
            context, request.path.model, published.repo, published.details, published.results
        )
    except SamplesNotShown as error:
        if published.may_lag:
            raise Garbled(f"The Hub does not show what a worker committed yet: {error}") from error
        raise SamplesRefused(str(error)) from error
    except SamplesDiffer as error:
        raise SamplesRefused(str(error)) from error
    context.sample_verdicts.note_compared(published.key, checked)
    return checked


def compared_results(context: BoardContext, request: Request, published: PublishedResults) -> bytes | None:
    """The results file with the record of the comparisons; None while metrics or answers are still being computed.

    Raises SamplesRefused, AnswersRefuted, HubError, MirrorDamaged and ProbeError.
    """
    checked = compare(context, request, published)
    location = (published.repo, published.details, published.results)
    metrics, cross_checked = (
        recomputed_metrics(context, request, published.key, *location),
        cross_check(context, request, *location),
    )
    return (
        _file(published, checked, metrics, cross_checked.record) if metrics is not None and cross_checked.done else None
    )


def _file(
    published: PublishedResults,
    checked: CheckedSamples,
    metrics: RecomputedMetrics,
    cross_checked: CrossCheckRecord | None,
) -> bytes:
    """The results file with the bot's own record of the comparisons, never a worker's. Raises SamplesRefused."""
    if metrics.differs:
        raise SamplesRefused(metrics.differs)
    unchecked = (*checked.unchecked, *metrics.notes)[:MAX_UNCHECKED]
    facts = {
        "recomputed": metrics.samples,
        "not_recomputed": metrics.not_done,
        "unchecked": unchecked,
        "again": cross_checked,
    }
    ours = {"checked": checked.model_copy(update=facts), "doubted": "", "rescored_from": None}
    block = published.results.block.model_copy(update=ours)
    return dump(with_block(published.results.data, block))
