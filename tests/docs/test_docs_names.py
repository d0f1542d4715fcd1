"""Everything that the documents name exists: commands with their options, settings, targets, files and tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from typer.core import TyperGroup
from typer.main import get_command

from leaderboard.evaluator_contract import PLAN_VARIABLE, PROGRESS_VARIABLE
from steward.cli import app
from steward.reference import settings_page

MARKDOWN = MarkdownIt("commonmark").enable("table")
FOLDERS = (
    "leaderboard",
    "redis_state",
    "hub",
    "bot",
    "workers",
    "localhub",
    "steward",
    "benchmarks",
    "simulations",
    "tests",
    "docs",
    "deploy",
)

OF_THE_READER = r"NAME|FAMILY|\b(verb_)?age\.|\.env$|^deploy/data/"
"""A pattern of paths that a reader is asked to create."""


def pages(project: Path) -> list[Path]:
    """README, and all documents."""
    return [project / "README.md", *sorted(project.glob("docs/**/*.md")), *sorted(project.glob("deploy/**/*.md"))]


@cache
def codes(project: Path) -> tuple[tuple[str, str], ...]:
    """The code in all pages, as `found` finds it, read once."""
    return tuple(found(project))


def found(project: Path) -> Iterator[tuple[str, str]]:
    """Every piece of code in running text and every line of a block of commands, with its page."""
    for page in pages(project):
        name = str(page.relative_to(project))
        for token in MARKDOWN.parse(page.read_text("utf-8")):
            if token.type == "fence" and token.info in ("sh", "bash", "console"):
                yield from ((name, line.removeprefix("$ ")) for line in token.content.splitlines())
            for child in token.children or ():
                if child.type == "code_inline":
                    yield name, child.content


def test_every_command_that_is_named_exists_with_its_options(project: Path) -> None:
    """Every `steward` command in a page exists, and takes the options that are shown."""
    wrong, steward = [], get_command(app)
    for page, code in codes(project):
        for line in re.findall(r"(?:^|[ ;|&])steward ([a-z][^;|&#]*)", code):
            command, words = steward, line.split()
            while isinstance(command, TyperGroup) and words and words[0] in command.commands:
                command = command.commands[words.pop(0)]
            options = {word for param in command.params for word in (*param.opts, *param.secondary_opts)} | {"--help"}
            used = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
            if command is steward:
                wrong.append(f"{page}: steward {line}")
            elif used - options:
                wrong.append(f"{page}: steward {line}: {sorted(used - options)}")
    assert wrong == [], wrong


def test_every_setting_that_is_named_exists(project: Path) -> None:
    """Every variable in a page is in the reference of settings, or is one of the tests."""
    settings = {*re.findall(r"STEWARD_[A-Z_]+", settings_page()), PLAN_VARIABLE, PROGRESS_VARIABLE}
    tests = {"STEWARD_REWRITE"}
    named = {(page, name) for page, code in codes(project) for name in re.findall(r"\bSTEWARD_[A-Z_]*[A-Z]\b", code)}
    assert {(page, name) for page, name in named if name not in settings | tests} == set()


def test_every_target_and_every_file_that_is_named_exists(project: Path) -> None:
    """Every `make` target and every path of this project in a page exists."""
    targets = set(re.findall(r"^(\w+):", (project / "Makefile").read_text("utf-8"), re.MULTILINE))
    wrong = []
    for page, code in codes(project):
        wrong += [(page, name) for name in re.findall(r"^make (\w+)", code) if name not in targets]
        path = code.partition("::")[0].strip()
        if (
            not re.search(OF_THE_READER, path)
            and re.fullmatch(rf"({'|'.join(FOLDERS)})/[\w./-]+", path)
            and not (project / path).exists()
        ):
            wrong.append((page, path))
    assert wrong == [], wrong


def test_every_test_that_is_named_exists(project: Path) -> None:
    """Every test that a page names as evidence exists."""
    source = "".join(file.read_text("utf-8") for file in (project / "tests").rglob("test_*.py"))
    tests = set(re.findall(r"def (test_\w+)", source))
    named = {(page, code) for page, code in codes(project) if re.fullmatch(r"test_\w+", code)}
    assert {(page, name) for page, name in named if name not in tests} == set()
