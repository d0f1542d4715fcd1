"""`/status`: where a request stands."""

from __future__ import annotations

from bot.commands.call import Answer, Call, say
from bot.commands.registry import Param, Verb
from leaderboard.roles import Role

MODEL = Param("model", "model", "a model's id on the Hub, org/name")
PRECISION = Param("precision", "word", "which of the model's requests, such as bfloat16", by_name=True)


def run(call: Call) -> Answer:
    """Every request that is meant, with its state."""
    return Answer(say("status", model=call.get("model"), entries=call.entries))


STATUS = Verb(
    name="status",
    summary="where a model's requests stand",
    who=frozenset({Role.ANYONE}),
    run=run,
    params=(MODEL, PRECISION),
    about="model",
    examples=("/status", "/status org/model", "/status org/model precision=bfloat16"),
)
