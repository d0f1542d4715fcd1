"""One command that somebody gave, with all that its verb may look at; and what a verb answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.commands.registry import Arguments, Place, Verb
from bot.desk import Desk
from bot.index import Entry
from bot.texts.render import Safe, render
from hub.records import Comment, Repo, Thread
from leaderboard.roles import Person, Role


@dataclass(frozen=True)
class Call:
    """A command that its author may give. `entries` are the requests that it is about, newest first."""

    desk: Desk
    verb: Verb
    arguments: Arguments
    place: Place
    repo: Repo
    thread: Thread
    comment: Comment
    number: int
    """Which command of its comment it is, from 0."""
    person: Person
    roles: frozenset[Role]
    entries: tuple[Entry, ...] = ()

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
    """What there is to say to a command.

    `act`, if any, is done after it was said; then the verb is asked again. While the answer is not `final` the verb is
    asked again whenever the thread is looked at.
    """

    text: Safe
    final: bool = True
    act: Callable[[], object] | None = None
    allowed: bool = True
    """False where the person may not, or it makes no sense as things are: nothing was changed."""


def say(template: str, **words: object) -> Safe:
    """The words of `bot/texts/commands/{template}.md.j2`."""
    return Safe(render(f"commands/{template}", **words).strip())
