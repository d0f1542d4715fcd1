"""The list of items that wait for a maintainer, the longest waiting first, with the commands that settle each.

Items are threads, syncs that are not retried, workers that take no job, refused tokens, and paused suites.
The list is public, so an item about a private model has no name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from leaderboard.backend_troubles import BackendTrouble
from leaderboard.triage import Topic

MAX_LISTED = 100
MAX_OF_AUTHOR = 10
"""Items of one author on the list, or of one topic if they have no author, so that no account and no fault fills it."""
PLAN, PULL = "plan to approve", "pull request"
"""Topics of waiting threads beside those of triage."""
PARKED, REFUSED, PAUSED = "parked sync", "worker that takes no job", "paused suite"
SET_ASIDE, BACKEND, TOKEN = "worker that is set aside", "worker backend", "refused token"
"""Topics of items that are no threads."""


@dataclass(frozen=True)
class WaitingAction:
    """One thing that a maintainer can write to settle an item: a command in a thread, or in a shell."""

    text: str
    where: Literal["thread", "shell"] = "thread"


@dataclass(frozen=True)
class WaitingItem:
    """An item that waits for a maintainer since the time `since`, in seconds; without `actions` it needs an answer.

    `url` and `place` lead to it, if it has a public page.
    """

    topic: str
    title: str
    since: float
    actions: tuple[WaitingAction, ...] = ()
    url: str = ""
    place: str = ""
    author: str = ""


_OF_TOPIC: Mapping[str, tuple[str, ...]] = {
    PLAN: ("/approve {sha}", "/reject reason"),
    PULL: ("/approve {sha}", "/reject reason"),
    Topic.RENAME: ("/approve {sha}", "/rename org/old org/new"),
    Topic.FLAG: ("/flag category org/model reason", "/dismiss reason"),
    Topic.APPEAL: ("/unflag reason", "/dismiss reason"),
    Topic.FAILURE: ("/relaunch org/model",),
    Topic.REMOVAL: ("/remove org/model reason",),
}
"""Topic of a thread → the commands that may settle it. An action with `{sha}` needs a checked commit or plan."""


def thread_actions(topic: str, sha: str) -> tuple[WaitingAction, ...]:
    """Return the commands that may settle a thread of `topic`, whose checked commit or plan is `sha` ("": none)."""
    commands = _OF_TOPIC.get(topic, ())
    return tuple(WaitingAction(command.format(sha=sha[:8])) for command in commands if sha or "{sha}" not in command)


def parked_item(*, title: str, since: float, url: str = "") -> WaitingItem:
    """Return the item of a sync that failed too often and is not retried."""
    return WaitingItem(PARKED, title, since, (WaitingAction("steward parked list", "shell"),), url)


def refused_item(worker: str, *, since: float) -> WaitingItem:
    """Return the item of a worker whose tasks differ from those of the board's results."""
    return WaitingItem(REFUSED, worker, since, (WaitingAction("steward tasks", "shell"),))


def set_aside_item(worker: str, *, since: float) -> WaitingItem:
    """Return the item of a worker whose results did not follow from its samples."""
    return WaitingItem(SET_ASIDE, worker, since, (WaitingAction("steward doctor", "shell"),))


def backend_item(trouble: BackendTrouble) -> WaitingItem:
    """Return the item of a worker backend that starts no runs, or whose runs end too early."""
    return WaitingItem(BACKEND, trouble.title, trouble.since, (WaitingAction("steward doctor", "shell"),))


def token_item(setting: str, *, since: float) -> WaitingItem:
    """Return the item of a token that the Hub does not accept; `setting` is the name of the token's setting."""
    return WaitingItem(TOKEN, setting, since, (WaitingAction("steward doctor", "shell"),))


def paused_item(suite: str, *, since: float) -> WaitingItem:
    """Return the item of a suite that the bot paused because one cause failed many models."""
    return WaitingItem(PAUSED, suite, since, (WaitingAction(f"/resume suite:{suite}"),))


def listed_items(items: Iterable[WaitingItem]) -> tuple[list[WaitingItem], int]:
    """Return the items that the list shows, the longest waiting first, and the number of those that it leaves out."""
    ordered = sorted(items, key=lambda item: (item.since, item.topic, item.title, item.url))
    counts = Counter[str]()
    listed: list[WaitingItem] = []
    for item in ordered:
        source = item.author or item.topic
        counts[source] += 1
        if counts[source] <= MAX_OF_AUTHOR:
            listed.append(item)
    shown = listed[:MAX_LISTED]
    return shown, len(ordered) - len(shown)
