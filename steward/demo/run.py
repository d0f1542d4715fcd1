"""Runs the demo: starts its processes, submits its models, shows their progress and the results."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from leaderboard.suites import find_suite

if TYPE_CHECKING:
    from steward.demo.stage import Stage
    from steward.demo.timeline import Timeline
    from steward.demo.watch import DemoResult, SubmissionReport, SubmissionStatus, SubmissionWatcher

DEFAULT_HUB_PORT = 7870
TIMEOUT_SECONDS = 900.0
"""Seconds after which an unfinished demo has failed."""
POLL_SECONDS = 0.5


def run_demo(*, headless: bool, as_json: bool, suite: str = "starter") -> int:
    """Run the demo and return 0 if every submission ended as expected, else 1. Raises BadSuite."""
    if find_suite(suite).name != suite:
        suite = str(Path(suite).resolve())  # a file: the demo's processes run in other folders
    os.environ["HF_HUB_DISABLE_XET"] = "1"  # read when huggingface_hub is imported, which is below
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="steward-demo-") as folder:
        try:
            return _play(Path(folder), console, headless=headless, as_json=as_json, suite=suite)
        except KeyboardInterrupt:
            console.print("Stopped. All processes of the demo have ended.")
            return 130


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _play(folder: Path, console: Console, *, headless: bool, as_json: bool, suite: str) -> int:
    from steward.children import ChildDied, Children
    from steward.demo.stage import build_stage
    from steward.demo.timeline import Timeline

    timeline = Timeline(console, live=not headless and console.is_terminal)
    with Children(folder / "logs") as children:
        timeline.say("Starting a queue server, a Hub, the bot and a worker on this machine")
        stage = build_stage(folder, children)
        try:
            result = _story(stage, timeline, suite)
            timeline.ending(result)
            if as_json:
                print(json.dumps(result), flush=True)
            right = all(request["right"] for request in result["requests"])
            if not headless and right:
                timeline.serve_on(stage.hub_url, stage.web_url, children.check)
            return 0 if right else 1
        except ChildDied as error:
            console.print(died(error))
            return 1
        finally:
            timeline.close()
            children.stop()
            stage.valkey.stop()


def died(error: Exception) -> Text:
    """Return the error of a process that ended; the end of its log is no markup."""
    return Text(str(error), style="red")


def _story(stage: Stage, timeline: Timeline, suite: str) -> DemoResult:
    from hub.client import Hub
    from redis_state.keys import Keys
    from redis_state.redis import connect
    from steward.demo.models import UPLOADS, converted, upload
    from steward.demo.story import SUBMISSIONS, submit
    from steward.demo.watch import SubmissionWatcher
    from steward.demo.world import ORG

    began = time.monotonic()
    stage.start_hub(port=_port(DEFAULT_HUB_PORT))
    stage.write_board(suite)
    stage.start_bot()
    stage.start_worker()
    timeline.say(f"The Hub of this demo: {stage.hub_url}, the board's pages: {stage.web_url}")
    timeline.say("Preparing SmolLM2-135M-Instruct (converted once, then cached) and three broken models")
    model = converted(cache_folder())
    revisions = {what.model: upload(stage.hub_url, stage.world.tokens[what.owner], what, model) for what in UPLOADS}
    stage.wait_until_ready()
    timeline.say("Everything is running; submitting the models")
    for submission in SUBMISSIONS:
        submit(stage.hub_url, stage.world, submission, revisions[submission.model])
        how = "an outsider's pull request, which a maintainer merges" if submission.by_pull_request else "the form"
        timeline.say(f"{submission.model}, submitted by {submission.sender} through {how}")
    with Hub(stage.hub_url, None) as hub:
        watch = SubmissionWatcher(hub, connect(stage.valkey.url), Keys(ORG))
        standings = _wait_for_the_end(watch, timeline, stage.children.check)
        requests = [_report(watch, standing) for standing in standings]
    return {"seconds": round(time.monotonic() - began, 1), "hub": stage.hub_url, "requests": requests}


def _wait_for_the_end(
    watch: SubmissionWatcher, timeline: Timeline, check: Callable[[], None]
) -> list[SubmissionStatus]:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        check()
        standings = watch.look()
        timeline.show(standings)
        if all(standing.ended for standing in standings) or time.monotonic() > deadline:
            return standings
        time.sleep(POLL_SECONDS)


def _report(watch: SubmissionWatcher, standing: SubmissionStatus) -> SubmissionReport:
    return {
        "model": standing.submission.model,
        "status": standing.status,
        "scores": watch.scores(standing),
        "failure": standing.failure.model_dump() if standing.failure is not None else None,
        "thread": standing.thread,
        "right": standing.right,
    }


def cache_folder() -> Path:
    """Return the folder that caches the converted model between demos."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "steward" / "demo"


def _port(preferred: int) -> int:
    """Return `preferred` if that port is free, else 0 for any free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            return 0
    return preferred
