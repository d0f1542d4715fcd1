"""Edits one field of a board file in place: the text around it, its comments and its layout stay unchanged."""

from __future__ import annotations

import yaml

from leaderboard.boards import BadBoard, parse_board
from leaderboard.effects import OTHERS, Effect, EffectMode

FIELD = "effects"


def set_effect(text: str, kind: Effect, mode: EffectMode) -> str:
    """Return the board file `text` with effects of `kind` in `mode` and nothing else changed.

    Raises BadBoard if `text` is no board file, or its effects cannot be edited in place.
    """
    before = parse_board(text)
    if before.effects.mode(kind) is mode:
        return text
    after = _edited(text, kind, mode)
    try:
        edited = parse_board(after)
    except BadBoard:
        edited = None
    if edited != before.with_effect(kind, mode):
        raise BadBoard(f"the effects cannot be edited in place; write `{FIELD}: {{{kind}: {mode}, …}}` by hand.")
    return after


def _edited(text: str, kind: Effect, mode: EffectMode) -> str:
    board = yaml.compose(text)
    assert isinstance(board, yaml.MappingNode)
    effects = _value(board, FIELD)
    if effects is None:
        return _added(text, board, f"{FIELD}: {{{kind}: {mode}}}")
    if isinstance(effects, yaml.MappingNode):
        current = _value(effects, kind)
        return _added(text, effects, f"{kind}: {mode}") if current is None else _replaced(text, current, mode)
    return _replaced(text, effects, f"{{{kind}: {mode}, {OTHERS}: {_word(effects)}}}")


def _value(mapping: yaml.MappingNode, name: str) -> yaml.Node | None:
    return next((value for key, value in mapping.value if key.value == name), None)


def _word(node: yaml.Node) -> EffectMode:
    """Return the mode that one word sets for all kinds; YAML reads a bare `on` and `off` as true and false."""
    word = yaml.safe_load(yaml.serialize(node))
    return EffectMode({True: "on", False: "off"}[word] if isinstance(word, bool) else word)


def _replaced(text: str, node: yaml.Node, words: str) -> str:
    return text[: node.start_mark.index] + words + text[node.end_mark.index :]


def _added(text: str, mapping: yaml.MappingNode, line: str) -> str:
    """Insert `line` as the first entry of a nested `mapping`, and as the last entry of the board file itself."""
    at = mapping.start_mark.index
    if mapping.flow_style:
        rest = text[at + 1 :]
        return text[: at + 1] + line + (f", {rest}" if mapping.value else rest.lstrip())
    if column := mapping.start_mark.column:
        return text[:at] + f"{line}\n{' ' * column}" + text[at:]
    return text.rstrip("\n") + f"\n{line}\n"
