"""What has to be known before a model is renamed: what the Hub calls it, whose it is, and whether it is at rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.changes.rename_sources import RenameBase
from bot.core import people
from bot.core.context import BoardContext, thread_of
from hub.errors import BadRequest, BadToken, Denied, NotFound
from hub.records import ModelInfo, Repo, Thread
from leaderboard.admission.facts import EarlierRequest
from leaderboard.jsontext import object_in
from leaderboard.rename_checks import RenameFacts
from leaderboard.renames import RenamePlan, request_place
from leaderboard.requests import Status
from leaderboard.roles import Person, Role
from redis_state.redis import text

MOST_ASKING = 3
"""Discussions that link one pull request whose authors count as asking for it."""
_WEIGHTS = (".safetensors", ".bin", ".gguf", ".pt", ".pth")


def gather(context: BoardContext, it: RenamePlan, base: RenameBase, asking: Sequence[Person]) -> RenameFacts:
    """Look at both names on the Hub: two calls, and where they are two models of the same weights, up to four for each
    of `asking`, who asked for it."""
    old, new = _facts(context, it.old), None
    leads = old.id if old is not None else ""
    same, who, may = False, asking[0].name if asking else "", False
    if leads != it.new:
        new = _facts(context, it.new)
        same = old is not None and new is not None and _digests(old) == _digests(new) != []
        if same:
            who, may = _writer(context, it, asking, who)
    return RenameFacts(
        plan=it,
        leads=leads,
        new_exists=leads == it.new or (new is not None and new.id == it.new),
        same_weights=same,
        requester=who,
        may_write=may,
        new_files=base.new_files,
        flagged=tuple(dict.fromkeys(flag.model for flag in flags(context, it.old, it.new))),
        running=running(it.old, it.new, base) if it.kind == "requests" else (),
    )


def flags(context: BoardContext, *models: str) -> Sequence[EarlierRequest]:
    """The flags on `models`."""
    return context.flags(models, "")


def _facts(context: BoardContext, model: str) -> ModelInfo | None:
    try:
        return context.hub.model_facts(model)
    except BadToken:
        raise
    except (NotFound, Denied, BadRequest):
        return None  # gone, hidden or switched off: nobody can tell that it is the same


def _digests(facts: ModelInfo) -> list[str]:
    """The weights of a model, whatever its files are called."""
    return sorted(file.sha256 for file in facts.files if file.sha256 and file.name.endswith(_WEIGHTS))


def _writer(context: BoardContext, it: RenamePlan, asking: Iterable[Person], who: str) -> tuple[str, bool]:
    """Who of `asking` may write to both models, if anybody."""
    for person in asking:
        if all(
            Role.OWNER in people.roles(context, person, model=model, submitter="", fresh=True)[1]
            for model in (it.old, it.new)
        ):
            return person.name, True
    return who, False


def running(old: str, new: str, base: RenameBase) -> tuple[str, ...]:
    """The requests of `old` that are being evaluated."""
    return tuple(
        path
        for path, data in base.files.items()
        if request_place(old, new, path) != path and _status(data) == Status.RUNNING.value
    )


def _status(data: bytes) -> str:
    return str((object_in(data) or {}).get("status", "")).strip().upper()


def asking_for(context: BoardContext, repo: Repo, thread: Thread) -> tuple[Person, ...]:
    """Who asks for what the pull request `thread` does: whoever opened a discussion that links it, else its author.

    The pull request may come from a tool's account. A call for each discussion.
    """
    found: list[Person] = []
    links = sorted(text(key) for key in context.redis.smembers(context.keys.pull_links(f"{repo.id} {thread.num}")))
    for key in links[:MOST_ASKING]:
        where = thread_of(key.removeprefix("thread:"))
        try:
            opened = context.hub.thread(*where) if where is not None else None
        except NotFound:
            continue
        found += [_person(context, opened)] if opened is not None else []
    known = [person for person in (*found, _person(context, thread)) if person.id]
    return tuple(dict.fromkeys(known))


def _person(context: BoardContext, thread: Thread) -> Person:
    found = thread.author_id or people.user_id(context, thread.author_name, fresh=False) or ""
    return Person(found, thread.author_name)
