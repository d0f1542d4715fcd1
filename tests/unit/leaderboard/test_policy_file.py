"""The section `admission` of a board file, as people write it."""

from __future__ import annotations

import pytest

from leaderboard.boards import BadBoard, parse_board

BOARD = """
name: demo
title: Demo
suite: starter
repos: {requests: o/requests, results: o/results, logs: o/logs, community: o/space, details_namespace: o-details}
"""


@pytest.mark.parametrize("name", ["off", "'off'", "false"])
def test_rules_are_switched_off_without_quotes(name: str) -> None:
    """The word `off` is a boolean to YAML, and the name of a field to people."""
    policy = parse_board(f"{BOARD}admission: {{{name}: [licence], quota: 3}}\n").admission
    assert not policy.holds("licence")
    assert policy.holds("model-card")
    assert policy.quota == 3


def test_what_is_no_rule_is_told() -> None:
    """A rule that does not exist, or cannot be switched off, is a mistake with a name."""
    with pytest.raises(BadBoard, match=r"admission\.off"):
        parse_board(f"{BOARD}admission: {{off: [safetensors]}}\n")
    with pytest.raises(BadBoard, match="admission"):
        parse_board(f"{BOARD}admission: [licence]\n")
