"""Answers to people who address the bot without a command, and to questions in the thread of a request.

A comment counts if it mentions the bot's account, or if it asks one of the frequent questions in a request's own
thread. It is answered once, under a marker that names it: with the answer to the question, or with the command that
does what it asks for. One person gets MAX_ANSWERS such answers in a thread, so that two bots do not talk for ever.

Other comments in the thread of a request are for maintainers: it is on their list (`waiting_threads`) while the request
has not finished and a comment without commands waits for theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bot.core import people
from bot.core.commands.registry import Registry
from bot.core.commands.targets import STATUS
from bot.core.context import BoardContext
from bot.core.render import Safe, render
from bot.core.waiting_threads import note
from bot.requests.verb_status import status_text
from bot.threads import faq
from bot.threads.answering import known_commands, new_comment_ids
from bot.threads.limits import check_rate
from hub.comments import is_by, marker_of
from hub.records import Comment, Repo, Thread
from leaderboard.triage import EVALUATE, Topic, Triage, triage, words_only

KIND = "mention"
MAX_ANSWERS, MAX_QUESTION = 3, 400
"""Answers to one person in a thread; characters of a comment that counts as a question to the bot without a mention."""
COMMANDS: Mapping[Topic, str] = {
    Topic.FAILURE: "/why {model}",
    Topic.FLAG: "/flag category {model} reason",
    Topic.RENAME: "/rename {model} org/new-name",
    Topic.REMOVAL: "/remove {model} reason",
    Topic.DUPLICATES: "/status {model}",
}
"""Topic of a post → the command for it. An appeal needs none: it is a comment in the discussion of the flag."""


def answer_mentions(context: BoardContext, registry: Registry, repo: Repo, thread: Thread, paths: Sequence[str]) -> int:
    """Answer the new comments that address the bot; return the number of comments posted.

    `paths` are those of the requests that the thread belongs to. If there are some, the thread is put on the
    maintainers' list, or taken off it, because of its other comments.
    """
    new, posted, answered = new_comment_ids(context, thread), 0, _answered(context, thread)
    name, maintainers = context.me().name, people.maintainers(context)
    # The first answer is about the opening post.
    for comment in thread.comments[1:]:
        if comment.id not in new or comment.edited or comment.id in answered or comment.author_id in maintainers:
            continue
        is_addressed = mentions(name, comment.text)
        if not (is_addressed or (paths and _is_short_question(comment.text))):
            continue
        subject = triage("", comment.text, faq.questions(context.takes))
        if not (is_addressed or subject.topic is Topic.QUESTION) or _had_enough(thread, comment, answered):
            continue
        if known_commands(registry, comment):
            continue
        if _answer(context, repo, thread, comment, subject, paths):
            posted += 1
            answered.add(comment.id)
    if paths:
        _note_unanswered(context, registry, repo, thread, paths, answered)
    return posted


def _note_unanswered(
    context: BoardContext, registry: Registry, repo: Repo, thread: Thread, paths: Sequence[str], answered: set[str]
) -> None:
    """Put the thread of requests on the maintainers' list, or take it off.

    The bot closes the discussion of a request that has finished. A merged pull request counts while a request that it
    brought has failed.
    """
    entries = context.index.find(paths) if thread.status == "merged" else []
    has_failed = any(entry is not None and entry.standing.status == "FAILED" for entry in entries)
    first = _first_unanswered(context, registry, thread, answered) if thread.status == "open" or has_failed else None
    if first is None or context.effects.is_left_alone(repo, thread.num):
        note(context, repo, thread, None)
    else:
        note(context, repo, thread, Topic.OTHER, since=first.created_at.timestamp(), author=first.author_name)


def _first_unanswered(context: BoardContext, registry: Registry, thread: Thread, answered: set[str]) -> Comment | None:
    """The first comment without commands that a person wrote after the status comment and after every maintainer's
    comment, and that the bot has not answered."""
    me, maintainers = context.me(), people.maintainers(context)
    first, has_status = None, False
    for comment in thread.comments:
        if is_by(me, comment.author_id, comment.author_name):
            marker = marker_of(comment.text)
            has_status |= marker is not None and marker.kind == STATUS
        elif comment.author_id in maintainers:
            first = None
        elif first is None and has_status and not (comment.hidden or comment.id in answered):
            first = None if known_commands(registry, comment) else comment
    return first


def _answer(
    context: BoardContext, repo: Repo, thread: Thread, comment: Comment, subject: Triage, paths: Sequence[str]
) -> bool:
    person = people.author(context, comment)
    if person is None or check_rate(context, person, comment) is not None:
        return False
    own = paths[0] if len(paths) == 1 else ""
    text = answer_to_question(context, subject, own) if subject.question else help_text(context, subject)
    marker = context.marker(KIND, comment.id)
    return context.effects.comment(repo, thread.num, text, marker, asked=True, seen=thread) is not None


def _answered(context: BoardContext, thread: Thread) -> set[str]:
    """The ids of the comments that the bot answered in the thread."""
    me = context.me()
    own = (marker_of(comment.text) for comment in thread.comments if is_by(me, comment.author_id, comment.author_name))
    return {marker.key for marker in own if marker is not None and marker.kind == KIND}


def _had_enough(thread: Thread, comment: Comment, answered: set[str]) -> bool:
    """Whether the author of `comment` got as many answers as one person gets in a thread."""
    author = (comment.author_id, comment.author_name)
    mine = [
        own_comment.id for own_comment in thread.comments if (own_comment.author_id, own_comment.author_name) == author
    ]
    return len(answered.intersection(mine)) >= MAX_ANSWERS


def _is_short_question(text: str) -> bool:
    return "?" in text and len(text) <= MAX_QUESTION


def mentions(name: str, text: str) -> bool:
    """Whether the author's own words mention the account `name`."""
    mention = rf"(?<![\w@/])@{re.escape(name)}(?![\w-])"
    return re.search(mention, text, re.IGNORECASE) is not None and (
        re.search(mention, words_only(text), re.IGNORECASE) is not None
    )


def answer_to_question(context: BoardContext, subject: Triage, path: str = "") -> Safe:
    """The answer to the question of `subject`; with the state of the request at `path`, or of the model that it names,
    where it asks about that."""
    model = next(iter(subject.models), "") or path.partition("_eval_request_")[0]
    answer = faq.board_answer(context, subject.question, model)
    if not model or subject.question not in (EVALUATE, faq.HOW_LONG):
        return answer
    entries = [entry for entry in context.index.of_model(model) if not entry.is_private]
    if not entries:
        return answer
    status = status_text(context, model, entries)
    return Safe(f"{status}\n\n{answer}") if subject.question == faq.HOW_LONG else status


def help_text(context: BoardContext, subject: Triage) -> Safe:
    """The command that does what a post asks for, or a list of commands; for an appeal, the thread to write in."""
    model = next(iter(subject.models), "org/model")
    command = COMMANDS.get(subject.topic, "").format(model=model)
    records = context.flag_book.of(subject.models) if subject.topic is Topic.APPEAL else ()
    flag = next((record for record in records if record.stands and record.thread), None)
    return Safe(render("offer", command=command, model=model, flag=flag).strip())
