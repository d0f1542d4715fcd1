"""compose.yaml runs commands of Steward, and gives each service the settings, secrets and files that it needs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.core.settings import BotSettings
from tests.support.units.deployed_names import SYSTEMD, commands, settings
from workers.evaluation.task_requirements import SPLITTER
from workers.settings import WorkerSettings

Services = dict[str, dict[str, Any]]


@pytest.fixture
def compose(project: Path) -> Services:
    """The services of compose.yaml."""
    services: Services = yaml.safe_load((project / "compose.yaml").read_text("utf-8"))["services"]
    return services


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
