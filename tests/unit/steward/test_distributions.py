"""The two distributions of this repository: their files, their metadata, and reproducible builds."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import leaderboard
import localhub
from steward.installation import DISTRIBUTION, EXTRAS, LOCALHUB, PACKAGES
from tests.support.archives import unpack_tar
from tests.support.wheels import build_sdist, build_wheel

Wheels = tuple[Path, Path]
OF_THE_PROJECT = {"localhub/LICENSE", "localhub/README.md", "localhub/pyproject.toml"}
"""Files in localhub's folder that belong to its project, not to its import package."""


def files(wheel: Path) -> set[str]:
    """The files of a wheel, without its metadata."""
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def metadata(wheel: Path) -> Message:
    """The metadata of a wheel."""
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(archive.read(name).decode())


def requirements(wheel: Path, extra: str | None = None) -> set[str]:
    """The requirements of a wheel, or of one of its extras alone, without markers."""
    every = [Requirement(text) for text in metadata(wheel).get_all("Requires-Dist") or ()]
    chosen = (
        requirement
        for requirement in every
        if (str(requirement.marker) if requirement.marker else None) == (extra and f'extra == "{extra}"')
    )
    return {str(requirement).partition(";")[0].strip() for requirement in chosen}


def sources(project: Path, *packages: str) -> set[str]:
    """Every file of these import packages in the checkout."""
    paths = (file for package in packages for file in (project / package).rglob("*") if file.is_file())
    return {str(file.relative_to(project)) for file in paths if "__pycache__" not in file.parts}


def test_each_wheel_holds_every_file_of_its_packages_and_no_other(project: Path, wheels: Wheels) -> None:
    """Each wheel has every file of its packages (templates, static files and suites too) and no other."""
    steward, hub = map(files, wheels)
    assert steward == sources(project, *PACKAGES)
    assert hub == sources(project, LOCALHUB) - OF_THE_PROJECT
    assert steward & hub == set()


def test_the_metadata_name_version_licence_and_commands(project: Path, wheels: Wheels) -> None:
    """Each wheel has the package's version, the licence, a README, and the commands."""
    for wheel, name in zip(wheels, (DISTRIBUTION, LOCALHUB), strict=True):
        fields = metadata(wheel)
        assert (fields["Name"], fields["Version"]) == (name, leaderboard.__version__)
        assert (fields["License-Expression"], fields["Requires-Python"]) == ("Apache-2.0", ">=3.11")
        assert "Operating System :: POSIX :: Linux" in fields.get_all("Classifier", [])
        assert fields.get_payload().startswith("# ")
        archive = zipfile.ZipFile(wheel)
        (licence,) = (file for file in archive.namelist() if file.endswith("licenses/LICENSE"))
        assert archive.read(licence) == (project / "LICENSE").read_bytes()
    commands = zipfile.ZipFile(wheels[0]).read(
        f"{DISTRIBUTION.replace('-', '_')}-{leaderboard.__version__}.dist-info/entry_points.txt"
    )
    assert re.findall(r"^([\w-]+) = ", commands.decode(), re.MULTILINE) == ["steward", "steward-eval"]
    assert localhub.__version__ == leaderboard.__version__


def test_the_demo_requires_localhub_of_this_version_and_nothing_else_does(wheels: Wheels) -> None:
    """Only the demo requires localhub, of this version; every extra that `self-check` names exists."""
    wheel = wheels[0]
    assert set(EXTRAS) <= set(metadata(wheel).get_all("Provides-Extra") or ())
    (required,) = map(Requirement, requirements(wheel, "localhub"))
    assert required.name == LOCALHUB
    assert required.specifier.contains(localhub.__version__, prereleases=True)
    assert str(required) in {str(Requirement(text)) for text in requirements(wheel, "demo")}
    for extra in (None, "worker", "contents", "clone", "dev"):
        assert LOCALHUB not in {Requirement(text).name for text in requirements(wheel, extra)}


def test_an_editable_install_in_a_clone_has_all_that_localhub_requires(wheels: Wheels) -> None:
    """All that localhub requires is required by Steward or by its extra `clone`, in the same versions."""
    assert requirements(wheels[1]) <= requirements(wheels[0]) | requirements(wheels[0], "clone")
    assert requirements(wheels[0], "clone") < requirements(wheels[0], "dev")


def test_the_demo_in_a_clone_needs_what_the_demo_of_the_package_needs(wheels: Wheels) -> None:
    """The extra for a clone requires the same as the demo, with localhub's requirements instead of localhub."""
    demo, clone = ({Requirement(text).name for text in requirements(wheels[0], extra)} for extra in ("demo", "clone"))
    assert (demo - clone, clone - demo) == ({LOCALHUB}, {"python-multipart"})


OTHER_NAMES = {"yaml": "pyyaml", "markdown_it": "markdown-it-py", "starlette": "fastapi", "markupsafe": "jinja2"}
"""Import packages whose distribution has another name, or that another required one brings."""


def test_localhub_requires_every_package_that_it_imports(project: Path, wheels: Wheels) -> None:
    """localhub requires every package that it imports, so that its wheel works alone."""
    imported: set[str] = set()
    for file in (project / LOCALHUB).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    others = imported - {LOCALHUB, *sys.stdlib_module_names}
    required = {Requirement(text).name for text in metadata(wheels[1]).get_all("Requires-Dist") or ()}
    assert {OTHER_NAMES.get(name, name) for name in others} - required == set()


@pytest.mark.long("two seconds of a processor")
@pytest.mark.parametrize(("which", "folder"), [(0, "."), (1, "localhub")])
def test_a_wheel_from_the_source_distribution_is_the_same_to_the_byte(
    which: int, folder: str, project: Path, wheels: Wheels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wheel built from the source distribution is identical, despite another folder, file times and permissions."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    with tarfile.open(build_sdist(project / folder, tmp_path / "sdist")) as archive:
        unpack_tar(archive, tmp_path / "source")
    (source,) = (tmp_path / "source").iterdir()
    (source / "README.md").chmod(0o600)
    os.utime(source / "README.md", (0, 0))
    assert build_wheel(source, tmp_path / "wheel").read_bytes() == wheels[which].read_bytes()


# --- the release


def test_a_release_writes_the_repositorys_address_into_both_projects(project: Path, tmp_path: Path) -> None:
    """A release turns relative links of the README into links to its tag, and refuses a tag of another version."""
    copy, tag = tmp_path / "copy", f"v{leaderboard.__version__}"
    shutil.copytree(project / "localhub", copy / "localhub", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copyfile(project / name, copy / name)
    (copy / "leaderboard").mkdir()
    shutil.copyfile(project / "leaderboard" / "__init__.py", copy / "leaderboard" / "__init__.py")
    script = [sys.executable, project / ".ci" / "prepare_release.py", "https://git.example/our/steward"]
    early = subprocess.run([*script, "v9.9"], cwd=copy, capture_output=True, text=True)
    assert (early.returncode, early.stderr.count("9.9")) == (1, 3)
    changelog = copy / "CHANGELOG.md"
    changelog.write_text(changelog.read_text("utf-8").replace("## Unreleased", f"## {tag[1:]}"), "utf-8")
    subprocess.run([*script, tag], cwd=copy, check=True)
    readme = (copy / "README.md").read_text("utf-8")
    assert f"](https://git.example/our/steward/blob/{tag}/docs/tutorial.md)" in readme
    assert f"](https://git.example/our/steward/raw/{tag}/docs/pictures/leaderboard.png)" in readme
    assert "](docs/" not in readme
    fields = metadata(build_wheel(copy / "localhub", tmp_path / "out"))
    assert "Repository, https://git.example/our/steward" in fields.get_all("Project-URL", [])


def test_one_command_makes_a_release_of_a_checkout_and_one_begins_the_next(project: Path, tmp_path: Path) -> None:
    """One script sets both versions, the extra and the changelog for a release, and then for the next development."""
    for name in ("pyproject.toml", "README.md", "leaderboard/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(project / name, tmp_path / name)
    shutil.copytree(project / "localhub", tmp_path / "localhub", ignore=shutil.ignore_patterns("__pycache__"))
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text("# Changelog\n\n## Unreleased\n\nNew.\n\n## 7.2.0\n", "utf-8")

    def run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, project / ".ci" / script, *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert (run("set_version.py", "7.3").returncode, run("set_version.py").returncode) == (1, 2)
    assert "## Unreleased" in changelog.read_text("utf-8")
    for _ in range(2):  # the second run changes nothing
        assert run("set_version.py", "7.3.0").returncode == 0
        assert changelog.read_text("utf-8") == "# Changelog\n\n## 7.3.0\n\nNew.\n\n## 7.2.0\n"
    extras = tomllib.loads((tmp_path / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert extras["localhub"] == ["localhub>=7.3.0,<7.4"]
    assert run("set_version.py", "7.4.0").returncode == 1  # the changelog has nothing new
    assert run("set_version.py", "7.4.0.dev0").returncode == 0
    assert changelog.read_text("utf-8").startswith("# Changelog\n\n## Unreleased\n\n## 7.3.0\n")
    assert run("set_version.py", "7.3.0").returncode == 0
    assert run("prepare_release.py", "https://git.example/our/steward", "v7.3.0").returncode == 0


def test_the_workflow_publishes_what_was_tested_by_pinned_actions_and_short_lived_tokens(project: Path) -> None:
    """The release workflow pins actions to commits, uses no secrets, and publishes only after the tests."""
    text = (project / ".github" / "workflows" / "release.yml").read_text("utf-8")
    workflow = yaml.safe_load(text)
    jobs = workflow["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    actions = [step["uses"] for step in steps if "uses" in step]
    assert [action for action in actions if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)] == []
    assert "secrets." not in text and workflow["permissions"] == {}
    assert {name for name, job in jobs.items() if "id-token" in job["permissions"]} == {"index", "images", "release"}
    assert jobs["index"]["needs"] == jobs["images"]["needs"] == ["tests", "distributions"]
    uploads = jobs["index"]["strategy"]["matrix"]["include"]
    assert jobs["index"]["environment"] == "${{ matrix.environment }}"
    assert [upload["files"] for upload in uploads] == [DISTRIBUTION.replace("-", "_"), LOCALHUB]
    assert len({upload["environment"] for upload in uploads}) == 2
    targets = re.findall(r"^([\w-]+):", (project / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {word for step in steps for word in re.findall(r"\bmake (\w+)", step.get("run", ""))} <= set(targets)
    stages = re.findall(r"^FROM \S+ AS ([\w-]+)$", (project / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert set(jobs["images"]["strategy"]["matrix"]["target"]) <= set(stages)


def test_pull_requests_are_checked_by_pinned_actions_that_may_only_read(project: Path) -> None:
    """The CI workflow runs `.ci/run` with Python 3.11 to 3.14 and long suites at night, and may only read."""
    text = (project / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    workflow = yaml.safe_load(text)
    jobs = workflow["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    actions = [step["uses"] for step in steps if "uses" in step]
    assert [action for action in actions if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)] == []
    assert "secrets." not in text and workflow["permissions"] == {}
    assert all(job["permissions"] == {"contents": "read"} for job in jobs.values())
    checked = [job for job in jobs.values() if {"run": "bash .ci/run"} in job["steps"]]
    pythons = {system["python"] for job in checked for system in job["strategy"]["matrix"]["include"]}
    assert pythons == {"3.11", "3.12", "3.13", "3.14"}
    targets = re.findall(r"^([\w-]+):", (project / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(jobs["night"]["strategy"]["matrix"]["target"]) <= set(targets)
