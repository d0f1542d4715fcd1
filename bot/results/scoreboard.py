"""Fill in scores, licences and sizes of finished requests that Redis lacks: after a loss, or from before the adoption.

Scores come from the results repo, by the rules of the aggregated table. A publication stores its own scores, so this
sync has work only where finished requests lack scores that it has not searched yet, or where other people changed the
results repo. Its key is marked once all requests are indexed, so that the table is complete soon after Redis was lost.
A missing licence comes from the board's table, else from the Hub: one call for each model, MAX_MODELS models a sync.
The same answers have the model's size, which older request files do not name.

    scores    nothing to do: five round trips to Redis                           0 calls
              scores to fill in: fetch two repos and read what changed      4 to 8 calls
              missing licences                                            1 call for each

Race closed: a publication stores scores while this sync reads older ones. A score is written only where the stored one
has not changed since it was read; and older results never replace newer ones that exist.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping

import structlog

from bot.core.context import BoardContext
from bot.results.contents import MAX_MODELS, PASS_SECONDS, gather, table_facts, table_settings
from bot.results.model_lookup import read_model
from bot.results.scores import scores_of_evaluation
from leaderboard.admission.sizes import BILLION
from leaderboard.columns import columns
from leaderboard.contents import compile_rows, split_rows
from leaderboard.contents_row import HubModelInfo
from leaderboard.evaluations import BoardSources, Evaluation, evaluations
from leaderboard.predictions import PREDICTIONS
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.requests import Status
from leaderboard.results import MAX_BYTES, read_results
from leaderboard.scores import BadResults
from redis_state.board.entry import IndexEntry
from redis_state.board.scoreboard import EvaluationScores, read_scored
from redis_state.dirty import SyncPriority

log = structlog.get_logger()

SCORES = "scores"
"""Dirty key: Redis may lack scores or licences of finished requests."""
SCORES_CHANGED = "scores-changed"
"""Dirty key: the ledger changed scores or errors in results files."""
WITH_RESULTS = (Status.FINISHED, Status.PENDING_NEW_EVAL)
CHUNK = 500
_FIELDS = ",".join(EvaluationScores.model_fields)
"""The fields that this version stores of an evaluation; when they change, all scores are filled in again."""
LICENCES_WAIT_SECONDS = 600.0
"""Seconds after a start with an empty Redis in which no licences are read: they cost a call each, and other syncs come
first."""


def mark_missing_scores(context: BoardContext, entries: Iterable[IndexEntry]) -> None:
    """Mark the scores if one of `entries` has results and Redis lacks its scores. At most one round trip."""
    paths = [entry.path for entry in entries if entry.has_results]
    if len(context.scores.find(paths)) < len(paths):
        context.mark(SCORES, SyncPriority.BACKGROUND)


def sync_scores(context: BoardContext) -> float | None:
    """Fill in missing scores, then licences. Return the time of the next sync if licences are left."""
    finished = context.index.catalog.of(*WITH_RESULTS)
    filled_digest, changes = context.scores.state()
    if _inputs_digest(context, changes, finished) != filled_digest:
        fill(context)
        context.scores.note_filled(_inputs_digest(context, changes, finished))
    age = context.now() - float(context.redis.get(context.keys.born) or context.now())
    return _find_licences(context, finished) if age >= LICENCES_WAIT_SECONDS else None


def sync_changed_scores(context: BoardContext) -> None:
    """Make `sync_scores` read all results files again: it does not notice the bot's own edits. Two calls.

    Race closed: scores are read between the commit of new results and that of the request that names them. The head of
    the requests repo is part of the stored state, so after the second commit `sync_scores` reads them once more.
    """
    context.scores.note_told(" ".join(context.hub.head(repo) for repo in (context.results, context.requests)))
    context.mark(SCORES, SyncPriority.BACKGROUND)


def _inputs_digest(context: BoardContext, changes: str, finished: list[str]) -> str:
    """A digest of the inputs that Redis knows: the suite, others' changes, the missing scores, and the fields."""
    parts = (_FIELDS, context.suite.digest, changes, *context.scores.missing(finished))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


# --- scores


def fill(context: BoardContext) -> None:
    """Store the scores of the evaluations in the results repo where Redis has none, or older or other ones."""
    noted = context.scores.noted()
    sources = gather(context)
    changes = list(_changes(context, noted, sources))
    for start in range(0, len(changes), CHUNK):
        context.index.tell(context.scores.replace_unchanged(changes[start : start + CHUNK]))
    if context.contents is None:
        _write_rows(context, sources)
    _accept_digests(context, sources)
    log.info("scores filled up", results=len(sources.measured), changed=len(changes))


def _accept_digests(context: BoardContext, sources: BoardSources) -> None:
    """Accept the digests of questions and scoring in the results. If Redis has lost the accepted ones, read the newest
    results: one call."""
    known = {path: measured.fingerprint for path, measured in sources.measured.items() if measured.fingerprint}
    accepted = context.accepted_digests.read()
    context.accepted_digests.note_all(set(known.values()) - accepted.fingerprints)
    if accepted.reference is not None or not known:
        return
    newest = max(known, key=lambda path: (path.rpartition("/")[2], path))
    file = context.hub.find_file(context.results, newest, max_bytes=MAX_BYTES)
    try:
        digests = read_results(file.data, context.suite).block.digests if file is not None else None
    except BadResults:  # it was changed a moment ago: the next filling finds another one
        return
    if digests is not None:
        context.accepted_digests.note(digests)


def _write_rows(context: BoardContext, sources: BoardSources) -> None:
    """Write the rows of a board without a table from its own files, among them those of earlier commits. Facts that
    only the Hub knows (likes, merges by tags, dates of models) stay unknown: such a board does not ask for them."""
    rows = compile_rows((), sources, {}, table_settings(context))
    newest, others = split_rows(rows, evaluations(sources), sources.requests.values(), columns(context.suite))
    for row in (*newest.values(), *others.values()):
        row["Hub ❤️"] = None
    context.table_rows.write(newest, others, context.index.tell)


def mark_replaced_scores(context: BoardContext, before: IndexEntry, entry: IndexEntry) -> None:
    """On a board without a table, have the row of an earlier commit written once newer results took its place."""
    earlier = before.standing.results or (before.kept.results if before.kept is not None else "")
    if context.contents is None and earlier and entry.standing.results not in ("", earlier):
        context.mark(SCORES_CHANGED, SyncPriority.BACKGROUND)


def _changes(
    context: BoardContext, noted: Mapping[str, bytes | str], sources: BoardSources
) -> Iterator[tuple[bytes | str | None, EvaluationScores]]:
    """The stored scores and those of the results file, for each evaluation where they differ."""
    for evaluation in evaluations(sources).values():
        computed = _scores(context, evaluation)
        raw = noted.get(computed.path)
        stored = read_scored(raw) if raw is not None else None
        if stored is None or (stored != computed and not _is_newer(stored, computed, sources)):
            yield raw, computed


def _scores(context: BoardContext, evaluation: Evaluation) -> EvaluationScores:
    measured = evaluation.measured
    return scores_of_evaluation(
        evaluation.request,
        measured.path,
        measured.scores,
        measured.errors,
        revision=evaluation.revision,
        suite=context.suite.digest,
        asked=measured.asked,
        note=measured.note,
        replayed=measured.replayed,
    )


def _is_newer(stored: EvaluationScores, computed: EvaluationScores, sources: BoardSources) -> bool:
    """Whether the stored scores are of newer results that exist, which their request does not name yet."""
    return stored.results > computed.results and stored.results in sources.results


# --- licences


def _find_licences(context: BoardContext, finished: list[str]) -> float | None:
    """Find the licences of models without a stored answer. Return the time of the next sync if some are left."""
    models = _by_model(finished, context.licences.models())
    if not models:
        return None
    listed, licences, calls = table_facts(context), dict[str, str](), 0
    try:
        for model, entries in _entries(context, models):
            info = listed.get(model, HubModelInfo())
            licence = _known_licence(entries) or info.licence or ""
            if not licence and _needs_call(entries):
                if calls == MAX_MODELS:
                    return context.now() + PASS_SECONDS
                calls += 1
                answer = read_model(context, model, info)
                if answer is None:
                    continue  # a later pass asks again
                info = answer
                licence = info.licence or ""
            licences[model] = licence
            _fill_sizes(context, entries, round((info.parameters or 0) * BILLION))
    finally:
        context.licences.put(licences)
        context.index.tell(path for model, licence in licences.items() if licence for path in models[model])
    return None


def _fill_sizes(context: BoardContext, entries: Iterable[IndexEntry], size: int) -> None:
    """Store the number of the model's parameters, if it is known, in entries that have none and are not private.

    Only where the repo's tensors are those that were evaluated: not for adapters and packed weights.
    """
    for entry in entries if size else ():
        path = parse_path(entry.path)
        is_whole = isinstance(path, RequestPath) and path.weight_type == "Original" and path.precision != "GPTQ"
        if is_whole and entry.parameters is None and not entry.is_private:
            context.index.change(entry.path, lambda now: now.changed(parameters=now.parameters or size))


def _by_model(paths: Iterable[str], known: Container[str]) -> dict[str, list[str]]:
    """The requests at `paths` by model, without the `known` models."""
    by_model: dict[str, list[str]] = {}
    for path in paths:
        request_path = parse_path(path)
        if not isinstance(request_path, RequestPath) or request_path.precision == PREDICTIONS:
            continue
        if request_path.model not in known:
            by_model.setdefault(request_path.model, []).append(path)
    return by_model


def _entries(context: BoardContext, models: Mapping[str, list[str]]) -> Iterator[tuple[str, list[IndexEntry]]]:
    """Each model with the entries of its requests, read in chunks."""
    names = list(models)
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        paths = [path for name in chunk for path in models[name]]
        entries = {entry.path: entry for entry in context.index.find(paths) if entry is not None}
        yield from ((name, [entries[path] for path in models[name] if path in entries]) for name in chunk)


def _needs_call(entries: list[IndexEntry]) -> bool:
    """Whether only the Hub knows the licence: not for a private model, or one that admission judged without finding
    a licence."""
    return any(not entry.is_private for entry in entries) and not any(entry.asked for entry in entries)


def _known_licence(entries: Iterable[IndexEntry]) -> str:
    """The licence in the index, from admission or from the request's file."""
    return next(filter(None, (entry.licence or entry.standing.licence for entry in entries)), "")
