"""Who wrote a comment, and what they may: read from the Hub, remembered for a short time.

Only an id that the Hub itself reports counts. An account that was deleted has none and is nobody; one that was renamed
has the same id under its new name.

Race accepted: commits name their author, and no id. Who submitted a request and then gave up their name is taken for
whoever has that name now, who may then relaunch, resubmit or cancel this one request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence, Set
from dataclasses import replace

from bot.core.context import BoardContext
from hub.errors import NotFound
from hub.parse import DELETED
from hub.records import Comment
from leaderboard.roles import CommandSubject, Person, Role, roles_of
from redis_state.redis import text

LASTS = 120
"""Seconds for which the Hub's word about a membership or a name is believed."""
LISTED = 900
"""Seconds for which the list of all maintainers is."""


def author(context: BoardContext, comment: Comment) -> Person | None:
    """Who wrote `comment`; None where nobody has that name any more."""
    if comment.author_id is not None:
        return Person(comment.author_id, comment.author_name)
    if comment.author_name == DELETED:
        return None  # should somebody have that very name, the Hub says their id
    found = user_id(context, comment.author_name, fresh=False)
    return Person(found, comment.author_name) if found else None


def roles(
    context: BoardContext, person: Person, *, model: str, submitter: str, fresh: bool, enough: Set[Role] = frozenset()
) -> tuple[Person, frozenset[Role]]:
    """What `person` is towards the board, and towards `model` ("" for none) that `submitter` brought.

    Where one role is `enough` nobody is asked for more once they have it. With `fresh` nothing that is remembered
    counts. At most a call for each organisation that may make them a maintainer, one for the submitter, and one for
    the model's namespace.
    """
    found = roles_of(person, CommandSubject(), maintainers=frozenset(context.board.maintainers))
    looks: list[Callable[[], _Looked]] = [
        lambda: _as_maintainer(context, person, fresh),
        lambda: _as_submitter(context, person, submitter, fresh),
        lambda: _as_owner(context, person, model, fresh),
    ]
    for look in looks:
        if found & enough:
            break
        seen, more = look()
        person, found = replace(person, orgs=(*person.orgs, *seen)), found | more
    return person, found


_Looked = tuple[Sequence[tuple[str, str]], frozenset[Role]]
"""Roles in organisations that were looked at, and what they make of somebody."""


def _as_maintainer(context: BoardContext, person: Person, fresh: bool) -> _Looked:
    maintaining = frozenset((one.name.lower(), one.role) for one in context.board.maintainer_organisations)
    if person.id in context.board.maintainers:
        return (), frozenset()  # they are one already
    orgs = _roles_in(context, person, sorted({name for name, _ in maintaining}), fresh)
    return orgs, roles_of(
        replace(person, orgs=orgs), CommandSubject(), maintainers=frozenset(), maintaining=maintaining
    )


def _as_submitter(context: BoardContext, person: Person, submitter: str, fresh: bool) -> _Looked:
    if not submitter or submitter.lower() != person.name.lower():
        return (), frozenset()
    subject = CommandSubject(submitter_id=user_id(context, submitter, fresh=fresh))
    return (), roles_of(person, subject, maintainers=frozenset())


def _as_owner(context: BoardContext, person: Person, model: str, fresh: bool) -> _Looked:
    namespace = model.partition("/")[0] if "/" in model else ""
    if namespace and namespace.lower() == person.name.lower():
        subject = CommandSubject(namespace, owner_id=user_id(context, namespace, fresh=fresh))
        return (), roles_of(person, subject, maintainers=frozenset())
    orgs = _roles_in(context, person, [namespace.lower()] if namespace else [], fresh)
    return orgs, roles_of(replace(person, orgs=orgs), CommandSubject(namespace), maintainers=frozenset())


def _roles_in(context: BoardContext, person: Person, orgs: Sequence[str], fresh: bool) -> tuple[tuple[str, str], ...]:
    """The role of `person` in each of `orgs` in which they have one."""
    shown = ((name, role_in(context, name, person, fresh=fresh)) for name in orgs)
    return tuple((name, role) for name, role in shown if role is not None)


def maintainers(context: BoardContext) -> frozenset[str]:
    """The ids of all maintainers, for telling who has spoken; who may decide is asked of `roles`.

    A call for each maintaining organisation, remembered for LISTED seconds.
    """
    organisations = context.board.maintainer_organisations
    if not organisations:
        return frozenset(context.board.maintainers)
    key = context.keys.person("maintainers " + " ".join(f"{one.name}:{one.role}" for one in organisations))
    known = context.redis.get(key)
    if known is None:
        members = [
            user for one in organisations for user, role in _members(context, one.name).items() if role == one.role
        ]
        known = json.dumps(sorted(set(members)))
        context.redis.set(key, known, ex=LISTED)
    return frozenset((*context.board.maintainers, *json.loads(known)))


def _members(context: BoardContext, org: str) -> dict[str, str]:
    try:
        return context.hub.members(org)
    except NotFound:
        return {}


def user_id(context: BoardContext, name: str, *, fresh: bool) -> str | None:
    """The id of the account that has this name now; None where nobody has."""
    key = context.keys.person(f"user {name.lower()}")
    known = None if fresh else context.redis.get(key)
    if known is not None:
        return text(known) or None
    try:
        found = context.hub.user(name).id
    except NotFound:
        found = ""
    context.redis.set(key, found, ex=LASTS)
    return found or None


def role_in(context: BoardContext, org: str, person: Person, *, fresh: bool) -> str | None:
    """The role of `person` in `org`: "" where the Hub shows them as a member and no role, None where they are none."""
    key = context.keys.person(f"role {org} {person.id}")
    known = None if fresh else context.redis.get(key)
    if known is None:
        try:
            found = context.hub.member(org, person.id, person.name)
        except NotFound:
            found = None  # a user's name, or nobody's
        known = json.dumps(found)
        context.redis.set(key, known, ex=LASTS)
    role = json.loads(known)
    return str(role) if role is not None else None
