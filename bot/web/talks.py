"""Public views of people's decisions and of the threads that wait for a maintainer, for pages and the API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from bot.core.context import BoardContext, repo_of
from bot.read_models import talk_models as models
from bot.read_models.lists import read_cursor, write_cursor
from bot.threads.maintainers_list import waiting_threads
from redis_state.board.decisions import CommandDecision, DecisionThread
from redis_state.clock import iso

MAX_WAITING, MAX_REQUESTS = 1_000, 20
"""Threads listed, and requests shown of a decision that was not made in a thread."""


def decisions(context: BoardContext, *, cursor: str = "", limit: int = 100) -> models.DecisionListResponse:
    """A page of decisions, newest first. Raises BadCursor."""
    after = read_cursor(cursor) if cursor else None
    page = context.decisions.newest(limit=limit, after=after)
    last = page[-1] if len(page) == limit else None
    following = write_cursor((last.seconds, last.id)) if last is not None else None
    return models.DecisionListResponse(decisions=list(_public_views(context, page)), next=following)


def _public_views(context: BoardContext, decisions: Sequence[CommandDecision]) -> Iterator[models.CommandDecisionView]:
    """The view of each decision, without the names of models that are not public. At most one round trip.

    A decision made in a thread is public there and shown in full. One made by API, on a page or in a shell is shown
    without the requests of hidden models, and without its command and answer if it was about nothing else. Of very many
    requests only the first MAX_REQUESTS are shown: the file of the decision has all of them.
    """
    paths = [path for decision in decisions if decision.thread is None for path in decision.requests[:MAX_REQUESTS]]
    # A request that is not in the index may be private only if the board takes private models.
    hides_unknown = context.board.admission.private_models
    entries = dict(zip(paths, context.index.find(paths), strict=True))
    public = {path for path, entry in entries.items() if not (hides_unknown if entry is None else entry.is_private)}
    for decision in decisions:
        requests = [path for path in decision.requests if decision.thread is not None or path in public]
        yield _decision_view(context, decision, requests, is_hidden=bool(decision.requests) and not requests)


def _decision_view(
    context: BoardContext, decision: CommandDecision, requests: list[str], *, is_hidden: bool
) -> models.CommandDecisionView:
    verb = decision.command.split(maxsplit=1)[0] if decision.command.split() else decision.verb
    return models.CommandDecisionView(
        at=decision.at,
        person=decision.person.name,
        person_id=decision.person.id,
        roles=decision.roles,
        command=f"{verb} …" if is_hidden else decision.command,
        verb=decision.verb,
        model="" if is_hidden else decision.model,
        requests=requests,
        allowed=decision.allowed,
        answer="" if is_hidden else decision.answer,
        thread_url=_thread_url(context, decision.thread),
    )


def _thread_url(context: BoardContext, thread: DecisionThread | None) -> str:
    repo = repo_of(thread.repo) if thread is not None else None
    return f"{context.address(repo)}/discussions/{thread.number}" if thread is not None and repo is not None else ""


def threads_waiting(context: BoardContext) -> models.WaitingThreadsResponse:
    """The threads that wait for a maintainer, the longest first."""
    views = [
        models.WaitingThreadView(
            title=thread.title, url=thread.url, topic=thread.topic, author=thread.author, since=iso(thread.since)
        )
        for thread in waiting_threads(context)[:MAX_WAITING]
    ]
    return models.WaitingThreadsResponse(threads=views)


def readable_time(at: str) -> str:
    """An ISO time in readable form, `2026-11-25 12:00 UTC`; unchanged if it is no time."""
    try:
        return datetime.fromisoformat(at).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return at
