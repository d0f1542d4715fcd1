"""Each kind of effect (a write to the Hub) off, in shadow mode or on; and what the bot does without it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from huggingface_hub import CommitOperationAdd

from bot.core.guarded_writes import GuardedWriter
from bot.ledger.edits import PutFile
from bot.setup.adopting import adopt
from hub.comments import Marker
from hub.records import Repo
from leaderboard.attempts import Failure
from leaderboard.effects import Effect, EffectMode
from redis_state.attempts import LOST
from redis_state.shadowed_writes import ShadowedWrite
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.effect_modes import ON, listed, pass_time, public_state, submit_and_take, switch
from tests.support.long import long_except

OURS = Failure(cause="disk-full", fault="us", message="The disk is full.")
RELAUNCH = [(EffectMode.ON, "RERUN", []), (EffectMode.SHADOW, "FAILED", ["RERUN"]), (EffectMode.OFF, "FAILED", [])]


@pytest.mark.parametrize(
    ("mode", "status", "held", "lost"),
    long_except(
        {"on-lost", "shadow-told", "off-lost"},
        [(*case, lost) for lost in (False, True) for case in RELAUNCH],
        "another mode",
        name=lambda case: f"{case[0].value}-{'lost' if case[3] else 'told'}",
    ),
)
def test_without_relaunches_our_faults_end_in_failed(
    stand: BoardDriver, mode: EffectMode, status: str, held: list[str], lost: bool
) -> None:
    """If the bot may not relaunch after a fault of the board, the request fails with that fault in its file."""
    job = submit_and_take(stand, "float32")
    switch(stand, ON, relaunch=mode)
    if lost:
        pass_time(stand, 60)
        pass_time(stand, LOST + 1)
    else:
        stand.end(job, failure=OURS)
    file = stand.file(job.path)
    assert file["status"] == status
    assert file["steward"]["failure"]["fault"] in ("us", "hub")
    assert [entry[2] for entry in listed(stand)] == held


def test_without_threads_the_file_says_it_all(stand: BoardDriver) -> None:
    """With new threads off the bot refuses the request in its file, and opens and lists no thread."""
    switch(stand, ON, new_thread=EffectMode.OFF)
    path = stand.submit("ada/remote")
    stand.settle()
    assert stand.file(path)["status"] == "FAILED"
    assert stand.threads() == []
    assert listed(stand) == []


def test_a_comment_does_not_speak_of_an_edit_that_was_held_back(stand: BoardDriver) -> None:
    """With threads on and edits in shadow mode, the bot does not post that a request failed whose file says PENDING."""
    switch(stand, ON, edit=EffectMode.SHADOW)
    stand.submit("ada/remote")
    stand.settle()
    assert stand.threads() == []
    assert [entry[0] for entry in listed(stand)] == ["new-thread", "edit"]


MARKER = Marker("demo", "note", "x")
REPO = Repo("dataset", REQUESTS)


def edit(gate: GuardedWriter, _thread: int) -> None:
    """Stage a new file."""
    gate.stage(REPO, PutFile(id="put", path="x.txt", data=b"x", line="Add x"))


def speak(gate: GuardedWriter, thread: int) -> None:
    """Write a comment."""
    gate.comment(REPO, thread, "Hello.", MARKER)


def mention(gate: GuardedWriter, thread: int) -> None:
    """Mention a person in a comment."""
    gate.comment(REPO, thread, "Hello @ada and @ada, or mail a@b.", MARKER)


def open_one(gate: GuardedWriter, _thread: int) -> None:
    """Open a thread."""
    gate.open_thread(REPO, "A title", "A body.", MARKER)


def close(gate: GuardedWriter, thread: int) -> None:
    """Close a thread."""
    gate.set_status(REPO, thread, "closed", MARKER)


def pause(gate: GuardedWriter, _thread: int) -> None:
    """Ask whether the queue may be paused, as syncs ask for effects that have no method of their own."""
    gate.allows(ShadowedWrite(id="pause", effect=Effect.PAUSE, repo="dataset/board/requests", does="Pause the queue"))


ACTS: list[tuple[Effect, Callable[[GuardedWriter, int], None]]] = [
    (Effect.EDIT, edit),
    (Effect.COMMENT, speak),
    (Effect.MENTION, mention),
    (Effect.NEW_THREAD, open_one),
    (Effect.CLOSE, close),
    (Effect.PAUSE, pause),
]


SOME = {
    "edit-off", "edit-shadow", "edit-on", "comment-shadow", "mention-shadow", "mention-on", "new-thread-shadow",
    "close-off", "pause-shadow",
}  # fmt: skip
"""What `make test` tries: each effect, and each mode."""


@pytest.mark.parametrize(
    ("effect", "act", "mode"),
    long_except(
        SOME,
        [(*act, mode) for act, mode in product(ACTS, EffectMode)],
        "another effect in another mode",
        name=lambda case: f"{case[0].value}-{case[2].value}",
    ),
)
def test_each_kind_of_effect_is_off_shadowed_or_on(
    stand: BoardDriver, effect: Effect, act: Callable[[GuardedWriter, int], None], mode: EffectMode
) -> None:
    """The bot writes only if the effect is on; in shadow mode it lists the write, once, however often it is tried."""
    thread = stand.ada.create_discussion(REQUESTS, "A question", repo_type="dataset").num
    switch(stand, ON)
    still = public_state(stand)
    switch(stand, {**ON, effect: mode})
    for _ in range(2):
        act(stand.context.effects, thread)
        stand.settle()
    is_done = public_state(stand) != still
    assert is_done is ((mode is EffectMode.ON and effect is not Effect.PAUSE) or effect is Effect.MENTION)
    assert [entry[0] for entry in listed(stand)] == ([effect.value] if mode is EffectMode.SHADOW else [])
    if effect is Effect.MENTION:
        assert ("@ada" in stand.threads()[0].events[-1].content) is (mode is EffectMode.ON)
        assert "a@b" in stand.threads()[0].events[-1].content


@pytest.mark.parametrize("mode", EffectMode)
def test_a_merge_is_off_shadowed_or_on(stand: BoardDriver, mode: EffectMode) -> None:
    """The bot merges a pull request at its approved head, only lists the merge, or does neither."""
    add = CommitOperationAdd("x.json", b"{}")
    pull = stand.ada.create_commit(REQUESTS, [add], commit_message="Add", repo_type="dataset", create_pr=True)
    number = int(pull.pr_num or 0)
    head = stand.context.hub.thread(REPO, number).head_commit
    assert head is not None
    switch(stand, {**ON, Effect.MERGE: mode})
    merged = stand.context.effects.merge(REPO, number, head=head)
    assert (merged is not None) is (mode is EffectMode.ON)
    assert stand.context.hub.thread(REPO, number).status == ("merged" if mode is EffectMode.ON else "open")
    assert [entry[0] for entry in listed(stand)] == (["merge"] if mode is EffectMode.SHADOW else [])


def test_old_threads_are_left_alone_unless_somebody_asks(stand: BoardDriver) -> None:
    """The bot neither comments in nor closes a thread from before the adoption, unless a person asked for it."""
    old = stand.ada.create_discussion(REQUESTS, "Old", repo_type="dataset").num
    adopt(stand.context)
    stand.settle()
    gate, still = stand.context.effects, public_state(stand)
    assert gate.comment(REPO, old, "Hello.", MARKER) is None
    assert gate.set_status(REPO, old, "closed", MARKER) is False
    assert public_state(stand) == still
    assert gate.comment(REPO, old, "Hello.", MARKER, asked=True) is not None
    assert gate.set_status(REPO, old, "closed", MARKER, asked=True) is True
    assert stand.threads()[0].status == "closed"
    new = stand.ada.create_discussion(REQUESTS, "New", repo_type="dataset").num
    assert gate.comment(REPO, new, "Hello.", MARKER) is not None
