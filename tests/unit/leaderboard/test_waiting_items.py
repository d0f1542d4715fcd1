"""The list of what waits for a maintainer: the commands for each item, the order and the limits of the list."""

from __future__ import annotations

import pytest

from leaderboard.triage import Topic
from leaderboard.waiting_items import (
    MAX_LISTED,
    MAX_OF_AUTHOR,
    PARKED,
    PLAN,
    PULL,
    WaitingItem,
    listed_items,
    parked_item,
    paused_item,
    refused_item,
    set_aside_item,
    thread_actions,
    token_item,
)

SHA = "0123456789abcdef"


@pytest.mark.parametrize(
    ("topic", "sha", "commands"),
    [
        (PULL, SHA, ["/approve 01234567", "/reject reason"]),
        (PULL, "", ["/reject reason"]),
        (PLAN, SHA[:8], ["/approve 01234567", "/reject reason"]),
        (Topic.RENAME, SHA, ["/approve 01234567", "/rename org/old org/new"]),
        (Topic.RENAME, "", ["/rename org/old org/new"]),
        (Topic.FLAG, "", ["/flag category org/model reason", "/dismiss reason"]),
        (Topic.APPEAL, "", ["/unflag reason", "/dismiss reason"]),
        (Topic.FAILURE, "", ["/relaunch org/model"]),
        (Topic.REMOVAL, "", ["/remove org/model reason"]),
        (Topic.QUESTION, "", []),
        (Topic.OTHER, SHA, []),
        ("a topic of another version", SHA, []),
    ],
)
def test_each_topic_has_the_commands_that_settle_it(topic: str, sha: str, commands: list[str]) -> None:
    """A command that needs a checked commit is offered only where there is one."""
    actions = thread_actions(topic, sha)
    assert ([action.text for action in actions], {action.where for action in actions} - {"thread"}) == (commands, set())


def test_items_without_a_thread_name_a_command_too() -> None:
    """Parked syncs, workers that take no job and refused tokens are settled in a shell, paused suites in a thread."""
    workers = [refused_item("w", since=2), set_aside_item("v", since=2), token_item("SETTING", since=2)]
    items = [parked_item(title="request", since=1), *workers, paused_item("starter", since=3)]
    actions = [(action.text, action.where) for item in items for action in item.actions]
    assert actions == [
        ("steward parked list", "shell"),
        ("steward tasks", "shell"),
        ("steward doctor", "shell"),
        ("steward doctor", "shell"),
        ("/resume suite:starter", "thread"),
    ]


def test_the_oldest_comes_first_whatever_it_is() -> None:
    """Items of all kinds are in one order, which does not depend on the order in which they are given."""
    items = [
        WaitingItem(PULL, "b", 5.0, author="ada"),
        parked_item(title="thread", since=3.0),
        WaitingItem(PULL, "a", 5.0, author="bob"),
        paused_item("starter", since=4.0),
    ]
    ordered = (["thread", "starter", "a", "b"], 0)
    for order in (items, items[::-1]):
        listed, more = listed_items(order)
        assert ([item.title for item in listed], more) == ordered


def test_one_account_or_one_fault_cannot_fill_the_list() -> None:
    """Of one author, and of the parked syncs, only the oldest are shown; the list says how many it leaves out."""
    many = [WaitingItem(Topic.OTHER, f"t{n}", float(n), author="mallory") for n in range(50)]
    parked = [parked_item(title=f"s{n}", since=float(n)) for n in range(50)]
    late = WaitingItem(PULL, "late", 99.0, author="ada")
    listed, more = listed_items([*many, *parked, late])
    assert [item.topic for item in listed].count(PARKED) == MAX_OF_AUTHOR
    assert (len(listed), more, listed[-1]) == (2 * MAX_OF_AUTHOR + 1, 2 * (50 - MAX_OF_AUTHOR), late)


def test_the_list_is_bounded() -> None:
    """Of very many items the oldest are shown."""
    items = [WaitingItem(Topic.OTHER, str(n), float(n), author=f"a{n}") for n in range(MAX_LISTED + 7)]
    listed, more = listed_items(items)
    assert (len(listed), more, listed[0].title) == (MAX_LISTED, 7, "0")
