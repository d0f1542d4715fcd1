"""Removals and restorations of models: proposed in a thread, approved, and applied in every repo at once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bot.changes import applying
from bot.changes.proposals import completed_answer, find
from bot.changes.removals import REMOVE
from leaderboard.admission.facts import EarlierRequest
from leaderboard.effects import EffectMode
from leaderboard.removals import FORMER_ARCHIVE, archived
from steward.testing.board import REQUESTS, BoardDriver
from steward.valkey import Valkey
from tests.support.board.effect_modes import ON, switch
from tests.support.board.moderation import MAYA, POINTED, ModerationThread, begin, disagree, saga_board
from tests.support.board.renames import OLD, RESULTS, on_main, operations, path, request, result_path, results


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey) -> Iterator[BoardDriver]:
    """One board for all tests of this file."""
    with saga_board(tmp_path_factory.mktemp("hub"), valkey) as driver:
        yield driver


def test_an_owner_asks_for_a_removal_and_a_maintainer_grants_it(stand: BoardDriver) -> None:
    """An approved `/remove` archives the results and cancels the request; `/restore` puts back the files."""
    was = begin(stand)
    talk = ModerationThread(stand)
    talk.say("/remove ada/solo the weights were wrong")
    assert (on_main(stand), on_main(stand, RESULTS)) == was
    talk.say(f"/approve {talk.digest()}", MAYA)
    assert "### ✅ Removed" in talk.proposal()
    file = stand.file(path("ada/solo"))
    assert file["status"] == "CANCELLED"
    assert file["steward"]["cancelled"]["reason"] == "the weights were wrong"
    assert f".steward/removed/{result_path('ada/solo')}.removed" in on_main(stand, RESULTS)
    assert result_path("ada/solo") not in on_main(stand, RESULTS)
    assert disagree(stand) == []
    assert "nothing on this leaderboard" in talk.say("/remove ada/solo again", MAYA)
    talk.say("/restore ada/solo", MAYA)
    assert "### ✅ Restored" in talk.proposal()
    assert on_main(stand, RESULTS) == was[1]
    assert json.loads(stand.read(path("ada/solo"))) == {**json.loads(POINTED[path("ada/solo")]), "steward": {}}
    assert "was not removed" in talk.say("/restore ada/solo", MAYA)


def approve_removal(talk: ModerationThread, who: str) -> str:
    """Ask for a removal as the owner, and approve it, or ask as a maintainer; return the reply to the maintainer."""
    if who == "owner":
        talk.say("/remove ada/solo the weights were wrong")
        return talk.say(f"/approve {talk.digest()}", MAYA)
    talk.say("/remove ada/solo the weights were wrong", MAYA)
    return next(text for text in talk.all() if "/remove" in text)


@pytest.mark.long("a board for one more end of a plan")
@pytest.mark.parametrize("who", ["owner", "maintainer"])
def test_a_plan_that_was_approved_while_edits_were_held_back_is_carried_out_later(stand: BoardDriver, who: str) -> None:
    """With edits in shadow, an approved removal waits; the reply and the plan say so. With edits on, it is made."""
    was, talk = begin(stand), ModerationThread(stand)
    switch(stand, ON, edit=EffectMode.SHADOW)
    reply = approve_removal(talk, who)
    assert "Approved. I will carry out this plan when edits are on" in reply
    assert "approved it. I will make the changes when edits are on" in talk.proposal()
    decision = stand.context.decisions.newest(limit=1)[0]
    assert (decision.outcome, decision.allowed) == ("done", True)
    assert (on_main(stand), on_main(stand, RESULTS)) == was
    switch(stand, ON)
    stand.tick()
    stand.work()
    assert stand.file(path("ada/solo"))["status"] == "CANCELLED"
    assert "### ✅ Removed" in talk.proposal()


def test_an_approval_whose_comment_was_held_back_changes_nothing(stand: BoardDriver) -> None:
    """With comments in shadow, neither an approval nor a rejection changes the plan, and both answers say so."""
    begin(stand)
    talk = ModerationThread(stand)
    talk.say("/remove ada/solo the weights were wrong")
    before = talk.proposal()
    switch(stand, ON, comment=EffectMode.SHADOW)
    thread = stand.context.hub.thread(stand.context.requests, talk.number)
    (posted,) = find(stand.context, thread)
    approved = completed_answer(applying.approve(stand.context, stand.context.requests, thread, posted, "maya"))
    assert (approved.outcome, "I changed nothing: comments are off or in shadow" in approved.text) == ("refused", True)
    assert applying.reject(stand.context, stand.context.requests, thread, "no") == "off"
    assert talk.proposal() == before
    switch(stand, ON)


@pytest.mark.long("a board for one more end of a plan")
@pytest.mark.parametrize("who", ["owner", "maintainer"])
def test_an_approved_plan_that_waits_for_edits_can_be_rejected(stand: BoardDriver, who: str) -> None:
    """A `/reject` ends a plan that was approved while edits were in shadow, also if an approval follows."""
    was, talk = begin(stand), ModerationThread(stand)
    switch(stand, ON, edit=EffectMode.SHADOW)
    approve_removal(talk, who)
    digest = find(stand.context, stand.context.hub.thread(stand.context.requests, talk.number))[0].proposal.digest
    for text in ("/reject the weights are right", f"/approve {digest}"):
        talk.write(text, MAYA)
    talk.look()
    assert [("This plan was rejected" in reply) for reply in talk.all()[-2:]] == [True, True]
    assert "### ✋ Rejected" in talk.proposal()
    switch(stand, ON)
    stand.tick()
    stand.work()
    talk.look()
    assert "### ✋ Rejected" in talk.proposal()
    assert (on_main(stand), on_main(stand, RESULTS)) == was


def test_an_approved_plan_whose_changes_have_begun_cannot_be_rejected(stand: BoardDriver) -> None:
    """If edits go into shadow after the first commit of a removal, `/reject` does not end it; with edits on, the bot
    completes it."""
    begin(stand)
    talk = ModerationThread(stand)
    talk.say("/remove ada/solo the weights were wrong")
    talk.write(f"/approve {talk.digest()}", MAYA)
    stand.hub.state.faults.fail("POST */datasets/board/results/commit/*", status=503, times=None)
    talk.look()
    assert stand.file(path("ada/solo"))["status"] == "CANCELLED", "the first commit is made"
    switch(stand, ON, edit=EffectMode.SHADOW)
    stand.hub.state.faults.clear()
    assert "waits for a decision" in talk.say("/reject the weights are right", MAYA)
    assert "Rejected" not in talk.proposal()
    switch(stand, ON)
    stand.tick()
    stand.work()
    talk.look()
    assert "### ✅ Removed" in talk.proposal()
    assert result_path("ada/solo") not in on_main(stand, RESULTS)


@pytest.mark.long("a board for one more end of a plan")
def test_what_an_earlier_version_archived_is_restored(stand: BoardDriver) -> None:
    """`/restore` finds results that an earlier version archived under other paths, and those of this version."""
    was = begin(stand)
    talk = ModerationThread(stand)
    talk.say(f"/remove {OLD} the weights were wrong", MAYA)
    there = on_main(stand, RESULTS)
    place = archived(result_path(OLD))
    data = stand.context.hub.read_file(stand.context.results, place).data
    moved = operations({place: None, FORMER_ARCHIVE + result_path(OLD): data})
    stand.form.create_commit(RESULTS, moved, commit_message="As before", repo_type="dataset")
    assert archived(result_path(OLD, 2)) in there
    assert disagree(stand) == []
    talk.say(f"/restore {OLD}", MAYA)
    assert "### ✅ Restored" in talk.proposal()
    assert on_main(stand, RESULTS) == was[1]


def test_one_precision_is_removed_and_the_others_stay(stand: BoardDriver) -> None:
    """`/remove` of one precision, by an alias, removes its results and keeps another precision's in the same folder."""
    begin(stand)
    talk = ModerationThread(stand)
    talk.say(f"/remove {OLD} precision=fp16 evaluated by mistake", MAYA)
    assert stand.file(path(OLD))["status"] == "CANCELLED"
    assert stand.file(path(OLD, "4bit"))["status"] == "FINISHED"
    there = on_main(stand, RESULTS)
    assert result_path(OLD) not in there
    assert result_path(OLD, 2) in there


@pytest.mark.long("a board for one more end of a plan")
def test_one_type_of_weights_is_removed_and_the_results_of_the_others_stay(stand: BoardDriver) -> None:
    """`/remove` with `weight_type=Adapter` removes the adapter's results and keeps those of the model itself."""
    begin(stand)
    model, its = "ada/solo", result_path("ada/solo", 2)
    adapter = path(model).replace("Original", "Adapter")
    asked = request(model, weight_type="Adapter", base_model="ada/puma", steward={"results": its})
    for repo, files in ((RESULTS, {its: results(model, 0.6)}), (REQUESTS, {adapter: asked})):
        stand.form.create_commit(repo, operations(files), commit_message="Add", repo_type="dataset")
    stand.settle()
    talk = ModerationThread(stand)
    talk.say(f"/remove {model} weight_type=Adapter evaluated by mistake", MAYA)
    assert "### ✅ Removed: `ada/solo (Adapter)`" in talk.proposal()
    assert (stand.file(adapter)["status"], stand.file(path(model))["status"]) == ("CANCELLED", "FINISHED")
    there = on_main(stand, RESULTS)
    assert (its in there, result_path(model) in there) == (False, True)


def test_a_removal_right_after_a_rename_is_planned_on_the_renamed_files(stand: BoardDriver) -> None:
    """A removal that is planned before the index has the renamed requests has the same digest as one planned later."""
    begin(stand)
    for repo, old, new in (
        (REQUESTS, path("ada/solo"), path("ada/moved")),
        (RESULTS, result_path("ada/solo"), result_path("ada/moved")),
    ):
        data = request("ada/moved") if repo == REQUESTS else results("ada/moved")
        moved = operations({old: None, new: data})
        stand.form.create_commit(repo, moved, commit_message="Rename ada/solo to ada/moved", repo_type="dataset")
    words = {"model": "ada/moved", "by": "ada", "at": "2026-11-24T12:00:00Z"}
    before = REMOVE.prepare(stand.context, words)
    stand.settle()
    after = REMOVE.prepare(stand.context, words)
    assert isinstance(before, list) and isinstance(after, list)
    assert [part.repo.id for part in before] == [REQUESTS, RESULTS]
    assert [part.digest for part in before] == [part.digest for part in after]


def test_removing_a_model_without_organisation_keeps_other_models(stand: BoardDriver) -> None:
    """A removal of the model `ada` does not contain files of models of the organisation `ada`, in the same folder."""
    begin(stand)
    for repo, files in ((REQUESTS, {path("ada"): request("ada")}), (RESULTS, {result_path("ada"): results("ada")})):
        stand.form.create_commit(repo, operations(files), commit_message="Add", repo_type="dataset")
    stand.settle()
    parts = REMOVE.prepare(stand.context, {"model": "ada", "by": "ada", "at": "2026-11-24T12:00:00Z"})
    assert isinstance(parts, list)
    assert [[file.path for file in part.files] for part in parts] == [[path("ada")], [result_path("ada")]]


def test_a_flagged_model_cannot_be_removed(stand: BoardDriver) -> None:
    """A flagged model cannot be removed, also if the flag came after the plan."""
    begin(stand)
    talk = ModerationThread(stand)
    talk.say("/remove ada/solo please")
    digest = talk.digest()
    flagged = (EarlierRequest(path="", model="ada/solo", status="flagged"),)
    stand.context.flags = lambda models, _: flagged if "ada/solo" in models else ()
    was = on_main(stand), on_main(stand, RESULTS)
    talk.say(f"/approve {digest}", MAYA)
    assert "is flagged" in talk.proposal()
    assert "is flagged" in talk.say("/remove ada/solo please", MAYA)
    assert (on_main(stand), on_main(stand, RESULTS)) == was


def test_a_request_that_cannot_be_read_ends_an_approved_removal(stand: BoardDriver) -> None:
    """If a request file has become too large since the plan, an approval removes nothing and the bot says why."""
    begin(stand)
    talk = ModerationThread(stand)
    talk.say("/remove ada/solo please")
    digest, was = talk.digest(), on_main(stand, RESULTS)
    stand.put(path("ada/solo"), POINTED[path("ada/solo")] + b" " * stand.context.board.max_request_bytes)
    talk.say(f"/approve {digest}", MAYA)
    assert "cannot be read as a request" in talk.proposal()
    assert on_main(stand, RESULTS) == was
    assert "/remove" in talk.say("/help", MAYA)
