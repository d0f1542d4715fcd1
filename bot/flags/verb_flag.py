"""`/flag`, `/unflag` and `/dismiss`: flag models, lift flags, dismiss reports. And the button to appeal.

Everybody may write `/flag`: it flags the models for a maintainer, and reports them for any other person. Models come
before the reason, or after it where the reason is in quotes; a command without models is about those of the thread.

    /flag copy org/model org/other its files are those of another model
    /flag copy "its files are those of another model" org/model org/other
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.core.commands.answers import acting, say
from bot.core.commands.model import Answer, Call, CommandPlace, Param, Verb
from bot.core.commands.parameters import ANYONE, MAINTAINERS, MODEL, REASON
from bot.core.commands.registry import model_in
from bot.core.commands.targets import requests_of
from bot.core.context import thread_key
from bot.core.render import Safe, plain, render
from bot.flags import appeals, decisions
from bot.flags.flag_commands import FlagCommand, FlagResult, FlagSource
from bot.flags.flag_thread import thread_at
from leaderboard.flag_categories import CATEGORIES
from leaderboard.flags import FlagScope
from leaderboard.roles import Role
from redis_state.board.decisions import DecisionOutcome
from redis_state.dirty import SyncPriority

CATEGORY = Param("category", "choice", "what is wrong with the model", required=True, choices=tuple(CATEGORIES))
REASON_AFTER_MODELS = Param("reason", "words", "the models, then the reason; everybody can read it", required=True)
MODELS = Param("models", "words", "the models, if the reason comes first, in quotes")
REVISION = Param("revision", "word", "flag only this commit", by_name=True)
PRECISION = Param("precision", "word", "flag only this precision", by_name=True)

OUTCOMES: Mapping[str, DecisionOutcome] = {
    **dict.fromkeys(("flagged", "lifted", "dismissed", "upheld", "reported"), "done"),
    **dict.fromkeys(("not-flagged", "nothing", "already"), "unchanged"),
}
"""All other results are refusals."""


def run_flag(call: Call) -> Answer:
    """Flag models, or report them where the author of the command is not a maintainer."""
    models, reason = _models_and_reason(call)
    scope = FlagScope(revision=call.get("revision"), precision=call.get("precision"))
    command = FlagCommand(call.get("category"), reason, models, scope)
    act = decisions.flag if call.is_maintainer else decisions.report
    return acting(lambda: _reply(call, act(call.context, command, _source(call))))


def run_unflag(call: Call) -> Answer:
    """Lift the flags of the named models, or all flags of the thread."""
    models, reason = _models_and_reason(call)
    return acting(lambda: _reply(call, decisions.unflag(call.context, reason, models, _source(call))))


def run_dismiss(call: Call) -> Answer:
    """Dismiss a report or an appeal."""
    return acting(lambda: _reply(call, decisions.dismiss(call.context, call.get("reason"), _source(call))))


def run_appeal(call: Call) -> Answer:
    """Write the appeal of the model's owner into the thread of its flag."""
    return acting(lambda: _appeal(call))


def _appeal(call: Call) -> Answer:
    context, model = call.context, call.model
    standing = [record for record in context.flag_book.of([model]) if record.stands]
    if not standing:
        return Answer(say("appeal", how="not-flagged", model=model), outcome="unchanged")
    url = standing[0].thread
    location = thread_at(context, url)
    if location is None:
        return Answer(say("appeal", how="no-thread", model=model), outcome="refused")
    thread = context.hub.thread(*location)
    if not appeals.appeal(context, location[0], thread, call.get("reason"), call.person.name, call.cause):
        return Answer(say("appeal", how="no-thread", model=model), outcome="refused")
    context.mark(thread_key(*location), SyncPriority.PERSON)
    return Answer(say("appeal", how="appealed", model=model, thread=url))


def _models_and_reason(call: Call) -> tuple[tuple[str, ...], str]:
    """The models before the reason, or those of the parameter `models`; and the reason without them."""
    separate = tuple(call.get("models").replace(",", " ").split())
    words = call.get("reason").split(" ")
    count = next((index for index, word in enumerate(words) if not _is_model(word)), len(words))
    leading = tuple(model_in(word.rstrip(",")) or word for word in words[:count])
    if separate or not leading:
        return separate, call.get("reason")
    return leading, " ".join(words[count:])


def _is_model(word: str) -> bool:
    name = model_in(word.rstrip(","))
    return name is not None and "/" in name


def _source(call: Call) -> FlagSource:
    paths = requests_of(call.context, call.repo, call.thread)
    path = paths[0] if len(paths) == 1 else ""
    return FlagSource(call.repo, call.thread, call.person, call.cause, path, call.is_on_page)


def _reply(call: Call, result: FlagResult) -> Answer:
    text = reply(result, usage=call.verb.usage, example=_models_first(call) or next(iter(call.verb.examples), ""))
    return Answer(text, outcome=OUTCOMES.get(result.how, "refused"))


def _models_first(call: Call) -> str:
    """The command with the models moved before the reason, as the person may have meant it; "" if it names none."""
    words = call.get("reason").split(" ")
    models = [word for word in words if _is_model(word)]
    reason_words = [word for word in words if not _is_model(word)]
    category = [call.get("category")] if call.get("category") else []
    return " ".join([f"/{call.verb.name}", *category, *models, *reason_words]) if models and reason_words else ""


def reply(result: FlagResult, *, usage: str, example: str) -> Safe:
    """The reply to a command about flags; it shows `usage` and `example` where the command lacks something."""
    models = _listed(result.models)
    return Safe(render("commands/flag", done=result, models=models, usage=usage, example=example).strip())


def _listed(models: Sequence[str]) -> Safe:
    """Names of models in a sentence: **a/b**, **c/d** and **e/f**."""
    names = [f"**{plain(model)}**" for model in models]
    return Safe(" and ".join(filter(None, (", ".join(names[:-1]), names[-1])))) if names else Safe("")


FLAG = Verb(
    name="flag",
    summary="flag models for a public reason; if you are not a maintainer, report them to the maintainers",
    who=ANYONE,
    run=run_flag,
    params=(CATEGORY, REASON_AFTER_MODELS, MODELS, REVISION, PRECISION),
    form="category [org/model …] reason [revision=…] [precision=…]",
    examples=(
        "/flag merge org/model its card does not say that it is one",
        "/flag contamination trained on the test set",
    ),
    irreversible=True,
    decides=True,
    apart=MAINTAINERS,
)
UNFLAG = Verb(
    name="unflag",
    summary="lift a flag, for a public reason",
    who=MAINTAINERS,
    run=run_unflag,
    params=(REASON_AFTER_MODELS, MODELS),
    form="[org/model …] reason",
    examples=("/unflag its card names the base model now", "/unflag org/model its data are public"),
    irreversible=True,
    decides=True,
)
DISMISS = Verb(
    name="dismiss",
    summary="dismiss a report, or an appeal against a flag, and say why",
    who=MAINTAINERS,
    run=run_dismiss,
    params=(REASON,),
    where=frozenset({CommandPlace.REQUEST, CommandPlace.COMMUNITY}),
    examples=("/dismiss the weights are not the same",),
    irreversible=True,
    decides=True,
)
APPEAL = Verb(
    name="appeal",
    summary="appeal against the flag of your model",
    who=frozenset({Role.OWNER}),
    run=run_appeal,
    params=(MODEL, REASON),
    about="model",
    examples=("/appeal org/model its card names the base model now",),
    irreversible=True,
    decides=True,
)
"""Only a button runs this verb: in the thread of a flag, each comment is an appeal."""
