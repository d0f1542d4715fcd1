"""Facts from the model card: its metadata as the Hub parses them, and the start of its text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bot.model_facts.repo import ModelRepo
from hub.records import ModelInfo
from leaderboard.admission.facts import ModelCard
from leaderboard.categories import MERGE_TAGS
from leaderboard.jsontext import storable

README = "README.md"
MAX_TEXT = 200_000
"""Bytes of the card that are read."""
MERGEKIT = (
    "mergekit_config.yml",
    "mergekit_config.yaml",
    "mergekit_moe_config.yml",
    "mergekit_moe_config.yaml",
    "mergekit-config.yml",
)
_METADATA = re.compile(r"\A\ufeff?---[ \t]*\r?\n.*?^---[ \t]*(\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_MERGED = re.compile(
    r"\bmerge_method\s*:"
    r"|\bis a (?:\w+ ){0,3}merge of\b"
    r"|\b(?:merged|created|made) (?:using|with) \[?(?:lazy)?mergekit\b",
    re.IGNORECASE,
)
_MAX_VALUES = 50
_MAX_VALUE_LENGTH = 200


def gather_card(repo: ModelRepo, info: ModelInfo) -> ModelCard:
    """The card of the model with the Hub's `info`: one call, none where there is no card."""
    text = repo.start(README, MAX_TEXT).decode("utf-8", "replace") if repo.has(README) else ""
    tags = _texts(info.tags) + tuple(tag for tag in _texts(info.card.get("tags")) if tag not in info.tags)
    traces = _merge_traces(repo, tags, text)
    return ModelCard(
        exists=repo.has(README),
        length=text_length(text),
        license=_license(info.card),
        license_name=_text(info.card.get("license_name")),
        license_link=_text(info.card.get("license_link")),
        base_models=_texts(info.card.get("base_model")),
        relation=_text(info.card.get("base_model_relation")),
        tags=tags,
        is_merge=bool(traces) or info.card.get("base_model_relation") == "merge",
        merge_traces=traces,
    )


def text_length(text: str) -> int:
    """The number of characters of a card's text, without its metadata and without surrounding blanks."""
    return len(_METADATA.sub("", text, count=1).strip())


def _license(card: Mapping[str, Any]) -> str | None:
    return ", ".join(_texts(card.get("license"))) or None


def _merge_traces(repo: ModelRepo, tags: tuple[str, ...], text: str) -> tuple[str, ...]:
    """The places that say that the model is a merge, worded for a sentence."""
    lower_tags = {tag.lower() for tag in tags}
    in_tags = [f"the tag {tag}" for tag in MERGE_TAGS if tag in lower_tags]
    in_text = ["the text of the model card"] if _MERGED.search(text) else []
    return (*in_tags, *repo.among(MERGEKIT), *in_text)


def _texts(value: Any) -> tuple[str, ...]:
    """The texts in an untrusted value, which should be a text or a list of texts."""
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(text for item in items[:_MAX_VALUES] if (text := _text(item)))


def _text(value: Any) -> str | None:
    return storable(value.strip()[:_MAX_VALUE_LENGTH]) or None if isinstance(value, str) else None
