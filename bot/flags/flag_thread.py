"""The thread of a flag: what is held against a model, what was said since, and when it is opened again.

What the thread says is one comment of ours for each decision (its opening post, where we opened it), made from the
records and edited when they change. Whoever speaks there after it is listed in it with what they are; a maintainer who
spoke last has answered.

    report        somebody reported models: evidence is gathered for maintainers, nothing is said of it
    flagged       our comment calls the author; it is waited for what is said (`pleas`)
    cause gone    the evidence that the flag rests on cannot be found any more: told once, maintainers decide (`cures`)
    lifted        the comment says so, and why
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.core.context import BoardContext, repo_of, thread_key
from bot.core.render import render
from bot.core.waiting_threads import note
from bot.flags import appeals, evidence_recheck
from bot.flags.appeals import Appeal
from bot.flags.flag_texts import flag_title
from bot.flags.notices import FLAGGED, address, repos_with_flag_threads
from bot.flags.report_intake import may_report, take_reports
from hub.comments import find_marked
from hub.records import Repo, Thread
from leaderboard.effects import Effect
from leaderboard.flags import FlagRecord
from leaderboard.links import thread_links
from leaderboard.triage import Topic, triage
from redis_state.dirty import SyncPriority


def open_or_adopt(
    context: BoardContext, drafts: Sequence[FlagRecord], repo: Repo, thread: Thread, cause: str
) -> str | None:
    """The address of the thread in which these flags are spoken about: the present one if it is about flags, else one
    that is opened now; None where the board opens none."""
    if is_about_flags(context, repo, thread):
        return address(context, repo, thread.num)
    marker = context.marker(FLAGGED, cause)
    hides = drafts[0].kind.hides
    title = flag_title([draft.model for draft in drafts], hides=hides)
    body = render("flag", records=drafts, appeals=(), hides=hides, authors=_authors(drafts))
    number = context.effects.open_thread(context.community, title, body, marker, Effect.EDIT)
    return address(context, context.community, number) if number is not None else None


def is_about_flags(context: BoardContext, repo: Repo, thread: Thread) -> bool:
    """Whether flags are spoken about in it, by its title or by what was decided there."""
    if thread.is_pull_request or not thread.comments:
        return False
    if context.flag_book.of_thread(address(context, repo, thread.num)):
        return True
    return _topic(thread) in (Topic.FLAG, Topic.APPEAL)


def _topic(thread: Thread) -> Topic:
    return triage(thread.title, thread.comments[0].text).topic


def sync_flag_thread(context: BoardContext, repo: Repo, thread: Thread, *, is_stale: bool = False) -> int:
    """Bring a thread in step with the flags that are spoken about in it; how many comments were posted.

    `is_stale` says that commands were answered since `thread` was read: one of them may have decided about it.
    """
    if thread.is_pull_request or not thread.comments:
        return 0
    records = context.flag_book.of_thread(address(context, repo, thread.num))
    if is_stale and (records or may_report(context, thread)):
        thread = context.hub.thread(repo, thread.num)
    if not records:
        take_reports(context, repo, thread)
        return 0
    said = appeals.find_appeals(context, repo, thread, records, list(_by_cause(records)))
    posted = _state(context, repo, thread, records, said)
    posted += evidence_recheck.tell(context, repo, thread, records)
    standing = [record for record in records if record.stands]
    if standing:
        posted += appeals.reopen(context, repo, thread, said)
        _remind(context, repo, thread, said)
        evidence_recheck.request_rechecks(context, standing, asked=said[-1].comment.id if said else "")
    return posted


def _remind(context: BoardContext, repo: Repo, thread: Thread, said: Sequence[Appeal]) -> None:
    """On the maintainers' list as long as somebody waits for a word of theirs."""
    if thread.status == "open" and (
        appeals.unanswered(context, thread, said) or evidence_recheck.is_unanswered(context, thread)
    ):
        note(context, repo, thread, Topic.APPEAL)


def mark_threads(context: BoardContext, records: Iterable[FlagRecord]) -> None:
    """Have the threads of these flags looked at, where they are ours to look at. One round trip."""
    places = (thread_at(context, url) for url in dict.fromkeys(record.thread for record in records))
    context.mark_all([thread_key(*place) for place in places if place is not None], SyncPriority.EVENT)


def thread_at(context: BoardContext, url: str) -> tuple[Repo, int] | None:
    """The thread at an address; None where it is in none of the board's repos."""
    for link in thread_links(url):
        repo = repo_of(f"{link.kind}/{link.repo}")
        if repo in repos_with_flag_threads(context) and address(context, repo, link.number) == url:
            return repo, link.number
    return None


# --- what the thread says


def _state(
    context: BoardContext, repo: Repo, thread: Thread, records: Sequence[FlagRecord], said: Sequence[Appeal]
) -> int:
    """Have each decision's comment say how things are; how many were posted."""
    posted = 0
    for cause, group in _by_cause(records).items():
        marker = context.marker(FLAGGED, cause)
        body = render("flag", records=group, appeals=said, hides=group[0].kind.hides, authors=_authors(group))
        comment = find_marked(thread.comments, marker, context.me())
        if comment is None:
            written = context.effects.comment(repo, thread.num, body, marker, asked=True, seen=thread)
            posted += written is not None
        else:
            context.effects.edit_comment(repo, thread.num, comment.id, body, marker, seen=comment.text)
    return posted


def _by_cause(records: Iterable[FlagRecord]) -> dict[str, list[FlagRecord]]:
    """Records by the comment that flagged them; what was imported speaks for itself in a thread of its own."""
    found: dict[str, list[FlagRecord]] = {}
    for record in sorted(records, key=lambda one: one.model.casefold()):
        decision = record.flagged_by
        if decision is not None and not decision.cause.startswith("import"):
            found.setdefault(decision.cause, []).append(record)
    return found


def _authors(records: Iterable[FlagRecord]) -> list[str]:
    return sorted({record.model.partition("/")[0] for record in records if "/" in record.model})
