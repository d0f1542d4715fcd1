"""List the installed packages, or check them for known vulnerabilities.

    python .ci/audit_packages.py sbom FILE      write a CycloneDX list of all packages; needs no network
    python .ci/audit_packages.py advisories     ask the package index for advisories about each, by pip-audit

Both are about the environment of the Python that runs this file. Exit status of `advisories`: 0 if there are none, 1 if
there are some or a package is unknown, 3 if the advisories cannot be reached, so that nothing was checked.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

OURS = "steward-leaderboard"
NOTHING, FOUND, NOT_CHECKED = 0, 1, 3
KNOWN = "urllib3==1.24.1"
"""A release with well-known vulnerabilities: if the index names none of them, it gives no advisories."""
NOT_REACHED = (
    "NOT CHECKED: the advisories of the package index cannot be reached from here, so whether these {count} packages "
    "have known vulnerabilities is not known.\n  {reason}\nRun `make audit` again where they can be reached."
)


@dataclass(frozen=True)
class InstalledPackage:
    """One installed package. `needs`: normalised names of the packages that it requires in this environment."""

    name: str
    version: str
    licence: str
    needs: tuple[str, ...]
    editable: bool

    @property
    def purl(self) -> str:
        """The package URL, without the part of the version that names a local build."""
        return f"pkg:pypi/{self.name}@{self.published_version}"

    @property
    def published_version(self) -> str:
        """The version without its local part, as the index lists it: `2.9.0` for `2.9.0+cpu`."""
        return self.version.partition("+")[0]


def installed() -> list[InstalledPackage]:
    """Every package of this environment, by name."""
    packages = {package.name: package for package in map(_package, distributions())}
    return [packages[name] for name in sorted(packages)]


def _package(distribution: Distribution) -> InstalledPackage:
    direct = json.loads(distribution.read_text("direct_url.json") or "{}")
    return InstalledPackage(
        name=_normalised(distribution.metadata["Name"]),
        version=distribution.version,
        licence=_licence(distribution),
        needs=tuple(sorted(set(_needs(distribution)))),
        editable=bool(direct.get("dir_info", {}).get("editable")),
    )


def _needs(distribution: Distribution) -> Iterator[str]:
    for text in distribution.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _normalised(requirement.name)


def _licence(distribution: Distribution) -> str:
    """The licence that the package's metadata names, in a short line or by classifiers; "" if there is none."""
    classifiers = distribution.metadata.get_all("Classifier") or []
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: OSI Approved :: ")]
    words = distribution.metadata.get("License-Expression") or distribution.metadata.get("License") or ""
    return words.strip() if words.strip() and len(words) < 100 and "\n" not in words.strip() else ", ".join(named)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- the list


def sbom(packages: Sequence[InstalledPackage]) -> dict[str, Any]:
    """The list of `packages` as CycloneDX 1.6. The same packages give the same list."""
    by_name = {package.name: package for package in packages}
    root = by_name.get(OURS)
    others = [package for package in packages if package is not root]
    identity = json.dumps([[package.purl, package.version] for package in packages])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, identity)}",
        "version": 1,
        "metadata": {"component": _component(root, "application")} if root is not None else {},
        "components": [_component(package, "library") for package in others],
        "dependencies": [
            {"ref": package.purl, "dependsOn": [by_name[name].purl for name in package.needs if name in by_name]}
            for package in packages
        ],
    }


def _component(package: InstalledPackage, kind: str) -> dict[str, Any]:
    licences = [{"license": {"name": package.licence}}] if package.licence else []
    return {
        "type": kind,
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        **({"licenses": licences} if licences else {}),
    }


# --- advisories


Ask = Callable[[Sequence[str]], "dict[str, Any] | str"]
"""Asks pip-audit about packages (`name==version`); returns its answer, or the last line of its error."""


def ask_pip_audit(packages: Sequence[str]) -> dict[str, Any] | str:
    """Return pip-audit's answer about `packages`, or the last line of its error."""
    options = ["--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(f"{package}\n" for package in packages))
        file.flush()
        command = [sys.executable, "-m", "pip_audit", *options, "--requirement", file.name]
        done = subprocess.run(command, capture_output=True, text=True)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return (done.stderr.strip().splitlines() or ["pip-audit says nothing"])[-1]
    return answer


def advisories(packages: Sequence[InstalledPackage], ask: Ask, say: Callable[[str], None]) -> int:
    """Say which of `packages` have advisories, and return the exit status."""
    asked = [f"{package.name}=={package.published_version}" for package in packages if not package.editable]
    reason = _unreachable(ask)
    answer = reason or ask(asked)
    if isinstance(answer, str):
        say(NOT_REACHED.format(count=len(asked), reason=answer))
        return NOT_CHECKED
    entries = answer.get("dependencies", [])
    known = [entry for entry in entries if "vulns" in entry]
    vulnerable = [(entry, entry["vulns"]) for entry in known if entry["vulns"]]
    for entry, vulnerabilities in vulnerable:
        fixes = sorted(
            {version for vulnerability in vulnerabilities for version in vulnerability.get("fix_versions", [])}
        )
        ids = ", ".join(vulnerability["id"] for vulnerability in vulnerabilities)
        say(f"{entry['name']} {entry['version']}: {ids} (fixed in {', '.join(fixes) or 'no release'})")
    unknown = [entry["name"] for entry in entries if "vulns" not in entry]
    unknown += sorted({name.partition("==")[0] for name in asked} - {_normalised(entry["name"]) for entry in entries})
    for name in unknown:
        say(f"{name}: the index knows no such release, so it was not checked")
    say(f"{len(known)} of {len(asked)} packages checked: {len(vulnerable)} have known vulnerabilities.")
    return FOUND if vulnerable or unknown else NOTHING


def _unreachable(ask: Ask) -> str:
    """Why advisories cannot be read; "" if they can be: the index names vulnerabilities of KNOWN."""
    answer = ask([KNOWN])
    if isinstance(answer, str):
        return answer
    (entry, *_) = answer.get("dependencies") or [{}]
    if entry.get("vulns"):
        return ""
    return f"The index says nothing of the vulnerabilities of {KNOWN}. {entry.get('skip_reason', '')}".strip()


def main(arguments: Sequence[str]) -> int:
    """Run one of the two commands."""
    match arguments:
        case ["sbom", file]:
            packages = installed()
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).write_text(json.dumps(sbom(packages), indent=2) + "\n", "utf-8")
            print(f"Wrote {file}: {len(packages)} packages, as CycloneDX 1.6.")
            return NOTHING
        case ["advisories"]:
            return advisories(installed(), ask_pip_audit, print)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
