"""Effects: the kinds of changes to the Hub that a board file turns on or off, or has listed only (shadow mode)."""

from __future__ import annotations

import pytest

from leaderboard.boards import BadBoard, Board, parse_board
from leaderboard.effects import Effect, EffectMode, Effects

BOARD = """
name: demo
title: Demo
suite: starter
repos: {requests: o/requests, results: o/results, logs: o/logs, community: o/space, details_namespace: o-details}
"""

WORDS = [
    ("", EffectMode.SHADOW),
    ("effects: shadow", EffectMode.SHADOW),
    ("effects: on", EffectMode.ON),
    ('effects: "on"', EffectMode.ON),
    ("effects: off", EffectMode.OFF),
    ("effects: {}", EffectMode.SHADOW),
    ("effects: {others: on}", EffectMode.ON),
]


@pytest.mark.parametrize(("line", "mode"), WORDS)
def test_a_single_mode_applies_to_every_kind_but_model_pr(line: str, mode: EffectMode) -> None:
    """A single mode applies to all kinds of effects except `model-pr`, which stays off; the default is `shadow`."""
    board = parse_board(BOARD + line)
    assert {board.effects.mode(kind) for kind in Effect if kind is not Effect.MODEL_PR} == {mode}
    assert board.effects.mode(Effect.MODEL_PR) is EffectMode.OFF


def test_kinds_are_named_one_by_one_and_the_rest_follows() -> None:
    """A named kind has its own mode; all other kinds have that of `others`."""
    effects = parse_board(BOARD + "effects: {edit: on, new-thread: off, others: on, merge: shadow}").effects
    expected = {Effect.NEW_THREAD: EffectMode.OFF, Effect.MODEL_PR: EffectMode.OFF, Effect.MERGE: EffectMode.SHADOW}
    assert {kind: effects.mode(kind) for kind in Effect} == {**dict.fromkeys(Effect, EffectMode.ON), **expected}


@pytest.mark.parametrize("kinds", [(first, second) for first in EffectMode for second in EffectMode])
def test_the_weakest_mode_decides(kinds: tuple[EffectMode, EffectMode]) -> None:
    """An effect of two kinds is off if either kind is off, else in shadow mode if either is, and else on."""
    first, second = kinds
    effects = Effects(modes={**dict.fromkeys(Effect, EffectMode.ON), Effect.EDIT: first, Effect.RELAUNCH: second})
    mode = effects.mode(Effect.EDIT, Effect.RELAUNCH)
    assert mode is (
        EffectMode.OFF
        if EffectMode.OFF in kinds
        else EffectMode.SHADOW
        if EffectMode.SHADOW in kinds
        else EffectMode.ON
    )


WRONG = ["effects: maybe", "effects: 1", "effects:", "effects: [on]", "effects: {edti: on}", "effects: {edit: 3}"]


@pytest.mark.parametrize("line", WRONG)
def test_a_slip_in_the_board_file_is_refused(line: str) -> None:
    """A misspelt kind or an invalid mode of effects raises an error instead of being ignored."""
    with pytest.raises(BadBoard, match="effects"):
        parse_board(BOARD + line)


def test_a_board_survives_being_written_and_read() -> None:
    """A board with effects is the same after it was written as JSON and read again."""
    board = parse_board(BOARD + "effects: {edit: on, others: off}")
    assert Board.model_validate_json(board.model_dump_json()) == board
