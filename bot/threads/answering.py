"""Answer the commands in a thread: each comment with commands gets one reply, posted before the effect, edited after.

    comment           written by a person; it counts if it is new, unedited, visible and not written by the bot
    reply, `doing`    says that the command is running; after a crash the command runs again, which changes nothing
    reply, `answer`   reports the effect, or why there is none; final

The hidden marker of a reply names the comment that it answers. So each comment is answered once, however often its
delivery arrives and also after Redis was lost, and a bot that died halfway continues from the reply.

Race closed: two commands at the same time contradict each other. Commands of one thread run in the order of their
comments. Of commands in two threads the first one wins, and the reply to the second shows the state after the first.
Race closed: a comment is edited, hidden or deleted after its reply was posted and before its effect is known. No
command of it runs any more, and the reply says so.
Race closed: the thread is deleted or locked after the effect. The decision is recorded nevertheless.
Race accepted: a person edits a comment before the bot first read it. The reply asks for a new comment.
Race accepted: a reply that a maintainer hid shows no marker, so the bot answers again. There is no second effect.
Race accepted: the bot posts a refusal and dies before it is recorded. Only the thread shows the refusal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from bot.core import people
from bot.core.commands.answers import refusal
from bot.core.commands.grammar import MOST, Command, commands_in
from bot.core.commands.model import Answer, Call, CommandPlace, Verb
from bot.core.commands.registry import BadArguments, Registry, bind
from bot.core.commands.targets import find_target
from bot.core.context import BoardContext
from bot.core.decision_records import record_decision
from bot.core.lease_fence import LeaseLost
from bot.core.relative_times import in_words
from bot.threads.limits import MAX_AGE_SECONDS, check_rate
from bot.threads.replies import CommentCommands, Reply, Section, are_final, edit, give_up, post, replies_in
from hub.comments import is_by
from hub.errors import BadToken, HubError, RateLimited, Transient
from hub.records import Comment, Repo, Thread
from leaderboard.roles import Person, Role, who_may
from redis_state.clock import iso
from redis_state.crashpoints import pass_by, point
from redis_state.redis import TRANSIENT

log = structlog.get_logger()


REPLY_POSTED = point("reply posted, command without effect")
EFFECT_DONE = point("command had its effect, reply not edited")


def answer_commands(context: BoardContext, registry: Registry, repo: Repo, thread: Thread, place: CommandPlace) -> int:
    """Answer every command in `thread` that has no final answer yet. Return the number of replies posted."""
    replies, new = replies_in(context, thread), new_comment_ids(context, thread)
    posted, errors = 0, list[Exception]()
    for comment in thread.comments:
        reply = replies.pop(comment.id, None)
        is_done = reply.is_final if reply is not None else comment.id not in new
        if is_done:
            continue
        try:
            posted += _answer_comment(context, registry, CommentCommands(repo, thread, place, comment), reply)
        except (Transient, RateLimited, BadToken, LeaseLost, *TRANSIENT):
            raise  # the other comments would fail in the same way
        except Exception as error:  # noqa: BLE001  an error in one comment must not stop the answers to later ones
            errors.append(error)
    for reply in replies.values():
        if not reply.is_final:
            give_up(context, repo, thread, reply)  # its comment was deleted
    if errors:
        raise errors[0]
    return posted


def run_command(
    context: BoardContext, registry: Registry, source: CommentCommands, person: Person, *, resumed: bool
) -> Section:
    """Run the one command that a button of a page gave (`source.is_on_page`), and record it. Raises HubError."""
    (command,) = source.commands
    section = _executed(_section(context, registry, source, person, command, 0, resumed=resumed))
    pass_by(EFFECT_DONE)
    _record_sections(context, source, person, [section])
    return section


def _answer_comment(context: BoardContext, registry: Registry, source: CommentCommands, reply: Reply | None) -> int:
    """Answer the commands of one comment, if there are any. Return the number of replies posted."""
    comment = source.comment
    commands = known_commands(registry, comment)
    if reply is not None and (comment.hidden or comment.edited or not commands):
        give_up(context, source.repo, source.thread, reply)
        return 0
    return _answer(context, registry, replace(source, commands=commands), reply) if commands else 0


def known_commands(registry: Registry, comment: Comment) -> tuple[Command, ...]:
    """The commands in `comment` whose verb is known or similar to a known one."""
    return tuple(commands_in(comment.text, lambda verb: bool(registry.find(verb) or registry.nearest(verb))))


def new_comment_ids(context: BoardContext, thread: Thread) -> frozenset[str]:
    """The ids of the visible comments that people wrote within MAX_AGE_SECONDS and after the board's adoption."""
    me, record, oldest = context.me(), context.adoption.record(), context.now() - MAX_AGE_SECONDS
    adopted = record.seconds if record is not None else 0.0
    return frozenset(
        comment.id
        for comment in thread.comments
        if adopted <= (written := comment.created_at.timestamp()) and written > oldest
        if not (comment.hidden or is_by(me, comment.author_id, comment.author_name))
    )


def _answer(context: BoardContext, registry: Registry, source: CommentCommands, reply: Reply | None) -> int:
    """Post the reply, run the commands, edit the reply. Return the number of replies posted."""
    person = people.author(context, source.comment)
    if person is None:
        log.warning("a command without an author", comment=source.comment.id, name=source.comment.author_name)
        if reply is not None:
            give_up(context, source.repo, source.thread, reply)
        return 0
    sections = _sections(context, registry, source, person, is_first=reply is None)
    posted = 0
    if reply is None:
        reply = post(context, source, sections) if sections else None
        if reply is None:
            return 0
        pass_by(REPLY_POSTED)
        posted = 1
    if not are_final(sections):
        sections = [_executed(section) for section in sections]
        pass_by(EFFECT_DONE)
    _record_sections(context, source, person, sections)
    edit(context, source, reply, sections)
    return posted


def _sections(
    context: BoardContext, registry: Registry, source: CommentCommands, person: Person, *, is_first: bool
) -> list[Section]:
    """The section of the reply for each command; empty if the rate limit makes the bot ignore them."""
    first = source.commands[0].line
    if is_first and (limited := check_rate(context, person, source.comment)) is not None:
        text = refusal("too-fast", most=limited.limit, wait=in_words(limited.seconds))
        return [] if limited.is_ignored else [Section(first, text)]
    if is_first and source.comment.edited:
        return [Section(first, refusal("edited"))]
    sections = [
        _section(context, registry, source, person, command, number, resumed=not is_first)
        for number, command in enumerate(source.commands[:MOST])
    ]
    if len(source.commands) > MOST:
        sections.append(Section(source.commands[MOST].line, refusal("too-many", most=MOST)))
    return sections


def _section(
    context: BoardContext,
    registry: Registry,
    source: CommentCommands,
    person: Person,
    command: Command,
    number: int,
    *,
    resumed: bool,
) -> Section:
    call: Call | Answer | None = None
    try:
        call = _call(context, registry, source, person, command, number, resumed=resumed)
        if isinstance(call, Answer):
            return Section(command.line, call)
        answer = call.verb.run(call) if call.roles & call.verb.who else _not_allowed(call)
    except HubError as error:
        answer = _hub_refusal(error)
    return Section(command.line, answer, call if isinstance(call, Call) else None)


def _call(
    context: BoardContext,
    registry: Registry,
    source: CommentCommands,
    person: Person,
    command: Command,
    number: int,
    *,
    resumed: bool,
) -> Call | Answer:
    """The call that `command` makes, allowed or not; or the answer that says why it makes none."""
    verb = registry.find(command.verb)
    if verb is None:
        nearest = registry.nearest(command.verb)
        assert nearest is not None
        return refusal("unknown", verb=f"/{command.verb}", nearest=f"/{nearest.name}")
    if source.place not in verb.where:
        return refusal("wrong-place", verb=f"/{verb.name}", where=" or ".join(sorted(verb.where)))
    arguments = bind(verb, command, context.hub.endpoint)
    if isinstance(arguments, BadArguments):
        return _misused(verb, arguments)
    target = find_target(context, verb, arguments, source.repo, source.thread)
    if isinstance(target, Answer):
        return target
    about = {"model": target.model, "submitter": target.submitter}
    fresh = verb.irreversible or source.is_on_page
    person, roles = people.roles(context, person, **about, fresh=fresh, enough=verb.apart or verb.who)
    if verb.new_name and not roles & verb.who:
        renamed = {"model": arguments[verb.new_name], "submitter": ""}
        person, roles = people.roles(context, person, **renamed, fresh=fresh, enough=verb.who)
    location = (source.place, source.repo, source.thread, source.comment, number)
    origin = (resumed, source.is_on_page)
    return Call(context, verb, arguments, *location, person, roles, target.model, target.entries, *origin)


def _misused(verb: Verb, error: BadArguments) -> Answer:
    return refusal("misused", why=error.why, usage=verb.usage, example=next(iter(verb.examples), ""))


def _not_allowed(call: Call) -> Answer:
    who, namespace = call.verb.who, call.model.partition("/")[0]
    unproven = {Role.OWNER, Role.MAINTAINER} <= who and call.person.role_in(namespace) == ""
    return refusal("not-allowed", verb=f"/{call.verb.name}", who=who_may(who), is_owner_unproven=unproven)


def _executed(section: Section) -> Section:
    """Run the effect of the section, if it has one. Return the section with the answer afterwards."""
    act = section.answer.act
    if act is None:
        return section
    try:
        answer = act()
    except HubError as error:
        answer = _hub_refusal(error)
    return Section(section.line, answer, section.call)


def _hub_refusal(error: HubError) -> Answer:
    """The answer where the Hub refuses for good. Errors that a retry may overcome are raised again."""
    if isinstance(error, Transient | RateLimited | BadToken):
        raise error
    log.warning("a command failed", error=f"{type(error).__name__}: {error}")
    return replace(refusal("hub", why=str(error)[:300]), allowed=True, outcome="failed")


def _record_sections(
    context: BoardContext, source: CommentCommands, person: Person, sections: Iterable[Section]
) -> None:
    """Record each of `sections` whose verb decides something, allowed or not, at the Hub's time of the comment."""
    for section in sections:
        call = section.call
        if call is None or not call.verb.decides:
            continue
        at = source.comment.created_at.astimezone(UTC)
        fields = _decision_fields(context, source, person, section, at)
        record_decision(context, fields, at, cause=call.cause, line=f"Record /{call.verb.name}")


def _decision_fields(
    context: BoardContext, source: CommentCommands, person: Person, section: Section, at: datetime
) -> dict[str, object]:
    assert section.call is not None
    return {
        "at": iso(at.timestamp()),
        "person": {"id": person.id, "name": person.name},
        "roles": sorted(section.call.roles),
        "command": section.line,
        "verb": section.call.verb.name,
        "arguments": dict(section.call.arguments),
        "requests": [entry.path for entry in section.call.entries],
        "model": section.call.model,
        "allowed": section.answer.allowed,
        "outcome": section.answer.outcome,
        "answer": str(section.text),
        "thread": None
        if source.is_on_page
        else {"repo": f"{source.repo.kind}/{source.repo.id}", "number": source.thread.num},
        "comment": source.comment.id,
        "number": section.call.number,
        "board": context.board.name,
    }
