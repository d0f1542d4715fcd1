"""The table of commands by verb, place, state and role, run on a board: every reply, and every file afterwards.

`make test` plays each command in each place and with each outcome, and in each place each state, at least once; `make
matrices` plays all cells.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest
import redis

from bot.core.context import request_key
from bot.probe import Probe
from bot.threads.verbs import REGISTRY
from hub.comments import marker_of
from leaderboard.boards import MaintainingOrganisation
from leaderboard.roles import who_may
from redis_state.dirty import SyncPriority
from steward.testing.running import running
from steward.testing.waiting import wait_until
from steward.valkey import Valkey
from tests.support.board.command_table import EFFECTS, PEOPLE, SPACE, WORDS, Cell, Table, people_and_models, read_table

TABLE = read_table()
ELSEWHERE = {"try", "rename", "flag", "unflag", "dismiss", "remove", "restore", "publish-scores", "unpublish-scores"}
"""Verbs about trials, renames, flags and models' own pages, which are tested with those."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey, probe: Probe) -> Iterator[Table]:
    """The table, after all commands were written and answered."""
    folder = tmp_path_factory.mktemp("table")
    with redis.Redis.from_url(valkey.url) as connection, pytest.MonkeyPatch.context() as patch:
        connection.flushall()
        patch.setattr("bot.threads.limits.MAX_COMMANDS", 1_000)
        keepers = (MaintainingOrganisation(name="keepers"),)
        people = people_and_models(TABLE)
        with running(folder, people, connection, valkey.url, probe, maintainer_organisations=keepers) as stand:
            mia, form = (stand.context.hub.user(name).id for name in ("mia", "form"))
            stand.context.board = stand.context.board.model_copy(update={"maintainers": (mia,), "front_ends": (form,)})
            table = Table(stand, TABLE)
            table.play()
            yield table


@pytest.mark.long("plays hundreds of commands; test_commands_verbs has every kind")
def test_the_table_is_large_and_has_every_verb(played: Table) -> None:
    """Every verb is in it, every outcome is played, and there are at least 150 cells."""
    assert len(set(TABLE)) == len(TABLE) >= 150
    missing = {verb.name for verb in REGISTRY.verbs} - {cell.verb for cell in TABLE} - ELSEWHERE
    assert not missing, "write a row for each state of these verbs into commands_table.md"
    assert {cell.outcome for cell in TABLE} == {cell.outcome for cell in TABLE} == set(WORDS)


def test_each_command_has_the_reply_of_the_table(played: Table) -> None:
    """Each command has one reply, which says what the table says."""
    assert {str(cell): played.answers[cell] for cell in TABLE if not is_answered(played, cell)} == {}


def is_answered(played: Table, cell: Cell) -> bool:
    """Whether the command has one reply, with the words of its outcome and the name of its author."""
    verb = REGISTRY.find(cell.verb)
    who = who_may(verb.who) if verb is not None else ""
    words = WORDS[cell.outcome].format(verb=cell.verb, who=who)
    replies = played.answers[cell]
    return len(replies) == 1 and words in replies[0] and f"[{PEOPLE[cell.role]}]" in replies[0]


def test_what_was_done_stands_in_the_files_and_nothing_else_does(played: Table) -> None:
    """A request file is changed where the table says so, and otherwise keeps its status and its causes."""
    files = played.files()
    for cell in TABLE:
        if cell.outcome in EFFECTS:
            assert EFFECTS[cell.outcome](files[cell.path]), str(cell)
        elif cell.has_request:
            assert files[cell.path]["status"] == played.begun[cell.path]["status"], str(cell)
            facts = files[cell.path].get("steward", {})
            assert facts.get("causes", []) == played.begun[cell.path].get("steward", {}).get("causes", [])
    named = {cell.path for cell in TABLE if cell.has_request or cell.outcome in ("submitted", "merged")}
    assert set(files) == named


def test_pull_requests_are_merged_and_closed_as_the_table_says(played: Table) -> None:
    """A pull request is merged or closed only where the table says that a maintainer did it."""
    for cell in TABLE:
        if cell.place == "pull" and cell.state in ("passed", "problems"):
            wanted = {"merged": "merged", "rejected": "closed"}.get(cell.outcome, "open")
            number, _ = played.pulls[cell.model]
            assert played.stand.context.hub.thread(played.stand.context.requests, number).status == wanted, str(cell)


def test_every_decision_and_every_refusal_is_recorded(played: Table) -> None:
    """The logs repo has one decision file for each command that decides something, and none for the others."""
    context = played.stand.context
    recorded = [file.path for file in context.hub.list_files(context.logs) if file.path.startswith("decisions/")]
    keys = Counter(path.rpartition("/")[2].partition("-")[0] for path in recorded)
    for cell, (_, _, comment) in played.said.items():
        verb = REGISTRY.find(cell.verb)
        is_one = verb is not None and verb.decides and cell.outcome not in ("none", "place")
        assert keys[comment] == int(is_one), str(cell)


def test_discussions_hold_one_reply_to_each_comment(played: Table) -> None:
    """The discussions hold the comments of the table and one reply to each: no error, no second reply."""
    context = played.stand.context
    for number in range(1, 5):
        thread = context.hub.thread(context.community, number)
        ours = [marker_of(comment.text) for comment in thread.comments if comment.author_name == "steward-bot"]
        assert len(thread.comments) == 1 + 2 * len(ours)
        assert all(marker is not None and marker.kind == "answer" for marker in ours)
    assert context.parking.all() == []


def test_a_command_is_answered_within_a_second_whatever_waits(
    played: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command is answered while a thousand background syncs wait, each of which makes a call."""
    context, times = played.stand.context, list[float]()
    names = (f"ada/gone{n}_eval_request_False_float32_Original.json" for n in range(1_000))
    context.mark_all(map(request_key, names), SyncPriority.BACKGROUND)
    for number in range(1, 4):
        began = time.monotonic()
        comment = played.apis["stranger"].comment_discussion(
            SPACE, number, comment="/status ada/talk-failed", repo_type="space"
        )
        wait_until(lambda comment=comment, number=number: played.is_answered(number, comment.id), interval=0.01)
        times.append(time.monotonic() - began)
    waiting = len(context.dirty)
    with capsys.disabled():
        shown = ", ".join(f"{seconds:.2f}" for seconds in times)
        print(f"\nanswered in {shown} s, with {waiting} of 1,000 syncs still waiting")
    assert waiting > 100, "the syncs ended before the commands, so nothing is tested"
    assert min(times) < 1.0
