"""`/reproduce`: show the command line that repeats an evaluation."""

from __future__ import annotations

from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import ANYONE, MODEL, PRECISION, WEIGHTS
from bot.core.context import BoardContext
from bot.core.render import Safe
from bot.results.reproduction import reproduction_of
from redis_state.board.entry import IndexEntry


def run(call: Call) -> Answer:
    """Answer with the command line, and with what it does not repeat. One call, for the results file."""
    return Answer(reproduction_text(call.context, call.entry))


def reproduction_text(context: BoardContext, entry: IndexEntry) -> Safe:
    """The command line for the evaluation of a request, or why there is none, as Markdown."""
    return say("reproduce", model=entry.model, found=reproduction_of(context, entry))


REPRODUCE = Verb(
    name="reproduce",
    summary="show the command line with which anybody can repeat an evaluation",
    who=ANYONE,
    run=run,
    params=(MODEL, PRECISION, WEIGHTS),
    about="request",
    examples=("/reproduce", "/reproduce org/model", "/reproduce org/model precision=bfloat16"),
)
