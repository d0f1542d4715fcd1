"""Commands while accounts, roles and clocks change, and while other bots write in the thread."""

from __future__ import annotations

import pytest
from huggingface_hub import HfApi

from bot.core.people import roles
from bot.threads import limits
from hub.comments import marked
from leaderboard.boards import MaintainingOrganisation
from leaderboard.roles import Person, Role
from steward.testing.board import BOT, REQUESTS, BoardDriver
from tests.support.board.counted_verbs import CountedVerb, add_test_verbs, is_at_rest
from tests.support.board.discussion import Discussion
from tests.support.board.pull_requests import PATH, fields, look, propose, report
from tests.support.board.pull_requests import thread as pull_thread

KEEPERS = (MaintainingOrganisation(name="board", role="write"),)


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> CountedVerb:
    """Test verbs whose effects are counted and can raise an exception."""
    return add_test_verbs(monkeypatch)


# --- people


def test_accounts_that_are_deleted_or_renamed(stand: BoardDriver, bell: CountedVerb) -> None:
    """A renamed maintainer keeps the role, the new owner of the name gets none, and a deleted account runs nothing."""
    state, talk = stand.hub.state, Discussion(stand)
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (form,)})
    with state.database.write() as db:
        db.execute("UPDATE accounts SET name = 'formerly', key = 'formerly' WHERE key = 'form'")
        db.execute("UPDATE accounts SET name = 'form', key = 'form' WHERE key = 'bob'")
    assert "Paused" in talk.ask("/pause tier:large I say so", stand.form)
    assert "[formerly]" in talk.replies()[-1]
    assert "Only a maintainer" in talk.ask("/pause tier:small I say so", stand.bob)
    stand.bob.comment_discussion(REQUESTS, talk.number, comment="/bell", repo_type="dataset")
    bob = state.accounts.by_name("form")
    assert bob is not None
    state.accounts.delete(bob)
    talk.look()
    assert bell.causes == []
    assert len(talk.replies()) == 2
    assert is_at_rest(stand, talk)


def test_an_account_that_is_deleted_while_its_command_is_done(stand: BoardDriver, bell: CountedVerb) -> None:
    """If the bot dies during a command and its author is deleted before the next sync, the reply says so."""
    talk, state = Discussion(stand), stand.hub.state

    def die() -> None:
        raise KeyError("killed")

    bell.meanwhile = die
    talk.say("/bell", stand.bob)
    bob = state.accounts.by_name("bob")
    assert bob is not None
    state.accounts.delete(bob)
    bell.meanwhile = lambda: None
    talk.look()
    assert "its author's account was deleted" in talk.replies()[-1]
    assert is_at_rest(stand, talk)


def rename_account(stand: BoardDriver, old: str, new: str) -> None:
    """Rename the account `old` to `new`, a free name, and delete what the bot cached about people."""
    with stand.hub.state.database.write() as db:
        db.execute("UPDATE accounts SET name = ?, key = ? WHERE key = ?", (new, new, old))
    for key in stand.context.redis.keys("*person*"):
        stand.context.redis.delete(key)


@pytest.mark.parametrize("redis_is_lost", [False, True], ids=["known", "redis-lost"])
def test_a_submitter_is_known_by_id_whatever_the_name(stand: BoardDriver, redis_is_lost: bool) -> None:
    """A renamed submitter can withdraw the request; the new owner of the old name cannot."""
    talk = Discussion(stand)
    assert "shows its progress" in talk.ask("/submit ada/good precision=float32", stand.bob)
    stand.time += 600
    stand.settle()
    assert stand.file(PATH)["steward"]["submitter_id"] == stand.context.hub.user("bob").id
    if redis_is_lost:
        stand.context.redis.flushall()
        stand.settle()
    for old, new in (("bob", "robert"), ("form", "bob")):
        rename_account(stand, old, new)
    assert "Only" in talk.ask("/cancel ada/good my mistake", stand.form)
    assert stand.file(PATH)["status"] == "PENDING"
    talk.ask("/cancel ada/good my mistake", stand.bob)
    stand.time += 600
    stand.settle()
    assert stand.file(PATH)["status"] == "CANCELLED"


def test_an_owner_with_a_new_name_asks_for_the_rename_of_their_models(stand: BoardDriver) -> None:
    """A renamed owner can propose that requests follow a model to its new name; another user cannot."""
    stand.submit("ada/good", status="FAILED")
    stand.settle()
    rename_account(stand, "ada", "adele")
    repos, adele = stand.hub.state.repos, stand.hub.state.accounts.by_name("adele")
    model = repos.get("model", "ada/good")
    assert adele is not None
    assert model is not None
    repos.move(model, adele, "good", adele)
    talk = Discussion(stand)
    assert "A maintainer decides with `/approve" in talk.ask("/rename ada/good adele/good")
    refused = talk.ask("/rename ada/good adele/good", stand.bob)
    assert "Only a maintainer of this leaderboard or the model's owner can use `/rename`" in refused
    assert "I cannot do this" in talk.ask("/rename ada/good bob/good", stand.bob)


def test_an_account_that_takes_an_owners_name_is_no_owner(stand: BoardDriver) -> None:
    """After an owner was renamed, an account that takes the former name gets no role; the owner keeps theirs."""
    talk = Discussion(stand)
    assert "shows its progress" in talk.ask("/submit ada/good precision=float32", stand.ada)
    stand.time += 600
    stand.settle()
    for old, new in (("ada", "adele"), ("bob", "ada")):
        rename_account(stand, old, new)
    person = Person(stand.context.hub.user("ada").id, "ada")
    assert roles(stand.context, person, model="ada/good", submitter="ada", fresh=True)[1] == {Role.ANYONE}
    person = Person(stand.context.hub.user("adele").id, "adele")
    assert Role.SUBMITTER in roles(stand.context, person, model="ada/good", submitter="ada", fresh=True)[1]


def test_who_registers_a_name_anew_takes_over_nothing(stand: BoardDriver) -> None:
    """An account with a deleted account's name cannot remove or cancel that account's model, but can cancel its own."""
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"front_ends": (form,)})
    stand.submit("ada/good", sender="ada")
    stand.settle()
    talk, accounts = Discussion(stand), stand.hub.state.accounts
    assert "can use" not in talk.ask("/remove ada/good its weights were wrong")
    ada = accounts.by_name("ada")
    assert ada is not None
    accounts.delete(ada)
    stand.time += 3_600
    accounts.add_token(accounts.create("ada", created=stand.time), "hf_anew", {"role": "write"})
    stand.ada = HfApi(stand.hub.url, token="hf_anew")
    assert "can use `/remove`" in talk.ask("/remove ada/good it is mine")
    assert "can use `/cancel`" in talk.ask("/cancel ada/good")
    stand.submit("bob/new", sender="ada")
    stand.settle()
    assert "can use" not in talk.ask("/cancel bob/new")


def test_who_lost_membership_a_second_ago_approves_nothing(stand: BoardDriver) -> None:
    """For effects that cannot be undone, the bot reads roles again: an earlier reading does not count."""
    stand.context.board = stand.context.board.model_copy(update={"maintainer_organisations": KEEPERS})
    number, head = propose(stand, {PATH: fields(stand)})
    look(stand, number)
    assert "Not yet" not in report(stand, number)
    talk = Discussion(stand)
    assert "Paused" in talk.ask("/pause tier:large I say so", stand.form)
    state = stand.hub.state
    org, form = state.accounts.by_name("board"), state.accounts.by_name("form")
    assert org is not None
    assert form is not None
    state.accounts.set_member(org, form, None)
    talk.number = number
    assert "Only a maintainer" in talk.ask(f"/approve {head[:12]}", stand.form)
    assert pull_thread(stand, number).status == "open"
    state.accounts.set_member(org, form, "write")
    talk.say(f"/approve {head[:12]}", stand.form)
    assert pull_thread(stand, number).status == "merged"


# --- loops


def test_a_bot_that_answers_ours_with_commands_is_left_alone(
    stand: BoardDriver, bell: CountedVerb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the hourly limit a bot gets one notice; the ignored commands are not run after the hour, new ones are."""
    monkeypatch.setattr(limits, "MAX_COMMANDS", 4)
    talk = Discussion(stand)
    talk.say("/bell", stand.bob)
    for _ in range(12):
        if len(talk.replies()) == len(bell.causes) + 1:
            break
        talk.say("/bell", stand.bob)
    assert "more than 4 commands" in talk.replies()[-1]
    count = len(talk.replies())
    for _ in range(3):
        talk.say("/bell", stand.bob)
    assert len(talk.replies()) == count
    stand.time += limits.WINDOW_SECONDS + 60
    talk.look()
    assert (len(talk.replies()), len(bell.causes)) == (count, 4)
    talk.say("/bell", stand.bob)
    assert len(bell.causes) == 5


def test_what_other_bots_copy_from_ours_is_no_command(stand: BoardDriver, bell: CountedVerb) -> None:
    """A reply of the bot that an account posts again or quotes, with its marker, is not answered."""
    talk = Discussion(stand)
    reply = talk.ask("/bell")
    talk.say(reply, stand.bob)
    talk.say("\n".join(f"> {line}" for line in reply.splitlines()), stand.bob)
    talk.say(marked(reply.partition("\n")[2], stand.context.marker("answer", "0123")), stand.bob)
    talk.look()
    assert len(talk.replies()) == 1
    assert len(bell.causes) == 1


def test_our_own_words_are_no_commands_even_if_they_look_like_one(stand: BoardDriver, bell: CountedVerb) -> None:
    """Comments of the bot's own account are never run as commands."""
    talk = Discussion(stand)
    talk.say("/bell", HfApi(stand.hub.url, token=BOT))
    assert bell.causes == []


# --- clocks


@pytest.mark.parametrize("apart", [-86_400.0, -3_700.0, 3_700.0, 3 * 86_400.0])
def test_clocks_that_disagree_change_nothing(
    stand: BoardDriver, bell: CountedVerb, monkeypatch: pytest.MonkeyPatch, apart: float
) -> None:
    """If the Hub's clock is hours or days off, each command is run once and the hourly limit still applies."""
    monkeypatch.setattr(limits, "MAX_COMMANDS", 3)
    stand.time += apart
    talk = Discussion(stand)
    for _ in range(4):
        talk.say("/bell")
    talk.look()
    assert len(bell.causes) == 3
    assert len(talk.replies()) == 4
    assert "more than 3 commands" in talk.replies()[-1]
