"""Dockerfile, compose.yaml, systemd units and the Space's front page, compared with the code that they run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import AliasChoices
from redis.asyncio import Redis as AsyncRedis
from typer.main import get_command

from bot.core.settings import BotSettings
from bot.intake.inbox import Inbox
from bot.web.health import health_routes
from leaderboard.boards import parse_board
from redis_state.keys import Keys
from steward.bot_space.wanted import PROXY_NETWORKS
from steward.cli import app
from tests.support.board.board_file import BOARD
from tests.support.board.model_pages import MODEL_PAGES
from workers.evaluation.task_requirements import SPLITTER, nltk_folders
from workers.settings import WorkerSettings

Services = dict[str, dict[str, Any]]
ROOT = Path(__file__).parents[3]
SYSTEMD = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "deploy" / "systemd").rglob("*.*") if path.is_file())


@pytest.fixture
def compose(project: Path) -> Services:
    """The services of compose.yaml."""
    services: Services = yaml.safe_load((project / "compose.yaml").read_text("utf-8"))["services"]
    return services


def commands() -> set[str]:
    """Every command of `steward`."""
    return set(get_command(app).commands)  # type: ignore[attr-defined]


@cache
def settings() -> frozenset[str]:
    """Every environment variable that the bot, workers or commands read."""
    names = set()
    for kind in (BotSettings, WorkerSettings):
        for name, field in kind.model_fields.items():
            alias = field.validation_alias
            names |= set(alias.choices) if isinstance(alias, AliasChoices) else {f"STEWARD_{name.upper()}"}
    for command in get_command(app).commands.values():  # type: ignore[attr-defined]
        names |= {option.envvar for option in command.params if isinstance(option.envvar, str)}
    return frozenset(map(str, names))


def test_every_package_is_in_the_image(project: Path) -> None:
    """The Dockerfile and .dockerignore include all packages of the wheel, not localhub; the bot is the last stage."""
    build = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    rooms = set(build["targets"]["wheel"]["packages"])
    dockerfile = (project / "Dockerfile").read_text("utf-8")
    assert set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE)) == rooms
    sent = re.findall(r"^!(.+)$", (project / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    copied = re.findall(r"^COPY ((?:[\w.]+ )+)\./$", dockerfile, re.MULTILINE)
    assert {*sent} == rooms | {"board.yaml", "suites"} | {name for names in copied for name in names.split()}
    stages = re.findall(r"^FROM \S+ AS ([\w-]+)$", dockerfile, re.MULTILINE)
    assert {"bot", "worker"} <= set(stages)
    assert stages[-1] == "bot"  # the stage that a Space builds
    assert dockerfile.count("USER 1000") == 2


NLTK = """
def download(name, folder):
    print(name, folder)
    return name != "unknown"
"""


@pytest.mark.parametrize(("names", "status"), [("", 0), ("punkt_tab", 0), ("punkt_tab averaged", 0), ("unknown", 1)])
def test_the_workers_image_gets_the_data_that_the_build_argument_names(
    project: Path, tmp_path: Path, names: str, status: int
) -> None:
    """The worker's build downloads the NLTK data named by the build argument to where workers look, or fails."""
    dockerfile = (project / "Dockerfile").read_text("utf-8").replace("\\\n", "")
    ((stage, line),) = re.findall(
        r"^FROM \S+ AS (build-worker)\n(?:(?!FROM).*\n)*?RUN (.*nltk.*)$", dockerfile, re.MULTILINE
    )
    assert f"COPY --from={stage} /opt/steward /opt/steward" in dockerfile
    (tmp_path / "nltk.py").write_text(NLTK)
    (tmp_path / "python3").symlink_to(sys.executable)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path), "NLTK": names}
    built = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True)
    folder = Path(
        subprocess.check_output([tmp_path / "python3", "-c", "import sys; print(sys.prefix)"], text=True).strip()
    )
    assert (built.returncode, built.stderr) == (status, "")
    assert built.stdout.splitlines() == [f"{name} {folder / 'nltk_data'}" for name in names.split()]
    assert Path(sys.prefix) / "nltk_data" in nltk_folders({})


def test_released_and_composed_workers_get_the_data_of_shipped_suites(project: Path, compose: Services) -> None:
    """The release builds with the data that `open-llm-v2` needs; compose takes both arguments from the environment."""
    release = (project / ".github" / "workflows" / "release.yml").read_text("utf-8")
    assert f"--build-arg NLTK={Path(SPLITTER).name} " in release
    named = set(re.findall(r"^ARG (\w+)=$", (project / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    assert {"ALSO", "NLTK"} == compose["worker"]["build"]["args"].keys() <= named


def test_each_service_runs_a_command_that_exists_with_its_own_secret(compose: Services) -> None:
    """Each service runs an existing command with only its own secrets; Redis is durable and evicts nothing."""
    run = {name: service["command"] for name, service in compose.items() if name != "redis"}
    assert run == {"web": ["serve"], "sync": ["sync"], "worker": ["work"], "steward": ["doctor"]}
    assert {word for words in run.values() for word in words} <= commands()
    held = {name: set(service["secrets"]) for name, service in compose.items() if name != "redis"}
    assert held == {
        "web": {"redis-url-web", "webhook-secret"},
        "sync": {"redis-url-sync", "bot-token"},
        "worker": {"redis-url-worker", "worker-token"},
        "steward": {"redis-url-sync", "bot-token", "webhook-secret"},
    }
    server = shlex.split(compose["redis"]["command"])
    options = dict(zip(server[1::2], server[2::2], strict=True))
    assert (options["--appendonly"], options["--maxmemory-policy"]) == ("yes", "noeviction")
    assert options["--aclfile"] in {f"/run/secrets/{secret}" for secret in compose["redis"]["secrets"]}


def test_the_token_for_models_pages_reaches_the_sync_process_alone(project: Path, compose: Services) -> None:
    """Only the sync process gets the token for models' pages, in compose and with systemd, and it is optional."""
    read = {name: [file["path"] for file in service.get("env_file", ())] for name, service in compose.items()}
    assert [name for name, paths in read.items() if "deploy/sync.env" in paths] == ["sync"]
    assert all(not file["required"] for service in compose.values() for file in service.get("env_file", ()))
    units = {file: (project / file).read_text("utf-8").splitlines() for file in SYSTEMD}
    (lines,) = [lines for lines in units.values() if any("model-pr-token" in line for line in lines)]
    assert lines is units["deploy/systemd/steward@sync.service.d/secrets.conf"]
    assert "LoadCredential=model-pr-token:/etc/steward/secrets/model-pr-token" in lines
    assert "SetCredential=model-pr-token:\\n" in lines, "without the file, systemd would not start the unit"


def backend_settings(project: Path) -> set[tuple[str, str]]:
    """The pairs of process and setting that docs/backends.md lists."""
    page = (project / "docs" / "backends.md").read_text("utf-8")
    rows = set(re.findall(r"^\| `steward (serve|sync)`[^|]* \| `(STEWARD_\w+)` \|", page, re.MULTILINE))
    assert len(rows) == 5
    return rows


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (
            ["deploy/systemd/steward@.service", "deploy/systemd/steward@{}.service.d/secrets.conf"],
            {"serve": "serve", "sync": "sync"},
        ),
        (["deploy/compose-backends.yaml"], {"serve": "web", "sync": "sync"}),
        (["deploy/kubernetes/{}.yaml"], {"serve": "web", "sync": "sync"}),
    ],
    ids=["systemd", "compose", "kubernetes"],
)
def test_each_setting_for_backends_is_named_where_its_process_gets_it(
    project: Path, files: list[str], names: dict[str, str]
) -> None:
    """Each setting for backends is mentioned in its process's file, possibly in a comment or without `_FILE`."""
    for process, setting in backend_settings(project):
        text = "".join((project / file.format(names[process])).read_text("utf-8") for file in files)
        assert setting.removesuffix("_FILE") in text, (process, setting)


@pytest.mark.parametrize("process", ["serve", "sync"])
def test_the_lines_for_backends_of_a_unit_fit_together(project: Path, process: str) -> None:
    """Once uncommented, each file that a setting names is a credential, and the process has all its settings."""
    text = (project / f"deploy/systemd/steward@{process}.service.d/secrets.conf").read_text("utf-8")
    lines = re.sub(r"^#(?=\w+=)", "", text, flags=re.MULTILINE).splitlines()
    loaded = {line.partition("=")[2].partition(":")[0] for line in lines if line.startswith("LoadCredential=")}
    named = dict(re.findall(r"^Environment=(\w+)=%d/(\S+)$", "\n".join(lines), re.MULTILINE))
    assert set(named.values()) == loaded - {"redis-url"}
    needed = {setting for of, setting in backend_settings(project) if of == process}
    assert needed - {"STEWARD_PUBLIC_URL"} <= named.keys() <= settings()


def test_compose_has_the_secrets_that_its_services_need_for_backends(project: Path, compose: Services) -> None:
    """Each file that a setting names is mounted; the operator's copy of the compose file is ignored by git."""
    text = (project / "deploy" / "compose-backends.yaml").read_text("utf-8")
    known = yaml.safe_load((project / "compose.yaml").read_text("utf-8"))["secrets"].keys()
    for name, service in yaml.safe_load(text)["services"].items():
        assert name in compose
        assert set(service["secrets"]) <= known
        assert {Path(file).name for file in service["environment"].values()} == set(service["secrets"])
    (copy,) = re.findall(r"^#   cp deploy/compose-backends\.yaml (\S+)$", text, re.MULTILINE)
    assert copy in (project / ".gitignore").read_text("utf-8").split()


def test_an_empty_token_for_models_pages_is_missed_only_where_it_is_needed(tmp_path: Path) -> None:
    """A process without a token for models' pages starts, unless the board has such pages."""
    (tmp_path / "token").write_text("\n")
    settings = BotSettings(model_pr_token_file=tmp_path / "token")
    assert settings.models_token(parse_board(BOARD)) == ""
    board = parse_board(BOARD.replace("effects: on", "effects: {model-pr: on, others: on}") + MODEL_PAGES)
    with pytest.raises(ValueError, match="is empty"):
        settings.models_token(board)


@pytest.mark.parametrize("name", ["web", "sync", "worker", "steward"])
def test_the_settings_of_a_service_are_read_as_they_are_meant(
    compose: Services, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the environment and files that compose gives a service, the settings find each of its secrets."""
    (tmp_path / "secrets").mkdir()
    for secret in compose[name]["secrets"]:
        (tmp_path / "secrets" / secret).write_text(f"the {secret}\n")
    monkeypatch.chdir(tmp_path)
    for variable in settings():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("STEWARD_BOARD", "/data/board.yaml")  # as the image says
    for variable, value in compose[name]["environment"].items():
        monkeypatch.setenv(variable, value.replace("/run/secrets", str(tmp_path / "secrets")))
    assert BotSettings().redis_url.startswith("the redis-url-")
    if name == "worker":
        assert WorkerSettings().token() == "the worker-token"
    if name in ("sync", "steward"):
        assert BotSettings().token() == "the bot-token"
    if name in ("web", "steward"):
        assert BotSettings().secrets() == ("the webhook-secret",)


@pytest.mark.parametrize(
    "file",
    [
        *("Dockerfile", "compose.yaml", "deploy/compose-backends.yaml", "deploy/space/README.md", "docs/deploying.md"),
        *("README.md", *SYSTEMD),
    ],
)
def test_every_setting_that_is_named_exists(project: Path, file: str) -> None:
    """Dockerfile, compose files, units and documentation name only settings that exist."""
    text = (project / file).read_text("utf-8")
    named = set(re.findall(r"\b(?:STEWARD_[A-Z_]+|REDIS_URL(?:_FILE)?)\b", text))
    assert named <= settings(), named - settings()


def test_each_unit_is_one_of_our_processes() -> None:
    """The name after the @ of each systemd unit is a command of Steward."""
    units = {re.findall(r"@(\w+)\.service", name)[0] for name in SYSTEMD if "@." not in name}
    assert units == {"serve", "sync", "schedule", "work"}
    assert units <= commands()


def test_compose_declares_what_its_services_use(project: Path, compose: Services) -> None:
    """Secrets and volumes of services are declared, and services that others wait for have a health check."""
    whole = yaml.safe_load((project / "compose.yaml").read_text("utf-8"))
    for service in compose.values():
        assert set(service.get("secrets", ())) <= set(whole["secrets"])
        named = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert {name for name in named if not name.startswith("./")} <= set(whole["volumes"])
        depends = service.get("depends_on", {})
        assert all("healthcheck" in compose[other] for other in depends)


def test_what_the_guides_put_into_the_checkout_is_not_committed(project: Path) -> None:
    """Files with tokens and board files, for compose and for Kubernetes, are ignored by git."""
    ignored = (project / ".gitignore").read_text("utf-8").split()
    compose = yaml.safe_load((project / "compose.yaml").read_text("utf-8"))
    plan = yaml.safe_load((project / "deploy" / "kubernetes" / "kustomization.yaml").read_text("utf-8"))
    generated = [file for each in plan["configMapGenerator"] + plan["secretGenerator"] for file in each["files"]]
    files = [Path(secret["file"]) for secret in compose["secrets"].values()]
    files += [Path("deploy/kubernetes", file) for file in generated]
    assert [file for file in files if not {str(file), f"{file.parent}/"} & set(ignored)] == []


def test_bot_and_worker_find_a_suite_file_by_the_same_path(project: Path, compose: Services) -> None:
    """A suite file where the guide puts it has the same path in all services, below their working folder."""
    page = (project / "docs" / "writing-a-suite.md").read_text("utf-8")
    ((file, suite),) = re.findall(r"^\| with compose \| `(\S+)` \| `(\S+)` \|$", page, re.MULTILINE)
    folders = set(re.findall(r"^WORKDIR (?!/src)(\S+)$", (project / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    for name in ("web", "sync", "steward", "worker"):
        mounts = (volume.removeprefix("./").split(":") for volume in compose[name]["volumes"])
        paths = {f"{inside}{file.removeprefix(here)}" for here, inside, *_ in mounts if file.startswith(here + "/")}
        assert paths == {f"{folder}/{suite}" for folder in folders}, name


def test_the_queue_servers_users_are_those_that_compose_mounts(
    project: Path, compose: Services, tmp_path: Path
) -> None:
    """make-users.sh writes each Redis file that compose mounts, with the right user and host."""
    subprocess.run([project / "deploy" / "redis" / "make-users.sh", "our-board", tmp_path], check=True)
    named = {secret for service in compose.values() for secret in service["secrets"]}
    ways = {secret for secret in named if secret.startswith("redis-url-")} | {"users.acl"}
    assert ways == {path.name for path in tmp_path.iterdir()}
    for way in ways - {"users.acl"}:
        role = way.removeprefix("redis-url-")
        address = (tmp_path / way).read_text()
        assert address.startswith(f"redis://steward-{role}:")
        assert address.strip().endswith("@redis:6379/0")  # the name of the service


def test_health_is_asked_where_the_web_server_tells_it(project: Path) -> None:
    """The image's health check requests a path that the web server has."""
    dockerfile = (project / "Dockerfile").read_text("utf-8")
    (path,) = re.findall(r"127\.0\.0\.1:\{os\.environ\['STEWARD_PORT'\]\}(/\w+)", dockerfile)
    keys = Keys("board")
    client = AsyncRedis()
    served = {getattr(route, "path", "") for route in health_routes(client, keys, Inbox(client, keys)).routes}
    assert path in served


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="no docker-compose here; it needs no engine for this")
def test_compose_reads_its_file(project: Path) -> None:
    """docker-compose accepts the file with each profile."""
    for profile in ("", "worker", "tools"):
        process = subprocess.run(
            ["docker-compose", "--profile", profile, "config", "--quiet"],
            cwd=project,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"]},
        )
        assert (process.returncode, process.stderr) == (0, "")


def test_alerts_join_figures_with_the_same_labels(project: Path) -> None:
    """Alerts with `and` or `unless` join only series with equal labels: all are aggregated, or none has labels."""
    rules = yaml.safe_load((project / "deploy" / "prometheus" / "alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]
    joined = [rule for rule in rules if re.search(r"\b(and|unless)\b", rule["expr"])]
    assert joined
    for rule in joined:
        figures = re.findall(r"(\b(?:sum|max|count)\()?(?:\w+\()?steward_\w+(\{)?", rule["expr"])
        assert len({bool(aggregation) for aggregation, _ in figures}) == 1, rule["alert"]
        assert all(aggregation or not selector for aggregation, selector in figures), rule["alert"]


@pytest.mark.parametrize(("cores", "options"), [("8", ["--cpus-per-task=8"]), ("", [])])
def test_the_batch_script_passes_the_cores_of_the_job_to_its_step(
    project: Path, tmp_path: Path, cores: str, options: list[str]
) -> None:
    """The script passes `SLURM_CPUS_PER_TASK` to `srun` as an option, because some versions do not read it."""
    (tmp_path / "srun").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HOME": "/home/a b",
        "USER": "ada",
        "STEWARD_ATTEMPT": "a-1",
    }
    environment |= {"SLURM_CPUS_PER_TASK": cores} if cores else {}
    script = project / "deploy" / "slurm" / "attempt.sbatch"
    output = subprocess.run(["bash", script], env=environment, check=True, capture_output=True, text=True).stdout
    assert output.splitlines() == [*options, "/home/a b/steward/bin/steward", "work", "--once", "a-1"]


def test_a_spaces_front_page_names_port_and_proxies(project: Path) -> None:
    """The front page's `app_port` is the port that the image serves, and it names the proxies' networks."""
    front = (project / "deploy" / "space" / "README.md").read_text("utf-8").split("---")[1]
    page = yaml.safe_load(front)
    assert page["sdk"] == "docker"
    assert f"FORWARDED_ALLOW_IPS={PROXY_NETWORKS}" in (project / "deploy" / "space" / "README.md").read_text("utf-8")
    assert f"STEWARD_PORT={page['app_port']}" in (project / "Dockerfile").read_text("utf-8")


@pytest.mark.parametrize("page", ["docs/deploying.md", "README.md"])
def test_every_steward_command_in_the_pages_exists(project: Path, page: str) -> None:
    """The documentation names only commands that exist."""
    named = set(re.findall(r"(?:`|^|\| |; )steward ([a-z-]+)", (project / page).read_text("utf-8"), re.MULTILINE))
    assert named
    assert named <= commands()
