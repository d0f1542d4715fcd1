"""The kinds of messages from the web server to a sync: checks, submissions, commands, actions of maintainers, and
questions of which published answers are shown."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.options import DEFAULT_PRECISION
from leaderboard.roles import Person
from redis_state.board.mailbox import Message

NAMES_RETENTION = 900
"""Seconds for which the answer to a NameQuestion is stored."""
CHECK_ANSWER_RETENTION = 60
"""Seconds for which the answer to a check is stored."""
DETAILS_RETENTION = 300
"""Seconds for which the published answers that a sync read from a details repo are stored."""
MAX_QUESTIONS = 20
"""Questions with their answers in one part of a details table."""
PENDING_RETENTION = 60
"""Seconds for which the answer that nothing was submitted is stored, if the submission has no key."""
ROLE_RETENTION = 120
"""Seconds for which a role that the Hub reported is reused."""

Code = Literal["maintainer", "owner", "stranger", "woken", "not-parked", "not-allowed"]
"""Results of actions: the first three of role checks, the others of waking a sync."""


class CheckQuestion(Message):
    """The question whether the board would accept a model. Clients that ask the same within a minute get one answer."""

    KIND: ClassVar[str] = "check"
    KEY: ClassVar[str] = "question:check"  # `question:{digest}` holds strings of earlier versions
    RETENTION: ClassVar[int] = 120

    model: str = Field(min_length=1, max_length=200)
    revision: str = Field(default="main", min_length=1, max_length=200)
    precision: str = Field(default=DEFAULT_PRECISION, max_length=32)
    weight_type: str = Field(default="Original", max_length=32)
    base_model: str = Field(default="", max_length=200)
    model_type: str = Field(default="", max_length=100, description="the category")
    chat_template: Literal["", "yes", "no"] = ""
    guess: bool = Field(default=False, description="whether empty options are guessed from the model")
    submitter: str = Field(default="", max_length=100, description="Hub name of a signed-in person; '' for no account")

    @property
    def message_id(self) -> str:
        """A digest of the content, without the newer fields that are unset: earlier versions compute the same one."""
        later = {"base_model", "model_type", "chat_template", "guess", "submitter"}
        unset = {name for name in later if not getattr(self, name)}
        return hashlib.sha256(self.model_dump_json(exclude=unset).encode()).hexdigest()[:24]


class NameQuestion(Message):
    """The question which models of the Hub have `words` in their name, to complete a name that a person types.

    With `exact`, it is the question whether there is a public model of exactly this name.
    """

    KIND: ClassVar[str] = "names"
    KEY: ClassVar[str] = "question:names"
    RETENTION: ClassVar[int] = 60

    words: str = Field(min_length=1, max_length=200)
    exact: bool = False

    @property
    def message_id(self) -> str:
        """A digest of the content."""
        return hashlib.sha256(f"{'= ' if self.exact else ''}{self.words}".encode()).hexdigest()[:24]


class NameAnswer(BaseModel):
    """The names of public models, the best known first."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    names: list[str]


class DetailsQuestion(Message):
    """The request to read a part of the answers to `task`: those of the evaluation at the request path `path`.

    With `other`, the path of a second evaluation, the part has the questions that exactly one of the two got right.
    `show` selects questions by the answer of the first one.
    """

    KIND: ClassVar[str] = "details"
    KEY: ClassVar[str] = "question:details"
    RETENTION: ClassVar[int] = 120

    path: str = Field(min_length=1, max_length=1_000)
    other: str = Field(default="", max_length=1_000)
    task: str = Field(min_length=1, max_length=200)
    show: Literal["all", "right", "wrong"] = "all"
    offset: int = Field(default=0, ge=0, le=10_000_000)
    limit: int = Field(default=MAX_QUESTIONS, ge=1, le=MAX_QUESTIONS)

    @property
    def message_id(self) -> str:
        """A digest of the content."""
        return hashlib.sha256(self.model_dump_json().encode("utf-8", "replace")).hexdigest()[:24]


class PersonMessage(Message):
    """A message of a person whom the Hub identified."""

    person_id: str = Field(max_length=100)
    person_name: str = Field(max_length=100)

    @property
    def person(self) -> Person:
        """The sender, as the Hub reports them."""
        return Person(self.person_id, self.person_name)

    def _digest(self, *content: object) -> str:
        """A digest of the person's id, which no rename changes, and of `content`."""
        return hashlib.sha256(json.dumps([self.person_id, *content]).encode()).hexdigest()[:24]


class ApiSubmission(PersonMessage):
    """One submission outside of a thread. `arguments` are the checked ones of `/submit`.

    A program that sends it again within a day reads the same answer, and nothing is done twice. Without a key, an
    answer that nothing was submitted expires within a minute, so that a corrected model can be submitted again.
    """

    KIND: ClassVar[str] = "submission"
    KEY: ClassVar[str] = "submission"
    RETENTION: ClassVar[int] = 86_400

    arguments: dict[str, str] = Field(max_length=20)
    key: str = Field(default="", max_length=200, description="the sender's idempotency key; '' for none")
    at: float = Field(default=0.0, description="when it was stored; 0: by another version")

    @property
    def message_id(self) -> str:
        """A digest of the person's id, which no rename changes, and of their key, or else of the content."""
        return self._digest(self.key or sorted(self.arguments.items()))

    @property
    def cause(self) -> str:
        """The cause under which its effect is recorded, so that it happens once."""
        return f"api:{self.message_id}"


class PredictionUpload(PersonMessage):
    """A file of predictions that a signed-in person sends by a form; `data` is the file's text.

    A repeated click sends the same `key`, so it has one answer and one effect.
    """

    KIND: ClassVar[str] = "predictions"
    KEY: ClassVar[str] = "submission:predictions"
    RETENTION: ClassVar[int] = 3_600

    name: str = Field(max_length=200, description="name of the predictions, without the account's")
    extension: str = Field(max_length=10)
    data: str = Field(max_length=3_000_000)
    key: str = Field(max_length=100)

    @property
    def message_id(self) -> str:
        """A digest of the person, the key and the content."""
        return self._digest(self.key, self.name, self.extension, self.data)

    @property
    def cause(self) -> str:
        """The cause under which its effect is recorded, so that it happens once."""
        return f"upload:{self.message_id}"

    def without_data(self) -> PredictionUpload:
        """The same without the file, which frees memory in Redis. Its `message_id` differs from the original's."""
        return self.model_copy(update={"data": ""})


class PageCommand(PersonMessage):
    """A command of threads that a signed-in person gives by a button of a page. `arguments` are those of its verb.

    A repeated click sends the same `key`, so it has one answer and one effect.
    """

    KIND: ClassVar[str] = "command"
    KEY: ClassVar[str] = "errand:command"
    RETENTION: ClassVar[int] = 86_400

    verb: str = Field(max_length=40)
    arguments: dict[str, str] = Field(max_length=20)
    thread: str = Field(default="", max_length=500, description="address of the thread that the command is about")
    back: str = Field(default="/", max_length=2_000, description="the page with the button")
    key: str = Field(max_length=100)
    at: float

    @property
    def message_id(self) -> str:
        """A digest of the person, the key and the content."""
        return self._digest(self.key, self.verb, self.thread, sorted(self.arguments.items()))


class PageCommandResult(BaseModel):
    """The answer to a command, as Markdown; `outcome` as in the record of decisions; `allowed`: it was run.

    `thread` is the address of the thread to which the command was applied, if any.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: str
    outcome: str
    allowed: bool = True
    thread: str = ""


class MaintainerAction(Message):
    """One action that a signed-in person requests. `at` in seconds since the epoch; `about` is the key to wake, or the
    organisation to check.

    look    whether this person is a maintainer; the answer is reused for ROLE_RETENTION seconds
    own     whether this person may write to the models of an organisation; the answer is reused as long
    wake    retry a parked sync on behalf of this person, whose role is read again
    """

    KIND: ClassVar[str] = "errand"
    KEY: ClassVar[str] = "errand"
    RETENTION: ClassVar[int] = 3_600

    id: str = Field(max_length=64)
    person_id: str = Field(max_length=64)
    person_name: str = Field(max_length=96)
    what: Literal["look", "own", "wake"]
    about: str = Field(default="", max_length=2_000)
    at: float

    @property
    def person(self) -> Person:
        """The person who requests it."""
        return Person(self.person_id, self.person_name)

    @property
    def message_id(self) -> str:
        """Its `id`."""
        return self.id


class MaintainerActionResult(BaseModel):
    """The result of an action."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: Code


def role_check(person: Person, *, at: float) -> MaintainerAction:
    """The action that checks whether `person` is a maintainer; it has the same id each time."""
    name = hashlib.sha256(person.id.encode()).hexdigest()[:24]
    return MaintainerAction(id=f"look-{name}", person_id=person.id, person_name=person.name, what="look", at=at)


def ownership_check(person: Person, organisation: str, *, at: float) -> MaintainerAction:
    """The action that checks whether `person` may write to models of `organisation`; it has the same id each time."""
    org = organisation.lower()
    name = hashlib.sha256(f"{person.id} {org}".encode()).hexdigest()[:24]
    return MaintainerAction(
        id=f"own-{name}", person_id=person.id, person_name=person.name, what="own", about=org, at=at
    )


def wake_sync(person: Person, key: str, *, at: float) -> MaintainerAction:
    """The action of `person` to retry the sync of `key`; it has a new id each time."""
    name = secrets.token_hex(12)
    return MaintainerAction(id=name, person_id=person.id, person_name=person.name, what="wake", about=key, at=at)
