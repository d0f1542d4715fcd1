"""`steward relaunch`, `flag`, `rename` and other commands of threads: writes the command on the Hub as its author.

The command is written with the person's own token, as they would write it in a browser, and the bot answers there. So
permissions, the public record and the effect are those of the command in a thread.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson, in_sentences, settings_of
from steward.commands.output import ending, say

if TYPE_CHECKING:
    from bot.core.commands.model import Arguments
    from bot.core.context import BoardContext
    from hub.client import Hub
    from hub.records import Repo

VERBS = {
    "relaunch": (
        "[org/model] [precision=…] [weight_type=…]",
        "evaluate a request again that failed, was cancelled or finished",
    ),
    "resubmit": (
        "[org/model] [precision=…] [weight_type=…] [revision=…]",
        "have a model evaluated at a newer commit; the old result stays until the new one is ready",
    ),
    "flag": (
        "category [org/model …] reason [revision=…] [precision=…]",
        "flag models for a public reason; if you are not a maintainer, report them to the maintainers",
    ),
    "unflag": (
        "[org/model …] reason",
        "lift a flag, for a public reason",
    ),
    "dismiss": (
        "reason",
        "dismiss a report, or an appeal against a flag, and say why",
    ),
    "rename": (
        "org/model org/model",
        "give a model's requests and results its new name; a maintainer approves the plan first",
    ),
    "remove": (
        "org/model [precision=…] [weight_type=…] reason",
        "take a model's results and requests off the leaderboard; /restore puts them back",
    ),
    "restore": (
        "org/model [precision=…] [weight_type=…] [reason]",
        "put back a model that was removed",
    ),
    "publish-scores": (
        "[org/model]",
        "open a pull request with the model's scores on its own repo, now or as soon as there are some",
    ),
    "unpublish-scores": (
        "[org/model]",
        "close the pull request with the model's scores on its own repo",
    ),
    "reject": (
        "reason",
        "close a pull request, or reject a proposed plan, for a public reason",
    ),
}
"""Name → parameters and summary of each thread command that `steward` has too: a copy from the registry, which takes
long to import."""
HOW = """It is written in a thread with your own HF_TOKEN, and the bot's answer is printed: in the thread of the request
that it is about, or in a new discussion. Exit status 1 if the bot did not answer within a minute."""
IN_A_THREAD = ("dismiss", "reject")
"""Verbs about the thread in which they are written."""
UNANSWERED, MISUSED = 1, 2
WAIT_SECONDS, POLL_SECONDS = 60.0, 1.0

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="WORDS", help="The words after the command, as in a thread; docs/commands.md explains them."
    ),
]
ThreadName = Annotated[
    str,
    typer.Option("--thread", help="Address of the discussion to write in, or its number in the requests repo."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `steward`."""
    for name, (form, summary) in VERBS.items():
        words = form.replace("[", "\\[")  # else rich reads a style
        app.command(name, help=f"{summary[0].upper()}{summary[1:]}.\n\nIts words: {words}.\n\n{HOW}")(_command(name))


def _command(name: str) -> Callable[..., None]:
    @in_sentences
    def command(words: Words = None, thread: ThreadName = "", as_json: AsJson = False) -> None:
        _write(name, words or [], thread, as_json)

    return command


@dataclass(frozen=True)
class WrittenCommand:
    """A command that was written: its thread, and the id of its comment, under which the bot answers."""

    repo: Repo
    number: int
    comment: str


def _write(name: str, words: Sequence[str], thread: str, as_json: bool) -> None:
    """Write the command, wait for the bot's answer, and print it."""
    from bot.core.reader_context import read_only_context
    from hub.client import Hub
    from steward.commands.submit import own_token

    if name in IN_A_THREAD and not thread:
        raise ending(f"/{name} is about one thread: name it with --thread.", MISUSED)
    settings = settings_of()
    context = read_only_context(settings, settings.read_board())
    line, arguments = _checked(name, words, settings.hf_endpoint)
    with Hub(settings.hf_endpoint, own_token()) as hub:
        place = _thread_named(context, thread) if thread else _own_thread(context, name, arguments)
        written = _post(context, hub, place, line)
        answer = _wait_for_answer(context, hub, written)
    address = f"{context.address(written.repo)}/discussions/{written.number}"
    if as_json:
        print(json.dumps({"command": line, "thread": address, "answer": answer}))
    else:
        say(answer or "The bot has not answered yet: is the sync process running? It answers in the thread.")
        say(address)
    raise typer.Exit(UNANSWERED if answer is None else 0)


def _checked(name: str, words: Sequence[str], endpoint: str) -> tuple[str, Arguments]:
    """Return the command's line and its arguments by name. Ends the command if the words do not fit the verb."""
    from bot.core.commands.grammar import commands_in
    from bot.core.commands.registry import BadArguments, bind
    from bot.threads.verbs import REGISTRY

    verb = REGISTRY.find(name)
    assert verb is not None
    line = " ".join([f"/{name}", *(_quoted(word) for word in words)])
    command = next(iter(commands_in(line)), None)
    arguments = (
        bind(verb, command, endpoint) if command is not None else BadArguments("These words cannot be in a command.")
    )
    if isinstance(arguments, BadArguments):
        raise ending(f"{arguments.why} Write: steward {verb.usage.removeprefix('/')}", MISUSED)
    return line, arguments


def _quoted(word: str) -> str:
    """Return one argument of the shell as one argument of the command's line."""
    word = " ".join(word.split())
    if " " not in word:
        return word
    key, equals, value = word.partition("=")
    return f'{key}="{value}"' if equals and key.isidentifier() and " " not in key else f'"{word}"'


def _thread_named(context: BoardContext, thread: str) -> tuple[Repo, int]:
    """Return the thread with this address on the Hub, or this number in the requests repo."""
    from hub.records import Repo

    if thread.isdecimal():
        return context.requests, int(thread)
    where, _, number = thread.removeprefix(f"{context.hub.endpoint}/").partition("/discussions/")
    number = number.partition("#")[0]
    kind, _, rest = where.partition("/")
    repo = Repo("dataset", rest) if kind == "datasets" else Repo("space", rest) if kind == "spaces" else None
    if not number.isdecimal():
        raise ending(f"{thread} is no address of a discussion: …/discussions/NUMBER", MISUSED)
    return repo or Repo("model", where), int(number)


def _own_thread(context: BoardContext, name: str, arguments: Arguments) -> tuple[Repo, int | None]:
    """Return the thread of the request that the command is about; else the community repo, for a new discussion."""
    from bot.core.commands.targets import is_meant
    from bot.threads.verbs import REGISTRY

    verb = REGISTRY.find(name)
    if verb is not None and verb.about == "request" and (model := arguments.get("model")):
        entries = [entry for entry in context.index.of_model(model) if is_meant(entry, arguments)]
        if len(entries) == 1 and entries[0].thread is not None:
            return context.requests, entries[0].thread
    return context.community, None


def _post(context: BoardContext, hub: Hub, place: tuple[Repo, int | None], line: str) -> WrittenCommand:
    from hub.comments import Marker

    marker = Marker(context.board.name, "terminal", secrets.token_hex(8))  # a retry does not write it twice
    repo, number = place
    if number is not None:
        return WrittenCommand(repo, number, hub.ensure_comment(repo, number, line, marker).id)
    number = hub.open_thread(repo, line[:100], line, marker, looked=True)
    return WrittenCommand(repo, number, hub.thread(repo, number).comments[0].id)


def _wait_for_answer(context: BoardContext, hub: Hub, written: WrittenCommand) -> str | None:
    """Return the bot's final answer without its quotation of the command; None if there is none in time."""
    from bot.threads.replies import ANSWER
    from hub.comments import marker_of

    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        for comment in hub.thread(written.repo, written.number).comments:
            if marker_of(comment.text) == context.marker(ANSWER, written.comment):
                lines = comment.text.splitlines()[1:]
                return "\n".join(line for line in lines if not line.startswith("> ")).strip()
        time.sleep(POLL_SECONDS)
    return None
