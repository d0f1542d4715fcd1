"""Verbs that are counted, that die, and during which something else happens; and what a thread came to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.registry import Registry
from bot.core.context import thread_key
from bot.core.render import Safe
from bot.threads.verbs import REGISTRY
from hub.errors import Conflict
from leaderboard.roles import Role
from localhub.accounts.store import Caller
from tests.support.board.board_driver import REQUESTS, BoardDriver
from tests.support.board.discussion import Discussion


class Bell:
    """A verb that is counted, and during which something else happens."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.meanwhile: Callable[[], Any] = lambda: None

    def run(self, call: Call) -> Answer:
        """Ring once for each command."""
        return Answer(Safe("Ringing."), act=lambda: self.ring(call.cause))

    def ring(self, cause: str) -> Answer:
        """The effect, and then what happens meanwhile."""
        if cause not in self.rung:
            self.rung.append(cause)
        self.meanwhile()
        return Answer(Safe("Rung."))


def hang_up(monkeypatch: pytest.MonkeyPatch) -> Bell:
    """`/bell`, for anybody, which decides; `/toll` dies of a mistake of ours, `/knell` of the Hub's refusal."""
    bell = Bell()
    verb = Verb("bell", "ring", frozenset({Role.ANYONE}), bell.run, decides=True)

    def toll(call: Call) -> Answer:
        raise ZeroDivisionError

    def knell(call: Call) -> Answer:
        raise Conflict("The repo is @maya's <b>no more</b>.")

    extra = (verb, replace(verb, name="toll", run=toll), replace(verb, name="knell", run=knell))
    monkeypatch.setattr("bot.threads.threads.REGISTRY", Registry((*REGISTRY.verbs, *extra)))
    return bell


def hub_thread(stand: BoardDriver, talk: Discussion) -> tuple[Any, Any]:
    """The discussion inside the Hub."""
    repo = stand.hub.state.repos.get("dataset", REQUESTS)
    return repo, stand.hub.state.threads.get(repo, talk.number)


def owner(stand: BoardDriver) -> Caller:
    """Somebody of the board, who may do anything to its threads."""
    return Caller(stand.hub.state.accounts.by_name("form"), None)


def is_at_rest(stand: BoardDriver, talk: Discussion) -> bool:
    """Whether nothing is left to do in the thread: not dirty, and not parked."""
    key = thread_key(stand.context.requests, talk.number)
    waits = stand.context.redis.zscore(stand.context.keys.dirty, key) is not None
    return not waits and key not in {one.key for one in stand.context.parking.all()}


def decisions(stand: BoardDriver) -> list[str]:
    """The recorded decisions."""
    return [one.path for one in stand.context.hub.list_files(stand.context.logs) if one.path.startswith("decisions/")]


def settle(stand: BoardDriver) -> None:
    """Let the ledger write."""
    stand.time += 300
    stand.work()
