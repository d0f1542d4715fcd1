"""Runs the demo: starts its processes, submits its models, shows their progress and the results."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from leaderboard.suites import find_suite
from steward.demo import words

if TYPE_CHECKING:
    from steward.demo.stage import Stage
    from steward.demo.timeline import Timeline
    from steward.demo.watch import DemoResult, SubmissionReport, SubmissionStatus, SubmissionWatcher

BOARD_PORT, HUB_PORT = 7860, 7870
"""The ports of the board's pages and of the Hub; if they are taken, the next free ones."""
PORTS_TO_TRY = 50
TIMEOUT_SECONDS = 600.0
"""Seconds without any progress after which an unfinished demo has failed; a busy machine may take long."""
POLL_SECONDS = 0.5
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_demo(*, headless: bool, as_json: bool, suite: str = "starter") -> int:
    """Run the demo and return 0 if every submission ended as expected, else 1. Raises BadSuite."""
    if find_suite(suite).name != suite:
        suite = str(Path(suite).resolve())  # a file: the demo's processes run in other folders
    os.environ["HF_HUB_DISABLE_XET"] = "1"  # read when huggingface_hub is imported, which is below
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    console = Console(stderr=True)
    if not console.is_terminal:
        os.environ["TQDM_DISABLE"] = "1"  # read when tqdm is imported: no frames of progress bars in a log
    try:
        with tempfile.TemporaryDirectory(prefix="steward-demo-") as folder:
            return _play(Path(folder), console, headless=headless, as_json=as_json, suite=suite)
    except KeyboardInterrupt:
        console.print(words.stopped(cache_folder()), markup=False, highlight=False, soft_wrap=True)
        return 130


def _interrupt(_number: int, _frame: object) -> None:
    """End the demo; a second Ctrl-C, while its processes end, changes nothing."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _play(folder: Path, console: Console, *, headless: bool, as_json: bool, suite: str) -> int:
    from steward.children import ChildDied, Children
    from steward.demo.models import converted
    from steward.demo.stage import build_stage
    from steward.demo.timeline import Timeline
    from steward.demo.weights import fetch_weights
    from workers.errors import ConversionFailed

    console.print(words.WELCOME, highlight=False)
    timeline = Timeline(console, live=not headless and console.is_terminal)
    fetch_weights(cache_folder(), timeline.say)
    with (
        Children(folder / "logs") as children,
        ThreadPoolExecutor(1) as beside,
        reserved_port(BOARD_PORT, timeline.say) as web_port,
        reserved_port(HUB_PORT, timeline.say) as hub_port,
    ):
        timeline.say("Starting a queue server and a Hub on this machine")
        model = beside.submit(converted, cache_folder())  # takes some seconds, once
        stage = build_stage(folder, children, web_port)
        try:
            stage.start_hub(port=hub_port)
            result = _submit_all(stage, timeline, suite, lambda: beside.submit(_upload_first, stage, model))
            timeline.ending(result)
            if as_json:
                print(json.dumps(result), flush=True)
            if not _is_as_expected(result, console):
                return 1
            if not headless:
                timeline.serve_on(_next_steps(stage, result), children.check)
            return 0
        except (ChildDied, ConversionFailed) as error:
            console.print(died(error))
            return 1
        except KeyboardInterrupt:
            timeline.close()
            console.print(words.STOPPING)
            raise
        finally:
            timeline.close()
            children.stop()
            stage.valkey.stop()


def _is_as_expected(result: DemoResult, console: Console) -> bool:
    """Whether every submission ended as expected; prints advice if not."""
    if all(request["right"] for request in result["requests"]):
        return True
    console.print(words.not_as_expected(TIMEOUT_SECONDS / 60), markup=False, highlight=False)
    return False


def _next_steps(stage: Stage, result: DemoResult) -> str:
    threads = {request["model"]: request["thread"] or "" for request in result["requests"]}
    return words.next_steps(stage.web_url, stage.hub_url, threads, stage.write_env())


def died(error: Exception) -> Text:
    """Return the error of a process that ended as plain text, because it holds the end of a log."""
    return Text(str(error), style="red")


def _upload_first(stage: Stage, model: Future[Path]) -> str:
    """Upload the real model, which is large, while the bot and the worker start; return its commit."""
    from steward.demo.models import UPLOADS, upload

    first = UPLOADS[0]
    return upload(stage.hub_url, stage.world.tokens[first.owner], first, model.result())


def _submit_all(
    stage: Stage, timeline: Timeline, suite: str, begin_first_upload: Callable[[], Future[str]]
) -> DemoResult:
    """Start the bot and a worker, submit all models, and return the result once every request has ended."""
    from hub.client import Hub
    from redis_state.keys import Keys
    from redis_state.redis import connect
    from steward.demo.models import UPLOADS, converted, upload
    from steward.demo.story import SUBMISSIONS, submit
    from steward.demo.watch import SubmissionWatcher
    from steward.demo.world import ORG

    began = time.monotonic()
    stage.write_board(suite)
    timeline.say(f"The Hub: {stage.hub_url}. Starting the bot and a worker, which loads the evaluation harness")
    stage.start_worker()  # first: it takes longest
    stage.start_bot()
    # Not before: a process that is forked during a call to the Hub waits for ever for a lock of huggingface_hub.
    first_upload = begin_first_upload()
    stage.wait_until_ready()
    timeline.say(f"The board's pages: {stage.web_url}")
    if not first_upload.done():
        timeline.say("Uploading SmolLM2-135M-Instruct (converted once, then cached)")
    revisions, models = {UPLOADS[0].model: first_upload.result()}, {what.model: what for what in UPLOADS[1:]}
    folder = converted(cache_folder())
    for submission in SUBMISSIONS:
        if (what := models.get(submission.model)) is not None:
            revisions[what.model] = upload(stage.hub_url, stage.world.tokens[what.owner], what, folder)
        revision = revisions[submission.model]
        submit(stage.hub_url, stage.world, submission, revision)
        how = "an outsider's pull request, which a maintainer merges" if submission.by_pull_request else "the form"
        timeline.say(f"{submission.model}: uploaded, and submitted by {submission.sender} through {how}")
    with Hub(stage.hub_url, None) as hub:
        watch = SubmissionWatcher(hub, connect(stage.valkey.url), Keys(ORG))
        standings = _wait_for_the_end(watch, timeline, stage.children.check)
        requests = [_report(watch, standing) for standing in standings]
    return {"seconds": round(time.monotonic() - began, 1), "hub": stage.hub_url, "requests": requests}


def _wait_for_the_end(
    watch: SubmissionWatcher, timeline: Timeline, check: Callable[[], None]
) -> list[SubmissionStatus]:
    before: list[tuple[str, str, int]] = []
    deadline = 0.0
    while True:
        check()
        standings = watch.look()
        timeline.show(standings, has_worker=watch.has_worker())
        progress = [standing.progress for standing in standings]
        if progress != before:
            before, deadline = progress, time.monotonic() + TIMEOUT_SECONDS
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


@contextmanager
def reserved_port(preferred: int, say: Callable[[str], object]) -> Iterator[int]:
    """Reserve the first port from `preferred` on that no program and no other demo uses. Raises SettingsError."""
    from bot.core.settings import SettingsError

    for port in range(preferred, preferred + PORTS_TO_TRY):
        with socket.socket(socket.AF_UNIX) as claim, socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                claim.bind(f"\0steward-demo-{port}")  # an abstract address: it ends with this process
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            probe.close()
            if port != preferred:
                say(f"Port {preferred} is taken; using {port}")
            yield port
            return
    raise SettingsError(f"The ports {preferred} to {preferred + PORTS_TO_TRY - 1} are all taken.")
