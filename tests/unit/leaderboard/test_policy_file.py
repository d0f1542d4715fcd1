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
    """A board file switches rules off with the key `off`, quoted or not, although YAML reads it as a boolean."""
    policy = parse_board(f"{BOARD}admission: {{{name}: [licence], quota: 3}}\n").admission
    assert not policy.holds("licence")
    assert policy.holds("model-card")
    assert policy.quota == 3


def test_precisions_of_a_board_file_are_read_in_any_spelling() -> None:
    """The bot reads the names of precisions in a board file in any spelling and stores the standard names."""
    limits = "max_billions: {Float16: 3, gptq-4bit: 7, 8-bit: 5}, quantizations: {gptq: [gptq]}"
    board = parse_board(f"{BOARD}precisions: [fp16, gptq]\nadmission: {{{limits}}}\n")
    assert board.precisions == ("float16", "GPTQ")
    assert board.admission.max_billions == {"float16": 3, "GPTQ-4bit": 7, "8bit": 5}
    assert board.admission.quantizations == {"gptq": ("GPTQ",)}


def test_what_is_no_rule_is_told() -> None:
    """Switching off a fixed rule, or a list in place of the section, raises an error that names the field."""
    with pytest.raises(BadBoard, match=r"admission\.off"):
        parse_board(f"{BOARD}admission: {{off: [safetensors]}}\n")
    with pytest.raises(BadBoard, match="admission"):
        parse_board(f"{BOARD}admission: [licence]\n")
