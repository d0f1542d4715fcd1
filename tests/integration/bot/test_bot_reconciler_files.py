"""Changes of files without a webhook: commits, rewritten history, a lost mirror. The reconciler finds them all."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import CommitOperationAdd

from bot.core.pull_records import MAIN
from bot.processes.reconcile import PERIOD
from bot.processes.schedule import TICK_SECONDS
from hub.errors import RateLimited
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.reconciliation import FINISHED, fill, look, member, modify, path_of, state, webhook


def test_a_commit_that_no_webhook_told_of_is_found_within_one_period(stand: BoardDriver) -> None:
    """The bot finds a commit without a webhook after one period, judges a new request, and forgets a removed one."""
    webhook(stand)
    removed = stand.submit("ada/remote")
    look(stand)
    modify(
        stand,
        **{path_of("ada/good"): json.dumps({**FINISHED, "model": "ada/good", "status": "PENDING"}), removed: None},
    )
    look(stand, after=PERIOD - TICK_SECONDS)
    assert (state(stand, path_of("ada/good")), state(stand, removed)) == (None, "settled")
    look(stand, after=TICK_SECONDS)
    assert (state(stand, path_of("ada/good")), state(stand, removed)) == ("waiting", None)


def test_a_round_with_nothing_new_costs_the_same_few_calls_whatever_the_size(stand: BoardDriver) -> None:
    """At 100 and at 2,000 requests a round makes the same five calls, and reads about as much from Redis."""
    costs = []
    stand.time = (stand.time // 86_400 + 1.5) * 86_400  # noon: no round is the first of a day
    for size in (100, 2_000):
        fill(stand, size)
        look(stand)
        stats = stand.context.redis.info("stats")
        calls = look(stand)
        read = stand.context.redis.info("stats")["total_net_output_bytes"] - stats["total_net_output_bytes"]
        costs.append((sorted(calls), read))
    assert stand.context.index.count() == 2_000
    assert costs[0][0] == costs[1][0]
    assert len(costs[0][0]) == 5
    assert {method for method, _ in costs[0][0]} == {"GET"}
    assert abs(costs[0][1] - costs[1][1]) < 2_000


def test_old_requests_are_indexed_without_a_call_each_and_only_what_waits_is_synced(stand: BoardDriver) -> None:
    """From an empty Redis 300 finished requests take no call of their own; strange and foreign ones are left alone."""
    fill(stand, 300)
    strange = {"x/old_eval_request_False_float32_Original.json": '{"model": 7, "status": "FINISHED_OLD"}'}
    foreign = json.dumps({**FINISHED, "model": "x/run", "status": "RUNNING", "job_id": 12})
    modify(stand, **strange, **{path_of("x/run"): foreign}, **{"notes.json": "{}"})
    waiting = stand.submit("ada/good")
    calls = look(stand)
    assert len(calls) < 41  # four look for scores that Redis lacks, one for former names, one asks if logs are public
    assert stand.context.index.count() == 303
    assert state(stand, waiting) == "waiting"
    assert [state(stand, path) for path in (*strange, path_of("x/run"))] == ["foreign", "foreign"]
    assert state(stand, path_of("org-0/model-0")) == "settled"
    assert [thread.title for thread in stand.threads()] == [stand.threads()[0].title]


def test_a_squashed_history_syncs_changed_files_alone(stand: BoardDriver) -> None:
    """After a super-squash only the file that changed with it is synced again; the others cost nothing."""
    fill(stand, 50)
    refused = stand.submit("ada/remote")
    look(stand)
    look(stand)
    modify(stand, **{path_of("org-0/model-0"): json.dumps({**FINISHED, "model": "org-0/model-0", "note": 1})})
    stand.form.super_squash_history(REQUESTS, repo_type="dataset")
    commits = stand.commits()
    before = len(stand.calls)
    calls = look(stand)
    assert [route for _, route in calls].count("resolve") == 1
    assert stand.commits() == commits
    assert state(stand, refused) == "settled"
    assert stand.context.index.get(path_of("org-0/model-0")).file_oid != ""
    assert len(look(stand)) == 5
    assert before < len(stand.calls)


def test_a_request_that_history_lost_is_forgotten(stand: BoardDriver) -> None:
    """A file that is missing after the history was rewritten is deleted from the index."""
    removed = stand.submit("ada/remote")
    fill(stand, 3)
    look(stand)
    modify(stand, **{removed: None})
    stand.form.super_squash_history(REQUESTS, repo_type="dataset")
    look(stand)
    assert state(stand, removed) is None
    assert stand.context.index.count() == 3


def test_the_mirror_may_be_lost_or_damaged_at_any_time(stand: BoardDriver) -> None:
    """With a deleted or damaged clone, the next commit is found all the same, and no request is judged twice."""
    fill(stand, 20)
    look(stand)
    for number, harm in enumerate((_delete, _cut_off, _no_objects)):
        harm(stand)
        modify(stand, **{path_of(f"ada/m{number}"): json.dumps({**FINISHED, "model": f"ada/m{number}"})})
        calls = look(stand)
        for _ in range(3):
            calls += look(stand)
        assert state(stand, path_of(f"ada/m{number}")) == "settled"
        assert [route for _, route in calls].count("resolve") <= 1
    assert stand.context.index.count() == 23


def _delete(stand: BoardDriver) -> None:
    stand.context.mirror.discard(stand.context.requests)


def _cut_off(stand: BoardDriver) -> None:
    for pack in (stand.hub.state.data / "mirrors").rglob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[:40])


def _no_objects(stand: BoardDriver) -> None:
    for pack in (stand.hub.state.data / "mirrors").rglob("pack-*"):
        pack.unlink()


def test_a_main_branch_that_moves_during_a_poll_is_read_again(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the fetch lacks the commit that the refs named, the bot stores no head, and the next poll finds all."""
    path = stand.submit("ada/good")
    real = stand.context.hub.heads
    elsewhere = stand.hub.state.repos.get("dataset", "board/results")
    assert elsewhere is not None
    commits = stand.context.hub.commits
    monkeypatch.setattr(stand.context.hub, "heads", lambda *_, **__: {MAIN: elsewhere.git.head()})
    monkeypatch.setattr(stand.context.hub, "commits", lambda repo, *_, limit: commits(repo, limit=limit))
    look(stand)
    assert stand.context.index.head(REQUESTS) is None
    monkeypatch.setattr(stand.context.hub, "heads", real)
    look(stand, after=2)
    assert state(stand, path) == "waiting"


def test_git_that_is_turned_away_waits_as_the_hub_asks(stand: BoardDriver) -> None:
    """After a 429 to git's fetch, the bot waits as after any rate limit, and then reads the repo."""
    path = stand.submit("ada/good")
    stand.hub.state.faults.fail("GET */info/refs", status=429, times=1)
    look(stand)
    assert state(stand, path) is None
    look(stand, after=RateLimited("", seconds=61, what="").seconds)
    assert state(stand, path) == "waiting"


def test_files_of_several_commits_keep_their_own_submitters(stand: BoardDriver) -> None:
    """If two people commit between two polls, each file has its own committer, without a call per commit."""
    look(stand)
    stand.hub.state.accounts.set_member(*member(stand, "ada", "write"))
    stand.submit("ada/good")
    operations = [
        CommitOperationAdd(path_of("ada/other"), json.dumps({"model": "ada/other", "status": "PENDING"}).encode())
    ]
    stand.ada.create_commit(REQUESTS, operations, commit_message="Mine", repo_type="dataset")
    calls = look(stand)
    assert stand.context.index.origin(path_of("ada/good")).author == "form"
    assert stand.context.index.origin(path_of("ada/other")).author == "ada"
    assert ("GET", "compare") not in calls


def test_who_submitted_survives_the_loss_of_redis(stand: BoardDriver) -> None:
    """After Redis is lost, waiting, running and merged requests keep their submitters, also behind bot commits."""
    stand.context.board = stand.context.board.model_copy(update={"front_ends": (stand.context.hub.user("form").id,)})
    look(stand, after=0)
    job = stand.started()
    waiting = stand.submit("ada/good", path="ada/good_eval_request_False_bfloat16_Original.json", precision="bfloat16")
    merged = "ada/good_eval_request_False_float16_Original.json"
    add = CommitOperationAdd(merged, json.dumps({"model": "ada/good", "status": "PENDING"}).encode())
    pull = stand.ada.create_commit(REQUESTS, [add], commit_message="Add", repo_type="dataset", create_pr=True)
    stand.form.merge_pull_request(REQUESTS, int(pull.pr_num or 0), repo_type="dataset")
    stand.settle()
    fill(stand, 1)
    paths = (job.path, waiting, merged)
    authors = [stand.context.index.origin(path).author for path in paths]
    stand.context.redis.flushall()
    for _ in range(3):
        stand.beat(job, 1, 10)
        look(stand, after=10)
    assert [stand.context.index.origin(path).author for path in paths] == authors == ["form", "form", "ada"]
    assert stand.context.index.origin(merged).pull == int(pull.pr_num or 0)
    assert stand.file(job.path)["steward"]["submitter"] == "form"
    assert len(stand.threads()) == 3


def test_a_submitter_is_believed_in_a_file_only_after_our_own_commit(stand: BoardDriver) -> None:
    """The bot overwrites a forged submitter in the `steward` object of a new file."""
    stand.worker()
    stand.tick()
    path = stand.submit("ada/good", steward={"submitter": "ada"})
    stand.settle()
    assert stand.context.index.origin(path).author == "form"
    (job,) = stand.queued()
    assert stand.take(job) is True
    assert stand.file(path)["steward"]["submitter"] == "form"
