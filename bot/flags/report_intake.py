"""Reports, as they are found in threads: by the title `[FLAG] org/model`, and by `/flag` of anybody but a maintainer.

What was reported by a command stands in our reply to it, in a hidden line; so does that a report was dismissed, or
that the model was flagged elsewhere. What is reported of a thread follows from these alone, in their order, so that
nothing is forgotten when Redis is lost.

Reports of one model in several threads are one: what was decided is told in each of them.
"""

from __future__ import annotations

from bot.core.context import BoardContext, thread_key, thread_of
from bot.core.waiting_threads import note
from bot.flags.model_names import find_model
from bot.flags.notices import DECIDED, DISMISSED, REPORTED, address, by_maintainers, our_lines, say
from bot.flags.reports import MOST_REPORTED, FlagReport, find_report, note_report, reports
from hub.errors import ThreadNotFound
from hub.records import Repo, Thread
from leaderboard.links import models_in
from leaderboard.triage import Topic, triage


def take_reports(context: BoardContext, repo: Repo, thread: Thread) -> None:
    """Have evidence gathered about the models that are reported in `thread`, until it was decided about them."""
    if thread.status != "open" or context.effects.is_left_alone(repo, thread.num):
        return
    for said in reported_in(context, thread):
        _take(context, repo, thread, said)
    key = thread_key(repo, thread.num)
    if any(key in report.threads for report in reports(context)) and not by_maintainers(context, thread):
        note(context, repo, thread, Topic.FLAG)


def may_report(context: BoardContext, thread: Thread) -> bool:
    """Whether something is, or was, reported in `thread`."""
    return _is_flag(thread) or any(marker.kind == REPORTED for marker in our_lines(context, thread))


def _is_flag(thread: Thread) -> bool:
    opening = thread.comments[0]
    return not opening.hidden and triage(thread.title, opening.text).topic is Topic.FLAG


def reported_in(context: BoardContext, thread: Thread) -> list[str]:
    """The models that are reported there and were not decided about since, as people wrote them."""
    found = models_in(thread.title)[:MOST_REPORTED] if _is_flag(thread) else []
    for marker in our_lines(context, thread):
        if marker.kind == REPORTED:
            found += marker.key.split(" ")
        elif marker.kind == DISMISSED:
            found = []
        elif marker.kind == DECIDED:
            decided = marker.key.partition(" ")[0].casefold()
            found = [said for said in found if said.casefold() != decided]
    return list(dict.fromkeys(found))


def _take(context: BoardContext, repo: Repo, thread: Thread, said: str) -> None:
    """A model that nobody knows is nobody's report: our first answer has said who decides."""
    known = find_report(context, said)
    named = find_model(context, said) if known is None else None
    model = known.model if known is not None else named.model if named is not None and named.is_known else None
    if model is None or any(record.stands for record in context.flag_book.of([model])):
        return
    post = thread.comments[0]
    report = FlagReport(
        model=model,
        threads=(thread_key(repo, thread.num),),
        url=address(context, repo, thread.num),
        reporter=thread.author_name,
        reporter_id=thread.author_id or "",
        at=thread.created_at.timestamp(),
        named=tuple(name for name in models_in(post.text) if name.casefold() != model.casefold()),
    )
    note_report(context, report)


def tell_reporters(context: BoardContext, report: FlagReport, url: str, cause: str, **words: object) -> None:
    """Say once, in each thread of `report` but that at `url`, what was decided there by `cause`; close those that are
    about nothing else. Three calls for each at most."""
    key = f"{report.model} {cause}"
    for repo, number in filter(None, (thread_of(one.partition(":")[2]) for one in report.threads)):
        if address(context, repo, number) == url:
            continue
        try:
            thread = context.hub.thread(repo, number)
        except ThreadNotFound:
            continue  # nobody is left to be told
        say(context, repo, thread, DECIDED, key, thread.author_name, model=report.model, url=url, **words)
        left = [said for said in reported_in(context, thread) if said.casefold() != report.model.casefold()]
        if thread.status == "open" and _is_flag(thread) and not left:
            context.effects.set_status(repo, number, "closed", context.marker(DECIDED, key))
