"""Links and tables that use earlier names of the board's repos, which the Hub redirects to the present ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bot.flags import importing
from bot.probe import Probe
from bot.setup.consistency import disagreements
from bot.threads.maintainers_list import waiting_threads
from leaderboard.attempts import Failure
from steward.testing.board import REQUESTS
from steward.testing.hub import open_board
from tests.support.board.discussion import Discussion
from tests.support.board.flags import SPACE, AppealThread, FlagBoardDriver, flags_world

FORMER = {SPACE: "old/leaderboard", REQUESTS: "old/requests"}
LOST = Failure(cause="gpu-lost", fault="us", message="The evaluation machine has lost its GPU.")


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board whose Space and requests repo were renamed before it was adopted."""
    world = flags_world()
    for repo in world["repos"]:
        if repo["id"] in FORMER:
            repo["aliases"] = [FORMER[repo["id"]]]
    with open_board(world, tmp_path, connection, probe, FlagBoardDriver) as driver:
        driver.context.board = driver.context.board.model_copy(update={"attempts": 1})
        yield driver


def test_an_author_is_heard_in_a_thread_that_a_table_names_by_an_earlier_name(stand: FlagBoardDriver) -> None:
    """Imported flags get the present address of their thread, so an author's appeal there reaches the maintainers."""
    title = "Contamination of ada/good"
    number = stand.bob.create_discussion(SPACE, title, description="It is too good.", repo_type="space").num
    stand.time -= 60  # comments from now on are later than the import
    present = f"{stand.hub.url}/spaces/{SPACE}/discussions/{number}"
    earlier = present.replace(SPACE, FORMER[SPACE])
    stand.calls.clear()
    imported = importing.read(
        stand.context, json.dumps({"ada/good": earlier, "ada/copy": earlier}), category="other", by="m"
    )
    assert [problem.code for problem in imported.problems] == ["moved", "moved"]
    assert [record.thread for record in imported.records] == [present, present]
    assert [route for _, route in stand.calls].count("info") == 4, (
        "one for each model, and two for the repo's name, which the Hub redirects"
    )
    assert importing.write(stand.context, imported.records)
    stand.sync_flags()
    stand.sync_flags()
    case = AppealThread(stand, number=number)
    case.say("My model has been flagged improperly: it is no copy.", stand.ada)
    assert [thread.topic for thread in waiting_threads(stand.context)] == ["improper flag"]
    stand.form.change_discussion_status(SPACE, case.number, "closed", repo_type="space")
    case.look()
    case.say("Please look again.", stand.ada)
    assert case.status == "open"
    assert disagreements(stand.context) == []


@pytest.mark.parametrize(
    "thread",
    [
        "https://forum.example/t/1",
        "https://hub.example/spaces/old/leaderboard/discussions/1",
        "{}/spaces/x/y/discussions/2",
    ],
)
def test_an_address_elsewhere_is_kept_and_found_to_be_no_thread_of_ours(stand: FlagBoardDriver, thread: str) -> None:
    """The import keeps a thread's address on another site or repo as it is, and the consistency check reports it."""
    thread = thread.format(stand.hub.url)
    imported = importing.read(stand.context, json.dumps({"ada/good": thread}), category="other", by="m")
    assert ([disagreement.thread for disagreement in imported.records], imported.problems) == ([thread], ())
    importing.write(stand.context, imported.records)
    stand.sync_flags()
    stand.sync_flags()
    (disagreement,) = disagreements(stand.context)
    assert (disagreement.what, thread in disagreement.words) == ("flag-elsewhere", True)


def report(stand: FlagBoardDriver, name: str, path: str) -> str:
    """Report a failure as Ada, with a link that names the requests repo `name`; return the bot's first reply."""
    link = f"{stand.hub.url}/datasets/{name}/blob/main/{path}"
    talk = Discussion(stand, "My evaluation failed", link)
    talk.look()
    stand.settle()
    return talk.replies()[0]


def test_a_report_that_links_the_repo_by_an_earlier_name_is_taken(stand: FlagBoardDriver) -> None:
    """A link by an earlier name of the repo restarts the evaluation; a second link does not look up the name again."""
    path = stand.failed(LOST)
    assert "There is no request" not in report(stand, "Old/requests", path)
    assert stand.file(path)["status"] == "RERUN"
    stand.calls.clear()
    report(stand, FORMER[REQUESTS], path)
    assert "info" not in [route for _, route in stand.calls]


def test_a_later_comment_that_links_the_repo_by_an_earlier_name_is_a_report_too(stand: FlagBoardDriver) -> None:
    """A later comment with a link by an earlier name of the repo restarts the evaluation."""
    path = stand.failed(LOST)
    talk = Discussion(stand, "My evaluation failed", "Could you have a look?")
    talk.look()
    talk.say(f"It is {stand.hub.url}/datasets/{FORMER[REQUESTS]}/blob/main/{path}")
    assert "it is evaluated again" in talk.replies()[-1]
    assert stand.file(path)["status"] == "RERUN"


def test_links_to_repos_of_strangers_are_hardly_asked_about(stand: FlagBoardDriver) -> None:
    """The bot looks up no foreign repo whose link has the path of no request, and at most two others in a thread, twice
    each because one 404 may be wrong."""
    path = stand.failed(LOST)
    submitted = [path, *(path.replace("float32", word) for word in ("float16", "bfloat16", "4bit"))]
    unknown = [path.replace("float32", f"{n}bit") for n in range(10, 15)]
    for path_of_file in submitted[1:]:
        stand.submit("ada/good", path=path_of_file, precision=path_of_file.split("_")[-2])
    stand.settle()
    for paths, asked in ((unknown, 0), (submitted, 4)):
        stand.calls.clear()
        links = [f"{stand.hub.url}/datasets/eve/r{n}/blob/main/{path_of_file}" for n, path_of_file in enumerate(paths)]
        talk = Discussion(stand, "My evaluation failed", "\n".join(links))
        talk.look()
        assert "There is no request" in talk.replies()[0]
        assert [route for _, route in stand.calls].count("info") == asked
    assert stand.file(path)["status"] == "FAILED"
