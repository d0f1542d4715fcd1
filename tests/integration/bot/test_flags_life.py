"""Random lives of a board's flags: who says what, in which discussion, with Redis lost and the bot killed on the way.

At every quiet point the repos agree with each other, exactly those models are flagged that maintainers flagged, and
every decision has been told once. A short life in `make test`; STEWARD_WHOLE_MATRIX=1 plays many long ones.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import redis
from huggingface_hub import CommitOperationDelete

from bot.probe import Probe
from bot.setup.consistency import disagreements
from bot.threads.limits import MAX_AGE_SECONDS
from hub.comments import marker_of
from leaderboard.flags import record_path
from localhub.testing import LocalHub
from steward.valkey import Valkey
from tests.support.board.flags import SPACE, AppealThread, FlagBoardDriver, card, flags_world, no_flags
from tests.support.sizes import WHOLE

LIVES, STEPS = (20, 40) if WHOLE else (1, 8)
MODELS = ("ada/copy", "ada/merged", "ada/plain", "bob/original")
DAYS = round(MAX_AGE_SECONDS / 86_400) + 1
"""Days after which a command would be too old, if the Hub's clock stood still."""
WHYS = ("contamination", "copy", "merge", "other")


class Died(BaseException):
    """The bot is gone."""


class Life:
    """A board, the discussions that people opened there, and which models ought to be flagged by now."""

    def __init__(self, stand: FlagBoardDriver, seed: int) -> None:
        self.stand, self.random = stand, random.Random(seed)
        self.flagged: set[str] = set()
        self.decided = 0
        stand.time = stand.hub.state.clock.seconds() + 1
        self.talks = [
            AppealThread(stand, f"Talk {seed}", "Hello."),
            AppealThread(stand, "[FLAG] ada/copy", "It is bob/original."),
        ]

    def step(self) -> str:
        """Something happens; what it was."""
        happenings = (
            self.flag,
            self.flag,
            self.unflag,
            self.dismiss,
            self.appeal,
            self.report,
            self.mend,
            self.by_hand,
        )
        happening = self.random.choice(happenings)
        trouble = self.random.choice(("", "", "amnesia", "death"))
        what = happening()
        if trouble == "amnesia":
            self.stand.context.redis.flushall()
        self.settle(dies_at=self.random.randrange(25) if trouble == "death" else None)
        return f"{what} {trouble}"

    def say(self, text: str, api: object) -> str:
        """A person writes in one of the discussions."""
        talk = self.random.choice(self.talks)
        api.comment_discussion(SPACE, talk.number, comment=text, repo_type="space")  # type: ignore[attr-defined]
        return text

    def flag(self) -> str:
        """A maintainer flags some models."""
        models = self.random.sample(MODELS, self.random.randrange(1, 3))
        self.flagged |= set(models)
        self.decided += 1
        return self.say(f"/flag {self.random.choice(WHYS)} {' '.join(models)} so I say", self.stand.form)

    def unflag(self) -> str:
        """A maintainer lifts a flag, or one that is none."""
        name = self.random.choice(MODELS)
        self.flagged.discard(name)
        return self.say(f"/unflag {name} so I say", self.stand.form)

    def dismiss(self) -> str:
        """A maintainer has heard enough."""
        return self.say("/dismiss so I say", self.stand.form)

    def appeal(self) -> str:
        """A person speaks for a model."""
        return self.say("It is a good one!", self.random.choice((self.stand.ada, self.stand.bob)))

    def report(self) -> str:
        """A person who may not flag tries to, and to lift a flag."""
        name = self.random.choice(MODELS)
        words = self.random.choice((f"/flag other {name} so I say", f"/unflag {name} so I say", f"/flag {name}"))
        return self.say(words, self.random.choice((self.stand.ada, self.stand.bob)))

    def mend(self) -> str:
        """An author changes the card, for better or worse, and a day passes."""
        more = self.random.choice(
            ("", "base_model: bob/original\n", "tags: [merge]\nbase_model: [bob/original, eve/lion]\n")
        )
        name = self.random.choice(MODELS[:3])
        text = card(name, more).encode()
        self.stand.ada.upload_file(path_or_fileobj=text, path_in_repo="README.md", repo_id=name)
        self.wait(86_400)
        self.stand.tick()
        return f"a card of {name}"

    def by_hand(self) -> str:
        """A person takes a record out of the repo."""
        there = self.stand.form.list_repo_files("board/flags", repo_type="dataset")
        name = next((model for model in MODELS if record_path(model) in there), None)
        if name is not None:
            deletions = [CommitOperationDelete(record_path(name))]
            self.stand.form.create_commit("board/flags", deletions, commit_message="By hand", repo_type="dataset")
            self.flagged.discard(name)
        return f"no record of {name}"

    def settle(self, *, dies_at: int | None) -> None:
        """The bot works until there is nothing left to do; it is killed once on the way, before some call."""
        remaining = [dies_at if dies_at is not None else -1]

        def count(*_: str) -> None:
            remaining[0] -= 1
            if remaining[0] == 0:
                raise Died

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.stand.context.hub.session, "_on_call", count)
            try:
                self.look()
            except Died:
                self.stand.context.redis.delete(self.stand.context.keys.dirty_leases)
        for _ in range(2):
            self.look()

    def wait(self, seconds: float) -> None:
        """Time passes, by the bot's clock and by the Hub's: the bot leaves commands alone that are a week old."""
        clock = self.stand.hub.state.clock
        self.stand.time = max(self.stand.time, clock.seconds()) + seconds
        clock.advance(self.stand.time - clock.seconds())

    def look(self) -> None:
        """Everything is looked at, as the reconciler would in its rounds."""
        self.wait(400)
        listed = self.stand.form.get_repo_discussions(SPACE, repo_type="space")
        keys = [f"thread:space/{SPACE}:{thread.num}" for thread in listed]
        for key in ("flags", *keys, "flags"):
            self.stand.context.mark(key)
        self.stand.work()

    def statements(self) -> list[str]:
        """By which comments flags were told, one for each time that it was told."""
        keys = []
        for thread in self.stand.form.get_repo_discussions(SPACE, repo_type="space"):
            details = self.stand.form.get_discussion_details(SPACE, thread.num, repo_type="space")
            for event in details.events:
                marker = marker_of(event.content) if event.type == "comment" and event.author == "steward-bot" else None
                keys += [marker.key] if marker is not None and marker.kind == "flagged" else []
        return keys


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A Hub for one life after the other."""
    with LocalHub(tmp_path_factory.mktemp("lives"), flags_world()) as started:
        yield started


@pytest.mark.timeout(900 if WHOLE else 180)
@pytest.mark.parametrize("seed", range(LIVES))
def test_a_life_of_flags(hub: LocalHub, valkey: Valkey, probe: Probe, seed: int) -> None:
    """In any order of commands, all views of the board agree, and only maintainers' decisions count."""
    with redis.Redis.from_url(valkey.url) as connection:
        connection.flushall()
        stand = FlagBoardDriver(hub, connection, probe)
        try:
            life = Life(stand, seed)
            story = [life.by_hand() for _ in MODELS]
            life.settle(dies_at=None)
            for _ in range(STEPS):
                story.append(life.step())
                statements = life.statements()
                assert disagreements(stand.context) == [], story
                assert set(stand.table() or {}) == life.flagged, story
                assert len(statements) == len(set(statements)), story
        finally:
            stand.context.hub.close()


def test_a_flag_counts_however_long_the_life_lasts(hub: LocalHub, valkey: Valkey, probe: Probe) -> None:
    """A maintainer's command has its effect also in a life of many days."""
    with no_flags(hub, valkey, probe) as stand:
        stand.clear()  # of what the lives before it left
        life = Life(stand, seed=0)
        for _ in range(DAYS):
            life.mend()
        life.say("/flag other ada/plain so I say", stand.form)
        life.settle(dies_at=None)
        assert set(stand.table()) == {"ada/plain"}
