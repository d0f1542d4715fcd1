"""Checks this installation: which distribution provides each import package, and whether files and requirements exist.

Steward's import packages have general names (`hub`, `workers`, …), which distributions of other projects use, too. pip
lets one distribution overwrite the files of another without a warning. This module imports the standard library and
`packaging` alone, because any other package may be broken.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import json
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import Requirement

DISTRIBUTION = "steward-leaderboard"
FORMER_DISTRIBUTION = "steward"
"""The name of the distribution of version 0.1.0."""
LOCALHUB = "localhub"
"""The name of localhub's distribution, and of its import package."""
PACKAGES = ("leaderboard", "redis_state", "hub", "bot", "workers", "steward")
EXTRAS = ("contents", "worker", "localhub", "demo")
"""The extras for people who run Steward; the others are for those who change it."""

_SHOWN = 3


@dataclass(frozen=True)
class InstallationCheck:
    """One finding; `mend` says how to fix it if the state is not `ok`."""

    name: str
    state: Literal["ok", "warning", "error"]
    words: str
    mend: str = ""


def check_installation() -> list[InstallationCheck]:
    """Return the findings of every check of the Steward that this interpreter runs."""
    installed = _installed()
    own = installed.get(DISTRIBUTION)
    if own is None:
        words = f"No distribution {DISTRIBUTION} is installed; the files are in {Path(__file__).parents[1]}."
        mend = f"pip install {DISTRIBUTION}, or in a clone: pip install --editable '.[dev]'"
        return [InstallationCheck("version", "error", words, mend)]
    hub = installed.get(LOCALHUB)
    return [
        _version(own),
        *_provided_twice(installed),
        *_loaded_from(own, hub),
        *_files(own),
        *(_files(hub) if hub is not None else ()),
        *_requirements(own, installed),
        *_extras(own, installed),
    ]


def _installed() -> dict[str, metadata.Distribution]:
    """The distributions on the path, by normalized name; of two with one name the first, as Python does."""
    installed: dict[str, metadata.Distribution] = {}
    for distribution in metadata.distributions():
        if name := distribution.metadata["Name"]:
            installed.setdefault(_normalized(name), distribution)
    return installed


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _version(own: metadata.Distribution) -> InstallationCheck:
    way = ", an editable install" if _editable_folder(own) is not None else ""
    words = f"{DISTRIBUTION} {own.version}{way} in {_folder(own)}, Python {platform.python_version()}."
    return InstallationCheck("version", "ok", words)


def _editable_folder(distribution: metadata.Distribution) -> Path | None:
    """The folder of the source of an editable install; None for other installs."""
    direct = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not direct.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(direct["url"]).path))


def _folder(distribution: metadata.Distribution) -> Path:
    """The folder in which the import packages of a distribution are."""
    return _editable_folder(distribution) or Path(str(distribution.locate_file("")))


# --- clashes


def _provided_twice(installed: Mapping[str, metadata.Distribution]) -> Iterator[InstallationCheck]:
    """Other distributions that provide an import package of Steward or of localhub."""
    clash = False
    for name, distribution in sorted(installed.items()):
        ours = {DISTRIBUTION: PACKAGES, LOCALHUB: (LOCALHUB,)}.get(name, ())
        shared = sorted(_import_packages(distribution) - set(ours))
        if not shared:
            continue
        clash = True
        packages = ", ".join(f"`{package}`" for package in shared)
        words = f"{name} {distribution.version} provides {packages}, too: one overwrites the files of the other."
        if name == FORMER_DISTRIBUTION:
            words += " If it is Steward 0.1.0: that is its former name."
        yield InstallationCheck("packages", "error", words, f"pip uninstall {name}, then {_reinstall()}")
    if not clash:
        yield InstallationCheck("packages", "ok", "No other distribution provides an import package of Steward.")


def _import_packages(distribution: metadata.Distribution) -> set[str]:
    """Names of Steward's and localhub's import packages that a distribution provides."""
    declared = set((distribution.read_text("top_level.txt") or "").split())
    names = (*PACKAGES, LOCALHUB)
    files = distribution.read_text("RECORD") or ""
    recorded = set(re.findall(rf"^({'|'.join(names)})(?:/|\.py,)", files, re.MULTILINE))
    return (declared & set(names)) | recorded


def _reinstall(name: str = DISTRIBUTION) -> str:
    return f"pip install --force-reinstall --no-deps {name}"


def _loaded_from(own: metadata.Distribution, hub: metadata.Distribution | None) -> Iterator[InstallationCheck]:
    """Whether Python loads each package from the folder of its distribution."""
    expected = dict.fromkeys(PACKAGES, _folder(own))
    if hub is not None:
        expected[LOCALHUB] = _folder(hub)
    elsewhere = False
    for package, folder in expected.items():
        loaded = _location(package)
        if loaded is not None and loaded.resolve() == (folder / package).resolve():
            continue
        elsewhere = True
        if loaded is None:
            yield InstallationCheck("folder", "error", f"`{package}` is not in {folder}.", _reinstall())
        else:
            words = f"`{package}` is loaded from {loaded}, not from {folder}."
            yield InstallationCheck("folder", "error", words, "Unset PYTHONPATH, and start in another folder.")
    if not elsewhere:
        yield InstallationCheck("folder", "ok", "Python loads each package from its distribution.")


def _location(package: str) -> Path | None:
    """The folder, or file, from which Python imports a package; None if there is none."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    return Path(folders[0]) if folders else Path(spec.origin or "")


# --- files


def _files(distribution: metadata.Distribution) -> Iterator[InstallationCheck]:
    """Whether the files of a distribution are those that were installed."""
    if _editable_folder(distribution) is not None:
        return
    name = _normalized(distribution.metadata["Name"])
    recorded = _recorded_hashes(distribution)
    wrong = [file for file, expected in recorded.items() if not _is_unchanged(distribution, file, expected)]
    if wrong:
        shown = ", ".join(wrong[:_SHOWN]) + (", …" if len(wrong) > _SHOWN else "")
        words = f"{len(wrong)} of {len(recorded)} files of {name} are missing or changed: {shown}"
        yield InstallationCheck("files", "error", words, f"{_reinstall(name)}=={distribution.version}")
    else:
        yield InstallationCheck("files", "ok", f"All {len(recorded)} files of {name} are as they were installed.")


def _recorded_hashes(distribution: metadata.Distribution) -> dict[str, str]:
    """The hash of each file, as `algorithm=digest`; `Distribution.files` leaves out missing files in newer Pythons."""
    rows = csv.reader((distribution.read_text("RECORD") or "").splitlines())
    return {row[0]: row[1] for row in rows if len(row) > 1 and row[1]}


def _is_unchanged(distribution: metadata.Distribution, file: str, expected: str) -> bool:
    mode, _, digest = expected.partition("=")
    try:
        actual = hashlib.new(mode, Path(str(distribution.locate_file(file))).read_bytes()).digest()
    except OSError:
        return False
    return base64.urlsafe_b64encode(actual).rstrip(b"=").decode() == digest


# --- requirements


def _requirements(
    own: metadata.Distribution, installed: Mapping[str, metadata.Distribution]
) -> Iterator[InstallationCheck]:
    """Whether the packages that every process needs are installed."""
    missing, old = _unmet(_required(own, ""), installed)
    if missing or old:
        words = f"Required packages are missing or too old: {', '.join([*missing, *old])}"
        yield InstallationCheck("requirements", "error", words, f"pip install {DISTRIBUTION}")
    else:
        yield InstallationCheck("requirements", "ok", "The packages that every process needs are installed.")


def _extras(own: metadata.Distribution, installed: Mapping[str, metadata.Distribution]) -> Iterator[InstallationCheck]:
    """Which extras are installed; a warning for one with packages of the wrong version."""
    for extra in EXTRAS:
        required = _required(own, extra)
        if _editable_folder(own) is not None:
            # The source of localhub is beside ours.
            required = [requirement for requirement in required if requirement.name != LOCALHUB]
        missing, old = _unmet(required, installed)
        mend = f"pip install '{DISTRIBUTION}[{extra}]'"
        if missing:
            words = f"Not installed: {', '.join(missing)}"
            yield InstallationCheck(f"[{extra}]", "ok", words, f"{mend}, where you need it")
        elif old:
            yield InstallationCheck(f"[{extra}]", "warning", f"Versions do not fit: {', '.join(old)}", mend)
        else:
            yield InstallationCheck(f"[{extra}]", "ok", "All of its packages are installed.")


def _required(own: metadata.Distribution, extra: str) -> list[Requirement]:
    """The requirements of an extra alone; with "", those of every installation."""
    requirements = [Requirement(text) for text in own.requires or ()]
    if not extra:
        return [
            requirement
            for requirement in requirements
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ]
    return [
        requirement
        for requirement in requirements
        if requirement.marker is not None
        and requirement.marker.evaluate({"extra": extra})
        and not requirement.marker.evaluate({"extra": ""})
    ]


def _unmet(
    requirements: list[Requirement], installed: Mapping[str, metadata.Distribution]
) -> tuple[list[str], list[str]]:
    """Return the names of missing packages, and those whose version does not fit, with the version that is needed."""
    missing, unfit = [], []
    for requirement in requirements:
        distribution = installed.get(_normalized(requirement.name))
        if distribution is None:
            missing.append(requirement.name)
        elif not requirement.specifier.contains(distribution.version, prereleases=True):
            unfit.append(f"{requirement.name} {distribution.version} (needed: {requirement.specifier})")
    return missing, unfit
