"""Roles of a person towards a board and a model, from ids that the Hub reports.

A name that a person writes in a file or a comment gives no role. User names change hands; Hub user ids do not.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum

from leaderboard.reasons import choice


class Role(StrEnum):
    """The roles, of which a person can have several. Every person has ANYONE."""

    MAINTAINER = "maintainer"
    OWNER = "owner"
    SUBMITTER = "submitter"
    ANYONE = "anyone"


WORDS = {
    Role.MAINTAINER: "a maintainer of this leaderboard",
    Role.OWNER: "the model's owner",
    Role.SUBMITTER: "its submitter",
    Role.ANYONE: "anyone",
}
"""Each role as it appears in a sentence about permissions."""

WRITERS = frozenset({"admin", "write"})
"""Roles in an organisation that may write to its models."""


@dataclass(frozen=True)
class Person:
    """The author of a comment or a commit, as the Hub reports them.

    `orgs` maps each organisation that was checked, in lower case, to this person's role in it; "" stands for a member
    whose role the organisation does not show.
    """

    id: str
    name: str
    orgs: tuple[tuple[str, str], ...] = ()

    def role_in(self, org: str) -> str | None:
        """Return this person's role in `org`; None if they are no member, or `org` was not checked."""
        return dict(self.orgs).get(org.lower())


@dataclass(frozen=True)
class CommandSubject:
    """The subject of a command: the namespace of the model, the id of the namespace's user (None: an organisation, or
    unknown), and the id of the submitter."""

    namespace: str = ""
    owner_id: str | None = None
    submitter_id: str | None = None


def roles_of(
    person: Person, subject: CommandSubject, *, maintainers: Set[str], maintaining: Set[tuple[str, str]] = frozenset()
) -> frozenset[Role]:
    """Return the roles of `person` towards `subject`.

    `maintainers` holds user ids; `maintaining` holds (organisation, role) pairs whose members are maintainers too. An
    owner is the namespace's own user, or a member whom the Hub lists with a role that may write; a member whose role is
    hidden is no owner.
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
    """Return `roles` in words: "a maintainer of this leaderboard or the model's owner"."""
    return choice(text for role, text in WORDS.items() if role in roles)
