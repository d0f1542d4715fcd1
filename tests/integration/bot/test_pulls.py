"""The bot checks pull requests of outsiders, reports once on each, and checks again after a push or a comment."""

from __future__ import annotations

import json

from huggingface_hub import HfApi

from bot.core.pull_records import find_report
from bot.pulls.report import report_void
from hub.records import Repo
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.pull_requests import (
    GOOD,
    JUDGED,
    PATH,
    bot_comments,
    empty_stand,
    fields,
    look,
    propose,
    report,
    thread,
)

stand = empty_stand


def test_a_valid_pull_request_gets_one_report_and_waits_for_a_maintainer(stand: BoardDriver) -> None:
    """The bot checks a valid pull request in few calls, reports once, and leaves it open for a maintainer."""
    stand.context.me()
    number, head = propose(stand, {PATH: fields(stand)})
    calls = look(stand, number)
    assert calls.count("thread") + calls.count("comment") <= JUDGED - 1
    assert set(calls) - GOOD == {"thread", "comment"}
    assert f"passes every check, as of commit `{head[:8]}`" in report(stand, number)
    assert "A maintainer decides" in report(stand, number)
    assert look(stand, number) == ["thread"]
    assert (thread(stand, number).status, bot_comments(stand, number)) == ("open", 1)


def test_every_problem_of_every_file_is_told_at_once(stand: BoardDriver) -> None:
    """For two bad files and a good one, a single report names every problem and the file that passes."""
    bad = fields(stand, model="ada/remote", status="RUNNING", submitted_time="x")
    missing = fields(stand, model="ada/gone")
    files = {PATH: fields(stand), PATH.replace("good", "remote"): bad, PATH.replace("good", "gone"): missing}
    number, _ = propose(stand, files)
    look(stand, number)
    text = report(stand, number)
    assert f"**`{PATH}`** passes every check" in text
    for words in ("RUNNING", "no readable time", "There is no model"):
        assert words in text


def test_a_push_makes_the_report_void(stand: BoardDriver) -> None:
    """After a push, the bot marks its report as void and then reports on the new head, all in the same comment."""
    number, first = propose(stand, {PATH: fields(stand)})
    look(stand, number)
    _, second = propose(stand, {PATH: fields(stand, status="RUNNING")}, number=number)
    words: list[str] = []
    fail = stand.context.hub.pull
    stand.context.hub.pull = lambda *a, **k: (words.append(report(stand, number)), fail(*a, **k))[1]  # type: ignore[method-assign]
    look(stand, number)
    assert f"my report on `{first[:8]}`, so that report is void" in words[0]
    text = report(stand, number)
    assert "status is 'RUNNING'" in text
    assert f"An earlier report, on `{first[:8]}`, is void" in text
    assert f"Checked at `{second[:8]}`" in text
    assert bot_comments(stand, number) == 1


def test_a_void_report_is_replaced_also_where_the_head_is_what_was_checked(stand: BoardDriver) -> None:
    """If a process dies after it voided a report, the next sync checks the same head again and reports on it."""
    number, head = propose(stand, {PATH: fields(stand)})
    look(stand, number)
    context = stand.context
    pull = context.hub.thread(context.requests, number)
    _, record = find_report(context, pull)
    assert record is not None
    report_void(context, context.requests, pull, record)
    assert "so that report is void" in report(stand, number)
    look(stand, number)
    assert "passes every check" in report(stand, number)
    assert f"Checked at `{head[:8]}`" in report(stand, number)


def test_a_push_that_no_webhook_told_of_is_found_by_the_next_look_at_the_repo(stand: BoardDriver) -> None:
    """The sync of the requests repo finds a pushed head in the list of refs, which it reads once anyway."""
    number, _ = propose(stand, {PATH: fields(stand)})
    look(stand, number)
    stand.settle()
    _, second = propose(stand, {PATH: fields(stand, status="RUNNING")}, number=number)
    before = len(stand.calls)
    stand.settle()
    assert [route for _, route in stand.calls[before:]].count("refs") == 1
    assert f"Checked at `{second[:8]}`" in report(stand, number)


def test_a_conflict_is_reported_until_it_is_resolved(stand: BoardDriver) -> None:
    """The bot reports a conflict with main, and reports the pull request as ready once main has no such file."""
    number, _ = propose(stand, {PATH: fields(stand)})
    stand.put(PATH, json.dumps(fields(stand, revision="v1")).encode())
    look(stand, number)
    assert "conflicts with the files on main" in report(stand, number)
    stand.form.delete_file(PATH, REQUESTS, repo_type="dataset")
    look(stand, number)
    assert "Ready to be merged" in report(stand, number)


def test_a_comment_of_its_author_starts_a_new_check(stand: BoardDriver) -> None:
    """The bot checks a pull request again after its author's comment, and not after other people's comments."""
    number, _ = propose(stand, {PATH.replace("good", "new"): fields(stand, model="ada/new")})
    look(stand, number)
    assert "There is no model" in report(stand, number)
    stand.ada.create_repo("ada/new")
    for name in stand.ada.list_repo_files("ada/good"):
        data = stand.context.hub.read_file(Repo("model", "ada/good"), name).data
        stand.ada.upload_file(path_or_fileobj=data, path_in_repo=name, repo_id="ada/new")
    stand.form.comment_discussion(REQUESTS, number, "any news?", repo_type="dataset")
    assert look(stand, number) == ["thread"]
    stand.ada.comment_discussion(REQUESTS, number, "it is there now", repo_type="dataset")
    assert "info" in look(stand, number)
    assert "There is no model" not in report(stand, number)
    assert look(stand, number) == ["thread"]


def test_forged_markers_in_a_pull_request_have_no_effect(stand: BoardDriver) -> None:
    """Markers and mentions in title, files and comments of a pull request do not change the bot's only report."""
    evil = "<!-- steward:1 demo pull 1 --> @ada [x](http://evil) (#1)"
    number, _ = propose(
        stand, {PATH: fields(stand, model_type=evil, license=evil), f"{evil[:20]}.md": b"x"}, title=evil
    )
    fake = f"<!-- steward:1 demo pull {number} -->\n" + '<!-- {"situation":{"head":"x"},"result":"passed"} -->\nReady'
    stand.ada.comment_discussion(REQUESTS, number, fake, repo_type="dataset")
    look(stand, number)
    assert bot_comments(stand, number) == 1
    assert "@ada" not in report(stand, number)
    assert look(stand, number) == ["thread"]


def test_a_locked_pull_request_costs_one_call_per_event(stand: BoardDriver) -> None:
    """If the Hub refuses the bot's comment, the bot does not check the pull request again."""
    number, _ = propose(stand, {PATH: fields(stand)})
    stand.hub.state.faults.fail("POST */comment", status=403, times=None)
    look(stand, number)
    assert look(stand, number) == ["thread"]
    assert bot_comments(stand, number) == 0


def test_after_redis_was_lost_no_report_is_posted_again(stand: BoardDriver) -> None:
    """With an empty Redis, the bot finds its report on the Hub, reads its record again, and posts no comment."""
    number, _ = propose(stand, {PATH: fields(stand, status="RUNNING")})
    look(stand, number)
    stand.context.redis.flushall()
    assert look(stand, number) == ["refs", "resolve", "resolve", "thread"]
    stand.form.merge_pull_request(REQUESTS, number, repo_type="dataset")
    stand.context.redis.flushall()
    look(stand, number)
    assert "Merged by hand" in report(stand, number)


def test_more_than_can_be_looked_at_is_left_to_people(stand: BoardDriver) -> None:
    """The bot does not check a pull request with eleven requests, and spends no call on them."""
    files = {PATH.replace("good", f"m{number}"): fields(stand, model=f"ada/m{number}") for number in range(11)}
    number, _ = propose(stand, files)
    assert set(look(stand, number)) <= {"thread", "comment", "whoami"}
    assert "has 11 request files, and I check at most 10" in report(stand, number)


def test_our_own_pull_requests_get_no_report(stand: BoardDriver) -> None:
    """The bot does not check pull requests that it opened itself."""
    bot = HfApi(stand.hub.url, token="hf_bot")
    number, _ = propose(stand, {PATH: fields(stand)}, who=bot)
    assert [route for route in look(stand, number) if route != "whoami"] == ["thread"]
