"""Threads that nobody told us of: their list is looked through for those that have other comments than last time.

The Hub's list of threads cannot be sorted by update, so a look takes two pages: the newest threads, and the next one of
a rotation over the open ones. What a webhook did not tell is so found at the latest

    in a thread among the newest, or a new one     after one look
    in another open thread                         after as many looks as there are pages of open threads (`staleness`)

Race accepted: a thread moves to an earlier page, because another closed, just after that page was read. It is found in
the next rotation, that is, after twice the bound. Accepted too: comments in a closed thread that is not among the
newest are found by webhook only, and an edit that leaves the number of comments as it was is not found at all.

A status comment that somebody hid or deleted is written anew as long as its request waits or runs, for somebody waits
with it. Of a request at its end it is not: the file says everything, and whoever hid the comment may have meant it.
"""

from __future__ import annotations

import structlog

from bot.changes.applying import complete_approved
from bot.core.commands.model import CommandPlace
from bot.core.context import BoardContext, request_key, thread_key
from bot.core.pull_records import forget
from bot.flags.flag_thread import sync_flag_thread
from bot.pulls.pull import sync_pull
from bot.request_files.followers import tell_ends
from bot.request_files.status_thread import KIND
from bot.threads.answering import answer_commands
from bot.threads.first_answer import answer_first
from bot.threads.rename_links import follow_links
from bot.threads.verbs import REGISTRY
from hub.comments import find_marked, marker_of
from hub.errors import BadToken, Denied, NotFound, ThreadNotFound
from hub.records import Repo, Thread
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncPriority

log = structlog.get_logger()

AT_REST = ("settled", "foreign")
LOOKED = point("threads looked at, turn not noted")


def staleness(open_pages: int, period: float) -> float:
    """Seconds until a new comment in an open thread is found without a webhook; a look every `period` seconds."""
    return max(1, open_pages) * period


def sync_threads(context: BoardContext, repo: Repo) -> None:
    """Look at the newest threads of `repo` and at the next page of its open ones: two calls."""
    place = f"open threads of {_name(repo)}"
    page = int(context.redis.hget(context.keys.rounds, place) or 0)
    try:
        newest, _ = context.hub.threads_page(repo, 0)
        turn, more = context.hub.threads_page(repo, page, are_open=True)
    except BadToken:
        raise
    except (NotFound, Denied) as error:
        log.info("no threads to look at", repo=repo.id, error=str(error))
        return
    _mark_changed(context, repo, {summary.num: summary.comments for summary in (*newest, *turn)})
    pass_by(LOOKED)
    context.redis.hset(context.keys.rounds, place, page + 1 if more else 0)


def _mark_changed(context: BoardContext, repo: Repo, listed: dict[int, int]) -> None:
    """Mark the threads that have not as many comments as they had: number → comments, as the list says."""
    if not listed:
        return
    counts = context.keys.thread_counts(_name(repo))
    fields = [name for number in listed for name in (_listed(number), _read(number))]
    found = [None if raw is None else int(raw) for raw in context.redis.hmget(counts, fields)]
    # The list may count otherwise than the thread itself shows, so both are remembered, and either will do.
    known = dict(zip(listed, zip(found[::2], found[1::2], strict=True), strict=True))
    changed = {number for number, comments in listed.items() if comments not in known[number]}
    new = {number for number in changed if known[number] == (None, None)}
    context.mark_all((thread_key(repo, number) for number in changed - new), SyncPriority.EVENT)
    context.mark_all((thread_key(repo, number) for number in new), SyncPriority.BACKGROUND)
    # Last: a process that dies before this finds them changed again.
    context.redis.hset(counts, mapping={_listed(number): comments for number, comments in listed.items()})


def sync_thread(context: BoardContext, repo: Repo, number: int) -> float | None:
    """Bring one thread in step: commands are answered, the status comment of its request is looked for, and a pull
    request is checked. When to look again by itself, if ever."""
    context.adoption.ensure()
    counts = context.keys.thread_counts(_name(repo))
    try:
        thread = context.hub.thread(repo, number)
    except ThreadNotFound:
        context.redis.hdel(counts, _listed(number), _read(number))
        forget(context, repo, number)
        return None
    path = _request_of(context, thread) if repo == context.requests else None
    if path is not None:
        _check_status(context, thread, path)
    complete_approved(context, repo, thread)
    posted = _speak(context, repo, thread, path)
    is_pull = repo in (context.requests, context.results) and thread.is_pull_request
    reports, again = sync_pull(context, repo, thread) if is_pull else (0, None)
    context.redis.hset(counts, _read(number), len(thread.comments) + posted + reports)
    return again


def _speak(context: BoardContext, repo: Repo, thread: Thread, path: str | None) -> int:
    """Answer what there is to answer, as far as the Hub lets us speak in this thread; how many comments were posted."""
    posted = 0
    try:
        posted += answer_commands(context, REGISTRY, repo, thread, _place(thread, path))
        posted += tell_ends(context, repo, thread)
        linked = follow_links(context, REGISTRY, repo, thread)
        posted += linked or (answer_first(context, REGISTRY, repo, thread) if path is None else 0)
        posted += sync_flag_thread(context, repo, thread, is_stale=posted > 0)
    except BadToken:
        raise
    except Denied as error:  # locked, or switched off: whoever lets us speak again, or writes there, calls us
        log.warning("not allowed to speak", repo=repo.id, thread=thread.num, error=str(error))
    return posted


def _place(thread: Thread, path: str | None) -> CommandPlace:
    if thread.is_pull_request:
        return CommandPlace.PULL
    return CommandPlace.REQUEST if path is not None else CommandPlace.COMMUNITY


def _request_of(context: BoardContext, thread: Thread) -> str | None:
    """The path of the request that a thread is about: as the index has it, else as our own marker there says."""
    if (path := context.index.of_thread(thread.num)) is not None:
        return path
    me = context.me()
    for comment in thread.comments:
        marker = marker_of(comment.text)
        if marker is not None and find_marked([comment], context.marker(KIND, marker.key), me) is not None:
            return marker.key
    return None


def _check_status(context: BoardContext, thread: Thread, path: str) -> None:
    """Note which comment is the status comment; where it is gone, have the request say anew what there is to say."""
    comment = find_marked(thread.comments, context.marker(KIND, path), context.me())
    entry = context.index.find([path])[0]
    if entry is None:
        context.mark(request_key(path), SyncPriority.BACKGROUND)
        return
    now = (thread.num, comment.id) if comment is not None else (entry.thread, None)
    if (entry.thread, entry.comment) == now:
        return
    noted = {"thread": now[0], "comment": now[1], "said": ""}
    context.index.change(path, lambda entry: entry.model_copy(update=noted))
    if entry.state not in AT_REST:
        context.mark(request_key(path), SyncPriority.BACKGROUND)


def _name(repo: Repo) -> str:
    return f"{repo.kind} {repo.id}"


def _listed(number: int) -> str:
    return str(number)


def _read(number: int) -> str:
    return f"{number} read"
