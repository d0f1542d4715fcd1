"""docs/commands.md matches the registry of commands."""

from __future__ import annotations

from pathlib import Path

from markdown_it import MarkdownIt

from bot.threads.docs import page
from bot.threads.verbs import REGISTRY


def test_the_page_is_what_the_registry_says(project: Path) -> None:
    """docs/commands.md equals the output of `python -m bot.threads.docs docs/commands.md`."""
    assert (project / "docs" / "commands.md").read_text("utf-8") == page(REGISTRY)


def test_every_verb_has_its_place_its_words_and_its_examples() -> None:
    """Every verb has a row of three cells in the table, and a chapter with its usage and examples."""
    text = page(REGISTRY)
    rows = [token for token in MarkdownIt().enable("table").parse(text) if token.type == "td_open"]
    assert len(rows) == 3 * len(REGISTRY.verbs)
    for verb in REGISTRY.verbs:
        assert f"\n## {verb.name}\n\n`{verb.usage}`\n" in text
        assert all(example in text for example in verb.examples)
        assert verb.examples
