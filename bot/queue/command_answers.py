"""Answers to commands that decide about the queue: `/cancel`, `/hold`, `/pause`, `/priority`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.core.commands.answers import acting
from bot.core.commands.model import Answer, Call
from bot.core.render import Safe
from bot.read_models.queue_texts import Code, QueueCommandResult

DONE: Mapping[Code, Code] = {
    "cancelled-already": "cancelled",
    "held-already": "held",
    "not-held": "unheld",
    "priority-already": "priority",
    "paused-already": "paused",
    "not-paused": "resumed",
}
"""Code of a result that changed nothing → code of the result that made the change."""


def queue_ruling(call: Call, rule: Callable[[], QueueCommandResult]) -> Answer:
    """Answer a command that decides about the queue. A change made before the bot died and restarted counts as done."""

    def act() -> Safe:
        ruling = rule()
        done = DONE.get(ruling.code) if call.resumed else None
        if done is not None:
            ruling = QueueCommandResult(done, True, ruling.what, ruling.reason)
        return Safe(ruling.words)

    return acting(act)
