"""`steward doctor` finds faults that are planted one by one in a healthy board."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bot.setup.doctor import examine
from bot.setup.doctor.findings import Check
from hub.client import Hub
from hub.records import WatchedItem
from leaderboard.cross_checks import WorkerPolicy
from leaderboard.effects import Effect, EffectMode, Effects
from leaderboard.evaluators import Evaluator
from localhub.jobs.store import JobSpec
from redis_state.heartbeats import WorkerCard
from steward.testing.board import BOT, FORM, WORKER, BoardDriver
from tests.support.long import long_except

HOOK = "http://127.0.0.1:1/webhooks/hub"
Usage = namedtuple("Usage", "total used free")


@dataclass
class Ward:
    """A board that the doctor examines, with the tokens of the bot and the worker."""

    stand: BoardDriver
    bot: str = BOT
    worker: str = WORKER

    def examine(self) -> list[Check]:
        """What the doctor says."""
        with Hub(self.stand.hub.url, self.bot) as hub, Hub(self.stand.hub.url, self.worker) as worker:
            self.stand.context.hub = hub
            return examine(self.stand.context, worker=worker)

    def token(self, account: str, secret: str, **fields: Any) -> str:
        """Give `account` another token."""
        accounts = self.stand.hub.state.accounts
        owner = accounts.by_name(account)
        assert owner is not None
        accounts.add_token(owner, secret, fields)
        return secret

    def member(self, org: str, name: str, role: str) -> None:
        """Give an account a role in an organisation."""
        accounts = self.stand.hub.state.accounts
        where, who = accounts.by_name(org), accounts.by_name(name)
        assert where is not None and who is not None
        accounts.set_member(where, who, role)  # type: ignore[arg-type]

    def card(self, **fields: Any) -> None:
        """Let the worker announce itself with `fields` that differ from a healthy worker's."""
        card = WorkerCard(name="w", tiers=("all",), devices="cuda: H100", since=0, beat=self.stand.time)
        self.stand.context.workers.announce(card.model_copy(update=fields))

    def hook(self, action: str = "", url: str = HOOK) -> None:
        """Do something to the board's only webhook, or give it another address."""
        (hook,) = self.stand.context.hub.webhooks()
        if action:
            self.stand.context.hub.session.send("POST", f"/api/settings/webhooks/{hook.id}{action}", route="webhook")
        else:
            self.stand.context.hub.rotate_webhook(replace(hook, url=url), "s3cret")

    def info(self, **sections: dict[str, Any]) -> None:
        """Let the queue server's INFO return other values."""
        real_info = self.stand.context.redis.info
        self.stand.context.redis.info = lambda section: {**real_info(section), **sections.get(section, {})}  # type: ignore


@pytest.fixture
def ward(stand: BoardDriver) -> Ward:
    """A healthy board, with all effects on."""
    context, modes = stand.context, dict.fromkeys(Effect, EffectMode.ON)
    watched = [
        WatchedItem("dataset", "board/requests"),
        WatchedItem("dataset", "board/results"),
        WatchedItem("space", "board/space"),
    ]
    context.hub.ensure_webhook(HOOK, watched, ["repo", "discussion"], "s3cret")
    context.hub.hide(context.logs)
    context.board = context.board.model_copy(
        update={"effects": Effects(modes=modes), "front_ends": (context.hub.user("form").id,)}
    )
    ward = Ward(stand)
    ward.card()
    return ward


def test_nothing_is_amiss_in_a_healthy_board(ward: Ward) -> None:
    """The doctor reports no fault of a healthy board."""
    assert [check for check in ward.examine() if check.state != "ok"] == []


def dead_token(ward: Ward) -> None:
    ward.bot = "hf_dead"


def read_only_token(ward: Ward) -> None:
    ward.bot = ward.token("steward-bot", "hf_reader", role="read")


def token_that_may_not_talk(ward: Ward) -> None:
    scoped = [{"entity": {"name": "board", "type": "org"}, "permissions": ["repo.content.read", "repo.write"]}]
    ward.bot = ward.token("steward-bot", "hf_fine", role="fineGrained", scoped=scoped)


def token_that_makes_no_webhooks(ward: Ward) -> None:
    may = ["repo.content.read", "repo.write", "discussion.write"]
    scoped = [
        {"entity": {"name": "board", "type": "org"}, "permissions": may},
        {"entity": {"name": "steward-bot", "type": "user"}, "permissions": ["user.webhooks.read"]},
    ]
    ward.bot = ward.token("steward-bot", "hf_fine", role="fineGrained", scoped=scoped)


def bot_that_only_reads(ward: Ward) -> None:
    ward.member("board", "steward-bot", "read")


def worker_that_writes_everywhere(ward: Ward) -> None:
    ward.worker = FORM


def worker_that_publishes_nowhere(ward: Ward) -> None:
    ward.member("board-details", "gpu", "read")


def worker_that_is_the_bot(ward: Ward) -> None:
    ward.worker = BOT


def missing_repo(ward: Ward) -> None:
    space = ward.stand.hub.state.repos.get("space", "board/space")
    assert space is not None
    ward.stand.hub.state.repos.delete(space, None)


def logs_for_everybody(ward: Ward) -> None:
    context = ward.stand.context
    context.hub.session.send("PUT", f"{context.logs.api}/settings", route="settings", json={"visibility": "public"})
    context.hub.create_repo(context.private_logs)


def no_webhook(ward: Ward) -> None:
    (hook,) = ward.stand.context.hub.webhooks()
    ward.stand.context.hub.session.send("DELETE", f"/api/settings/webhooks/{hook.id}", route="webhook")


def webhook_that_is_off(ward: Ward) -> None:
    ward.hook("/disable")


def webhook_to_elsewhere(ward: Ward) -> None:
    ward.hook(url="http://127.0.0.1:1/elsewhere")


def webhooks_of_another_installation(ward: Ward) -> None:
    watched = WatchedItem("dataset", "board/requests")
    ward.stand.context.hub.ensure_webhook("http://127.0.0.1:2/webhooks/hub", [watched], ["repo"], "s3cret")


def redis_that_forgets(ward: Ward) -> None:
    ward.stand.context.redis.config_set("appendonly", "no")


def redis_that_evicts(ward: Ward) -> None:
    ward.stand.context.redis.config_set("maxmemory-policy", "allkeys-lru")


def redis_of_long_ago(ward: Ward) -> None:
    ward.info(server={"redis_version": "6.2.14", "valkey_version": ""})


def redis_that_is_full(ward: Ward) -> None:
    ward.info(memory={"used_memory": 95, "maxmemory": 100})


def clock_that_is_off(ward: Ward) -> None:
    ward.stand.time += 600


def mirrors_for_everybody(ward: Ward) -> None:
    root = ward.stand.context.mirror.root
    root.mkdir(mode=0o700, exist_ok=True)
    root.chmod(0o777)


def no_worker(ward: Ward) -> None:
    ward.stand.context.workers.leave("w")


def worker_without_gpu(ward: Ward) -> None:
    ward.card(devices="cpu, 2 cores")


def worker_of_another_version(ward: Ward) -> None:
    ward.card(versions={"steward": "0.0.1"})


def worker_without_harness(ward: Ward) -> None:
    ward.card(versions={"lm-eval": "missing"})


def tier_without_worker(ward: Ward) -> None:
    ward.card(tiers=("small",))


def evaluator_without_cross_checks(ward: Ward) -> None:
    context = ward.stand.context
    other = Evaluator.model_validate({"name": "inspect-ai", "version": "1", "command": ["python"]})
    context.board = context.board.model_copy(update={"workers": WorkerPolicy()})
    context.suite = context.suite.model_copy(update={"evaluator": other})


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[Ward], None]:
    """A fault: a disk with almost no free space."""
    return lambda _: monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100 << 30, 100 << 30, 1 << 20))


FAULTS: list[tuple[Callable[[Ward], None], str, str]] = [
    (dead_token, "token", "STEWARD_BOT_TOKEN"),
    (read_only_token, "rights", "may only read"),
    (token_that_may_not_talk, "rights", "Add discussion.write for board"),
    (token_that_makes_no_webhooks, "rights", "Add user.webhooks.write for steward-bot itself"),
    (bot_that_only_reads, "rights", "Make steward-bot a member of board"),
    (worker_that_writes_everywhere, "worker token", "board-details alone"),
    (worker_that_publishes_nowhere, "worker details", "every attempt is lost"),
    (worker_that_is_the_bot, "worker details", "Create an account for workers"),
    (missing_repo, "repos", "board/space"),
    (logs_for_everybody, "logs", "Make it private"),
    (no_webhook, "webhooks", "Create one that watches"),
    (webhook_that_is_off, "webhooks", "enables it again while it runs"),
    (webhook_to_elsewhere, "webhook address", "has to end in /webhooks/hub"),
    (webhooks_of_another_installation, "webhook address", "A board has one bot"),
    (redis_that_forgets, "redis", "appendonly yes"),
    (redis_that_evicts, "redis", "maxmemory-policy noeviction"),
    (redis_of_long_ago, "redis version", "Redis 7 or newer"),
    (redis_that_is_full, "redis version", "Raise `maxmemory`"),
    (clock_that_is_off, "clock", "Run an NTP client"),
    (mirrors_for_everybody, "mirrors", "chmod 700"),
    (no_worker, "workers", "Start `steward work`"),
    (worker_without_gpu, "workers", "nvidia-smi"),
    (worker_of_another_version, "workers", "Install the same version"),
    (worker_without_harness, "workers", "'steward-leaderboard[worker]'"),
    (tier_without_worker, "workers", "STEWARD_TIERS=all"),
    (evaluator_without_cross_checks, "cross-checks", "accounts that you trust alone"),
]


SOME = {
    "dead_token", "read_only_token", "worker_that_publishes_nowhere", "missing_repo", "logs_for_everybody",
    "no_webhook", "webhooks_of_another_installation", "redis_that_forgets", "mirrors_for_everybody", "no_worker",
    "evaluator_without_cross_checks",
}  # fmt: skip
"""What `make test` plants: a fault of each thing that the doctor examines."""


@pytest.mark.parametrize(
    ("fault", "name", "words"), long_except(SOME, FAULTS, "one of 26 faults", name=lambda case: case[0].__name__)
)
def test_a_planted_fault_is_found_and_the_line_says_how_to_mend_it(
    ward: Ward, fault: Callable[[Ward], None], name: str, words: str
) -> None:
    """The doctor reports each planted fault under its check's name, with what to do about it."""
    try:
        fault(ward)
        checks = [check for check in ward.examine() if check.name == name and check.state != "ok"]
    finally:
        # The queue server is shared with the tests that come after.
        ward.stand.context.redis.config_set("appendonly", "yes")
        ward.stand.context.redis.config_set("maxmemory-policy", "noeviction")
    assert checks
    assert words in " ".join(f"{check.words} {check.mend}" for check in checks)
    assert all(check.mend for check in checks)


def test_a_full_disk_is_found(ward: Ward, full_disk: Callable[[Ward], None]) -> None:
    """The doctor reports a full disk as an error, and names the setting that moves the mirrors elsewhere."""
    full_disk(ward)
    (check_of_disk,) = (check for check in ward.examine() if check.name == "disk")
    assert check_of_disk.state == "error"
    assert "STEWARD_MIRRORS" in check_of_disk.mend


def test_a_webhook_that_starts_a_job_is_no_fault(ward: Ward) -> None:
    """The doctor accepts a webhook that starts a Job instead of calling an address."""
    state = ward.stand.hub.state
    (bot, org) = (state.accounts.by_name(name) for name in ("steward-bot", "board"))
    assert bot is not None and org is not None
    spec = JobSpec(("steward", "sync", "--until-idle"), "steward", "cpu-basic", {}, {}, 600.0)
    source = state.job_store.add(org.id, bot.id, spec)
    watched = [{"type": "dataset", "name": "board/requests"}]
    state.webhooks.create_for_job(bot, source=source, secrets={}, watched=watched)
    checks = [check for check in ward.examine() if check.name == "webhook address"]
    assert {check.state for check in checks} == {"ok"}
    assert "A webhook of the board starts a Job." in [check.words for check in checks]
