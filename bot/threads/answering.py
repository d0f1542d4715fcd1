"""The commands in a thread: each comment that holds some gets one reply, posted before its effect, edited after it.

    comment           what a person wrote; counts if it is new, was not edited, is not hidden, and is not our own
    reply, `doing`    says that something is being done; was it? It is done again, which changes nothing
    reply, `answer`   says what was done, or why not; nothing more will happen

The reply is found again by its hidden marker, which names the comment. So a comment is answered once however often its
delivery comes, and also after Redis was lost; and a bot that died in the middle goes on where it was.

Race closed: two commands at once that contradict each other. Those of one thread are run in the order of their
comments; those of two threads by whoever comes first, and the other is told how things are then.
Race closed: a comment is edited, hidden or gone after its reply was posted and before its effect is known. Nothing of
it is run any more, and the reply says so.
Race closed: the thread is deleted or locked after the effect. The decision is recorded all the same.
Race accepted: a person edits their comment before it was first read. They are told to write it anew.
Race accepted: a reply that a maintainer hid shows no marker, so the command is answered again. It has no second effect.
Race accepted: a refusal is posted, and the bot dies before it is recorded. It stands in the thread alone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from bot.core import people
from bot.core.commands.answers import refusal
from bot.core.commands.grammar import MOST, Command, commands_in
from bot.core.commands.model import Answer, Call, CommandPlace, Verb
from bot.core.commands.registry import BadArguments, Registry, bind
from bot.core.commands.targets import find_target
from bot.core.context import BoardContext
from bot.core.lease_fence import LeaseLost
from bot.core.relative_times import in_words
from bot.threads.limits import OLDEST, may_go_on
from bot.threads.recording import record_sections
from bot.threads.replies import CommentCommands, Reply, Section, are_final, edit, give_up, post, replies_in
from hub.comments import is_by
from hub.errors import BadToken, HubError, RateLimited, Transient
from hub.records import Comment, Repo, Thread
from leaderboard.roles import Person, Role, who_may
from redis_state.crashpoints import pass_by, point
from redis_state.redis import TRANSIENT

log = structlog.get_logger()


SAID = point("reply posted, command without effect")
ACTED = point("command had its effect, reply not edited")


def answer_commands(context: BoardContext, registry: Registry, repo: Repo, thread: Thread, place: CommandPlace) -> int:
    """Answer every command in `thread` that has no final answer yet; how many replies were posted."""
    replies, new = replies_in(context, thread), _may_hold_commands(context, thread)
    posted, errors = 0, list[Exception]()
    for comment in thread.comments:
        reply = replies.pop(comment.id, None)
        is_done = reply.is_final if reply is not None else comment.id not in new
        if is_done:
            continue
        try:
            posted += _answer_comment(context, registry, CommentCommands(repo, thread, place, comment), reply)
        except (Transient, RateLimited, BadToken, LeaseLost, *TRANSIENT):
            raise  # it would be the same with all others
        except Exception as error:  # noqa: BLE001  one comment's trouble must not become that of those after it
            errors.append(error)
    for reply in replies.values():
        if not reply.is_final:
            give_up(context, repo, thread, reply)  # to a comment that is gone
    if errors:
        raise errors[0]
    return posted


def _answer_comment(context: BoardContext, registry: Registry, heard: CommentCommands, reply: Reply | None) -> int:
    """Answer the commands of one comment, if there are any; how many replies were posted."""
    comment = heard.comment
    commands = known_commands(registry, comment)
    if reply is not None and (comment.hidden or comment.edited or not commands):
        give_up(context, heard.repo, heard.thread, reply)
        return 0
    return _answer(context, registry, replace(heard, commands=commands), reply) if commands else 0


def known_commands(registry: Registry, comment: Comment) -> tuple[Command, ...]:
    """The commands in `comment`, as far as they are verbs or nearly so."""
    return tuple(commands_in(comment.text, lambda verb: bool(registry.find(verb) or registry.nearest(verb))))


def _may_hold_commands(context: BoardContext, thread: Thread) -> frozenset[str]:
    """The ids of the comments that people wrote lately, and since the board was adopted."""
    me, record, oldest = context.me(), context.adoption.record(), context.now() - OLDEST
    adopted = datetime.fromisoformat(record.at).timestamp() if record is not None else 0.0
    return frozenset(
        comment.id
        for comment in thread.comments
        if adopted <= (written := comment.created_at.timestamp()) and written > oldest
        if not (comment.hidden or is_by(me, comment.author_id, comment.author_name))
    )


def _answer(context: BoardContext, registry: Registry, heard: CommentCommands, reply: Reply | None) -> int:
    """Say, do, say again; how many replies were posted."""
    person = people.author(context, heard.comment)
    if person is None:
        log.warning("a command of nobody", comment=heard.comment.id, name=heard.comment.author_name)
        if reply is not None:
            give_up(context, heard.repo, heard.thread, reply)
        return 0
    sections = _sections(context, registry, heard, person, is_first=reply is None)
    posted = 0
    if reply is None:
        reply = post(context, heard, sections) if sections else None
        if reply is None:
            return 0
        pass_by(SAID)
        posted = 1
    if not are_final(sections):
        sections = [_done(section) for section in sections]
        pass_by(ACTED)
    record_sections(context, heard, person, sections)
    edit(context, heard, reply, sections)
    return posted


def _sections(
    context: BoardContext, registry: Registry, heard: CommentCommands, person: Person, *, is_first: bool
) -> list[Section]:
    """What there is to say to each command; none where they are ignored."""
    first = heard.commands[0].line
    if is_first and (wait := may_go_on(context, person, heard.comment)) is not None:
        text = refusal("too-fast", most=wait.most, wait=in_words(wait.seconds))
        return [] if wait.is_told else [Section(first, text)]
    if is_first and heard.comment.edited:
        return [Section(first, refusal("edited"))]
    sections = [
        _section(context, registry, heard, person, command, number, resumed=not is_first)
        for number, command in enumerate(heard.commands[:MOST])
    ]
    if len(heard.commands) > MOST:
        sections.append(Section(heard.commands[MOST].line, refusal("too-many", most=MOST)))
    return sections


def _section(
    context: BoardContext,
    registry: Registry,
    heard: CommentCommands,
    person: Person,
    command: Command,
    number: int,
    *,
    resumed: bool,
) -> Section:
    call: Call | Answer | None = None
    try:
        call = _call(context, registry, heard, person, command, number, resumed=resumed)
        if isinstance(call, Answer):
            return Section(command.line, call)
        answer = call.verb.run(call) if call.roles & call.verb.who else _not_allowed(call)
    except HubError as error:
        answer = _refused(error)
    return Section(command.line, answer, call if isinstance(call, Call) else None)


def _call(
    context: BoardContext,
    registry: Registry,
    heard: CommentCommands,
    person: Person,
    command: Command,
    number: int,
    *,
    resumed: bool,
) -> Call | Answer:
    """The call that `command` is, be it allowed or not; or why it is none."""
    verb = registry.find(command.verb)
    if verb is None:
        nearest = registry.nearest(command.verb)
        assert nearest is not None
        return refusal("unknown", verb=f"/{command.verb}", nearest=f"/{nearest.name}")
    if heard.place not in verb.where:
        return refusal("wrong-place", verb=f"/{verb.name}", where=" or ".join(sorted(verb.where)))
    arguments = bind(verb, command)
    if isinstance(arguments, BadArguments):
        return _misused(verb, arguments)
    target = find_target(context, verb, arguments, heard.repo, heard.thread)
    if isinstance(target, Answer):
        return target
    about = {"model": target.model, "submitter": target.submitter}
    person, roles = people.roles(context, person, **about, fresh=verb.irreversible, enough=verb.apart or verb.who)
    where = (heard.place, heard.repo, heard.thread, heard.comment, number)
    return Call(context, verb, arguments, *where, person, roles, target.model, target.entries, resumed)


def _misused(verb: Verb, misused: BadArguments) -> Answer:
    return refusal("misused", why=misused.why, usage=verb.usage, example=next(iter(verb.examples), ""))


def _not_allowed(call: Call) -> Answer:
    who, namespace = call.verb.who, call.model.partition("/")[0]
    unproven = Role.OWNER in who and call.person.role_in(namespace) == ""
    return refusal("not-allowed", verb=f"/{call.verb.name}", who=who_may(who), is_owner_unproven=unproven)


def _done(section: Section) -> Section:
    """The section, with what it says done."""
    act = section.answer.act
    if act is None:
        return section
    try:
        answer = Answer(act(), allowed=section.answer.allowed)
    except HubError as error:
        answer = _refused(error)
    return Section(section.line, answer, section.call)


def _refused(error: HubError) -> Answer:
    """What there is to say where the Hub will not let us, however often we try; other errors are none of a person's
    business, and raised on."""
    if isinstance(error, Transient | RateLimited | BadToken):
        raise error
    log.warning("a command failed", error=f"{type(error).__name__}: {error}")
    return refusal("hub", why=str(error)[:300])
