"""A harness for tests: the model's name selects what the child does. The zygote process imports it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread, stack_size

from holding import WAYS, trial

from leaderboard.result_digests import DigestParts, fingerprint
from workers.common.run_plan import CHANGED_TASKS, Report, RunPlan, RunProgress
from workers.errors import TasksChanged


def evaluate(plan: RunPlan, report: Report) -> None:
    """Run the trial that the name after the slash selects."""
    report(RunProgress("load"))
    TRIALS[plan.model.partition("/")[2]](plan, report)


def fine(plan: RunPlan, report: Report) -> None:
    for done in range(4):
        report(RunProgress("evaluate", done, 3))
    (plan.spool / "results.json").write_text(json.dumps({"pid": os.getpid()}))


def slow(plan: RunPlan, report: Report) -> None:
    """Runs for a minute, and starts another process."""
    sleeper = subprocess.Popen(["sleep", "61.25"])
    for done in range(600):
        report(RunProgress("evaluate", done, 600))
        time.sleep(0.1)
    sleeper.kill()


def short(plan: RunPlan, report: Report) -> None:
    """Takes three seconds."""
    for done in range(30):
        report(RunProgress("evaluate", done, 30))
        time.sleep(0.1)
    fine(plan, report)


def raising(plan: RunPlan, report: Report) -> None:
    raise ValueError("does not recognize this architecture: héllo \x1b[31m")


def canary(plan: RunPlan, report: Report) -> None:
    """Fails also with the known-good model, as on a faulty machine."""
    assert (plan.model_path / "model.safetensors").is_file() and plan.limit
    raise KeyError("solution")


def hanging(plan: RunPlan, report: Report) -> None:
    report(RunProgress("evaluate", 1, 3))
    time.sleep(60)


def flooding(plan: RunPlan, report: Report) -> None:
    while True:
        os.write(3, b'{"kind":"progress","phase":"evaluate","done":1,"total":3}\n' * 100)


def forging(plan: RunPlan, report: Report) -> None:
    os.write(3, b'{"kind":"outcome","scores":{"all":100}}\n')
    time.sleep(60)


def chatting(plan: RunPlan, report: Report) -> None:
    for number in range(20_000):
        print(f"line {number} " + "x" * 100)
    fine(plan, report)


def greedy(plan: RunPlan, report: Report) -> None:
    """Allocates memory until it gets no more."""
    held = []
    while True:
        held.append(bytearray(16 << 20))
        time.sleep(0.005)


def grasping(plan: RunPlan, report: Report) -> None:
    """Allocates less than the limit, in several processes."""
    for _ in range(3):
        if os.fork() == 0:
            held = bytearray(os.urandom(1 << 20)) * 120
            time.sleep(60)
            os._exit(len(held) % 2)
    time.sleep(60)


def hungry(plan: RunPlan, report: Report) -> None:
    """Has memory for only one question at a time."""
    report(RunProgress("evaluate", 0, 3))
    if plan.batch_size > 1:
        raise MemoryError(f"no room for {plan.batch_size}")
    fine(plan, report)


def changed(plan: RunPlan, report: Report) -> None:
    """Reports that a question of one task differs from that of the board's results, unless the plan accepts it."""
    asked = {"requests": "1" * 64, "documents": "2" * 64, "questions": 3}
    scored = dict.fromkeys(("metrics", "filters", "targets"), "3" * 16)
    parts = DigestParts.model_validate({"tasks": {"starter_navigation": {"asked": asked, "scored": scored}}})
    if fingerprint(parts, plan.rules) in plan.accepted:
        fine(plan, report)
        return
    report(RunProgress("evaluate", 0, 3))
    (plan.spool / CHANGED_TASKS).write_text(parts.model_dump_json())
    raise TasksChanged("the tasks ask something else")


def frugal(plan: RunPlan, report: Report) -> None:
    """Has enough memory only if the harness alone evaluates."""
    report(RunProgress("evaluate", 0, 3))
    if plan.engine != "harness":
        raise MemoryError(f"no room for {plan.engine}")
    (plan.spool / "results.json").write_text(json.dumps({"batch_size": plan.batch_size}))


def littering(plan: RunPlan, report: Report) -> None:
    """Writes small files without end."""
    report(RunProgress("evaluate", 0, 3))
    for number in range(600):
        (plan.spool / f"{number}").write_bytes(bytes(1 << 20))
        time.sleep(0.05)


def crashing(plan: RunPlan, report: Report) -> None:
    ctypes.string_at(0)


def killed(plan: RunPlan, report: Report) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def terminated(plan: RunPlan, report: Report) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def threading(plan: RunPlan, report: Report) -> None:
    """Starts threads until it has as many as it may.

    Their stacks are small, so that the memory limit is not reached first: a thread that gets no memory for its first
    step leaves `Thread.start` waiting forever.
    """
    stack_size(256 << 10)
    while True:
        Thread(target=time.sleep, args=(60,), daemon=True).start()


def bombing(plan: RunPlan, report: Report) -> None:
    """Forks without end, in every forked process too."""
    while True:
        with contextlib.suppress(OSError):
            os.fork()
        time.sleep(0.05)


def painting(plan: RunPlan, report: Report) -> None:
    """Prints terminal sequences, a text that looks like a token, and a line that imitates the worker's."""
    print("\x1b]0;pwned\x07\x1b[2J\x1b]52;c;cm0gLXJm\x07 hf_" + "a1B2" * 8)
    print("[worker] details published")
    fine(plan, report)


def writing(plan: RunPlan, report: Report) -> None:
    """Writes more than fits into its temporary folder."""
    with Path("/tmp/much").open("wb") as file:
        while True:
            file.write(bytes(1 << 20))


def exiting(plan: RunPlan, report: Report) -> None:
    os._exit(0)


def straying(plan: RunPlan, report: Report) -> None:
    """Starts a daemon that leaves its session and its parents, and ends normally."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "61.5"])  # noqa: S606
        os._exit(0)
    os.wait()
    fine(plan, report)


def looking(plan: RunPlan, report: Report) -> None:
    """Tries what an attacker would, and writes the results."""
    results = {name: run_check(check, plan) for name, check in CHECKS.items()}
    (plan.spool / "results.json").write_text(json.dumps(results))


def run_check(check: Callable[[RunPlan], object], plan: RunPlan) -> object:
    try:
        return check(plan)
    except (OSError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"


def look_at_environ(plan: RunPlan) -> object:
    return Path("/proc/self/environ").read_text().split("\0")


def look_at_others(plan: RunPlan) -> object:
    """Each environment and command line that can be read in /proc."""
    contents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            for name in ("environ", "cmdline"):
                try:
                    contents[f"{folder.name}/{name}"] = (folder / name).read_bytes().decode("utf-8", "replace")
                except OSError as error:
                    contents[f"{folder.name}/{name}"] = str(error)
    return contents


BEGINNING, REST = b"hf_secret_", bytes(byte ^ 1 for byte in b"of_the_worker!")
"""The two parts of the worker's token in tests; the second is encoded, so that the search does not find itself."""


def look_at_memory(plan: RunPlan) -> object:
    """Return the number of occurrences of the worker's token in this process's own memory."""
    count = 0
    with Path("/proc/self/mem").open("rb", 0) as memory:
        for line in Path("/proc/self/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            start, end = (int(part, 16) for part in span.split("-"))
            if not rights.startswith("rw"):
                continue
            memory.seek(start)
            for tail in memory.read(end - start).split(BEGINNING)[1:]:
                count += bytes(byte ^ 1 for byte in tail[: len(REST)]) == REST
    return count


def look_at_network(plan: RunPlan) -> object:
    """Connect to the port that the plan's first task names, on this machine."""
    port = int(plan.tasks[0].removeprefix("port")) if plan.tasks[0].startswith("port") else 9
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return "connected"


def look_at_loopback(plan: RunPlan) -> object:
    """Connect to a server of its own."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.create_connection(server.getsockname(), timeout=2):
            return "connected"


def look_at_interfaces(plan: RunPlan) -> object:
    return [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]]


def look_at_descriptors(plan: RunPlan) -> object:
    return {link.name: str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()}


def write_beside(plan: RunPlan) -> object:
    """Return other folders in which it can create files; a private view of the spool's parent does not count."""
    wrote = []
    for folder in (plan.model_path, Path(os.__file__).parent, plan.spool.parent, Path("/usr"), Path("/")):
        try:
            (folder / "stray").write_text("x")
            (folder / "stray").unlink()
        except OSError:
            continue
        if folder != plan.spool.parent or (folder / "stream").exists():
            wrote.append(str(folder))
    return wrote


def write_within(plan: RunPlan) -> object:
    """Return its own folders, after it has created a file in each."""
    wrote = []
    for folder in (plan.spool, Path.home(), Path(os.environ["TMPDIR"])):
        (folder / "mine").write_text("x")
        wrote.append(str(folder))
    return wrote


def look_at_slots(plan: RunPlan) -> object:
    """Return the slots whose files it can list."""
    slots = plan.spool.parents[2]
    return sorted(slot.name for slot in slots.iterdir() if any(slot.rglob("*")))


def read_weights(plan: RunPlan) -> object:
    return (plan.model_path / "weights").read_text()


def who(plan: RunPlan) -> object:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "uid": os.getuid(),
        "groups": os.getgroups(),
        "caps": status["CapEff"].strip(),
        "nnp": status["NoNewPrivs"].strip(),
    }


def change_modes(plan: RunPlan) -> object:
    """Open its own spool and the folder of the model to every user; return the permissions of both after that."""
    folders = plan.spool, plan.model_path
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.chmod(0o707)
    return [folder.stat().st_mode & 0o777 for folder in folders]


def limits(plan: RunPlan) -> object:
    kinds = ("RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NPROC", "RLIMIT_DATA")
    return {kind: resource.getrlimit(getattr(resource, kind))[0] for kind in kinds}


def escape(plan: RunPlan) -> object:
    """Try to get a namespace, a mount, root, a chroot, and another process's memory, limits, scheduling and life.

    Return the errno of each try.
    """
    libc, other, nothing = ctypes.CDLL(None, use_errno=True), os.getppid() or 1, (ctypes.c_ulong * 2)(0, 0)
    tries = {
        "unshare": lambda: libc.unshare(0x10000000),
        "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, b""),
        "ptrace": lambda: libc.ptrace(16, other, 0, 0),
        "limit": lambda: libc.prlimit(other, resource.RLIMIT_CORE, nothing, None),
        "slow down": lambda: libc.setpriority(0, other, 19),
        "signal": lambda: libc.kill(other, 0),
        "setuid": lambda: libc.setuid(0),
        "chroot": lambda: libc.chroot(b"/tmp"),
    }
    return {name: (ctypes.get_errno() if act() != 0 else "done") for name, act in tries.items()}


CHECKS = {
    "environ": look_at_environ,
    "others": look_at_others,
    "memory": look_at_memory,
    "network": look_at_network,
    "loopback": look_at_loopback,
    "interfaces": look_at_interfaces,
    "descriptors": look_at_descriptors,
    "beside": write_beside,
    "within": write_within,
    "slots": look_at_slots,
    "weights": read_weights,
    "who": who,
    "limits": limits,
    "modes": change_modes,
    "escape": escape,
}

TRIALS: dict[str, Callable[[RunPlan, Report], None]] = {
    "fine": fine,
    "slow": slow,
    "short": short,
    "raising": raising,
    "canary": canary,
    "hanging": hanging,
    "flooding": flooding,
    "forging": forging,
    "chatting": chatting,
    "greedy": greedy,
    "grasping": grasping,
    "hungry": hungry,
    "frugal": frugal,
    "changed": changed,
    "littering": littering,
    "crashing": crashing,
    "killed": killed,
    "terminated": terminated,
    "threading": threading,
    "bombing": bombing,
    "painting": painting,
    "writing": writing,
    "exiting": exiting,
    "straying": straying,
    "looking": looking,
    **{f"holding-{name}": trial(way) for name, way in WAYS.items()},
}
