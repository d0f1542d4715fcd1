"""Requests that are there twice: looked for once a day, told once, each in a thread of its own, with a cure to approve.

Only paths are compared, in the mirror; the few files whose paths are alike are read. Which pairs were told is seen in
our own threads, by their marker, so nothing is told twice, also after Redis was lost; Redis remembers it, so that pairs
which nobody cures cost no calls and keep no other from being told. Of two that are both from before the board's
adoption nobody is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import structlog

from bot.changes import proposals
from bot.changes.changesets import ApprovedPart, ChangesetPart
from bot.changes.proposal_text import Note
from bot.core.context import BoardContext
from bot.core.mirrors.folder import MirrorDamaged
from bot.core.own_threads import find_own
from bot.core.render import render
from hub.errors import TooLarge
from hub.records import Repo
from leaderboard.adoption import is_old
from leaderboard.duplicates import DuplicatePair, find_duplicates, possible_duplicates
from leaderboard.holds import Hold
from leaderboard.reasons import Problem, Reason
from leaderboard.removals import remove_request
from leaderboard.requests import Request, is_request_path, parse_request
from redis_state.clock import iso
from redis_state.redis import text

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

log = structlog.get_logger()

DUPLICATES = "duplicates"
"""Dirty key: it is time to look for requests that are there twice."""
MOST, LOOKS = 10, 50
"""Pairs that are told in one look, for each is a thread, of which everybody hears; and pairs that are looked at."""

GONE = Reason("not-double", "{path} is not there twice any more.", "Nothing is left to do.")


def sync_duplicates(context: BoardContext) -> None:
    """Tell of MOST pairs that nobody was told of. A few calls for each, and none where there is none.

    The mirror is taken as the last look at the repo left it; where there is none yet, it is looked at tomorrow.
    """
    head = context.index.head(context.requests.id)
    try:
        with context.mirror.read(context.requests) as view:
            found = list(_find(context, view, head)) if head is not None and view.has(head) else []
    except MirrorDamaged:
        return
    told = {text(pair) for pair in context.redis.smembers(context.keys.doubles)}
    if gone := told - {_name(double) for double in found}:
        context.redis.srem(context.keys.doubles, *gone)
    count = 0
    for double in [one for one in found if _name(one) not in told][:LOOKS]:
        if count == MOST:
            break
        if _tell(context, double):
            context.redis.sadd(context.keys.doubles, _name(double))
            count += 1


def _name(double: DuplicatePair) -> str:
    return f"{double.keep.path}\0{double.lose.path}"


def _find(context: BoardContext, view: MirrorView, head: str) -> Iterator[DuplicatePair]:
    oids = {blob.path: blob.oid for blob in view.files(head) if blob.oid is not None and is_request_path(blob.path)}
    for group in possible_duplicates(oids):
        data = {path: view.blob(oids[path], max_bytes=context.board.max_request_bytes) or b"" for path in group}
        read = (parse_request(path, raw) for path, raw in data.items())
        adopted = dict(zip(group, context.adoption.blobs(group), strict=True))
        for double in find_duplicates(one for one in read if isinstance(one, Request)):
            pair = ((str(one.path), one) for one in (double.keep, double.lose))
            if not all(is_old(adopted[path], oids[path], one) for path, one in pair):
                yield double


def _tell(context: BoardContext, double: DuplicatePair) -> bool:
    """Open the thread, and propose the cure in it, if that was not done before; whether nothing is left to do.

    Whoever dies in between is followed by another who does the rest.
    """
    keep, lose = str(double.keep.path), str(double.lose.path)
    name, marker = f"Requests twice: {double.lose.path.model}"[:200], context.marker("duplicate", f"{keep} {lose}")
    words = {"model": double.lose.path.model, "keep": keep, "lose": lose, "at": iso(context.now())}
    part = plan(context, words, context.requests)
    if isinstance(part, Problem):
        log.info("a double that cannot be cured now", lose=lose, why=part.message)
        return False
    place = find_own(context, name, marker, "")
    urls = {"keep_url": context.address(context.requests, keep), "lose_url": context.address(context.requests, lose)}
    body = render("duplicate", keep=keep, lose=lose, **urls)
    number = place[0] if place else context.effects.open_thread(context.requests, name, body, marker, looked=True)
    if number is None:
        return False
    thread = context.hub.thread(context.requests, number)
    if thread.status != "open" or proposals.find(context, thread):
        return True
    made = proposals.propose(context, "cure", words, [part])
    return proposals.post(context, context.requests, thread, f"duplicate:{number}", made) is not None


# --- as a `ChangeKind` of `applying`


def title(words: dict[str, str]) -> str:
    """What the commit is called."""
    return f"Withdraw {words['lose']}, which is there twice"


def plan(context: BoardContext, words: dict[str, str], repo: Repo) -> ChangesetPart | Problem:
    """The request that is too much is withdrawn, and can be put back."""
    head = context.hub.head(repo)
    files = []
    for path in (words["keep"], words["lose"]):
        try:
            file = context.hub.find_file(repo, path, head, max_bytes=context.board.max_request_bytes)
        except TooLarge:
            file = None
        request = parse_request(path, file.data) if file is not None else None
        if not isinstance(request, Request):
            return GONE.problem(path=path)
        files.append(request)
    why = Hold(reason=f"It is there twice: see {words['keep']}", by=context.me().name, at=words["at"])
    done = remove_request(files[1], why)
    if done is None:
        return GONE.problem(path=words["lose"])
    return done if isinstance(done, Problem) else ChangesetPart(repo, head, (done,))


def objection(
    context: BoardContext, words: dict[str, str], its_title: str, parts: Sequence[ApprovedPart]
) -> Problem | None:
    """Nothing but what the plan itself says."""
    del context, words, its_title, parts
    return None


def follow_up(
    context: BoardContext, words: dict[str, str], commits: Sequence[tuple[Repo, str]], cause: str
) -> tuple[Note, ...]:
    """Nothing more is to be done."""
    del context, words, commits, cause
    return ()
