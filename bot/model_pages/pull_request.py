"""The pull request with this board's scores on a model's repo: opened once, changed by commits to it, closed.

It is opened only because the model's owner asked, by `/publish-scores` or in the form, and found again by the hidden
marker in its description and its author: nothing about it is stored elsewhere. Before there are scores, the request
file holds the owner's consent (`consent`). Then the pull request follows the scores: new ones are a commit to it, and
the bot closes it when the model has none any more or is flagged. The bot opens a closed one again only if an owner
asks, and only if the bot itself closed it.

Race closed: the process dies after it opened the pull request. The command runs again and finds it.
Race closed: two commands at once open two, or the Hub completes a call after an error. The sync of the model's page
closes all but the oldest.
Race accepted: the model's owner changes the file in the pull request. The next scores replace it.
Race accepted: the pull request was merged, and the model is flagged later. The file is the owner's, and stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import structlog

from bot.core.context import BoardContext, model_page_key
from bot.core.lease_fence import still_ours
from bot.core.render import render
from bot.model_pages import consent
from bot.model_pages.own_pulls import (
    MARKER,
    UNDECIDED,
    current_pull,
    may_reopen,
    own_pulls,
    scores_file_at,
    untaken_scores,
)
from bot.model_pages.page import NoScoresReason, read_page
from bot.model_pages.refused_token import ModelsTokenRefused, next_try, note_accepted, refusal_noted
from hub.client import Hub
from hub.comments import marked
from hub.errors import Denied, NotFound
from hub.records import Repo, Thread, WriteFile
from leaderboard.effects import Effect, EffectMode
from leaderboard.model_pages import PageScore, eval_file, file_path
from leaderboard.roles import Person
from leaderboard.steward_facts import ScoresConsent
from redis_state.clock import iso
from redis_state.crashpoints import pass_by, point
from redis_state.shadowed_writes import ShadowedWrite

log = structlog.get_logger()

DAY_SECONDS = 86_400.0
HOUR_SECONDS = 3_600.0
INDEX_WAIT_SECONDS = 60.0
"""Time until the next sync while the index is not complete: a model without an entry may have scores."""

COUNTED = point("pull request on a model counted, not opened")
OPENED = point("pull request on a model opened, not told")
CHANGED = point("scores in a pull request on a model changed, not opened again")

How = Literal[
    "published",
    "waiting",
    "merged",
    "off",
    "taken",
    "closed-by-owner",
    "limit",
    "no-scores",
    "flagged",
    "unreadable",
    "not-owner",
    "hub-refused",
]
CloseReason = Literal["no-scores", "flagged", "taken", "asked", "double"]


@dataclass(frozen=True)
class PublishResult:
    """The result of a request to publish: `how` selects the sentence; `number` is that of the pull request."""

    how: How
    model: str
    number: int = 0


def publish_or_wait(
    context: BoardContext, hub: Hub, model: str, person: Person, *, thread: str, cause: str, path: str = ""
) -> PublishResult:
    """Publish the scores of `model`, as its owner `person` asks; if there are none yet, as soon as there are some.

    `path` is that of a request file which the index may not have yet.
    """
    result = publish(context, hub, model, by=person.name, thread=thread)
    waiting = path or consent.open_request(context, model)
    if result.how != "no-scores" or not waiting:
        return result
    if context.effects.mode(Effect.MODEL_PR) is not EffectMode.ON:
        return PublishResult("off", model)
    given = ScoresConsent(by=person.name, by_id=person.id, at=iso(context.now()), thread=thread)
    is_stored = consent.store_consent(context, waiting, given, cause=cause)
    return PublishResult("waiting" if is_stored else "off", model)


def publish(context: BoardContext, hub: Hub, model: str, *, by: str, thread: str) -> PublishResult:
    """Open the pull request of `model`, or bring it up to date; `by` asked for it in the thread at the URL `thread`,
    or in the form, if that is ""."""
    page = read_page(context, model)
    if page.why:
        return PublishResult(page.why, page.model)
    ours = own_pulls(context, hub, page.model)
    pull = current_pull(ours)
    if pull is not None and pull.status == "closed" and not may_reopen(hub, pull):
        return PublishResult("closed-by-owner", page.model, pull.num)
    scores = untaken_scores(hub, page, ours, file_path(context.board.name))
    if not scores:
        return PublishResult("taken", page.model)
    if pull is None or pull.status == "merged":
        if pull is not None and scores_file_at(context, hub, page.model, "main") == eval_file(scores):
            return PublishResult("merged", page.model, pull.num)
        return _open(context, hub, page.model, scores, by=by, thread=thread)
    if not _update(context, hub, page.model, pull, scores):
        return PublishResult("off", page.model)
    pass_by(CHANGED)
    if pull.status != "open":
        still_ours()
        hub.set_status(Repo("model", page.model), pull.num, "open")
    return PublishResult("published", page.model, pull.num)


def withdraw(context: BoardContext, hub: Hub, model: str) -> int | None:
    """Close the open pull request of `model` because its owner or a maintainer asked; its number, None if there is
    none or the board holds the write back."""
    pull = current_pull(own_pulls(context, hub, model))
    if pull is None or pull.status not in UNDECIDED:
        return None
    return pull.num if _close(context, hub, model, pull, "asked") else None


def sync_model_page(context: BoardContext, model: str) -> float | None:
    """Open the pull request of `model` if an owner asked for it before there were scores; bring the open one, if there
    is one, in step with the board. Return when to sync it again.

    One call if there is none; else about five.
    """
    hub = context.models_hub
    if hub is None or not context.board.model_pages:
        return None
    if context.index.head(context.requests.id) is None:
        return context.now() + INDEX_WAIT_SECONDS
    if (later := next_try(context)) is not None:
        return later
    try:
        with refusal_noted(context, hub):
            again = _publish_as_agreed(context, hub, model)
            _follow(context, hub, model)
    except ModelsTokenRefused:
        return next_try(context)
    except (NotFound, Denied) as error:
        log.info("no pull requests on this model", model=model, error=str(error))
        return None
    note_accepted(context)
    return again


def _publish_as_agreed(context: BoardContext, hub: Hub, model: str) -> float | None:
    """Publish the scores if there are some, and an owner consented before; return when to try again.

    The person who consented must still be an owner. The consent is removed, unless the board may open no pull request
    now.
    """
    agreed = consent.consents(context, model)
    if not agreed or read_page(context, model).why in ("no-scores", "unreadable"):
        return None
    _, newest = agreed[0]
    if consent.is_owner(context, Person(newest.by_id, newest.by), model):
        result = publish(context, hub, model, by=newest.by, thread=newest.thread)
        if result.how in ("limit", "off"):
            return context.now() + HOUR_SECONDS if result.how == "limit" else None
        log.info("published as agreed", model=model, how=result.how)
    for path, given in agreed:
        consent.remove_consent(context, path, given)
    return None


def _follow(context: BoardContext, hub: Hub, model: str) -> None:
    ours = own_pulls(context, hub, model)
    undecided = [thread for thread in reversed(ours) if thread.status in UNDECIDED]
    if not undecided:
        return
    pull, *doubles = undecided
    for double in doubles:
        _close(context, hub, model, double, "double")
    page = read_page(context, model)
    if page.why == "unreadable":
        return  # scores of an earlier suite, which are still true
    scores = untaken_scores(hub, page, ours, file_path(context.board.name)) if not page.why else []
    if scores:
        if _update(context, hub, model, pull, scores) and pull.status == "draft":
            still_ours()
            hub.set_status(Repo("model", model), pull.num, "open")
    else:
        _close(context, hub, model, pull, _close_reason(page.why))


def _close_reason(why: NoScoresReason) -> CloseReason:
    return "taken" if not why or why == "unreadable" else why


# --- writing


def _open(
    context: BoardContext, hub: Hub, model: str, scores: Sequence[PageScore], *, by: str, thread: str
) -> PublishResult:
    if not _may_open(context, model):
        return PublishResult("limit", model)
    title = f"Add scores of {context.board.title}"
    body = render("model_page", scores=scores, title=context.board.title, by=by, thread=thread)
    if not _allows(context, model, f"Open “{title}” on {model}", body):
        return PublishResult("off", model)
    context.redis.zadd(context.keys.model_pages, {model.lower(): context.now()})
    pass_by(COUNTED)
    still_ours()
    change = WriteFile(file_path(context.board.name), eval_file(scores))
    description = marked(body, context.marker(MARKER, model))
    made = hub.commit(Repo("model", model), [change], title, description, create_pr=True, regular={change.path})
    pass_by(OPENED)
    context.mark_model_page(model)  # its sync opens a draft
    return PublishResult("published", model, made.pull_number or 0)


def _may_open(context: BoardContext, model: str) -> bool:
    """Whether the board may open one more today. Accepted: after Redis was lost, counting starts again at 0."""
    key, now = context.keys.model_pages, context.now()
    context.redis.zremrangebyscore(key, "-inf", now - DAY_SECONDS)
    is_counted = context.redis.zscore(key, model.lower()) is not None
    return is_counted or int(context.redis.zcard(key)) < context.board.model_pages_a_day


def _update(context: BoardContext, hub: Hub, model: str, pull: Thread, scores: Sequence[PageScore]) -> bool:
    """Commit `scores` to the pull request if it states others; False if the board holds the write back."""
    head, data = pull.head_commit or "", eval_file(scores)
    line = f"Update scores of {context.board.title}"
    if scores_file_at(context, hub, model, head) == data and pull.status == "open":
        return True
    if not _allows(context, model, f"{line} in #{pull.num} of {model}", data.decode()):
        return False
    if scores_file_at(context, hub, model, head) != data:
        still_ours()
        change = WriteFile(file_path(context.board.name), data)
        hub.commit(
            Repo("model", model), [change], line, parent=head, branch=f"refs/pr/{pull.num}", regular={change.path}
        )
    return True


def _close(context: BoardContext, hub: Hub, model: str, pull: Thread, why: CloseReason) -> bool:
    """Close `pull` with a comment that gives the reason; False if the board holds the write back."""
    if not _allows(context, model, f"Close #{pull.num} of {model}", why):
        return False
    still_ours()
    comment = render("model_page_closed", why=why, title=context.board.title).strip()
    hub.set_status(Repo("model", model), pull.num, "closed", comment)
    return True


def _allows(context: BoardContext, model: str, does: str, text: str) -> bool:
    shadowed = ShadowedWrite(
        id=f"model page {model} {does}", effect=Effect.MODEL_PR, repo=f"model/{model}", does=does, text=text
    )
    return context.effects.allows(shadowed, wake=model_page_key(model))
