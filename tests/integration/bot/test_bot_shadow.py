"""A board in shadow mode: the list of what the bot would have done, what people did instead, and switching on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from benchmarks.sample_tables import sample_tables
from bot.ledger.edits import PutFile
from bot.processes.reconcile import PERIOD
from bot.setup.shadow_report import compare
from bot.threads.maintainers_list import READ_SECONDS
from leaderboard.attempts import Details
from leaderboard.effects import Effect, EffectMode
from leaderboard.results import dump
from leaderboard.scores import score
from leaderboard.steward_block import StewardBlock, scores_in_block, with_block
from leaderboard.times import write_time
from redis_state.attempts import LOST
from redis_state.dirty import SyncPriority
from redis_state.jobs import EvaluationJob
from redis_state.shadowed_writes import MAX_LENGTH, ShadowedWrite, ShadowList
from steward.testing.board import REQUESTS, WORKER, BoardDriver
from tests.support.board.effect_modes import (
    CORRUPTED,
    ON,
    SHADOW,
    listed,
    pass_time,
    path_of,
    public_state,
    submit,
    submit_and_take,
    switch,
)


def published(stand: BoardDriver, job: EvaluationJob) -> Details:
    """Publish results of `job` as a worker does, and return where they are."""
    suite, repo = stand.context.suite, "board-details/details_ada__good"
    raw = {task: {"acc_norm,none": 0.75, "exact_match,answer": 0.5} for task in (*suite.tasks, *suite.run)}
    block = StewardBlock(
        attempt=job.attempt,
        request=job.path,
        model=job.model,
        revision=job.revision,
        precision=job.precision,
        suite=suite.name,
        suite_digest=suite.digest,
        started="",
        ended="",
        **scores_in_block(score(raw, suite)),
    )
    path = "results_2026-11-24T12-00-00.000000.json"
    gpu = HfApi(stand.hub.url, token=WORKER)
    gpu.create_repo(repo, repo_type="dataset")
    tables = sample_tables(suite, raw, "2026-11-24T12-00-00.000000")
    files = {**tables, path: dump(with_block({"results": raw}, block))}
    operations = [CommitOperationAdd(name, content) for name, content in files.items()]
    commit = gpu.create_commit(repo, operations, commit_message="Publish", repo_type="dataset")
    return Details(repo=repo, commit=commit.oid, results_path=path)


def check_list(stand: BoardDriver, jobs: Sequence[EvaluationJob], good: str, refused: str, broken: str) -> None:
    """Check that the list holds each edit, thread and comment for three jobs and three requests, and nothing else."""
    well, ill, lost = jobs
    comment = ("comment", "new-thread")
    edits = [entry for entry in listed(stand) if entry[0] not in comment]
    folder = "ada/good/"
    result = "ada/good/results_2026-11-24T12-00-00.000000.json"
    assert sorted(edits) == sorted(
        [
            ("edit", good, "RUNNING"),
            ("edit", refused, "FAILED"),
            ("edit", result, ""),
            *(
                ("edit", f"{folder}{job.attempt}/{name}", "")
                for job in (well, ill)
                for name in ("log.txt", "outcome.json")
            ),
            ("edit", well.path, "FINISHED"),
            ("edit", ill.path, "FAILED"),
            ("relaunch", lost.path, "RERUN"),
        ]
    )
    spoken = [entry for entry in listed(stand) if entry[0] in comment]
    assert sorted(spoken) == sorted(
        [
            *(("new-thread", path, "") for path in (good, refused, broken)),
            *(("comment", job.path, "") for job in (well, ill, lost)),
        ]
    )


def check_rest(stand: BoardDriver) -> None:
    """Check that nothing is dirty or retried, and that further rounds cost few calls and list nothing more."""
    stand.time += READ_SECONDS
    stand.work()
    assert stand.context.redis.hlen(stand.context.keys.dirty_tries) == 0
    assert len(stand.context.dirty) == 0

    before, count = len(stand.calls), len(listed(stand))
    for _ in range(5):
        pass_time(stand, PERIOD + 1)
    assert (len(stand.calls) - before) / 5 < 10
    assert len(listed(stand)) == count


@pytest.mark.long("a simulated day")
def test_a_board_in_shadow_writes_nothing_for_a_day_and_its_list_is_right(stand: BoardDriver) -> None:
    """Submissions, refusals, an evaluation that ends well, one that fails, a lost worker: all listed, nothing written.

    Afterwards no sync is retried and no key is dirty, and a round costs few calls.
    """
    well, ill, lost = (submit_and_take(stand, precision) for precision in ("float32", "float16", "bfloat16"))
    details = published(stand, well)
    switch(stand, SHADOW)
    good = submit(stand, "8bit")
    refused = stand.submit("ada/remote")
    broken = stand.submit("ada/broken", path=path_of("4bit"), raw=b"{")
    still = public_state(stand)

    pass_time(stand, 1)
    stand.end(well, details=details)
    stand.end(ill, failure=CORRUPTED)
    for _ in range(24):
        pass_time(stand, LOST + 1)
        pass_time(stand, 3_600 - LOST - 1)
    assert public_state(stand) == still
    assert stand.queued() == []
    check_list(stand, (well, ill, lost), good, refused, broken)
    check_rest(stand)


@pytest.mark.long("a simulated day")
def test_the_report_shows_what_others_did_instead_of_the_bot(stand: BoardDriver) -> None:
    """If another backend runs and finishes a request, the report lists both changes of its status with the account."""
    switch(stand, SHADOW)
    refused, good = stand.submit("ada/remote"), submit(stand, "float32")
    pass_time(stand, 1)
    pass_time(stand, 60)
    stand.put(good, json.dumps({**stand.file(good), "status": "RUNNING", "job_id": "77"}).encode())
    pass_time(stand, 60)
    stand.put(good, json.dumps({**stand.file(good), "status": "FINISHED"}).encode())
    pass_time(stand, 60)
    compared = {
        (comparison.shadowed.effect, comparison.shadowed.path): comparison
        for comparison in compare(stand.context, stand.context.effects.shadow.read().things)
    }
    ran = compared["edit", good]
    assert [(deed.who, deed.what) for deed in ran.then] == [
        ("form", "PENDING → RUNNING"),
        ("form", "RUNNING → FINISHED"),
    ]
    assert ran.same
    assert (compared["edit", refused].then, compared["edit", refused].same) == ([], False)
    assert compare(stand.context, []) == []


@pytest.mark.long("a simulated day")
def test_the_report_shows_what_people_wrote_after_a_held_back_comment(stand: BoardDriver) -> None:
    """The report lists people's comments after a comment that the bot held back, and that the thread was closed."""
    job = submit_and_take(stand, "float32")
    pass_time(stand, 2)
    switch(stand, SHADOW)
    stand.end(job, failure=CORRUPTED)
    pass_time(stand, 5)
    (thread,) = stand.threads()
    stand.ada.comment_discussion(REQUESTS, thread.num, "What happened?", repo_type="dataset")
    stand.form.change_discussion_status(REQUESTS, thread.num, "closed", repo_type="dataset")
    (comparison,) = (c for c in compare(stand.context, stand.context.effects.shadow.read().things) if c.shadowed.thread)
    assert [(deed.who, deed.what) for deed in comparison.then] == [
        ("ada", "wrote a comment"),
        ("a person", "the thread is closed"),
    ]


def test_what_was_held_back_is_done_once_effects_are_on(stand: BoardDriver) -> None:
    """When effects are switched on, the bot does what is still due, once; another backend's request is left to it."""
    switch(stand, SHADOW)
    stand.worker()
    refused, good, other = stand.submit("ada/remote"), submit(stand, "float32"), submit(stand, "float16")
    pass_time(stand, 1)
    stand.put(other, json.dumps({**stand.file(other), "status": "RUNNING", "job_id": "77"}).encode())
    pass_time(stand, PERIOD + 1)
    switch(stand, ON)
    pass_time(stand, PERIOD + 1)
    assert stand.file(refused)["status"] == "FAILED"
    assert [job.path for job in stand.queued()] == [good]
    assert stand.file(other)["job_id"] == "77"
    titles = sorted(thread.title for thread in stand.threads())
    assert titles == ["Evaluation of ada/good (float32)", "Evaluation of ada/remote (float32)"]
    before = public_state(stand)
    pass_time(stand, PERIOD + 1)
    assert public_state(stand) == before
    assert stand.take(stand.queued()[0]) is True
    assert stand.file(good)["status"] == "RUNNING"
    assert len(stand.threads()) == 2
    assert stand.context.effects.shadow.held_back("") == []


def test_what_is_held_back_again_while_it_is_marked_is_not_forgotten(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key whose sync holds it back again while the timer marks it is marked again at the next change of effects."""
    context, key = stand.context, "request:ada/good"
    switch(stand, SHADOW)
    context.effects.hold_back(key)
    mark_all = context.mark_all

    def synced_at_once(keys: Iterable[str], priority: SyncPriority) -> None:
        marked = list(keys)
        mark_all(marked, priority)
        if key in marked:
            context.effects.hold_back(key)

    monkeypatch.setattr(context, "mark_all", synced_at_once)
    switch(stand, {**SHADOW, Effect.COMMENT: EffectMode.ON})
    stand.tick()
    assert context.effects.shadow.held_back(context.effects.words()) == []
    switch(stand, ON)
    assert context.effects.shadow.held_back(context.effects.words()) == [key]


def test_whoever_asked_in_shadow_is_answered_however_the_kinds_are_switched_on(stand: BoardDriver) -> None:
    """The bot answers a command and a pull request once each, although effects are switched on one after the other."""
    switch(stand, SHADOW)
    asked = stand.ada.create_discussion(REQUESTS, "A question", description="/help", repo_type="dataset").num
    fields = {"model": "ada/remote", "status": "PENDING", "revision": "main"}
    add = [CommitOperationAdd(path_of("float32", "ada/remote"), json.dumps(fields).encode())]
    pull = stand.ada.create_commit(REQUESTS, add, commit_message="Add", repo_type="dataset", create_pr=True)
    pass_time(stand, PERIOD + 1)
    modes = dict(SHADOW)
    for kind in (Effect.EDIT, Effect.CLOSE, Effect.COMMENT, Effect.MENTION):
        modes[kind] = EffectMode.ON
        switch(stand, modes)
        pass_time(stand, PERIOD + 1)
    ours = Counter(
        thread.num
        for thread in stand.threads()
        for event in thread.events
        if event.type == "comment" and event.author == "steward-bot"
    )
    assert ours == {asked: 1, int(pull.pr_num or 0): 1}


def test_a_pull_request_that_passed_in_shadow_is_merged_once_merges_are_on(stand: BoardDriver) -> None:
    """In shadow mode the bot lists the merge, and merges when all effects that it needs are on."""
    stand.context.board = stand.context.board.model_copy(update={"pull_requests": "merge"})
    switch(stand, SHADOW)
    fields = {"model": "ada/good", "status": "PENDING", "revision": "main", "precision": "float32"}
    fields |= {"weight_type": "Original", "submitted_time": write_time(stand.time)}
    add = [CommitOperationAdd(path_of("float32"), json.dumps(fields).encode())]
    stand.ada.create_commit(REQUESTS, add, commit_message="Add", repo_type="dataset", create_pr=True)
    modes = dict(SHADOW)
    for kind in (Effect.COMMENT, Effect.EDIT, Effect.MERGE):
        pass_time(stand, PERIOD + 1)
        assert [
            shadowed.thread for shadowed in stand.context.effects.shadow.read().things if shadowed.effect == "merge"
        ] == [1]
        assert stand.threads()[0].status == "open"
        modes[kind] = EffectMode.ON
        switch(stand, modes)
    pass_time(stand, PERIOD + 1)
    assert stand.threads()[0].status == "merged"


def test_edits_that_were_staged_before_a_board_went_into_shadow_are_not_written(stand: BoardDriver) -> None:
    """When a board goes into shadow mode, the ledger drops and lists staged edits, and no request waits for them."""
    path = stand.submit("ada/good")
    edit = PutFile(id="log x", path="x/log.txt", data=b"x", line="Add a log", subject=path, wake=(f"request:{path}",))
    stand.context.ledger.stage(stand.context.logs, edit)
    switch(stand, SHADOW)
    before = public_state(stand)
    pass_time(stand, 5)
    assert public_state(stand) == before
    assert not stand.context.ledger.edits.is_pending(path)
    assert ("edit", "x/log.txt", "") in listed(stand)


def test_a_worker_that_asks_for_a_claim_in_shadow_is_sent_away(stand: BoardDriver) -> None:
    """The bot refuses a claim if the commit of RUNNING is in shadow mode, and lists that commit."""
    stand.worker()
    path = submit(stand, "float32")
    stand.settle()
    (job,) = stand.queued()
    switch(stand, SHADOW)
    assert stand.take(job) is False
    assert stand.file(path)["status"] == "PENDING"
    pass_time(stand, PERIOD)
    assert stand.queued() == []
    assert [entry for entry in listed(stand) if entry[0] == "edit"] == [("edit", path, "RUNNING")]


def test_the_list_is_bounded(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of held-back writes drops the oldest first, and lists none twice while it knows its id."""
    monkeypatch.setattr("redis_state.shadowed_writes.MAX_LENGTH", 20)
    shadow = ShadowList(stand.context.redis, stand.context.keys)
    for number in range(50):
        shadowed = ShadowedWrite(
            id=f"x {number}", effect="edit", repo="dataset/a/b", does=f"{number}", at=float(number)
        )
        assert shadow.add(shadowed)
        assert not shadow.add(shadowed)
    read = shadow.read()
    assert [shadowed.does for shadowed in read.things] == [str(number) for number in range(49, 29, -1)]
    assert read.count == 20
    assert stand.context.redis.zcard(stand.context.keys.shadow_ids) <= 40
    assert MAX_LENGTH == 10_000
    shadow.clear()
    assert shadow.read().things == []
