"""The commands in a thread: each comment that holds some gets one reply, posted before its effect, edited after it.

    comment           what a person wrote; counts if it is new, was not edited, is not hidden, and is not our own
    reply, `doing`    says that something is being done; was it? It is done again, which changes nothing
    reply, `answer`   says what was done, or why not; nothing more will happen

The reply is found again by its hidden marker, which names the comment. So a comment is answered once however often its
delivery comes, and also after Redis was lost; and a bot that died in the middle goes on where it was.

Race closed: two commands at once that contradict each other. Those of one thread are run in the order of their
comments; those of two threads by whoever comes first, and the other is told how things are then.
Race closed: a comment is edited after it was run. Nothing is read from it again but what its verb needs to go on.
Race accepted: a person edits their comment before it was first read. They are told to write it anew.
Race accepted: a reply that a maintainer hid shows no marker, so the command is answered again. It has no second effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog

from bot.commands import people
from bot.commands.call import Answer, Call, say
from bot.commands.grammar import MOST, Command, commands_in
from bot.commands.limits import may_go_on
from bot.commands.record import record
from bot.commands.registry import Misused, Place, Registry, Verb, bind
from bot.commands.targets import Target, find_target
from bot.desk import Desk
from bot.texts.render import Safe
from bot.texts.times import in_words
from hub.comments import Marker, is_by, marker_of
from hub.records import Comment, Repo, Thread
from leaderboard.roles import Person, Role, who_may
from wire.crashpoints import pass_by, point

log = structlog.get_logger()

DOING, ANSWER = "doing", "answer"
OLDEST = 7 * 86_400
"""Seconds after which a command that nobody answered is left unanswered: whoever gave it does not wait any more."""

SAID = point("reply posted, command without effect")
ACTED = point("command had its effect, reply not edited")


@dataclass(frozen=True)
class Reply:
    """A reply of ours to a comment."""

    comment: Comment
    is_final: bool


@dataclass(frozen=True)
class Section:
    """One command of a comment, and what there is to say to it."""

    line: str
    answer: Answer
    call: Call | None = None
    """None where it came to no call."""

    @property
    def text(self) -> Safe:
        """The words of the answer."""
        return self.answer.text


@dataclass(frozen=True)
class Heard:
    """A comment that holds commands, where it stands."""

    repo: Repo
    thread: Thread
    place: Place
    comment: Comment
    commands: tuple[Command, ...]


def answer_commands(desk: Desk, registry: Registry, repo: Repo, thread: Thread, place: Place) -> int:
    """Answer every command in `thread` that has no final answer yet; how many replies were posted."""
    replies = _replies(desk, thread)
    posted = 0
    for comment in thread.comments:
        reply = replies.get(comment.id)
        if (reply is not None and reply.is_final) or not _may_hold_commands(desk, comment):
            continue
        commands = commands_in(comment.text)
        known = tuple(one for one in commands if registry.find(one.verb) or registry.nearest(one.verb))
        if known:
            posted += _answer(desk, registry, Heard(repo, thread, place, comment, known), reply)
    return posted


def _replies(desk: Desk, thread: Thread) -> dict[str, Reply]:
    """Our replies in `thread`, by the id of the comment that each answers."""
    me, found = desk.me(), dict[str, Reply]()
    for comment in thread.comments:
        marker = marker_of(comment.text) if is_by(me, comment.author_id, comment.author_name) else None
        if marker is not None and marker.board == desk.board.name and marker.kind in (DOING, ANSWER):
            found.setdefault(marker.key, Reply(comment, marker.kind == ANSWER))
    return found


def _may_hold_commands(desk: Desk, comment: Comment) -> bool:
    if comment.hidden or is_by(desk.me(), comment.author_id, comment.author_name):
        return False
    record = desk.adoption.record()
    written = comment.created_at.timestamp()
    is_before = record is not None and written < datetime.fromisoformat(record.at).timestamp()
    return not is_before and written > desk.now() - OLDEST


def _answer(desk: Desk, registry: Registry, heard: Heard, reply: Reply | None) -> int:
    """Say, do, say again; how many replies were posted."""
    person = people.author(desk, heard.comment)
    if person is None:
        log.warning("a command of nobody", comment=heard.comment.id, name=heard.comment.author_name)
        return 0
    sections = _sections(desk, registry, heard, person, is_first=reply is None)
    posted = 0
    if reply is None:
        said = _post(desk, heard, sections)
        if said is None:
            return 0
        reply, posted = said, 1
    if not _are_final(sections):
        sections = [_done(section) for section in sections]
        pass_by(ACTED)
    _edit(desk, heard, reply, sections)
    record(desk, heard, person, sections)
    return posted


def _sections(desk: Desk, registry: Registry, heard: Heard, person: Person, *, is_first: bool) -> list[Section]:
    if is_first and heard.comment.edited:
        return [Section(heard.commands[0].line, _no("edited"))]
    if is_first and (wait := may_go_on(desk, person, heard.comment)) is not None:
        text = _no("too-fast", most=wait.most, wait=in_words(wait.seconds))
        return [Section(heard.commands[0].line, text)]
    sections = [
        _one(desk, registry, heard, person, command, number, resumed=not is_first)
        for number, command in enumerate(heard.commands[:MOST])
    ]
    if len(heard.commands) > MOST:
        sections.append(Section(heard.commands[MOST].line, _no("too-many", most=MOST)))
    return sections


def _one(
    desk: Desk, registry: Registry, heard: Heard, person: Person, command: Command, number: int, *, resumed: bool
) -> Section:
    found = _call(desk, registry, heard, person, command, number, resumed=resumed)
    if isinstance(found, Answer):
        return Section(command.line, found)
    return Section(command.line, found.verb.run(found), found)


def _call(
    desk: Desk, registry: Registry, heard: Heard, person: Person, command: Command, number: int, *, resumed: bool
) -> Call | Answer:
    """The call that `command` is, or why it is none."""
    verb = registry.find(command.verb)
    if verb is None:
        nearest = registry.nearest(command.verb)
        assert nearest is not None
        return _no("unknown", verb=f"/{command.verb}", nearest=f"/{nearest.name}")
    if heard.place not in verb.where:
        return _no("wrong-place", verb=f"/{verb.name}", where=" or ".join(sorted(verb.where)))
    arguments = bind(verb, command)
    if isinstance(arguments, Misused):
        return _misused(verb, arguments)
    target = find_target(desk, verb, arguments, heard.repo, heard.thread)
    if isinstance(target, Answer):
        return target
    person, roles = people.roles(desk, person, model=target.model, submitter=target.submitter, fresh=verb.irreversible)
    if not roles & verb.who:
        return _not_allowed(verb, person, target)
    where = (heard.place, heard.repo, heard.thread, heard.comment, number)
    return Call(desk, verb, arguments, *where, person, roles, target.model, target.entries, resumed)


def _misused(verb: Verb, misused: Misused) -> Answer:
    return _no("misused", why=misused.why, usage=verb.usage, example=next(iter(verb.examples), ""))


def _not_allowed(verb: Verb, person: Person, target: Target) -> Answer:
    namespace = target.model.partition("/")[0]
    unproven = Role.OWNER in verb.who and person.role_in(namespace) == ""
    return _no("not-allowed", verb=f"/{verb.name}", who=who_may(verb.who), is_owner_unproven=unproven)


def _no(kind: str, **words: object) -> Answer:
    return Answer(say("trouble", kind=kind, **words), allowed=False)


def _post(desk: Desk, heard: Heard, sections: list[Section]) -> Reply | None:
    is_final = _are_final(sections)
    marker = _marker(desk, heard, is_final=is_final)
    text = _text(desk, heard, sections)
    said = desk.effects.comment(heard.repo, heard.thread.num, text, marker, asked=True, seen=heard.thread)
    if said is None:
        return None
    desk.echoes.caused("discussion", heard.repo.id, now=desk.now())
    pass_by(SAID)
    return Reply(said, is_final)


def _done(section: Section) -> Section:
    """The section, with what it says done."""
    act = section.answer.act
    if act is None:
        return section
    return Section(section.line, Answer(act(), allowed=section.answer.allowed), section.call)


def _edit(desk: Desk, heard: Heard, reply: Reply, sections: list[Section]) -> None:
    """Have the reply say how things are now."""
    is_final = _are_final(sections)
    text, marker = _text(desk, heard, sections), _marker(desk, heard, is_final=is_final)
    done = desk.effects.edit_comment(
        heard.repo, heard.thread.num, reply.comment.id, text, marker, seen=reply.comment.text
    )
    if done == "done":
        desk.echoes.caused("discussion", heard.repo.id, now=desk.now())


def _are_final(sections: Iterable[Section]) -> bool:
    return all(section.answer.act is None for section in sections)


def _marker(desk: Desk, heard: Heard, *, is_final: bool) -> Marker:
    return desk.marker(ANSWER if is_final else DOING, heard.comment.id)


def _text(desk: Desk, heard: Heard, sections: list[Section]) -> str:
    link = f"{desk.address(heard.repo)}/discussions/{heard.thread.num}#{heard.comment.id}"
    return str(say("reply", sections=sections, author=heard.comment.author_name, link=link))
