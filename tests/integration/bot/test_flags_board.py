"""Flags on a running board: from any thread, of parts of a model, after Redis was lost, and when the bot dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bot.flags.evidence import digest_of, gather_subject
from bot.flags.reports import MAX_REPORTED, reports
from bot.model_facts.board_facts import weights_digest
from bot.probe import Probe
from bot.threads.maintainers_list import waiting_threads
from leaderboard.admission.facts import ModelFacts, ModelFile, Weights
from leaderboard.boards import MaintainingOrganisation
from leaderboard.effects import Effect, EffectMode, Effects
from localhub.testing import LocalHub
from redis_state import clock
from steward.testing.board import REQUESTS
from steward.valkey import Valkey
from tests.support.board.flags import SPACE, AppealThread, FlagBoardDriver, by_hand, flags_world, model, no_flags

MANY = 60
"""How many models there are for the deaths of the bot, one for each."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A Hub for all tests; each leaves no flag behind."""
    world = flags_world()
    world["repos"] += [model(f"ada/try-{n}", f"weights {n}") for n in range(MANY)]
    with LocalHub(tmp_path_factory.mktemp("flags"), world) as started:
        yield started


@pytest.fixture
def stand(hub: LocalHub, valkey: Valkey, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board without flags, and an empty Redis."""
    with no_flags(hub, valkey, probe) as driver:
        yield driver


def test_a_flag_survives_the_loss_of_redis(stand: FlagBoardDriver) -> None:
    """After Redis was lost, the bot reads the flags from the Hub before its first verdict, and refuses the model."""
    stand.put_flags(**{"flags/ada/good.json": by_hand("ada/good", reason="it cheats")})
    stand.sync_flags()
    assert "flagged" in stand.codes("ada/good")
    stand.context.redis.flushall()
    assert "flagged" in stand.codes("ada/good")
    stand.context.redis.flushall()
    stand.submit("ada/good")
    stand.settle()
    (path,) = [entry.path for entry in stand.context.index.of_model("ada/good")]
    assert stand.file(path)["steward"]["failure"]["message"].startswith("The model ada/good is flagged: it cheats")


def test_a_flag_of_one_precision_holds_for_no_other(stand: FlagBoardDriver) -> None:
    """A flag of one precision is listed in `scoped.json` and applies to that precision alone."""
    case = AppealThread(stand, "[FLAG] ada/good", "Its float32 is not what it says.")
    for scope in ("precision=float31", "revision=main"):
        case.say(f"/flag other {scope} it is another model's", stand.form)
        assert "No evaluation would match" in case.replies()[-1]
    case.say("/flag other precision=Float32 it is another model's", stand.form)
    assert stand.table() == {}
    assert [row["precision"] for row in stand.table("scoped.json")] == ["float32"]
    assert "flagged" in stand.codes("ada/good")
    assert "flagged" not in stand.codes("ada/good", "float16")
    case.say("/unflag it is its own", stand.form)
    assert stand.table("scoped.json") == []


def test_a_second_flag_replaces_the_first_only_if_it_covers_it(stand: FlagBoardDriver) -> None:
    """The bot refuses a flag of another part of a flagged model; a flag of the whole model replaces the first."""
    first, second = "aaaaaaa", "bbbbbbb"
    case = AppealThread(stand, "[FLAG] ada/good", "Two of its commits know the answers.")
    case.say(f"/flag other revision={first} it cheats\n/flag other revision={second} it cheats", stand.form)
    (answer,) = (reply for reply in case.replies() if "/flag" in reply)
    assert f"is flagged (only at `{first}`)" in answer
    assert f"I changed nothing:\n\n- **ada/good** (only at `{first}`)" in answer
    for scope in (f"revision={second}", "precision=float32", f"revision={first} precision=float32"):
        case.say(f"/flag other {scope} it cheats", stand.form)
        assert f"- **ada/good** (only at `{first}`)" in case.replies()[-1]
        assert [row["revision"] for row in stand.table("scoped.json")] == [first]
    case.say("/flag other it cheats", stand.form)
    assert (set(stand.table()), stand.table("scoped.json")) == ({"ada/good"}, [])
    case.say("/flag contamination precision=float32 it cheats", stand.form)
    assert "- **ada/good** (the whole model)" in case.replies()[-1]
    assert (set(stand.table()), stand.table("scoped.json")) == ({"ada/good"}, [])
    case.say("/unflag only float32 cheats", stand.form)
    case.say("/flag contamination precision=float32 it cheats", stand.form)
    assert (stand.table(), [row["precision"] for row in stand.table("scoped.json")]) == ({}, ["float32"])
    assert len(stand.record("ada/good")["decisions"]) == 4


@pytest.mark.long("a board for one more kind of flag")
def test_the_original_of_a_copy_is_not_flagged_with_it(stand: FlagBoardDriver) -> None:
    """A flag for copying does not apply to the original with the same weights; any other flag applies to both."""
    case = AppealThread(stand, "[FLAG] ada/copy", "It is bob/original.")
    case.say("/flag copy it is bob/original", stand.form)
    assert "flagged" in stand.codes("ada/copy")
    assert not {"flagged", "flagged-elsewhere"} & stand.codes("bob/original")
    case.say("/flag contamination it was trained on the test set", stand.form)
    assert "flagged-elsewhere" in stand.codes("bob/original")


@pytest.mark.long("a board for one more kind of flag")
def test_only_the_discussion_of_a_flag_is_closed(stand: FlagBoardDriver) -> None:
    """Lifting a flag from another discussion closes only the flag's own discussion.

    The discussion of the command and those about requests stay open; if there is nothing to dismiss, nothing is closed.
    """
    question, case = AppealThread(stand, "A question", "Hello?"), AppealThread(stand, "[FLAG] ada/good", "It cheats.")
    case.say("/flag other so I say", stand.form)
    question.say("/dismiss so I say", stand.form)
    assert "nothing to dismiss" in question.replies()[-1]
    question.say("/unflag it was an error ada/good", stand.form)
    assert "for example `/unflag ada/good it was an error`" in question.replies()[-1]
    assert "ada/good" in stand.table(), "a model that a reason only mentions is not unflagged"
    question.say("/unflag ada/good so I say", stand.form)
    assert (question.status, case.status, stand.table()) == ("open", "closed", {})
    stand.worker()
    stand.submit("ada/remote")
    stand.settle()
    (thread,) = [thread for thread in stand.threads() if "ada/remote" in thread.title]
    for words in ("/flag other so I say", "/dismiss so I say", "/flag other so I say", "/unflag so I say"):
        api = stand.bob if words == "/flag other so I say" else stand.form
        api.comment_discussion(REQUESTS, thread.num, comment=words, repo_type="dataset")
        stand.time += 300
        stand.context.mark(f"thread:dataset/{REQUESTS}:{thread.num}")
        stand.work()
    (thread,) = [listed for listed in stand.threads() if listed.num == thread.num]
    assert thread.status == "open"


def test_an_appeal_leaves_the_list_when_the_flag_is_lifted(stand: FlagBoardDriver) -> None:
    """An appeal waits on the maintainers' list until the flag is lifted or the discussion closed."""
    question = AppealThread(stand, "A question", "Hello?")
    question.say("/flag other ada/good so I say", stand.form)
    url = stand.record("ada/good")["thread"]
    case = AppealThread(stand, number=int(url.rpartition("/")[2]))
    case.say("It is not! Please look again.", stand.ada)
    assert [thread.url for thread in waiting_threads(stand.context)] == [url]
    question.say("/unflag ada/good so I say", stand.form)
    case.look()
    assert (case.status, waiting_threads(stand.context)) == ("closed", [])
    other = AppealThread(stand, "[FLAG] ada/good", "It cheats.")
    assert [thread.topic for thread in waiting_threads(stand.context)] == ["flag report"]
    stand.bob.change_discussion_status(SPACE, other.number, "closed", repo_type="space")
    other.look()
    assert waiting_threads(stand.context) == []


class Died(BaseException):
    """Raised to simulate the death of the sync process."""


@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.long("before every call"))])
def test_a_flag_happens_once_wherever_the_bot_dies(stand: FlagBoardDriver, step: int) -> None:
    """If the bot dies before any Hub call of a `/flag`, there are still one discussion, one record and one decision."""
    for number in range(0, MANY, step):
        name, remaining = f"ada/try-{number}", [number]
        stand.time = max(stand.time, clock.now()) + 300
        talk = stand.bob.create_discussion(SPACE, f"About {name}", description="Hm.", repo_type="space").num
        words = f"/flag other {name} it is too good to be true"
        stand.form.comment_discussion(SPACE, talk, comment=words, repo_type="space")

        def count(*call: str, remaining: list[int] = remaining) -> None:
            stand.calls.append((call[0], call[1]))
            remaining[0] -= 1
            if remaining[0] == -1:
                raise Died

        with watching(stand, count):
            died = dies(stand, f"thread:space/{SPACE}:{talk}")
        for _ in range(3):
            stand.time += 300
            stand.context.mark(f"thread:space/{SPACE}:{talk}")
            stand.work()
        assert [decision["what"] for decision in stand.record(name)["decisions"]] == ["flagged"]
        assert stand.table()[name] == stand.record(name)["thread"]
        opened = [
            thread
            for thread in stand.form.get_repo_discussions(SPACE, repo_type="space")
            if thread.title.endswith(name)
        ]
        assert [thread.title for thread in opened] == [f"[FLAG] {name}", f"About {name}"]
        assert len(stand.form.get_discussion_details(SPACE, opened[0].num, repo_type="space").events) == 1
        if not died:
            assert number > 10
            return
    pytest.fail("more calls than models to try them with")


def dies(stand: FlagBoardDriver, key: str) -> bool:
    """Sync `key` and what follows; return whether the bot died, and end its lease if it did."""
    stand.context.mark(key)
    try:
        stand.work()
    except Died:
        stand.context.redis.delete(stand.context.keys.dirty_leases)
        return True
    return False


@contextmanager
def watching(stand: FlagBoardDriver, count: Callable[..., None]) -> Iterator[None]:
    """Call `count` for every Hub call within the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stand.context.hub.session, "_on_call", count)
        yield


def test_nothing_is_done_by_halves(stand: FlagBoardDriver) -> None:
    """A command with several models flags none if one is unknown or belongs to an official provider."""
    policy = stand.context.board.admission.model_copy(update={"official_providers": ("Bob",)})
    stand.context.board = stand.context.board.model_copy(update={"admission": policy})
    case = AppealThread(stand, "[FLAG] ada/good", "See below.")
    case.say("/flag copy ada/good ada/nowhere they are the same", stand.form)
    assert "I found no such model" in case.replies()[-1]
    case.say("/flag copy ada/good bob/original they are the same", stand.form)
    assert "official provider" in case.replies()[-1]
    assert stand.table() is None


@pytest.mark.parametrize(
    ("kind", "mode"),
    [(Effect.EDIT, EffectMode.SHADOW), (Effect.EDIT, EffectMode.OFF), (Effect.NEW_THREAD, EffectMode.SHADOW)],
)
def test_without_effects_nothing_is_flagged(stand: FlagBoardDriver, kind: Effect, mode: EffectMode) -> None:
    """With edits or new threads off or in shadow, `/flag` replies so, opens no thread and writes no file."""
    modes = {**dict.fromkeys(Effect, EffectMode.ON), kind: mode}
    stand.context.board = stand.context.board.model_copy(update={"effects": Effects(modes=modes)})
    before = len(list(stand.form.get_repo_discussions(SPACE, repo_type="space")))
    case = AppealThread(stand, "A question", "Hello?")
    case.say("/flag other ada/good it is too good to be true", stand.form)
    assert "off or in shadow" in case.replies()[-1]
    assert stand.table() is None
    assert len(list(stand.form.get_repo_discussions(SPACE, repo_type="space"))) == before + 1


def test_a_private_model_looks_like_a_missing_one(stand: FlagBoardDriver) -> None:
    """A private model that the bot may read gets the reply of a missing one."""
    stand.form.create_repo("board/secret", private=True, exist_ok=True)
    assert stand.context.hub.model_facts("board/secret").private
    case = AppealThread(stand, "A question", "Hello?")
    case.say("/flag other board/secret it is too good to be true", stand.bob)
    assert "I found no such model" in case.replies()[-1]


@pytest.mark.long("a board for one more kind of flag")
def test_a_maintainer_by_an_organisation_flags(stand: FlagBoardDriver) -> None:
    """A member of a listed organisation flags like a listed maintainer; other accounts only report."""
    keepers = (MaintainingOrganisation(name="board", role="write"),)
    stand.context.board = stand.context.board.model_copy(
        update={"maintainers": (), "maintainer_organisations": keepers}
    )
    case = AppealThread(stand, "[FLAG] ada/good", "It cheats.")
    case.say("/flag other it cheats", stand.bob)
    assert "reported" in case.replies()[-1]
    case.say("/flag other it cheats", stand.form)
    assert set(stand.table()) == {"ada/good"}
    case.say("It does not!", stand.ada)
    stand.calls.clear()
    case.look()
    assert stand.calls == [("GET", "thread")], "the bot asks for no commenter's role in the organisation"


def test_nothing_is_decided_without_a_reason_or_about_too_many(stand: FlagBoardDriver) -> None:
    """The bot refuses flag commands without a reason, and a `/flag` of more than five models without reading them."""
    case = AppealThread(stand, "Strange", "Hm.")
    for api, words in ((stand.form, "/flag copy ada/copy"), (stand.bob, "/flag copy ada/copy bob/original")):
        case.say(words, api)
        assert "Why? Write a reason" in case.replies()[-1]
    many = " ".join(f"ada/try-{number}" for number in range(0, MANY, 8))
    titled = AppealThread(stand, f"[FLAG] {many}", "They are the same.")
    assert len(reports(stand.context)) == MAX_REPORTED
    titled.say("/dismiss they are not", stand.form)
    stand.calls.clear()
    case.say(f"/flag copy {many} they are the same", stand.bob)
    assert "name at most 5" in case.replies()[-1]
    assert "info" not in {route for _, route in stand.calls}
    assert (stand.table(), reports(stand.context)) == (None, [])
    case.say("/flag other ada/good it cheats", stand.form)
    case.say("/unflag ada/good", stand.form)
    assert "Why? Write a reason" in case.replies()[-1]
    assert set(stand.table()) == {"ada/good"}


def test_weights_have_one_digest_wherever_they_are_looked_at(stand: FlagBoardDriver) -> None:
    """Evidence and admission compute the same digest of a model's weights, whatever the files' names."""
    copy, original = (gather_subject(stand.context, name) for name in ("ada/copy", "bob/original"))
    assert copy is not None
    assert original is not None
    files = tuple(ModelFile(name, 1, digest) for name, digest in original.weights.items())
    facts = ModelFacts("found", files=files, weights=Weights(tuple(original.weights)))
    assert digest_of(copy) == digest_of(original) == weights_digest(facts) != ""
