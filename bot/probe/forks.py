"""Answer one question in a fork with limits. The fork writes lines of JSON; each line adds to the answer."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.probe import answers, configs, metric_comparison, prediction_files, sample_sums, tokenizers, weights
from bot.probe.questions import LIMITS, STARVED, TOO_COSTLY, Kind, ProbeLimits

Answers = Iterator[Mapping[str, Any]]
Ask = Callable[[Path, Mapping[str, Any]], Answers]

_BY_KIND: Mapping[Kind, Ask] = {
    "config": configs.answers,
    "tokenizer": tokenizers.answers,
    "index": weights.index_answers,
    "headers": weights.header_answers,
    "adapter": configs.adapter_answers,
    "answers": answers.answers,
    "table-parts": sample_sums.table_parts,
    "sample-sums": sample_sums.sample_sums,
    "metrics": metric_comparison.compare_metrics,
    "predictions": prediction_files.answers,
}
_PR_SET_PDEATHSIG = 1
_LIBRARIES = tuple({str(Path(root).resolve()) for root in (sys.prefix, sys.base_prefix, Path(os.__file__).parent)})
_OURS = str(Path(__file__).resolve().parents[2] / "bot")
_LIBC = ctypes.CDLL(None)


def ask(question: Mapping[str, Any]) -> dict[str, object]:
    """The answer to `question`; TOO_COSTLY where the fork ended without one, STARVED where it hardly got CPU time.

    A fork that the kernel killed early counts as STARVED too: the machine had no memory left.
    """
    reader, writer = os.pipe()
    try:
        child = os.fork()
    except OSError:  # no memory, or too many processes
        os.close(reader)
        os.close(writer)
        return dict(STARVED)
    if child == 0:
        os.close(reader)
        _answer(writer, question)
    os.close(writer)
    limits = LIMITS[question["kind"]]
    output, used_cpu = _read(reader, child, float(question.get("wall", limits.wall)), limits.answer)
    if used_cpu is not None and limits.starves(used_cpu):
        return dict(STARVED)
    # An incomplete last line is dropped.
    lines = output.rpartition(b"\n")[0].splitlines()
    answer: dict[str, Any] = {}
    for line in lines:
        answer |= json.loads(line)
    return answer or dict(TOO_COSTLY)


def _read(reader: int, child: int, seconds: float, most: int) -> tuple[bytes, float | None]:
    """Read the fork's output until it ends, has `most` bytes, or its time is over.

    Also return its CPU seconds if its time was over, or if the kernel killed it, which it does when memory runs out.
    """
    deadline, output, is_over, has_ended = time.monotonic() + seconds, bytearray(), False, False
    while not is_over and len(output) < most:
        left = max(0.0, deadline - time.monotonic())
        is_over = not select.select([reader], [], [], left)[0]
        chunk = b"" if is_over else os.read(reader, 65_536)
        if not chunk:
            has_ended = not is_over
            break
        output += chunk
        is_over = time.monotonic() > deadline
    os.close(reader)
    os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    is_killed = has_ended and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return bytes(output), usage.ru_utime + usage.ru_stime if is_over or is_killed else None


def _answer(writer: int, question: Mapping[str, Any]) -> None:
    """In the fork: set the limits, write the answer, and exit; it never returns."""
    status = 1
    try:
        _detach_standard_streams()
        folder = Path(question["folder"]).resolve()
        _confine(LIMITS[question["kind"]], folder)
        for part in _BY_KIND[question["kind"]](folder, question):
            os.write(writer, json.dumps(part).encode() + b"\n")
        status = 0
    finally:
        os._exit(status)  # skip the parent's exit handlers; an exception ends the answer where it is


def _detach_standard_streams() -> None:
    """Point standard input and output to /dev/null: text that the library prints must not look like an answer."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nothing, stream)
    os.close(nothing)


def _confine(limits: ProbeLimits, folder: Path) -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + limits.memory, used + limits.memory))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu, limits.cpu))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 2**20, 64 * 2**20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    allowed = tuple(f"{root}/" for root in (*_LIBRARIES, _OURS, str(folder)))

    def watch(event: str, args: tuple[Any, ...]) -> None:
        """Refuse to open other files, which an untrusted file may name, and to start processes or connections."""
        if event == "open" and isinstance(args[0], str | bytes) and not _is_below(os.fsdecode(args[0]), allowed):
            raise PermissionError("a file outside of the model's folder is not opened")
        if event in ("socket.connect", "subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.system"):
            raise PermissionError(f"{event} is not allowed while a model's files are loaded")

    sys.addaudithook(watch)


def _is_below(path: str, allowed: tuple[str, ...]) -> bool:
    return os.path.realpath(path).startswith(allowed)
