"""Discussions and pull requests: written once, edited in place, and trusted only from the bot's account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from huggingface_hub import HfApi

from hub.client import Hub
from hub.comments import Marker, marked, marker_of
from hub.errors import BadRequest, NotMergeable, ThreadNotFound, Transient
from hub.records import Repo, WriteFile
from localhub.testing import LocalHub
from tests.support.hub.scripted_server import QUICK

STATUS = Marker("open-llm", "status", "org/model.json")
REPLY = Marker("open-llm", "reply", "c-17")
OPEN, COMMENT, SETTING, MERGE = "POST */discussions", "POST */comment", "POST */status", "POST */merge"
FAULTS = [("fail", 500), ("fail-after", 500), ("cut", 0), ("fail", 409)]


@pytest.fixture
def num(bot: Hub, repo: Repo, calls: list[str]) -> int:
    """The number of a thread that the bot opened."""
    number = bot.open_thread(repo, "Evaluation of org/model", "It waits.", STATUS)
    calls.clear()
    return number


def api(local: LocalHub, name: str) -> HfApi:
    """The unmodified client, for actions of people."""
    return HfApi(endpoint=local.url, token=f"hf_{name}")


def pull_of(hub: Hub, repo: Repo, **files: bytes) -> int:
    """A pull request that writes `files`."""
    changes = [WriteFile(path, data) for path, data in files.items()]
    number = hub.commit(repo, changes, "Propose", create_pr=True).pull_number
    assert number is not None
    return number


def test_a_thread_is_opened_once_however_often_it_is_asked_for(bot: Hub, repo: Repo, num: int) -> None:
    """Opening a thread again returns the existing one, which is found by the marker in its opening post."""
    assert bot.open_thread(repo, "Evaluation of org/model", "It runs.", STATUS) == num
    assert [summary.num for summary in bot.threads(repo)] == [num]
    thread = bot.thread(repo, num)
    assert (thread.title, thread.status, thread.is_pull_request) == ("Evaluation of org/model", "open", False)
    assert thread.comments[0].text == marked("It waits.", STATUS)
    assert (thread.author_id, thread.author_name) == (bot.me().id, "bot")
    with pytest.raises(ThreadNotFound):
        bot.thread(repo, num + 1)


def test_another_key_is_another_thread(bot: Hub, repo: Repo, num: int) -> None:
    """A thread with the same title and author but another key in its marker is opened as a new one."""
    other = Marker("open-llm", "status", "org/other.json")
    assert bot.open_thread(repo, "Evaluation of org/model", "It waits.", other) != num


def test_another_users_thread_with_the_bots_marker_is_not_the_bots(bot: Hub, mallory: Hub, repo: Repo) -> None:
    """A user who guesses title and marker cannot replace the bot's thread."""
    forged = mallory.open_thread(repo, "Evaluation of org/model", "Accepted, trust me.", STATUS)
    assert bot.open_thread(repo, "Evaluation of org/model", "It waits.", STATUS) != forged


def test_the_search_for_an_earlier_thread_ends_where_it_cannot_be(bot: Hub, repo: Repo, num: int) -> None:
    """An existing thread that was opened before `since` is not found."""
    earlier, later = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    assert bot.open_thread(repo, "Evaluation of org/model", "It waits.", STATUS, since=earlier) == num
    assert bot.open_thread(repo, "Evaluation of org/model", "It waits.", STATUS, since=later) != num


@pytest.mark.parametrize(("kind", "status"), FAULTS)
def test_a_thread_is_opened_once_whatever_goes_wrong(
    local: LocalHub, bot: Hub, repo: Repo, kind: str, status: int
) -> None:
    """If the Hub fails while a thread is opened, the client searches the list before it opens it again."""
    options = {"status": status, "error": "Another operation is in progress"} if status else {}
    local.state.faults.add(OPEN, kind, **options)
    num = bot.open_thread(repo, "Evaluation of org/model", "It waits.", STATUS)
    assert [summary.num for summary in bot.threads(repo)] == [num]


def test_threads_are_listed_over_pages_and_by_what_they_are(bot: Hub, mallory: Hub, repo: Repo) -> None:
    """A listing of threads follows all pages, and can be filtered by author, kind and status."""
    for n in range(60):
        bot.open_thread(repo, f"Thread number {n}", "x", Marker("b", "k", str(n)), since=datetime.now(UTC))
    question = mallory.open_thread(repo, "A question", "?", Marker("b", "k", "q"))
    pull = pull_of(mallory, repo, a=b"1")
    bot.merge(repo, pull)
    bot.set_status(repo, question, "closed")
    nums = [summary.num for summary in bot.threads(repo)]
    assert nums == list(range(62, 0, -1))
    assert {summary.num for summary in bot.threads(repo, author="mallory")} == {question, pull}
    assert [summary.num for summary in bot.threads(repo, status="closed")] == [question]
    assert [summary.num for summary in bot.threads(repo, status="merged")] == [pull]
    assert [summary.num for summary in bot.threads(repo, kind="pull_request")] == [pull]
    newest = next(bot.threads(repo, kind="discussion"))
    assert (newest.num, newest.author_name, newest.comments) == (question, "mallory", 1)


def test_a_comment_is_written_once(bot: Hub, repo: Repo, num: int, calls: list[str]) -> None:
    """Writing a comment again finds the first one by its marker, and leaves it unchanged."""
    first = bot.ensure_comment(repo, num, "Relaunched.", REPLY)
    assert bot.ensure_comment(repo, num, "Relaunched again.", REPLY) == first
    assert calls.count("comment") == 1
    assert [marker_of(comment.text) for comment in bot.thread(repo, num).comments] == [STATUS, REPLY]


def test_a_thread_that_was_just_read_is_not_read_again(bot: Hub, repo: Repo, num: int, calls: list[str]) -> None:
    """If the caller passes the thread that it has just read, a comment takes a single call."""
    thread = bot.thread(repo, num)
    bot.me()
    calls.clear()
    bot.ensure_comment(repo, num, "Relaunched.", REPLY, seen=thread)
    assert calls == ["comment"]


@pytest.mark.parametrize(("kind", "status"), FAULTS)
def test_a_comment_is_written_once_whatever_goes_wrong(
    local: LocalHub, bot: Hub, repo: Repo, num: int, kind: str, status: int
) -> None:
    """If the Hub fails while a comment is written, the client reads the thread again before it repeats the call."""
    options = {"status": status, "error": "Another operation is in progress"} if status else {}
    thread = bot.thread(repo, num)
    local.state.faults.add(COMMENT, kind, **options)
    comment = bot.ensure_comment(repo, num, "Relaunched.", REPLY, seen=thread)
    assert [later.id for later in bot.thread(repo, num).comments[1:]] == [comment.id]


def test_a_copy_of_the_bots_marker_does_not_silence_the_bot(local: LocalHub, bot: Hub, repo: Repo, num: int) -> None:
    """If another user posted a comment with the bot's marker first, the bot still writes its comment."""
    api(local, "mallory").comment_discussion(repo.id, num, marked("Relaunched.", REPLY), repo_type="dataset")
    assert bot.ensure_comment(repo, num, "Relaunched.", REPLY).author_name == "bot"


def test_a_comment_is_edited_in_place(bot: Hub, repo: Repo, num: int, calls: list[str]) -> None:
    """An edit keeps the marker, and makes no call if the text is unchanged."""
    status = bot.thread(repo, num).comments[0]
    calls.clear()
    assert bot.edit_comment(repo, num, status.id, "It runs.", marker=STATUS, seen=status.text)
    edited = bot.thread(repo, num).comments[0]
    assert (edited.text, edited.edited) == (marked("It runs.", STATUS), True)
    calls.clear()
    assert not bot.edit_comment(repo, num, status.id, "It runs.", marker=STATUS, seen=edited.text)
    assert calls == []


def test_an_edit_of_a_comment_is_repeated_after_an_error(local: LocalHub, bot: Hub, repo: Repo, num: int) -> None:
    """After an error the client repeats an edit, because writing the same text twice changes nothing."""
    local.state.faults.fail_after("POST */edit")
    local.state.faults.fail("POST */edit")
    status = bot.thread(repo, num).comments[0]
    bot.edit_comment(repo, num, status.id, "It runs.", marker=STATUS)
    assert bot.thread(repo, num).comments[0].text == marked("It runs.", STATUS)


def test_a_hidden_comment_shows_nothing(local: LocalHub, bot: Hub, repo: Repo, num: int) -> None:
    """A hidden comment has no text."""
    comment = api(local, "mallory").comment_discussion(repo.id, num, "buy now", repo_type="dataset")
    api(local, "ada").hide_discussion_comment(repo.id, num, comment.id, repo_type="dataset")
    last = bot.thread(repo, num).comments[-1]
    assert (last.hidden, last.text, last.author_name) == (True, "", "mallory")


@pytest.mark.parametrize(("kind", "status"), [*FAULTS, ("none", 0)])
def test_a_thread_is_closed_with_one_comment_whatever_goes_wrong(
    local: LocalHub, bot: Hub, repo: Repo, num: int, kind: str, status: int
) -> None:
    """A closing comment is written once, and a closed thread is not closed again."""
    options = {"status": status, "error": "Another operation is in progress"} if status else {}
    if kind != "none":
        local.state.faults.add(SETTING, kind, **options)
    bot.set_status(repo, num, "closed", "Done.")
    assert not bot.set_status(repo, num, "closed", "Done.")
    thread = bot.thread(repo, num)
    assert thread.status == "closed"
    assert [comment.text for comment in thread.comments[1:]] == ["Done."]
    assert bot.set_status(repo, num, "open")
    assert bot.thread(repo, num).status == "open"
    with pytest.raises(BadRequest):
        bot.set_status(repo, num, "merged")


@pytest.mark.parametrize(("kind", "status"), [*FAULTS, ("none", 0)])
def test_a_pull_request_is_merged_once_whatever_goes_wrong(
    local: LocalHub, bot: Hub, mallory: Hub, repo: Repo, kind: str, status: int
) -> None:
    """A pull request is merged once even if the Hub fails, because the client checks the state of its thread."""
    pull = pull_of(mallory, repo, a=b"1")
    options = {"status": status, "error": "Another operation is in progress"} if status else {}
    if kind != "none":
        local.state.faults.add(MERGE, kind, **options)
    merged = bot.merge(repo, pull, head=bot.thread(repo, pull).head_commit)
    assert merged.status == "merged"
    assert merged.merge_commit == bot.head(repo)
    assert bot.merge(repo, pull).merge_commit == merged.merge_commit
    assert bot.read_file(repo, "a").data == b"1"


def test_a_pull_request_that_moved_since_its_approval_is_not_merged(bot: Hub, mallory: Hub, repo: Repo) -> None:
    """A pull request with a newer head than the commit that was approved is not merged."""
    pull = pull_of(mallory, repo, a=b"1")
    approved = bot.thread(repo, pull).head_commit
    mallory.commit(repo, [WriteFile("a", b"evil")], "Push more", branch=f"refs/pr/{pull}")
    with pytest.raises(NotMergeable, match="approved"):
        bot.merge(repo, pull, head=approved)
    assert bot.find_file(repo, "a") is None


def test_what_cannot_be_merged_says_why(local: LocalHub, bot: Hub, mallory: Hub, repo: Repo, num: int) -> None:
    """Pull requests with conflicts, drafts, closed ones, and discussions raise NotMergeable with the reason."""
    bot.commit(repo, [WriteFile("a", b"base\n")], "Base")
    pull = pull_of(mallory, repo, a=b"theirs\n")
    bot.commit(repo, [WriteFile("a", b"ours\n")], "Ours")
    assert bot.thread(repo, pull).conflicting_files == ("a",)
    with pytest.raises(NotMergeable, match="conflicts"):
        bot.merge(repo, pull)
    draft = api(local, "mallory").create_pull_request(repo.id, "A draft", repo_type="dataset").num
    with pytest.raises(NotMergeable, match="draft"):
        bot.merge(repo, draft)
    bot.set_status(repo, pull, "closed")
    with pytest.raises(NotMergeable, match="closed"):
        bot.merge(repo, pull)
    with pytest.raises(NotMergeable, match="discussion"):
        bot.merge(repo, num)


def test_a_hub_that_stays_down_is_told(local: LocalHub, repo: Repo, num: int) -> None:
    """If the Hub does not answer, a comment raises Transient after a bounded number of tries."""
    local.state.faults.hang(COMMENT, times=None)
    with Hub(local.url, "hf_bot", timeout=0.1, retries=QUICK) as hub, pytest.raises(Transient):
        hub.ensure_comment(repo, num, "Relaunched.", REPLY)
    local.state.faults.clear()
