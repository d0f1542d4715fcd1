"""Which effects a board lets happen, as its file says it."""

from __future__ import annotations

import pytest

from leaderboard.boards import BadBoard, Board, parse_board
from leaderboard.effects import Effect, Effects, Mode

BOARD = """
name: demo
title: Demo
suite: starter
repos: {requests: o/requests, results: o/results, logs: o/logs, community: o/space, details_namespace: o-details}
"""

WORDS = [
    ("", Mode.SHADOW),
    ("effects: shadow", Mode.SHADOW),
    ("effects: on", Mode.ON),
    ('effects: "on"', Mode.ON),
    ("effects: off", Mode.OFF),
    ("effects: {}", Mode.SHADOW),
    ("effects: {others: on}", Mode.ON),
]


@pytest.mark.parametrize(("line", "mode"), WORDS)
def test_one_word_is_for_every_kind(line: str, mode: Mode) -> None:
    """A board that says nothing changes nothing on the Hub; YAML's own idea of `on` and `off` is understood."""
    board = parse_board(BOARD + line)
    assert {board.effects.mode(kind) for kind in Effect} == {mode}


def test_kinds_are_named_one_by_one_and_the_rest_follows() -> None:
    """What is named has its own mode, all others that of `others`."""
    effects = parse_board(BOARD + "effects: {edit: on, new-thread: off, others: on, merge: shadow}").effects
    expected = {Effect.NEW_THREAD: Mode.OFF, Effect.MERGE: Mode.SHADOW}
    assert {kind: effects.mode(kind) for kind in Effect} == {**dict.fromkeys(Effect, Mode.ON), **expected}


@pytest.mark.parametrize("kinds", [(one, two) for one in Mode for two in Mode])
def test_the_weakest_mode_decides(kinds: tuple[Mode, Mode]) -> None:
    """What is of two kinds is done only where both are on, and not even listed where one is off."""
    one, two = kinds
    effects = Effects(modes={**dict.fromkeys(Effect, Mode.ON), Effect.EDIT: one, Effect.RELAUNCH: two})
    mode = effects.mode(Effect.EDIT, Effect.RELAUNCH)
    assert mode is (Mode.OFF if Mode.OFF in kinds else Mode.SHADOW if Mode.SHADOW in kinds else Mode.ON)


WRONG = ["effects: maybe", "effects: 1", "effects:", "effects: [on]", "effects: {edti: on}", "effects: {edit: 3}"]


@pytest.mark.parametrize("line", WRONG)
def test_a_slip_in_the_board_file_is_refused(line: str) -> None:
    """A kind or word that is misspelt must not pass for shadow, nor for on."""
    with pytest.raises(BadBoard, match="effects"):
        parse_board(BOARD + line)


def test_a_board_survives_being_written_and_read() -> None:
    """Effects that travel as JSON mean the same afterwards."""
    board = parse_board(BOARD + "effects: {edit: on, others: off}")
    assert Board.model_validate_json(board.model_dump_json()) == board
