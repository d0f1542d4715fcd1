"""The bot's replies in a thread: found again by their markers, posted once, edited until they are final."""

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
from hub.errors import Denied, NotFound
from hub.records import Comment, Repo, Thread

log = structlog.get_logger()

DOING, ANSWER = "doing", "answer"
MAX_CHARACTERS = 60_000
"""Characters of one reply; the Hub accepts 65,536 with the marker."""


@dataclass(frozen=True)
class Reply:
    """The bot's reply to the comment whose id is `key`."""

    comment: Comment
    key: str
    is_final: bool


@dataclass(frozen=True)
class Section:
    """One command of a comment and its answer."""

    line: str
    answer: Answer
    call: Call | None = None
    """None if the command was not valid."""

    @property
    def text(self) -> Safe:
        """The text of the answer."""
        return self.answer.text


@dataclass(frozen=True)
class CommentCommands:
    """A comment, its thread, and the commands in it."""

    repo: Repo
    thread: Thread
    place: CommandPlace
    comment: Comment
    commands: tuple[Command, ...] = ()
    is_on_page: bool = False
    """Whether a button of a page gave the command: `comment` is on no thread of the Hub."""


def replies_in(context: BoardContext, thread: Thread) -> dict[str, Reply]:
    """The bot's replies in `thread`, by the id of the comment that each one answers."""
    me, replies = context.me(), dict[str, Reply]()
    for comment in thread.comments:
        marker = marker_of(comment.text) if is_by(me, comment.author_id, comment.author_name) else None
        if marker is not None and marker.board == context.board.name and marker.kind in (DOING, ANSWER):
            replies.setdefault(marker.key, Reply(comment, marker.key, marker.kind == ANSWER))
    return replies


def are_final(sections: Iterable[Section]) -> bool:
    """Whether no section has an effect that is still to run."""
    return all(section.answer.act is None for section in sections)


def post(context: BoardContext, source: CommentCommands, sections: Sequence[Section]) -> Reply | None:
    """Post the reply with `sections`; None if the board or the Hub does not allow it."""
    is_final = are_final(sections)
    marker, text = _marker(context, source.comment.id, is_final=is_final), _text(context, source, sections)
    try:
        comment = context.effects.comment(source.repo, source.thread.num, text, marker, asked=True, seen=source.thread)
    except Denied as error:  # locked, or comments are switched off: a command that cannot be answered does not run
        log.warning("reply not allowed", thread=source.thread.num, comment=source.comment.id, error=str(error))
        return None
    return Reply(comment, source.comment.id, is_final) if comment is not None else None


def edit(context: BoardContext, source: CommentCommands, reply: Reply, sections: Sequence[Section]) -> None:
    """Edit `reply` so that it shows `sections`."""
    marker = _marker(context, reply.key, is_final=are_final(sections))
    _edit(context, source.repo, source.thread, reply, _text(context, source, sections), marker)


def give_up(context: BoardContext, repo: Repo, thread: Thread, reply: Reply) -> None:
    """Edit `reply` to say that its comment changed, so that its commands do not run any more. Make it final."""
    _edit(context, repo, thread, reply, str(say("trouble", kind="changed")), _marker(context, reply.key, is_final=True))


def _edit(context: BoardContext, repo: Repo, thread: Thread, reply: Reply, text: str, marker: Marker) -> None:
    try:
        context.effects.edit_comment(repo, thread.num, reply.comment.id, text, marker, seen=reply.comment.text)
    except (NotFound, Denied) as error:  # deleted, or locked, since the reply was posted
        log.warning("reply not edited", thread=thread.num, comment=reply.key, error=str(error))


def _marker(context: BoardContext, key: str, *, is_final: bool) -> Marker:
    return context.marker(ANSWER if is_final else DOING, key)


def _text(context: BoardContext, source: CommentCommands, sections: Sequence[Section]) -> str:
    link = f"{context.address(source.repo)}/discussions/{source.thread.num}#{source.comment.id}"
    origin = {"author": source.comment.author_name, "link": link}
    text = str(say("reply", sections=sections, **origin))
    if len(text) <= MAX_CHARACTERS:
        return text
    max_section = MAX_CHARACTERS // len(sections) - 1_000
    too_long = Answer(say("trouble", kind="too-long"))
    shorter = [section if len(section.text) <= max_section else Section(section.line, too_long) for section in sections]
    return str(say("reply", sections=shorter, **origin))
