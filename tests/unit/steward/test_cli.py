"""The command line as a whole: the cost of its help, commands with JSON, and exit statuses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from steward.cli import app
from steward.reference import PAGES, cli_page, settings_page

HEAVY = ("fastapi", "huggingface_hub", "numpy", "pydantic", "pygit2", "redis", "rq", "structlog", "transformers")
WITHOUT_JSON = {
    "serve": "runs until it is stopped; its log is JSON with STEWARD_LOG_JSON=true",
    "sync": "runs until it is stopped",
    "schedule": "runs until it is stopped",
    "work": "runs until it is stopped",
    "up": "runs until it is stopped; what it starts logs as above",
}


def commands(group: TyperGroup, before: str = "") -> Iterator[tuple[str, object]]:
    """Every command, by its words."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def every_command() -> dict[str, object]:
    """The commands of `steward`."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    return dict(commands(root))


def test_the_help_loads_nothing_heavy() -> None:
    """`steward --help` is fast, because it imports nothing that only running commands need."""
    code = (
        "import sys, runpy; sys.argv = ['steward', '--help']\n"
        "try: runpy.run_module('steward.cli', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(said.splitlines()[-1].split()[1:])
    assert "Usage" in said
    assert "typer" in loaded
    assert loaded & set(HEAVY) == set()


def test_every_command_speaks_json_or_runs_until_it_is_stopped() -> None:
    """Every command has --json, except those named here with a reason."""
    lacking = {name for name, command in every_command().items() if "--json" not in options(command)}
    assert lacking == set(WITHOUT_JSON)


def options(command: object) -> set[str]:
    """The options of a command."""
    return {word for param in command.params for word in param.opts}  # type: ignore[attr-defined]


def test_every_command_and_option_says_what_it_is() -> None:
    """Help that a person can follow: no command without a sentence, no option without words."""
    for name, command in every_command().items():
        assert command.help, name  # type: ignore[attr-defined]
        silent = [param.name for param in command.params if param.name != "help" and not param.help]  # type: ignore[attr-defined]
        assert (name, silent) == (name, [])


@pytest.mark.parametrize("name", ["cli", "files", "settings"])
def test_the_reference_is_what_the_code_says(project: Path, name: str) -> None:
    """The page is current; python -m steward.reference docs writes it again."""
    page = f"reference-{name}.md"
    assert (project / "docs" / page).read_text("utf-8") == PAGES[page]()


def test_every_command_stands_in_the_reference() -> None:
    """With each of its options."""
    text = cli_page()
    for name, command in every_command().items():
        chapter = text.partition(f"\n### steward {name}\n")[2].partition("\n### ")[0]
        assert [word for word in options(command) if f"`{word}" not in chapter and word.startswith("-")] == []


def test_ctrl_c_ends_a_command_that_waits_without_a_traceback(tmp_path: Path) -> None:
    """The exit status is 130, and standard error has no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections, and never answers
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        command = [sys.executable, "-m", "steward.cli", "submit", "ada/good", "--server", address]
        process = subprocess.Popen(
            command,
            env={**kept, "HF_TOKEN": "hf_x"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Where the tests run in the background of a shell's script, Ctrl-C is ignored, by children too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        connection, _ = deaf.accept()
        with connection:
            assert connection.recv(4) == b"POST"
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, (b"", b""))


def test_every_setting_says_what_it_is() -> None:
    """No row of the table of settings is empty."""
    rows = [line.split(" | ") for line in settings_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row[0] for row in rows if len(row[1]) < 4] == []


def test_a_wrong_setting_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence with the variable, no traceback: exit status 2, for the bot and for a worker."""
    monkeypatch.chdir(tmp_path)
    for command, name in (("serve", "STEWARD_PORT"), ("work", "STEWARD_BATCH_SIZE")):
        monkeypatch.setenv(name, "many")
        found = CliRunner().invoke(app, [command])
        assert (found.exit_code, f"steward: the setting {name}: " in found.output) == (2, True), found.output


def test_every_field_of_every_file_says_what_it_is() -> None:
    """No row of the tables of fields is without a meaning and a kind."""
    rows = [line.split(" | ") for line in PAGES["reference-files.md"]().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row[0] for row in rows if len(row) == 4 and not (row[1].strip() and row[2].strip())] == []


def test_the_version_is_that_of_the_installed_package(capsys: pytest.CaptureFixture[str]) -> None:
    """`steward --version` prints one line with the version of the distribution."""
    with pytest.raises(SystemExit) as exit_:
        app(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"steward {metadata.version('steward')}\n"
