"""A verb, its parameters, one call of it, and the answer.

A verb's handler reads the current state and returns an answer. Where something is to be done, the answer says what
will be done and carries the function that does it. The handler is called again until its answer is final, after every
change and after every restart: it tells from the facts whether this comment has had its effect already, and a second
run changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from bot.core.context import BoardContext
from bot.core.render import Safe
from hub.records import Comment, Repo, Thread
from leaderboard.roles import Person, Role
from redis_state.board.entry import IndexEntry

Arguments = Mapping[str, str]
Kind = Literal["model", "word", "choice", "words"]


class CommandPlace(StrEnum):
    """Where a command is written."""

    REQUEST = "a request's thread"
    PULL = "a pull request"
    COMMUNITY = "any other discussion"


EVERYWHERE = frozenset(CommandPlace)


@dataclass(frozen=True)
class Param:
    """One argument: by its place in the line, or as `name=value`. One of kind `words` takes the rest of the line, or
    what quotes hold together where others come after it."""

    name: str
    kind: Kind
    help: str
    required: bool = False
    choices: tuple[str, ...] = ()
    by_name: bool = False
    """Whether it can be given as `name=value` only."""

    @property
    def usage(self) -> str:
        """How it is written in a line of usage."""
        shown = "|".join(self.choices) or ("org/model" if self.kind == "model" else "")
        word = f"{self.name}={shown or '…'}" if self.by_name else (shown or self.name.replace("_", " "))
        return word if self.required else f"[{word}]"


@dataclass(frozen=True)
class Verb:
    """One command. With `irreversible` who may is read afresh from the Hub before it is done."""

    name: str
    summary: str
    who: frozenset[Role]
    run: Callable[[Call], Answer]
    params: tuple[Param, ...] = ()
    where: frozenset[CommandPlace] = EVERYWHERE
    examples: tuple[str, ...] = ()
    about: Literal["nothing", "anything", "model", "request"] = "nothing"
    """What must be known: one request; a model with or without requests; either, if one is named; or nothing."""
    irreversible: bool = False
    decides: bool = False
    """Whether it changes something that others see: then it is kept in the record of decisions."""
    apart: frozenset[Role] = frozenset()
    """Roles for which it does more than for others who may use it, so that they are looked for in any case."""

    @property
    def usage(self) -> str:
        """`/relaunch [org/model] [precision=…]`"""
        return " ".join([f"/{self.name}", *(param.usage for param in self.params)])


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
