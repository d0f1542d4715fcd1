"""Find reports in threads: by the title `[FLAG] org/model`, and by a `/flag` of a person who is not a maintainer.

Hidden lines in the bot's replies state that a command reported a model, that a maintainer dismissed the report, or that
the model was flagged in another thread. These lines alone, in their order, give the reports of a thread, so that no
report is lost with Redis.

Reports of one model in several threads are one report: the bot posts the decision in each thread.

Race accepted: Redis is lost after a command in a closed discussion reported a model, and before the bot opens the
discussion again. It stays closed until the next report in it.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

import structlog

from bot.core.context import BoardContext, thread_key, thread_of
from bot.core.waiting_threads import note, reopen
from bot.flags.model_names import find_model
from bot.flags.notices import DECIDED, DISMISSED, REPORTED, address, by_maintainers, our_lines, say
from bot.flags.reports import MAX_REPORTED, FlagReport, find_report, note_report, reports
from hub.comments import is_by, marker_of
from hub.errors import Denied, ThreadNotFound
from hub.records import Repo, Thread
from hub.retries import unless_gone
from leaderboard.flags import FlagRecord
from leaderboard.links import models_in
from leaderboard.triage import Topic, triage

log = structlog.get_logger()


def take_reports(context: BoardContext, repo: Repo, thread: Thread) -> None:
    """Note reports of the models that are reported in an open thread and still undecided.

    A discussion that the bot closed, such as that of a finished request, is opened again for a report that a command
    has noted since. Reports from before may have been dismissed, also where the thread does not say so.
    """
    if context.effects.is_left_alone(repo, thread.num):
        return
    key = thread_key(repo, thread.num)
    if _is_reported(context, key) and not may_report(context, thread):
        thread = context.hub.thread(repo, thread.num)  # the reporting command was answered since `thread` was read
    names = reported_in(context, thread)
    closed_by_me = thread.closed_by is not None and is_by(context.me(), *thread.closed_by)
    may_reopen = bool(names) and closed_by_me and _is_reported(context, key)
    if thread.status != "open" and (not may_reopen or _is_answered(context, thread)):
        return
    for name, at in names.items():
        _take(context, repo, thread, name, at)
    if not _is_reported(context, key) or _is_answered(context, thread):
        return
    if reopen(context, repo, thread, context.marker(REPORTED, key)):
        note(context, repo, thread, Topic.FLAG)


def _is_reported(context: BoardContext, key: str) -> bool:
    """Whether an undecided report names the thread with this dirty key."""
    return any(key in report.threads for report in reports(context))


def _is_answered(context: BoardContext, thread: Thread) -> bool:
    """Whether a maintainer has written since the opening post or the last command that reported a model."""
    me, ids_by_maintainers, is_answered = context.me(), by_maintainers(context, thread), False
    for comment in thread.comments:
        is_report = is_by(me, comment.author_id, comment.author_name) and any(
            marker.kind == REPORTED for marker in filter(None, map(marker_of, comment.text.splitlines()))
        )
        is_answered = not is_report and (is_answered or comment.id in ids_by_maintainers)
    return is_answered


def may_report(context: BoardContext, thread: Thread) -> bool:
    """Whether the thread reports a model, or did."""
    return _is_flag(thread) or any(marker.kind == REPORTED for _, marker in our_lines(context, thread))


def _is_flag(thread: Thread) -> bool:
    opening = thread.comments[0]
    return not opening.hidden and triage(thread.title, opening.text).topic is Topic.FLAG


def reported_in(context: BoardContext, thread: Thread, *, repeated: str = "") -> dict[str, datetime]:
    """The models that the thread reports and that are still undecided, as people wrote them, each with the time of its
    last report. The dismissal of the command `repeated` does not count."""
    titled = models_in(thread.title)[:MAX_REPORTED] if _is_flag(thread) else ()
    names = dict.fromkeys(titled, thread.created_at)
    for comment, marker in our_lines(context, thread):
        if marker.kind == REPORTED:
            names |= dict.fromkeys(marker.key.split(" "), comment.created_at)
        elif marker.kind == DISMISSED and marker.key != repeated:
            names = {}
        elif marker.kind == DECIDED:
            decided = marker.key.partition(" ")[0].casefold()
            names = {name: at for name, at in names.items() if name.casefold() != decided}
    return names


def _reported_model(context: BoardContext, name: str) -> str | None:
    """The model that `name` means; None for an unknown name, which is no report."""
    report = find_report(context, name)
    if report is not None:
        return report.model
    resolved = find_model(context, name)
    return resolved.model if resolved.is_known else None


def flag_of_all(context: BoardContext, model: str) -> FlagRecord | None:
    """The standing flag of the whole model, which leaves nothing to report; None without one."""
    return next((record for record in context.flag_book.of([model]) if record.stands and record.scope.is_whole), None)


def _take(context: BoardContext, repo: Repo, thread: Thread, name: str, at: datetime) -> None:
    model = _reported_model(context, name)
    if model is None or flag_of_all(context, model) is not None:
        return
    post = thread.comments[0]
    report = FlagReport(
        model=model,
        threads=(thread_key(repo, thread.num),),
        url=address(context, repo, thread.num),
        reporter=thread.author_name,
        reporter_id=thread.author_id or "",
        at=at.timestamp(),
        named=tuple(name for name in models_in(post.text) if name.casefold() != model.casefold()),
    )
    note_report(context, report)


def tell_reporters(context: BoardContext, report: FlagReport, url: str, cause: str, **variables: object) -> None:
    """Post the decision of the comment `cause` once in each thread of `report` but that at `url`, and close threads
    that report nothing else. At most three calls for each thread."""
    for repo, number in filter(None, (thread_of(dirty_key.partition(":")[2]) for dirty_key in report.threads)):
        if address(context, repo, number) == url:
            continue
        thread = unless_gone(partial(context.hub.thread, repo, number), ThreadNotFound)
        if thread is None:
            continue  # it was deleted
        try:
            _tell(context, report, repo, thread, cause, url=url, **variables)
        except (ThreadNotFound, Denied) as error:  # deleted just now; or locked, which must not stop the decision
            log.warning("reporter not told", repo=repo.id, thread=number, model=report.model, error=str(error))


def _tell(
    context: BoardContext, report: FlagReport, repo: Repo, thread: Thread, cause: str, **variables: object
) -> None:
    key = f"{report.model} {cause}"
    say(context, repo, thread, DECIDED, key, thread.author_name, model=report.model, **variables)
    undecided = [name for name in reported_in(context, thread) if name.casefold() != report.model.casefold()]
    if thread.status == "open" and _is_flag(thread) and not undecided:
        context.effects.set_status(repo, thread.num, "closed", context.marker(DECIDED, key))
