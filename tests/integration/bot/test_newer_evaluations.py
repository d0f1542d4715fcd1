"""A newer evaluation fails and the earlier result stays: the bot reports the failure, and people can have a retry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.probe import Probe
from bot.threads.maintainers_list import waiting_threads
from leaderboard.attempts import Failure
from redis_state.redis import Redis
from steward.testing.board import REQUESTS
from tests.support.board.transcripts import BROKEN, LOST, Transcripts, TranscriptThread, transcript_board

MODEL = "ada/corona"
PATH = f"{MODEL}_eval_request_False_float32_Original.json"
NEWER = f"newer evaluation of **{MODEL}**"
AGAIN = "it is evaluated again"


@pytest.fixture
def place(tmp_path: Path, connection: Redis, probe: Probe) -> Iterator[Transcripts]:
    """A board on which Ada's model has finished."""
    with transcript_board(tmp_path, connection, probe) as made:
        made.submit(MODEL)
        made.run(PATH)
        assert made.stand.file(PATH)["status"] == "FINISHED"
        yield made


def resubmit(place: Transcripts) -> str:
    """Upload a newer commit as Ada and `/resubmit` it; return the commit."""
    count = place.people["ada"].list_repo_commits(MODEL)
    more = {"path_or_fileobj": str(len(count)).encode(), "path_in_repo": "more.txt"}
    place.people["ada"].upload_file(repo_id=MODEL, **more)
    reply = place.open("ada", "A newer version", f"It is out.\n\n/resubmit {MODEL}").replies()[-1]
    assert "waits for an evaluation" in reply
    tried: str = place.stand.file(PATH)["revision"]
    return tried


def newer_fails(place: Transcripts, failure: Failure) -> str:
    """Let the evaluation of a newer commit fail, so that the earlier result stays; return the commit."""
    tried = resubmit(place)
    place.run(PATH, failure)
    file = place.stand.file(PATH)
    assert (file["status"], file["steward"]["failure"]["cause"]) == ("FINISHED", failure.cause)
    assert file["revision"] != tried
    return tried


def report(place: Transcripts) -> TranscriptThread:
    """Report the failure as Ada, with a link to the request file as the FAQ asks for."""
    return place.open("ada", "My new version failed", f"It failed: {place.link(PATH)}")


def listed(place: Transcripts) -> list[str]:
    """The titles on the maintainers' list."""
    return [thread.title for thread in waiting_threads(place.stand.context)]


def test_a_reported_failure_of_ours_is_evaluated_once_more_at_the_commit_that_failed(place: Transcripts) -> None:
    """The failed commit is evaluated once more, the earlier result stays meanwhile, and both reporters are notified."""
    earlier = place.stand.file(PATH)["steward"]["results"]
    tried = newer_fails(place, LOST)
    first, second = report(place), report(place)
    (reply,) = first.replies()
    for words in (NEWER, "the earlier result](", "a problem on our side", AGAIN):
        assert words in reply
    assert "will be evaluated again" in second.replies()[0]
    waiting = place.stand.file(PATH)
    assert (waiting["status"], waiting["revision"]) == ("PENDING_NEW_EVAL", tried)
    assert waiting["steward"]["kept"]["results"] == earlier
    place.run(PATH)
    facts = place.stand.file(PATH)["steward"]
    assert (facts["revision"], facts["results"] != earlier, "tried" in facts) == (tried, True, False)
    for thread in (first, second):
        thread.look()
        assert "has finished" in thread.replies()[-1]
        assert thread.events()[-1].new_status == "closed"


def status(place: Transcripts, thread: TranscriptThread) -> str:
    """The status of the thread on the Hub."""
    return str(place.people["mia"].get_discussion_details(REQUESTS, thread.number, repo_type="dataset").status)


@pytest.mark.long("a board, three evaluations and their discussions; the kept tests of this file take the same path")
def test_a_report_with_a_later_request_stays_open_and_listed_when_the_evaluation_ends(
    place: Transcripts,
) -> None:
    """The bot reports the end, and closes the thread only if a maintainer has answered the author's later request."""
    newer_fails(place, LOST)
    unanswered, answered = report(place), report(place)
    unanswered.say("ada", "And please remove the float16 row too.")
    answered.say("ada", "And please remove the float16 row too.").say("mia", "I did.")
    place.run(PATH)
    for thread in (unanswered, answered):
        thread.look()
        assert "has finished" in thread.replies()[-1]
    assert (status(place, unanswered), status(place, answered)) == ("open", "closed")
    assert listed(place) == ["My new version failed"]


@pytest.mark.long("a board, three evaluations and their discussions; the kept tests of this file take the same path")
def test_a_thread_about_a_removal_stays_open_when_a_followed_request_ends(
    place: Transcripts,
) -> None:
    """The end of a followed request does not close a thread about a removal or take it off the maintainers' list."""
    resubmit(place)
    thread = place.open("ada", f"Remove {MODEL}", "Please.").say("bob", f"/subscribe {MODEL}")
    place.run(PATH)
    thread.look()
    assert "has finished" in thread.replies()[-1]
    assert (status(place, thread), listed(place)) == ("open", [f"Remove {MODEL}"])


@pytest.mark.long("a board, three evaluations and their discussions; the kept tests of this file take the same path")
def test_what_fails_again_after_a_report_is_for_a_maintainer_and_its_thread_stays_open(place: Transcripts) -> None:
    """If a restarted commit fails again, the bot says so and leaves the thread open; a second report is listed."""
    newer_fails(place, LOST)
    first = report(place)
    place.run(PATH, LOST)
    first.look()
    assert "has failed; its earlier result stays" in first.replies()[-1]
    assert "scores" not in first.replies()[-1].lower()
    assert status(place, first) == "open"
    assert listed(place) == []
    assert "it was relaunched before" in report(place).replies()[0]
    assert listed(place) == ["My new version failed"]
    assert place.stand.file(PATH)["status"] == "FINISHED"


@pytest.mark.long("a board, three evaluations and their discussions; the kept tests of this file take the same path")
def test_subscribers_and_questioners_hear_of_the_failure(place: Transcripts) -> None:
    """A subscriber is notified that the newer evaluation failed, and `/why`, `/status` and `/subscribe` say so too."""
    resubmit(place)
    talk = place.open("bob", "How is it going?", f"/subscribe {MODEL}")
    place.run(PATH, LOST)
    talk.look()
    reply = talk.replies()[-1]
    for words in ("@bob: ", "has failed; its earlier result stays", LOST.message):
        assert words in reply
    reply = talk.say("bob", f"/why {MODEL}").replies()[-1]
    for words in (NEWER, "a problem on our side", "decisive lines", "`/relaunch` evaluates it again"):
        assert words in reply
    assert f"a newer evaluation failed: {LOST.message}" in talk.say("bob", f"/status {MODEL}").replies()[-1]
    assert "it failed, and its earlier result stays" in talk.say("bob", f"/subscribe {MODEL}").replies()[-1]


@pytest.mark.long("a board, three evaluations and their discussions; the kept tests of this file take the same path")
def test_its_submitter_relaunches_what_the_status_comment_says_can_be_relaunched(place: Transcripts) -> None:
    """The submitter can relaunch the failed newer commit once, a maintainer again; the file is PENDING meanwhile."""
    place.stand.context.board = place.stand.context.board.model_copy(update={"shows_new_evals": False})
    tried = newer_fails(place, BROKEN)
    assert "`/relaunch` to try the same commit again" in place.thread_of(PATH).replies()[0]
    talk = place.open("ada", "It failed", f"/relaunch {MODEL}")
    assert "will be evaluated again" in talk.replies()[-1]
    waiting = place.stand.file(PATH)
    assert (waiting["status"], waiting["revision"]) == ("PENDING", tried)
    place.run(PATH, BROKEN)
    assert "You have already relaunched" in talk.say("ada", f"/relaunch {MODEL}").replies()[-1]
    assert "will be evaluated again" in talk.say("mia", f"/relaunch {MODEL}").replies()[-1]
    place.run(PATH)
    assert place.stand.file(PATH)["steward"]["revision"] == tried
    assert "only a maintainer can have the same commit" in talk.say("ada", f"/relaunch {MODEL}").replies()[-1]


def test_a_report_of_a_refused_newer_commit_tells_why_it_was_refused(place: Transcripts) -> None:
    """A report of a newer commit that was refused gets the reason and advice, and starts nothing."""
    place.submit(MODEL, revision="nowhere", submitted_time="2026-11-25T00:00:00Z")
    file = place.stand.file(PATH)
    assert (file["status"], file["steward"]["tried"]) == ("FINISHED", "nowhere")
    (reply,) = report(place).replies()
    for words in (NEWER, "a problem with the submission", "**What to do:**"):
        assert words in reply
    assert place.stand.file(PATH)["status"] == "FINISHED"
    assert listed(place) == []


@pytest.mark.long("a board, three evaluations and their discussions; the kept tests of this file take the same path")
def test_a_failed_newer_evaluation_of_a_gated_model_is_for_a_maintainer(place: Transcripts) -> None:
    """The reply says that the newer evaluation failed, without the cause, and the thread waits for a maintainer."""
    newer_fails(place, LOST)
    entry = place.stand.context.index.get(PATH)
    gated = entry.standing.model_copy(update={"access": "gated"})
    place.stand.context.index.put(entry.model_copy(update={"standing": gated}))
    (reply,) = report(place).replies()
    assert NEWER in reply
    assert "A maintainer will look at it" in reply
    assert LOST.message not in reply
    assert listed(place) == ["My new version failed"]


@pytest.mark.long("a board, three evaluations and their discussions; the kept tests of this file take the same path")
@pytest.mark.parametrize("has_result", [True, False], ids=["with a result", "without one"])
def test_each_commit_may_be_started_again_for_a_report(place: Transcripts, has_result: bool) -> None:
    """A report restarts each commit once: a restart of an earlier commit does not count against a newer one."""
    path = PATH if has_result else place.submit("ada/borealis")
    model = path.partition("_eval")[0]
    if has_result:
        resubmit(place)
    for failure in (LOST, BROKEN):
        place.run(path, failure)
        talk = place.open("ada", "It failed", place.link(path))
    place.people["ada"].upload_file(path_or_fileobj=b"y", path_in_repo="model.safetensors", repo_id=model)
    talk.say("ada", f"/resubmit {model}")
    tried = place.stand.file(path)["revision"]
    place.run(path, LOST)
    assert AGAIN in place.open("ada", "The next one failed", place.link(path)).replies()[0]
    assert place.stand.file(path)["status"] == ("PENDING_NEW_EVAL" if has_result else "RERUN")
    assert place.stand.file(path)["revision"] == tried
    place.run(path, LOST)
    assert "it was relaunched before" in place.open("ada", "Again", place.link(path)).replies()[0]


def test_the_commit_that_was_evaluated_is_not_evaluated_again_by_resubmit(place: Transcripts) -> None:
    """`/resubmit` without a newer commit changes nothing, as `/submit` does, and names the commit."""
    before = place.stand.file(PATH)
    talk = place.open("ada", "Once more", f"Please.\n\n/resubmit {MODEL}")
    reply = talk.replies()[-1]
    assert f"It is for `{before['steward']['revision'][:8]}`, the commit you asked for, so nothing was changed" in reply
    assert place.stand.file(PATH) == before


@pytest.mark.long("a board, three evaluations and their discussions; the kept tests of this file take the same path")
def test_a_resubmission_counts_like_a_submission(place: Transcripts) -> None:
    """A submitter who has used up the quota cannot `/resubmit`; a maintainer can do it for them."""
    board = place.stand.context.board
    place.submit("ada/borealis")
    off = tuple(name for name in board.admission.off if name != "quota-submitter")
    policy = board.admission.model_copy(update={"quota": 1, "off": off})
    place.stand.context.board = board.model_copy(update={"admission": policy})
    place.people["ada"].upload_file(repo_id=MODEL, path_or_fileobj=b"newer", path_in_repo="more.txt")
    talk = place.open("ada", "A newer version", f"It is out.\n\n/resubmit {MODEL}")
    assert "a quota of submissions is used up" in talk.replies()[-1]
    talk.say("mia", f"/resubmit {MODEL}")
    assert "waits for an evaluation" in talk.replies()[-1]


@pytest.mark.long("a second of a processor")
def test_a_report_of_two_failures_stays_open_when_one_fails_again(place: Transcripts) -> None:
    """If one of two reported requests fails again and one finishes, the bot reports both and leaves the thread open."""
    paths = [place.submit(model) for model in ("ada/aurora-1b", "ada/borealis")]
    for path in paths:
        place.run(path, LOST)
    thread = place.open("ada", "Two failed", " and ".join(place.link(path) for path in paths))
    for path, failure, words in zip(paths, (BROKEN, None), ("has failed", "has finished"), strict=True):
        place.run(path, failure)
        thread.look()
        assert words in thread.replies()[-1]
    assert all(event.type != "status-change" for event in thread.events())
