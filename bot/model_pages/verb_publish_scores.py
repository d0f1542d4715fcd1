"""`/publish-scores` and `/unpublish-scores`: a pull request with the board's scores on the model's own repo.

Only the model's owner can ask for it, by the Hub's own membership; a submission is no consent. Owners and maintainers
can have it closed.
"""

from __future__ import annotations

from bot.core.commands.answers import acting, say
from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import MODEL, OWNERS
from bot.model_pages.pull_request import publish, withdraw
from hub.client import Hub
from leaderboard.roles import Role


def run_publish(call: Call) -> Answer:
    """Open the pull request, or bring it up to date."""
    hub = call.context.models_hub
    return acting(lambda: _publish(call, hub)) if hub is not None else _off()


def run_unpublish(call: Call) -> Answer:
    """Close it."""
    hub = call.context.models_hub
    return acting(lambda: _withdraw(call, hub)) if hub is not None else _off()


def _publish(call: Call, hub: Hub) -> Answer:
    context = call.context
    thread = f"{context.address(call.repo)}/discussions/{call.thread.num}"
    result = publish(context, hub, call.model, by=call.person.name, thread=thread)
    is_done = result.how in ("published", "merged")
    pull = f"{hub.endpoint}/{result.model}/discussions/{result.number}"
    text = say("publish_scores", result=result, pull=pull, most=context.board.model_pages_a_day)
    return Answer(text, outcome="done" if is_done else "refused")


def _withdraw(call: Call, hub: Hub) -> Answer:
    number = withdraw(call.context, hub, call.model)
    text = say("unpublish_scores", model=call.model, number=number)
    return Answer(text, outcome="done" if number is not None else "unchanged")


def _off() -> Answer:
    return Answer(say("publish_scores_off"), allowed=False, outcome="refused")


PUBLISH_SCORES = Verb(
    name="publish-scores",
    summary="open a pull request with the model's scores on its own repo, so that its page shows them",
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
