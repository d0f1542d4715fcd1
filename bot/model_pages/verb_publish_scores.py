"""`/publish-scores` and `/unpublish-scores`: a pull request with the board's scores on the model's own repo.

Only the model's owner can ask for it, by the Hub's own membership; a submission alone is no consent. Owners and
maintainers can have it closed.
"""

from __future__ import annotations

from bot.core.commands.answers import acting, say
from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import MODEL, OWNERS
from bot.core.context import BoardContext
from bot.core.render import Safe
from bot.model_pages.consent import is_owner, withdraw_consent
from bot.model_pages.pull_request import PublishResult, publish_or_wait, withdraw
from bot.model_pages.refused_token import ModelsTokenRefused, refusal_noted
from hub.client import Hub
from hub.errors import Denied, NotFound
from leaderboard.roles import Person, Role


def run_publish(call: Call) -> Answer:
    """Open the pull request, or bring it up to date."""
    hub = call.context.models_hub
    return acting(lambda: _publish(call, hub)) if hub is not None else _off()


def run_unpublish(call: Call) -> Answer:
    """Close the pull request, and withdraw the owner's consent."""
    hub = call.context.models_hub
    return acting(lambda: _withdraw(call, hub)) if hub is not None else _off()


def _publish(call: Call, hub: Hub) -> Answer:
    context = call.context
    # A button of a page is in no thread.
    thread = f"{context.address(call.repo)}/discussions/{call.thread.num}" if call.thread.num else ""
    with refusal_noted(context, hub):
        result = publish_or_wait(context, hub, call.model, call.person, thread=thread, cause=call.cause)
    is_done = result.how in ("published", "merged", "waiting")
    return Answer(_sentence(context, hub, result), outcome="done" if is_done else "refused")


def _sentence(context: BoardContext, hub: Hub, result: PublishResult) -> Safe:
    pull = f"{hub.endpoint}/{result.model}/discussions/{result.number}"
    return say("publish_scores", result=result, pull=pull, most=context.board.model_pages_a_day)


def publish_from_form(context: BoardContext, model: str, path: str, person: Person, *, cause: str) -> Safe:
    """Publish for `person`, who submitted `model` by the form and ticked its box; return the answer.

    `path` is that of the request file. Raises a HubError that a retry may overcome.
    """
    hub = context.models_hub
    if hub is None:
        return say("publish_scores_off")
    if not is_owner(context, person, model):
        return _sentence(context, hub, PublishResult("not-owner", model))
    try:
        with refusal_noted(context, hub):
            result = publish_or_wait(context, hub, model, person, thread="", cause=cause, path=path)
    except (NotFound, Denied, ModelsTokenRefused):
        result = PublishResult("hub-refused", model)
    return _sentence(context, hub, result)


def _withdraw(call: Call, hub: Hub) -> Answer:
    waited = withdraw_consent(call.context, call.model)
    with refusal_noted(call.context, hub):
        number = withdraw(call.context, hub, call.model)
    text = say("unpublish_scores", model=call.model, number=number, waited=waited)
    return Answer(text, outcome="done" if waited or number is not None else "unchanged")


def _off() -> Answer:
    return Answer(say("publish_scores_off"), allowed=False, outcome="refused")


PUBLISH_SCORES = Verb(
    name="publish-scores",
    summary="open a pull request with the model's scores on its own repo, now or as soon as there are some",
    who=frozenset({Role.OWNER}),
    run=run_publish,
    params=(MODEL,),
    about="model",
    examples=("/publish-scores", "/publish-scores org/model"),
    irreversible=True,
    decides=True,
)
UNPUBLISH_SCORES = Verb(
    name="unpublish-scores",
    summary="close the pull request with the model's scores on its own repo",
    who=OWNERS,
    run=run_unpublish,
    params=(MODEL,),
    about="model",
    examples=("/unpublish-scores org/model",),
    irreversible=True,
    decides=True,
)
