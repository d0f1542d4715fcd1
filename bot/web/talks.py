"""What people decided by commands, and which threads wait for them: as the API and the pages show it."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.decisions import Decision
from bot.desk import Desk, repo_of
from bot.sync.waiting_threads import waiting_threads
from bot.web import talk_models as models
from bot.web.lists import read_cursor, write_cursor
from wire.clock import iso

MOST_WAITING = 1_000


def decisions(desk: Desk, *, cursor: str = "", limit: int = 100) -> models.DecisionList:
    """A page of decisions, newest first. Raises BadCursor."""
    after = read_cursor(cursor) if cursor else None
    found = desk.decisions.newest(limit=limit, after=after)
    last = found[-1] if len(found) == limit else None
    following = write_cursor((last.seconds, last.id)) if last is not None else None
    return models.DecisionList(decisions=[_decided(desk, one) for one in found], next=following)


def _decided(desk: Desk, one: Decision) -> models.Decided:
    where = one.thread
    repo = repo_of(where.repo) if where is not None else None
    return models.Decided(
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
        thread_url=f"{desk.address(repo)}/discussions/{where.number}" if where is not None and repo is not None else "",
    )


def threads_waiting(desk: Desk) -> models.ThreadsWaiting:
    """The threads that wait for a maintainer, the longest first."""
    found = [
        models.ThreadWaiting(title=one.title, url=one.url, topic=one.topic, author=one.author, since=iso(one.since))
        for one in waiting_threads(desk)[:MOST_WAITING]
    ]
    return models.ThreadsWaiting(threads=found)


def readable(at: str) -> str:
    """An ISO time as people read it: `2026-11-25 12:00 UTC`; as it is where it is none."""
    try:
        return datetime.fromisoformat(at).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return at
