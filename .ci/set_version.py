"""Set the version of both distributions, in every file that names it.

    python .ci/set_version.py 1.0.0         a release: the changelog's section "Unreleased" gets this name
    python .ci/set_version.py 1.1.0.dev0    the development version after it: the changelog gets a section "Unreleased"

Exit with status 1, and change nothing, if the version has another form or a file is not as expected.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

VERSIONS = ("leaderboard/__init__.py", "localhub/__init__.py")
FORM = re.compile(r"(\d+)\.(\d+)\.\d+(\.dev\d+)?")


def replaced(project: Path, name: str, pattern: str, new: str) -> tuple[Path, str]:
    """Return a file and its text with the one match of `pattern` replaced."""
    text, count = re.subn(pattern, new, (project / name).read_text("utf-8"), flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{name} has {count} lines that match {pattern}, and one was expected.")
    return project / name, text


def changelog(project: Path, version: str, *, is_release: bool) -> tuple[Path, str]:
    """Return the changelog, and its text with the section of this version."""
    text = (project / "CHANGELOG.md").read_text("utf-8")
    if f"\n## {version if is_release else 'Unreleased'}\n" in text:
        return project / "CHANGELOG.md", text
    if is_release:
        return replaced(project, "CHANGELOG.md", r"^## Unreleased$", f"## {version}")
    return project / "CHANGELOG.md", text.replace("\n## ", "\n## Unreleased\n\n## ", 1)


def set_version(project: Path, version: str) -> None:
    """Write the version into all files; compute every new text before writing the first file."""
    form = FORM.fullmatch(version)
    if not form:
        raise ValueError(f"A version has the form 1.2.3 or 1.2.3.dev0, not {version}.")
    first, second = int(form[1]), int(form[2])
    files = [replaced(project, name, r'^__version__ = ".+"$', f'__version__ = "{version}"') for name in VERSIONS]
    needed = f'localhub = ["localhub>={version},<{first}.{second + 1}"]'
    files.append(replaced(project, "pyproject.toml", r'^localhub = \["localhub>=.+"\]$', needed))
    files.append(changelog(project, version, is_release=not form[3]))
    for file, text in files:
        file.write_text(text, "utf-8")


def main() -> int:
    """Set the version in the checkout in the working folder."""
    if len(sys.argv) != 2:
        print("usage: python .ci/set_version.py VERSION", file=sys.stderr)
        return 2
    try:
        set_version(Path(), sys.argv[1])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
