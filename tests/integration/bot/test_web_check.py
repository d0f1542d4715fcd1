"""A check says which rules a model fails without a submission, and reveals nothing about models that are not public.

The API hands each check to a sync."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx2
import pytest
import redis

from bot.core.settings import BotSettings
from bot.model_facts.checking import GATED
from bot.queue.rulings import pause
from bot.read_models.check_models import CheckResponse
from bot.requests.verb_check import check_model
from bot.web.incoming import client_name
from hub.records import Repo, WriteFile
from leaderboard.policy import AdmissionPolicy
from redis_state import clock
from redis_state.board.mailbox import Mailbox
from redis_state.board.messages import CheckQuestion
from redis_state.keys import Keys
from steward.testing.board import CONFIG, BoardDriver
from tests.support.board.check_answers import failing, outcomes

KEYS = Keys("demo")


@pytest.fixture
def syncing(stand: BoardDriver) -> Iterator[BoardDriver]:
    """A board whose syncs run beside the test, by the clock of the web server."""
    stand.context.now = clock.now
    thread = threading.Thread(target=stand.loop.run)
    thread.start()
    yield stand
    stand.loop.stop()
    thread.join()


def ask(web: httpx2.Client, model: str, **params: str) -> httpx2.Response:
    """Request the check until it is done; return the last response."""
    deadline = time.monotonic() + 40
    while True:
        answer = web.get("/api/check", params={"model": model, **params}, timeout=30)
        if answer.status_code != 202 or time.monotonic() > deadline:
            return answer


def test_a_model_is_checked_by_every_rule_without_being_submitted(web: httpx2.Client, syncing: BoardDriver) -> None:
    """The API reports passed and failed rules with reasons, writes nothing, and repeats them without any call."""
    before = syncing.commits()
    answer = ask(web, "ada/pickled", precision="float32")
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert (report["state"], report["accepted"], report["model"]) == ("done", False, "ada/pickled")
    assert "access" not in report
    assert outcomes(report)["model-readable"] == "passed"
    assert "safetensors" in failing(report)
    (reason,) = next(rule["reasons"] for rule in report["rules"] if rule["rule"] == "safetensors")
    assert "pickle" in reason["message"]
    assert reason["advice"]
    assert (syncing.commits(), syncing.threads(), syncing.context.index.count()) == (before, [], 0)
    calls = len(syncing.calls)
    again = web.get("/api/check", params={"model": "ada/pickled", "precision": "float32"})
    assert (again.json(), len(syncing.calls)) == (report, calls)
    same = {"if-none-match": again.headers["etag"]}
    assert (
        web.get("/api/check", params={"model": "ada/pickled", "precision": "float32"}, headers=same).status_code == 304
    )


def test_strange_models_are_refused_with_a_reason(web: httpx2.Client, syncing: BoardDriver) -> None:
    """A malformed name, a missing model and an unknown precision are refused."""
    assert failing(ask(web, "../../etc/passwd").json())
    nowhere = ask(web, "ada/nowhere", precision="1bit").json()
    assert {"model-readable", "precision"} <= failing(nowhere)
    assert outcomes(nowhere)["config-loads"] == "not-looked-at"


def test_who_asks_too_often_has_to_wait_and_others_need_not(
    web: httpx2.Client, connection: redis.Redis, settings: BotSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each client, and all of them together, have a limit of checks per minute; stored answers do not count."""
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    asked = [web.get("/api/check", params={"model": f"ada/m{n}"}) for n in range(settings.checks_per_client + 1)]
    assert [response.status_code for response in asked] == [202] * settings.checks_per_client + [429]
    assert asked[0].headers["retry-after"]
    assert asked[0].json()["state"] == "under-way"
    assert (asked[-1].json()["code"], int(asked[-1].headers["retry-after"]) > 0) == ("too-many", True)
    accepted = CheckResponse(state="done", model="ada/known", accepted=True)
    mailbox = Mailbox(connection, KEYS, CheckQuestion, CheckResponse)
    mailbox.answer(CheckQuestion(model="ada/known").message_id, accepted, seconds=60)
    assert web.get("/api/check", params={"model": "ada/known"}).json()["accepted"] is True
    connection.delete(KEYS.asked(client_name("127.0.0.1")))
    connection.set(KEYS.asked("all"), settings.checks_per_minute, ex=60)
    assert "too many checks" in web.get("/api/check", params={"model": "ada/other"}).json()["message"]
    assert web.get("/api/check", params={"model": "ada/m0"}).status_code == 202  # asked by others already


def test_a_question_of_an_earlier_version_is_asked_again(
    web: httpx2.Client, stand: BoardDriver, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that an earlier version stored, or whose mark it took, is made again; until then the API answers 202."""
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    stand.context.now = clock.now
    stand.time = clock.now()
    question = CheckQuestion(model="ada/good")
    connection.set(f"steward:1:demo:question:{question.message_id}", question.model_dump_json(), ex=120)
    stand.context.mark(question.dirty_key)
    stand.work()
    assert web.get("/api/check", params={"model": "ada/good"}).status_code == 202
    connection.zrem(KEYS.dirty, question.dirty_key)  # a sync of the earlier version finds no question
    assert web.get("/api/check", params={"model": "ada/good"}).status_code == 202
    stand.time = clock.now()
    stand.work()
    assert web.get("/api/check", params={"model": "ada/good"}).json()["state"] == "done"
    assert stand.context.parking.all() == []


def test_one_customer_of_a_large_network_counts_as_one() -> None:
    """The limits count IPv6 addresses by their network, and IPv4 addresses one by one."""
    assert client_name("2001:db8:1:2::1") == client_name("2001:db8:1:2:ffff::2") != client_name("2001:db8:1:3::1")
    assert client_name("192.0.2.1") != client_name("192.0.2.2")
    assert client_name("::ffff:192.0.2.1") == client_name("192.0.2.1") != client_name("::ffff:192.0.2.2")
    assert client_name("a unix socket") == "unknown"


def made(stand: BoardDriver, name: str, *, private: bool = False, gated: bool = False) -> str:
    """Create a model of the bot's own account, which its token may read, with pickled weights; return its id."""
    repo = Repo("model", f"steward-bot/{name}")
    stand.context.hub.create_repo(repo, private=private)
    files = [
        WriteFile("config.json", CONFIG.encode()),
        WriteFile("pytorch_model.bin", b"x"),
        WriteFile("README.md", b"# A model"),
    ]
    stand.context.hub.commit(repo, files, "Add it", regular=[file.path for file in files])
    if gated:
        stand.context.hub.gate(repo)
    return repo.id


def test_a_check_of_a_private_model_looks_like_that_of_a_missing_one(stand: BoardDriver) -> None:
    """A public check gives the same reasons for a private model as for a missing one; an operator's check shows all."""
    made(stand, "secret", private=True)
    stand.context.board = stand.context.board.model_copy(update={"admission": AdmissionPolicy(private_models=True)})
    path = stand.submit("steward-bot/secret")
    stand.settle()
    assert stand.context.index.get(path).standing.access == "private"  # the check does not mention this request
    private, nowhere = (
        check_model(stand.context, "steward-bot/secret"),
        check_model(stand.context, "steward-bot/nothing"),
    )
    words = [[reason.message for reason in rule.reasons] for rule in private.rules]
    assert words == [[reason.message.replace("nothing", "secret") for reason in rule.reasons] for rule in nowhere.rules]
    assert [rule.outcome for rule in private.rules] == [rule.outcome for rule in nowhere.rules]
    assert (private.revision, private.access) == (None, "public")
    for_operator = check_model(stand.context, "steward-bot/secret", public=False)
    assert for_operator.access == "private"
    assert for_operator.revision is not None


def test_of_a_gated_model_the_public_hears_which_rules_fail_and_no_more(stand: BoardDriver) -> None:
    """A public check of a gated model says which rules fail, and withholds reasons, which are about its files."""
    name = made(stand, "gated", gated=True)
    for_operator, for_public = check_model(stand.context, name, public=False), check_model(stand.context, name)
    assert for_operator.access == for_public.access == "gated"
    assert [rule.outcome for rule in for_public.rules] == [rule.outcome for rule in for_operator.rules]
    assert any("pickle" in reason.message for rule in for_operator.rules for reason in rule.reasons)
    told_of = [reason for rule in for_public.rules for reason in rule.reasons]
    assert told_of
    assert {(reason.message, reason.advice, reason.link) for reason in told_of} == {(GATED, "", "")}


def test_nothing_is_guessed_from_files_that_not_everybody_can_read(stand: BoardDriver) -> None:
    """A check guesses nothing about gated or private models, because that would reveal what is in their files."""
    public, gated = check_model(stand.context, "ada/good", guess=True), made(stand, "gated", gated=True)
    assert {guess.field for guess in public.guesses} >= {"model_type", "chat_template"}
    assert check_model(stand.context, gated, guess=True).guesses == []
    stand.context.board = stand.context.board.model_copy(update={"admission": AdmissionPolicy(private_models=True)})
    assert check_model(stand.context, made(stand, "secret", private=True), guess=True).guesses == []
    assert check_model(stand.context, "ada/nowhere", guess=True).guesses == []
    assert check_model(stand.context, "ada/good", precision="float32").guesses == []


def test_a_check_tells_the_place_that_a_submission_would_have(stand: BoardDriver) -> None:
    """A check gives the position in the queue, none if the model is refused or waits already, and a pause's reason."""
    other = stand.submit("ada/good", path="ada/good_eval_request_False_4bit_Original.json", precision="4bit")
    stand.settle()
    entry = stand.context.index.get(other)
    assert (entry.state, entry.submitter) == ("waiting", "form")
    first, second = (
        check_model(stand.context, "ada/good", precision="float32", submitter=who) for who in ("ada", "form")
    )
    assert first.place is not None
    assert second.place is not None
    assert (first.place.among, second.place.position) == (2, 2)
    assert stand.context.index.count() == 1
    assert check_model(stand.context, "ada/pickled", precision="float32").place is None
    repeated = check_model(stand.context, "ada/good", precision="4bit")
    assert (repeated.place, repeated.held) == (None, None)
    assert pause(stand.context, "board", "the rack is moved", "mia").done
    stand.settle()
    held = check_model(stand.context, "ada/good", precision="float32").held
    assert held is not None
    assert (held.kind, held.reason) == ("pause", "the rack is moved")


def test_what_was_submitted_already_would_not_be_accepted_again(stand: BoardDriver) -> None:
    """A check refuses a model with an open request as a duplicate, whatever it says about the chat template."""
    board = stand.context.board
    off = tuple(rule for rule in board.admission.off if rule != "duplicate")
    admission = board.admission.model_copy(update={"off": off})
    stand.context.board = board.model_copy(update={"admission": admission})
    stand.submit("ada/good")
    stand.settle()
    for template in ("no", "yes"):
        repeated = check_model(stand.context, "ada/good", precision="float32", chat_template=template)
        assert [reason.code for rule in repeated.rules for reason in rule.reasons] == ["duplicate-open"]
        assert repeated.accepted is False
    assert check_model(stand.context, "ada/good", precision="float16").accepted is True


def test_of_a_model_behind_a_closed_gate_everybody_hears_that_it_is_gated(stand: BoardDriver) -> None:
    """A check of a gated model that the bot cannot read says that it is gated, because its page is public."""
    repo = stand.hub.state.repos.get("model", "ada/pickled")
    assert repo is not None
    stand.hub.state.repos.update(repo, None, gated="manual")
    reasons = [reason for rule in check_model(stand.context, "ada/pickled").rules for reason in rule.reasons]
    assert "is gated" in " ".join(reason.message for reason in reasons)
