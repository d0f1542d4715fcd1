"""The page of commands follows the registry."""

from __future__ import annotations

from pathlib import Path

from markdown_it import MarkdownIt

from bot.threads.docs import page
from bot.threads.verbs import REGISTRY


def test_the_page_is_what_the_registry_says(project: Path) -> None:
    """docs/commands.md is what `python -m bot.threads.docs docs/commands.md` writes."""
    assert (project / "docs" / "commands.md").read_text("utf-8") == page(REGISTRY)


def test_every_verb_has_its_place_its_words_and_its_examples() -> None:
    """Each stands in the table and has a chapter; a table's rows have three cells whatever the words."""
    text = page(REGISTRY)
    rows = [token for token in MarkdownIt().enable("table").parse(text) if token.type == "td_open"]
    assert len(rows) == 3 * len(REGISTRY.verbs)
    for verb in REGISTRY.verbs:
        assert f"\n## {verb.name}\n\n`{verb.usage}`\n" in text
        assert all(example in text for example in verb.examples)
        assert verb.examples
