"""`/help`: what the bot understands, from the table of verbs itself."""

from __future__ import annotations

from bot.core.commands.call import Answer, Call, say
from bot.core.commands.registry import EVERYWHERE, Param, Registry, Verb
from leaderboard.roles import Role, who_may


def run(call: Call) -> Answer:
    """Every verb in a line, or one with all that there is to say about it."""
    from bot.threads.verbs import REGISTRY

    name = call.get("verb").removeprefix("/").lower()
    if not name:
        return Answer(say("help", verbs=_usable(REGISTRY, call), who_may=who_may, verb=None))
    verb = REGISTRY.find(name) or REGISTRY.nearest(name)
    return Answer(say("help", verbs=(), who_may=who_may, verb=verb, name=f"/{name}"))


def _usable(registry: Registry, call: Call) -> list[Verb]:
    return [verb for verb in registry.verbs if call.place in verb.where]


HELP = Verb(
    name="help",
    summary="what I understand, and who may use it",
    who=frozenset({Role.ANYONE}),
    run=run,
    params=(Param("verb", "word", "one command, to read all about it"),),
    where=EVERYWHERE,
    examples=("/help", "/help relaunch"),
)
