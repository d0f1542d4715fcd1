"""Whole renames, removals and their undoing: proposed in a thread, approved, carried out at once, all of it or nothing.

Killed before every call to the Hub: a sample in `make test`, all of them with STEWARD_WHOLE_MATRIX=1.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from huggingface_hub import HfApi
from pulls_kit import board_on
from rename_kit import (
    FILES,
    NEW,
    OLD,
    RESULT_FILES,
    RESULTS,
    comments,
    fill_results,
    look_at,
    maintained,
    on_main,
    operations,
    path,
    prepare,
    rename_world,
    request,
    requests_plan,
    result_path,
)
from stand_kit import ADA, REQUESTS, Stand

from bot.mirrors.consistency import disagreements
from hub.edits import blob_id
from hub.records import Repo
from leaderboard.admission.facts import Earlier
from leaderboard.renames import plan
from localhub.testing import LocalHub
from steward.valkey import Valkey

STEP = 1 if os.environ.get("STEWARD_WHOLE_MATRIX") else 19
POINTED = {**FILES, path(OLD): request(OLD, note="é", steward={"results": result_path(OLD)})}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """One Hub for all."""
    with LocalHub(tmp_path_factory.mktemp("hub"), rename_world()) as made:
        made.box.limits.set(commits_per_hour=None)
        prepare(made)
        yield made


@pytest.fixture(scope="module")
def stand(hub: LocalHub, valkey: Valkey) -> Iterator[Stand]:
    """A board that Maya maintains."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
        with board_on(hub, client, POINTED) as made:
            maintained(made)
            yield made


def begin(stand: Stand) -> tuple[dict[str, str], dict[str, str]]:
    """Both repos are as they were at the beginning, and the Hub is well; their files."""
    stand.hub.box.faults.clear()
    there = on_main(stand)
    wanted = {it: blob_id(data) for it, data in POINTED.items()}
    changes: dict[str, Any] = {it: None for it in there if it not in wanted}
    changes |= {it: POINTED[it] for it in wanted if there.get(it) != wanted[it]}
    if changes:
        stand.form.create_commit(REQUESTS, operations(changes), commit_message="Begin", repo_type="dataset")
    if on_main(stand, RESULTS) != {it: blob_id(data) for it, data in RESULT_FILES.items()}:
        fill_results(stand, RESULT_FILES)
    stand.desk.redis.flushall()
    stand.desk.flags = lambda _models, _weights: ()
    stand.desk.mark("requests")
    stand.work()
    return on_main(stand), on_main(stand, RESULTS)


class Talk:
    """A discussion on the requests repo, in which people give commands."""

    def __init__(self, stand: Stand, api: HfApi | None = None) -> None:
        self.stand = stand
        opened = (api or stand.ada).create_discussion(REQUESTS, "My model", description="Hello.", repo_type="dataset")
        self.number = opened.num

    def write(self, text: str, token: str = ADA) -> None:
        """Somebody writes a comment."""
        api = HfApi(self.stand.hub.url, token=token)
        api.comment_discussion(REQUESTS, self.number, comment=text, repo_type="dataset")

    def say(self, text: str, token: str = ADA) -> str:
        """Somebody writes a comment, and the bot looks; the newest thing that it says."""
        self.write(text, token)
        self.look()
        return self.all()[-1]

    def look(self) -> None:
        """A while later the bot looks at the thread, and does what follows."""
        self.stand.time += 120
        look_at(self.stand, REQUESTS, self.number)

    def all(self) -> list[str]:
        """What the bot says there."""
        return comments(self.stand, REQUESTS, self.number)

    def proposal(self) -> str:
        """The comment that proposes something."""
        return next(text for text in reversed(self.all()) if "demo proposal " in text)

    def digest(self) -> str:
        """What is to be approved."""
        found = re.search(r"/approve ([0-9a-f]{8})", self.proposal())
        assert found is not None
        return found[1]


MAYA = "hf_maya"
GAPS: set[str] = set()
"""Not every request here ever had results."""


def renamed(files: dict[str, bytes], kind: Any) -> set[str]:
    """Where everything is after the rename."""
    it = plan(kind, OLD, NEW, files if kind == "results" else {p: d for p, d in files.items() if p.endswith(".json")})
    places = {one.path: one.place for one in it.files}
    return {places.get(where, where) for where in files}


def disagree(stand: Stand) -> list[str]:
    """About what the repos do not agree, as front ends read them; the fixtures' own gaps left out."""
    return sorted(f"{one.what} {one.path}" for one in disagreements(stand.desk) if one.what not in GAPS)


def agrees(stand: Stand) -> str:
    """Whether requests and results call the model alike: by its old name, by its new one; else a complaint."""
    requests, results = set(on_main(stand)), set(on_main(stand, RESULTS))
    if requests == set(POINTED) and results == set(RESULT_FILES):
        return "old"
    if requests == renamed(POINTED, "requests") and results == renamed(RESULT_FILES, "results"):
        said = stand.file(path(NEW))["steward"]["results"]
        return "new" if said == result_path(NEW) else f"points at {said}"
    return f"{sorted(requests)} {sorted(results)}"


def test_a_whole_rename_from_wish_to_end(stand: Stand) -> None:
    """An owner asks, everybody reads the plan, a maintainer approves, both repos follow, the details get a note."""
    begin(stand)
    talk = Talk(stand)
    asked = talk.say(f"/rename {OLD} {NEW}")
    assert "### 📋 Rename `ada/lion` to `ada/lioness`" in talk.proposal()
    assert "The Hub sends ada/lion to ada/lioness" in talk.proposal()
    assert "3 files change in the requests repo" in talk.proposal()
    assert agrees(stand) == "old"
    assert any("plan is in a comment below" in text for text in (asked, *talk.all()))
    digest = talk.digest()
    assert "can be used by a maintainer" in talk.say(f"/approve {digest}")
    assert agrees(stand) == "old"
    talk.say(f"/approve {digest}", MAYA)
    assert "### ✅ Renamed" in talk.proposal()
    assert "maya` approved it" in talk.proposal()
    stand.time += 600
    stand.settle()
    assert agrees(stand) == "new"
    assert disagree(stand) == []
    entry = stand.desk.index.get(path(NEW))
    assert (entry.state, entry.model) == ("settled", NEW)
    assert stand.desk.index.find([path(OLD)]) == [None]
    before = len(talk.all())
    talk.look()
    assert len(talk.all()) == before


def test_who_may_not_and_what_cannot_be_is_told_at_once(stand: Stand) -> None:
    """Strangers, models that are not the same, names that nobody has: nothing is proposed."""
    begin(stand)
    talk = Talk(stand)
    assert "can be used by a maintainer of this leaderboard or the model's owner" in talk.say(
        f"/rename {OLD} {NEW}", "hf_bob"
    )
    for wish, words in (
        ("/rename ada/solo ada/puma", "other weights"),
        ("/rename ada/solo ada/nobody", "no model ada/nobody"),
        ("/rename ada/zebra ada/lioness", "There is nothing of ada/zebra"),
        (f"/rename {OLD} {OLD}", "the same"),
    ):
        assert words in talk.say(wish)
    assert not any("demo proposal " in text for text in talk.all())
    assert "Nothing here waits" in talk.say("/approve 12345678", MAYA)


def test_twins_of_one_owner_are_renamed_and_a_strangers_are_not(stand: Stand) -> None:
    """The same weights under other file names, by somebody who may write to both, are one model."""
    begin(stand)
    talk = Talk(stand)
    talk.say("/rename ada/twin ada/twin-two")
    assert "have the same weights, and ada may write to both" in talk.proposal()
    assert "I cannot see that ada may write to both" in talk.say("/rename ada/twin bob/twin")


def test_what_is_turned_down_is_not_done(stand: Stand) -> None:
    """After /reject an approval of the same plan changes nothing."""
    was = begin(stand)
    talk = Talk(stand)
    talk.say(f"/rename {OLD} {NEW}")
    digest = talk.digest()
    talk.say("/reject not before the paper is out", MAYA)
    assert "Turned down" in talk.proposal()
    assert "not before the paper is out" in talk.proposal()
    talk.say(f"/approve {digest}", MAYA)
    assert (on_main(stand), on_main(stand, RESULTS)) == was


@pytest.mark.parametrize("repo", [REQUESTS, RESULTS])
def test_files_that_changed_since_the_plan_are_not_renamed_on_trust(stand: Stand, repo: str) -> None:
    """Whatever changed in either repo since: nothing of it is done, and what was done is taken back."""
    begin(stand)
    talk = Talk(stand)
    talk.say(f"/rename {OLD} {NEW}")
    digest = talk.digest()
    changed = {path(OLD): request(OLD, note="other")} if repo == REQUESTS else {result_path(OLD): b"{}"}
    stand.form.create_commit(repo, operations(changed), commit_message="Change", repo_type="dataset")
    was = on_main(stand), on_main(stand, RESULTS)
    talk.say(f"/approve {digest}", MAYA)
    assert "Not done" in talk.proposal()
    assert "changed since" in talk.proposal()
    assert (on_main(stand), on_main(stand, RESULTS)) == was


class Killed(BaseException):
    """The process is gone."""


class Deadly(list[tuple[str, str]]):
    """The calls of a bot that dies before the one of number `at`."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def append(self, call: tuple[str, str]) -> None:
        if len(self) == self.at:
            raise Killed
        super().append(call)


def live(stand: Stand, at: int, act: Callable[[], object]) -> bool:
    """Let `act` happen, and the bot die before its call number `at`; whether it did."""
    stand.calls = Deadly(at)
    try:
        act()
    except Killed:
        return True
    finally:
        stand.calls = []
    return False


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("amnesia", [False, True])
@pytest.mark.parametrize("spoilt", [False, True])
def test_killed_anywhere_it_is_done_or_undone_and_never_in_between(stand: Stand, spoilt: bool, amnesia: bool) -> None:
    """Dead before any call from the approval on, with or without Redis: the next process brings it to its end."""
    at, died, ends = int(spoilt) + 2 * int(amnesia), True, set[str]()
    while died:
        stand.time += 3_600  # or the commits of all these lives together would be too many for an hour
        stand.hub.box.clock.advance(stand.time - stand.hub.box.clock.seconds())
        begin(stand)
        talk = Talk(stand)
        talk.say(f"/rename {OLD} {NEW}")
        digest = talk.digest()
        if spoilt:
            # Planned as it is, and refused by the Hub once the first part is in.
            stand.hub.box.faults.fail("POST */datasets/board/results/commit/*", status=403, times=None)
        talk.write(f"/approve {digest}", MAYA)
        died = live(stand, at, talk.look)
        stand.desk.redis.delete(stand.desk.keys.dirty_leases)  # what time does, too
        if amnesia:
            stand.desk.redis.flushall()
            stand.desk.mark("requests")
        for _ in range(2):
            talk.look()
            stand.time += 600
            stand.settle()
        end = agrees(stand)
        assert end == ("old" if spoilt else "new"), at
        assert disagree(stand) == [], at
        assert ("Not done" if spoilt else "Renamed") in talk.proposal(), at
        assert sum("demo proposal " in text for text in talk.all()) == 1
        ends.add(end)
        at += STEP
    assert len(ends) == 1
    assert at > 20


def test_what_is_undone_does_not_wait_for_our_own_budget(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second part is refused when the first one's repo has no commit left for an hour: it is put back at once."""
    begin(stand)
    talk = Talk(stand)
    talk.say(f"/rename {OLD} {NEW}")
    stand.hub.box.faults.fail("POST */datasets/board/results/commit/*", status=403, times=None)
    spent: list[str] = []

    def spend(repo: Repo) -> bool:
        spent.append(repo.id)
        return spent.count(repo.id) < 2

    monkeypatch.setattr(stand.desk.ledgers, "spend", spend)
    talk.say(f"/approve {talk.digest()}", MAYA)
    assert spent.count(REQUESTS) == 2
    assert agrees(stand) == "old"
    assert "Not done" in talk.proposal()


def test_an_owner_asks_for_a_removal_and_a_maintainer_grants_it(stand: Stand) -> None:
    """Results go to the archive, the request is CANCELLED with the reason; /restore puts back every byte."""
    was = begin(stand)
    talk = Talk(stand)
    talk.say("/remove ada/solo the weights were wrong")
    assert (on_main(stand), on_main(stand, RESULTS)) == was
    talk.say(f"/approve {talk.digest()}", MAYA)
    assert "### ✅ Removed" in talk.proposal()
    file = stand.file(path("ada/solo"))
    assert file["status"] == "CANCELLED"
    assert file["steward"]["cancelled"]["reason"] == "the weights were wrong"
    assert f".steward/archive/{result_path('ada/solo')}" in on_main(stand, RESULTS)
    assert result_path("ada/solo") not in on_main(stand, RESULTS)
    assert disagree(stand) == []
    assert "nothing on this leaderboard" in talk.say("/remove ada/solo again", MAYA)
    talk.say("/restore ada/solo", MAYA)
    assert "### ✅ Restored" in talk.proposal()
    assert on_main(stand, RESULTS) == was[1]
    assert json.loads(stand.read(path("ada/solo"))) == {**json.loads(POINTED[path("ada/solo")]), "steward": {}}
    assert "was not removed" in talk.say("/restore ada/solo", MAYA)


def test_one_precision_is_removed_and_the_others_stay(stand: Stand) -> None:
    """A request names its results; those of other precisions, in the same folder, are not its business."""
    begin(stand)
    talk = Talk(stand)
    talk.say(f"/remove {OLD} precision=float16 evaluated by mistake", MAYA)
    assert stand.file(path(OLD))["status"] == "CANCELLED"
    assert stand.file(path(OLD, "4bit"))["status"] == "FINISHED"
    there = on_main(stand, RESULTS)
    assert result_path(OLD) not in there
    assert result_path(OLD, 2) in there


def test_nobody_removes_a_flagged_model_or_one_that_waits(stand: Stand) -> None:
    """A flag is not escaped by a removal, also where it was raised after the plan; what is at work is cancelled."""
    begin(stand)
    talk = Talk(stand)
    talk.say("/remove ada/solo please")
    digest = talk.digest()
    flagged = (Earlier(path="", model="ada/solo", status="flagged"),)
    stand.desk.flags = lambda models, _: flagged if "ada/solo" in models else ()
    was = on_main(stand), on_main(stand, RESULTS)
    talk.say(f"/approve {digest}", MAYA)
    assert "is flagged" in talk.proposal()
    assert "is flagged" in talk.say("/remove ada/solo please", MAYA)
    assert (on_main(stand), on_main(stand, RESULTS)) == was


def test_a_request_that_cannot_be_read_ends_an_approved_removal(stand: Stand) -> None:
    """It grew beyond all bounds since the plan: nothing is removed, the thread is told why, and commands go on."""
    begin(stand)
    talk = Talk(stand)
    talk.say("/remove ada/solo please")
    digest, was = talk.digest(), on_main(stand, RESULTS)
    stand.put(path("ada/solo"), POINTED[path("ada/solo")] + b" " * stand.desk.board.max_request_bytes)
    talk.say(f"/approve {digest}", MAYA)
    assert "cannot be read as a request" in talk.proposal()
    assert on_main(stand, RESULTS) == was
    assert "/remove" in talk.say("/help", MAYA)


def test_a_rename_that_is_done_before_its_reply_is_told(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot dies after the plan was proposed, and again after it was carried out: the reply says what became of it,
    and not that there is nothing to rename."""
    begin(stand)
    talk = Talk(stand)

    def die(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("bot.commands.answering.edit", die)
        talk.say(f"/rename {OLD} {NEW}")
        talk.say(f"/approve {talk.digest()}", MAYA)
    assert path(NEW) in on_main(stand)
    talk.look()
    reply = next(text for text in talk.all() if f"/rename {OLD}" in text)
    assert "Done, all of it" in reply


def test_enough_files_take_part() -> None:
    """The rename that is killed above moves files, and changes one that stays."""
    files = requests_plan(files=POINTED).files
    assert {one.moves for one in files} == {True, False}
