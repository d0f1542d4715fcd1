"""Maintainers flag models, lift flags and dismiss reports by buttons, and owners appeal, by the rules of threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.flags.reports import reports
from bot.probe import Probe
from bot.threads.maintainers_list import waiting_threads
from leaderboard.roles import Person
from localhub.testing import LocalHub
from redis_state import clock
from redis_state.board.mailbox import Mailbox
from redis_state.board.messages import PageCommand, PageCommandResult
from steward.valkey import Valkey
from tests.support.board.flags import SPACE, AppealThread, FlagBoardDriver, flags_world, no_flags

# Each test waits for several commits, also on a busy machine.
pytestmark = pytest.mark.timeout(600)


def appeal_and_uphold(stand: FlagBoardDriver, thread: str) -> None:
    """Have the owner appeal once, a maintainer uphold the flag, and a later appeal open the discussion again."""
    mia, bob, ada = (Person(stand.context.hub.user(name).id, name) for name in ("form", "bob", "ada"))
    appealing = {"model": "ada/plain", "reason": "its <b>card</b> says so"}
    assert given(stand, bob, "appeal", appealing).allowed is False
    for _ in range(2):  # a click that comes twice
        assert given(stand, ada, "appeal", appealing).outcome == "done"
    upheld = given(stand, mia, "dismiss", {"reason": "it is a merge"}, thread=thread)
    assert (upheld.outcome, "stays" in upheld.text) == ("done", True)
    number = int(thread.rpartition("/")[2])
    talk = stand.ada.get_discussion_details(SPACE, number, repo_type="space")
    words = [event.content for event in talk.events if event.type == "comment"]
    assert [text.count("appeals against the flag") for text in words].count(1) == 1
    assert any("[ada](" in text and ", the model's owner, " in text for text in words), "listed among the appeals"
    assert talk.status == "closed"
    assert given(stand, ada, "appeal", appealing, key="later").outcome == "done"
    assert stand.ada.get_discussion_details(SPACE, number, repo_type="space").status == "open"


def test_a_maintainer_flags_a_model_and_lifts_the_flag(tmp_path: Path, valkey: Valkey, probe: Probe) -> None:
    """A maintainer's flag gets a discussion and recorded decisions; other people can neither flag nor unflag."""
    with LocalHub(tmp_path / "hub", flags_world()) as hub, no_flags(hub, valkey, probe) as stand:
        mia, bob = (Person(stand.context.hub.user(name).id, name) for name in ("form", "bob"))
        flagging = {"category": "merge", "models": "ada/plain", "reason": "its card does not say that it is one"}
        refused = given(stand, bob, "flag", flagging)
        assert (refused.allowed, "Only a maintainer" in refused.text) == (False, True)
        outcome = given(stand, mia, "flag", flagging)
        assert (outcome.outcome, "in its own discussion" in outcome.text) == ("done", True)
        assert stand.record("ada/plain")["decisions"][0]["by_id"] == mia.id
        (record,) = stand.context.flag_book.of(["ada/plain"])
        assert record.thread.startswith(f"{hub.url}/spaces/{SPACE}/discussions/")
        again = given(stand, mia, "flag", flagging, key="another page")
        assert (again.outcome, "is flagged already" in again.text) == ("unchanged", True), again.text
        assert [flag.thread for flag in stand.context.flag_book.of(["ada/plain"])] == [record.thread]
        appeal_and_uphold(stand, record.thread)
        lifting = {"models": "ada/plain", "reason": "its card says so now"}
        assert given(stand, bob, "unflag", lifting).allowed is False
        assert given(stand, mia, "unflag", lifting).outcome == "done"
        assert not any(flag.stands for flag in stand.context.flag_book.of(["ada/plain"]))
        assert given(stand, mia, "unflag", lifting, key="late").outcome == "unchanged"
        for thread in ("", "https://evil.example/discussions/1", f"{hub.url}/spaces/{SPACE}/discussions/999"):
            assert given(stand, mia, "reject", {"reason": "no"}, thread=thread, key=thread).allowed is False
        decisions = stand.context.decisions.newest(limit=20)
        assert {(decision.verb, decision.thread, decision.allowed) for decision in decisions} >= {
            ("flag", None, True),
            ("flag", None, False),
            ("unflag", None, True),
        }


def test_a_report_that_a_maintainer_dismisses_by_a_button_stays_dismissed(
    tmp_path: Path, valkey: Valkey, probe: Probe
) -> None:
    """The bot posts the dismissal with its reason once and closes the discussion, until a person reports anew."""
    with LocalHub(tmp_path / "hub", flags_world()) as hub, no_flags(hub, valkey, probe) as stand:
        mia = Person(stand.context.hub.user("form").id, "form")
        case = AppealThread(stand, "[FLAG] ada/copy", "It is bob/original.")
        (waiting,) = waiting_threads(stand.context)
        assert (waiting.url.rpartition("/")[2], waiting.topic) == (str(case.number), "flag report")
        for _ in range(2):  # a click that comes twice
            dismissed = given(stand, mia, "dismiss", {"reason": "its card names it"}, thread=waiting.url)
            assert (dismissed.outcome, "not flagged: its card names it" in dismissed.text) == ("done", True)
        for _ in range(2):
            case.look()
            assert (case.status, reports(stand.context), waiting_threads(stand.context)) == ("closed", [], [])
        (comment,) = [text for text in case.replies() if "A maintainer dismissed the report of **ada/copy**" in text]
        assert "> its card names it" in comment
        case.say("/flag copy ada/copy its card names another model now", stand.bob)
        for _ in range(2):
            assert (case.status, [report.model for report in reports(stand.context)]) == ("open", ["ada/copy"])
            case.look()


def given(stand: FlagBoardDriver, person: Person, verb: str, arguments: dict[str, str], **more: str) -> Any:
    """Give a command by a button as `person`, do all that follows from it, and return the answer."""
    command = PageCommand(
        person_id=person.id,
        person_name=person.name,
        verb=verb,
        arguments=arguments,
        at=stand.time,
        **{"key": "a page", **more},
    )
    mailbox = Mailbox(stand.context.redis, stand.context.keys, PageCommand, PageCommandResult)
    mailbox.put(command)
    stand.time = clock.now() + 1  # a key is due by the clock of Redis
    stand.context.mark(command.dirty_key)
    stand.work()
    answer = mailbox.read(command.message_id)
    assert answer is not None
    return answer
