"""The texts that the demo prints: at its start, when its submissions have ended, and at its own end."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

WELCOME = (
    "Steward's demo: a leaderboard on this machine, with a Hub of its own. Four models are submitted; the first one is "
    "scored after one to three minutes. Ctrl-C stops the demo at any time."
)
STOPPING = "Stopping the demo's processes; this takes some seconds …"
_MEGABYTE = 1_000_000


def next_steps(web: str, hub: str, threads: Mapping[str, str], env: Path) -> str:
    """Return the text about the pages to open, the user to open them as, and the commands to try while the demo runs.

    `web` and `hub` are addresses, `threads` maps a model to the address of its thread, and `env` is a file with
    settings for a shell.
    """
    from steward.demo.models import CORRUPTED, GOOD  # late: they import huggingface_hub, which reads the environment
    from steward.demo.world import MAINTAINER

    thread = threads[CORRUPTED].removeprefix(hub)
    return (
        f"The first model is scored. Open the leaderboard:\n"
        f"  {web}\n"
        f"All submissions, and why three of them failed:\n"
        f"  {web}/queue\n\n"
        f"Try next:\n"
        f"  1. Give a command as {MAINTAINER}, who maintains this leaderboard. This address signs you in, and\n"
        f"     opens the thread of {CORRUPTED}:\n"
        f"       {hub}/login?as={MAINTAINER}&next={thread}\n"
        f"     Write a comment there:  /relaunch\n"
        f"     The bot evaluates the model again, and answers in the thread.\n"
        f"  2. Use the command line, in another terminal, also as {MAINTAINER}:\n"
        f"       {_activate()}source {shlex.quote(str(env))}\n"
        f"       steward status {GOOD}\n"
        f'       steward flag other {CORRUPTED} "its weights are not numbers"\n\n'
        f"Ctrl-C stops the demo and all its processes."
    )


def not_as_expected(timeout_minutes: float) -> str:
    """Return the advice after a demo in which a submission did not end as expected."""
    return (
        f"Not every submission ended as expected (see ❗). One that is still PENDING or RUNNING made no progress for "
        f"{timeout_minutes:.0f} minutes: run the demo again when this machine is less busy. Please report any other "
        f"end, with the output above and that of: steward self-check"
    )


def stopped(cache: Path) -> str:
    """Return the text about the files that the demo removed, those that stay on the disk, and how to remove them."""
    lines = ["Stopped. All processes of the demo have ended, and its Hub and its leaderboard are removed."]
    size = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file())
    packages = sys.prefix if sys.prefix != sys.base_prefix else ""
    if size or packages:
        lines.append("What stays on the disk, so that the next demo starts at once:")
    if size:
        lines.append(f"  the model, {size / _MEGABYTE:.0f} MB:  rm -r {shlex.quote(str(cache))}")
    if packages:
        lines.append(f"  the installed packages:  rm -r {shlex.quote(packages)}")
    lines.append("To build a leaderboard of your own, follow docs/tutorial.md.")
    return "\n".join(lines)


def _activate() -> str:
    """Return the command that makes `steward` known to a shell, if this Python is in a virtual environment."""
    script = Path(sys.prefix) / "bin" / "activate"
    return f"source {shlex.quote(str(script))} && " if script.exists() else ""
