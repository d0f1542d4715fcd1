"""The sync of one thread, and the search for threads whose webhook was lost, by their number of comments.

The Hub's list of threads cannot be sorted by update, so one pass reads the newest threads and, unless these are all,
the next pages in a rotation over the open ones: one for each minute since the last pass. A comment without a webhook is
found

    in a new thread, or one of the newest     after one pass
    in another open thread                    after as many minutes as there are pages of open threads, or one pass

Race accepted: another thread closes and moves a thread to an earlier page, just after that page was read. The next
rotation finds it, that is, within twice the bound. Also accepted: comments in a closed thread that is not among the
newest are found by webhook only, and an edit that keeps the number of comments is not found at all.

A status comment that was hidden or deleted is posted again while its request waits or runs, because people watch it.
After the request's end it is not: the file says everything, and hiding the comment may have been deliberate.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from bot.changes.applying import complete_approved
from bot.changes.proposals import note_plans
from bot.core.commands.model import CommandPlace
from bot.core.commands.targets import STATUS, requests_of
from bot.core.context import BoardContext, request_key, thread_key, threads_key
from bot.core.pull_records import forget
from bot.core.waiting_threads import forget_thread, note
from bot.flags.flag_thread import sync_flag_thread
from bot.intake.webhook_trust import last_look, note_look
from bot.pulls.pull import sync_pull
from bot.request_files.followers import report_ends
from bot.threads.answering import answer_commands
from bot.threads.first_answer import answer_first
from bot.threads.mentions import answer_mentions
from bot.threads.rename_links import follow_links
from bot.threads.verbs import REGISTRY
from hub.comments import find_marked
from hub.errors import Denied, NotFound, ThreadNotFound
from hub.records import Repo, Thread, ThreadSummary
from leaderboard.look_rhythm import SHORTEST_SECONDS
from leaderboard.waiting_items import PULL
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncPriority
from redis_state.redis import Fields

log = structlog.get_logger()

AT_REST = ("settled", "foreign")
MAX_PAGES = 10
"""Pages of open threads that one pass reads."""
PAGES_READ = point("threads looked at, turn not noted")


def sync_threads(context: BoardContext, repo: Repo) -> None:
    """Read the newest threads of `repo` and, if there are others, the next pages of its open ones: a page for each
    minute since the last pass. One call a page."""
    try:
        threads, are_others = context.hub.threads_page(repo, 0)
        page = next_page(context, repo) if are_others else 0
        for _ in range(_pages_due(context, repo) if are_others else 0):
            open_threads, more = context.hub.threads_page(repo, page, are_open=True)
            threads += open_threads
            page = page + 1 if more else 0
            if not more:
                break
    except (NotFound, Denied) as error:
        log.info("threads cannot be listed", repo=repo.id, error=str(error))
        return
    changed = _mark_changed(context, repo, threads)
    note_look(context, threads_key(repo), [thread_key(repo, number) for number in changed])
    pass_by(PAGES_READ)
    context.redis.hset(context.keys.rounds, _rotation(repo), page)


def _pages_due(context: BoardContext, repo: Repo) -> int:
    """How many pages of open threads this pass reads, so that rare passes do not make the rotation slower."""
    last = last_look(context, threads_key(repo))
    minutes = 1 if last is None else int((context.now() - last) // SHORTEST_SECONDS)
    return max(1, min(MAX_PAGES, minutes))


def next_page(context: BoardContext, repo: Repo) -> int:
    """The page of the open threads of `repo` that the next pass reads; 0 after the last one."""
    return int(context.redis.hget(context.keys.rounds, _rotation(repo)) or 0)


def forget_page(context: BoardContext, repo: Repo) -> None:
    """Let the next pass read the first page of the open threads of `repo`."""
    context.redis.hdel(context.keys.rounds, _rotation(repo))


def _mark_changed(context: BoardContext, repo: Repo, listed: Sequence[ThreadSummary]) -> set[int]:
    """Mark the listed threads whose number of comments has changed, and return their numbers.

    Open ones that only version 0.1.0 has read are marked too: it put no plans and no pull requests on the maintainers'
    list.
    """
    if not listed:
        return set()
    counts = context.keys.thread_counts(_name(repo))
    comments = {summary.num: summary.comments for summary in listed}
    fields = [name for number in comments for name in (_listed(number), _read(number), _noted(number))]
    stored = [None if raw is None else int(raw) for raw in context.redis.hmget(counts, fields)]
    # The list and the thread itself may count differently, so both counts are stored, and either may match.
    earlier = dict(zip(comments, zip(stored[::3], stored[1::3], strict=True), strict=True))
    noted = dict(zip(comments, stored[2::3], strict=True))
    changed = {number for number, count in comments.items() if count not in earlier[number]}
    new = {number for number in changed if earlier[number] == (None, None)}
    unnoted = {each.num for each in listed if each.status in ("open", "draft") and noted[each.num] is None}
    context.mark_all((thread_key(repo, number) for number in changed - new), SyncPriority.EVENT)
    context.mark_all((thread_key(repo, number) for number in new | (unnoted - changed)), SyncPriority.BACKGROUND)
    # Last: after a crash before this line, the next pass finds the threads changed again.
    seen: Fields = {_listed(number): count for number, count in comments.items()}
    context.redis.hset(counts, mapping=seen | {_noted(number): 1 for number in comments})
    return changed


def sync_thread(context: BoardContext, repo: Repo, number: int) -> float | None:
    """Sync one thread: answer its commands, look for the status comment of its request, check a pull request. Return
    the time of the next sync, if one is due without an event."""
    context.adoption.ensure()
    counts = context.keys.thread_counts(_name(repo))
    try:
        thread = context.hub.thread(repo, number)
    except ThreadNotFound:
        context.redis.hdel(counts, _listed(number), _read(number), _noted(number))
        forget(context, repo, number)
        forget_thread(context, repo, number)
        return None
    if thread.status in ("closed", "merged"):
        forget_thread(context, repo, number)
    note_plans(context, repo, thread)
    paths = requests_of(context, repo, thread)
    for path in paths:
        _check_status(context, thread, path)
    complete_approved(context, repo, thread)
    posted = _post_answers(context, repo, thread, paths)
    is_pull = repo in (context.requests, context.results) and thread.is_pull_request
    reports, due = sync_pull(context, repo, thread) if is_pull else (0, None)
    if thread.is_pull_request and not is_pull:
        _note_other_pull(context, repo, thread)
    read: Fields = {_read(number): len(thread.comments) + posted + reports, _noted(number): 1}
    context.redis.hset(counts, mapping=read)
    return due


def _note_other_pull(context: BoardContext, repo: Repo, thread: Thread) -> None:
    """Put an open pull request that the bot does not check on the maintainers' list until it is closed or merged."""
    is_old = context.effects.is_left_alone(repo, thread.num)
    note(context, repo, thread, PULL if thread.status == "open" and not is_old else None, part="pull")


def _post_answers(context: BoardContext, repo: Repo, thread: Thread, paths: Sequence[str]) -> int:
    """Post every answer that the thread needs, if the Hub lets the bot write there. Return the number of comments.

    `paths` are those of the requests that the thread belongs to.
    """
    posted = 0
    try:
        posted += answer_commands(context, REGISTRY, repo, thread, _place(thread, is_request=bool(paths)))
        linked = follow_links(context, REGISTRY, repo, thread)
        posted += linked or (0 if paths else answer_first(context, REGISTRY, repo, thread))
        posted += answer_mentions(context, REGISTRY, repo, thread, paths)
        posted += report_ends(context, repo, thread)  # after it is known whether the thread waits for a maintainer
        posted += sync_flag_thread(context, repo, thread, is_stale=posted > 0)
    except Denied as error:  # locked, or switched off: the webhook of the unlock, or of a comment, brings the next sync
        log.warning("not allowed to comment", repo=repo.id, thread=thread.num, error=str(error))
    return posted


def _place(thread: Thread, *, is_request: bool) -> CommandPlace:
    if thread.is_pull_request:
        return CommandPlace.PULL
    return CommandPlace.REQUEST if is_request else CommandPlace.COMMUNITY


def _check_status(context: BoardContext, thread: Thread, path: str) -> None:
    """Note the id of the status comment. If it is gone, mark the request, whose sync posts it again."""
    comment = find_marked(thread.comments, context.marker(STATUS, path), context.me())
    entry = context.index.find([path])[0]
    if entry is None:
        context.mark(request_key(path), SyncPriority.BACKGROUND)
        return
    if entry.thread not in (None, thread.num):
        return  # the request was submitted again, and its status comment is in another thread
    if comment is None and any(each.id == entry.comment and not each.hidden for each in thread.comments):
        return  # the request was renamed, and the comment is marked with its former path until its next edit
    number, comment_id = (thread.num, comment.id) if comment is not None else (entry.thread, None)
    if (entry.thread, entry.comment) == (number, comment_id):
        return
    context.index.change(path, lambda entry: entry.changed(thread=number, comment=comment_id, said=""))
    if entry.state not in AT_REST:
        context.mark(request_key(path), SyncPriority.BACKGROUND)


def _rotation(repo: Repo) -> str:
    return f"open threads of {_name(repo)}"


def _name(repo: Repo) -> str:
    return f"{repo.kind} {repo.id}"


def _listed(number: int) -> str:
    return str(number)


def _read(number: int) -> str:
    return f"{number} read"


def _noted(number: int) -> str:
    return f"{number} noted"
