"""`/submit` and `/resubmit`: a new request, or an old one at a newer commit, without leaving the thread.

Who writes the command is the submitter, by the Hub's word. The checks are made first, so that a model that would be
refused leaves no request behind, and its author reads every reason in the reply.
"""

from __future__ import annotations

from bot.commands.call import Answer, Call, doing, say
from bot.commands.registry import Param, Verb
from bot.commands.verbs.check import AT, NAMED, REVISION, WEIGHT_TYPE
from bot.commands.verbs.shared import ANYONE, MODEL, PRECISION, THEIRS, WEIGHTS
from bot.sync import submitting
from bot.texts.render import Safe

CHAT = Param("chat_template", "choice", "whether to use its chat template", choices=("yes", "no"), by_name=True)
BASE = Param("base_model", "model", "the model that a Delta or an Adapter is applied to", by_name=True)


def run_submit(call: Call) -> Answer:
    """Write the request file, once the model has passed every check."""
    wish = submitting.Wish(
        model=call.get("model"),
        revision=call.get("revision", "main"),
        precision=call.get("precision", "bfloat16"),
        weight_type=call.get("weight_type", "Original"),
        base_model=call.get("base_model"),
        use_chat_template=call.get("chat_template") == "yes",
        submitter=call.person.name,
    )
    return doing(lambda: _words(call, submitting.submit(call.desk, wish, cause=call.cause)))


def run_resubmit(call: Call) -> Answer:
    """Have it evaluated at another commit, once that has passed every check."""
    revision = call.get("revision", "main")
    return doing(
        lambda: _words(
            call,
            submitting.resubmit(
                call.desk, call.entry, revision=revision, submitter=call.person.name, cause=f"resubmit:{call.cause}"
            ),
        )
    )


def _words(call: Call, done: submitting.Submitted) -> Safe:
    address = call.desk.address(call.desk.requests, done.path) if done.path else ""
    return say("submit", done=done, address=address)


SUBMIT = Verb(
    name="submit",
    summary="submit a model; it is checked first",
    who=ANYONE,
    run=run_submit,
    params=(NAMED, AT, WEIGHT_TYPE, REVISION, BASE, CHAT),
    examples=("/submit org/model precision=bfloat16", "/submit org/adapter weight_type=Adapter base_model=org/model"),
    decides=True,
)
RESUBMIT = Verb(
    name="resubmit",
    summary="have a model evaluated at a newer commit; the old result stays until the new one is there",
    who=THEIRS,
    run=run_resubmit,
    params=(MODEL, PRECISION, WEIGHTS, REVISION),
    about="request",
    examples=("/resubmit", "/resubmit org/model revision=v2"),
    decides=True,
)
