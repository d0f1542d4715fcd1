"""Isolation, observed from inside real children: what they can see, reach and write in each mode."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.long import long_except
from tests.support.workers import isolation_script
from tests.support.workers.holding import CHUNK, MARK
from tests.support.workers.holding import WAYS as HOLDING
from tests.support.workers.worker_process import TOKEN, AttemptQueue, WorkerProcess, job
from workers.common import kernel
from workers.sandbox.sandbox_spec import IsolationMode

Start = Callable[..., WorkerProcess]
WAYS = {
    "machine": ("machine", []),
    "unprivileged": ("machine", ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]),
    "container": ("container", []),
    "one user": ("container", ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]),
}


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """A server on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def run_trials(way: str, folder: Path, port: int, memory: int, trials: list[str]) -> list[dict[str, Any]]:
    """Run trials one after the other in one of WAYS, each with so many MiB of memory; return their observations."""
    kind, prefix = WAYS[way]
    if prefix and (os.geteuid() != 0 or shutil.which(prefix[0]) is None):
        pytest.skip("giving up a capability takes root and setpriv")
    script = [sys.executable, str(isolation_script.__file__), str(folder), str(port), kind, str(memory), *trials]
    env = {**os.environ, "HF_TOKEN": TOKEN, "STEWARD_WORKER_TOKEN": TOKEN}
    process = subprocess.run([*prefix, *script], env=env, capture_output=True, text=True, timeout=60 + 60 * len(trials))
    assert process.returncode == 0, process.stderr
    return [json.loads(line) for line in process.stdout.splitlines()]


@pytest.fixture(scope="module", params=list(WAYS))
def look(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, listener: socket.socket
) -> dict[str, Any]:
    """The observations of a child in one of WAYS."""
    port = listener.getsockname()[1]
    (answer,) = run_trials(request.param, tmp_path_factory.mktemp("look"), port, 1024, ["looking"])
    assert answer["ending"]["finished"], answer
    return answer


def left_behind() -> set[str]:
    """Files in /dev/shm and System V segments that the trials make."""
    segments = {line for line in Path("/proc/sysvipc/shm").read_text().splitlines() if line.split()[3] == str(CHUNK)}
    return segments | {path.name for path in Path("/dev/shm").glob(f"{MARK}*")}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "way", long_except({"machine"}, ["machine", "unprivileged", "container"], "another way to run")
)
def test_no_way_of_holding_memory_leads_past_the_limit(way: str, tmp_path: Path) -> None:
    """Each way to hold memory is refused, or ends the child at its limit; no shared memory is left behind."""
    before, limit = left_behind(), 256
    answers = run_trials(way, tmp_path, 9, limit, [f"holding-{name}" for name in HOLDING])
    mode = answers[0]["mode"]
    if mode["namespaces"] != "all" and not mode["landlock"]:
        pytest.skip("neither a mount namespace nor Landlock on this kernel: a child can write to /dev/shm")
    refused = {"memfd", "sysv", "shared", "zeros"}
    refused |= {"shm"} if mode["namespaces"] != "all" else set()
    refused |= {"backlog", "tcp"} if mode["namespaces"] == "none" else set()
    for name, answer in zip(HOLDING, answers, strict=True):
        if name in refused:
            assert answer["ending"]["finished"] and answer["seen"]["held"] == 0, (name, answer)
        else:
            assert answer["ending"]["stopped"] == "memory-limit" and answer["most"] <= 2 * limit, (name, answer)
    assert left_behind() == before


def test_each_mode_uses_the_namespaces_that_it_can_get(look: dict[str, Any], request: pytest.FixtureRequest) -> None:
    """A worker with root gives a child its own user, one without root uses a user namespace, and one in a plain
    container uses no namespaces."""
    mode = look["mode"]
    if "container" in request.node.name or "one user" in request.node.name:
        assert mode["namespaces"] == "none"
    elif mode["namespaces"] == "none":
        pytest.skip("this kernel grants no namespaces: nothing but the container's walls can be tested here")
    elif "unprivileged" in request.node.name or not kernel.has_capability(kernel.CAP_SYS_ADMIN):
        assert (mode["namespaces"], mode["user_namespace"], mode["own_user"]) == ("all", True, False)
    else:
        assert (mode["namespaces"], mode["user_namespace"], mode["own_user"]) == ("all", False, True)


def test_no_token_in_environment_or_memory(look: dict[str, Any]) -> None:
    """The worker's token is not in the child's environment or memory, nor in any environment that it can read."""
    view = look["seen"]
    assert view["memory"] == 0
    assert TOKEN not in json.dumps(view["environ"]) and any(name.startswith("HOME=") for name in view["environ"])
    assert not [name for name, words in view["others"].items() if TOKEN in words]


def test_no_connection_out(look: dict[str, Any]) -> None:
    """A child cannot connect to a server, not even to one on the same machine."""
    assert look["seen"]["network"].startswith(("OSError", "PermissionError", "ConnectionRefusedError"))
    if look["mode"]["namespaces"] != "none":
        assert look["seen"]["interfaces"] == ["lo"]


def test_copies_of_a_child_can_meet(look: dict[str, Any]) -> None:
    """Copies of a child can connect to each other over the loopback of their own network namespace."""
    met = look["seen"]["loopback"]
    assert (met == "connected") == (look["mode"]["namespaces"] != "none"), met


def test_no_write_outside_its_own_folders(look: dict[str, Any]) -> None:
    """A child can write to its spool, home and temporary folder, but not to model, questions, library or system."""
    assert len(look["seen"]["within"]) == 3
    if look["mode"]["namespaces"] == "all" or look["mode"]["landlock"]:
        assert look["seen"]["beside"] == []


def test_no_other_attempt_in_sight(look: dict[str, Any]) -> None:
    """With its own root and processes, a child sees only its own slot and processes."""
    if look["mode"]["namespaces"] != "all" and not look["mode"]["landlock"]:
        pytest.skip("neither a mount namespace nor Landlock on this kernel")
    slots = look["seen"]["slots"]
    assert slots == ["0"] or slots.startswith("PermissionError")
    if look["mode"]["namespaces"] == "all":
        assert {name.split("/")[0] for name in look["seen"]["others"]} == {"1", "2"}


def test_no_privileges_and_none_to_be_had(look: dict[str, Any]) -> None:
    """A child has no capability, gains none by exec, and cannot reach namespaces, mounts, other processes or users.

    In a process namespace of its own, the other process that it may send a signal to is one that serves it alone. So it
    may where Landlock does not restrict signals: the worker says so at its start.
    """
    view, mode = look["seen"], IsolationMode.model_validate(look["mode"])
    assert int(view["who"]["caps"], 16) == 0 and view["who"]["nnp"] == "1"
    permitted = {"setuid"} | (
        {"signal"} if mode.namespaces == "all" or "end processes" in str(mode.missing()) else set()
    )
    assert "done" not in {act: result for act, result in view["escape"].items() if act not in permitted}.values()
    if mode.own_user:
        assert view["who"]["uid"] == 61_184 and view["who"]["groups"] == [] and view["escape"]["setuid"] != "done"


def test_no_permissions_of_foreign_files_are_changed(look: dict[str, Any]) -> None:
    """A child opens its model's folder to no one, nor its own spool where it runs as the worker's user."""
    spool, model = look["seen"]["modes"]
    assert model != 0o707
    if look["mode"]["namespaces"] != "all" and not look["mode"]["own_user"]:
        assert spool == 0o700


def test_nothing_open_but_its_pipes(look: dict[str, Any]) -> None:
    """A child has only stdin, stdout, stderr and its pipe to the worker open."""
    open_files = look["seen"]["descriptors"]
    assert set(open_files) <= {"0", "1", "2", "3", *(name for name in open_files if "/proc/" in open_files[name])}


def test_its_limits_are_set(look: dict[str, Any]) -> None:
    """A child writes no core dumps, and its memory, the size of its files and its number of processes are limited."""
    limits = look["seen"]["limits"]
    assert limits["RLIMIT_CORE"] == 0 and limits["RLIMIT_DATA"] == 1 << 30
    assert limits["RLIMIT_FSIZE"] == 16 << 30 and 0 < limits["RLIMIT_NPROC"] <= 4096


def test_weights_behind_links_can_be_read(look: dict[str, Any]) -> None:
    """A child can read weights behind symbolic links, as in a snapshot of the Hub's cache."""
    assert look["seen"]["weights"] == "weights"


def test_the_token_of_a_real_worker_stays_with_it(bot: AttemptQueue, start_worker: Start) -> None:
    """The token in a real worker's environment is in neither the child's nor the zygote's."""
    asked, worker = job("looking"), start_worker()
    bot.enqueue(asked)
    bot.grant(asked)
    outcome, log = bot.outcome(asked)
    assert outcome.ok, log
    view = json.loads((worker.folder / "published.json").read_text())
    assert view["memory"] == 0 and TOKEN not in json.dumps(view["environ"])
    (zygote,) = worker.pids("zygote")
    assert TOKEN.encode() not in Path(f"/proc/{zygote}/environ").read_bytes()
    assert not [link for link in Path(f"/proc/{zygote}/fd").iterdir() if "socket" in str(link.readlink())]
    assert TOKEN not in json.dumps([outcome.model_dump(mode="json"), log]) and TOKEN not in worker.log()
