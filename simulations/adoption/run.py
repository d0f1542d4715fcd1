"""Runs the adoption step by step; measures the costs of each step and records everything that goes wrong."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml

from hub.comments import marker_of
from leaderboard.adoption import RECORD
from leaderboard.options import Effect
from leaderboard.request_paths import is_request_path
from localhub.accounts.store import Caller
from localhub.clock import Clock
from localhub.git.repository import Author, SetFile
from localhub.testing import LocalHub
from redis_state.shadowed_writes import ShadowedWrite
from simulations.adoption.bot_driver import BotDriver
from simulations.adoption.existing_board import OldRequest, double_of, flags, old_requests, old_thread
from simulations.adoption.operator_commands import Operator
from simulations.adoption.user_actions import (
    BACKEND,
    BOT,
    DAY,
    FORM,
    HOUR,
    MAINTAINER,
    REQUESTS,
    RESULTS,
    SPACE,
    AdoptionUsers,
    world,
)
from simulations.adoption.write_audit import BoardBefore, WriteRecorder, by_key, mentioned
from steward.valkey import Valkey

EPOCH = 1_790_000_000.0
ASKED_AT_MOST = 7 * DAY
"""The age in seconds of the oldest commands and threads that the bot answers."""
ORDER = ("comment", "mention", "new-thread", "close", "merge", "relaunch", "pause", "edit")
"""The order in which effects are switched on: edits last, so that the bot reports the ends that they cause."""
KINDS = ("edit", "new-thread", "comment", "closed", "merged")
ADMISSION = ("python-files", "causal", "headers", "layers", "size", "honest-precision", "half-precision", "licence")
MORE = (
    "tokenizer-loads",
    "chat-template",
    "vocabulary",
    "special-tokens",
    "model-card",
    "category",
    "duplicate",
    "copy",
)
QUOTAS = ("quota-submitter", "quota-organisation", "merge", "base-declared")


def simulate(folder: Path, options: argparse.Namespace, operator: type[Operator] = Operator) -> dict[str, Any]:
    """Run everything, from the history to the last effect; `operator` runs the commands."""
    old = list(old_requests(options.requests))
    with (
        LocalHub(folder / "hub", world(options.days), clock=Clock(f"{EPOCH},0")) as hub,
        Valkey(folder / "valkey") as valkey,
    ):
        simulation = AdoptionSimulation(hub, operator(hub, valkey.url, folder))
        simulation.write_history(old, options.threads)
        simulation.adopt()
        with closing(simulation.first_sync()):
            simulation.week(AdoptionUsers(hub, options.seed), old, options.days)
            simulation.switch_on()
            simulation.compare()
        return simulation.figures


class AdoptionSimulation:
    """One simulated adoption; `figures` holds the costs of each step, and everything that went wrong."""

    def __init__(self, hub: Any, operator: Operator) -> None:
        self.hub, self.operator = hub, operator
        self.figures: dict[str, Any] = {"steps": {}, "wrong": []}
        self.recorder = WriteRecorder(hub, BOT)

    # --- before the adoption

    def write_history(self, old: list[OldRequest], threads: int) -> None:
        """Write the history to the Hub, and the board file."""
        me = Author(BACKEND, "old@example.com")
        requests, results = (self._repo(name) for name in (REQUESTS, RESULTS))
        files = [SetFile(request.path, request.file()) for request in old]
        files += [
            SetFile(request.path.replace("Org-", "org-"), double_of(request)) for request in old if request.is_double
        ]
        requests.git.commit("refs/heads/main", files, None, me, "Requests", when=EPOCH)
        ended = [request for request in old if request.kind and request.status in ("FINISHED", "PENDING_NEW_EVAL")]
        results.git.commit(
            "refs/heads/main", [SetFile(*request.results()) for request in ended], None, me, "Results", when=EPOCH
        )
        people = [Caller(self.hub.state.accounts.by_name(f"person-{number}")) for number in range(12)]
        places = (requests, *(4 * [self.hub.state.repos.get("space", SPACE)]))
        for number in range(threads):
            title, post, answer = old_thread(number)
            repo = places[number % 5]
            thread = self.hub.state.threads.open_discussion(repo, people[number % 12], title, post)
            self.hub.state.threads.comment(repo, people[(number + 1) % 12], thread, answer)
        self.operator.board.write_text(yaml.safe_dump(self._board()))
        (self.operator.folder / "flags.py").write_text(flags(self.hub.url))
        self.hub.state.clock.advance(DAY)

    def _board(self) -> dict[str, Any]:
        repos = {name: f"board/{name}" for name in ("requests", "results", "logs", "flags")}
        return {
            "name": "adopted",
            "title": "Adopted",
            "suite": "starter",
            "maintainers": [self.hub.state.accounts.by_name(MAINTAINER).id],
            "front_ends": [self.hub.state.accounts.by_name(FORM).id],
            "pull_requests": "merge",
            "repos": {**repos, "community": SPACE, "details_namespace": "board-details"},
            # Its new models have only a config and weights of one letter.
            "admission": {"off": [*ADMISSION, *MORE, *QUOTAS]},
        }

    def adopt(self) -> None:
        """Run `steward adopt`."""
        head = self._repo(REQUESTS).git.head()
        entries = self._repo(REQUESTS).git.entries(head, recursive=True)
        files = {entry.path: entry.oid for entry in entries if is_request_path(entry.path)}
        with self._step("steward adopt") as step:
            result = self.operator.steward("adopt", "--by", MAINTAINER, "--json")
            step["memory_mb"] = result.memory_mb
        record = json.loads(result.printed)["record"]
        self.before = BoardBefore(files, record["threads"])
        if record["files"] != len(files) or [write.path for write in self.recorder.writes] != [RECORD]:
            self._wrong(f"the record counts {record['files']} files of {len(files)}, by {self.recorder.writes}")
        self.recorder.writes.clear()

    def first_sync(self) -> BotDriver:
        """Run the sync process until every request is indexed and no work is left; return the bot that follows it."""
        operator = self.operator
        with self._step("first steward sync") as step:
            self.bot = BotDriver(self.hub, operator.redis_url, operator.board, operator.mirrors)
            context = self.bot.context
            step["memory_mb"] = operator.sync_until(
                lambda: context.index.count() >= len(self.before.files) and not context.redis.zcard(context.keys.dirty)
            )
        self.hub.state.clock.advance(HOUR)  # the process's own clock may have been ahead by up to this
        self._expect_silence("the first look")
        return self.bot

    # --- in shadow

    def week(self, users: AdoptionUsers, old: list[OldRequest], days: int) -> None:
        """Let people act and the old backend continue while the bot is in shadow."""
        self.users = users
        self.began = self.hub.state.clock.seconds() + days * DAY + DAY + HOUR
        with self._step(f"{days} days in shadow"):
            self.bot.live(days * DAY, users.week(days, old))
        self._expect_silence("a week in shadow")
        with self._step("a round, nothing new"):
            self.bot.live(HOUR / 60)
        if (result := self.operator.run("effects", "set", "edit", "on")).status != 1:
            self._wrong(f"`steward effects set edit on` ended with {result.status} beside another backend")
        with self._step("a day without the other"):
            self.bot.live(DAY + HOUR)
        self._expect_silence("a quiet day")
        self.listed = by_key(self.bot.context.effects.shadow.read().things)
        self.overtaken = {key for key, shadowed in self.listed.items() if self._is_overtaken(shadowed)}
        self.figures["listed"] = sorted(self.listed)
        self.figures["overtaken"] = sorted(self.overtaken)

    def _is_overtaken(self, shadowed: ShadowedWrite) -> bool:
        """Whether the old backend has ended the request meanwhile, or it was asked for too long ago."""
        about = marker_of(f"<!-- {shadowed.id.partition('<!-- ')[2]}")
        path = shadowed.path if shadowed.effect == "edit" else about.key if about is not None else ""
        if is_request_path(path) and shadowed.repo == f"dataset/{REQUESTS}":
            return self.users.read(path)["status"] not in ("PENDING", "RERUN")
        return self._is_late(self.users.asked.get((shadowed.repo, shadowed.thread or 0), EPOCH * 2))

    def _is_late(self, asked: float) -> bool:
        return bool(self.began - asked > ASKED_AT_MOST)

    def switch_on(self) -> None:
        """Switch each kind of effect on by its command, and let an hour pass after each."""
        assert set(ORDER) == {kind.value for kind in Effect if kind is not Effect.MODEL_PR}
        for kind in ORDER:
            with self._step(f"{kind} on, an hour"):
                self.operator.steward("effects", "set", kind, "on")
                self.bot.restart()
                self.bot.live(HOUR)
        self.done = list(self.recorder.writes)
        with self._step("flags imported, a day"):
            table = str(self.operator.folder / "flags.py")
            result = self.operator.run("flags", "import", table, "--category", "contamination", "--write")
            if result.status != 1:  # the command reports two keys without a model, and imports the others
                self._wrong("the flags were not imported as expected")
            self.bot.live(DAY)

    # --- after the adoption

    def compare(self) -> None:
        """Compare the bot's writes with its list of shadowed effects, the history, and the requests of people."""
        done = {write.key for write in self.done if write.what in KINDS}
        self.figures["done"] = sorted(done)
        self.figures["followed"] = sorted(done - self.listed.keys())
        for key in sorted(self.listed.keys() - done - self.overtaken):
            if key[-1] == "RUNNING" and self.bot.context.index.get(key[3]).state in ("waiting", "queued"):
                continue  # a request from a pull request is now before it in the queue
            self._wrong(f"listed and not done: {key}")
        for write in self.before.touched(self.recorder.writes, asked=self.users.asked, paths=self.users.paths):
            self._wrong(f"changed an old file or thread: {write}")
        for name in sorted(mentioned(self.recorder.writes) - self.users.spoken):
            self._wrong(f"mentioned {name}, who had done nothing")
        spoken = {(write.repo, write.thread) for write in self.recorder.writes if write.what in ("comment", "merged")}
        silent = set(self.users.asked) - spoken
        late = {place for place in silent if self._is_late(self.users.asked[place])}
        self.figures |= {"asked": len(self.users.asked), "answered": len(spoken & set(self.users.asked))}
        self.figures["too_late"] = len(late)
        for place in sorted(silent - late):
            self._wrong(f"no answer in {place}")

    # --- tools

    def _repo(self, name: str) -> Any:
        return self.hub.state.repos.get("dataset", name)

    def _wrong(self, words: str) -> None:
        self.figures["wrong"].append(words)

    def _expect_silence(self, when: str) -> None:
        for write in self.recorder.writes:
            self._wrong(f"in shadow, in {when}: {write}")
        self.recorder.writes.clear()

    @contextmanager
    def _step(self, name: str) -> Iterator[dict[str, Any]]:
        step: dict[str, Any] = {}
        calls, started = self._calls(), time.monotonic()
        yield step
        step |= {"seconds": round(time.monotonic() - started, 2), "calls": self._calls() - calls}
        self.figures["steps"][name] = step
        print(f"{name}: {step}", file=sys.stderr, flush=True)

    def _calls(self) -> int:
        calls = self.hub.state.stats.read()["calls"]
        return sum(int(call["count"]) for call in calls if call["account"] == BOT)
