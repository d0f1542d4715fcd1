"""What the author of a discussion says after its opening post: many link what they mean in a second comment only.

The first MOST of these comments are read, and none that holds a command, for that is answered by itself. A report
counts only with a request that there is. A link will do; a name only as long as nobody else has spoken, for in a talk
of people models are named that nobody reports.
"""

from __future__ import annotations

from dataclasses import replace

from bot.core.commands.registry import Registry
from bot.core.context import BoardContext
from bot.core.earlier_names import paths_in_requests
from bot.threads.answering import known_commands
from hub.comments import is_by
from hub.records import Comment, Thread
from leaderboard.links import RequestLink
from leaderboard.triage import Topic, Triage, triage, without_quotes

MOST = 5
BEFORE_A_REPORT = (Topic.OTHER, Topic.QUESTION, Topic.FAILURE)
"""What an opening post may be about that a report follows. All else waits for a person already."""


def later_posts(registry: Registry, thread: Thread) -> list[str]:
    """What the author says in those comments; what they quote is ours, or somebody else's."""
    own = [one for one in thread.comments[1:] if _is_authors(thread, one) and not one.hidden]
    return [without_quotes(one.text) for one in own[:MOST] if not known_commands(registry, one)]


def _is_authors(thread: Thread, comment: Comment) -> bool:
    return (comment.author_id, comment.author_name) == (thread.author_id, thread.author_name)


def later_report(context: BoardContext, registry: Registry, thread: Thread, opening: Triage) -> Triage | None:
    """The failure that the author reports in them; None where there is none, or the opening post reports one."""
    posts = later_posts(registry, thread)
    if not posts or opening.topic not in BEFORE_A_REPORT:
        return None
    if opening.topic is Topic.FAILURE and (_known_links(context, opening) or _known_models(context, opening)):
        return None
    found = triage(thread.title, "\n\n".join([thread.comments[0].text, *posts]))
    if found.topic is not Topic.FAILURE:
        return None
    if found.requests:
        known = _known_links(context, found)
        return replace(found, requests=known) if known else None
    models = tuple(model for model in _known_models(context, found) if model not in opening.models)
    return replace(found, models=models) if models and _is_alone(context, thread) else None


def _known_links(context: BoardContext, found: Triage) -> tuple[RequestLink, ...]:
    """The links that lead to requests of this board."""
    paths = set(paths_in_requests(context, found.requests))
    ours = [one for one in found.requests if one.path in paths]
    entries = context.index.find([one.path for one in ours])
    return tuple(one for one, entry in zip(ours, entries, strict=True) if entry is not None and not entry.is_private)


def _known_models(context: BoardContext, found: Triage) -> tuple[str, ...]:
    """The names of models that have requests."""
    return tuple(
        model for model in found.models if any(not entry.is_private for entry in context.index.of_model(model))
    )


def _is_alone(context: BoardContext, thread: Thread) -> bool:
    """Whether nobody but its author and we have spoken there."""
    me = context.me()
    return all(_is_authors(thread, one) or is_by(me, one.author_id, one.author_name) for one in thread.comments)
