"""Roles of a person towards a board and a model."""

from __future__ import annotations

import pytest

from leaderboard.roles import CommandSubject, Person, Role, roles_of, who_may

ADA = Person("1", "ada")
MODEL = CommandSubject(namespace="Lions", owner_id=None, submitter_id="9")


@pytest.mark.parametrize(
    ("person", "subject", "expected"),
    [
        (ADA, CommandSubject(), set()),
        (ADA, MODEL, set()),
        (Person("7", "maya"), MODEL, {Role.MAINTAINER}),
        (Person("1", "ada", (("team", "admin"),)), MODEL, {Role.MAINTAINER}),
        (Person("1", "ada", (("team", "write"),)), MODEL, set()),
        (Person("1", "ada", (("team", "admin"), ("lions", "write"))), MODEL, {Role.MAINTAINER, Role.OWNER}),
        (ADA, CommandSubject(namespace="ada", owner_id="1"), {Role.OWNER}),
        (Person("2", "ada"), CommandSubject(namespace="ada", owner_id="1"), set()),
        (Person("1", "ada", (("lions", "admin"),)), MODEL, {Role.OWNER}),
        (Person("1", "ada", (("lions", "contributor"),)), MODEL, set()),
        (Person("1", "ada", (("lions", ""),)), MODEL, set()),
        (Person("9", "bob"), MODEL, {Role.SUBMITTER}),
        (Person("9", "bob", (("lions", "write"),)), MODEL, {Role.OWNER, Role.SUBMITTER}),
    ],
)
def test_roles_follow_from_ids_and_organisations(person: Person, subject: CommandSubject, expected: set[Role]) -> None:
    """A user name gives no role; a member of the model's organisation is an owner if their role may write."""
    roles = roles_of(person, subject, maintainers={"7"}, maintaining={("team", "admin")})
    assert roles == {Role.ANYONE, *expected}


def test_a_permission_is_told_in_words() -> None:
    """The roles that may give a command are described by a phrase, in a fixed order."""
    assert who_may({Role.OWNER, Role.MAINTAINER}) == "a maintainer of this leaderboard or the model's owner"
    assert who_may({Role.ANYONE}) == "anyone"
