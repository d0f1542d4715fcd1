"""The zygote: a process that has imported the harness, and forks a child for each order.

It is exec'd with its own environment, so that no token is in its memory or in /proc/self/environ, and has three pipes:
orders in, answers out, and standard error. It runs no tensor operation and no tokenisation: these start threads, which
do not exist in a forked child, and the child would wait for them forever. At start, a test child runs one, to find out
whether forking works and in which isolation mode (`sandbox_spec.isolation_modes`).

    in   {"fork": order}   {"kill": number}
    out  {"ready": …} or {"broken": reason}, then {"forked": number, "pid": …} and {"ended": number, …} per order

The zygote dies with its worker, and every child with the zygote; the end of the orders also ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from leaderboard.evidence import UNFORKED
from workers.common import kernel
from workers.sandbox import child
from workers.sandbox.isolation import confine
from workers.sandbox.sandbox_spec import IsolationMode, SandboxSpec, isolation_modes

MODE_CHECK_SECONDS = 30.0
_MAX_ORDER_BYTES = 256 << 20
"""More than the longest order: the answers of 64 questions, of 200,000 escaped characters each."""


class Zygote:
    """Reads orders, one per line, and forks children, one at a time."""

    def __init__(self, mode: IsolationMode, evaluate: child.Evaluate, orders: int, answers: int) -> None:
        self.orders = orders
        self.answers = answers
        self.mode = mode
        self.evaluate = evaluate
        self.number: int | None = None
        self.pid = 0
        self.child_pidfd: int | None = None

    def serve(self) -> None:
        """Execute orders until the worker closes the pipe."""
        rest = bytearray()
        while True:
            readable, _, _ = select.select(
                [self.orders] + ([self.child_pidfd] if self.child_pidfd is not None else []), [], []
            )
            if self.child_pidfd in readable:
                self.reap()
            if self.orders in readable:
                data = os.read(self.orders, 65536)
                if not data or len(rest) > _MAX_ORDER_BYTES:
                    break
                *ends, data = data.split(b"\n")
                for end in ends:
                    line = rest + end
                    rest.clear()
                    self.execute(json.loads(line))
                rest += data
        self.kill()

    def execute(self, order: dict[str, Any]) -> None:
        """Execute one order; ignore a kill order for a child that has already ended."""
        if "fork" in order:
            self.fork(child.ChildOrder.model_validate(order["fork"]))
        elif order.get("kill") == self.number:
            self.kill()

    def fork(self, order: child.ChildOrder) -> None:
        """Fork the child of `order`."""
        if self.number is not None:
            self.answer({"ended": order.number, "exit": None, "signal": None, "problem": "another child is running"})
            return
        pid = os.fork()
        if pid == 0:
            _run_and_exit(lambda: child.run(order, self.mode, self.evaluate))
        self.number, self.pid, self.child_pidfd = order.number, pid, os.pidfd_open(pid)
        self.answer({"forked": order.number, "pid": pid})

    def answer(self, answer: child.ZygoteAnswer) -> None:
        """Send one answer to the worker."""
        send_answer(self.answers, answer)

    def kill(self) -> None:
        """Kill the running child's process group and keeper; its process namespace ends with the keeper."""
        if self.number is not None:
            _kill_group(self.pid)

    def reap(self) -> None:
        """Kill the processes that the ended child left, and report how it ended."""
        assert self.child_pidfd is not None
        _kill_group(self.pid)  # before the wait, after which the number may belong to another process
        _, status, usage = os.wait4(self.pid, 0)
        os.close(self.child_pidfd)
        kill_orphans()
        end = exit_status(status)
        peak_bytes = usage.ru_maxrss * 1024
        self.answer({"ended": self.number, "exit": end["exit"], "signal": end["signal"], "peak_bytes": peak_bytes})
        self.number, self.child_pidfd = None, None


def exit_status(status: int) -> child.ExitStatus:
    """A wait status as exit code or signal."""
    exited = os.WIFEXITED(status)
    return {"exit": os.WEXITSTATUS(status) if exited else None, "signal": None if exited else os.WTERMSIG(status)}


def kill_orphans() -> None:
    """Kill and reap all processes that this process inherited, until there are none."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while orphans := children.read_text().split():
        for pid in map(int, orphans):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in map(int, orphans):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def send_answer(answers: int, answer: child.ZygoteAnswer) -> None:
    """Write one answer to the worker to the pipe `answers`."""
    os.write(answers, json.dumps(answer).encode() + b"\n")


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # the keeper creates its group only after the fork
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _run_and_exit(run: Any) -> NoReturn:
    """Call `run` in a forked copy of the zygote, and never return to the zygote's loop."""
    try:
        run()
    except BaseException:  # noqa: BLE001  # boundary: the traceback goes to the child's log if it is connected, else to the worker's
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(UNFORKED)


# --- the test child


def choose_mode(sandbox_spec: SandboxSpec) -> tuple[IsolationMode, list[str]]:
    """The strongest mode that works for a test child, and why each stronger mode failed.

    Raises RuntimeError if none works.
    """
    against: list[str] = []
    for mode in isolation_modes():
        problem = check_mode(sandbox_spec, mode)
        if problem is None:
            return mode, against
        against.append(f"{mode.model_dump_json()}: {problem}")
    raise RuntimeError("no forked child works: " + "; ".join(against))


def check_mode(sandbox_spec: SandboxSpec, mode: IsolationMode) -> str | None:
    """Fork a test child isolated by `mode` that computes a matrix product; return what went wrong, or None."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writer, 2)
        os.closerange(3, writer + 1)
        _run_and_exit(lambda: confine(sandbox_spec, mode, _run_matrix_product))
    os.close(writer)
    output, done = _read_until_closed(reader, time.monotonic() + MODE_CHECK_SECONDS)
    if not done:
        _kill_group(pid)
    _, status = os.waitpid(pid, 0)
    kill_orphans()
    if status == 0:
        return None
    last = output.decode("utf-8", "replace").strip().splitlines()[-1:]
    return f"{'ended' if done else 'hung'} with {exit_status(status)} {' '.join(last)}"


def _read_until_closed(reader: int, deadline: float) -> tuple[bytes, bool]:
    """The output until every writer has closed the pipe (True) or the deadline has passed (False)."""
    output = b""
    try:
        while (seconds_left := deadline - time.monotonic()) > 0:
            if select.select([reader], [], [], seconds_left)[0]:
                data = os.read(reader, 65536)
                if not data:
                    return output, True
                output = (output + data)[-8192:]
        return output, False
    finally:
        os.close(reader)


def _run_matrix_product() -> None:
    """Compute a matrix product if torch is loaded: its thread pools make a child of a bad fork hang."""
    if torch := sys.modules.get("torch"):
        product = torch.ones(256, 256) @ torch.ones(256, 256)
        if product[0, 0].item() != 256.0:
            raise ArithmeticError("a matrix product is wrong")


# --- the process


def main() -> int:
    """`python -m workers.sandbox.zygote`: only `workers.sandbox.zygote_client` starts it."""
    options = _options()
    kernel.die_with_parent(options.parent)
    kernel.adopt_orphans()
    os.umask(0o022)
    started = time.monotonic()
    orders, answers = map(int, options.pipes.split(","))
    gc.disable()  # the imports make a million objects, and no garbage
    evaluate: child.Evaluate = importlib.import_module(options.harness).evaluate
    for module in options.preload:
        importlib.import_module(module)
    gc.freeze()  # so that no child searches them for garbage, or copies the memory in which they are
    gc.enable()
    try:
        mode, against = choose_mode(SandboxSpec.model_validate_json(options.sandbox_spec))
    except RuntimeError as error:
        send_answer(answers, {"broken": str(error)})
        return 1
    threads = len(list(Path("/proc/self/task").iterdir()))
    took = round(time.monotonic() - started, 2)
    send_answer(
        answers, {"ready": {"mode": mode.model_dump(), "against": against, "threads": threads, "seconds": took}}
    )
    Zygote(mode, evaluate, orders, answers).serve()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m workers.sandbox.zygote")
    parser.add_argument("--parent", type=int, required=True, help="process id of the worker")
    parser.add_argument("--harness", required=True, help="module with evaluate(plan, report)")
    parser.add_argument("--preload", action="append", default=[], help="module to import as well")
    parser.add_argument("--sandbox-spec", required=True, help="JSON of the sandbox of the test child")
    parser.add_argument("--pipes", required=True, help="descriptors: orders in, answers out")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
