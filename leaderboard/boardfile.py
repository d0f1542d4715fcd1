"""Changing one thing in a board file: the text around it, its comments and its layout stay as they are."""

from __future__ import annotations

import yaml

from leaderboard.boards import BadBoard, parse_board
from leaderboard.effects import OTHERS, Effect, EffectMode, Effects

FIELD = "effects"


def set_effect(text: str, kind: Effect, mode: EffectMode) -> str:
    """The board file `text` with effects of `kind` in `mode`, and nothing else of the board changed.

    Raises BadBoard where `text` is no board file, or says its effects in a way that cannot be edited in place.
    """
    before = parse_board(text)
    if before.effects.mode(kind) is mode:
        return text
    after = _edited(text, kind, mode)
    wanted = before.model_copy(update={FIELD: Effects(modes={**before.effects.modes, kind: mode})})
    try:
        found = parse_board(after)
    except BadBoard:
        found = None
    if found != wanted:
        raise BadBoard(f"its effects cannot be changed in place; write `{FIELD}: {{{kind}: {mode}, …}}` yourself.")
    return after


def _edited(text: str, kind: Effect, mode: EffectMode) -> str:
    board = yaml.compose(text)
    assert isinstance(board, yaml.MappingNode)
    effects = _value(board, FIELD)
    if effects is None:
        return _added(text, board, f"{FIELD}: {{{kind}: {mode}}}")
    if isinstance(effects, yaml.MappingNode):
        known = _value(effects, kind)
        return _added(text, effects, f"{kind}: {mode}") if known is None else _replaced(text, known, mode)
    return _replaced(text, effects, f"{{{kind}: {mode}, {OTHERS}: {_word(effects)}}}")


def _value(mapping: yaml.MappingNode, name: str) -> yaml.Node | None:
    return next((value for key, value in mapping.value if key.value == name), None)


def _word(node: yaml.Node) -> EffectMode:
    """What one word for all kinds stands for: YAML reads a bare `on` and `off` as true and false."""
    said = yaml.safe_load(yaml.serialize(node))
    return EffectMode({True: "on", False: "off"}[said] if isinstance(said, bool) else said)


def _replaced(text: str, node: yaml.Node, words: str) -> str:
    return text[: node.start_mark.index] + words + text[node.end_mark.index :]


def _added(text: str, mapping: yaml.MappingNode, line: str) -> str:
    """`line` as the first entry of `mapping`, where its indentation is known; in a board file itself, as the last."""
    at = mapping.start_mark.index
    if mapping.flow_style:
        rest = text[at + 1 :]
        return text[: at + 1] + line + (f", {rest}" if mapping.value else rest.lstrip())
    if column := mapping.start_mark.column:
        return text[:at] + f"{line}\n{' ' * column}" + text[at:]
    return text.rstrip("\n") + f"\n{line}\n"
