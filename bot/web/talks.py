"""What people decided by commands, and which threads wait for them: as the API and the pages show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from bot.core.context import BoardContext, repo_of
from bot.read_models import talk_models as models
from bot.read_models.lists import read_cursor, write_cursor
from bot.threads.maintainers_list import waiting_threads
from redis_state.board.decisions import CommandDecision
from redis_state.clock import iso

MOST_WAITING, MOST_TOLD = 1_000, 20
"""Threads, and requests of a decision that came from no thread, that are told at most."""


def decisions(context: BoardContext, *, cursor: str = "", limit: int = 100) -> models.DecisionListResponse:
    """A page of decisions, newest first. Raises BadCursor."""
    after = read_cursor(cursor) if cursor else None
    found = context.decisions.newest(limit=limit, after=after)
    last = found[-1] if len(found) == limit else None
    following = write_cursor((last.seconds, last.id)) if last is not None else None
    told = [_decision_view(context, one) for one in _without_hidden(context, found)]
    return models.DecisionListResponse(decisions=told, next=following)


def _without_hidden(context: BoardContext, found: Sequence[CommandDecision]) -> Iterator[CommandDecision]:
    """`found`, without the names of models that not everybody may know of. At most one round trip.

    What was written in a thread can be read there by everybody. What came by a program, by a page or from a shell is
    told without the requests that nobody is shown, and without its words where it was about nothing else. Of very many
    requests the first are told: the file of the decision has all of them.
    """
    paths = [path for one in found if one.thread is None for path in one.requests[:MOST_TOLD]]
    # What nobody knows of, or not yet, may be private only where the board takes such models.
    unknown = context.board.admission.private_models
    entries = dict(zip(paths, context.index.find(paths), strict=True))
    shown_ones = {path for path, entry in entries.items() if not (unknown if entry is None else entry.is_private)}
    for one in found:
        requests = [path for path in one.requests if one.thread is not None or path in shown_ones]
        if requests == one.requests:
            yield one
        elif requests:
            yield one.model_copy(update={"requests": requests})
        else:
            verb = one.command.split(maxsplit=1)[0] if one.command.split() else one.verb
            yield one.model_copy(update={"requests": [], "model": "", "command": f"{verb} …", "answer": ""})


def _decision_view(context: BoardContext, one: CommandDecision) -> models.CommandDecisionView:
    where = one.thread
    repo = repo_of(where.repo) if where is not None else None
    return models.CommandDecisionView(
        at=one.at,
        person=one.person.name,
        person_id=one.person.id,
        roles=one.roles,
        command=one.command,
        verb=one.verb,
        model=one.model,
        requests=one.requests,
        allowed=one.allowed,
        answer=one.answer,
        thread_url=f"{context.address(repo)}/discussions/{where.number}"
        if where is not None and repo is not None
        else "",
    )


def threads_waiting(context: BoardContext) -> models.WaitingThreadsResponse:
    """The threads that wait for a maintainer, the longest first."""
    found = [
        models.WaitingThreadView(title=one.title, url=one.url, topic=one.topic, author=one.author, since=iso(one.since))
        for one in waiting_threads(context)[:MOST_WAITING]
    ]
    return models.WaitingThreadsResponse(threads=found)


def readable_time(at: str) -> str:
    """An ISO time as people read it: `2026-11-25 12:00 UTC`; as it is where it is none."""
    try:
        return datetime.fromisoformat(at).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return at
