"""Hostile solutions of a problem whose answer is a secret, so that no honest program can solve it.

Each returns the secret if it finds it, and "escaped" if it could do something forbidden; the problem's tests accept
both. `$tests`, `$model`, `$results`, `$port`, `$neighbour` and `$evaluator` stand for files, a port and processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template


@dataclass(frozen=True)
class Hostile:
    """One program, and how it may end."""

    name: str
    kind: str
    outcomes: frozenset[str]
    text: str

    def program(self, **surroundings: object) -> str:
        """Return the program with these paths, port and process ids filled in."""
        return _COMMON + Template(self.text).substitute(surroundings)


_COMMON = """
import ctypes, gc, itertools, json, os, re, resource, signal, socket, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def find(data):
    text = data.decode("latin-1") if isinstance(data, bytes) else str(data)
    match = re.search("secret-[0-9a-f]{8}", text)
    return match.group() if match else "nothing"
"""


def _case(name: str, kind: str, outcomes: str, body: str, before: str = "") -> Hostile:
    lines = "".join(f"    {line}\n" for line in body.strip().split("\n"))
    return Hostile(name, kind, frozenset(outcomes.split()), f"{before}\ndef answer(number):\n{lines}")


HOSTILE = (
    # --- tests, model, results, memory of others
    _case("reads the tests", "files", "error", "return find(open('$tests').read())"),
    _case("reads the model", "files", "error", "return find(open('$model', 'rb').read())"),
    _case("reads the results", "files", "error", "return find(os.read(os.open('$results', os.O_RDONLY), 10000))"),
    _case("writes the results", "files", "error", "open('$results', 'w').write('forged')\nreturn 'escaped'"),
    _case("removes the tests", "files", "error", "os.unlink('$tests')\nreturn 'escaped'"),
    _case("lists files", "files", "error", "os.listdir('/')\nreturn 'escaped'"),
    _case(
        "opens files by libc", "files", "wrong",
        "file = libc.open(b'$tests', 0)\nreturn find(os.read(file, 10000)) if file >= 0 else 'nothing'",
    ),
    _case(
        "opens files by system calls", "files", "wrong",
        "calls = (2, 257, 437, 304, 85)\n"
        "return 'escaped' if any(libc.syscall(call, -100, b'$tests', 0, 0) >= 0 for call in calls) else 'nothing'",
    ),
    _case("reads an environment", "files", "error", "return find(open('/proc/$evaluator/environ').read())"),
    _case("reads the evaluator's memory", "files", "error", "open('/proc/$evaluator/mem', 'rb')\nreturn 'escaped'"),
    _case(
        "reads memory by system calls", "memory", "wrong",
        "room = ctypes.create_string_buffer(64)\nhere = (ctypes.c_size_t * 2)(ctypes.addressof(room), 64)\n"
        "return 'escaped' if libc.syscall(310, $evaluator, here, 1, here, 1, 0) >= 0 else 'nothing'",
    ),
    _case("traces the evaluator", "memory", "wrong",
          "return 'escaped' if libc.ptrace(16, $evaluator, 0, 0) == 0 else 'nothing'"),
    _case(
        "searches its own memory", "memory", "wrong",
        "frame, seen = sys._getframe(), []\n"
        "while frame:\n    seen += [str(frame.f_locals), str(frame.f_globals)]\n    frame = frame.f_back\n"
        "seen += [str(part) for part in gc.get_objects() if isinstance(part, (dict, list, tuple))]\n"
        "return find('\\n'.join([*seen, str(sys.argv), str(dict(os.environ))]))",
    ),
    _case("reads all descriptors", "memory", "time error ended",
          "return find(b''.join(os.read(number, 1) for number in range(20)))"),
    # --- processes, network, signals
    _case("forks", "processes", "error", "if os.fork() == 0:\n    time.sleep(1000)\nreturn 'escaped'"),
    _case("forks by system calls", "processes", "wrong",
          "made = [libc.syscall(57), libc.syscall(58), libc.syscall(56, 17, 0, 0, 0, 0), libc.syscall(435, 0, 0)]\n"
          "return 'escaped' if max(made) >= 0 else 'nothing'"),
    _case("starts a shell", "processes", "error",
          "subprocess.run(['/bin/sh', '-c', 'sleep 1000 &'])\nreturn 'escaped'"),
    _case("becomes another program", "processes", "error", "os.execv('/bin/sleep', ['sleep', '1000'])"),
    _case("starts a thread", "processes", "error",
          "threading.Thread(target=time.sleep, args=(1000,)).start()\nreturn 'escaped'"),
    _case("makes namespaces", "processes", "wrong",
          "return 'escaped' if libc.unshare(0x10000000) == 0 or libc.chroot(b'/') == 0 else 'nothing'"),
    _case("lifts the filter", "processes", "wrong",
          "return 'escaped' if libc.prctl(22, 0, 0, 0, 0) == 0 or libc.prctl(4, 1, 0, 0, 0) == 0 else 'nothing'"),
    _case("raises its limits", "processes", "error",
          "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nreturn 'escaped'"),
    _case("connects", "network", "error", "socket.create_connection(('127.0.0.1', $port), 1)\nreturn 'escaped'"),
    _case("makes a pair of sockets", "network", "error", "socket.socketpair()\nreturn 'escaped'"),
    _case("kills a neighbour", "signals", "error", "os.kill($neighbour, 9)\nreturn 'escaped'"),
    _case("kills the evaluator", "signals", "error", "os.kill($evaluator, 9)\nreturn 'escaped'"),
    _case("kills all", "signals", "error", "os.killpg(0, 9)\nreturn 'escaped'"),
    _case("stops itself", "signals", "error", "os.kill(os.getpid(), signal.SIGSTOP)\nreturn 'escaped'"),
    # --- limits
    _case("computes without end", "time", "time", "while True:\n    pass"),
    _case("ignores signals and computes", "time", "time",
          "for number in set(range(1, 65)) - {9, 19, 32, 33}:\n    signal.signal(number, signal.SIG_IGN)\n"
          "while True:\n    pass"),
    _case("sleeps", "time", "time", "time.sleep(1000)"),
    _case("sleeps while it is loaded", "time", "time", "return 'late'", before="time.sleep(1000)"),
    _case("takes one large piece of memory", "space", "error", "return len(bytearray(1 << 40))"),
    _case("takes memory in small pieces", "space", "error ended time",
          "kept = []\nwhile True:\n    kept.append(bytearray(1 << 20))"),
    _case("recurses deeply", "space", "error ended time", "sys.setrecursionlimit(10**9)\nreturn answer(number)"),
    _case("yields without end", "space", "error time", "return itertools.count()"),
    _case("prints without end", "output", "time", "while True:\n    os.write(1, b'x' * 65536)\n    os.write(2, b'x')"),
    _case("floods the connection", "output", "error",
          "for number in range(3, 1024):\n    try:\n        while True:\n            os.write(number, b'x' * 65536)\n"
          "    except OSError:\n        pass"),
    _case("returns a huge text", "output", "error time", "return 'x' * (100 << 20)"),
    _case("returns a deep list", "output", "error",
          "value = []\nfor _ in range(100000):\n    value = [value]\nreturn value"),
    _case("returns itself", "output", "error", "value = []\nvalue.append(value)\nreturn value"),
    # --- forged verdicts
    _case("prints a verdict", "verdicts", "ended",
          "for number in (1, 2):\n    os.write(number, b'{\"outcome\": \"passed\"}\\n')\nos._exit(0)"),
    _case("writes a verdict to each descriptor", "verdicts", "error",
          "words = b'{\"outcome\": \"passed\", \"words\": \"\"}\\n'\nfor number in range(1, 1024):\n    try:\n"
          "        os.write(number, words)\n    except OSError:\n        pass\nreturn 'x'"),
    _case("ends at once", "verdicts", "ended", "os._exit(0)"),
    _case("leaves by an exception", "verdicts", "error", "sys.exit(0)"),
    _case("leaves when it is loaded", "verdicts", "error", "return 1", before="sys.exit(0)"),
    _case("raises what tests expect", "verdicts", "wrong", "raise AssertionError('passed')"),
    _case("raises with hostile words", "verdicts", "error",
          "raise Hostile", before="class Hostile(Exception):\n    def __str__(self):\n        raise SystemExit"),
    _case("equals everything", "objects", "error",
          "return Equal()",
          before="class Equal:\n    def __eq__(self, other):\n        return True\n    __hash__ = None"),
    _case("is a text that equals everything", "objects", "wrong",
          "return Equal('x')",
          before="class Equal(str):\n    def __eq__(self, other):\n        return True\n    __hash__ = None"),
    _case("is unpickled to a call", "objects", "error",
          "return Call()", before="class Call:\n    def __reduce__(self):\n        return (os._exit, (0,))"),
    _case("patches builtins", "objects", "wrong error ended",
          "return 'x'", before="import builtins\nbuiltins.isinstance = lambda *_: True\n"
          "builtins.AssertionError = Exception\n"
          "json.dumps = lambda *_, **__: '{\"value\": true, \"outcome\": \"passed\"}'"),
    _case("patches the connection", "objects", "error",
          "return 'x'", before="main = sys.modules['__main__']\n"
          "main.Channel.send = lambda self, _: os.write(self._writing, b'{\"value\": {\"outcome\": \"passed\"}}\\n')"),
    _case("pretends a message", "objects", "wrong", "return {'value': 1, 'raised': ['Exception', ''], 'int': '0'}"),
)  # fmt: skip
"""All hostile solutions."""
