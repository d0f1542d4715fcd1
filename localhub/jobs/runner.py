"""Runs Jobs as processes of this machine.

A Job's image stands for folders with programs, which the world file lists: nothing else can be run, and a Hub without
images runs no Jobs. A process gets the variables of its Job, and of this server's own environment only `PATH` and
PASSED_ON. It is not confined: run only Jobs that you trust. A volume is a folder with its files, whose path replaces
the mount path in the Job's command and variables, because nothing is mounted here.

Faults that a test asks for happen to the next Job: `lost` (its process is killed, and the Hub forgets it), `twice` (two
processes run it), `deaf` (it is not stopped when it is cancelled).
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from localhub.errors import BadRequest, HubError
from localhub.jobs.store import Job, JobSpec, JobStage, JobStore
from localhub.json_values import JsonObject

Mount = Callable[[str, JsonObject, Path], None]
"""Writes the files of a volume to a folder, if the account of that id may read them. Raises HubError."""
JobFault = Literal["lost", "twice", "deaf"]
MAX_LINES = 100_000
STOP_SECONDS = 20.0
"""Seconds from SIGTERM to SIGKILL when a Job is cancelled."""
PASSED_ON = ("TMPDIR", "LANG", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class JobSettings:
    """The images (name → folders with its programs) and flavors (name → micro-dollars a minute) that Jobs may use.

    At most `parallel` Jobs run at the same time; others wait.
    """

    images: Mapping[str, Sequence[str]] = field(default_factory=dict)
    flavors: Mapping[str, int] = field(default_factory=lambda: {"cpu-basic": 167, "a100-large": 41_667, "h200": 83_333})
    parallel: int = 4


class PrintedLines:
    """The lines that a Job has printed, in order; of more than `most` lines the first are dropped."""

    def __init__(self, most: int = MAX_LINES) -> None:
        self._lines: deque[str] = deque(maxlen=most)
        self._count = 0
        """Lines printed so far, dropped ones included."""
        self._lock = threading.Lock()

    def add(self, line: str) -> None:
        """Add a line at the end."""
        with self._lock:
            self._lines.append(line)
            self._count += 1

    def since(self, number: int) -> tuple[list[str], int]:
        """The lines after the first `number` ones, as far as they are not dropped, and the count of all lines."""
        with self._lock:
            return list(self._lines)[max(0, number - self._count + len(self._lines)) :], self._count

    def before_last(self, tail: int) -> int:
        """The count of the lines before the last `tail` ones."""
        with self._lock:
            return max(0, self._count - tail)


@dataclass
class _JobRun:
    """The processes of one Job, and the lines that they print."""

    job: Job
    secrets: Mapping[str, str]
    faults: frozenset[JobFault]
    lines: PrintedLines = field(default_factory=PrintedLines)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


class JobRunner:
    """Starts, watches and stops the Jobs of one Hub."""

    def __init__(self, store: JobStore, folder: Path, mount: Mount) -> None:
        self.settings = JobSettings()
        self._store = store
        self._folder = folder
        self._mount = mount
        self._runs: dict[str, _JobRun] = {}
        self._free_slots = threading.Semaphore(self.settings.parallel)
        self._next_faults: list[JobFault] = []
        self._closing = False
        for job in store.live():
            store.end(job.id, "ERROR", "The platform was restarted")

    def configure(self, settings: JobSettings) -> None:
        """Allow these images and flavors."""
        self.settings = settings
        self._free_slots = threading.Semaphore(settings.parallel)

    def fault(self, fault: JobFault) -> None:
        """Let `fault` happen to the next Job."""
        self._next_faults.append(fault)

    def start(self, owner_id: str, initiator_id: str, spec: JobSpec, secrets: Mapping[str, str]) -> Job:
        """Start a Job. Raises HubError if this Hub cannot run it."""
        if not self.settings.images:
            raise HubError(402, "This Hub runs no Jobs: its world lists no images for them.")
        if spec.image not in self.settings.images:
            raise BadRequest(f"There is no image {spec.image} here.")
        if spec.flavor not in self.settings.flavors:
            raise BadRequest(f"There is no flavor {spec.flavor}.")
        job = self._store.add(owner_id, initiator_id, replace(spec, secret_names=sorted(secrets)))
        faults, self._next_faults = frozenset(self._next_faults), []
        run = self._runs[job.id] = _JobRun(job, dict(secrets), faults)
        threading.Thread(target=self._run, args=(run,), name=f"job-{job.id}", daemon=True).start()
        return job

    def duplicate(self, job: Job, initiator_id: str) -> Job:
        """Start a Job like `job`, with its secrets while this server still has them [?]. Raises HubError."""
        run = self._runs.get(job.id)
        return self.start(job.owner_id, initiator_id, job.spec, run.secrets if run is not None else {})

    def cancel(self, job: Job) -> None:
        """Stop a Job that waits or runs."""
        run = self._runs.get(job.id)
        if run is None or not self._store.get(job.id, job.owner_id).is_live or "deaf" in run.faults:
            return
        self._store.end(job.id, "CANCELED")
        self._stop(run)

    def lines(self, job_id: str, tail: int | None) -> Iterator[str]:
        """Yield the lines that a Job has printed, or the last `tail` of them, and further lines until it ends."""
        run = self._runs.get(job_id)
        if run is None:
            return
        sent = 0 if tail is None else run.lines.before_last(tail)
        while True:
            has_ended = run.ended.is_set()
            lines, sent = run.lines.since(sent)
            yield from lines
            if has_ended:
                return
            run.ended.wait(0.2)

    def printed(self, job_id: str) -> list[str]:
        """The lines that a Job has printed so far."""
        run = self._runs.get(job_id)
        return run.lines.since(0)[0] if run is not None else []

    def close(self) -> None:
        """Kill all Jobs."""
        self._closing = True
        for run in list(self._runs.values()):
            for process in run.processes:
                _signal(process, signal.SIGKILL)
            run.ended.wait(5)

    def _run(self, run: _JobRun) -> None:
        with self._free_slots:
            try:
                if not self._closing and self._store.begin(run.job.id):
                    self._store_end(run, *self._execute(run))
            finally:
                run.ended.set()

    def _execute(self, run: _JobRun) -> tuple[JobStage, str | None]:
        """Run the processes of a Job to their end; return its last stage, and the message about it, if any."""
        spec = run.job.spec
        try:
            run.processes = [self._start_process(run) for _ in range(1 + ("twice" in run.faults))]
        except (OSError, HubError) as error:
            return "ERROR", f"The command cannot be run: {error}"
        # A process that outlives its Job may hold the pipe: it must not keep this server from ending.
        readers = [threading.Thread(target=_read, args=(each, run.lines), daemon=True) for each in run.processes]
        for reader in readers:
            reader.start()
        if "lost" in run.faults:
            for process in run.processes:
                _signal(process, signal.SIGKILL)
        message = None
        for process in run.processes:
            try:
                process.wait(spec.seconds)
            except subprocess.TimeoutExpired:
                message = "Job timeout"
                _signal(process, signal.SIGKILL)
                process.wait()
        for reader in readers:
            reader.join(5)
        if "lost" in run.faults:
            return "DELETED", None
        code = next((process.returncode for process in run.processes if process.returncode), 0)
        if not code:
            return "COMPLETED", None
        return "ERROR", message or f"Job failed with exit code: {code}"

    def _store_end(self, run: _JobRun, stage: JobStage, message: str | None) -> None:
        if not self._closing:
            self._store.end(run.job.id, stage, message)

    def _start_process(self, run: _JobRun) -> subprocess.Popen[bytes]:
        spec = run.job.spec
        folder = self._folder / run.job.id
        folder.mkdir(parents=True, exist_ok=True)
        mounted = self._write_volumes(run, folder)
        system = [part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part]
        environment = {
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "PATH": os.pathsep.join([*self.settings.images[spec.image], *system]),
            "HOME": str(folder),
            "JOB_ID": run.job.id,
            **{name: _with_folder(mounted, value) for name, value in spec.environment.items()},
            **run.secrets,
        }
        return subprocess.Popen(  # the world's file allows it
            [_with_folder(mounted, word) for word in spec.command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _write_volumes(self, run: _JobRun, folder: Path) -> dict[str, str]:
        """Write the files of the Job's volumes; return mount path → folder with the files. Raises HubError."""
        paths = {}
        for number, volume in enumerate(run.job.spec.volumes):
            target = folder / f"volume-{number}"
            if not target.exists():
                self._mount(run.job.initiator_id, volume, target)
            paths[str(volume["mountPath"]).rstrip("/")] = str(target)
        return paths

    def _stop(self, run: _JobRun) -> None:
        """Ask the processes to end, and kill those that do not."""
        for process in run.processes:
            _signal(process, signal.SIGTERM)

        def kill() -> None:
            if not run.ended.wait(STOP_SECONDS):
                for process in run.processes:
                    _signal(process, signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()


def _with_folder(mounted: Mapping[str, str], text: str) -> str:
    """Replace a mount path at the beginning of `text` by the folder with the volume's files."""
    for path, folder in mounted.items():
        if text == path or text.startswith(f"{path}/"):
            return folder + text.removeprefix(path)
    return text


def _read(process: subprocess.Popen[bytes], lines: PrintedLines) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.add(line.decode("utf-8", "replace").rstrip("\n")[:10_000])


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a process and to the processes that it has started."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
