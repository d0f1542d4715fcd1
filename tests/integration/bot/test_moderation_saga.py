"""Renames of models: proposed in a thread, approved, and applied in all repos or in none.

`make chaos` kills the bot before every call to the Hub, `make test` before a sample of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from bot.core.settings import BotSettings
from bot.web.board import BoardReader
from bot.web.pages.models import ModelQuery, model
from bot.web.pages.results import ResultsQuery, results
from hub.records import Repo, WriteFile
from redis_state.board.entry import Origin
from redis_state.board.scoreboard import EvaluationScores
from redis_state.dirty import SyncLease
from steward.testing.board import BOARD, REQUESTS, SECRET, WORKER, BoardDriver
from steward.testing.running import client_of
from steward.valkey import Valkey
from tests.support.board.deadly_calls import dies
from tests.support.board.moderation import MAYA, POINTED, ModerationThread, agrees, begin, disagree, saga_board
from tests.support.board.renames import (
    NEW,
    OLD,
    RESULTS,
    on_main,
    operations,
    path,
    request,
    requests_plan,
    result_path,
)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey) -> Iterator[BoardDriver]:
    """One board for all tests of this file."""
    with saga_board(tmp_path_factory.mktemp("hub"), valkey) as made:
        yield made


def test_a_rename_from_proposal_to_end(stand: BoardDriver) -> None:
    """An owner's `/rename` gets a public plan; after a maintainer's approval, repos and index have the new name."""
    begin(stand)
    talk = ModerationThread(stand)
    asked = talk.say(f"/rename {OLD} {NEW}")
    assert "### 📋 Rename `ada/lion` to `ada/lioness`" in talk.proposal()
    assert "The Hub redirects ada/lion to ada/lioness" in talk.proposal()
    assert "3 files change in the requests repo" in talk.proposal()
    assert agrees(stand) == "old"
    assert any("plan is in a comment below" in text for text in (asked, *talk.all()))
    digest = talk.digest()
    assert "Only a maintainer" in talk.say(f"/approve {digest}")
    assert agrees(stand) == "old"
    talk.say(f"/approve {digest}", MAYA)
    assert "### ✅ Renamed" in talk.proposal()
    assert "maya` approved it" in talk.proposal()
    stand.time += 600
    stand.settle()
    assert agrees(stand) == "new"
    assert disagree(stand) == []
    entry = stand.context.index.get(path(NEW))
    assert (entry.state, entry.model) == ("settled", NEW)
    assert stand.context.index.find([path(OLD)]) == [None]
    before = len(talk.all())
    talk.look()
    assert len(talk.all()) == before


def test_a_renamed_model_never_leaves_the_results(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each sync of a rename the page of results shows the model, and in the end links its details."""
    begin(stand)
    scored = EvaluationScores(path=path(OLD), model=OLD, suite="", average=40.0, results=result_path(OLD))
    stand.context.scores.put(scored)
    stand.context.index.put_origins([(path(OLD), Origin(author="ada"))])
    stand.context.index.tell([path(OLD)])
    repos = stand.context.board.repos
    details_repo, restricted = repos.details(OLD), repos.restricted_details(OLD)
    workers = HfApi(stand.hub.url, token=WORKER)
    for name in (details_repo, restricted):  # the bot's token may not move them
        workers.create_repo(name, repo_type="dataset", exist_ok=True)
    board, sync, shown = BoardReader(stand.context), stand.loop.sync, list[list[str]]()
    talk = ModerationThread(stand)
    talk.say(f"/rename {OLD} {NEW}")

    def watched(claim: SyncLease) -> None:
        sync(claim)
        shown.append([row.model for row in results(board, ResultsQuery()).results])

    monkeypatch.setattr(stand.loop, "sync", watched)
    talk.say(f"/approve {talk.digest()}", MAYA)
    stand.settle()
    assert [] not in shown, shown
    assert shown[-1] == [NEW]
    page = model(board, ModelQuery(NEW))
    assert [row.average for row in page.results] == [40.0]
    details = f"{stand.hub.url}/datasets/{details_repo}"
    assert details in [request.details_url for request in page.requests]
    stand.time += 600
    stand.work()
    assert stand.file(path(NEW))["steward"]["details"] == details_repo
    assert details in [request.details_url for request in model(board, ModelQuery(NEW)).requests]
    assert restricted in talk.proposal() and repos.restricted_details(NEW) in talk.proposal()
    workers.delete_repo(details_repo, repo_type="dataset")
    assert stand.context.index.origin(path(NEW)).author == "ada"


@pytest.mark.long("a board for one more order of the steps; `make chaos` runs the file")
def test_a_newer_evaluation_is_renamed_with_its_earlier_results(stand: BoardDriver) -> None:
    """Earlier results move in the same change, and the request, here a withdrawn one, names their new path."""
    begin(stand)
    earlier = {"revision": "a" * 40, "results": result_path(OLD), "log": None}
    withdrawn = {"reason": "A typing error", "by": "ada", "at": "2026-01-02T00:00:00Z"}
    stand.put(path(OLD), request(OLD, status="CANCELLED", steward={"kept": earlier, "cancelled": withdrawn}))
    stand.settle()
    talk = ModerationThread(stand)
    talk.say(f"/rename {OLD} {NEW}")
    talk.say(f"/approve {talk.digest()}", MAYA)
    stand.settle()
    assert stand.file(path(NEW))["steward"]["kept"] == {**earlier, "results": result_path(NEW)}
    assert result_path(NEW) in on_main(stand, RESULTS)


@pytest.mark.long("a board for one more order of the steps; `make chaos` runs the file")
def test_the_page_of_the_former_name_leads_to_the_model(stand: BoardDriver, valkey: Valkey, tmp_path: Path) -> None:
    """Page and API redirect to the new name, also after a second rename, unless another model has the former name."""
    begin(stand)
    talk = ModerationThread(stand)
    talk.say(f"/rename {OLD} {NEW}")
    talk.say(f"/approve {talk.digest()}", MAYA)
    stand.settle()
    (tmp_path / "board.yaml").write_text(BOARD.replace("name: demo", f"name: {stand.context.board.name}"))
    settings = BotSettings(redis_url=valkey.url, board=tmp_path / "board.yaml", webhook_secret=SECRET, port=0)
    with client_of(settings) as pages:
        for prefix in ("/models/", "/api/models/"):
            answer = pages.get(f"{prefix}ADA/lion", headers={"accept": "text/html"})
            assert (answer.status_code, answer.headers["location"]) == (301, f"{prefix}{NEW}")
            assert pages.get(f"{prefix}{NEW}").status_code == 200
            assert pages.get(f"{prefix}ada/no-such-model").status_code == 404
        stand.context.index.put_renamed("ada/cub", OLD)
        assert pages.get("/models/ada/cub").headers["location"] == f"/models/{NEW}"
        stand.context.index.put_renamed(NEW, OLD)  # a redirect loop
        assert pages.get(f"/models/{NEW}").status_code == 200


@pytest.mark.long("a board for one more order of the steps; `make chaos` runs the file")
def test_a_rename_opens_no_thread_for_what_was_withdrawn(stand: BoardDriver) -> None:
    """The rename of a cancelled request whose file names its thread opens no new thread."""
    begin(stand)
    withdrawn = {"thread": 1, "cancelled": {"reason": "A typing error", "by": "ada", "at": "2026-01-02T00:00:00Z"}}
    stand.put(path(OLD, "4bit"), request(OLD, "4bit", status="CANCELLED", steward=withdrawn))
    stand.settle()
    board = stand.context.board
    stand.context.board = board.model_copy(update={"threads": "always"})
    talk = ModerationThread(stand)
    talk.say(f"/rename {OLD} {NEW}")
    before = len(stand.threads())
    talk.say(f"/approve {talk.digest()}", MAYA)
    stand.settle()
    stand.context.mark(f"request:{path(NEW, '4bit')}")
    stand.work()
    stand.context.board = board
    assert stand.context.index.get(path(NEW, "4bit")).standing.status == "CANCELLED"
    assert len(stand.threads()) == before


def test_who_may_not_and_what_cannot_be_is_told_at_once(stand: BoardDriver) -> None:
    """The bot refuses at once, without a plan, a rename by another user, to other weights or of unknown names."""
    begin(stand)
    talk = ModerationThread(stand)
    assert "Only a maintainer of this leaderboard or the model's owner can use" in talk.say(
        f"/rename {OLD} {NEW}", "hf_bob"
    )
    for command, words in (
        ("/rename ada/solo ada/puma", "different weights"),
        ("/rename ada/solo ada/nobody", "no model ada/nobody"),
        ("/rename ada/zebra ada/lioness", "This repo has no files of ada/zebra"),
        (f"/rename {OLD} {OLD}", "the same"),
    ):
        assert words in talk.say(command)
    assert not any("demo proposal " in text for text in talk.all())
    assert "There is no plan in this discussion" in talk.say("/approve 12345678", MAYA)


def test_equal_weights_of_one_owner_can_be_renamed(stand: BoardDriver) -> None:
    """A rename to a repo with equal weights is planned only if the same person may write to both repos."""
    begin(stand)
    talk = ModerationThread(stand)
    talk.say("/rename ada/twin ada/twin-two")
    assert "have the same weights, and ada may write to both" in talk.proposal()
    assert "I cannot see that ada may write to both" in talk.say("/rename ada/twin bob/twin")


def test_what_is_turned_down_is_not_done(stand: BoardDriver) -> None:
    """After `/reject` an approval of the same plan changes nothing."""
    was = begin(stand)
    talk = ModerationThread(stand)
    talk.say(f"/rename {OLD} {NEW}")
    digest = talk.digest()
    talk.say("/reject not before the paper is out", MAYA)
    assert "Rejected" in talk.proposal()
    assert "not before the paper is out" in talk.proposal()
    talk.say(f"/approve {digest}", MAYA)
    assert (on_main(stand), on_main(stand, RESULTS)) == was


@pytest.mark.long("a board for one more order of the steps; `make chaos` runs the file")
@pytest.mark.parametrize("approval_is_first", [True, False])
def test_approved_and_turned_down_at_once_the_first_decides(stand: BoardDriver, approval_is_first: bool) -> None:
    """If `/approve` and `/reject` are both written before a sync, the first decides, and the second reply says so."""
    begin(stand)
    talk = ModerationThread(stand)
    talk.say(f"/rename {OLD} {NEW}")
    words = [f"/approve {talk.digest()}", "/reject not before the paper is out"]
    for text in words if approval_is_first else words[::-1]:
        talk.write(text, MAYA)
    talk.look()
    reply = talk.all()[-1]
    if approval_is_first:
        assert (agrees(stand), "### ✅ Renamed" in talk.proposal()) == ("new", True)
        assert "waits for a decision" in reply
    else:
        assert (agrees(stand), "Rejected" in talk.proposal()) == ("old", True)
        assert "This plan was rejected" in reply


@pytest.mark.long("a board for one more order of the steps; `make chaos` runs the file")
def test_what_was_turned_down_can_be_asked_for_anew(stand: BoardDriver) -> None:
    """A rejected rename can be proposed again with the same digest, and its approval applies the new proposal."""
    begin(stand)
    talk = ModerationThread(stand)
    talk.say(f"/rename {OLD} {NEW}")
    digest = talk.digest()
    talk.say("/reject not before the paper is out", MAYA)
    talk.say(f"/rename {OLD} {NEW}")
    assert talk.digest() == digest
    assert "Done; see the comment" in talk.say(f"/approve {digest}", MAYA)
    assert "### ✅ Renamed" in talk.proposal()
    assert agrees(stand) == "new"


@pytest.mark.long("a board for one more order of the steps; `make chaos` runs the file")
@pytest.mark.parametrize("repo", [RESULTS, REQUESTS])
def test_files_that_changed_since_the_plan_are_not_renamed_on_trust(stand: BoardDriver, repo: str) -> None:
    """After any change since the plan, in either repo, the bot renames nothing, and reverts the parts that it did."""
    begin(stand)
    talk = ModerationThread(stand)
    talk.say(f"/rename {OLD} {NEW}")
    digest = talk.digest()
    changed = {path(OLD): request(OLD, note="other")} if repo == REQUESTS else {result_path(OLD): b"{}"}
    stand.form.create_commit(repo, operations(changed), commit_message="Change", repo_type="dataset")
    was = on_main(stand), on_main(stand, RESULTS)
    talk.say(f"/approve {digest}", MAYA)
    assert "Not done" in talk.proposal()
    assert "changed after I made the plan" in talk.proposal()
    assert (on_main(stand), on_main(stand, RESULTS)) == was


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("step", [47, pytest.param(1, marks=pytest.mark.long("before every call"))])
@pytest.mark.parametrize(
    ("spoilt", "amnesia"),
    [
        (False, True),
        (True, False),
        pytest.param(False, False, marks=pytest.mark.long("undisturbed, with Redis")),
        pytest.param(True, True, marks=pytest.mark.long("refused, without Redis")),
    ],
)
def test_killed_anywhere_it_is_done_or_undone_and_never_in_between(
    stand: BoardDriver, spoilt: bool, amnesia: bool, step: int
) -> None:
    """If the bot dies before any call after an approval, the next process completes or reverts the whole rename."""
    at, died, ends = int(spoilt) + 2 * int(amnesia), True, set[str]()
    while died:
        stand.time += 3_600  # else all rounds together would exceed the hourly limit of commits
        stand.hub.state.clock.advance(stand.time - stand.hub.state.clock.seconds())
        begin(stand)
        talk = ModerationThread(stand)
        talk.say(f"/rename {OLD} {NEW}")
        digest = talk.digest()
        if spoilt:
            # The Hub refuses the second part after the first one is committed.
            stand.hub.state.faults.fail("POST */datasets/board/results/commit/*", status=403, times=None)
        talk.write(f"/approve {digest}", MAYA)
        died = dies(stand, at, talk.look)
        stand.context.redis.delete(stand.context.keys.dirty_leases)  # the lease would expire
        if amnesia:
            stand.context.redis.flushall()
            stand.context.mark("requests")
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
        at += step
    assert len(ends) == 1
    assert at > 20


@pytest.mark.long("a board for one more order of the steps; `make chaos` runs the file")
@pytest.mark.parametrize("status", [403, 413])
def test_what_is_undone_does_not_wait_for_our_own_budget(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """If the second part is refused, the bot reverts the first one at once, even beyond its budget of commits."""
    begin(stand)
    talk = ModerationThread(stand)
    talk.say(f"/rename {OLD} {NEW}")
    stand.hub.state.faults.fail("POST */datasets/board/results/commit/*", status=status, times=None)
    spent: list[str] = []

    def spend(repo: Repo) -> bool:
        spent.append(repo.id)
        return spent.count(repo.id) < 2

    monkeypatch.setattr(stand.context.ledger.budget, "spend", spend)
    talk.say(f"/approve {talk.digest()}", MAYA)
    assert spent.count(REQUESTS) == 2
    assert agrees(stand) == "old"
    assert "Not done" in talk.proposal()


@pytest.mark.long("a board for one more order of the steps; `make chaos` runs the file")
def test_what_was_committed_before_a_proposal_is_not_read(stand: BoardDriver) -> None:
    """To find out whether a part is committed, the bot reads only commits since the proposal."""
    begin(stand)
    for number in range(60):
        stand.context.hub.commit(stand.context.requests, [WriteFile("README.md", str(number).encode())], "Busy", "")
    stand.hub.state.clock.advance(60)
    talk = ModerationThread(stand)
    talk.say(f"/rename {OLD} {NEW}")
    talk.write(f"/approve {talk.digest()}", MAYA)
    stand.calls.clear()
    talk.look()
    assert agrees(stand) == "new"
    assert [route for _, route in stand.calls].count("commits") == 2 * 2 + 1  # its parts, twice; the requests repo


def test_a_rename_that_is_done_before_its_reply_is_told(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the bot dies after a rename and before its reply, the reply later says that it is done, not that there is
    nothing to rename."""
    begin(stand)
    talk = ModerationThread(stand)

    def die(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("bot.threads.answering.edit", die)
        talk.say(f"/rename {OLD} {NEW}")
        talk.say(f"/approve {talk.digest()}", MAYA)
    assert path(NEW) in on_main(stand)
    talk.look()
    reply = next(text for text in talk.all() if f"/rename {OLD}" in text)
    assert "Done; see the comment" in reply


def test_enough_files_take_part() -> None:
    """The plan of the rename in the tests above moves some files and changes others in place."""
    files = requests_plan(files=POINTED).files
    assert {file.moves for file in files} == {True, False}
