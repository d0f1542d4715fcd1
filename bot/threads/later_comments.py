"""Failure reports in later comments of a discussion's author: many link the request in a second comment only.

The first MAX_POSTS of these comments are read, except those with commands, which get their own reply. A report counts
only if its request exists. A link to the request suffices. A model's name counts only while the author and the bot
alone have written, because people who talk to each other also name models that they do not report.
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

MAX_POSTS = 5
TOPICS_BEFORE_A_REPORT = (Topic.OTHER, Topic.QUESTION, Topic.FAILURE)
"""Topics of an opening post after which a report may follow. Threads about other topics wait for a person anyway."""


def later_posts(registry: Registry, thread: Thread) -> list[str]:
    """The texts of the author's later comments, without the lines that quote other people or the bot."""
    own = [comment for comment in thread.comments[1:] if _is_authors(thread, comment) and not comment.hidden]
    return [without_quotes(comment.text) for comment in own[:MAX_POSTS] if not known_commands(registry, comment)]


def _is_authors(thread: Thread, comment: Comment) -> bool:
    return (comment.author_id, comment.author_name) == (thread.author_id, thread.author_name)


def later_report(context: BoardContext, registry: Registry, thread: Thread, opening: Triage) -> Triage | None:
    """The failure that the author reports in later comments; None without one, or if the opening post reports one."""
    posts = later_posts(registry, thread)
    if not posts or opening.topic not in TOPICS_BEFORE_A_REPORT:
        return None
    if opening.topic is Topic.FAILURE and (_known_links(context, opening) or _known_models(context, opening)):
        return None
    report = triage(thread.title, "\n\n".join([thread.comments[0].text, *posts]))
    if report.topic is not Topic.FAILURE:
        return None
    if report.requests:
        links = _known_links(context, report)
        return replace(report, requests=links) if links else None
    models = tuple(model for model in _known_models(context, report) if model not in opening.models)
    return replace(report, models=models) if models and _is_alone(context, thread) else None


def _known_links(context: BoardContext, report: Triage) -> tuple[RequestLink, ...]:
    """The links that lead to public requests of this board."""
    paths = set(paths_in_requests(context, report.requests))
    links = [link for link in report.requests if link.path in paths]
    entries = context.index.find([link.path for link in links])
    return tuple(link for link, entry in zip(links, entries, strict=True) if entry is not None and not entry.is_private)


def _known_models(context: BoardContext, report: Triage) -> tuple[str, ...]:
    """The names of models that have public requests."""
    return tuple(
        model for model in report.models if any(not entry.is_private for entry in context.index.of_model(model))
    )


def _is_alone(context: BoardContext, thread: Thread) -> bool:
    """Whether only the author and the bot have written in the thread."""
    me = context.me()
    return all(
        _is_authors(thread, comment) or is_by(me, comment.author_id, comment.author_name) for comment in thread.comments
    )
