"""The sync of a flag's thread.

The bot writes one comment for each decision (the opening post, where it opened the thread), rendered from the records
and edited when they change. The comment lists later comments of other people; a comment of a maintainer answers all
comments before it.

    report        a person reported models: the bot gathers evidence for maintainers and posts none of it
    flagged       the comment mentions the author, who can appeal (`appeals`)
    cause gone    the evidence of the flag is gone: the bot says so once, maintainers decide (`evidence_recheck`)
    lifted        the comment says so, and why
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.core.context import BoardContext, repo_of, thread_key
from bot.core.render import printable, render
from bot.core.waiting_threads import note
from bot.core.watched_repos import thread_repos
from bot.flags import appeals, evidence_recheck
from bot.flags.appeals import Appeal
from bot.flags.notices import FLAGGED, address
from bot.flags.report_intake import may_report, take_reports
from bot.request_files.status_text import TITLE_LIMIT
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
    """The address of the thread for these flags: `thread` if it is about flags, else a new one; None where new threads
    are off or in shadow on this board."""
    if is_about_flags(context, repo, thread):
        return address(context, repo, thread.num)
    marker = context.marker(FLAGGED, cause)
    hides = drafts[0].kind.hides
    title = flag_title([draft.model for draft in drafts], hides=hides)
    body = render("flag", records=drafts, appeals=(), hides=hides, authors=_authors(drafts))
    number = context.effects.open_thread(context.community, title, body, marker, Effect.EDIT)
    return address(context, context.community, number) if number is not None else None


def flag_title(models: Sequence[str], *, hides: bool) -> str:
    """The title of a discussion about these models, within the Hub's limit. `triage` recognises it by its prefix."""
    prefix = "[FLAG]" if hides else "Not evaluated here:"
    suffix = f" and {len(models) - 1} more" if len(models) > 1 else ""
    available = TITLE_LIMIT - len(prefix) - len(suffix) - 1
    return f"{prefix} {printable(models[0])[:available]}{suffix}"


def is_about_flags(context: BoardContext, repo: Repo, thread: Thread) -> bool:
    """Whether the thread is about flags: by its title, or because a record names it."""
    if thread.is_pull_request or not thread.comments:
        return False
    if context.flag_book.of_thread(address(context, repo, thread.num)):
        return True
    return _topic(thread) in (Topic.FLAG, Topic.APPEAL)


def _topic(thread: Thread) -> Topic:
    return triage(thread.title, thread.comments[0].text).topic


def sync_flag_thread(context: BoardContext, repo: Repo, thread: Thread, *, is_stale: bool = False) -> int:
    """Bring a thread in step with its flags. Return the number of posted comments.

    `is_stale`: commands were answered since `thread` was read, and one of them may have decided about a flag.
    """
    if thread.is_pull_request or not thread.comments:
        return 0
    records = context.flag_book.of_thread(address(context, repo, thread.num))
    if is_stale and (records or may_report(context, thread)):
        thread = context.hub.thread(repo, thread.num)
    if not records:
        take_reports(context, repo, thread)
        return 0
    thread_appeals = appeals.find_appeals(context, repo, thread, records, list(_by_cause(records)))
    posted = _sync_comments(context, repo, thread, records, thread_appeals)
    posted += evidence_recheck.report_gone(context, repo, thread, records)
    standing = [record for record in records if record.stands]
    _note_waiting(context, repo, thread, thread_appeals if standing else ())
    if standing:
        posted += appeals.reopen(context, repo, thread, thread_appeals)
        last_appeal = thread_appeals[-1].comment.id if thread_appeals else ""
        evidence_recheck.request_rechecks(context, standing, last_appeal=last_appeal)
    return posted


def _note_waiting(context: BoardContext, repo: Repo, thread: Thread, thread_appeals: Sequence[Appeal]) -> None:
    """Put an open thread on the maintainers' list while it waits for their answer, and take it off afterwards."""
    waits = thread.status == "open" and (
        appeals.unanswered(context, thread, thread_appeals) or evidence_recheck.is_unanswered(context, thread)
    )
    note(context, repo, thread, Topic.APPEAL if waits else None, part="appeal")


def mark_threads(context: BoardContext, records: Iterable[FlagRecord]) -> None:
    """Mark the threads of these flags that are in the board's repos. One round trip."""
    locations = (thread_at(context, url) for url in dict.fromkeys(record.thread for record in records))
    context.mark_all([thread_key(*location) for location in locations if location is not None], SyncPriority.EVENT)


def thread_at(context: BoardContext, url: str) -> tuple[Repo, int] | None:
    """The repo and number of the thread at an address; None where it is in none of the board's repos."""
    for link in thread_links(url):
        repo = repo_of(f"{link.kind}/{link.repo}")
        if repo in thread_repos(context) and address(context, repo, link.number) == url:
            return repo, link.number
    return None


# --- the comments about decisions


def _sync_comments(
    context: BoardContext, repo: Repo, thread: Thread, records: Sequence[FlagRecord], thread_appeals: Sequence[Appeal]
) -> int:
    """Post or edit the comment of each decision. Return the number of posted comments."""
    posted = 0
    for cause, group in _by_cause(records).items():
        marker = context.marker(FLAGGED, cause)
        body = render("flag", records=group, appeals=thread_appeals, hides=group[0].kind.hides, authors=_authors(group))
        comment = find_marked(thread.comments, marker, context.me())
        if comment is None:
            written = context.effects.comment(repo, thread.num, body, marker, asked=True, seen=thread)
            posted += written is not None
        else:
            context.effects.edit_comment(repo, thread.num, comment.id, body, marker, seen=comment.text)
    return posted


def _by_cause(records: Iterable[FlagRecord]) -> dict[str, list[FlagRecord]]:
    """Records by the comment that flagged them, without imported ones: their threads explain them already."""
    groups: dict[str, list[FlagRecord]] = {}
    for record in sorted(records, key=lambda record: record.model.casefold()):
        decision = record.flagged_by
        if decision is not None and not decision.cause.startswith("import"):
            groups.setdefault(decision.cause, []).append(record)
    return groups


def _authors(records: Iterable[FlagRecord]) -> list[str]:
    return sorted({record.model.partition("/")[0] for record in records if "/" in record.model})
