"""The command blocks of documents: reads them with their directives, and runs them in a sandbox.

A block is run unchanged unless a comment right before it says otherwise:

    <!-- not run: REASON -->
    <!-- run: CLAUSE; CLAUSE -->   with these clauses:
        exit 1                     its exit status must be 1
        again until TEXT           it is repeated until its output contains TEXT
        background until TEXT      it keeps running; the next block starts once its output contains TEXT
        in place of the last       first, Ctrl-C ends the last program in the background

In a `console` block, a line after `$ ` is a command, which a line after `> ` continues. The output must contain the
other lines in this order; `…` stands for any text.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

LANGUAGES = ("bash", "console", "sh", "shell")
COMMENT = re.compile(r"^<!-- (not run|run): (.*?) -->$", re.DOTALL)
CLAUSE = re.compile(r"(exit) (\d+)|(again until|background until) (.+)|(in place of the last)")
LOOKS_TYPED = re.compile(r"^(\$ |steward |make |pip |python |curl |docker |export )", re.MULTILINE)
PATIENCE = 900.0
"""Seconds that one block may take, or may need until it prints an expected word."""


class Unreadable(AssertionError):
    """A comment or a block of a page breaks the rules above."""


@dataclass(frozen=True)
class Block:
    """One fenced block of commands; `line` is the number of its first line in the page."""

    page: str
    line: int
    language: str
    text: str
    reason: str = ""
    clauses: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def steps(self) -> list[tuple[str, list[str]]]:
        """The commands, each with the lines that its output must contain."""
        if self.language != "console":
            return [(self.text, [])]
        steps: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif line.startswith("> ") and steps and not steps[-1][1]:
                steps[-1] = (f"{steps[-1][0]}\n{line[2:]}", [])
            elif line.strip() and steps:
                steps[-1][1].append(line)
        return steps


def blocks(path: Path, root: Path) -> Iterator[Block]:
    """Yield the command blocks of the page at `path`. Raises Unreadable."""
    page = str(path.relative_to(root))
    output: tuple[str, str] | None = None
    for token in MarkdownIt("commonmark").parse(path.read_text("utf-8")):
        if token.type == "html_block" and (comment := COMMENT.match(token.content.strip())):
            output = comment[1], " ".join(comment[2].split())
            continue
        if token.type == "fence":
            line = (token.map or [0])[0] + 1
            language = token.info.partition(" ")[0]
            if language in LANGUAGES:
                yield _block(page, line, language, token.content, output)
            elif output is not None or (language in ("", "text") and LOOKS_TYPED.search(token.content)):
                raise Unreadable(f"{page}:{line}: commands stand in sh, bash or console blocks, and only those are run")
        if output is not None and token.type not in ("list_item_open", "bullet_list_open", "ordered_list_open"):
            if token.type != "fence":
                raise Unreadable(f"{page}: {output} stands before no block")
            output = None


def _block(page: str, line: int, language: str, text: str, output: tuple[str, str] | None) -> Block:
    if output is None:
        return Block(page, line, language, text)
    if output[0] == "not run":
        return Block(page, line, language, text, reason=output[1])
    clauses = {}
    for clause in output[1].split("; "):
        parts = CLAUSE.fullmatch(clause)
        if parts is None:
            raise Unreadable(f"{page}:{line}: {clause!r} is none of the clauses")
        clauses[parts[1] or parts[3] or parts[5]] = parts[2] or parts[4] or ""
    return Block(page, line, language, text, clauses=clauses)


class Sandbox:
    """A folder and a shell for one page: variables and working folder last from block to block."""

    def __init__(self, folder: Path, settings: Mapping[str, str], stands_for: Mapping[str, str]) -> None:
        self.folder = folder
        self._stands_for = stands_for
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**kept, "PATH": tools, "COLUMNS": "120", "NO_COLOR": "1", **settings}
        self._shell = folder / ".shell"
        self._shell.write_text(f"cd {folder}\n", "utf-8")
        self._running: list[tuple[subprocess.Popen[bytes], Path]] = []

    def run(self, block: Block) -> None:
        """Run `block`. Raises AssertionError with the output if the outcome differs from what the page says."""
        terminal = self._shell
        if "in place of the last" in block.clauses:
            process, log = self._running.pop()
            self._interrupt(process, log)
            terminal = log.with_suffix(".shell")
        for typed, seen in block.steps:
            for words, other in self._stands_for.items():
                typed = typed.replace(words, other)
            if word := block.clauses.get("background until"):
                self._begin(block, typed, word, terminal)
            else:
                self._type(block, typed, seen)

    def _type(self, block: Block, typed: str, seen: list[str]) -> None:
        expected, deadline = int(block.clauses.get("exit", "0")), time.monotonic() + PATIENCE
        word = block.clauses.get("again until", "")
        while True:
            script = f'set -eo pipefail\n. {self._shell}\n{typed}\n{{ export -p; echo cd "$PWD"; }} > {self._shell}\n'
            status, output = self._wait(script)
            if word in output or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        transcript = f"{block}\n$ {typed}\n{output}\n(exit status {status}){self._beside()}"
        assert word in output, f"never output {word!r}: {transcript}"
        assert status == expected, transcript
        missing = unseen(seen, output)
        assert missing is None, f"the page shows {missing!r}, which was not output: {transcript}"

    def _wait(self, script: str) -> tuple[int, str]:
        """Run a script to its end, and return its status and output; stop it and its children after PATIENCE."""
        with subprocess.Popen(
            ["bash", "-c", script],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGTERM)
                output, _ = process.communicate(timeout=60)
                raise AssertionError(f"took too long: {script}\n{output.decode('utf-8', 'replace')}") from None
        return process.returncode, output.decode("utf-8", "replace")

    def _begin(self, block: Block, typed: str, word: str, terminal: Path) -> None:
        """Run `typed` in the background, with the variables and the folder that the file `terminal` has now."""
        log = self.folder / f".output-{len(list(self.folder.glob('.output-*.log')))}.log"
        known = log.with_suffix(".shell")
        known.write_text(terminal.read_text("utf-8"), "utf-8")
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", f". {known}\n{typed}"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_enable_ctrl_c,
            )
        self._running.append((process, log))
        deadline = time.monotonic() + PATIENCE
        while word not in log.read_text("utf-8", "replace"):
            assert process.poll() is None, f"{block}\n$ {typed}\nended: {log.read_text('utf-8', 'replace')}"
            assert time.monotonic() < deadline, f"{block} never output {word!r}: {log.read_text('utf-8', 'replace')}"
            time.sleep(0.05)

    def _beside(self) -> str:
        """Return the end of the output of each background program."""
        return "".join(f"\n--- beside it:\n{log.read_text('utf-8', 'replace')[-3_000:]}" for _, log in self._running)

    def _interrupt(self, process: subprocess.Popen[bytes], log: Path) -> None:
        """Send Ctrl-C as a terminal does. Raises AssertionError if the program does not end cleanly."""
        os.killpg(process.pid, signal.SIGINT)  # a terminal signals every process in it
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"goes on after Ctrl-C: {log.read_text('utf-8', 'replace')}") from None
        words = log.read_text("utf-8", "replace")
        ended = status in (0, 130, -signal.SIGINT)  # a shell reports the last of these as 130
        assert (ended, "Traceback" in words) == (True, False), f"ended with {status}: {words}"

    def close(self) -> None:
        """Send Ctrl-C to all background programs, the last one first."""
        while self._running:
            self._interrupt(*self._running.pop())

    def kill(self) -> None:
        """Kill all background programs."""
        for process, _ in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._running.clear()


def _enable_ctrl_c() -> None:
    """Handle Ctrl-C in the child, before exec: shells make their background programs ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def unseen(shown: list[str], output: str) -> str | None:
    """Return the first line of `shown` that `output` does not contain after the lines before it, or None."""
    lines = iter(output.splitlines())
    for line in shown:
        parts = map(re.escape, re.split(r"\s*…\s*", " ".join(line.split())))
        pattern = re.compile(".*".join(parts))
        if not any(pattern.fullmatch(" ".join(candidate.split())) for candidate in lines):
            return line
    return None
