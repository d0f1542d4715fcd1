"""Changes of single values in a YAML text that people write: comments, order and layout stay as they are."""

from __future__ import annotations

import yaml


def value_of(mapping: yaml.MappingNode, name: str) -> yaml.Node | None:
    """Return the value of the key `name`; None if `mapping` has no such key."""
    return next((value for key, value in mapping.value if key.value == name), None)


def replaced(text: str, node: yaml.Node, words: str) -> str:
    """Return `text` with `words` in the place of `node`."""
    return text[: node.start_mark.index] + words + text[node.end_mark.index :]


def added(text: str, mapping: yaml.MappingNode, line: str) -> str:
    """Insert `line` as the first entry of a nested `mapping`, and as the last entry of the file itself."""
    at = mapping.start_mark.index
    if mapping.flow_style:
        rest = text[at + 1 :]
        return text[: at + 1] + line + (f", {rest}" if mapping.value else rest.lstrip())
    if column := mapping.start_mark.column:
        return text[:at] + f"{line}\n{' ' * column}" + text[at:]
    return text.rstrip("\n") + f"\n{line}\n"
