"""The commands as people read them: docs/commands.md, made from the registry.

python -m bot.threads.docs docs/commands.md     writes it anew
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from bot.core.commands.grammar import MOST
from bot.core.commands.model import EVERYWHERE, Verb
from bot.core.commands.registry import Registry
from bot.threads.verbs import REGISTRY
from leaderboard.roles import who_may

HEAD = f"""# Commands

Write a command in a **new** comment, alone on a line, in any discussion of the leaderboard: in its requests and results
repos, and where its community talks. Words that belong together stand in quotes. In the thread of a request its model
need not be named; elsewhere a model with several requests is told apart by `precision=` and `weight_type=`.

What stands in code, in a quote, a list, a heading, a table, in HTML or as the words of a link is not read as a command.
Neither is anything in a comment that was edited or hidden. Up to {MOST} commands of one comment are run, in order.

Each comment with commands gets one reply, which quotes them. Who may use a command is told by the account's id on the
Hub: **maintainers** as the board's file lists them, **owners** of the model's namespace (or its members whom the Hub
shows with a role that may write), and **whoever submitted** the request.

Written by `python -m bot.threads.docs docs/commands.md`. `/commands` on the web server shows the same.
"""


def page(registry: Registry) -> str:
    """The whole page."""
    parts = [HEAD, "| command | what it does | who may use it |", "|---|---|---|"]
    parts += [
        f"| [`/{verb.name}`](#{verb.name}) | {_cell(verb.summary)} | {who_may(verb.who)} |" for verb in registry.verbs
    ]
    parts += [line for verb in registry.verbs for line in _verb(verb)]
    return "\n".join(parts).rstrip() + "\n"


def _verb(verb: Verb) -> Iterator[str]:
    yield f"\n## {verb.name}\n"
    yield f"`{verb.usage}`\n"
    where = "" if verb.where == EVERYWHERE else f" It works in {' or '.join(sorted(verb.where))}."
    yield f"{verb.summary[0].upper()}{verb.summary[1:]}. For {who_may(verb.who)}.{where}\n"
    for param in verb.params:
        choices = f" ({', '.join(f'`{one}`' for one in param.choices)})" if param.choices else ""
        yield f"- `{param.name}`: {param.help}{choices}{'' if param.required else '; may be left out'}"
    if verb.examples:
        example = "\n".join(verb.examples)
        yield f"\n```text\n{example}\n```"


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


def main(path: str) -> None:
    """Write the page to the file at `path`."""
    Path(path).write_text(page(REGISTRY), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
