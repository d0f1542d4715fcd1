"""The consent of a model's owner that scores are published on the model's own page, given before there are any.

The field `steward.publish_scores` in a request file of the model holds it, so it survives the loss of Redis. The sync
of the model's page acts on it once there are scores, and then removes it; a withdrawal removes it, too.

Race accepted: the model is withdrawn within the minute in which the ledger has not yet committed a new request file.
The index has no such request yet, so the answer says that there is nothing to withdraw.
"""

from __future__ import annotations

from typing import Any

from bot.core import people
from bot.core.context import BoardContext, request_key
from bot.ledger.edits import FieldEdit
from bot.request_files.file_edits import digest_of, pending_request
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.requests import Status
from leaderboard.roles import Person, Role
from leaderboard.steward_facts import ScoresConsent
from redis_state.board.entry import IndexEntry

FACT = "publish_scores"
_OWNER = frozenset({Role.OWNER})
_UNDER_WAY = (Status.PENDING, Status.RERUN, Status.RUNNING)


def is_owner(context: BoardContext, person: Person, model: str) -> bool:
    """Whether `person` owns `model` by the Hub's own membership, read now."""
    _, roles = people.roles(context, person, model=model, submitter="", fresh=True, enough=_OWNER)
    return bool(roles & _OWNER)


def open_request(context: BoardContext, model: str) -> str:
    """The path of the newest public request of `model` that is under way; "" if there is none."""
    entries = [entry for entry in _public(context, model) if entry.standing.status in _UNDER_WAY]
    return max(entries, key=lambda entry: entry.time).path if entries else ""


def store_consent(context: BoardContext, path: str, consent: ScoresConsent, *, cause: str) -> bool:
    """Stage `consent` for the request file at `path`; False if the board holds edits back."""
    return _stage(context, path, consent.model_dump(), name=f"consent {cause} {digest_of(path)}")


def consents(context: BoardContext, model: str) -> list[tuple[str, ScoresConsent]]:
    """Path and consent of each request file of `model` that holds one, the newest first."""
    known = [(entry.path, entry.standing.publish_scores) for entry in _public(context, model)]
    return sorted(
        ((path, consent) for path, consent in known if consent is not None),
        key=lambda consent: consent[1].at,
        reverse=True,
    )


def remove_consent(context: BoardContext, path: str, consent: ScoresConsent) -> None:
    """Stage the removal of `consent`, which was acted on or withdrawn. A newer one stays."""
    guard = {f"steward.{FACT}": (consent.model_dump(),)}
    _stage(context, path, None, name=f"consent over {consent.at} {digest_of(path)}", guard=guard)


def withdraw_consent(context: BoardContext, model: str) -> bool:
    """Remove the consents in the request files of `model`, staged ones too. A call for each file.

    Return whether there was one.
    """
    is_any = False
    for entry in _public(context, model):
        if entry.standing.publish_scores is None and entry.standing.status not in _UNDER_WAY:
            continue
        pending = pending_request(context, entry.path)
        consent = pending[0].file.steward.publish_scores if not isinstance(pending, str) else None
        if consent is not None:
            remove_consent(context, entry.path, consent)
            is_any = True
    return is_any


def _public(context: BoardContext, model: str) -> list[IndexEntry]:
    return [entry for entry in context.index.of_model(model) if not entry.is_private]


def _stage(context: BoardContext, path: str, value: dict[str, Any] | None, *, name: str, **more: Any) -> bool:
    parsed = parse_path(path)
    model = parsed.model if isinstance(parsed, RequestPath) else path
    line = f"{'Publish' if value else 'Do not wait to publish'} scores of {model}"[:400]
    edit = FieldEdit(id=name, path=path, line=line, facts={FACT: value}, wake=(request_key(path),), **more)
    return context.effects.stage(context.requests, edit)
