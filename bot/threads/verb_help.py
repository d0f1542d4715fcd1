"""The verb `/help`: the list of commands, generated from the registry."""

from __future__ import annotations

from collections.abc import Callable

from bot.core.commands.answers import say
from bot.core.commands.model import EVERYWHERE, Answer, Call, Param, Verb
from bot.core.commands.registry import Registry
from leaderboard.roles import Role, who_may


def help_verb(verbs: Callable[[], Registry]) -> Verb:
    """The verb `/help`. `verbs` returns the registry, which holds this verb too."""

    def run(call: Call) -> Answer:
        name = call.get("verb").removeprefix("/").lower()
        if not name:
            return Answer(say("help", verbs=_usable(verbs(), call), who_may=who_may, verb=None))
        verb = verbs().find(name) or verbs().nearest(name)
        return Answer(say("help", verbs=(), who_may=who_may, verb=verb, name=f"/{name}"))

    return Verb(
        name="help",
        summary="list the commands and who may use them",
        who=frozenset({Role.ANYONE}),
        run=run,
        params=(Param("verb", "word", "a command to explain in detail"),),
        where=EVERYWHERE,
        examples=("/help", "/help relaunch"),
    )


def _usable(registry: Registry, call: Call) -> list[Verb]:
    return [verb for verb in registry.verbs if call.place in verb.where]
