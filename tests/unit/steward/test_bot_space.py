"""The pure rules of the bot's Space: which steps lead from what is there to what is wanted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.records import SpaceMachine
from steward.bot_space.deciding import decide_steps
from steward.bot_space.facts import SpaceFacts
from steward.bot_space.wanted import WantedSpace, expected_host, is_space_id

WANTED = WantedSpace("lab/bot", {"a": b"1"}, {"V": "1"}, {"S": "x"}, hardware="t4-small", storage="small", sleep=600)
THERE = SpaceFacts(
    "https://lab-bot.hf.space",
    exists=True,
    secrets=frozenset({"S"}),
    variables={"V": "1"},
    machine=SpaceMachine("RUNNING", "t4-small", "small", 600),
)


@pytest.mark.parametrize(
    ("there", "wanted", "steps"),
    [
        (THERE, WANTED, []),
        (SpaceFacts("x", stale=frozenset("a")), WANTED,
         ["create", "secret", "variable", "hardware", "storage", "files"]),
        (replace(THERE, variables={"V": "2"}), WANTED, ["variable"]),
        (replace(THERE, stale=frozenset("a")), replace(WANTED, new_secret=True), ["files", "secret"]),
        (THERE, replace(WANTED, sleep=900), ["hardware"]),
        (THERE, replace(WANTED, hardware="", storage="", sleep=None), []),
        (replace(THERE, machine=SpaceMachine("RUNNING", "", "", None)),
         replace(WANTED, hardware="cpu-basic", storage="", sleep=None), []),
    ],
)  # fmt: skip
def test_only_what_differs_is_a_step(there: SpaceFacts, wanted: WantedSpace, steps: list[str]) -> None:
    """New secrets come early; those that replace others, which cannot be undone, come last."""
    assert [step.kind for step in decide_steps(there, wanted)] == steps


def test_no_secret_is_shown_with_a_record() -> None:
    """Neither the wanted Space nor a step prints a value."""
    wanted = replace(WANTED, secrets={"S": "hf_hidden"})
    assert "hf_hidden" not in repr(wanted) + repr(decide_steps(SpaceFacts("x"), wanted))


@pytest.mark.parametrize(
    ("name", "host"), [("Lab/My_Bot.2", "https://lab-my-bot-2.hf.space"), ("a/b", "https://a-b.hf.space")]
)
def test_the_address_follows_from_the_name(name: str, host: str) -> None:
    """As the Hub derives it; a Space that exists says its own."""
    assert is_space_id(name) and expected_host(name) == host
    assert not any(map(is_space_id, ("bot", "a/b/c", "a/-b", "a/b--c", "a/b.git", "a b/c", "a/b.")))
