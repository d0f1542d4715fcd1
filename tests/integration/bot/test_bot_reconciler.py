"""What nobody told us of: commits, comments, rewritten history, dead webhooks, a lost Redis; a round finds it all."""

from __future__ import annotations

import json

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd
from stand_kit import BOT, REQUESTS, Stand

from bot.index import Entry
from bot.schedule import STUCK_IN_RQ, TICK, Schedule
from bot.sync.pull_record import MAIN
from bot.sync.reconcile import PERIOD, POLLING
from bot.sync.threads import staleness
from hub.errors import RateLimited
from hub.retries import Retries
from localhub.git import Author, Put
from localhub.webhooks import SUSPENDED
from wire.attempts import LOST, Progress
from wire.dirty import Priority

FINISHED = {"status": "FINISHED", "precision": "float32", "weight_type": "Original"}
WATCHED = [{"type": "dataset", "name": REQUESTS}]


def look(stand: Stand, *, after: float = PERIOD) -> list[tuple[str, str]]:
    """Let `after` seconds go by, let the timer tick, do what is to do; the calls that it took."""
    before = len(stand.calls)
    stand.time += after
    stand.schedule.tick()
    stand.work()
    return stand.calls[before:]


def modify(stand: Stand, **files: str | None) -> None:
    """Commit without telling anybody."""
    body = {"type": "dataset", "id": REQUESTS, "files": files, "author": "form"}
    httpx2.post(f"{stand.hub.url}/_admin/modify", json=body).raise_for_status()


def fill(stand: Stand, count: int) -> None:
    """Commit `count` finished requests at once, as git objects."""
    repo = stand.hub.box.repos.get("dataset", REQUESTS)
    assert repo is not None
    models = [f"org-{number // 5}/model-{number}" for number in range(count)]
    files = [Put(path_of(model), json.dumps({**FINISHED, "model": model}).encode()) for model in models]
    repo.git.commit("refs/heads/main", files, None, Author("form", "form@example.com"), "Old requests")


def path_of(model: str) -> str:
    """Where the request for `model` lies."""
    return f"{model}_eval_request_False_float32_Original.json"


def state(stand: Stand, path: str) -> str | None:
    """What the index says of `path`."""
    entry = stand.desk.index.find([path])[0]
    return None if entry is None else entry.state


def test_a_commit_that_no_webhook_told_of_is_found_within_one_period(stand: Stand) -> None:
    """Before the period is over nobody looks; afterwards the new request is judged, and the removed one forgotten."""
    _webhook(stand)
    gone = stand.submit("ada/remote")
    look(stand)
    modify(
        stand, **{path_of("ada/good"): json.dumps({**FINISHED, "model": "ada/good", "status": "PENDING"}), gone: None}
    )
    look(stand, after=PERIOD - TICK)
    assert (state(stand, path_of("ada/good")), state(stand, gone)) == (None, "settled")
    look(stand, after=TICK)
    assert (state(stand, path_of("ada/good")), state(stand, gone)) == ("waiting", None)


def test_a_round_with_nothing_new_costs_the_same_few_calls_whatever_the_size(stand: Stand) -> None:
    """At 100 and at 2,000 requests: eight calls, none of them a commit, and as much read from Redis."""
    costs = []
    for size in (100, 2_000):
        fill(stand, size)
        look(stand)
        stats = stand.desk.redis.info("stats")
        calls = look(stand)
        read = stand.desk.redis.info("stats")["total_net_output_bytes"] - stats["total_net_output_bytes"]
        costs.append((sorted(calls), read))
    assert stand.desk.index.count() == 2_000
    assert costs[0][0] == costs[1][0]
    assert len(costs[0][0]) == 8
    assert {method for method, _ in costs[0][0]} == {"GET"}
    assert abs(costs[0][1] - costs[1][1]) < 2_000


def test_old_requests_are_indexed_without_a_call_each_and_only_what_waits_is_synced(stand: Stand) -> None:
    """From an empty Redis 300 finished requests take no call of their own; strange and foreign ones are left alone."""
    fill(stand, 300)
    strange = {"x/old_eval_request_False_float32_Original.json": '{"model": 7, "status": "FINISHED_OLD"}'}
    foreign = json.dumps({**FINISHED, "model": "x/run", "status": "RUNNING", "job_id": 12})
    modify(stand, **strange, **{path_of("x/run"): foreign}, **{"notes.json": "{}"})
    waiting = stand.submit("ada/good")
    calls = look(stand)
    assert len(calls) < 33
    assert stand.desk.index.count() == 303
    assert state(stand, waiting) == "waiting"
    assert [state(stand, path) for path in (*strange, path_of("x/run"))] == ["foreign", "foreign"]
    assert state(stand, path_of("org-0/model-0")) == "settled"
    assert [thread.title for thread in stand.threads()] == [stand.threads()[0].title]


def test_a_squashed_history_wakes_nobody_whose_file_is_as_it_was(stand: Stand) -> None:
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
    assert stand.desk.index.get(path_of("org-0/model-0")).file_oid != ""
    assert len(look(stand)) == 8
    assert before < len(stand.calls)


def test_a_request_that_history_lost_is_forgotten(stand: Stand) -> None:
    """A file that is gone after a rewrite is gone from the index."""
    gone = stand.submit("ada/remote")
    fill(stand, 3)
    look(stand)
    modify(stand, **{gone: None})
    stand.form.super_squash_history(REQUESTS, repo_type="dataset")
    look(stand)
    assert state(stand, gone) is None
    assert stand.desk.index.count() == 3


def test_the_mirror_may_be_lost_or_damaged_at_any_time(stand: Stand) -> None:
    """With the clone deleted, or its packs cut off, the next commit is found all the same; nobody is judged twice."""
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
    assert stand.desk.index.count() == 23


def _delete(stand: Stand) -> None:
    stand.desk.mirror.discard(stand.desk.requests)


def _cut_off(stand: Stand) -> None:
    for pack in (stand.hub.box.data / "mirrors").rglob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[:40])


def _no_objects(stand: Stand) -> None:
    for pack in (stand.hub.box.data / "mirrors").rglob("pack-*"):
        pack.unlink()


def test_main_that_moves_under_our_eyes_is_looked_at_again(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the commit that the refs named was not fetched, nothing is remembered, and the next look finds all."""
    path = stand.submit("ada/good")
    real = stand.desk.hub.heads
    elsewhere = stand.hub.box.repos.get("dataset", "board/results")
    assert elsewhere is not None
    commits = stand.desk.hub.commits
    monkeypatch.setattr(stand.desk.hub, "heads", lambda *_, **__: {MAIN: elsewhere.git.head()})
    monkeypatch.setattr(stand.desk.hub, "commits", lambda repo, *_, limit: commits(repo, limit=limit))
    look(stand)
    assert stand.desk.index.head(REQUESTS) is None
    monkeypatch.setattr(stand.desk.hub, "heads", real)
    look(stand, after=2)
    assert state(stand, path) == "waiting"


def test_a_comment_that_no_webhook_told_of_is_found_within_the_bound(stand: Stand) -> None:
    """Of 120 open threads the oldest is found after at most as many looks as there are pages, the newest after one."""
    numbers = [_discussion(stand, f"Question {number}") for number in range(120)]
    pages = 3
    for _ in range(pages):
        look(stand)
    assert not any(route == "thread" for _, route in look(stand))
    for number, bound in ((numbers[-1], staleness(1, PERIOD)), (numbers[0], staleness(pages, PERIOD))):
        stand.ada.comment_discussion(REQUESTS, number, "Hello?", repo_type="dataset")
        looks = 0
        while ("GET", "thread") not in look(stand):
            looks += 1
            assert looks * PERIOD <= bound
        assert (looks + 1) * PERIOD <= bound
    calls = look(stand)
    assert [route for _, route in calls].count("threads") == 6  # two for each repo


def test_a_lost_status_comment_is_written_anew(stand: Stand) -> None:
    """When somebody hides the status comment of a request that waits, the next look brings it back, once."""
    stand.submit("ada/good")
    look(stand)
    (thread,) = stand.threads()
    opening = thread.events[0].id
    stand.hub.box.accounts.set_member(*_member(stand, "ada", "admin"))
    stand.ada.hide_discussion_comment(REQUESTS, thread.num, opening, repo_type="dataset")
    stand.ada.comment_discussion(REQUESTS, thread.num, "Why?", repo_type="dataset")
    for _ in range(3):
        look(stand)
    told = [event for one in stand.threads() for event in one.events if "Waiting for its turn" in _text(event)]
    assert len(told) == 1


def test_a_status_comment_of_a_request_at_its_end_stays_hidden(stand: Stand) -> None:
    """Nobody waits any more, and whoever hid it may have meant it: no new comment and no new thread."""
    stand.submit("ada/remote")
    look(stand)
    (thread,) = stand.threads()
    stand.hub.box.accounts.set_member(*_member(stand, "ada", "admin"))
    stand.ada.hide_discussion_comment(REQUESTS, thread.num, thread.events[0].id, repo_type="dataset")
    stand.ada.comment_discussion(REQUESTS, thread.num, "Why?", repo_type="dataset")
    for _ in range(3):
        look(stand)
    assert [event for one in stand.threads() for event in one.events if "Not accepted" in _text(event)] == []
    assert len(stand.threads()) == 1


def _member(stand: Stand, name: str, role: str) -> tuple[object, object, str]:
    accounts = stand.hub.box.accounts
    return accounts.by_name("board"), accounts.by_name(name), role


def _text(event: object) -> str:
    return getattr(event, "content", "")


def _discussion(stand: Stand, title: str) -> int:
    return int(stand.ada.create_discussion(REQUESTS, title, description="?", repo_type="dataset").num)


@pytest.mark.parametrize("how", ["disabled", SUSPENDED])
def test_a_webhook_that_was_switched_off_is_switched_on_and_reported(stand: Stand, how: str) -> None:
    """Disabled by hand, or suspended by the Hub: the next look enables it, and `/readyz` can tell."""
    hook = _webhook(stand)
    look(stand)
    with stand.hub.box.store.write() as db:
        db.execute("UPDATE webhooks SET disabled = ?", (how,))
    stand.hub.box.webhooks._changed += 1
    assert [one.disabled for one in stand.desk.hub.webhooks()] == [how]
    look(stand)
    assert [one.disabled for one in stand.desk.hub.webhooks()] == [None]
    told = stand.desk.redis.hget(stand.desk.keys.hub_state, "webhook").decode()
    assert hook in told
    assert how in told


def test_without_a_webhook_the_bot_looks_oftener_and_says_why(stand: Stand) -> None:
    """Nobody tells us of commits: the flag says so and rounds come every POLLING seconds, until there is a webhook."""
    look(stand)
    assert b"No webhook" in stand.desk.redis.get(stand.desk.keys.webhook_trouble)
    assert ("GET", "refs") in look(stand, after=POLLING)
    _webhook(stand)
    look(stand, after=POLLING)
    assert stand.desk.redis.get(stand.desk.keys.webhook_trouble) is None
    assert look(stand, after=POLLING) == []
    assert ("GET", "refs") in look(stand, after=PERIOD - POLLING)


def _webhook(stand: Stand) -> str:
    body = {"url": "http://127.0.0.1:9/hook", "watched": WATCHED, "domains": ["repo", "discussion"]}
    headers = {"Authorization": f"Bearer {BOT}"}
    answer = httpx2.post(f"{stand.hub.url}/api/settings/webhooks", json=body, headers=headers)
    return str(answer.json()["webhook"]["id"])


def test_two_schedulers_make_no_more_rounds_than_one(stand: Stand) -> None:
    """The time of the last round is shared: each makes one when it starts, and from then on they take turns."""
    _webhook(stand)
    other = Schedule(stand.desk)
    costs = []
    for schedule, after in ((stand.schedule, 0), (other, 0), (other, PERIOD), (stand.schedule, 0)):
        stand.time += after
        before = len(stand.calls)
        schedule.tick()
        stand.work()
        costs.append(len(stand.calls) - before)
    assert costs[1:] == [8, 8, 0]


def test_after_redis_is_lost_everything_is_as_before(stand: Stand) -> None:
    """FLUSHALL with requests running, queued, refused and finished: the same files, threads and queue after it."""
    fill(stand, 30)
    job = stand.started()
    stand.submit("ada/remote")
    stand.submit("ada/good", path="ada/good_eval_request_False_bfloat16_Original.json", precision="bfloat16")

    def live() -> object:
        for _ in range(4):
            stand.worker()
            stand.desk.attempts.beat(job.attempt, Progress("evaluate", 1, 10), now=stand.time)
            look(stand, after=10)
        bodies = [[_text(event).partition("<sub>")[0] for event in one.events] for one in stand.threads()]
        queued = [one.attempt for one in stand.queued()]
        return sorted(bodies), stand.commits(), queued, stand.desk.index.count(), stand.file(job.path)["status"]

    before = live()
    stand.desk.redis.flushall()
    assert live() == before
    assert before[2:] == ([stand.queued()[0].attempt], 33, "RUNNING")


def test_a_request_whose_sync_got_lost_is_marked_again(stand: Stand) -> None:
    """An entry that nobody judged, with no mark left, is synced at the next round."""
    path = stand.submit("ada/good")
    look(stand)
    stand.desk.index.put(Entry(path=path))
    assert state(stand, path) == "new"
    look(stand)
    assert state(stand, path) == "waiting"


def test_an_attempt_that_lives_without_its_request_is_looked_into(stand: Stand) -> None:
    """The index says that nobody evaluates a request whose attempt beats: its sync puts the index right."""
    job = stand.started()
    entry = stand.desk.index.get(job.path)
    stand.desk.index.put(entry.model_copy(update={"state": "settled"}))
    stand.desk.attempts.beat(job.attempt, Progress("evaluate", 1, 10), now=stand.time + PERIOD)
    look(stand)
    assert state(stand, job.path) == "running"


def test_git_that_is_turned_away_waits_as_the_hub_asks(stand: Stand) -> None:
    """A 429 to the fetch is a rate limit like any other: the look is put off, and done later."""
    path = stand.submit("ada/good")
    stand.hub.box.faults.fail("GET */info/refs", status=429, times=1)
    look(stand)
    assert state(stand, path) is None
    look(stand, after=RateLimited("", seconds=61, what="").seconds)
    assert state(stand, path) == "waiting"


def test_files_of_several_commits_keep_their_own_submitters(stand: Stand) -> None:
    """Between two looks three people commit: each file is its own committer's, without a call per commit."""
    look(stand)
    stand.hub.box.accounts.set_member(*_member(stand, "ada", "write"))
    stand.submit("ada/good")
    operations = [
        CommitOperationAdd(path_of("ada/other"), json.dumps({"model": "ada/other", "status": "PENDING"}).encode())
    ]
    stand.ada.create_commit(REQUESTS, operations, commit_message="Mine", repo_type="dataset")
    calls = look(stand)
    assert stand.desk.index.origin(path_of("ada/good")).author == "form"
    assert stand.desk.index.origin(path_of("ada/other")).author == "ada"
    assert ("GET", "compare") not in calls


def test_marks_in_bulk_count_like_single_ones(stand: Stand) -> None:
    """A key marked while its sync runs is synced again, also if it was marked among many."""
    dirty = stand.desk.dirty
    dirty.mark_all(["a", "b"], due=stand.time, priority=Priority.EVENT)
    claim = dirty.claim(now=stand.time, lease=60)
    assert claim is not None
    dirty.mark_all(["a", "b"], due=stand.time, priority=Priority.EVENT)
    dirty.finish(claim)
    assert len(dirty) == 2


def test_who_submitted_survives_the_loss_of_redis(stand: Stand) -> None:
    """Waiting, running and merged requests name the same submitter afterwards; our own commits hide nobody."""
    stand.desk.board = stand.desk.board.model_copy(update={"front_ends": (stand.desk.hub.user("form").id,)})
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
    known = [stand.desk.index.origin(path).author for path in paths]
    stand.desk.redis.flushall()
    for _ in range(3):
        stand.desk.attempts.beat(job.attempt, Progress("evaluate", 1, 10), now=stand.time)
        look(stand, after=10)
    assert [stand.desk.index.origin(path).author for path in paths] == known == ["form", "form", "ada"]
    assert stand.desk.index.origin(merged).pull == int(pull.pr_num or 0)
    assert stand.file(job.path)["steward"]["submitter"] == "form"
    assert len(stand.threads()) == 3


def test_a_submitter_is_believed_in_a_file_only_after_our_own_commit(stand: Stand) -> None:
    """Whoever writes another's name into the object `steward` of a new file gets it overwritten, not believed."""
    stand.worker()
    stand.schedule.tick()
    path = stand.submit("ada/good", steward={"submitter": "ada"})
    stand.settle()
    assert stand.desk.index.origin(path).author == "form"
    (job,) = stand.queued()
    assert stand.take(job) is True
    assert stand.file(path)["steward"]["submitter"] == "form"


def test_a_job_that_vanished_from_rq_is_queued_again(stand: Stand) -> None:
    """PENDING without a job: when RQ lost what was queued, the same attempt is put there once more."""
    stand.worker()
    stand.submit("ada/good")
    look(stand, after=0)
    (job,) = stand.queued()
    stand.desk.redis.delete(*(f"rq:queue:{name}" for name in stand.desk.queues))
    assert stand.queued() == []
    for _ in range(20):
        stand.worker()
        look(stand, after=2)
    assert [one.attempt for one in stand.queued()] == [job.attempt]


def test_a_job_that_a_worker_has_just_got_is_not_lost(stand: Stand) -> None:
    """Between getting a job and saying that it took it a tick of the timer may fall: nothing is queued twice."""
    stand.worker()
    stand.submit("ada/good")
    look(stand, after=0)
    (job,) = stand.queued()
    stand.time += STUCK_IN_RQ
    look(stand, after=TICK)
    for name in stand.desk.queues:
        stand.desk.redis.delete(f"rq:queue:{name}")
    look(stand, after=TICK)
    assert stand.queued() == []
    assert stand.desk.index.get(job.path).state == "queued"
    stand.desk.attempts.take(job.attempt, job.path, "w", now=stand.time)
    look(stand, after=TICK)
    assert stand.queued() == []
    assert stand.desk.index.get(job.path).state == "running"


def test_a_hub_that_is_away_is_not_hammered_about_a_silent_attempt(stand: Stand) -> None:
    """While the Hub fails, the timer's ticks do not shorten the growing waits of the sync that would recover it."""
    job = stand.started()
    stand.desk.hub.retries = Retries(attempts=1)
    stand.hub.box.faults.fail("GET */resolve/*", status=503, times=None)
    stand.time += LOST
    calls = [call for _ in range(30) for call in look(stand, after=TICK)]
    assert 2 <= calls.count(("GET", "resolve")) <= 7
    stand.hub.box.faults.clear()
    look(stand, after=PERIOD)
    assert stand.file(job.path)["status"] == "RERUN"
