"""Write the board's evaluations as files of Every Eval Ever (`leaderboard.every_eval`).

Left out are flagged models, models whose authors opted out, results of earlier suites, and answers of restricted
benchmarks. Answers are read without a token, so only those that everybody can read are written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.core.context import BoardContext
from bot.results.contents import gather
from bot.results.details_tables import MAIN, TableUnusable, published_commit, read_rows
from hub.client import Hub
from hub.errors import BadRequest, Denied, NotFound, RevisionNotFound, TooLarge
from hub.records import Repo
from leaderboard.details import table_path
from leaderboard.evaluations import (
    BoardSources,
    Evaluation,
    details_of,
    differ,
    earlier_evaluations,
    evaluations,
    revision_of,
)
from leaderboard.every_eval import (
    ExportedEvaluation,
    ExportSource,
    evaluation_id,
    read_evaluation,
    record,
    record_path,
    sample_record,
)
from leaderboard.jsontext import JsonObject
from leaderboard.predictions import PREDICTIONS
from leaderboard.results import MAX_BYTES, file_time

COLUMNS = ("doc_id", "prompt", "continuations", "target", "answers", "filter", "metrics", "score")


@dataclass
class ExportReport:
    """How many evaluations and answers the export wrote, and which results files, or their answers, it left out, with
    the reason."""

    evaluations: int = 0
    samples: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


def export(context: BoardContext, folder: Path, *, with_samples: bool) -> ExportReport:
    """Write every evaluation that the board shows below `folder`; `with_samples` adds the answers."""
    sources, report = gather(context), ExportReport()
    source = _source(context)
    with Hub(context.hub.endpoint, None) as anonymous:
        for exported in _exported(context, sources, report):
            path = record_path(source.board, exported.model, exported.path)
            if path is None:
                report.left_out[exported.path] = "its name is not allowed in a path of Every Eval Ever"
                continue
            place = folder / f"{path}.json"
            place.parent.mkdir(parents=True, exist_ok=True)
            samples = _write_samples(context, anonymous, exported, folder, path, report) if with_samples else None
            data = record(source, context.suite, exported, samples)
            text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
            place.write_bytes(text.encode("utf-8", "replace"))
            report.evaluations += 1
            report.samples += int(str(samples["total_rows"])) if samples is not None else 0
    return report


def _source(context: BoardContext) -> ExportSource:
    owner = context.results.id.partition("/")[0]
    return ExportSource(
        board=context.board.name,
        title=context.board.title,
        organisation=owner,
        organisation_url=f"{context.hub.endpoint}/{owner}",
        results_url=context.address(context.results, "results").removesuffix("/results"),
    )


def _exported(context: BoardContext, sources: BoardSources, report: ExportReport) -> Iterator[ExportedEvaluation]:
    """Each evaluation with the content of its results file, by path."""
    newest = evaluations(sources)
    every = [*newest.values(), *earlier_evaluations(sources, newest).values()]
    head = context.mirror.fetch(context.results, depth=0)
    for evaluation in sorted(every, key=lambda each: each.measured.path):
        path = evaluation.measured.path
        if reason := left_out_because(context, evaluation):
            report.left_out[path] = reason
            continue
        data = _read_results(context, head, path)
        exported = read_evaluation(evaluation, data, context.suite) if data is not None else None
        if exported is None:
            report.left_out[path] = "its results cannot be read"
            continue
        yield exported


def _read_results(context: BoardContext, commit: str, path: str) -> bytes | None:
    with context.mirror.read_fetched(context.results) as view:
        oid = view.find(commit, path)
        return view.blob(oid, max_bytes=MAX_BYTES) if oid is not None else None


def left_out_because(context: BoardContext, evaluation: Evaluation) -> str:
    """Why an evaluation is left out; "" for one that is exported."""
    if evaluation.measured.precision == PREDICTIONS:
        return "it is of predictions, not of a model"
    if context.flag_book.has_opted_out([evaluation.measured.model]):
        return "the model's authors opted out"
    return "the model is flagged" if _is_flagged(context, evaluation) else ""


def _is_flagged(context: BoardContext, evaluation: Evaluation) -> bool:
    request, model = evaluation.request, evaluation.measured.model
    # The digest belongs to the commit of the request; an earlier commit has other weights.
    is_same = not differ(evaluation.revision, revision_of(request))
    flags = context.flags([model], request.file.steward.weights or "" if is_same else "")
    return bool(flags or context.flag_book.scoped([model], evaluation.revision, request.path.precision))


# --- answers


def _write_samples(
    context: BoardContext, hub: Hub, exported: ExportedEvaluation, folder: Path, path: str, report: ExportReport
) -> JsonObject | None:
    """Write the answers that everybody can read; return the reference to their file, None if there are none.

    Workers write the tables, so a malformed table leaves out the answers of its evaluation, and the export continues.
    """
    place, digest, count = folder / f"{path}_samples.jsonl", hashlib.sha256(), 0
    try:
        with place.open("wb") as file:
            for sample in _samples(context, hub, exported):
                line = json.dumps(sample, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"
                file.write(line)
                digest.update(line)
                count += 1
    except (TableUnusable, BadRequest) as error:  # or its request names no details repo
        report.left_out[f"{exported.path} (answers)"] = str(error)
        count = 0
    if count == 0:
        place.unlink()
        return None
    return {
        "format": "jsonl",
        "file_path": f"{path}_samples.jsonl",
        "hash_algorithm": "sha256",
        "checksum": digest.hexdigest(),
        "total_rows": count,
    }


def _samples(context: BoardContext, hub: Hub, exported: ExportedEvaluation) -> Iterator[JsonObject]:
    repo = Repo("dataset", details_of(exported.evaluation.request, context.board.repos.details))
    name, time = evaluation_id(context.board.name, exported), file_time(exported.time)
    commit = _commit(context, exported)
    for benchmark in context.suite.benchmarks:
        if benchmark.restricted:
            continue
        for task in benchmark.tasks:
            for row in _rows(hub, repo, table_path(task.name, time), commit):
                sample = sample_record(name, exported.model, task.name, row)
                if sample is not None:
                    yield sample


def _commit(context: BoardContext, exported: ExportedEvaluation) -> str:
    """The commit of the tables; "main" for scores that were computed again, whose tables came later."""
    block = exported.block
    if block is None or block.rescored_from is not None:
        return MAIN
    return published_commit(context, exported.model, block.attempt)


def _rows(hub: Hub, repo: Repo, path: str, commit: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a details table; none if not everybody can read it. Raises TableUnusable if `commit` is gone."""
    try:
        yield from read_rows(hub, repo, path, COLUMNS, commit=commit)
    except RevisionNotFound:
        raise TableUnusable(f"{repo.id} has no commit {commit[:8]} any more") from None
    except (NotFound, Denied, TooLarge):
        return
