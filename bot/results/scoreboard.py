"""Scores and licences of what finished, where Redis does not know them: it was lost, or they are from before adoption.

Scores are filled up from the results repo, by the same rules as the aggregated table; whoever publishes notes them at
once, so this has something to do only where finished requests lack scores that were not looked for yet, or where
somebody else changed the results repo. A licence that no judgement left in the index is asked of the Hub, once, of
LOOKS models at a time; a board that has a table takes it from there.

    scores    nothing to do: four round trips to Redis                                                      0 calls
              scores to be filled up: a fetch of two repos, of which only what changed is read          4 to 8 calls
              licences that nobody knows                                                           1 call for each

Race closed: results that are published while older ones are looked for. A score is noted only where the one that it
follows upon still stands; and older results never take the place of newer ones that are there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping

import structlog

from bot.core.context import BoardContext
from bot.results.contents import LOOKS, PACE, gather, look_at_model, table_licences
from bot.results.scores import scores_of_evaluation
from leaderboard.contents import HubModelInfo
from leaderboard.evaluations import BoardSources, Evaluation, evaluations
from leaderboard.requests import RequestPath, Status, parse_path
from redis_state.board.entry import IndexEntry
from redis_state.board.scoreboard import EvaluationScores, read_scored

log = structlog.get_logger()

SCORES = "scores"
"""Dirty key: scores or licences of finished requests may not be known here."""
WITH_RESULTS = (Status.FINISHED, Status.PENDING_NEW_EVAL)
CHUNK = 500


def sync_scores(context: BoardContext) -> float | None:
    """Fill up the scores, if they may be; then ask for licences, and say when to go on."""
    finished = context.index.catalog.of(*WITH_RESULTS)
    filled, told = context.scores.state()
    if _word(context, told, finished) != filled:
        fill(context)
        context.scores.note_filled(_word(context, told, finished))
    return _find_licences(context, finished)


def _word(context: BoardContext, told: str, finished: list[str]) -> str:
    """What the scores follow from, as far as it is seen without a call: others' changes, and which are missing."""
    parts = (context.suite.digest, told, *context.scores.missing(finished))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


# --- scores


def fill(context: BoardContext) -> None:
    """Note the scores of all evaluations that the results repo holds, where they are not."""
    noted = context.scores.noted()
    sources = gather(context)
    changes = list(_changes(context, noted, sources))
    for start in range(0, len(changes), CHUNK):
        context.index.tell(context.scores.mend(changes[start : start + CHUNK]))
    log.info("scores filled up", results=len(sources.measured), changed=len(changes))


def _changes(
    context: BoardContext, noted: Mapping[str, bytes | str], sources: BoardSources
) -> Iterator[tuple[bytes | str | None, EvaluationScores]]:
    """What is noted of each evaluation that is not noted as it is, and what is to be."""
    for it in evaluations(sources).values():
        wanted = _scored(context, it)
        raw = noted.get(wanted.path)
        was = read_scored(raw) if raw is not None else None
        if was is None or (was != wanted and not _is_newer(was, wanted, sources)):
            yield raw, wanted


def _scored(context: BoardContext, it: Evaluation) -> EvaluationScores:
    return scores_of_evaluation(it.request, it.measured.path, it.measured.scores, it.revision, context.suite.digest)


def _is_newer(was: EvaluationScores, than: EvaluationScores, sources: BoardSources) -> bool:
    """Whether results that are there were noted, and are newer than others: their request does not name them yet."""
    return was.results > than.results and was.results in sources.results


# --- licences


def _find_licences(context: BoardContext, finished: list[str]) -> float | None:
    """Learn those of models that nobody asked about yet; when to go on, where some are left."""
    models = _by_model(finished, context.licences.models())
    if not models:
        return None
    listed, found, asked = table_licences(context), dict[str, str](), 0
    try:
        for model, entries in _entries(context, models):
            known = _known(entries) or listed.get(model, "")
            if not known and _is_to_ask(entries):
                if asked == LOOKS:
                    return context.now() + PACE
                asked += 1
                known = look_at_model(context, model, HubModelInfo()).licence or ""
            found[model] = known
    finally:
        context.licences.put(found)
        context.index.tell(path for model, licence in found.items() if licence for path in models[model])
    return None


def _by_model(paths: Iterable[str], known: Container[str]) -> dict[str, list[str]]:
    """The requests at `paths` by their models, of those that are not `known`."""
    found: dict[str, list[str]] = {}
    for path in paths:
        where = parse_path(path)
        if isinstance(where, RequestPath) and where.model not in known:
            found.setdefault(where.model, []).append(path)
    return found


def _entries(context: BoardContext, models: Mapping[str, list[str]]) -> Iterator[tuple[str, list[IndexEntry]]]:
    """Each model with the entries of its requests, read a few hundred at a time."""
    names = list(models)
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        paths = [path for name in chunk for path in models[name]]
        there = {entry.path: entry for entry in context.index.find(paths) if entry is not None}
        yield from ((name, [there[path] for path in models[name] if path in there]) for name in chunk)


def _is_to_ask(entries: Iterable[IndexEntry]) -> bool:
    """Whether to ask about a model: not where it was judged here, and names none, nor about one that is private."""
    return any(not one.is_private for one in entries) and not any(one.asked for one in entries)


def _known(entries: Iterable[IndexEntry]) -> str:
    """What a judgement, or a request's file, tells of the licence."""
    return next(filter(None, (one.licence or one.standing.licence for one in entries)), "")
