"""Our replies in a thread: found again by their markers, posted once, edited until they are final."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from bot.core.commands.answers import say
from bot.core.commands.grammar import Command
from bot.core.commands.model import Answer, Call, CommandPlace
from bot.core.context import BoardContext
from bot.core.render import Safe
from hub.comments import Marker, is_by, marker_of
from hub.errors import BadToken, Denied, NotFound
from hub.records import Comment, Repo, Thread

log = structlog.get_logger()

DOING, ANSWER = "doing", "answer"
LONGEST = 60_000
"""Characters of a reply; the Hub takes 65,536 with the marker."""


@dataclass(frozen=True)
class Reply:
    """A reply of ours to a comment, whose id is `key`."""

    comment: Comment
    key: str
    is_final: bool


@dataclass(frozen=True)
class Section:
    """One command of a comment, and what there is to say to it."""

    line: str
    answer: Answer
    call: Call | None = None
    """None where it came to no call."""

    @property
    def text(self) -> Safe:
        """The words of the answer."""
        return self.answer.text


@dataclass(frozen=True)
class CommentCommands:
    """A comment where it stands, and the commands in it."""

    repo: Repo
    thread: Thread
    place: CommandPlace
    comment: Comment
    commands: tuple[Command, ...] = ()


def replies_in(context: BoardContext, thread: Thread) -> dict[str, Reply]:
    """Our replies in `thread`, by the id of the comment that each answers."""
    me, found = context.me(), dict[str, Reply]()
    for comment in thread.comments:
        marker = marker_of(comment.text) if is_by(me, comment.author_id, comment.author_name) else None
        if marker is not None and marker.board == context.board.name and marker.kind in (DOING, ANSWER):
            found.setdefault(marker.key, Reply(comment, marker.key, marker.kind == ANSWER))
    return found


def are_final(sections: Iterable[Section]) -> bool:
    """Whether nothing of what is said is still to be done."""
    return all(section.answer.act is None for section in sections)


def post(context: BoardContext, heard: CommentCommands, sections: Sequence[Section]) -> Reply | None:
    """The reply that says `sections`; None where the board, or the Hub, does not let us."""
    is_final = are_final(sections)
    marker, text = _marker(context, heard.comment.id, is_final=is_final), _text(context, heard, sections)
    try:
        said = context.effects.comment(heard.repo, heard.thread.num, text, marker, asked=True, seen=heard.thread)
    except BadToken:
        raise
    except Denied as error:  # locked, or comments are switched off: what cannot be answered is not done either
        log.warning("reply not allowed", thread=heard.thread.num, comment=heard.comment.id, error=str(error))
        return None
    return Reply(said, heard.comment.id, is_final) if said is not None else None


def edit(context: BoardContext, heard: CommentCommands, reply: Reply, sections: Sequence[Section]) -> None:
    """Have `reply` say how things are now."""
    marker = _marker(context, reply.key, is_final=are_final(sections))
    _edit(context, heard.repo, heard.thread, reply, _text(context, heard, sections), marker)


def give_up(context: BoardContext, repo: Repo, thread: Thread, reply: Reply) -> None:
    """The comment that `reply` was about to act upon is not as it was: nothing more is done, and the reply says so."""
    _edit(context, repo, thread, reply, str(say("trouble", kind="changed")), _marker(context, reply.key, is_final=True))


def _edit(context: BoardContext, repo: Repo, thread: Thread, reply: Reply, text: str, marker: Marker) -> None:
    try:
        context.effects.edit_comment(repo, thread.num, reply.comment.id, text, marker, seen=reply.comment.text)
    except BadToken:
        raise
    except (NotFound, Denied) as error:  # deleted, or locked, since the reply was posted
        log.warning("reply not edited", thread=thread.num, comment=reply.key, error=str(error))


def _marker(context: BoardContext, key: str, *, is_final: bool) -> Marker:
    return context.marker(ANSWER if is_final else DOING, key)


def _text(context: BoardContext, heard: CommentCommands, sections: Sequence[Section]) -> str:
    link = f"{context.address(heard.repo)}/discussions/{heard.thread.num}#{heard.comment.id}"
    words = {"author": heard.comment.author_name, "link": link}
    text = str(say("reply", sections=sections, **words))
    if len(text) <= LONGEST:
        return text
    most = LONGEST // len(sections) - 1_000
    cut = Answer(say("trouble", kind="too-long"))
    shorter = [one if len(one.text) <= most else Section(one.line, cut) for one in sections]
    return str(say("reply", sections=shorter, **words))
