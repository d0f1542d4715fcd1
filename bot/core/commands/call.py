"""One command that somebody gave, with all that its verb may look at; and what a verb answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.core.commands.registry import Arguments, CommandPlace, Verb
from bot.core.context import BoardContext
from bot.core.render import Safe, render
from hub.records import Comment, Repo, Thread
from leaderboard.roles import Person, Role
from redis_state.board.entry import IndexEntry


@dataclass(frozen=True)
class Call:
    """A command that somebody gave. `entries` are the requests that it is about, newest first."""

    context: BoardContext
    verb: Verb
    arguments: Arguments
    place: CommandPlace
    repo: Repo
    thread: Thread
    comment: Comment
    number: int
    """Which command of its comment it is, from 0."""
    person: Person
    roles: frozenset[Role]
    model: str = ""
    """The model that it is about; "" for none."""
    entries: tuple[IndexEntry, ...] = ()
    resumed: bool = False
    """Whether it was begun before, and nobody knows whether it had its effect."""

    @property
    def entry(self) -> IndexEntry:
        """The one request that a verb about a request is about."""
        return self.entries[0]

    @property
    def cause(self) -> str:
        """What this command is called where it has an effect, so that it has it once."""
        return f"{self.comment.id}:{self.number}"

    @property
    def is_maintainer(self) -> bool:
        """Whether a maintainer gave it."""
        return Role.MAINTAINER in self.roles

    def get(self, name: str, default: str = "") -> str:
        """The argument `name`, as it was written."""
        return self.arguments.get(name, default)


@dataclass(frozen=True)
class Answer:
    """What there is to say to a command. With `act` it is said that it is being done; then what `act` answers.

    `act` may be called again by a bot that died before its answer was told, so it changes nothing the second time.
    """

    text: Safe
    act: Callable[[], Safe] | None = None
    allowed: bool = True
    """False where the person may not, or it makes no sense as things are: nothing was changed."""


def say(template: str, **words: object) -> Safe:
    """The text that `texts/commands/{template}.md.j2` of some slice makes of `words`."""
    return Safe(render(f"commands/{template}", **words).strip())


def acting(act: Callable[[], Safe]) -> Answer:
    """The answer to a command that changes something."""
    return Answer(say("doing"), act)


def refusal(kind: str, **words: object) -> Answer:
    """The answer to a command that is not run, for one of the reasons in `trouble.md.j2`."""
    return Answer(say("trouble", kind=kind, **words), allowed=False)
