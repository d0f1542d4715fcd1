"""Gather the facts for the checks of a rename: the Hub's names, permissions, flags, running evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from bot.changes.rename_sources import RenameBase
from bot.core import people
from bot.core.context import BoardContext, thread_of
from hub.errors import BadRequest, Denied, Garbled, NotFound, TooLarge
from hub.records import ModelInfo, Repo, Thread
from hub.retries import unless_gone
from leaderboard.admission.facts import EarlierRequest
from leaderboard.jsontext import object_in
from leaderboard.rename_checks import RenameFacts
from leaderboard.rename_contents import request_place
from leaderboard.renames import RenamePlan
from leaderboard.requests import Status
from leaderboard.roles import Person, Role
from redis_state.redis import text

MAX_LINKING_THREADS = 3
"""Discussions that link a pull request and whose authors count as its requesters."""
_WEIGHTS = (".safetensors", ".bin", ".gguf", ".pt", ".pth")


def gather(context: BoardContext, rename: RenamePlan, base: RenameBase, asking: Sequence[Person]) -> RenameFacts:
    """The facts for the checks of `rename`. Two calls, one for each name; if they are two models with equal weights, up
    to four more for each requester in `asking`."""
    old, new = _facts(context, rename.old), None
    leads = old.id if old is not None else ""
    is_same, requester, may_write = False, asking[0].name if asking else "", False
    if leads != rename.new:
        new = _facts(context, rename.new)
        is_same = old is not None and new is not None and _digests(old) == _digests(new) != []
        if is_same:
            requester, may_write = _writer(context, rename, asking, requester)
    return RenameFacts(
        plan=rename,
        leads=leads,
        new_exists=leads == rename.new or (new is not None and new.id == rename.new),
        same_weights=is_same,
        requester=requester,
        may_write=may_write,
        new_files=base.new_files,
        flagged=tuple(dict.fromkeys(flag.model for flag in flags(context, rename.old, rename.new))),
        running=running(rename.old, rename.new, base) if rename.kind == "requests" else (),
    )


def flags(context: BoardContext, *models: str) -> Sequence[EarlierRequest]:
    """The flags on `models`."""
    return context.flags(models, "")


def _facts(context: BoardContext, model: str) -> ModelInfo | None:
    """The Hub's facts about a model; None if it is deleted, hidden, disabled or unreadable, so that its identity cannot
    be checked. Raises Garbled where one answer says that it is gone, and another one does not."""
    try:
        return context.hub.model_facts(model)
    except NotFound as error:
        if context.hub.repo_exists(Repo("model", model)):
            raise Garbled(f"The Hub says that there is no {model}, and shows its branches.") from error
        return None
    except (Denied, BadRequest, TooLarge):
        return None


def _digests(facts: ModelInfo) -> list[str]:
    """The digests of a model's weight files, independent of their names."""
    return sorted(file.sha256 for file in facts.files if file.sha256 and file.name.endswith(_WEIGHTS))


def _writer(context: BoardContext, rename: RenamePlan, asking: Iterable[Person], default: str) -> tuple[str, bool]:
    """The first requester who may write to both models, and True; else `default`, and False."""
    for person in asking:
        if all(
            Role.OWNER in people.roles(context, person, model=model, submitter="", fresh=True)[1]
            for model in (rename.old, rename.new)
        ):
            return person.name, True
    return default, False


def running(old: str, new: str, base: RenameBase) -> tuple[str, ...]:
    """The requests of `old` whose evaluation runs."""
    return tuple(
        path
        for path, data in base.files.items()
        if request_place(old, new, path) != path and _status(data) == Status.RUNNING.value
    )


def _status(data: bytes) -> str:
    return str((object_in(data) or {}).get("status", "")).strip().upper()


def asking_for(context: BoardContext, repo: Repo, thread: Thread) -> tuple[Person, ...]:
    """The requesters of the pull request `thread`: the authors of discussions that link it, then its own author.

    The pull request may come from a tool's account. One call for each discussion.
    """
    authors: list[Person] = []
    links = sorted(text(key) for key in context.redis.smembers(context.keys.pull_links(f"{repo.id} {thread.num}")))
    for key in links[:MAX_LINKING_THREADS]:
        location = thread_of(key.removeprefix("thread:"))
        linking = unless_gone(partial(context.hub.thread, *location)) if location is not None else None
        authors += [_person(context, linking)] if linking is not None else []
    requesters = [person for person in (*authors, _person(context, thread)) if person.id]
    return tuple(dict.fromkeys(requesters))


def _person(context: BoardContext, thread: Thread) -> Person:
    user_id = thread.author_id or people.user_id(context, thread.author_name, fresh=False) or ""
    return Person(user_id, thread.author_name)
