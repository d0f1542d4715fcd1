"""Flags on a board that runs: after Redis was lost, killed anywhere, by hand in the repo, from a shell, and in part."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from bot_kit import BOARD
from flags_kit import FLAGS, SPACE, FlagStand, Hearing, flags_world, model
from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from stand_kit import BOT, REQUESTS
from typer.testing import CliRunner

from bot import checking
from bot.consistency import disagreements
from bot.deliveries import read_delivery
from bot.facts.surroundings import weights_digest
from bot.flagging.reports import find_report, reports
from bot.flagging.subjects import digest_of, gather_subject
from bot.probe import Probe
from bot.sync.waiting_threads import waiting_threads
from leaderboard.admission.facts import ModelFacts, ModelFile, Weights
from leaderboard.effects import Effect, Effects, Mode
from leaderboard.flags import FlagRecord
from localhub.testing import LocalHub
from steward.cli import app
from steward.valkey import Valkey
from wire import clock

MANY = 60
STEP = 1 if os.environ.get("STEWARD_WHOLE_MATRIX") else 4
"""The bot dies before each STEPth call, with a model for each death."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A Hub for all tests; each leaves no flag behind."""
    found = flags_world()
    found["repos"] += [model(f"ada/try-{n}", f"weights {n}") for n in range(0, MANY, STEP)]
    with LocalHub(tmp_path_factory.mktemp("flags"), found) as made:
        yield made


@pytest.fixture
def stand(hub: LocalHub, valkey: Valkey, probe: Probe) -> Iterator[FlagStand]:
    """A board without flags, and an empty Redis."""
    with redis.Redis.from_url(valkey.url) as connection:
        connection.flushall()
        made = FlagStand(hub, connection, probe)
        made.time = clock.now() + 1
        yield made
        clear(made)
        made.desk.hub.close()


def clear(stand: FlagStand) -> None:
    """Take every file out of the flags repo and every request out of the other."""
    for repo in (FLAGS, REQUESTS):
        there = stand.form.list_repo_files(repo, repo_type="dataset")
        gone = [CommitOperationDelete(path) for path in there if path not in (".gitattributes", "README.md")]
        if gone:
            stand.form.create_commit(repo, gone, commit_message="Clear", repo_type="dataset")


def put(stand: FlagStand, **files: object) -> None:
    """Somebody commits to the flags repo by hand: path → content."""
    adds = [CommitOperationAdd(path, text(said)) for path, said in files.items()]
    stand.form.create_commit(FLAGS, adds, commit_message="By hand", repo_type="dataset")


def text(said: object) -> bytes:
    """A file's bytes."""
    return said if isinstance(said, bytes) else json.dumps(said).encode()


def record(name: str, **more: Any) -> dict[str, Any]:
    """A record as somebody writes it by hand."""
    return {"model": name, "status": "flagged", "category": "other", "thread": "https://hub/d/1", **more}


def codes(stand: FlagStand, name: str, precision: str = "float32") -> set[str]:
    """Why a submission of `name` would be refused."""
    found = checking.check(stand.desk, name, precision=precision)
    return {reason.code for line in found.lines for reason in line.reasons}


def sync(stand: FlagStand) -> None:
    """What the reconciler does about the flags repo."""
    stand.time += 300
    stand.desk.mark("flags")
    stand.work()


def test_a_flag_survives_the_loss_of_redis(stand: FlagStand) -> None:
    """The first model that is judged after it has the flags read; so no flag is escaped by an amnesia."""
    put(stand, **{"flags/ada/good.json": record("ada/good", reason="it cheats")})
    sync(stand)
    assert "flagged" in codes(stand, "ada/good")
    stand.desk.redis.flushall()
    assert "flagged" in codes(stand, "ada/good")
    stand.desk.redis.flushall()
    stand.submit("ada/good")
    stand.settle()
    (path,) = [entry.path for entry in stand.desk.index.of_model("ada/good")]
    assert stand.file(path)["steward"]["failure"]["message"].startswith("The model ada/good is flagged: it cheats")


def test_what_a_person_writes_by_hand_is_compiled_and_told(stand: FlagStand) -> None:
    """A record that was committed or removed by hand has its place in the tables within a round."""
    put(stand, **{"flags/ada/good.json": record("ada/good")})
    sync(stand)
    sync(stand)
    assert stand.table() == {"ada/good": "https://hub/d/1"}
    commits = len(stand.form.list_repo_commits(FLAGS, repo_type="dataset"))
    stand.calls.clear()
    sync(stand)
    assert len(stand.calls) == 1, "nothing changed: one look at the head"
    assert len(stand.form.list_repo_commits(FLAGS, repo_type="dataset")) == commits
    gone = [CommitOperationDelete("flags/ada/good.json")]
    stand.form.create_commit(FLAGS, gone, commit_message="By hand", repo_type="dataset")
    sync(stand)
    sync(stand)
    assert stand.table() == {}
    assert "flagged" not in codes(stand, "ada/good")


def test_a_flag_of_one_precision_holds_for_no_other(stand: FlagStand) -> None:
    """It stands in a table of its own, and forbids only what it names."""
    case = Hearing(stand, "[FLAG] ada/good", "Its float32 is not what it says.")
    case.say("/flag other precision=float32 it is another model's", stand.form)
    assert stand.table() == {}
    assert [row["precision"] for row in stand.table("scoped.json")] == ["float32"]
    assert "flagged" in codes(stand, "ada/good")
    assert "flagged" not in codes(stand, "ada/good", "float16")
    case.say("/unflag it is its own", stand.form)
    assert stand.table("scoped.json") == []


def test_the_original_of_a_copy_is_not_flagged_with_it(stand: FlagStand) -> None:
    """They have the same weights; a flag for anything else is met by whoever has them."""
    case = Hearing(stand, "[FLAG] ada/copy", "It is bob/original.")
    case.say("/flag copy it is bob/original", stand.form)
    assert "flagged" in codes(stand, "ada/copy")
    assert not {"flagged", "flagged-elsewhere"} & codes(stand, "bob/original")
    case.say("/flag contamination it was trained on the test set", stand.form)
    assert "flagged-elsewhere" in codes(stand, "bob/original")


def test_only_the_discussion_of_a_flag_is_closed(stand: FlagStand) -> None:
    """A flag that is lifted from elsewhere closes its own discussion, and not the one where that was said; what is
    about a request stays open, whatever is said there; and with nothing to dismiss nothing is closed."""
    question, case = Hearing(stand, "A question", "Hello?"), Hearing(stand, "[FLAG] ada/good", "It cheats.")
    case.say("/flag other so I say", stand.form)
    question.say("/dismiss so I say", stand.form)
    assert "Nothing was reported" in question.replies()[-1]
    question.say("/unflag ada/good so I say", stand.form)
    assert (question.status, case.status, stand.table()) == ("open", "closed", {})
    stand.worker()
    stand.submit("ada/remote")
    stand.settle()
    (thread,) = [one for one in stand.threads() if "ada/remote" in one.title]
    for words in ("/flag other so I say", "/dismiss so I say", "/flag other so I say", "/unflag so I say"):
        api = stand.bob if words == "/flag other so I say" else stand.form
        api.comment_discussion(REQUESTS, thread.num, comment=words, repo_type="dataset")
        stand.time += 300
        stand.desk.mark(f"thread:dataset/{REQUESTS}:{thread.num}")
        stand.work()
    (thread,) = [one for one in stand.threads() if one.num == thread.num]
    assert thread.status == "open"


class Died(BaseException):
    """The process that worked on a thread is gone."""


def test_a_flag_happens_once_wherever_the_bot_dies(stand: FlagStand) -> None:
    """Killed before each call of each sync: then, one discussion, one record, one decision, one call to the author."""
    for number in range(0, MANY, STEP):
        name, left = f"ada/try-{number}", [number]
        stand.time = max(stand.time, clock.now()) + 300
        talk = stand.bob.create_discussion(SPACE, f"About {name}", description="Hm.", repo_type="space").num
        words = f"/flag other {name} it is too good to be true"
        stand.form.comment_discussion(SPACE, talk, comment=words, repo_type="space")

        def count(*call: str, left: list[int] = left) -> None:
            stand.calls.append((call[0], call[1]))
            left[0] -= 1
            if left[0] == -1:
                raise Died

        with watching(stand, count):
            died = dies(stand, f"thread:space/{SPACE}:{talk}")
        for _ in range(3):
            stand.time += 300
            stand.desk.mark(f"thread:space/{SPACE}:{talk}")
            stand.work()
        assert [one["what"] for one in stand.record(name)["decisions"]] == ["flagged"]
        assert stand.table()[name] == stand.record(name)["thread"]
        opened = [one for one in stand.form.get_repo_discussions(SPACE, repo_type="space") if one.title.endswith(name)]
        assert [one.title for one in opened] == [f"[FLAG] {name}", f"About {name}"]
        assert len(stand.form.get_discussion_details(SPACE, opened[0].num, repo_type="space").events) == 1
        if not died:
            assert number > 10
            return
    pytest.fail("more calls than models to try them with")


def dies(stand: FlagStand, key: str) -> bool:
    """Whether the bot died of working on `key` and on what follows; its lease lapses then, as time would have it."""
    stand.desk.mark(key)
    try:
        stand.work()
    except Died:
        stand.desk.redis.delete(stand.desk.keys.dirty_leases)
        return True
    return False


@contextmanager
def watching(stand: FlagStand, count: Callable[..., None]) -> Iterator[None]:
    """Have `count` told of every call, as long as this is open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stand.desk.hub.session, "_on_call", count)
        yield


def test_nothing_is_done_by_halves(stand: FlagStand) -> None:
    """Of several models one that nobody knows: none is flagged. An official provider's: neither."""
    policy = stand.desk.board.admission.model_copy(update={"official_providers": ("Bob",)})
    stand.desk.board = stand.desk.board.model_copy(update={"admission": policy})
    case = Hearing(stand, "[FLAG] ada/good", "See below.")
    case.say("/flag copy ada/good ada/nowhere they are the same", stand.form)
    assert "I find no such model" in case.replies()[-1]
    case.say("/flag copy ada/good bob/original they are the same", stand.form)
    assert "official provider" in case.replies()[-1]
    assert stand.table() is None


@pytest.mark.parametrize(
    ("kind", "mode"), [(Effect.EDIT, Mode.OFF), (Effect.EDIT, Mode.SHADOW), (Effect.NEW_THREAD, Mode.SHADOW)]
)
def test_without_effects_nothing_is_flagged(stand: FlagStand, kind: Effect, mode: Mode) -> None:
    """The reply says so, nothing is opened, and no file is written."""
    modes = {**dict.fromkeys(Effect, Mode.ON), kind: mode}
    stand.desk.board = stand.desk.board.model_copy(update={"effects": Effects(modes=modes)})
    before = len(list(stand.form.get_repo_discussions(SPACE, repo_type="space")))
    case = Hearing(stand, "A question", "Hello?")
    case.say("/flag other ada/good it is too good to be true", stand.form)
    assert "off or in shadow" in case.replies()[-1]
    assert stand.table() is None
    assert len(list(stand.form.get_repo_discussions(SPACE, repo_type="space"))) == before + 1


def test_a_board_without_a_repo_of_flags_says_so(stand: FlagStand) -> None:
    """Reports are gathered all the same: a person can act upon them."""
    stand.desk.flags_repo = stand.desk.flag_book.repo = None
    case = Hearing(stand, "[FLAG] ada/copy", "It is bob/original.")
    report = find_report(stand.desk, "ada/copy")
    assert report is not None
    assert report.findings[0].code == "same-weights-unnamed"
    case.say("/flag copy it is bob/original", stand.form)
    assert "keeps no flags yet" in case.replies()[-1]


def test_a_report_comes_back_after_redis_was_lost(stand: FlagStand) -> None:
    """Its thread is looked at again; one that was dismissed does not come back."""
    case = Hearing(stand, "[FLAG] ada/copy", "It is bob/original.")
    stand.desk.redis.flushall()
    case.look()
    assert [one.model for one in reports(stand.desk)] == ["ada/copy"]
    case.say("/dismiss it is known", stand.form)
    stand.desk.redis.flushall()
    stand.form.change_discussion_status(SPACE, case.number, "open", repo_type="space")
    case.look()
    assert reports(stand.desk) == []


@pytest.mark.parametrize(("at", "waits"), [("2020-01-01T00:00:00Z", True), ("2100-01-01T00:00:00Z", False)])
def test_the_thread_of_an_imported_flag_is_heard(stand: FlagStand, at: str, *, waits: bool) -> None:
    """What is said there since the import waits for a maintainer; what was said before is old. Nothing is posted but
    that it was opened again for the author."""
    case = Hearing(stand, "About ada/good", "It is too good.")
    url = f"{stand.hub.url}/spaces/{SPACE}/discussions/{case.number}"
    decision = {"what": "flagged", "at": at, "by": "maya", "cause": "import ada/good"}
    put(stand, **{"flags/ada/good.json": record("ada/good", thread=url, decisions=[decision])})
    sync(stand)
    case.say("It is not!", stand.ada)
    assert (
        [one.topic for one in waiting_threads(stand.desk) if one.title == "About ada/good"] == ["improper flag"]
    ) is waits
    case.say("I have looked at it.", stand.form)
    stand.form.change_discussion_status(SPACE, case.number, "closed", repo_type="space")
    case.look()
    case.say("But look again.", stand.ada)
    assert (case.status == "open") is waits
    assert len(case.replies()) == int(waits)


def test_nobody_learns_of_a_private_model(stand: FlagStand) -> None:
    """One that the bot may read is told from one that does not exist by nobody."""
    stand.form.create_repo("board/secret", private=True, exist_ok=True)
    assert stand.desk.hub.model_facts("board/secret").private
    case = Hearing(stand, "A question", "Hello?")
    case.say("/flag other board/secret it is too good to be true", stand.bob)
    assert "I find no such model" in case.replies()[-1]


def test_whoever_reported_it_elsewhere_is_told(stand: FlagStand) -> None:
    """Two people report one model in two threads, a third one holds the decision: both are told, once each, also
    where Redis was lost in between; and a dismissal ends what was reported there."""
    first = Hearing(stand, "Strange", "Hm.")
    first.say("/flag copy ada/copy it is bob/original", stand.bob)
    second = Hearing(stand, "[FLAG] ada/copy", "It is bob/original.", stand.ada)
    stand.desk.redis.flushall()
    for talk in (first, second):
        talk.look()
    (report,) = reports(stand.desk)
    assert {key.rpartition(":")[2] for key in report.threads} == {str(first.number), str(second.number)}
    third = Hearing(stand, "Something else", "Hello.")
    third.say("/flag copy ada/copy it is bob/original", stand.form)
    for talk in (first, second):
        for _ in range(2):
            talk.look()
        assert sum("which was reported here, is flagged now" in one for one in talk.replies()) == 1
    assert reports(stand.desk) == []


def test_weights_have_one_digest_wherever_they_are_looked_at(stand: FlagStand) -> None:
    """Evidence and admission agree, however the files are called."""
    copy, original = (gather_subject(stand.desk, name) for name in ("ada/copy", "bob/original"))
    assert copy is not None
    assert original is not None
    files = tuple(ModelFile(name, 1, digest) for name, digest in original.weights.items())
    facts = ModelFacts("found", files=files, weights=Weights(tuple(original.weights)))
    assert digest_of(copy) == digest_of(original) == weights_digest(facts) != ""


def test_a_table_of_others_is_imported_from_a_shell(
    stand: FlagStand, valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten dirty keys are told, each as what it is; addresses are kept; and a second time there is nothing to do."""
    board = BOARD.replace("logs: board/logs", f"logs: board/logs, flags: {FLAGS}")
    (tmp_path / "board.yaml").write_text(board)
    environment = {"HF_ENDPOINT": stand.hub.url, "REDIS_URL": valkey.url, "STEWARD_BOT_TOKEN": BOT}
    environment |= {"STEWARD_BOARD": str(tmp_path / "board.yaml"), "STEWARD_MIRRORS": str(tmp_path / "mirrors")}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stand.ada.create_repo("ada/old-name")
    stand.ada.move_repo("ada/old-name", "ada/new-name")
    url = "https://huggingface.co/spaces/x/y/discussions/{}".format
    table = {
        "ada/good": url(1),
        "ada/copy ": url(2),
        "ada / merged": url(3),
        "https://huggingface.co/ada/half": url(4),
        "ada/pla\u200bin": url(5),
        "ada/old-name": url(6),
        "ada/nowhere": url(7),
        "merged": url(510),
        "\u0430da/good": url(8),
        "ada/quiet": "see above",
        " ada/good": url(9),
    }
    file = tmp_path / "flagged.json"
    file.write_text(json.dumps(table))
    shown = CliRunner().invoke(app, ["flags", "import", str(file), "--json"])
    said = json.loads(shown.output)
    assert (shown.exit_code, said["written"]) == (1, False)
    codes = "address blanks blanks blanks invisible look-alike no-name no-thread renamed twice unknown"
    assert sorted(one["code"] for one in said["problems"]) == codes.split()
    assert CliRunner().invoke(app, ["flags", "import", str(file), "--write"]).exit_code == 1
    stand.time = clock.now() + 1
    sync(stand)
    names = {"ada/good": 9, "ada/copy": 2, "ada/merged": 3, "ada/half": 4, "ada/plain": 5}
    wanted = {name: url(number) for name, number in names.items()}
    assert stand.table() == {**wanted, "ada/new-name": url(6), "ada/old-name": url(6)}
    assert disagreements(stand.desk) == []
    again = CliRunner().invoke(app, ["flags", "import", str(file)])
    assert "0 flags would be imported, 6 were known." in again.output
    assert "flagged   ada/copy  other" in CliRunner().invoke(app, ["flags", "list"]).output
    seen = CliRunner().invoke(app, ["flags", "show", "ada/copy", "--with", "bob/original"]).output
    assert "proof  same-weights-unnamed" in seen
    assert "ada/copy is flagged: https://huggingface.co/spaces/x/y/discussions/2" in seen
    assert CliRunner().invoke(app, ["flags", "show", "ada/nowhere"]).exit_code == 1
    doctor = CliRunner().invoke(app, ["doctor", "--consistency"])
    assert (doctor.exit_code, "agree with each other" in doctor.output) == (0, True)


def test_each_disagreement_is_found(stand: FlagStand) -> None:
    """Planted one by one in repos that agree: the checker names each, and the doctor ends with an error."""
    stand.submit("ada/good")
    assert disagreements(stand.desk) == []
    path = "ada/copy_eval_request_False_float32_Original.json"
    stand.put(path, text({"model": "ada/cpy", "status": "FINISHED"}))
    done = {"model": "ada/half", "status": "FINISHED", "steward": {"results": "ada/half/results_x.json"}}
    stand.put("ada/half_eval_request_False_float32_Original.json", text(done))
    elsewhere = {"model": "ada/plain", "status": "FINISHED", "steward": {"results": "ada/lost/results_1.json"}}
    stand.put("ada/plain_eval_request_False_float32_Original.json", text(elsewhere))
    results = [CommitOperationAdd("ada/lost/results_1.json", text({"model_name": "ada/other", "results": {}}))]
    stand.form.create_commit("board/results", results, commit_message="Add", repo_type="dataset")
    put(
        stand,
        **{
            "flags/ada/nowhere.json": record("ada/nowhere"),
            "flags/ada/Good.json": record("ada/Good"),
            "flags/ada/broken.json": b"{",
            "flags/ada/quiet.json": record("ada/quiet", thread=""),
            "flags/ada/again.json": record("ada/again", also=["ada/quiet"]),
        },
    )
    found = {one.what for one in disagreements(stand.desk)}
    gone = [CommitOperationDelete("ada/lost/results_1.json")]
    stand.form.create_commit("board/results", gone, commit_message="Clear", repo_type="dataset")
    assert found == {
        "request-place",
        "results-missing",
        "results-elsewhere",
        "results-without-request",
        "results-name",
        "flag-unreadable",
        "flag-unmatched",
        "flag-case",
        "flag-twice",
        "flag-without-thread",
        "flag-table",
    }


def test_a_delivery_about_the_flags_repo_wakes_its_sync(stand: FlagStand) -> None:
    """A commit by hand is looked at within seconds."""
    body = {
        "event": {"scope": "repo.content", "action": "update"},
        "repo": {"type": "dataset", "name": FLAGS},
        "updatedRefs": [{"ref": "refs/heads/main"}],
    }
    reading = read_delivery(json.dumps(body).encode(), stand.desk.board)
    assert [mark.key for mark in reading.marks] == ["flags"]


def test_evidence_is_kept_from_everybody_until_it_was_decided(stand: FlagStand) -> None:
    """Nothing of what was found is in any comment, nor in any repo."""
    case = Hearing(stand, "[FLAG] ada/copy", "It is bob/original.")
    report = find_report(stand.desk, "ada/copy")
    assert report is not None
    assert report.findings
    said = "".join(text for _, text in case.comments())
    assert not any(finding.message in said for finding in report.findings)
    assert stand.form.list_repo_files(FLAGS, repo_type="dataset") in ([], [".gitattributes"])
    assert all(isinstance(one, FlagRecord) for one in stand.desk.flag_book.records())
