"""The first answer to a new thread: exactly one, within seconds, or none where only a person can say something.

What the thread is about is told by `leaderboard.triage` from its title and opening post. Where evaluations failed by
our fault they are started again before the answer is posted; that they were stands in their files, so it happens once.

Where the opening post reports nothing that we know, a report that its author makes later (`later`) is answered, once,
under a marker of its own: also after an answer from the list of questions, which asks for the link.

Threads whose opening post holds a command, those that a maintainer opened, and those from before the board's adoption
get none. On the maintainers' list (`waiting_threads`) is, until one of them has spoken there or it is closed,

    what only a person can settle, and what we could say nothing to
    a report to which our answer says that a maintainer will look at it: a hidden marker there keeps that. That of
    what has not failed is one: whoever wants a result gone, or a newer one, links its request, too
    a thread that we answered, where somebody wrote again

Race accepted: a maintainer answers while ours is being posted. Both answers stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from bot.core import people
from bot.core.commands.registry import Registry
from bot.core.commands.targets import similar_names
from bot.core.context import BoardContext, thread_key
from bot.core.earlier_names import paths_in_requests
from bot.core.render import Safe, render
from bot.core.waiting_threads import note
from bot.flags.reports import reported_before
from bot.read_models import models, serializers
from bot.read_models.log_lines import lines_of
from bot.request_files.followers import follow
from bot.requests.relaunching import RelaunchResult, relaunch
from bot.threads import faq
from bot.threads.answering import known_commands
from bot.threads.later_comments import later_report
from hub.comments import Marker, find_marked, is_by
from hub.records import Comment, Repo, Thread
from leaderboard.adoption import AdoptionRecord
from leaderboard.triage import Topic, Triage, triage
from redis_state.board.entry import IndexEntry

log = structlog.get_logger()

FIRST, WAITS = "first", "waits"
OLDEST = 7 * 86_400
NOTHING = Safe("")
MOST = 5
"""Requests that one answer tells of."""
UNDER_WAY = ("new", "waiting", "running", "settled")
FOR_PEOPLE = frozenset(Topic) - {Topic.FAILURE, Topic.QUESTION}
"""What only a person can settle."""


@dataclass(frozen=True)
class RequestAnswer:
    """One request in an answer: as people are told of it, the lines of its log, and whether it is started again.

    Where there is no such request, `path` is what was written: a link (`is_link`), or the name of a model.
    """

    path: str
    one: models.RequestView | None = None
    lines: tuple[str, ...] = ()
    relaunch: RelaunchResult | None = None
    near: tuple[str, ...] = ()
    follow: Safe = NOTHING
    is_link: bool = False

    @property
    def needs_person(self) -> bool:
        """Whether nobody but a maintainer can go on with it."""
        if self.one is None or not self.one.failed:
            return False
        if self.relaunch is not None:
            return self.relaunch.how not in ("done", "under-way")
        return self.one.failure is None or self.one.failure.fault == "unknown"


def answer_first(context: BoardContext, registry: Registry, repo: Repo, thread: Thread) -> int:
    """Give `thread` its first answer, if it is to have one; how many comments were posted."""
    if not _is_ours_to_answer(context, repo, thread):
        return 0
    found, marker = _post_to_answer(context, registry, repo, thread)
    if _has_spoken(context, thread):
        note(context, repo, thread, None)
        if found.topic is Topic.QUESTION:
            return 0
    said = find_marked(thread.comments, marker, context.me())
    if said is not None or known_commands(registry, thread.comments[0]):
        _note(context, repo, thread, found, _waits_still(context, registry, thread, found, said))
        return 0
    body, waits = _body(context, repo, thread, found)
    _note(context, repo, thread, found, waits)
    if not body:
        return 0
    posted = context.effects.comment(repo, thread.num, body, marker, wake=thread_key(repo, thread.num), seen=thread)
    if posted is None:
        return 0
    log.info("first answer", thread=thread.num, repo=repo.id, topic=found.topic.value)
    return 1


def _post_to_answer(context: BoardContext, registry: Registry, repo: Repo, thread: Thread) -> tuple[Triage, Marker]:
    """What is to be answered, and the marker of that answer: the opening post, or what its author reported later."""
    first, later = (context.marker(FIRST, f"{repo.kind}/{repo.id} {thread.num}{more}") for more in ("", " later"))
    opening = thread.comments[0]
    if find_marked(thread.comments, later, context.me()) is not None:
        return Triage(Topic.FAILURE), later
    found = triage(thread.title, opening.text, faq.questions())
    report = None if known_commands(registry, opening) else later_report(context, registry, thread, found)
    return (found, first) if report is None else (report, later)


def _is_ours_to_answer(context: BoardContext, repo: Repo, thread: Thread) -> bool:
    """Whether it is a discussion of people, and not one from before."""
    if thread.is_pull_request or not thread.comments or thread.comments[0].hidden:
        return False
    if is_by(context.me(), thread.author_id, thread.author_name) or thread.author_id in people.maintainers(context):
        return False
    written = thread.created_at.timestamp()
    return written > context.now() - OLDEST and not _is_from_before(context.adoption.record(), repo, thread)


def _is_from_before(record: AdoptionRecord | None, repo: Repo, thread: Thread) -> bool:
    if record is None:
        return False
    is_earlier = thread.created_at.timestamp() < datetime.fromisoformat(record.at).timestamp()
    return is_earlier or record.is_old_thread(f"{repo.kind}/{repo.id}", thread.num)


def _has_spoken(context: BoardContext, thread: Thread) -> bool:
    """Whether a maintainer has said something in it."""
    maintainers = people.maintainers(context)
    return any(comment.author_id in maintainers for comment in thread.comments)


def _note(context: BoardContext, repo: Repo, thread: Thread, found: Triage, waits: bool) -> None:
    """Have it on the list of the maintainers, or not."""
    waits = waits and thread.status == "open" and not _has_spoken(context, thread)
    note(context, repo, thread, found.topic if waits else None)


def _waits_still(
    context: BoardContext, registry: Registry, thread: Thread, found: Triage, said: Comment | None
) -> bool:
    """Whether a thread waits for a maintainer to which there is nothing more to say: `said` is our answer, if any."""
    if found.topic in FOR_PEOPLE:
        return said is not None or found.topic is not Topic.OTHER  # a command that stands for itself was answered
    if said is None:
        return False
    return _waits_marker(context) in said.text.splitlines()[1:] or _was_asked_again(context, registry, thread, said)


def _waits_marker(context: BoardContext) -> str:
    return str(context.marker(WAITS, "maintainer"))


def _was_asked_again(context: BoardContext, registry: Registry, thread: Thread, said: Comment) -> bool:
    """Whether somebody wrote to people after our answer."""
    later = thread.comments[thread.comments.index(said) + 1 :]
    me = context.me()
    return any(
        not one.hidden and not is_by(me, one.author_id, one.author_name) and not known_commands(registry, one)
        for one in later
    )


def _body(context: BoardContext, repo: Repo, thread: Thread, found: Triage) -> tuple[str, bool]:
    """The answer, "" where there is none; and whether the thread waits for a maintainer then."""
    if found.topic is Topic.OTHER:
        return "", True
    if found.topic is Topic.QUESTION:
        urls = {"requests_url": context.address(context.requests), "results_url": context.address(context.results)}
        return render("first", topic=found.topic, answer=faq.answer(found.question, **urls), reports=()), False
    reports, more = (
        _reports(context, repo, thread, found) if found.topic in (Topic.FAILURE, Topic.DUPLICATES) else ([], 0)
    )
    if found.topic is Topic.FAILURE and not reports:
        return "", True
    no_failure = found.topic is Topic.FAILURE and _is_no_failure(reports)
    waits = found.topic is not Topic.FAILURE or no_failure or any(one.needs_person for one in reports)
    mark = Safe(_waits_marker(context)) if waits and found.topic is Topic.FAILURE else NOTHING
    model = next(iter(found.models), "")
    before = reported_before(context, model, thread_key(repo, thread.num)) if found.topic is Topic.FLAG else ""
    told = {"reports": reports, "more": more, "no_failure": no_failure, "waits": mark, "before": before}
    return render("first", topic=found.topic, answer="", model=model, **told), waits


def _is_no_failure(reports: list[RequestAnswer]) -> bool:
    """Whether all that is reported is at its end, and nothing of it failed."""
    known = [it.one for it in reports if it.one is not None]
    return bool(known) and all(one.failure is None and one.state not in ("failed", *UNDER_WAY) for one in known)


def _reports(context: BoardContext, repo: Repo, thread: Thread, found: Triage) -> tuple[list[RequestAnswer], int]:
    """What there is to say of each request that is linked; of those of the models that are named, where none is. And
    how many there are of which nothing is said."""
    if not found.requests:
        return _of_models(context, repo, thread, found)
    ours = paths_in_requests(context, found.requests)
    elsewhere = [RequestAnswer(link.path, is_link=True) for link in found.requests if link.path not in ours]
    return [*_of_paths(context, repo, thread, ours, found.topic), *elsewhere][:MOST], max(0, len(found.requests) - MOST)


def _of_models(context: BoardContext, repo: Repo, thread: Thread, found: Triage) -> tuple[list[RequestAnswer], int]:
    """Of the requests of the models that are named; where there is none at all, of models with names like theirs."""
    entries = [entry for model in found.models for entry in context.index.of_model(model) if not entry.is_private]
    entries.sort(key=lambda entry: (entry.standing.status != "FAILED", -entry.standing.time))
    if entries:
        paths = [entry.path for entry in entries]
        return _of_paths(context, repo, thread, paths, found.topic), max(0, len(paths) - MOST)
    alike = ((model, tuple(similar_names(context, model))) for model in found.models)
    return [RequestAnswer(model, near=names) for model, names in alike if names][:MOST], 0


def _of_paths(context: BoardContext, repo: Repo, thread: Thread, paths: list[str], topic: Topic) -> list[RequestAnswer]:
    known = context.index.find(paths[:MOST])
    return [_report(context, repo, thread, path, entry, topic) for path, entry in zip(paths, known, strict=False)]


def _report(
    context: BoardContext, repo: Repo, thread: Thread, path: str, entry: IndexEntry | None, topic: Topic
) -> RequestAnswer:
    if entry is None or entry.is_private:
        model = path.partition("_eval_request_")[0]
        return RequestAnswer(path, near=tuple(similar_names(context, model)), is_link=True)
    one = serializers.request(context, entry)
    if topic is not Topic.FAILURE:
        return RequestAnswer(path, one)
    if one.state in UNDER_WAY:
        return RequestAnswer(path, one, follow=follow(context, entry, repo, thread.num))
    if not one.failed or one.failure is None:
        return RequestAnswer(path, one)
    done = None
    if one.failure.fault in ("us", "hub"):
        done = relaunch(context, entry, cause=f"report:{repo.kind}/{repo.id}:{thread.num}", once="report:")
    # Followed whoever's fault it was: once it is evaluated again, the reporter hears of that end, too.
    return RequestAnswer(
        path, one, tuple(lines_of(context, entry)), done, follow=follow(context, entry, repo, thread.num)
    )
