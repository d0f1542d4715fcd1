"""The model card: its metadata as the Hub reads them, and the start of its text, which is all that anybody asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bot.model_facts.repo import ModelRepo
from hub.records import ModelInfo as Found
from leaderboard.admission.facts import ModelCard
from leaderboard.categories import MERGE_TAGS

README = "README.md"
MAX_TEXT = 200_000
"""Bytes of it that are read."""
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
_MOST = 50
_LONGEST = 200


def gather_card(repo: ModelRepo, found: Found) -> ModelCard:
    """The card of the model that the Hub knows as `found`: one call, none where there is no card."""
    text = repo.start(README, MAX_TEXT).decode("utf-8", "replace") if repo.has(README) else ""
    tags = _words(found.tags) + tuple(tag for tag in _words(found.card.get("tags")) if tag not in found.tags)
    traces = _traces(repo, tags, text)
    return ModelCard(
        exists=repo.has(README),
        length=text_length(text),
        license=_license(found.card),
        license_name=_word(found.card.get("license_name")),
        license_link=_word(found.card.get("license_link")),
        base_models=_words(found.card.get("base_model")),
        relation=_word(found.card.get("base_model_relation")),
        tags=tags,
        is_merge=bool(traces) or found.card.get("base_model_relation") == "merge",
        merge_traces=traces,
    )


def text_length(text: str) -> int:
    """Characters of a card's text, without the metadata at its top and without blanks at its ends."""
    return len(_METADATA.sub("", text, count=1).strip())


def _license(card: Mapping[str, Any]) -> str | None:
    return ", ".join(_words(card.get("license"))) or None


def _traces(repo: ModelRepo, tags: tuple[str, ...], text: str) -> tuple[str, ...]:
    """What says that the model is merged from others, in words fit for a sentence."""
    tagged = [f"the tag {tag}" for tag in MERGE_TAGS if tag in {one.lower() for one in tags}]
    told = ["the text of the model card"] if _MERGED.search(text) else []
    return (*tagged, *repo.among(MERGEKIT), *told)


def _words(said: Any) -> tuple[str, ...]:
    """The texts in `said`, which should be one or a list of them, and is a stranger's."""
    several = said if isinstance(said, list | tuple) else [said]
    return tuple(word for one in several[:_MOST] if (word := _word(one)))


def _word(said: Any) -> str | None:
    return said.strip()[:_LONGEST] or None if isinstance(said, str) else None
