"""What the demo prints at its end, and after Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from steward.demo import words
from steward.demo.models import CORRUPTED

HUB, WEB = "http://127.0.0.1:7870", "http://127.0.0.1:7860"
THREAD = "/datasets/open-board/requests/discussions/4"


def test_the_last_screen_says_page_user_thread_and_command() -> None:
    """The last screen has the leaderboard, a link that signs in as maintainer and opens the thread, and the command."""
    screen = words.next_steps(WEB, HUB, {CORRUPTED: HUB + THREAD}, Path("/tmp/steward demo/env"))
    assert f"  {WEB}\n" in screen
    assert f"{HUB}/login?as=maya&next={THREAD}\n" in screen
    assert "Write a comment there:  /relaunch\n" in screen
    assert "source '/tmp/steward demo/env'\n" in screen
    assert screen.endswith("Ctrl-C stops the demo and all its processes.")
    assert max(map(len, screen.splitlines())) <= 120


def test_the_farewell_says_what_stays_and_how_to_remove_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the end, the demo says how to remove the converted model and the installed packages."""
    monkeypatch.setattr(sys, "prefix", "/home/ada/steward/.venv")
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    cache = tmp_path / "the cache"
    cache.mkdir()
    (cache / "weights").write_bytes(bytes(3_000_000))
    lines = words.stopped(cache).splitlines()
    assert lines[0] == "Stopped. All processes of the demo have ended, and its Hub and its leaderboard are removed."
    assert f"  the model, 3 MB:  rm -r '{cache}'" in lines
    assert "  the installed packages:  rm -r /home/ada/steward/.venv" in lines
    assert "tutorial" in lines[-1]


def test_the_farewell_names_nothing_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If there is no cached model and no virtual environment, the demo names nothing to remove."""
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert "rm -r" not in words.stopped(tmp_path / "cache")


STOPPED = """
import os, signal, sys, time
from steward.demo import run

def play(*_arguments, **_options):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        print("all processes ended", flush=True)

run._play = play
sys.exit(run.run_demo(headless=False, as_json=False))
"""


def test_a_second_ctrl_c_does_not_disturb_the_end(tmp_path: Path) -> None:
    """A second Ctrl-C does not interrupt the cleanup: all processes are stopped, and the exit status is 130."""
    process = subprocess.run(
        [sys.executable, "-c", STOPPED],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (process.returncode, process.stdout) == (130, "all processes ended\n"), process.stderr
    assert process.stderr.startswith("Stopped.")
    assert not list(tmp_path.glob("steward-demo-*"))
