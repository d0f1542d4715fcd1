"""`steward up` reads its settings first: which processes run with which secrets, and what ends it at once."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.core.settings import BotSettings, SettingsError
from redis_state.stopping import Stop
from steward.cli import app
from steward.commands.up import parts
from steward.exit_statuses import MISCONFIGURED
from steward.new_board import NewBoardOptions
from steward.supervisor import SupervisedProcess
from steward.valkey import free_port

JOBS = "{kind: jobs, namespace: n, flavor: cpu-basic, image: i}"


def test_each_process_gets_its_own_secrets_and_no_other() -> None:
    """`up` gives each process only the tokens and secrets that it needs: the web server gets no token of the Hub."""
    secrets = ("STEWARD_BOT_TOKEN", "STEWARD_WEBHOOK_SECRET_FILE", "OAUTH_CLIENT_SECRET", "STEWARD_WORKER_TOKEN_FILE")
    more = ("STEWARD_MODEL_PR_TOKEN", "HF_TOKEN")
    environment = {**dict.fromkeys((*secrets, *more), "x"), "PATH": "/bin"}
    variables = {part.name: sorted(part.environment) for part in parts(environment, worker=True)}
    assert variables == {
        "serve": ["OAUTH_CLIENT_SECRET", "PATH", "STEWARD_WEBHOOK_SECRET_FILE"],
        "sync": ["PATH", "STEWARD_BOT_TOKEN", "STEWARD_MODEL_PR_TOKEN"],
        "work": ["PATH", "STEWARD_WORKER_TOKEN_FILE"],
    }
    assert [part.name for part in parts(environment, worker=False)] == ["serve", "sync"]
    (sync,) = [part for part in parts(environment, worker=False, backends=True) if part.name == "sync"]
    own = {"STEWARD_BOT_TOKEN", "STEWARD_MODEL_PR_TOKEN", "STEWARD_WEBHOOK_SECRET_FILE", "STEWARD_WORKER_TOKEN_FILE"}
    assert sync.environment.keys() == own | {"PATH"}


@pytest.mark.parametrize(
    ("lines", "address", "names"),
    [
        (("REDIS_URL=redis://queue.example/0", "STEWARD_WORKER_TOKEN=hf_gpu"), "", ["serve", "sync", "work"]),
        ((), "redis://own.example/0", ["serve", "sync"]),
    ],
)
def test_settings_in_the_env_file_count_like_environment_variables(
    lines: tuple[str, ...], address: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue server in `.env` is used, and a worker starts if `.env` has its token."""

    class Own:
        """A queue server that `up` would start."""

        url = "redis://own.example/0"

        def revive(self) -> None:
            """Do nothing."""

        def __enter__(self) -> Own:
            return self

        def __exit__(self, *_: object) -> None:
            """Release nothing."""

    started: list[SupervisedProcess] = []
    monkeypatch.setattr("steward.supervisor.Supervisor.run", lambda self, _: started.extend(self.parts) or 0)
    monkeypatch.setattr("steward.valkey.locked", lambda *_: Own())
    monkeypatch.setattr("redis_state.stopping.stop_on", lambda *_: Stop())
    for name in ("REDIS_URL", "REDIS_URL_FILE", "STEWARD_WORKER_TOKEN", "STEWARD_WORKER_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    board = NewBoardOptions("fresh", "d", "Fresh").board_text(["a1"])
    (tmp_path / "board.yaml").write_text(board)
    fixed = ("STEWARD_BOT_TOKEN=hf_bot", "STEWARD_WEBHOOK_SECRET=s", "STEWARD_PORT=0")
    (tmp_path / ".env").write_text("\n".join((*fixed, *lines)))
    result = CliRunner().invoke(app, ["up", "--data", str(tmp_path / "data")])
    assert result.exit_code == 0, result.output
    assert [(part.name, part.environment.get("REDIS_URL", "")) for part in started] == [
        (name, address) for name in names
    ]


@pytest.mark.parametrize("command", ["up", "serve"])
def test_a_taken_port_ends_the_command_at_once(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valkey_url: str
) -> None:
    """If the port is taken, the command exits with a sentence that names it and the setting, and starts no process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("redis_state.stopping.stop_on", lambda *_: Stop())
    monkeypatch.setattr("steward.supervisor.Supervisor.run", lambda *_: pytest.fail("a process was started"))
    monkeypatch.setattr("bot.processes.web_app.run", lambda *_: pytest.fail("the server was started"))
    (tmp_path / "board.yaml").write_text(NewBoardOptions("fresh", "d", "Fresh").board_text([]))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = {"BOT_TOKEN": "hf_bot", "WEBHOOK_SECRET": "s", "BOARD": "board.yaml", "PORT": str(port)}
        for name, value in settings.items():
            monkeypatch.setenv(f"STEWARD_{name}", value)
        monkeypatch.setenv("REDIS_URL", valkey_url)
        result = CliRunner().invoke(app, [command])
    assert result.exit_code == MISCONFIGURED, result.output
    assert result.output.startswith(f"steward: Port {port} of 127.0.0.1 is taken: ")
    assert "STEWARD_PORT" in result.output


def test_an_address_of_another_machine_is_told_of() -> None:
    """If the server cannot listen at the configured address, the error names the address and the setting."""
    settings = BotSettings(host="203.0.113.9", port=7860)
    with pytest.raises(SettingsError, match=r"cannot listen at 203\.0\.113\.9:7860: .* Set STEWARD_HOST"):
        settings.require_free_port()


def test_folders_with_our_names_are_no_modules(tmp_path: Path) -> None:
    """A folder `hub` in the working folder, such as a localhub's data, is not imported."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "__init__.py").write_text("")
    (part, *_) = parts({}, worker=False)
    python = part.arguments[: part.arguments.index("-m")]
    imported = subprocess.check_output([*python, "-c", "import hub; print(hub.__file__)"], cwd=tmp_path, text=True)
    assert not Path(imported.strip()).is_relative_to(tmp_path)


@pytest.mark.parametrize(
    ("backends", "settings", "words", "has_worker"),
    [
        ("", {}, (), True),
        (f"{{small: {JOBS}, medium: {JOBS}, large: {JOBS}}}", {}, (), False),
        (f"{{small: {JOBS}, medium: {JOBS}, large: {JOBS}}}", {}, ("--worker",), True),
        (f"{{large: {JOBS}}}", {}, (), True),
        (f"{{large: {JOBS}}}", {}, ("--no-worker",), False),
        (f"{{large: {JOBS}}}", {"TIERS": "large"}, (), False),
    ],
)
def test_a_token_that_jobs_need_starts_no_worker_of_its_own(
    backends: str,
    settings: dict[str, str],
    words: tuple[str, ...],
    has_worker: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If Jobs run all tiers of this machine's worker, `up` starts no worker and says so; an option overrides this."""
    started: list[SupervisedProcess] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("redis_state.stopping.stop_on", lambda *_: Stop())
    monkeypatch.setattr("steward.supervisor.Supervisor.run", lambda self, _: started.extend(self.parts) or 0)
    board = NewBoardOptions("fresh", "d", "Fresh").board_text([])
    (tmp_path / "board.yaml").write_text(board + (f"backends: {backends}\n" if backends else ""))
    fixed = {"BOT_TOKEN": "hf_bot", "WEBHOOK_SECRET": "s", "BOARD": "board.yaml", "PORT": "0", "WORKER_TOKEN": "hf_gpu"}
    for name, value in {**fixed, "PUBLIC_URL": "https://board.example", **settings}.items():
        monkeypatch.setenv(f"STEWARD_{name}", value)
    monkeypatch.setenv("REDIS_URL", "redis://own.example/0")
    result = CliRunner().invoke(app, ["up", *words])
    assert result.exit_code == 0, result.output
    assert ("work" in {part.name for part in started}) is has_worker
    assert ("without a worker" in result.stderr) is not has_worker
    assert ("backends take the tiers" in result.stderr) is not has_worker


def test_a_backend_without_what_it_needs_ends_the_command_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valkey_url: str
) -> None:
    """If a setting that a backend needs is missing, `up` exits with an error that names it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("redis_state.stopping.stop_on", lambda *_: Stop())
    monkeypatch.setattr("steward.supervisor.Supervisor.run", lambda *_: 0)
    (tmp_path / "board.yaml").write_text(
        NewBoardOptions("fresh", "d", "Fresh").board_text([]) + f"backends: {{small: {JOBS}}}\n"
    )
    settings = {"BOT_TOKEN": "hf_bot", "WEBHOOK_SECRET": "s", "BOARD": "board.yaml", "PORT": str(free_port())}
    for name, value in settings.items():
        monkeypatch.setenv(f"STEWARD_{name}", value)
    monkeypatch.setenv("REDIS_URL", valkey_url)
    for name, value in (("PUBLIC_URL", "https://board.example"), ("WORKER_TOKEN", "hf_gpu")):
        refused = CliRunner().invoke(app, ["up"])
        assert refused.exit_code == MISCONFIGURED and f"STEWARD_{name}" in refused.stderr, refused.output
        monkeypatch.setenv(f"STEWARD_{name}", value)
    assert CliRunner().invoke(app, ["up"]).exit_code == 0
