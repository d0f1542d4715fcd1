"""The order in which the demo starts its processes and its uploads."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, cast

import pytest
from rich.console import Console

from steward.demo import run
from steward.demo.stage import Stage
from steward.demo.timeline import Timeline


class RecordedStage:
    """A stage that starts nothing, and records what it should start."""

    hub_url = "http://127.0.0.1:1"

    def __init__(self) -> None:
        self.started: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.started.append(name)

    def wait_until_ready(self) -> None:
        """Raise `KeyboardInterrupt`, which ends the demo."""
        raise KeyboardInterrupt


def test_the_first_upload_begins_once_all_processes_are_started() -> None:
    """The upload starts, in a thread, after the last process was forked: a fork could hang otherwise."""
    stage = RecordedStage()

    def upload() -> Future[str]:
        stage.started.append("upload")
        return Future()

    with pytest.raises(KeyboardInterrupt):
        run._submit_all(cast(Stage, stage), Timeline(Console(quiet=True), live=False), "starter", upload)
    assert stage.started == ["write_board", "start_worker", "start_bot", "upload"]
