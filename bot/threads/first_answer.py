"""The first answer to a new thread: exactly one, within seconds, or none where only a person can answer.

`leaderboard.triage` decides from title and opening post what the thread is about. Evaluations that failed by the
board's or the Hub's fault are relaunched before the answer is posted; their files record it, so it happens once.

If the opening post reports no request of this board, a report in a later comment of its author (`later_comments`) is
answered, once, under a marker of its own: also after an answer from the list of questions, which asks for the link.

No answer goes to threads whose opening post holds a command, that a maintainer opened, or that are older than
MAX_AGE_SECONDS or the board's adoption. A thread of any age since the adoption is on the maintainers' list
(`waiting_threads`), until a maintainer writes in it or it is closed, if

    only a person can settle it, or the bot had no answer
    the answer says that a maintainer will look at it: a hidden marker in the answer records that. This includes
    reports of requests that have not failed: people also link a request to have its result removed or renewed
    a person wrote again after the bot's answer

Race accepted: a maintainer answers while the bot's answer is being posted. Both answers stand.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from bot.core import people
from bot.core.commands.registry import Registry
from bot.core.commands.targets import similar_names
from bot.core.context import BoardContext, thread_key
from bot.core.earlier_names import paths_in_requests
from bot.core.render import Safe, render
from bot.core.waiting_threads import is_noted, note
from bot.flags.reports import reported_before
from bot.read_models import models, serializers
from bot.read_models.log_lines import lines_of
from bot.request_files.followers import follow
from bot.requests.relaunching import RelaunchResult, relaunch
from bot.threads import faq, mentions
from bot.threads.answering import known_commands
from bot.threads.later_comments import later_report
from hub.comments import Marker, find_marked, is_by
from hub.records import Comment, Repo, Thread
from leaderboard.adoption import AdoptionRecord
from leaderboard.triage import Topic, Triage, triage
from redis_state.board.entry import IndexEntry

log = structlog.get_logger()

FIRST, WAITS = "first", "waits"
MAX_AGE_SECONDS = 7 * 86_400
EMPTY = Safe("")
MAX_REQUESTS = 5
"""Requests that one answer shows; it gives the number of further ones."""
UNDER_WAY = ("new", "waiting", "running", "settled")
FOR_PEOPLE = frozenset(Topic) - {Topic.FAILURE, Topic.QUESTION}
"""Topics that only a person can settle."""


@dataclass(frozen=True)
class RequestAnswer:
    """One request in an answer: its public view, the decisive lines of its log, and its relaunch.

    If there is no such request, `path` is the text of the post: a link (`is_link`) or a model's name.
    """

    path: str
    request: models.RequestView | None = None
    lines: tuple[str, ...] = ()
    relaunch: RelaunchResult | None = None
    near: tuple[str, ...] = ()
    follow: Safe = EMPTY
    is_link: bool = False

    @property
    def needs_person(self) -> bool:
        """Whether the next step is a maintainer's."""
        if self.request is None or not self.request.failed:
            return False
        if self.relaunch is not None:
            return self.relaunch.how not in ("done", "under-way")
        return self.request.failure is None or self.request.failure.fault == "unknown"


def answer_first(context: BoardContext, registry: Registry, repo: Repo, thread: Thread) -> int:
    """Post the first answer in `thread`, if it gets one. Return the number of comments posted."""
    if not _is_of_a_person(context, repo, thread):
        if is_noted(context, repo, thread.num) and _maintainer_wrote(context, thread):
            note(context, repo, thread, None)
        return 0
    subject, marker = _subject(context, registry, repo, thread)
    if _maintainer_wrote(context, thread):
        note(context, repo, thread, None)
        if subject.topic is Topic.QUESTION:
            return 0
    answer = find_marked(thread.comments, marker, context.me())
    has_reply = answer is not None or bool(known_commands(registry, thread.comments[0]))
    if has_reply or _is_old(context, thread):
        waits = not has_reply or _waits_still(context, registry, thread, subject, answer)
        _note(context, repo, thread, subject, waits)
        return 0
    body, waits = _body(context, repo, thread, subject)
    _note(context, repo, thread, subject, waits)
    if not body:
        return 0
    posted = context.effects.comment(repo, thread.num, body, marker, wake=thread_key(repo, thread.num), seen=thread)
    if posted is None:
        return 0
    log.info("first answer", thread=thread.num, repo=repo.id, topic=subject.topic.value)
    return 1


def _subject(context: BoardContext, registry: Registry, repo: Repo, thread: Thread) -> tuple[Triage, Marker]:
    """The topic of the thread, by its opening post or the author's later report, and the marker of its answer."""
    first, later = (context.marker(FIRST, f"{repo.kind}/{repo.id} {thread.num}{more}") for more in ("", " later"))
    opening = thread.comments[0]
    if find_marked(thread.comments, later, context.me()) is not None:
        return Triage(Topic.FAILURE), later
    subject = triage(thread.title, opening.text, faq.questions(context.takes))
    report = None if known_commands(registry, opening) else later_report(context, registry, thread, subject)
    return (subject, first) if report is None else (report, later)


def _is_of_a_person(context: BoardContext, repo: Repo, thread: Thread) -> bool:
    """Whether a person who is not a maintainer opened the discussion, after the board's adoption."""
    if thread.is_pull_request or not thread.comments or thread.comments[0].hidden:
        return False
    if is_by(context.me(), thread.author_id, thread.author_name) or thread.author_id in people.maintainers(context):
        return False
    return not _is_from_before_adoption(context.adoption.record(), repo, thread)


def _is_old(context: BoardContext, thread: Thread) -> bool:
    """Whether an answer would come too late to help the author."""
    return thread.created_at.timestamp() <= context.now() - MAX_AGE_SECONDS


def _is_from_before_adoption(record: AdoptionRecord | None, repo: Repo, thread: Thread) -> bool:
    if record is None:
        return False
    is_earlier = thread.created_at.timestamp() < record.seconds
    return is_earlier or record.is_old_thread(f"{repo.kind}/{repo.id}", thread.num)


def _maintainer_wrote(context: BoardContext, thread: Thread) -> bool:
    """Whether a maintainer has commented in the thread."""
    maintainers = people.maintainers(context)
    return any(comment.author_id in maintainers for comment in thread.comments)


def _note(context: BoardContext, repo: Repo, thread: Thread, subject: Triage, waits: bool) -> None:
    """Put the thread on the maintainers' list, or take it off."""
    waits = waits and thread.status == "open" and not _maintainer_wrote(context, thread)
    note(context, repo, thread, subject.topic if waits else None)


def _waits_still(
    context: BoardContext, registry: Registry, thread: Thread, subject: Triage, answer: Comment | None
) -> bool:
    """Whether a thread that gets no further answer waits for a maintainer. `answer` is the bot's answer, if any."""
    if subject.topic in FOR_PEOPLE:
        return answer is not None or subject.topic is not Topic.OTHER  # a post with only a command has its reply
    if answer is None:
        return False
    is_marked = _waits_marker(context) in answer.text.splitlines()[1:]
    return is_marked or _has_later_comments(context, registry, thread, answer)


def _waits_marker(context: BoardContext) -> str:
    return str(context.marker(WAITS, "maintainer"))


def _has_later_comments(context: BoardContext, registry: Registry, thread: Thread, answer: Comment) -> bool:
    """Whether a person wrote something other than commands after `answer`."""
    later = thread.comments[thread.comments.index(answer) + 1 :]
    me = context.me()
    return any(
        not comment.hidden
        and not is_by(me, comment.author_id, comment.author_name)
        and not known_commands(registry, comment)
        for comment in later
    )


def _body(context: BoardContext, repo: Repo, thread: Thread, subject: Triage) -> tuple[str, bool]:
    """The text of the answer, "" for no answer; and whether the thread waits for a maintainer afterwards."""
    if subject.topic is Topic.OTHER:
        is_asked = mentions.mentions(context.me().name, thread.comments[0].text)
        return (mentions.help_text(context, subject) if is_asked else ""), True
    if subject.topic is Topic.QUESTION:
        answer = mentions.answer_to_question(context, subject)
        return render("first", topic=subject.topic, answer=answer, reports=()), False
    reports, more = (
        _reports(context, repo, thread, subject) if subject.topic in (Topic.FAILURE, Topic.DUPLICATES) else ([], 0)
    )
    if subject.topic is Topic.FAILURE and not reports:
        return "", True
    no_failure = subject.topic is Topic.FAILURE and _is_no_failure(reports)
    waits = subject.topic is not Topic.FAILURE or no_failure or any(report.needs_person for report in reports)
    mark = Safe(_waits_marker(context)) if waits and subject.topic is Topic.FAILURE else EMPTY
    model = next(iter(subject.models), "")
    before = reported_before(context, model, thread_key(repo, thread.num)) if subject.topic is Topic.FLAG else ""
    facts = {"reports": reports, "more": more, "no_failure": no_failure, "waits": mark, "before": before}
    return render("first", topic=subject.topic, answer="", model=model, **facts), waits


def _is_no_failure(reports: list[RequestAnswer]) -> bool:
    """Whether every reported request is at its end, and none of them failed."""
    requests = [report.request for report in reports if report.request is not None]
    return bool(requests) and all(
        request.failure is None and request.state not in ("failed", *UNDER_WAY) for request in requests
    )


def _reports(context: BoardContext, repo: Repo, thread: Thread, subject: Triage) -> tuple[list[RequestAnswer], int]:
    """An answer for each linked request, or without links for each request of the named models; and the number of
    requests that get none."""
    if not subject.requests:
        return _of_models(context, repo, thread, subject)
    ours = paths_in_requests(context, subject.requests)
    elsewhere = [RequestAnswer(link.path, is_link=True) for link in subject.requests if link.path not in ours]
    answers = [*_of_paths(context, repo, thread, ours, subject.topic), *elsewhere]
    return answers[:MAX_REQUESTS], max(0, len(subject.requests) - MAX_REQUESTS)


def _of_models(context: BoardContext, repo: Repo, thread: Thread, subject: Triage) -> tuple[list[RequestAnswer], int]:
    """An answer for each request of the named models; if there is none at all, models with similar names."""
    entries = [entry for model in subject.models for entry in context.index.of_model(model) if not entry.is_private]
    entries.sort(key=lambda entry: (entry.standing.status != "FAILED", -entry.standing.time))
    if entries:
        paths = [entry.path for entry in entries]
        return _of_paths(context, repo, thread, paths, subject.topic), max(0, len(paths) - MAX_REQUESTS)
    similar = ((model, tuple(similar_names(context, model))) for model in subject.models)
    return [RequestAnswer(model, near=names) for model, names in similar if names][:MAX_REQUESTS], 0


def _of_paths(context: BoardContext, repo: Repo, thread: Thread, paths: list[str], topic: Topic) -> list[RequestAnswer]:
    entries = context.index.find(paths[:MAX_REQUESTS])
    return [_report(context, repo, thread, path, entry, topic) for path, entry in zip(paths, entries, strict=False)]


def _report(
    context: BoardContext, repo: Repo, thread: Thread, path: str, entry: IndexEntry | None, topic: Topic
) -> RequestAnswer:
    if entry is None or entry.is_private:
        model = path.partition("_eval_request_")[0]
        return RequestAnswer(path, near=tuple(similar_names(context, model)), is_link=True)
    request = serializers.request(context, entry)
    if topic is not Topic.FAILURE:
        return RequestAnswer(path, request)
    if request.state in UNDER_WAY:
        return RequestAnswer(path, request, follow=follow(context, entry, repo, thread.num))
    if not request.failed or request.failure is None:
        return RequestAnswer(path, request)
    result = None
    if request.failure.fault in ("us", "hub"):
        result = relaunch(context, entry, cause=f"report:{repo.kind}/{repo.id}:{thread.num}", once="report:")
    # Followed even if the submission was at fault: the reporter also learns the end of a later evaluation.
    return RequestAnswer(
        path, request, tuple(lines_of(context, entry)), result, follow=follow(context, entry, repo, thread.num)
    )
