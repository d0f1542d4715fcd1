"""Off, shadow, on: what the bot does not do, what it says that it would have done, and what people did instead."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from stand_kit import REQUESTS, WORKER, Stand

from bot.adopting import adopt
from bot.effects import Gate
from bot.hindsight import compare
from bot.sync.reconcile import PERIOD
from hub.comments import Marker
from hub.edits import PutFile
from hub.records import Repo
from leaderboard.attempts import Details, Failure
from leaderboard.effects import Effect, Effects, Mode
from leaderboard.requests import RequestPath
from leaderboard.results import Block, dump, score, scores_in_block, with_block
from wire.attempts import LOST
from wire.heartbeats import WorkerCard
from wire.jobs import EvaluationJob
from wire.shadow import KEPT, ShadowList, Would

SHADOW, ON = (dict.fromkeys(Effect, mode) for mode in (Mode.SHADOW, Mode.ON))
CORRUPTED = Failure(cause="weights-corrupted", fault="submission", message="The weights are cut off.")
OURS = Failure(cause="disk-full", fault="us", message="The disk is full.")


def switch(stand: Stand, modes: dict[Effect, Mode], **others: Mode) -> None:
    """Give the board these effects, as a restart with another board file does."""
    named = {Effect(kind.replace("_", "-")): mode for kind, mode in others.items()}
    stand.desk.board = stand.desk.board.model_copy(update={"effects": Effects(modes={**modes, **named})})


def path_of(precision: str, model: str = "ada/good") -> str:
    """Where the request for a model at a precision lies."""
    return str(RequestPath(*model.split("/"), private=False, precision=precision, weight_type="Original"))


def submit(stand: Stand, precision: str, **fields: Any) -> str:
    """The form submits ada/good at another precision."""
    return stand.submit("ada/good", path=path_of(precision), precision=precision, **fields)


def begun(stand: Stand, precision: str) -> EvaluationJob:
    """An evaluation that a worker is at."""
    stand.desk.workers.announce(WorkerCard(name=precision, tiers=("all",), since=stand.time, beat=stand.time))
    path = submit(stand, precision)
    stand.settle()
    (job,) = (job for job in stand.queued() if job.path == path)
    assert stand.take(job) is True
    return job


def published(stand: Stand, job: EvaluationJob) -> Details:
    """What the worker published of an evaluation that went well."""
    suite, repo = stand.desk.suite, "board-details/details_ada__good"
    raw = {task: {"acc_norm,none": 0.75, "exact_match,answer": 0.5} for task in (*suite.tasks, *suite.run)}
    block = Block(
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
    add = CommitOperationAdd(path, dump(with_block({"results": raw}, block)))
    commit = gpu.create_commit(repo, [add], commit_message="Publish", repo_type="dataset")
    return Details(repo=repo, commit=commit.oid, results_path=path)


def written(stand: Stand) -> dict[str, Any]:
    """Everything that people can see of what the bot, or anybody, wrote."""
    repos = [f"board/{name}" for name in ("requests", "results", "logs")]
    heads = {name: stand.form.list_repo_commits(name, repo_type="dataset")[0].commit_id for name in repos}
    texts = {t.num: (t.status, [getattr(e, "content", e.type) for e in t.events]) for t in stand.threads()}
    return {**heads, "threads": texts}


def later(stand: Stand, seconds: float) -> None:
    """Time goes by, for us and for the Hub; the timer ticks, and all that is due is done."""
    stand.hub.box.clock.advance(seconds)
    # The Hub's clock goes on while a test runs, and ours does not: who compares the two needs them together.
    stand.time = max(stand.time + seconds, stand.hub.box.clock.seconds())
    stand.worker()
    stand.schedule.tick()
    stand.work()


def listed(stand: Stand) -> list[tuple[str, str, str]]:
    """The list, oldest first: kind, file, status."""
    things = stand.desk.effects.shadow.read().things
    return [(would.effect, would.path, would.status) for would in reversed(things)]


def test_a_board_in_shadow_writes_nothing_for_a_day_and_its_list_is_right(stand: Stand) -> None:
    """Submissions, refusals, an evaluation that ends well, one that fails, a lost worker: all listed, nothing written.

    The day over every sync is at rest: no retries, nothing dirty, and a round costs what a round costs.
    """
    well, ill, lost = (begun(stand, precision) for precision in ("float32", "float16", "bfloat16"))
    details = published(stand, well)
    switch(stand, SHADOW)
    good = submit(stand, "8bit")
    refused = stand.submit("ada/remote")
    broken = stand.submit("ada/broken", path=path_of("4bit"), raw=b"{")
    still = written(stand)

    later(stand, 1)
    stand.end(well, details=details)
    stand.end(ill, failure=CORRUPTED)
    for _ in range(24):
        later(stand, LOST + 1)
        later(stand, 3_600 - LOST - 1)
    assert written(stand) == still
    assert stand.queued() == []
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
    assert stand.desk.redis.hlen(stand.desk.keys.dirty_tries) == 0
    assert len(stand.desk.dirty) == 0

    before, count = len(stand.calls), len(listed(stand))
    for _ in range(5):
        later(stand, PERIOD + 1)
    assert (len(stand.calls) - before) / 5 < 10
    assert len(listed(stand)) == count


def test_the_list_stands_beside_what_people_did(stand: Stand) -> None:
    """Another backend runs and finishes one request, a maintainer answers in a thread: both are shown, with who."""
    switch(stand, SHADOW)
    refused, good = stand.submit("ada/remote"), submit(stand, "float32")
    later(stand, 1)
    later(stand, 60)
    stand.put(good, json.dumps({**stand.file(good), "status": "RUNNING", "job_id": "77"}).encode())
    later(stand, 60)
    stand.put(good, json.dumps({**stand.file(good), "status": "FINISHED"}).encode())
    later(stand, 60)
    found = {
        (one.would.effect, one.would.path): one for one in compare(stand.desk, stand.desk.effects.shadow.read().things)
    }
    ran = found["edit", good]
    assert [(deed.who, deed.what) for deed in ran.then] == [
        ("form", "PENDING → RUNNING"),
        ("form", "RUNNING → FINISHED"),
    ]
    assert ran.same
    assert (found["edit", refused].then, found["edit", refused].same) == ([], False)
    assert compare(stand.desk, []) == []


def test_what_people_say_in_a_thread_stands_beside_what_the_bot_would_have_said(stand: Stand) -> None:
    """A comment that was held back is shown with the comments that people wrote after it, and how the thread stands."""
    job = begun(stand, "float32")
    later(stand, 2)
    switch(stand, SHADOW)
    stand.end(job, failure=CORRUPTED)
    later(stand, 5)
    (thread,) = stand.threads()
    stand.ada.comment_discussion(REQUESTS, thread.num, "What happened?", repo_type="dataset")
    stand.form.change_discussion_status(REQUESTS, thread.num, "closed", repo_type="dataset")
    (told,) = (c for c in compare(stand.desk, stand.desk.effects.shadow.read().things) if c.would.thread)
    assert [(deed.who, deed.what) for deed in told.then] == [
        ("ada", "wrote a comment"),
        ("somebody", "the thread is closed"),
    ]


def test_what_was_held_back_is_done_once_effects_are_on(stand: Stand) -> None:
    """Switching on does what is still true, once; what another backend did meanwhile is left to it."""
    switch(stand, SHADOW)
    stand.worker()
    refused, good, other = stand.submit("ada/remote"), submit(stand, "float32"), submit(stand, "float16")
    later(stand, 1)
    stand.put(other, json.dumps({**stand.file(other), "status": "RUNNING", "job_id": "77"}).encode())
    later(stand, PERIOD + 1)
    switch(stand, ON)
    later(stand, PERIOD + 1)
    assert stand.file(refused)["status"] == "FAILED"
    assert [job.path for job in stand.queued()] == [good]
    assert stand.file(other)["job_id"] == "77"
    titles = sorted(thread.title for thread in stand.threads())
    assert titles == ["Evaluation of ada/good (float32)", "Evaluation of ada/remote (float32)"]
    before = written(stand)
    later(stand, PERIOD + 1)
    assert written(stand) == before
    assert stand.take(stand.queued()[0]) is True
    assert stand.file(good)["status"] == "RUNNING"
    assert len(stand.threads()) == 2
    assert stand.desk.effects.shadow.held_back("") == []


def test_whoever_asked_in_shadow_is_answered_however_the_kinds_are_switched_on(stand: Stand) -> None:
    """A command and a pull request wait for comments, whatever else is switched on before; each is answered once."""
    switch(stand, SHADOW)
    asked = stand.ada.create_discussion(REQUESTS, "A question", description="/help", repo_type="dataset").num
    fields = {"model": "ada/remote", "status": "PENDING", "revision": "main"}
    add = [CommitOperationAdd(path_of("float32", "ada/remote"), json.dumps(fields).encode())]
    made = stand.ada.create_commit(REQUESTS, add, commit_message="Add", repo_type="dataset", create_pr=True)
    later(stand, PERIOD + 1)
    modes = dict(SHADOW)
    for kind in (Effect.EDIT, Effect.CLOSE, Effect.COMMENT, Effect.MENTION):
        modes[kind] = Mode.ON
        switch(stand, modes)
        later(stand, PERIOD + 1)
    ours = Counter(
        thread.num
        for thread in stand.threads()
        for event in thread.events
        if event.type == "comment" and event.author == "steward-bot"
    )
    assert ours == {asked: 1, int(made.pr_num or 0): 1}


def test_a_pull_request_that_passed_in_shadow_is_merged_once_merges_are_on(stand: Stand) -> None:
    """The board merges by itself: in shadow that is listed, and done when all kinds that it needs are on."""
    stand.desk.board = stand.desk.board.model_copy(update={"pull_requests": "merge"})
    switch(stand, SHADOW)
    fields = {"model": "ada/good", "status": "PENDING", "revision": "main", "precision": "float32"}
    fields |= {"weight_type": "Original", "submitted_time": "2026-11-24T12:00:00Z"}
    add = [CommitOperationAdd(path_of("float32"), json.dumps(fields).encode())]
    stand.ada.create_commit(REQUESTS, add, commit_message="Add", repo_type="dataset", create_pr=True)
    modes = dict(SHADOW)
    for kind in (Effect.COMMENT, Effect.EDIT, Effect.MERGE):
        later(stand, PERIOD + 1)
        assert [would.thread for would in stand.desk.effects.shadow.read().things if would.effect == "merge"] == [1]
        assert stand.threads()[0].status == "open"
        modes[kind] = Mode.ON
        switch(stand, modes)
    later(stand, PERIOD + 1)
    assert stand.threads()[0].status == "merged"


def test_edits_that_were_staged_before_a_board_went_into_shadow_are_not_written(stand: Stand) -> None:
    """The ledger drops what waits for its turn, lists it, and lets go of whoever waited for it."""
    path = stand.submit("ada/good")
    edit = PutFile(id="log x", path="x/log.txt", data=b"x", line="Add a log", subject=path, wake=(f"request:{path}",))
    stand.desk.ledgers.stage(stand.desk.logs, edit)
    switch(stand, SHADOW)
    before = written(stand)
    later(stand, 5)
    assert written(stand) == before
    assert not stand.desk.ledgers.pending(path)
    assert ("edit", "x/log.txt", "") in listed(stand)


def test_a_worker_that_asks_for_a_claim_in_shadow_is_sent_away(stand: Stand) -> None:
    """Its attempt was queued while edits were on; without a commit of RUNNING nobody may evaluate it."""
    stand.worker()
    path = submit(stand, "float32")
    stand.settle()
    (job,) = stand.queued()
    switch(stand, SHADOW)
    assert stand.take(job) is False
    assert stand.file(path)["status"] == "PENDING"
    later(stand, PERIOD)
    assert stand.queued() == []
    assert [entry for entry in listed(stand) if entry[0] == "edit"] == [("edit", path, "RUNNING")]


RELAUNCH = [(Mode.ON, "RERUN", []), (Mode.SHADOW, "FAILED", ["RERUN"]), (Mode.OFF, "FAILED", [])]


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize(("mode", "status", "held"), RELAUNCH)
def test_without_relaunches_our_faults_end_in_failed(
    stand: Stand, mode: Mode, status: str, held: list[str], lost: bool
) -> None:
    """Where the bot may not relaunch by itself, no request is left in limbo: it fails, and says whose fault it was."""
    job = begun(stand, "float32")
    switch(stand, ON, relaunch=mode)
    if lost:
        later(stand, 60)
        later(stand, LOST + 1)
    else:
        stand.end(job, failure=OURS)
    file = stand.file(job.path)
    assert file["status"] == status
    assert file["steward"]["failure"]["fault"] in ("us", "hub")
    assert [entry[2] for entry in listed(stand)] == held


def test_without_threads_the_file_says_it_all(stand: Stand) -> None:
    """A kind that is off stops nothing else: the request is refused in its file, and no thread is opened or listed."""
    switch(stand, ON, new_thread=Mode.OFF)
    path = stand.submit("ada/remote")
    stand.settle()
    assert stand.file(path)["status"] == "FAILED"
    assert stand.threads() == []
    assert listed(stand) == []


def test_a_comment_does_not_speak_of_an_edit_that_was_held_back(stand: Stand) -> None:
    """With comments on and edits in shadow, nobody reads that a request failed whose file says PENDING."""
    switch(stand, ON, edit=Mode.SHADOW)
    stand.submit("ada/remote")
    stand.settle()
    assert stand.threads() == []
    assert [entry[0] for entry in listed(stand)] == ["new-thread", "edit"]


# --- each kind, in each mode


MARKER = Marker("demo", "note", "x")
REPO = Repo("dataset", REQUESTS)


def edit(gate: Gate, _thread: int) -> None:
    """A file is put."""
    gate.stage(REPO, PutFile(id="put", path="x.txt", data=b"x", line="Add x"))


def speak(gate: Gate, thread: int) -> None:
    """A comment is written."""
    gate.comment(REPO, thread, "Hello.", MARKER)


def mention(gate: Gate, thread: int) -> None:
    """Somebody is mentioned in a comment."""
    gate.comment(REPO, thread, "Hello @ada and @ada, or mail a@b.", MARKER)


def open_one(gate: Gate, _thread: int) -> None:
    """A thread is opened."""
    gate.open_thread(REPO, "A title", "A body.", MARKER)


def close(gate: Gate, thread: int) -> None:
    """A thread is closed."""
    gate.set_status(REPO, thread, "closed", MARKER)


def pause(gate: Gate, _thread: int) -> None:
    """Something else that a sync asks for by name."""
    gate.allows(Would(id="pause", effect=Effect.PAUSE, repo="dataset/board/requests", does="Pause the queue"))


ACTS: list[tuple[Effect, Callable[[Gate, int], None]]] = [
    (Effect.EDIT, edit),
    (Effect.COMMENT, speak),
    (Effect.MENTION, mention),
    (Effect.NEW_THREAD, open_one),
    (Effect.CLOSE, close),
    (Effect.PAUSE, pause),
]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(("effect", "act"), ACTS)
def test_each_kind_of_effect_is_off_shadowed_or_on(
    stand: Stand, effect: Effect, act: Callable[[Gate, int], None], mode: Mode
) -> None:
    """Done only where it is on, listed only where it is in shadow, and once, however often it is tried."""
    thread = stand.ada.create_discussion(REQUESTS, "A question", repo_type="dataset").num
    switch(stand, ON)
    still = written(stand)
    switch(stand, {**ON, effect: mode})
    for _ in range(2):
        act(stand.desk.effects, thread)
        stand.settle()
    done = written(stand) != still
    assert done is ((mode is Mode.ON and effect is not Effect.PAUSE) or effect is Effect.MENTION)
    assert [entry[0] for entry in listed(stand)] == ([effect.value] if mode is Mode.SHADOW else [])
    if effect is Effect.MENTION:
        assert ("@ada" in stand.threads()[0].events[-1].content) is (mode is Mode.ON)
        assert "a@b" in stand.threads()[0].events[-1].content


@pytest.mark.parametrize("mode", Mode)
def test_a_merge_is_off_shadowed_or_on(stand: Stand, mode: Mode) -> None:
    """A pull request at its approved head is merged, listed, or neither."""
    add = CommitOperationAdd("x.json", b"{}")
    pull = stand.ada.create_commit(REQUESTS, [add], commit_message="Add", repo_type="dataset", create_pr=True)
    number = int(pull.pr_num or 0)
    head = stand.desk.hub.thread(REPO, number).head_commit
    assert head is not None
    switch(stand, {**ON, Effect.MERGE: mode})
    merged = stand.desk.effects.merge(REPO, number, head=head)
    assert (merged is not None) is (mode is Mode.ON)
    assert stand.desk.hub.thread(REPO, number).status == ("merged" if mode is Mode.ON else "open")
    assert [entry[0] for entry in listed(stand)] == (["merge"] if mode is Mode.SHADOW else [])


def test_old_threads_are_left_alone_unless_somebody_asks(stand: Stand) -> None:
    """Threads from before the adoption get no comment and keep their status; asked for, both happen."""
    old = stand.ada.create_discussion(REQUESTS, "Old", repo_type="dataset").num
    adopt(stand.desk)
    stand.settle()
    gate, still = stand.desk.effects, written(stand)
    assert gate.comment(REPO, old, "Hello.", MARKER) is None
    assert gate.set_status(REPO, old, "closed", MARKER) is False
    assert written(stand) == still
    assert gate.comment(REPO, old, "Hello.", MARKER, asked=True) is not None
    assert gate.set_status(REPO, old, "closed", MARKER, asked=True) is True
    assert stand.threads()[0].status == "closed"
    new = stand.ada.create_discussion(REQUESTS, "New", repo_type="dataset").num
    assert gate.comment(REPO, new, "Hello.", MARKER) is not None


def test_the_list_is_bounded(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest things go first, and what was listed is not listed again while it is known."""
    monkeypatch.setattr("wire.shadow.KEPT", 20)
    shadow = ShadowList(stand.desk.redis, stand.desk.keys)
    for number in range(50):
        would = Would(id=f"x {number}", effect="edit", repo="dataset/a/b", does=f"{number}", at=float(number))
        assert shadow.add(would)
        assert not shadow.add(would)
    read = shadow.read()
    assert [would.does for would in read.things] == [str(number) for number in range(49, 29, -1)]
    assert read.count == 20
    assert stand.desk.redis.zcard(stand.desk.keys.shadow_ids) <= 40
    assert KEPT == 10_000
    shadow.clear()
    assert shadow.read().things == []
