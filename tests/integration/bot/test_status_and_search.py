"""What the status comment compares, when a thread is closed and opened again, and what `/search` finds."""

from __future__ import annotations

import pytest

from bot.results import searching
from hub.records import Repo
from leaderboard.attempts import number_in
from leaderboard.effects import Effects
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.discussion import Discussion
from tests.support.board.published_details import publish


@pytest.fixture
def board(stand: BoardDriver) -> BoardDriver:
    """A board on which the form is a maintainer and a worker waits."""
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (form,), "front_ends": (form,)})
    stand.worker()
    return stand


def finish(stand: BoardDriver, path: str) -> None:
    """Evaluate the request that waits at `path`, and publish its results."""
    stand.worker()
    stand.context.mark("queue")
    stand.settle()
    (job,) = [job for job in stand.queued() if job.path == path]
    stand.take(job)
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite, number=number_in(job.attempt)))
    stand.settle()
    assert stand.file(path)["status"] == "FINISHED"


def told(stand: BoardDriver, model: str) -> tuple[str, str]:
    """Status and opening post of the thread of a request for `model`."""
    (thread,) = [thread for thread in stand.threads() if thread.title.startswith(f"Evaluation of {model} ")]
    return thread.status, thread.events[0].content


def test_scores_stand_beside_those_of_the_base_and_of_the_best_of_the_category(board: BoardDriver) -> None:
    """The status comment compares scores with those of the base model and of the best other model of the category."""
    first = board.submit("ada/good", sender="ada", model_type="💬 : chat models")
    finish(board, first)
    assert "| benchmark | score | raw |\n" in told(board, "ada/good")[1]
    config = board.ada.hf_hub_download("ada/good", "config.json")
    board.ada.create_repo("ada/better")
    board.ada.upload_file(path_or_fileobj=config, path_in_repo="config.json", repo_id="ada/better")
    board.ada.upload_file(path_or_fileobj=b"y", path_in_repo="model.safetensors", repo_id="ada/better")
    second = board.submit("ada/better", sender="ada", model_type="chat", base_model="ada/good")
    finish(board, second)
    _, post = told(board, "ada/better")
    assert "| benchmark | score | raw | ada/good | ada/good |\n" in post
    assert "is the model that this one was made from" in post
    assert "the best of the other chat models" in post
    assert "`/resubmit` to have a newer commit evaluated" in post


def test_a_finished_thread_is_closed_and_opened_again_with_its_request(board: BoardDriver) -> None:
    """The bot closes a finished request's thread, and a relaunch opens it; if a person reopens it, it stays open."""
    path = board.submit("ada/good", sender="ada")
    board.settle()
    assert told(board, "ada/good")[0] == "open"
    finish(board, path)
    assert told(board, "ada/good")[0] == "closed"
    talk = Discussion(board)
    assert "evaluated again" in talk.ask("/relaunch ada/good", board.form)
    board.settle()
    assert told(board, "ada/good")[0] == "open"
    assert "It was relaunched by a command" in told(board, "ada/good")[1]
    finish(board, path)
    number = board.context.index.get(path).thread
    assert number is not None
    board.form.change_discussion_status(REQUESTS, number, "open", repo_type="dataset")
    board.context.mark(f"request:{path}")
    board.context.mark(f"thread:dataset/{REQUESTS}:{number}")
    board.settle()
    assert told(board, "ada/good")[0] == "open"


def test_what_is_withdrawn_is_closed_and_what_failed_stays_open(board: BoardDriver) -> None:
    """The bot closes the thread of a cancelled request, and leaves that of a failed one open."""
    board.context.workers.leave("w")
    board.submit("ada/good", sender="ada")
    board.settle()
    Discussion(board).ask("/cancel ada/good the wrong revision")
    board.settle()
    status, post = told(board, "ada/good")
    assert (status, "the wrong revision" in post) == ("closed", True)
    board.submit("ada/pickled", sender="ada")
    board.settle()
    assert told(board, "ada/pickled")[0] == "open"


def test_closing_can_be_held_back(board: BoardDriver) -> None:
    """Where closing is in shadow the thread stays open, and the list of shadowed writes has the closing."""
    modes = dict.fromkeys(board.context.board.effects.modes, "on") | {"close": "shadow"}
    board.context.board = board.context.board.model_copy(update={"effects": Effects.model_validate(modes)})
    path = board.submit("ada/good", sender="ada")
    board.settle()
    finish(board, path)
    assert told(board, "ada/good")[0] == "open"
    assert any(write.does.startswith("Close #") for write in board.context.effects.shadow.read().things)


def test_status_links_all_that_there_is_to_see_of_a_result(board: BoardDriver) -> None:
    """`/status` links the request file, the results, and the dataset of questions and answers."""
    path = board.submit("ada/good", sender="ada")
    finish(board, path)
    reply, context = Discussion(board).ask("/status ada/good"), board.context
    details = context.address(Repo("dataset", context.board.repos.details("ada/good")))
    assert f"[details]({details})" in reply
    assert f"[request file]({context.address(context.requests, path)})" in reply
    assert f"[results]({context.address(context.results, board.file(path)['steward']['results'])})" in reply


def test_search_finds_what_the_index_knows(board: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Search finds by name, state, submitter and score, and suggests near names; private models are left out.

    Flags are read only if the query depends on them.
    """
    finish(board, board.submit("ada/good", sender="ada", model_type="merge", license="mit"))
    board.submit("ada/pickled", sender="bob")
    board.settle()
    talk = Discussion(board)
    reply = talk.ask("/search good; nothing; Hub License: MIT")
    assert "| [ada/good](" in reply
    assert f"| float32 | finished | {searching.find(board.context, 'good', limit=1).hits[0].average:.2f} |" in reply
    assert "ada/pickled" not in reply
    assert "ada/pickled" in talk.ask("/search status: failed; submitted by: bob")
    assert "Did you mean: `ada/good`" in talk.ask("/search ada/god")
    assert "Did you mean `Hub License`?" in talk.ask("/search Hub Lisence: mit")
    assert "holds numbers" in talk.ask("/search Average: many")
    asked = list[str]()
    monkeypatch.setattr(board.context.flag_book, "records", lambda: asked.append("flags") or [])
    assert searching.find(board.context, "ada", limit=9).hits
    assert not asked
    assert not searching.find(board.context, "ada; status: finished; flagged: yes", limit=9).hits
    assert asked == ["flags"]
    entry = board.context.index.get("ada/good_eval_request_False_float32_Original.json")
    hidden = entry.standing.model_copy(update={"access": "private"})
    board.context.index.put(entry.model_copy(update={"standing": hidden}))
    assert "I found nothing" in talk.ask("/search good")
    assert "ada/good" not in talk.ask("/search ada/god").splitlines()[-1]
