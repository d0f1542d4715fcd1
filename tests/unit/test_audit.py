"""`make audit`: the list of packages (SBOM), and the check for advisories, which never takes a failure for success."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Answer = dict[str, Any] | str
SOUND = [{"name": "urllib3", "version": "1.24.1", "vulns": [{"id": "CVE-1", "fix_versions": ["1.24.2"]}]}]


@pytest.fixture(scope="module")
def audit(project: Path) -> ModuleType:
    """The module of the script."""
    spec = importlib.util.spec_from_file_location("audit_packages", project / ".ci" / "audit_packages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def packages(audit: ModuleType) -> list[Any]:
    """Two packages, one of them a local build, and Steward itself."""
    make = audit.InstalledPackage
    return [
        make("numpy", "2.3.0", "BSD-3-Clause", (), False),
        make("steward-leaderboard", "1.0.0", "Apache-2.0", ("numpy", "torch", "absent"), True),
        make("torch", "2.9.0+cpu", "", ("numpy",), False),
    ]


def test_the_list_names_each_package_once_and_what_it_needs(audit: ModuleType) -> None:
    """The SBOM has each package once with its dependencies, and the release's address for a local build."""
    listed = audit.sbom(packages(audit))
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
    assert listed["metadata"]["component"]["purl"] == "pkg:pypi/steward-leaderboard@1.0.0"
    assert [(component["purl"], component["version"]) for component in listed["components"]] == [
        ("pkg:pypi/numpy@2.3.0", "2.3.0"),
        ("pkg:pypi/torch@2.9.0", "2.9.0+cpu"),
    ]
    needs = {package["ref"]: package["dependsOn"] for package in listed["dependencies"]}
    assert needs["pkg:pypi/steward-leaderboard@1.0.0"] == ["pkg:pypi/numpy@2.3.0", "pkg:pypi/torch@2.9.0"]
    assert listed == audit.sbom(packages(audit))


def test_this_environment_is_listed(audit: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The SBOM of this environment is complete: each reference is to a package in it."""
    assert audit.main(["sbom", str(tmp_path / "new" / "sbom.json")]) == 0
    listed = json.loads((tmp_path / "new" / "sbom.json").read_text())
    names = [component["bom-ref"] for component in (listed["metadata"]["component"], *listed["components"])]
    assert len(set(names)) == len(names) > 20
    assert {ref for package in listed["dependencies"] for ref in (package["ref"], *package["dependsOn"])} == set(names)
    assert "pydantic" in {component["name"] for component in listed["components"]}
    assert f"{len(names)} packages" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("packages_answer", "answer", "status", "words"),
    [
        ("Name or service not known", None, 3, "NOT CHECKED"),
        ({"dependencies": [{"name": "urllib3", "skip_reason": "not found"}]}, None, 3, "NOT CHECKED"),
        ({"dependencies": [{"name": "urllib3", "version": "1.24.1", "vulns": []}]}, None, 3, "NOT CHECKED"),
        ({"dependencies": []}, None, 3, "NOT CHECKED"),
        ({"dependencies": SOUND}, "the connection broke", 3, "the connection broke"),
        ({"dependencies": SOUND}, [("numpy", []), ("torch", [])], 0, "2 of 2 packages checked: 0 have"),
        ({"dependencies": SOUND}, [("numpy", []), ("torch", ["CVE-2"])], 1, "torch 1: CVE-2 (fixed in no release)"),
        ({"dependencies": SOUND}, [("numpy", []), ("torch", None)], 1, "torch: the index knows no such release"),
        ({"dependencies": SOUND}, [("numpy", [])], 1, "torch: the index knows no such release"),
    ],
)
def test_advisories_that_cannot_be_had_are_no_success(
    audit: ModuleType,
    packages_answer: Answer,
    answer: str | list[tuple[str, list[str] | None]] | None,
    status: int,
    words: str,
) -> None:
    """The check first asks about a known vulnerable release: if that has no advisories, nothing counts as checked."""
    asked, messages = list[Sequence[str]](), list[str]()

    def ask(names: Sequence[str]) -> Answer:
        asked.append(names)
        if list(names) == [audit.KNOWN]:
            return packages_answer
        assert answer is not None
        if isinstance(answer, str):
            return answer
        return {
            "dependencies": [
                {"name": name, "version": "1", "vulns": [{"id": advisory} for advisory in ids]}
                if ids is not None
                else {"name": name, "skip_reason": "not found"}
                for name, ids in answer
            ]
        }

    assert audit.advisories(packages(audit), ask, messages.append) == status
    assert words in "\n".join(messages)
    assert asked[1:] == ([["numpy==2.3.0", "torch==2.9.0"]] if answer is not None else [])
