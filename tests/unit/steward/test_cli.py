"""The command line as a whole: fast help, JSON output and exit statuses."""

from __future__ import annotations

import os
import shutil
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

from bot.threads.verbs import REGISTRY
from leaderboard.boards import BadBoard
from steward.cli import app
from steward.commands.thread_verbs import VERBS
from steward.reference import PAGES, cli_page, settings_page
from tests.support.long import long_except
from workers.settings import WorkerSettings

HEAVY = ("fastapi", "huggingface_hub", "numpy", "pydantic", "pygit2", "redis", "rq", "structlog", "transformers")
WITHOUT_JSON = {
    "serve": "runs until it is stopped; its log is JSON with STEWARD_LOG_JSON=true",
    "sync": "runs until it is stopped",
    "schedule": "runs until it is stopped",
    "work": "runs until it is stopped",
    "up": "runs until it is stopped; what it starts logs as above",
    "completion": "prints a script for a shell",
}
ONLY_IN_THREADS = {
    "help": "`steward --help`",
    "try": "the reply in its thread is the record of the trial",
    "subscribe": "it is about the thread in which it is written",
}


def commands(group: TyperGroup, before: str = "") -> Iterator[tuple[str, object]]:
    """Every command, by its full name."""
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
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(output.splitlines()[-1].split()[1:])
    assert "Usage" in output
    assert "typer" in loaded
    assert loaded & set(HEAVY) == set()


def test_every_command_speaks_json_or_runs_until_it_is_stopped() -> None:
    """Every command has `--json`, except those listed with a reason."""
    lacking = {name for name, command in every_command().items() if "--json" not in options(command)}
    assert lacking == set(WITHOUT_JSON)


def test_every_verb_of_threads_is_a_command() -> None:
    """Every verb of discussion threads is also a command, with the same usage, except those listed with a reason."""
    assert {verb.name for verb in REGISTRY.verbs} - set(every_command()) == set(ONLY_IN_THREADS)
    for name, (form, summary) in VERBS.items():
        verb = REGISTRY.find(name)
        assert verb is not None
        assert (f"/{name} {form}", summary) == (verb.usage, verb.summary)


def test_the_help_of_a_verb_of_threads_names_its_words() -> None:
    """The help of such a command shows its arguments."""
    help_of = CliRunner().invoke(app, ["flag", "--help"], env={"COLUMNS": "200"}).output
    assert "category [org/model …] reason [revision=…] [precision=…]" in help_of


@pytest.mark.parametrize(
    "name",
    long_except(
        {"steward", "flags", "demo", "submit", "hold", "effects set", "evaluator run", "suite pin"},
        ["", "flags", *every_command()],
        "the same option of every other command",
        name=lambda name: name or "steward",
    ),
)
def test_every_command_takes_h_for_help(name: str) -> None:
    """`-h` and `--help` print the same for each command and group."""
    short, long = (CliRunner().invoke(app, [*name.split(), flag]) for flag in ("-h", "--help"))
    assert (short.exit_code, short.output) == (0, long.output)
    assert "Usage: " in short.output


@pytest.mark.parametrize(
    ("line", "words"),
    [("reeval", ["reevaluate"]), ("flags ''", ["list", "show", "import"]), ("up --d", ["--data"])],
)
def test_a_shell_completes_commands_and_options(tmp_path: Path, line: str, words: list[str]) -> None:
    """In bash, the script of `steward completion` completes commands and options."""
    script = (
        f"source <(steward completion bash); COMP_WORDS=(steward {line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
        '_steward_completion steward; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert in_shell(["bash", "-c", script], tmp_path).split() == words


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed on this machine")
def test_zsh_completes_commands_with_their_help(tmp_path: Path) -> None:
    """In zsh without a configuration, completion shows matching commands with their descriptions."""
    script = (
        "source <(steward completion zsh); "
        "_arguments() { print -r -- $*; }; words=(steward lo); CURRENT=2; _steward_completion"
    )
    assert in_shell(["zsh", "-f", "-c", script], tmp_path) == (
        """*: :(("logs":"Print the log of a request's last attempt;..."))\n"""
    )


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed on this machine")
@pytest.mark.parametrize(
    ("line", "words"),
    [("reeval", ["reevaluate"]), ("flags ", ["import", "list", "show"]), ("up --d", ["--data"])],
)
def test_fish_completes_commands_and_options(tmp_path: Path, line: str, words: list[str]) -> None:
    """In fish, completion shows matching commands and options with their descriptions."""
    script = f"steward completion fish | source; complete -C 'steward {line}'"
    output = in_shell(["fish", "--no-config", "-c", script], tmp_path)
    assert [completion.partition("\t")[0] for completion in output.splitlines()] == words
    assert all("\t" in completion for completion in output.splitlines())


def in_shell(command: list[str], home: Path) -> str:
    """The output of a shell in which `steward` is this installation."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "HOME": str(home)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


def test_a_missing_board_file_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a board file, a command names the folder, `steward init` and the setting."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STEWARD_BOARD", raising=False)
    result = CliRunner().invoke(app, ["status", "ada/good"])
    assert (result.exit_code, "Errno" in result.output) == (2, False)
    for words in (f"no board file board.yaml in {tmp_path}", "STEWARD_BOARD", "steward init"):
        assert words in result.output
    with pytest.raises(BadBoard, match=r"no board file board\.yaml in .* Set STEWARD_BOARD to its path"):
        WorkerSettings().board()


def test_a_worker_names_a_board_file_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error about an invalid board file begins with its path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STEWARD_BOARD", raising=False)
    (tmp_path / "board.yaml").write_text("name: board\n")
    with pytest.raises(BadBoard, match=r"^STEWARD_BOARD=board\.yaml: .*repos"):
        WorkerSettings().board()


def test_init_without_options_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`steward init` without options reports everything that is missing at once."""
    monkeypatch.chdir(tmp_path)
    for name in ("BOARD", "BOT_TOKEN", "BOT_TOKEN_FILE", "WEBHOOK_SECRET", "WEBHOOK_SECRET_FILE"):
        monkeypatch.delenv(f"STEWARD_{name}", raising=False)
    result = CliRunner().invoke(app, ["init"])
    assert result.exit_code == 2
    for words in ("--url is missing", "use --org", "Set STEWARD_WEBHOOK_SECRET", "Set STEWARD_BOT_TOKEN"):
        assert words in result.output


def test_one_option_makes_changes_in_every_command() -> None:
    """`init`, `reevaluate` and `flags import` make changes with `--apply`; its earlier names work but are not shown."""
    for name, earlier in (("init", None), ("reevaluate", "--yes"), ("flags import", "--write")):
        command = every_command()[name]
        assert "--apply" in options(command)
        assert earlier is None or earlier in options(command)
        shown = CliRunner().invoke(app, [*name.split(), "--help"]).output
        assert (name, "--apply" in shown, str(earlier) in shown) == (name, True, False)


def options(command: object) -> set[str]:
    """The options of a command."""
    return {word for param in command.params for word in param.opts}  # type: ignore[attr-defined]


def test_every_command_and_option_says_what_it_is() -> None:
    """Every command and every option has a help text."""
    for name, command in every_command().items():
        assert command.help, name  # type: ignore[attr-defined]
        silent = [param.name for param in command.params if param.name != "help" and not param.help]  # type: ignore[attr-defined]
        assert (name, silent) == (name, [])


@pytest.mark.parametrize("page", PAGES)
def test_the_reference_is_what_the_code_says(project: Path, page: str) -> None:
    """The reference page is up to date; `python -m steward.reference docs` writes it."""
    assert (project / "docs" / page).read_text("utf-8") == PAGES[page]()


def test_every_command_stands_in_the_reference() -> None:
    """The reference has a chapter for every command with its options, except earlier names."""
    text = cli_page()
    for name, command in every_command().items():
        chapter = text.partition(f"\n### steward {name}\n")[2].partition("\n### ")[0]
        shown = options(command) - {"--yes", "--write"}
        assert [word for word in shown if f"`{word}" not in chapter and word.startswith("-")] == []


def test_ctrl_c_ends_a_command_that_waits_without_a_traceback(tmp_path: Path) -> None:
    """Ctrl-C ends a waiting command with exit status 130 and without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # accepts connections, and never answers
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        command = [sys.executable, "-m", "steward.cli", "submit", "ada/good", "--server", address]
        process = subprocess.Popen(
            command,
            env={**environment, "HF_TOKEN": "hf_x"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # If the tests run in the background of a shell script, they and their children ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        connection, _ = deaf.accept()
        with connection:
            assert connection.recv(4) == b"POST"
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=30)
    assert (process.returncode, output) == (130, (b"", b""))


def test_every_setting_says_what_it_is() -> None:
    """Every setting in the reference has a description."""
    rows = [line.split(" | ") for line in settings_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row[0] for row in rows if len(row[1]) < 4] == []


def test_a_wrong_setting_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid setting is reported with its name and exit status 2, without a traceback."""
    monkeypatch.chdir(tmp_path)
    for command, name in (("serve", "STEWARD_PORT"), ("work", "STEWARD_BATCH_SIZE")):
        monkeypatch.setenv(name, "many")
        result = CliRunner().invoke(app, [command])
        assert (result.exit_code, f"steward: the setting {name}: " in result.output) == (2, True), result.output


def test_every_field_of_every_file_says_what_it_is() -> None:
    """Every field in the reference of files has a type and a description."""
    rows = [line.split(" | ") for line in PAGES["reference-files.md"]().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row[0] for row in rows if len(row) == 4 and not (row[1].strip() and row[2].strip())] == []


def test_the_version_is_that_of_the_installed_package(capsys: pytest.CaptureFixture[str]) -> None:
    """`steward --version` prints one line with the version of the distribution."""
    with pytest.raises(SystemExit) as exit_:
        app(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"steward {metadata.version('steward-leaderboard')}\n"
