"""The table of scores in a status comment: the model, its base model, and the best model of its category.

A column is left out where the board has not evaluated that model, or has asked it other questions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote

from bot.core.context import BoardContext
from bot.request_files.status_text import ScoreRow, StatusView
from leaderboard.categories import read_category
from leaderboard.cross_checks import scores_note
from leaderboard.flags import StandingFlags
from leaderboard.requests import Request, Status
from leaderboard.results import ResultsFile
from leaderboard.scores import ScoreErrors, Scores
from redis_state.board.entry import IndexEntry
from redis_state.board.scoreboard import EvaluationScores, comparable, of_model, same_category


def store_scores(context: BoardContext, request: Request, path: str, results: ResultsFile) -> EvaluationScores:
    """Store the scores of an evaluation of `request`, whose results file is at `path`."""
    block = results.block
    scored = scores_of_evaluation(
        request,
        path,
        results.scores,
        block.score_errors,
        revision=block.revision,
        suite=block.suite_digest,
        asked=block.digests.asked if block.digests is not None else "",
        note=scores_note(block.again, block.doubted),
        replayed=block.replayed,
    )
    context.scores.put(scored)
    if block.digests is not None:
        context.accepted_digests.note(block.digests)
    return scored


def scores_of_evaluation(
    request: Request,
    results: str,
    scores: Scores,
    errors: ScoreErrors,
    *,
    revision: str,
    suite: str,
    asked: str,
    note: str,
    replayed: int,
) -> EvaluationScores:
    """The scores to store for an evaluation of `request` at `revision`, whose results file is at the path `results`.

    `suite` and `asked` are the digests of its suite and of its questions; `note` is a remark on the scores for readers.
    An earlier attempt had computed `replayed` of its answers.
    """
    return EvaluationScores(
        path=str(request.path),
        model=request.path.model,
        suite=suite,
        asked=asked,
        category=read_category(request.file.model_type),
        average=scores.average,
        benchmarks=scores.by_name,
        raw={benchmark.name: benchmark.raw for benchmark in scores.benchmarks},
        errors=dict(errors.benchmarks),
        average_error=errors.average,
        influence=errors.influence,
        benchmark_influences=dict(errors.benchmark_influences),
        revision=revision,
        results=results,
        note=note,
        replayed=replayed,
    )


def with_score_table(
    context: BoardContext, view: StatusView, own: EvaluationScores, request: Request, results: ResultsFile
) -> StatusView:
    """`view` with the table of scores: the benchmarks in the suite's order, and their average."""
    others = comparable(context.scores.all(), own)
    flags = StandingFlags(context.flag_book.records())
    base = _first(context, of_model(others, request.file.base_model or ""), flags)
    top = _first(context, same_category(others, own), flags)
    better, ranked = _standing(context, others, own, flags)
    rows = [
        ScoreRow(
            benchmark.name,
            _score_text(benchmark.normalised),
            f"{benchmark.raw:.4f}",
            _score(base, benchmark.name),
            _score(top, benchmark.name),
        )
        for benchmark in results.scores.benchmarks
    ]
    return replace(
        view,
        scores=rows,
        average=ScoreRow("Average", _score_text(own.average), "", _average(base), _average(top)),
        base=base.model if base is not None else "",
        best=top.model if top is not None else "",
        category=own.category.value,
        rank=better + 1,
        ranked=ranked,
        replayed=own.replayed,
        page_url=f"{context.pages_url}/models/{quote(own.model)}" if context.pages_url else "",
    )


def _standing(
    context: BoardContext, scored: Iterable[EvaluationScores], own: EvaluationScores, flags: StandingFlags
) -> tuple[int, int]:
    """The number of `scored` evaluations on the board that are better than `own`, and the number of all with `own`.

    As on the leaderboard, evaluations of private models, flagged ones, and those of models whose authors opted out do
    not count. A round trip.
    """
    others = [each for each in scored if each.path != own.path]
    entries = context.index.find([each.path for each in others])
    shown = [
        each
        for each, entry in zip(others, entries, strict=True)
        if entry is not None and _is_on_the_board(entry) and not entry.is_private and not _is_hidden(each, entry, flags)
    ]
    return sum(each.average > own.average for each in shown), len(shown) + 1


def _is_on_the_board(entry: IndexEntry) -> bool:
    """Whether an evaluation with scores counts beside others: also while the commit that says FINISHED is under way.

    Evaluations that finish together would otherwise each be ranked as the only one.
    """
    return entry.has_results or (entry.state == "settled" and entry.standing.status == Status.RUNNING)


def _is_hidden(scored: EvaluationScores, entry: IndexEntry, flags: StandingFlags) -> bool:
    """Whether the leaderboard hides an evaluation, as flagged or because the model's authors opted out."""
    revision = scored.revision or entry.commit
    return flags.opted_out(scored.model) or flags.flagged(scored.model, revision, entry.precision, entry.weights)


def _first(context: BoardContext, scored: Iterable[EvaluationScores], flags: StandingFlags) -> EvaluationScores | None:
    """The first evaluation that the leaderboard shows, of a public model."""
    for evaluation in scored:
        entry = context.index.find([evaluation.path])[0]
        if entry is None or not _is_on_the_board(entry) or entry.standing.access != "public":
            continue
        if not _is_hidden(evaluation, entry, flags):
            return evaluation
    return None


def _score(scored: EvaluationScores | None, benchmark: str) -> str:
    score = scored.benchmarks.get(benchmark) if scored is not None else None
    return _score_text(score) if score is not None else ""


def _average(scored: EvaluationScores | None) -> str:
    return _score_text(scored.average) if scored is not None else ""


def _score_text(score: float) -> str:
    return f"{score:.2f}"
