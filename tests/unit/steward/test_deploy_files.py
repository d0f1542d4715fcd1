"""Dockerfile, systemd units, the Space's front page and other files in `deploy` agree with the code they run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from redis.asyncio import Redis as AsyncRedis

from bot.core.settings import BotSettings
from bot.intake.inbox import Inbox
from bot.web.health import health_routes
from leaderboard.boards import parse_board
from redis_state.keys import Keys
from steward.bot_space.wanted import PROXY_NETWORKS
from steward.testing.board import BOARD
from tests.support.board.model_pages import MODEL_PAGES
from tests.support.units.deployed_names import SYSTEMD, commands, settings
from workers.evaluation.task_requirements import nltk_folders


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


def test_an_empty_token_for_models_pages_is_missed_only_where_it_is_needed(tmp_path: Path) -> None:
    """A process without a token for models' pages starts, unless the board has such pages."""
    (tmp_path / "token").write_text("\n")
    settings = BotSettings(model_pr_token_file=tmp_path / "token")
    assert settings.models_token(parse_board(BOARD)) == ""
    board = parse_board(BOARD.replace("effects: on", "effects: {model-pr: on, others: on}") + MODEL_PAGES)
    with pytest.raises(ValueError, match="is empty"):
        settings.models_token(board)


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


def test_health_is_asked_where_the_web_server_tells_it(project: Path) -> None:
    """The image's health check requests a path that the web server has."""
    dockerfile = (project / "Dockerfile").read_text("utf-8")
    (path,) = re.findall(r"127\.0\.0\.1:\{os\.environ\['STEWARD_PORT'\]\}(/\w+)", dockerfile)
    keys = Keys("board")
    client = AsyncRedis()
    served = {getattr(route, "path", "") for route in health_routes(client, keys, Inbox(client, keys)).routes}
    assert path in served


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
