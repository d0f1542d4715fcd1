"""Computes the metrics of a worker's samples again from its stored answers, before the results are published.

This takes minutes for a large suite, so a sync starts the computation and ends; the request is synced again when it is
done. Redis stores the verdict for all sync processes. Until then, each process that syncs the request computes it.

Race accepted: the process ends meanwhile. The request is synced again after RECHECK_SECONDS, which starts it anew.
"""

from __future__ import annotations

import traceback
from collections.abc import Collection
from pathlib import Path

import structlog

from bot.core.context import BoardContext, request_key
from bot.core.metrics_recomputer import CannotRecompute
from bot.evaluations.samples import SamplesNotShown, TablePlace, asked_questions, table_places, task_samples
from bot.probe.process import ProbeError
from bot.results.details_tables import MAX_TABLE
from hub.errors import Denied, HubError, TooLarge
from hub.records import Repo
from leaderboard.attempts import Details
from leaderboard.recomputed_metrics import MetricComparison, check_recomputed
from leaderboard.requests import Request
from leaderboard.results import ResultsFile, dump
from leaderboard.sample_checks import SamplesDiffer, UnreadableSamples, check_samples
from redis_state.board.sample_verdicts import RecomputedMetrics

log = structlog.get_logger()

RECHECK_SECONDS = 60.0
PATIENCE_SECONDS = 2 * 3600.0
"""Time since the computation began, or the bot came back, after which results are published without it: no answer of a
model can hold them back for ever."""
OFF = "this bot does not compute metrics again (STEWARD_RECOMPUTE_METRICS)"
OTHER_EVALUATOR = "metrics of {name} are not computed again: only those of lm-eval are"
LATE = f"it takes more than {PATIENCE_SECONDS / 3600:.0f} hours"
MAX_STARTS = 10
"""Starts without an end after which results are published without the computation: it may use so much memory that it
ends the whole container, which then starts again. Several processes of a bot may compute the same."""
ENDED = f"its process ended {MAX_STARTS} times"


def recomputed_metrics(
    context: BoardContext, request: Request, published: str, repo: Repo, details: Details, results: ResultsFile
) -> RecomputedMetrics | None:
    """The verdict on the recomputed metrics of samples; None while they are being computed: the caller then ends.

    `published` is the key of the publication in `repo` at the commit of `details`.
    """
    if context.recomputer is None:
        return RecomputedMetrics(not_done=OFF)
    if (evaluator := context.suite.evaluator) is not None:
        return RecomputedMetrics(not_done=OTHER_EVALUATOR.format(name=evaluator.name))
    verdict = context.sample_verdicts.recomputed(published)
    if verdict is not None:
        return verdict
    began = context.sample_verdicts.began(published)
    if began is not None and context.now() - max(began, context.heard_since()) > PATIENCE_SECONDS:
        return RecomputedMetrics(not_done=LATE)
    context.recomputer.start(published, lambda: _work(context, request, published, repo, details, results))
    return None


def _work(
    context: BoardContext, request: Request, published: str, repo: Repo, details: Details, results: ResultsFile
) -> None:
    """Compute the metrics, store the verdict, and mark the request."""
    starts = context.sample_verdicts.note_began(published, now=context.now())
    try:
        verdict = _verdict(context, request, repo, details, results, starts)
    except CannotRecompute as error:
        verdict = RecomputedMetrics(not_done=str(error)[:500])
    except SamplesDiffer as error:
        verdict = RecomputedMetrics(differs=str(error)[:2_000])
    except (HubError, ProbeError, SamplesNotShown) as error:  # a busy machine is no fault of the samples
        log.warning("samples cannot be read now", attempt=results.block.attempt, error=str(error))
        context.sample_verdicts.note_postponed(published)
        return  # the next sync of the request starts it again
    except Exception:  # noqa: BLE001  the boundary of the thread: no caller would log it
        log.error("computing metrics again failed", attempt=results.block.attempt, trace=traceback.format_exc())
        verdict = RecomputedMetrics(not_done="an error of the bot, which its log names")
    log.info("metrics computed again", attempt=results.block.attempt, **verdict.model_dump())
    context.sample_verdicts.note_recomputed(published, verdict)
    context.mark(request_key(str(request.path)))


def _verdict(
    context: BoardContext, request: Request, repo: Repo, details: Details, results: ResultsFile, starts: int
) -> RecomputedMetrics:
    """Compute the metrics and compare them. Raises CannotRecompute, SamplesDiffer and HubError."""
    assert context.recomputer is not None
    if starts > MAX_STARTS:
        raise CannotRecompute(ENDED)
    with context.probe.folder() as folder:
        tables, samples, file = folder / "tables", folder / "samples", folder / "results.json"
        tables.mkdir()
        samples.mkdir()
        file.write_bytes(dump(results.data))
        for _, task, place in table_places(context, request.path.model, repo, details):
            _save(context, place, tables / f"{task}.parquet")
        recomputed = context.recomputer.recompute(file, tables, samples)
        digests = results.block.digests
        if digests is None or recomputed.scored != digests.scored:
            raise CannotRecompute("the harness of the bot's machine scores otherwise than the worker's")
        compared = _compare(context, folder, recomputed.timed_out)
        # Tables of a gated repo are read at its head, which moves: these ones have to give the values, too.
        samples_of = {
            task.name: task_samples(context, benchmark, task.name, folder, f"tables/{task.name}.parquet")
            for benchmark in context.suite.benchmarks
            for task in benchmark.tasks
        }
    check_samples(results.data, context.suite, asked_questions(results), samples_of)
    notes = check_recomputed(compared, context.suite)
    return RecomputedMetrics(samples=sum(each.compared for each in compared.values()), notes=tuple(notes[:200]))


def _save(context: BoardContext, place: TablePlace | UnreadableSamples, path: Path) -> None:
    """Save the table at `place` in the local file `path`.

    Raises CannotRecompute, and HubError, NotFound included: the Hub has just listed the table, so the next sync of the
    request asks for it again.
    """
    if isinstance(place, UnreadableSamples):
        raise CannotRecompute(place.reason)
    try:
        with path.open("w+b") as file:
            context.hub.save_file(place.repo, place.path, place.commit, file, max_bytes=MAX_TABLE)
    except Denied as error:
        raise CannotRecompute(f"the bot may not read {place.path} in {place.repo.id}") from error
    except TooLarge as error:
        raise CannotRecompute(f"{place.path} has more than {MAX_TABLE:,} bytes") from error


def _compare(context: BoardContext, folder: Path, timed_out: Collection[str]) -> dict[str, MetricComparison]:
    """Task → the comparison of its metrics, without the samples whose metric ran out of time here."""
    compared, late = dict[str, MetricComparison](), [each.rpartition(":") for each in timed_out]
    for benchmark in context.suite.benchmarks:
        for task in benchmark.tasks:
            compared[task.name] = context.probe.compare_metrics(
                folder,
                f"tables/{task.name}.parquet",
                recomputed=f"samples/{task.name}.jsonl",
                metrics=list(benchmark.metrics),
                skip=[int(number) for name, _, number in late if name == task.name],
            )
    return compared
