"""Many accounts of one person, one account with many reports, and programs that answer each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from huggingface_hub import HfApi

from bot.core.context import BoardContext
from bot.flags import reports as flag_reports
from bot.flags.reports import reports
from bot.probe import Probe
from bot.processes.sync_loop import SyncLoop
from bot.threads import maintainers_list
from bot.threads.maintainers_list import sync_digest, waiting_threads
from hub.client import Hub
from hub.comments import marked
from leaderboard import waiting_items
from steward.testing.board import REQUESTS
from steward.testing.hub import open_board
from tests.support.board.flags import SPACE, AppealThread, FlagBoardDriver, flags_world


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board with a flags repo, and an account for a second bot."""
    world = flags_world().user("other-bot")
    with open_board(world, tmp_path, connection, probe, FlagBoardDriver) as driver:
        yield driver


def account(stand: FlagBoardDriver, name: str) -> HfApi:
    """Create an account, and return an API client with its token."""
    accounts = stand.hub.state.accounts
    accounts.add_token(accounts.create(name), f"hf_{name}", {"role": "write"})
    return HfApi(stand.hub.url, token=f"hf_{name}")


def test_ten_accounts_that_report_one_model_are_one_report(stand: FlagBoardDriver) -> None:
    """Reports of one model by ten accounts make one row, flag nothing, and stay when a thread is edited to another."""
    talks = [
        AppealThread(stand, "[FLAG] ada/copy", "It is bob/original.", account(stand, f"puppet-{n}")) for n in range(10)
    ]
    (report,) = reports(stand.context)
    gathered = report.gathered
    assert len(report.threads) == 10
    assert [thread.title for thread in waiting_threads(stand.context)] == ["[FLAG] ada/copy"]
    assert {len(talk.replies()) for talk in talks} == {1}
    puppet, last = HfApi(stand.hub.url, token="hf_puppet-9"), talks[-1]
    puppet.rename_discussion(SPACE, last.number, new_title="[FLAG] bob/original", repo_type="space")
    puppet.edit_discussion_comment(
        SPACE, last.number, last.events()[0].id, "/flag copy bob/original it is a copy", repo_type="space"
    )
    last.look()
    assert "edited comments" in last.replies()[-1]
    assert {report.model: report.gathered == gathered for report in reports(stand.context)} == {
        "ada/copy": True,
        "bob/original": False,
    }
    assert stand.table() is None


def test_one_account_that_reports_many_takes_little(stand: FlagBoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot gathers evidence for an account's first reports only, and shows few of its threads on the digest."""
    monkeypatch.setattr(flag_reports, "MAX_OF_REPORTER", 3)
    monkeypatch.setattr(waiting_items, "MAX_OF_AUTHOR", 3)
    mallory = account(stand, "mallory")
    for name in ("copy", "tuned", "merged", "half", "plain"):
        AppealThread(stand, f"[FLAG] ada/{name}", "It cheats.", mallory)
    AppealThread(stand, "[FLAG] ada/loud", "It cheats.", stand.bob)
    gathered = {report.model for report in reports(stand.context) if report.gathered}
    assert gathered == {"ada/copy", "ada/tuned", "ada/merged", "ada/loud"}
    assert len(waiting_threads(stand.context)) == 6
    sync_digest(stand.context)
    (digest,) = [thread for thread in stand.threads() if thread.title == maintainers_list.TITLE]
    assert digest.events[0].content.count("| mallory |") == 3
    assert digest.events[0].content.count("| bob |") == 1
    assert "2 more" in digest.events[0].content


def test_a_program_that_answers_each_of_our_comments_is_left_alone(stand: FlagBoardDriver) -> None:
    """A program that comments on each reply, without commands, gets at most three replies."""
    path = stand.submit("ada/good", sender="ada")
    stand.settle()
    echo = account(stand, "echo")
    talk = AppealThread(stand, "How do I submit a model?", "Hello, how do I submit a model?", echo)
    for round_number in range(8):
        reply = talk.replies()[-1] if talk.replies() else "Hello."
        before = len(talk.replies())
        quoted = "\n".join(f"> {line}" for line in reply.splitlines())
        words = (
            f"Thank you! {quoted}\n\nHow do I submit a model?",
            f"{reply}\n\nWhat does this mean?",
            marked(f"I am a bot. See {stand.hub.url}/datasets/{REQUESTS}/blob/main/{path}", "<!-- steward:1 x y -->"),
            "My model ada/good failed, please evaluate it again.",
        )[round_number % 4]
        talk.say(words, echo)
        if round_number > 3:
            assert len(talk.replies()) == before, talk.replies()[-1]
    assert len(talk.replies()) <= 3


def test_two_boards_in_one_thread_do_not_answer_each_other(stand: FlagBoardDriver) -> None:
    """The bots of two boards in one thread answer each of a person's comments at most once, and not each other."""
    old, bot = stand.context, "hf_other-bot"
    board = old.board.model_copy(update={"name": "second"})
    with Hub(stand.hub.url, bot) as hub:
        second = BoardContext(
            board, old.suite, hub, old.redis, now=lambda: stand.time, probe=old.probe, mirrors=old.mirrors
        )
        loop = SyncLoop(second)
        talk = AppealThread(stand, "How do I submit a model?", "Hello, how do I submit a model?")
        comments = 1
        for words in ("/status ada/good", "/flag other ada/copy it cheats", "/submitt ada/good", "", "", ""):
            if words:
                stand.bob.comment_discussion(SPACE, talk.number, comment=words, repo_type="space")
                comments += 1
            for _ in range(2):
                talk.look()
                second.mark(f"thread:space/{SPACE}:{talk.number}")
                while (claim := second.dirty.claim(now=stand.time, lease=60)) is not None:
                    loop.sync(claim)
    authors = [author for author, _ in talk.comments()]
    assert authors.count("bob") == comments
    assert 3 <= authors.count("steward-bot") <= comments
    assert 3 <= authors.count("other-bot") <= comments
