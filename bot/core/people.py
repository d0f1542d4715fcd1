"""The author of a comment, and their roles: read from the Hub and cached for a short time.

Only an id that the Hub itself reports counts. A deleted account has none; a renamed account keeps its id.

The submitter of a pull request, by `/submit` or by the API has an id, which the request file holds: the name does not
matter, and an account that has the submitter's name and another id is neither the submitter nor the owner.

Names of models and of authors of commits come without an id. So an account that was created after a model was submitted
or flagged is neither its owner nor its submitter, although it has their name: it registered a name that was given up.

Race accepted: an account that existed before takes such a name by renaming itself, and the model was not submitted by
its owner with an id. It counts as the submitter and the owner: it may relaunch, resubmit or cancel these requests, and
propose what a maintainer approves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from bot.core.context import BoardContext
from hub.errors import NotFound
from hub.parse import DELETED
from hub.records import Account, Comment
from leaderboard.roles import CommandSubject, Person, Role, roles_of
from leaderboard.times import read_time

T = TypeVar("T")
CACHE_SECONDS = 120
"""Time for which the Hub's answer about a membership or a name is cached."""
LIST_CACHE_SECONDS = 900
"""Time for which the list of all maintainers is cached."""


def author(context: BoardContext, comment: Comment) -> Person | None:
    """The author of `comment`; None if the account no longer exists."""
    if comment.author_id is not None:
        return Person(comment.author_id, comment.author_name)
    if comment.author_name == DELETED:
        return None  # for a real account with this name, the Hub reports an id
    account_id = user_id(context, comment.author_name, fresh=False)
    return Person(account_id, comment.author_name) if account_id else None


def roles(
    context: BoardContext, person: Person, *, model: str, submitter: str, fresh: bool, enough: Set[Role] = frozenset()
) -> tuple[Person, frozenset[Role]]:
    """The roles of `person` on the board and for `model` ("" for none) of `submitter`; the person with organisations.

    The search ends once the person has a role in `enough`. `fresh` ignores the cache. At most one call for each
    organisation whose members are maintainers, one for the submitter, and one for the model's namespace; and another
    one after each 404.
    """
    board_roles = roles_of(person, CommandSubject(), maintainers=frozenset(context.board.maintainers))
    looks: list[Callable[[], _Looked]] = [
        lambda: _as_maintainer(context, person, fresh),
        lambda: _as_submitter(context, person, model, submitter, fresh),
        lambda: _as_owner(context, person, model, fresh),
    ]
    for look in looks:
        if board_roles & enough:
            break
        orgs, more = look()
        person, board_roles = replace(person, orgs=(*person.orgs, *orgs)), board_roles | more
    return person, board_roles


_Looked = tuple[Sequence[tuple[str, str]], frozenset[Role]]
"""The person's roles in the organisations that were read, and the resulting roles on the board."""


def _as_maintainer(context: BoardContext, person: Person, fresh: bool) -> _Looked:
    maintaining = frozenset(
        (organisation.name.lower(), organisation.role) for organisation in context.board.maintainer_organisations
    )
    if person.id in context.board.maintainers:
        return (), frozenset()  # the board names them already
    orgs = _roles_in(context, person, sorted({name for name, _ in maintaining}), fresh)
    return orgs, roles_of(
        replace(person, orgs=orgs), CommandSubject(), maintainers=frozenset(), maintaining=maintaining
    )


def _as_submitter(context: BoardContext, person: Person, model: str, submitter: str, fresh: bool) -> _Looked:
    if not submitter:
        return (), frozenset()
    entries = [entry for entry in context.index.of_model(model) if entry.known_submitter.lower() == submitter.lower()]
    if ids := {entry.known_submitter_id for entry in entries if entry.known_submitter_id}:
        return (), frozenset({Role.SUBMITTER} if person.id in ids else ())
    if submitter.lower() != person.name.lower():
        return (), frozenset()
    submitter_id = _id_at(context, submitter, (entry.time for entry in entries), fresh=fresh)
    return (), roles_of(person, CommandSubject(submitter_id=submitter_id), maintainers=frozenset())


def _as_owner(context: BoardContext, person: Person, model: str, fresh: bool) -> _Looked:
    namespace = model.partition("/")[0] if "/" in model else ""
    if namespace and namespace.lower() == person.name.lower():
        entries = context.index.of_model(model)
        ids = {
            entry.known_submitter_id
            for entry in entries
            if entry.known_submitter.lower() == namespace.lower() and entry.known_submitter_id
        }
        if ids and person.id not in ids:
            return (), frozenset()
        submitted = (entry.time for entry in entries)
        decisions = (decision for record in context.flag_book.of([model]) for decision in record.decisions)
        flagged = (read_time(decision.at) or 0.0 for decision in decisions)
        owner_id = _id_at(context, namespace, (*submitted, *flagged), fresh=fresh)
        subject = CommandSubject(namespace, owner_id=owner_id)
        return (), roles_of(person, subject, maintainers=frozenset())
    orgs = _roles_in(context, person, [namespace.lower()] if namespace else [], fresh)
    return orgs, roles_of(replace(person, orgs=orgs), CommandSubject(namespace), maintainers=frozenset())


def _roles_in(context: BoardContext, person: Person, orgs: Sequence[str], fresh: bool) -> tuple[tuple[str, str], ...]:
    """The role of `person` in each of `orgs` in which they have one."""
    shown = ((name, role_in(context, name, person, fresh=fresh)) for name in orgs)
    return tuple((name, role) for name, role in shown if role is not None)


def maintainers(context: BoardContext) -> frozenset[str]:
    """The ids of all maintainers, to recognise their comments; permissions are checked with `roles`.

    One call for each maintaining organisation, cached for LIST_CACHE_SECONDS.
    """
    organisations = context.board.maintainer_organisations
    if not organisations:
        return frozenset(context.board.maintainers)
    key = context.keys.person(
        "maintainers " + " ".join(f"{organisation.name}:{organisation.role}" for organisation in organisations)
    )
    known = context.redis.get(key)
    if known is None:
        members = [
            user
            for organisation in organisations
            for user, role in _members(context, organisation.name).items()
            if role == organisation.role
        ]
        known = json.dumps(sorted(set(members)))
        context.redis.set(key, known, ex=LIST_CACHE_SECONDS)
    return frozenset((*context.board.maintainers, *json.loads(known)))


def _members(context: BoardContext, org: str) -> dict[str, str]:
    return _unless_missing(lambda: context.hub.members(org)) or {}


def user_id(context: BoardContext, name: str, *, fresh: bool) -> str | None:
    """The id of the account that has this name now; None if there is none."""
    account = _account(context, name, fresh=fresh)
    return account.id if account is not None else None


def _id_at(context: BoardContext, name: str, times: Iterable[float], *, fresh: bool) -> str | None:
    """The id of the account that has this name now, if it existed at the first of these known `times`."""
    account, known = _account(context, name, fresh=fresh), [time for time in times if time]
    is_later = account is not None and bool(known) and account.created > min(known)
    return account.id if account is not None and not is_later else None


def _account(context: BoardContext, name: str, *, fresh: bool) -> Account | None:
    key = context.keys.person(f"account {name.lower()}")
    known = None if fresh else context.redis.get(key)
    if known is None:
        account = _unless_missing(lambda: context.hub.user(name))
        known = json.dumps([account.id, account.name, account.created] if account is not None else None)
        context.redis.set(key, known, ex=CACHE_SECONDS)
    fields = json.loads(known)
    return Account(*fields) if fields else None


def role_in(context: BoardContext, org: str, person: Person, *, fresh: bool) -> str | None:
    """The role of `person` in `org`: "" for a member whose role the Hub does not show, None for a non-member."""
    key = context.keys.person(f"role {org} {person.id}")
    known = None if fresh else context.redis.get(key)
    if known is None:
        known = json.dumps(_unless_missing(lambda: context.hub.member(org, person.id, person.name)))
        context.redis.set(key, known, ex=CACHE_SECONDS)
    role = json.loads(known)
    return str(role) if role is not None else None


def _unless_missing(ask: Callable[[], T]) -> T | None:
    """The Hub's answer; None if two calls say that there is no such account: one 404 may be wrong."""
    for _ in range(2):
        with suppress(NotFound):
            return ask()
    return None
