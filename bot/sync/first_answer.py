"""The first answer to a new thread: exactly one, within seconds, or none where only a person can say something.

What the thread is about is told by `leaderboard.triage` from its title and opening post. Where evaluations failed by
our fault they are started again before the answer is posted; that they were stands in their files, so it happens once.

Threads in which commands were answered, those that a maintainer opened, and those from before the board's adoption get
none. A thread that waits for a maintainer goes on their list (`waiting_threads`) until one of them has spoken there.

Race accepted: a maintainer answers while ours is being posted. Both answers stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from bot.commands.replies import ANSWER, DOING
from bot.commands.targets import near
from bot.desk import Desk, thread_key
from bot.index import Entry
from bot.log_lines import lines_of
from bot.sync.following import follow
from bot.sync.relaunching import Relaunch, relaunch
from bot.sync.waiting_threads import note
from bot.texts import faq
from bot.texts.render import Safe, render
from bot.web import models, shown
from hub.comments import Marker, find_marked, is_by, marker_of
from hub.records import Repo, Thread
from leaderboard.adoption import Record
from leaderboard.triage import Topic, Triage, triage

log = structlog.get_logger()

FIRST = "first"
OLDEST = 7 * 86_400
NOTHING = Safe("")
MOST = 5
"""Requests that one answer tells of."""
FOR_PEOPLE = frozenset(Topic) - {Topic.FAILURE, Topic.QUESTION}
"""What only a person can settle."""


@dataclass(frozen=True)
class Report:
    """One request in an answer: as people are told of it, the lines of its log, and whether it is started again."""

    path: str
    one: models.Request | None = None
    lines: tuple[str, ...] = ()
    relaunch: Relaunch | None = None
    near: tuple[str, ...] = ()
    follow: Safe = NOTHING


def answer_first(desk: Desk, repo: Repo, thread: Thread) -> int:
    """Give `thread` its first answer, if it is to have one; how many comments were posted."""
    marker = desk.marker(FIRST, f"{repo.kind}/{repo.id} {thread.num}")
    if not _is_ours_to_answer(desk, repo, thread):
        return 0
    found = triage(thread.title, thread.comments[0].text, faq.questions())
    is_answered = _is_answered(desk, thread, marker)
    waits = _waits(desk, thread, found)
    note(desk, repo, thread, found.topic if waits else None)
    if is_answered or (found.topic is Topic.QUESTION and _has_spoken(desk, thread)):
        return 0
    body = _body(desk, repo, thread, found)
    if not body:
        return 0
    said = desk.effects.comment(repo, thread.num, body, marker, wake=thread_key(repo, thread.num), seen=thread)
    if said is None:
        return 0
    desk.echoes.caused("discussion", repo.id, now=desk.now())
    log.info("first answer", thread=thread.num, repo=repo.id, topic=found.topic.value)
    return 1


def _is_ours_to_answer(desk: Desk, repo: Repo, thread: Thread) -> bool:
    """Whether it is a discussion of people, and not one from before."""
    if thread.is_pull_request or not thread.comments or thread.comments[0].hidden:
        return False
    if is_by(desk.me(), thread.author_id, thread.author_name) or thread.author_id in desk.board.maintainers:
        return False
    written = thread.created_at.timestamp()
    return written > desk.now() - OLDEST and not _is_from_before(desk.adoption.record(), repo, thread)


def _is_from_before(record: Record | None, repo: Repo, thread: Thread) -> bool:
    if record is None:
        return False
    is_earlier = thread.created_at.timestamp() < datetime.fromisoformat(record.at).timestamp()
    return is_earlier or record.is_old_thread(f"{repo.kind}/{repo.id}", thread.num)


def _is_answered(desk: Desk, thread: Thread, marker: Marker) -> bool:
    me = desk.me()
    if find_marked(thread.comments, marker, me) is not None:
        return True
    ours = (marker_of(one.text) for one in thread.comments if is_by(me, one.author_id, one.author_name))
    return any(one is not None and one.kind in (ANSWER, DOING) for one in ours)


def _has_spoken(desk: Desk, thread: Thread) -> bool:
    """Whether a maintainer has said something in it."""
    return any(comment.author_id in desk.board.maintainers for comment in thread.comments)


def _waits(desk: Desk, thread: Thread, found: Triage) -> bool:
    return thread.status == "open" and found.topic in FOR_PEOPLE and not _has_spoken(desk, thread)


def _body(desk: Desk, repo: Repo, thread: Thread, found: Triage) -> str:
    """The answer; "" where there is none."""
    if found.topic is Topic.OTHER:
        return ""
    if found.topic is Topic.QUESTION:
        urls = {"requests_url": desk.address(desk.requests), "results_url": desk.address(desk.results)}
        return render("first", topic=found.topic, answer=faq.answer(found.question, **urls), reports=())
    reports = _reports(desk, repo, thread, found) if found.topic in (Topic.FAILURE, Topic.DUPLICATES) else []
    if found.topic is Topic.FAILURE and not reports:
        return ""
    return render("first", topic=found.topic, answer="", reports=reports, model=next(iter(found.models), ""))


def _reports(desk: Desk, repo: Repo, thread: Thread, found: Triage) -> list[Report]:
    """What there is to say of each request that is linked; of those of the models that are named, where none is."""
    paths = [link.path for link in found.requests if link.repo in (None, desk.requests.id)]
    elsewhere = [link.path for link in found.requests if link.repo not in (None, desk.requests.id)]
    if not found.requests:
        entries = [entry for model in found.models for entry in desk.index.of_model(model) if not shown.hidden(entry)]
        entries.sort(key=lambda entry: (entry.standing.status != "FAILED", -entry.standing.time))
        paths = [entry.path for entry in entries]
    known = dict(zip(paths, desk.index.find(paths), strict=True))
    reports = [_report(desk, repo, thread, path, known[path], found.topic) for path in paths[:MOST]]
    return reports + [Report(path, near=()) for path in elsewhere[: MOST - len(reports)]]


def _report(desk: Desk, repo: Repo, thread: Thread, path: str, entry: Entry | None, topic: Topic) -> Report:
    if entry is None or shown.hidden(entry):
        model = path.partition("_eval_request_")[0]
        return Report(path, near=tuple(near(desk, model)))
    one = shown.request(desk, entry)
    if topic is not Topic.FAILURE or one.state != "failed" or one.failure is None:
        return Report(path, one)
    done, mark = None, NOTHING
    if one.failure.fault in ("us", "hub"):
        done = relaunch(desk, entry, cause=f"report:{repo.kind}/{repo.id}:{thread.num}", once="report:")
        mark = follow(desk, entry, repo, thread.num) if done.how == "done" else NOTHING
    return Report(path, one, tuple(lines_of(desk, entry)), done, follow=mark)
