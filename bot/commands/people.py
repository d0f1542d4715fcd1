"""Who wrote a comment, and what they may: read from the Hub, remembered for a short time.

Only an id that the Hub itself reports counts. An account that was deleted has none and is nobody; one that was renamed
has the same id under its new name.
"""

from __future__ import annotations

import json

from bot.desk import Desk
from hub.errors import NotFound
from hub.parse import DELETED
from hub.records import Comment
from leaderboard.roles import Person, Role, Subject, roles_of
from wire.redis import text

LASTS = 120
"""Seconds for which the Hub's word about a membership or a name is believed."""
LISTED = 900
"""Seconds for which the list of all maintainers is."""


def author(desk: Desk, comment: Comment) -> Person | None:
    """Who wrote `comment`; None where nobody has that name any more."""
    if comment.author_id is not None:
        return Person(comment.author_id, comment.author_name)
    if comment.author_name == DELETED:
        return None  # should somebody have that very name, the Hub says their id
    found = user_id(desk, comment.author_name, fresh=False)
    return Person(found, comment.author_name) if found else None


def roles(desk: Desk, person: Person, *, model: str, submitter: str, fresh: bool) -> tuple[Person, frozenset[Role]]:
    """What `person` is towards the board, and towards `model` ("" for none) that `submitter` brought.

    With `fresh` nothing that is remembered counts. At most a call for each organisation that may make them a
    maintainer, one for the model's namespace, and one for the submitter.
    """
    maintaining = frozenset((one.name.lower(), one.role) for one in desk.board.maintainer_organisations)
    namespace = model.partition("/")[0] if "/" in model else ""
    wanted = {name for name, _ in maintaining}
    if person.id in desk.board.maintainers:
        wanted = set()  # they are one already
    owner_id = None
    if namespace and person.name.lower() == namespace.lower():
        owner_id = user_id(desk, namespace, fresh=fresh)
    elif namespace:
        wanted.add(namespace.lower())
    shown = {name: role_in(desk, name, person, fresh=fresh) for name in sorted(wanted)}
    person = Person(person.id, person.name, tuple((name, role) for name, role in shown.items() if role is not None))
    submitter_id = None
    if submitter and submitter.lower() == person.name.lower():
        submitter_id = user_id(desk, submitter, fresh=fresh)
    subject = Subject(namespace, owner_id, submitter_id)
    return person, roles_of(person, subject, maintainers=frozenset(desk.board.maintainers), maintaining=maintaining)


def maintainers(desk: Desk) -> frozenset[str]:
    """The ids of all maintainers, for telling who has spoken; who may decide is asked of `roles`.

    A call for each maintaining organisation, remembered for LISTED seconds.
    """
    organisations = desk.board.maintainer_organisations
    if not organisations:
        return frozenset(desk.board.maintainers)
    key = desk.keys.person("maintainers " + " ".join(f"{one.name}:{one.role}" for one in organisations))
    known = desk.redis.get(key)
    if known is None:
        members = [user for one in organisations for user, role in _members(desk, one.name).items() if role == one.role]
        known = json.dumps(sorted(set(members)))
        desk.redis.set(key, known, ex=LISTED)
    return frozenset((*desk.board.maintainers, *json.loads(known)))


def _members(desk: Desk, org: str) -> dict[str, str]:
    try:
        return desk.hub.members(org)
    except NotFound:
        return {}


def user_id(desk: Desk, name: str, *, fresh: bool) -> str | None:
    """The id of the account that has this name now; None where nobody has."""
    key = desk.keys.person(f"user {name.lower()}")
    known = None if fresh else desk.redis.get(key)
    if known is not None:
        return text(known) or None
    try:
        found = desk.hub.user(name).id
    except NotFound:
        found = ""
    desk.redis.set(key, found, ex=LASTS)
    return found or None


def role_in(desk: Desk, org: str, person: Person, *, fresh: bool) -> str | None:
    """The role of `person` in `org`: "" where the Hub shows them as a member and no role, None where they are none."""
    key = desk.keys.person(f"role {org} {person.id}")
    known = None if fresh else desk.redis.get(key)
    if known is None:
        try:
            found = desk.hub.member(org, person.id, person.name)
        except NotFound:
            found = None  # a user's name, or nobody's
        known = json.dumps(found)
        desk.redis.set(key, known, ex=LASTS)
    role = json.loads(known)
    return str(role) if role is not None else None
