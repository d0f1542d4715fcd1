"""Random sequences of commands about flags, in several discussions, while Redis is lost and the bot is killed.

After each step the repos agree with each other, exactly those models are flagged that maintainers flagged, and
each decision was posted once. `make test` runs a short sequence; `make chaos` runs many long ones, too.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

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

MODELS = ("ada/copy", "ada/merged", "ada/plain", "bob/original")
DAYS = round(MAX_AGE_SECONDS / 86_400) + 1
"""Days after which a command would be too old, if the Hub's clock stood still."""
WHYS = ("contamination", "copy", "merge", "other")


class Died(BaseException):
    """Raised to simulate the death of the bot."""


class Life:
    """A board, its discussions, and the models that should be flagged."""

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
        """Do one random action, at random empty Redis or kill the bot, and sync; return the name of the action."""
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
        """Post `text` in a random discussion."""
        talk = self.random.choice(self.talks)
        api.comment_discussion(SPACE, talk.number, comment=text, repo_type="space")  # type: ignore[attr-defined]
        return text

    def flag(self) -> str:
        """Let a maintainer flag one or two models."""
        models = self.random.sample(MODELS, self.random.randrange(1, 3))
        self.flagged |= set(models)
        self.decided += 1
        return self.say(f"/flag {self.random.choice(WHYS)} {' '.join(models)} so I say", self.stand.form)

    def unflag(self) -> str:
        """Let a maintainer unflag a model, flagged or not."""
        name = self.random.choice(MODELS)
        self.flagged.discard(name)
        return self.say(f"/unflag {name} so I say", self.stand.form)

    def dismiss(self) -> str:
        """Let a maintainer dismiss a report or an appeal."""
        return self.say("/dismiss so I say", self.stand.form)

    def appeal(self) -> str:
        """Let a user defend a model."""
        return self.say("It is a good one!", self.random.choice((self.stand.ada, self.stand.bob)))

    def report(self) -> str:
        """Let a user without permission write `/flag` or `/unflag`."""
        name = self.random.choice(MODELS)
        words = self.random.choice((f"/flag other {name} so I say", f"/unflag {name} so I say", f"/flag {name}"))
        return self.say(words, self.random.choice((self.stand.ada, self.stand.bob)))

    def mend(self) -> str:
        """Let the author change a model's card, and let a day pass."""
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
        """Delete a flag's record from the repo by hand."""
        there = self.stand.form.list_repo_files("board/flags", repo_type="dataset")
        name = next((model for model in MODELS if record_path(model) in there), None)
        if name is not None:
            deletions = [CommitOperationDelete(record_path(name))]
            self.stand.form.create_commit("board/flags", deletions, commit_message="By hand", repo_type="dataset")
            self.flagged.discard(name)
        return f"no record of {name}"

    def settle(self, *, dies_at: int | None) -> None:
        """Sync until nothing is left to do; with `dies_at`, the bot is killed once before that call."""
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
        """Advance the clocks of the bot and the Hub together, because the bot ignores commands that are a week old."""
        clock = self.stand.hub.state.clock
        self.stand.time = max(self.stand.time, clock.seconds()) + seconds
        clock.advance(self.stand.time - clock.seconds())

    def look(self) -> None:
        """Sync the flags and every discussion, as the reconciler does."""
        self.wait(400)
        listed = self.stand.form.get_repo_discussions(SPACE, repo_type="space")
        keys = [f"thread:space/{SPACE}:{thread.num}" for thread in listed]
        for key in ("flags", *keys, "flags"):
            self.stand.context.mark(key)
        self.stand.work()

    def statements(self) -> list[str]:
        """The keys of the bot's comments that announce a flag decision, once for each comment."""
        keys = []
        for thread in self.stand.form.get_repo_discussions(SPACE, repo_type="space"):
            details = self.stand.form.get_discussion_details(SPACE, thread.num, repo_type="space")
            for event in details.events:
                marker = marker_of(event.content) if event.type == "comment" and event.author == "steward-bot" else None
                keys += [marker.key] if marker is not None and marker.kind == "flagged" else []
        return keys


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    """A Hub of its own for each test: the bot reads all discussions in each step, and each life leaves several."""
    with LocalHub(tmp_path, flags_world()) as started:
        yield started


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("seed", "steps"),
    [(0, 8), *(pytest.param(seed, 40, marks=pytest.mark.long("a long sequence")) for seed in range(1, 21))],
)
def test_flags_stay_consistent_in_random_sequences(
    hub: LocalHub, valkey: Valkey, probe: Probe, seed: int, steps: int
) -> None:
    """In any order of commands, all views of the board agree, and only maintainers' decisions count."""
    with redis.Redis.from_url(valkey.url) as connection:
        connection.flushall()
        stand = FlagBoardDriver(hub, connection, probe)
        try:
            life = Life(stand, seed)
            story = [life.by_hand() for _ in MODELS]
            life.settle(dies_at=None)
            for _ in range(steps):
                story.append(life.step())
                statements = life.statements()
                assert disagreements(stand.context) == [], story
                assert set(stand.table() or {}) == life.flagged, story
                assert len(statements) == len(set(statements)), story
        finally:
            stand.context.hub.close()


def test_a_flag_command_counts_after_many_days(hub: LocalHub, valkey: Valkey, probe: Probe) -> None:
    """A maintainer's `/flag` still takes effect after the clocks advanced by many days."""
    with no_flags(hub, valkey, probe) as stand:
        life = Life(stand, seed=0)
        for _ in range(DAYS):
            life.mend()
        life.say("/flag other ada/plain so I say", stand.form)
        life.settle(dies_at=None)
        assert set(stand.table()) == {"ada/plain"}
