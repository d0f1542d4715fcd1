"""`/submit` and `/resubmit`: a new request, or an existing one at a newer commit, from a thread.

The author of the command, as the Hub reports it, is the submitter. The checks come first, so a model that would be
refused leaves no request behind, and the reply has every reason. `bot.requests.api_submission` submits by the same
function, with the same sentences, for programs and pages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.core import people
from bot.core.commands.answers import acting, say
from bot.core.commands.model import Answer, Arguments, Call, Param, Verb
from bot.core.commands.parameters import ANYONE, MODEL, PRECISION, REQUIRED_MODEL, SUBMITTERS, WEIGHTS
from bot.core.commands.targets import submitter_of
from bot.core.context import BoardContext
from bot.core.render import Safe, code, plain, printable, render, url
from bot.model_facts.board_facts import model_of
from bot.requests import submitting
from bot.requests.verb_check import AT, REVISION
from leaderboard.categories import ModelCategory, read_category
from leaderboard.options import DEFAULT_PRECISION
from leaderboard.roles import Person, who_may
from redis_state.board.decisions import DecisionOutcome
from redis_state.board.entry import IndexEntry

CHAT = Param("chat_template", "choice", "whether to use its chat template", choices=("yes", "no"), by_name=True)
CATEGORIES = tuple(category.value.replace(" ", "-") for category in ModelCategory if category != ModelCategory.UNKNOWN)
TYPE = Param("type", "choice", "its category, in which it is ranked", choices=CATEGORIES, by_name=True)
BASE = Param("base_model", "model", "the model that a Delta or an Adapter is applied to", by_name=True)

OUTCOMES: Mapping[str, DecisionOutcome] = {
    "submitted": "done",
    "resubmitted": "done",
    "exists": "unchanged",
    "same": "unchanged",
    "under-way": "unchanged",
}
"""All other results are refusals."""


def run_submit(call: Call) -> Answer:
    """Write the request file if the model passes every check."""
    return acting(
        lambda: _answer(call.context, submit_model(call.context, call.person, call.arguments, cause=call.cause))
    )


def submit_model(context: BoardContext, person: Person, arguments: Arguments, *, cause: str) -> submitting.SubmitResult:
    """Submit the model that the arguments of `/submit` name, on behalf of `person`, in a thread or by a program."""
    command = submitting.SubmitCommand(
        model=arguments["model"],
        revision=arguments.get("revision", "main"),
        precision=arguments.get("precision", DEFAULT_PRECISION),
        weight_type=arguments.get("weight_type", "Original"),
        base_model=arguments.get("base_model", ""),
        model_type=read_category(arguments["type"]).value if "type" in arguments else "",
        use_chat_template=arguments.get("chat_template") == "yes",
        submitter=person.name,
        submitter_id=person.id,
    )
    return submitting.submit(context, command, cause=cause, may_resubmit=may_resubmit(context, person))


def may_resubmit(context: BoardContext, person: Person) -> Callable[[IndexEntry], bool]:
    """A function that says whether `person`, who submits a model, could also `/resubmit` its existing request."""

    def may(entry: IndexEntry) -> bool:
        if entry.is_private:
            return False  # a public answer must not reveal that the request exists
        about = {"model": model_of(entry), "submitter": submitter_of(context, entry)}
        _, roles = people.roles(context, person, **about, fresh=RESUBMIT.irreversible, enough=RESUBMIT.who)
        return bool(roles & RESUBMIT.who)

    return may


def run_resubmit(call: Call) -> Answer:
    """Reopen the request at another commit if that passes every check."""
    revision = call.get("revision", "main")
    return acting(
        lambda: _answer(
            call.context,
            submitting.resubmit(
                call.context,
                call.entry,
                revision=revision,
                submitter=call.person.name,
                cause=f"resubmit:{call.cause}",
                counts=not call.is_maintainer,
            ),
        )
    )


def _answer(context: BoardContext, result: submitting.SubmitResult) -> Answer:
    return Answer(result_text(context, result), outcome=OUTCOMES.get(result.how, "refused"))


def result_text(context: BoardContext, result: submitting.SubmitResult, *, by_program: bool = False) -> Safe:
    """The answer to the submitter, as Markdown."""
    message, advice = _sentences(context, result, by_program, strong=_strong, mono=code, link=_link)
    if not result.reasons:
        return Safe(f"{message} {advice}".strip())
    reasons = "\n\n".join(f"- {render('problem', problem=reason).strip()}" for reason in result.reasons)
    return Safe(f"{message}\n\n{reasons}\n\n{advice}")


def result_sentences(context: BoardContext, result: submitting.SubmitResult) -> tuple[str, str]:
    """The message and the advice of the answer to the submitter, as plain text for a program, without the reasons."""
    message, advice = _sentences(context, result, by_program=True, strong=_plain, mono=_plain, link=_plain)
    return message, " ".join(advice.split())


def _sentences(
    context: BoardContext, result: submitting.SubmitResult, by_program: bool, **forms: Callable[..., Safe]
) -> tuple[str, str]:
    address = context.address(context.requests, result.path) if result.path else ""
    who = who_may(RESUBMIT.who)
    message, _, advice = say("submit", done=result, address=address, by_program=by_program, who=who, **forms).partition(
        "\n\n"
    )
    return message, advice


def _strong(words: str) -> Safe:
    return Safe(f"**{plain(words)}**")


def _link(words: str, address: str) -> Safe:
    return Safe(f"[{words}]({url(address)})")


def _plain(words: str, _address: str = "") -> Safe:
    return Safe(printable(words))


SUBMIT = Verb(
    name="submit",
    summary="submit a model; it is checked first",
    who=ANYONE,
    run=run_submit,
    params=(REQUIRED_MODEL, AT, WEIGHTS, REVISION, BASE, TYPE, CHAT),
    examples=("/submit org/model precision=bfloat16", "/submit org/adapter weight_type=Adapter base_model=org/model"),
    decides=True,
)
RESUBMIT = Verb(
    name="resubmit",
    summary="have a model evaluated at a newer commit; the old result stays until the new one is ready",
    who=SUBMITTERS,
    run=run_resubmit,
    params=(MODEL, PRECISION, WEIGHTS, REVISION),
    about="request",
    examples=("/resubmit", "/resubmit org/model revision=v2"),
    decides=True,
)
