"""The platform `slurm`: runs each attempt as a job of a Slurm cluster.

It submits the site's own template with `sbatch`, lists jobs with `squeue` and `sacct`, and cancels them with `scancel`;
the bot runs where these programs are. A job is named after board, tier and attempt, so that its name is its label. The
job reads the attempt's token from a file that only this user can read, on a file system that the nodes share: other
users can read arguments and environments of jobs. `squeue` also lists jobs that ended some minutes ago; `sacct` adds
older ones if the cluster keeps accounts. Slurm prints times as seconds since the epoch.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bot.core.platforms import LaunchOrder, PlatformError
from leaderboard.attempts import ATTEMPT_ID
from leaderboard.backend_settings import SlurmBackend
from leaderboard.backends import MONTH, BackendRun, RunStage
from leaderboard.tiers import Tier

PROGRAMS = ("sbatch", "squeue", "scancel")
TIMEOUT_SECONDS = 60.0
MAX_OUTPUT = 16 << 20
QUEUE_FORMAT = "%i|%T|%V|%S|%e|%j"
ACCOUNT_FORMAT = "JobID,State,Submit,Start,End,JobName%200"
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "SLURM_CONF")
"""Variables of the environment that the bot passes to Slurm's programs, and `sbatch` to the job; none is a secret."""
_JOB_ID = re.compile(r"^[0-9]+$")
_WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"})
_RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"})


class SlurmPlatform:
    """The jobs of one tier of the board named `board`. `spool` holds tokens and logs, and the nodes share it."""

    def __init__(self, backend: SlurmBackend, board: str, tier: Tier, spool: Path) -> None:
        self._backend = backend
        self._prefix = f"steward-{board}-{tier}-"
        self._tier = tier
        self._spool = spool
        self._has_accounts = True

    def problems(self) -> Iterator[str]:
        """Yield why it can start no jobs: missing programs, a template that `sbatch` refuses, a read-only spool."""
        if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
            yield f"{', '.join(missing)} cannot be found on this machine."
        try:
            with Path(self._backend.template).open("rb") as template:
                if template.read(2) != b"#!":
                    yield f"The batch script {self._backend.template} does not begin with #!, so sbatch refuses it."
        except OSError as error:
            yield f"The batch script cannot be read: {error}"
        existing = next(folder for folder in (self._spool, *self._spool.parents) if folder.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            yield f"The spool {self._spool} cannot be written to, for attempts' tokens and logs."

    def runs(self) -> list[BackendRun]:
        """The board's jobs of this tier that Slurm still knows. Raises PlatformError."""
        command = ["squeue", "--me", "--noheader", "--states=all", "--array", f"--format={QUEUE_FORMAT}"]
        listed = self._parse(self._output(command))
        runs = {run.id: run for run in self._accounted()}
        return [*{**runs, **{run.id: run for run in listed}}.values()]

    def launch(self, order: LaunchOrder) -> str:
        """Submit the site's template for an attempt, and return the job's id. Raises PlatformError."""
        try:
            token = self._write_token(order)
        except OSError as error:  # a full disk, or a file system that is not available
            raise PlatformError(f"The token of an attempt cannot be written to the spool: {error}") from error
        command = [
            "sbatch", "--parsable", "--no-requeue", "--export=ALL",
            f"--job-name={self._prefix}{order.attempt}",
            f"--time={max(1, int(order.seconds // 60))}",
            f"--output={self._spool / 'logs' / '%j.log'}",
        ]  # fmt: skip
        if self._backend.partition is not None:
            command.append(f"--partition={self._backend.partition}")
        settings = {
            "STEWARD_ATTEMPT": order.attempt,
            "STEWARD_ATTEMPT_TOKEN_FILE": str(token),
            "STEWARD_BOARD_URL": order.board_url,
        }
        answer = self._output([*command, self._backend.template], settings).strip().partition(";")[0]
        if _JOB_ID.fullmatch(answer) is None:
            raise PlatformError(f"sbatch answers {answer[:200]!r}, which is no job's id")
        return answer

    def cancel(self, run: BackendRun) -> None:
        """Cancel a job; one that has ended is no error. Raises PlatformError."""
        if _JOB_ID.fullmatch(run.id) is not None:
            self._output(["scancel", "--quiet", run.id])

    def _write_token(self, order: LaunchOrder) -> Path:
        """Write the attempt's token to a file that only this user can read, in place of an earlier run's token."""
        folder = self._spool / "tokens"
        for needed in (folder, self._spool / "logs"):
            needed.mkdir(parents=True, exist_ok=True, mode=0o700)
            _keep_to_this_user(needed)
            _remove_old(needed)
        file = folder / order.attempt
        draft = folder / f"{order.attempt}.new"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as opened:
            opened.write(order.token)
        draft.rename(file)
        return file

    def _accounted(self) -> list[BackendRun]:
        """The jobs of the last 30 days by `sacct`; none if the cluster keeps no accounts."""
        if not self._has_accounts:
            return []
        command = [
            "sacct", "--noheader", "--parsable2", "--allocations", "--starttime=now-30days",
            f"--format={ACCOUNT_FORMAT}",
        ]  # fmt: skip
        try:
            return self._parse(self._output(command))
        except PlatformError as error:
            if "accounting storage is disabled" not in str(error).lower():
                raise
            self._has_accounts = False
            return []

    def _parse(self, output: str) -> list[BackendRun]:
        """The jobs of this tier in lines of `id|state|submitted|started|ended|name`. Ignores all other lines."""
        runs = []
        for line in output.splitlines():
            fields = line.split("|", 5)
            attempt = fields[-1].strip().removeprefix(self._prefix)
            if len(fields) != 6 or attempt == fields[-1].strip() or ATTEMPT_ID.fullmatch(attempt) is None:
                continue
            job, state, submitted, started, ended = (field.strip() for field in fields[:5])
            stage = _stage(state)
            runs.append(
                BackendRun(
                    id=job,
                    attempt=attempt,
                    tier=self._tier,
                    stage=stage,
                    created=_time(submitted),
                    started=0.0 if stage == "waiting" else _time(started),  # Slurm shows a waiting job's expected start
                    ended=_time(ended) if stage in ("ended", "failed") else 0.0,
                )
            )
        return runs

    def _output(self, command: Sequence[str], settings: Mapping[str, str] | None = None) -> str:
        """The output of a program of Slurm. Raises PlatformError."""
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment = {**passed_on, "SLURM_TIME_FORMAT": "%s", **(settings or {})}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, timeout=TIMEOUT_SECONDS, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PlatformError(f"{command[0]} cannot be run: {error}") from error
        if done.returncode:
            words = done.stderr.decode("utf-8", "replace").strip()[:500]
            raise PlatformError(f"{command[0]} ended with status {done.returncode}: {words}")
        return done.stdout[:MAX_OUTPUT].decode("utf-8", "replace")


def _keep_to_this_user(folder: Path) -> None:
    """Remove other users' permissions on `folder`. Raises PlatformError if it is a link or belongs to another user: on
    the shared file system, any user of the cluster could create a link at the path where the bot writes a token."""
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PlatformError(f"{folder} is a link, or belongs to another user; choose another `spool`")
    folder.chmod(0o700)


def _remove_old(folder: Path) -> None:
    """Remove the files in `folder` that are older than 30 days; their tokens have expired."""
    for file in folder.iterdir():
        with suppress(OSError):  # just removed, a folder, or not this user's
            if file.stat().st_mtime < time.time() - MONTH:
                file.unlink()


def _stage(state: str) -> RunStage:
    """The stage of a job in a state of Slurm, such as `CANCELLED by 1000`."""
    word = state.split(" ")[0].rstrip("+")
    if word in _WAITING:
        return "waiting"
    if word in _RUNNING:
        return "running"
    return "ended" if word == "COMPLETED" else "failed"


def _time(field: str) -> float:
    """Seconds since the epoch; 0 if Slurm gives no time."""
    return float(field) if field.isascii() and field.isdecimal() else 0.0
