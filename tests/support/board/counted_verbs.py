"""Test verbs that count their effects, fail, or run other code meanwhile; and the end state of a thread."""

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
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.discussion import Discussion


class CountedVerb:
    """A verb that records each command whose effect it applies, and calls `meanwhile` within the effect."""

    def __init__(self) -> None:
        self.causes: list[str] = []
        self.meanwhile: Callable[[], Any] = lambda: None

    def run(self, call: Call) -> Answer:
        """Answer, and schedule the effect."""
        return Answer(Safe("Ringing."), act=lambda: self.act(call.cause))

    def act(self, cause: str) -> Answer:
        """Record the command once, and call `meanwhile`."""
        if cause not in self.causes:
            self.causes.append(cause)
        self.meanwhile()
        return Answer(Safe("Rung."))


def add_test_verbs(monkeypatch: pytest.MonkeyPatch) -> CountedVerb:
    """Register `/bell`, `/crash` (raises ZeroDivisionError) and `/conflict` (raises Conflict), as decisions."""
    bell = CountedVerb()
    verb = Verb("bell", "ring", frozenset({Role.ANYONE}), bell.run, decides=True)

    def crash(call: Call) -> Answer:
        raise ZeroDivisionError

    def conflict(call: Call) -> Answer:
        raise Conflict("The repo is @maya's <b>no more</b>.")

    extra = (verb, replace(verb, name="crash", run=crash), replace(verb, name="conflict", run=conflict))
    monkeypatch.setattr("bot.threads.threads.REGISTRY", Registry((*REGISTRY.verbs, *extra)))
    return bell


def hub_thread(stand: BoardDriver, talk: Discussion) -> tuple[Any, Any]:
    """Return the repo and the thread as localhub stores them."""
    repo = stand.hub.state.repos.get("dataset", REQUESTS)
    return repo, stand.hub.state.threads.get(repo, talk.number)


def owner(stand: BoardDriver) -> Caller:
    """Return the account `form`, which may change any thread of the board."""
    return Caller(stand.hub.state.accounts.by_name("form"), None)


def is_at_rest(stand: BoardDriver, talk: Discussion) -> bool:
    """Whether the thread is neither dirty nor parked."""
    key = thread_key(stand.context.requests, talk.number)
    waits = stand.context.redis.zscore(stand.context.keys.dirty, key) is not None
    return not waits and key not in {parked.key for parked in stand.context.parking.all()}


def decisions(stand: BoardDriver) -> list[str]:
    """Return the paths of the recorded decisions."""
    return [
        file.path for file in stand.context.hub.list_files(stand.context.logs) if file.path.startswith("decisions/")
    ]


def settle(stand: BoardDriver) -> None:
    """Advance the clock and sync, so that the ledger commits."""
    stand.time += 300
    stand.work()
