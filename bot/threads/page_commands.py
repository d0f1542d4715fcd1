"""Commands that signed-in people give by buttons of pages: the same verbs, rules and records as in a thread.

The sync reads the person's roles again, runs the verb, records the decision, and stores the answer for the page. A
thread gets no reply; only the dismissal of a report is posted in its thread, and the plan of a removal in a thread that
the bot opens for it.

A command about a thread names its address; it is run as if it was written there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from bot.core import people
from bot.core.commands.answers import refusal, say
from bot.core.commands.grammar import Command, Word
from bot.core.commands.model import CommandPlace
from bot.core.commands.parameters import MAINTAINERS, OWNERS
from bot.core.commands.registry import Registry
from bot.core.context import BoardContext, thread_key
from bot.core.render import printable
from bot.flags.flag_thread import thread_at
from bot.flags.verb_flag import APPEAL, FLAG
from bot.model_pages.verb_publish_scores import PUBLISH_SCORES, UNPUBLISH_SCORES
from bot.request_files.status_text import TITLE_LIMIT
from bot.threads.answering import run_command
from bot.threads.replies import CommentCommands
from bot.threads.verbs import REGISTRY
from hub.errors import NotFound
from hub.records import Comment, Repo, Thread
from leaderboard.flags import FlagRecord
from redis_state.board.messages import PageCommand, PageCommandResult
from redis_state.dirty import SyncPriority

PAGE = "page"
"""Kind of the markers of threads that the bot opens for commands of pages."""
ABOUT_REQUESTS = ("cancel", "hold", "unhold", "relaunch", "resubmit")
ABOUT_FLAGS = ("flag", "unflag")
PROPOSED = ("remove", "restore")
"""Verbs that write a plan into a thread of its own."""
ABOUT_THREADS = ("approve", "reject", "dismiss")
ABOUT_PAGES = (PUBLISH_SCORES.name, UNPUBLISH_SCORES.name)
BUTTONS = Registry(
    tuple(
        # Other people report a model in a thread, where maintainers can answer them.
        replace(verb, who=MAINTAINERS, apart=frozenset()) if verb is FLAG else verb
        for verb in (*REGISTRY.verbs, APPEAL)
        if verb.name in (*ABOUT_REQUESTS, *ABOUT_FLAGS, *PROPOSED, *ABOUT_THREADS, *ABOUT_PAGES, APPEAL.name)
    )
)
"""The verbs that have a button."""


def run_page_command(context: BoardContext, command: PageCommand, *, resumed: bool) -> PageCommandResult:
    """Run the command and record it. `resumed`: an earlier run may have had its effect. Raises HubError."""
    line = command_line(command)
    comment = Comment(
        id=f"page-{command.message_id}",
        author_id=command.person_id,
        author_name=command.person_name,
        created_at=datetime.fromtimestamp(command.at, UTC),
        text=line,
        hidden=False,
        edited=False,
    )
    if (flagged := _earlier_flag(context, command)) is not None:
        text = say("page_flagged", model=flagged.model, thread=flagged.thread)
        return PageCommandResult(text=str(text), outcome="unchanged")
    place = _thread(context, command, comment)
    if place is None:
        gone = refusal("hub", why="There is no such thread on this leaderboard, or it opens none now.")
        return PageCommandResult(text=str(gone.text), outcome="refused", allowed=False)
    repo, thread = place
    words = tuple(Word(value, key=name, quoted=True) for name, value in command.arguments.items())
    commands = (Command(command.verb, words, line),)
    source = CommentCommands(repo, thread, _place(context, repo, thread), comment, commands, is_on_page=True)
    section = run_command(context, BUTTONS, source, command.person, resumed=resumed)
    answer, address = section.answer, ""
    if thread.num:
        context.mark(thread_key(repo, thread.num), SyncPriority.PERSON)
        address = f"{context.address(repo)}/discussions/{thread.num}"
    return PageCommandResult(text=str(answer.text), outcome=answer.outcome, allowed=answer.allowed, thread=address)


def _earlier_flag(context: BoardContext, command: PageCommand) -> FlagRecord | None:
    """The flag that the model of a `/flag` has already from another command: a second one would open a second thread.

    This happens if two maintainers press the button at once. To change a flag, a maintainer writes in its thread.
    """
    if command.verb != FLAG.name:
        return None
    cause = f"page-{command.message_id}:0"
    standing = (record for record in context.flag_book.of([command.arguments.get("models", "")]) if record.stands)
    return next((record for record in standing if all(decision.cause != cause for decision in record.decisions)), None)


def command_line(command: PageCommand) -> str:
    """The command as it would be written in a thread."""
    arguments = dict(command.arguments)
    first = [arguments.pop(name) for name in ("category", "model", "sha") if name in arguments]
    words = [f'{name}="{value}"' if " " in value else f"{name}={value}" for name, value in arguments.items()]
    return " ".join(" ".join([f"/{command.verb}", *first, *words]).split())


def _thread(context: BoardContext, command: PageCommand, comment: Comment) -> tuple[Repo, Thread] | None:
    """The thread to which the command belongs; a placeholder if its verb needs none. None if the thread is gone."""
    if command.verb in ABOUT_THREADS:
        location = thread_at(context, command.thread)
        try:
            return (location[0], context.hub.thread(*location)) if location is not None else None
        except NotFound:
            return None
    if command.verb in PROPOSED:
        return _thread_for_plan(context, command, comment)
    return context.community, _page_thread(comment)


def _thread_for_plan(context: BoardContext, command: PageCommand, comment: Comment) -> tuple[Repo, Thread] | None:
    """A new thread for the plan, which waits on the maintainers' list; None where the board allows no new thread.

    The thread of a request that has ended is closed, and a closed thread is on no list of waiting ones.
    """
    model = command.arguments.get("model", "")
    _, roles = people.roles(context, command.person, model=model, submitter="", fresh=True, enough=OWNERS)
    if not roles & OWNERS:
        return context.community, _page_thread(comment)  # where the command is refused
    title = f"{command.verb.title()} {printable(model)}"[:TITLE_LIMIT]
    body = say("page_thread", person=command.person_name, line=comment.text)
    marker = context.marker(PAGE, command.message_id)
    number = context.effects.open_thread(context.community, title, str(body), marker)
    return (context.community, context.hub.thread(context.community, number)) if number is not None else None


def _page_thread(comment: Comment) -> Thread:
    """A placeholder, which no repo has, for the thread of a command that a page gives."""
    return Thread(
        num=0,
        title="",
        status="open",
        is_pull_request=False,
        author_id=comment.author_id,
        author_name=comment.author_name,
        created_at=comment.created_at,
        locked=False,
        comments=(),
        target=None,
        head_commit=None,
        merge_commit=None,
        conflicting_files=(),
    )


def _place(context: BoardContext, repo: Repo, thread: Thread) -> CommandPlace:
    if thread.is_pull_request:
        return CommandPlace.PULL
    is_request = repo == context.requests and context.index.of_thread(thread.num) is not None
    return CommandPlace.REQUEST if is_request else CommandPlace.COMMUNITY
