"""Code examples in the documents that are not commands of a shell."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import ChoiceLoader, DictLoader
from markdown_it import MarkdownIt

from bot.core.commands.grammar import commands_in
from bot.core.commands.registry import BadArguments, Registry, bind
from bot.core.render import ENVIRONMENT
from bot.threads.docs import page
from bot.threads.verbs import REGISTRY


def examples(project: Path, name: str, language: str) -> list[str]:
    """The blocks of a page in one language."""
    tokens = MarkdownIt("commonmark").parse((project / "docs" / name).read_text("utf-8"))
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


def test_the_verb_in_the_how_to_works(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example verb can be registered and has a page, its examples are parsed, and it renders its template."""
    (code,), (words,) = (examples(project, "writing-a-command.md", language) for language in ("python", "jinja"))
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  # the document's own code
    verb = names["AGE"]
    registry = Registry((*REGISTRY.verbs, verb))
    assert f"\n## {verb.name}\n" in page(registry)
    for example in verb.examples:
        (command,) = commands_in(example)
        assert registry.find(command.verb) is verb
        assert not isinstance(bind(verb, command), BadArguments)
    loaders = ChoiceLoader([DictLoader({"commands/age.md.j2": words}), ENVIRONMENT.loader])  # type: ignore[list-item]
    monkeypatch.setattr(ENVIRONMENT, "loader", loaders)
    call = SimpleNamespace(
        context=SimpleNamespace(now=lambda: 7_300.0), entry=SimpleNamespace(submitted=100.0, model="a/*b*")
    )
    assert names["run"](call).text == r"**a/\*b\*** was submitted 2 hours ago."
