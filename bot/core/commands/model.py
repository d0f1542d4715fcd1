"""The records of a command: its verb and parameters, one call of it, and the answer.

A verb's handler reads the current state and returns an answer. For a command with an effect, the answer says what will
be done and carries the function that does it. The handler is called again until its answer is final, after every change
and every restart: it decides from the facts whether this comment has had its effect, and a second run changes nothing.
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
from redis_state.board.decisions import DecisionOutcome
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
    """One argument, given by its position or as `name=value`. Kind `words` takes the rest of the line, or one quoted
    text if other arguments follow."""

    name: str
    kind: Kind
    help: str
    required: bool = False
    choices: tuple[str, ...] = ()
    by_name: bool = False
    """Whether it can be given as `name=value` only."""
    known: tuple[str, ...] = ()
    """Words, in lower case, that mean this argument also without its name."""

    @property
    def usage(self) -> str:
        """Its form in the usage line of a verb."""
        # Not "|", which a table in Markdown shows with a backslash.
        shown = "/".join(self.choices) or ("org/model" if self.kind == "model" else "")
        word = f"{self.name}={shown or '…'}" if self.by_name else (shown or self.name.replace("_", " "))
        return word if self.required else f"[{word}]"


@dataclass(frozen=True)
class Verb:
    """One command. For an `irreversible` one, roles are read from the Hub without caches before it runs."""

    name: str
    summary: str
    who: frozenset[Role]
    run: Callable[[Call], Answer]
    params: tuple[Param, ...] = ()
    where: frozenset[CommandPlace] = EVERYWHERE
    examples: tuple[str, ...] = ()
    about: Literal["nothing", "anything", "model", "request"] = "nothing"
    """The target it needs: one request; a model with or without requests; either, if one is named; or nothing."""
    irreversible: bool = False
    decides: bool = False
    """Whether it changes something that others see: then the record of decisions includes it."""
    form: str = ""
    """Its arguments as people write them, if that is not the order of `params`."""
    new_name: str = ""
    """The argument with the new name of the model that it is about. Its owner counts as the owner, because the account
    or the organisation may have been renamed."""
    apart: frozenset[Role] = frozenset()
    """Roles for which the verb does more than for others who may use it, so that they are always determined."""

    @property
    def usage(self) -> str:
        """The usage line of the verb, such as `/relaunch [org/model] [precision=…]`."""
        return " ".join([f"/{self.name}", *((self.form,) if self.form else (param.usage for param in self.params))])


@dataclass(frozen=True)
class Call:
    """One command in a comment. `entries` are the requests that it is about, newest first."""

    context: BoardContext
    verb: Verb
    arguments: Arguments
    place: CommandPlace
    repo: Repo
    thread: Thread
    comment: Comment
    number: int
    """Index of the command in its comment, from 0."""
    person: Person
    roles: frozenset[Role]
    model: str = ""
    """The model that it is about; "" for none."""
    entries: tuple[IndexEntry, ...] = ()
    resumed: bool = False
    """Whether an earlier run began and may have had its effect."""
    is_on_page: bool = False
    """Whether a button of a page gave the command: `comment` is on no thread of the Hub."""

    @property
    def entry(self) -> IndexEntry:
        """The one request that a verb about a request is about."""
        return self.entries[0]

    @property
    def cause(self) -> str:
        """The id of this command in files that it changes, so that it changes them once."""
        return f"{self.comment.id}:{self.number}"

    @property
    def is_maintainer(self) -> bool:
        """Whether the author of the command is a maintainer."""
        return Role.MAINTAINER in self.roles

    def get(self, name: str, default: str = "") -> str:
        """The argument `name`, as it was written."""
        return self.arguments.get(name, default)


@dataclass(frozen=True)
class Answer:
    """The answer to a command. With `act`, `text` is posted first, then replaced by the answer that `act` returns.

    `act` runs again if the bot dies before the reply is edited, so its second run changes nothing.
    """

    text: Safe
    act: Callable[[], Answer] | None = None
    allowed: bool = True
    """False if the person may not run it, or it makes no sense in the present state: nothing was changed."""
    outcome: DecisionOutcome = "done"
