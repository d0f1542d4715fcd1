"""Who may what: the roles that a person has towards a board and a model, from ids that the Hub reports.

Nobody is anything by a name that they could write somewhere. A name can change hands; a Hub user id cannot.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum

from leaderboard.reasons import choice


class Role(StrEnum):
    """What a person can be; several at once. Everybody is ANYONE."""

    MAINTAINER = "maintainer"
    OWNER = "owner"
    SUBMITTER = "submitter"
    ANYONE = "anyone"


WORDS = {
    Role.MAINTAINER: "a maintainer of this leaderboard",
    Role.OWNER: "the model's owner",
    Role.SUBMITTER: "whoever submitted it",
    Role.ANYONE: "anyone",
}
"""Each role in a sentence that says who may do something."""

WRITERS = frozenset({"admin", "write"})
"""Roles in an organisation whose members may write to its models."""


@dataclass(frozen=True)
class Person:
    """What the Hub says about who wrote something.

    `orgs` maps the names of organisations that were looked at, in lower case, to this person's role there; one that
    does not show roles has "" there, for its members.
    """

    id: str
    name: str
    orgs: tuple[tuple[str, str], ...] = ()

    def role_in(self, org: str) -> str | None:
        """Their role in `org`; None where they are no member, or it was not looked at."""
        return dict(self.orgs).get(org.lower())


@dataclass(frozen=True)
class CommandSubject:
    """Whom a command is about: the namespace of the model with its owner's id (None: an organisation, or unknown), and
    the id of whoever submitted it."""

    namespace: str = ""
    owner_id: str | None = None
    submitter_id: str | None = None


def roles_of(
    person: Person, subject: CommandSubject, *, maintainers: Set[str], maintaining: Set[tuple[str, str]] = frozenset()
) -> frozenset[Role]:
    """The roles of `person` towards `subject`.

    `maintainers` are user ids; `maintaining` are (organisation, role) whose members are maintainers too. An owner is
    the namespace's own user, or a member whom the Hub lists with a role that may write; a member whose role is not
    shown has not proven it.
    """
    roles = {Role.ANYONE}
    if person.id in maintainers or any(person.role_in(org) == role for org, role in maintaining):
        roles.add(Role.MAINTAINER)
    if subject.owner_id is not None and person.id == subject.owner_id:
        roles.add(Role.OWNER)
    if subject.namespace and person.role_in(subject.namespace) in WRITERS:
        roles.add(Role.OWNER)
    if subject.submitter_id is not None and person.id == subject.submitter_id:
        roles.add(Role.SUBMITTER)
    return frozenset(roles)


def who_may(roles: Set[Role]) -> str:
    """`roles` in words: "a maintainer of this leaderboard or the model's owner"."""
    return choice(text for role, text in WORDS.items() if role in roles)
