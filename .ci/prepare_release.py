"""Check a release's tag against the versions and the changelog, and give both distributions the repository's address.

    python .ci/prepare_release.py https://github.com/OWNER/NAME v0.2.0

Changes the checkout: adds `[project.urls]` to both pyproject.toml, and makes the relative links of README.md absolute,
because the page of a package index is not beside the files. Exit with status 1 if the tag does not fit.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECTS = (".", "localhub")
VERSIONS = ("leaderboard/__init__.py", "localhub/__init__.py")
LINK = re.compile(r"(?P<picture>!?)\[(?P<words>[^\]]*)\]\((?!https?:|mailto:|#)(?P<path>[^)\s]+)\)")


def problems(project: Path, tag: str) -> Iterator[str]:
    """Why this checkout is not the release that the tag names."""
    for name in VERSIONS:
        (version,) = re.findall(r'^__version__ = "(.+)"$', (project / name).read_text("utf-8"), re.MULTILINE)
        if tag != f"v{version}":
            yield f"{name} says version {version}, but the tag is {tag}."
    if f"\n## {tag.removeprefix('v')}\n" not in (project / "CHANGELOG.md").read_text("utf-8"):
        yield f"CHANGELOG.md has no section `## {tag.removeprefix('v')}`."


def absolute(text: str, address: str, tag: str) -> str:
    """Return a Markdown text whose links lead to the files at the tag."""

    def link(match: re.Match[str]) -> str:
        kind = "raw" if match["picture"] else "blob"
        return f"{match['picture']}[{match['words']}]({address}/{kind}/{tag}/{match['path']})"

    return LINK.sub(link, text)


def urls(address: str, tag: str) -> str:
    """Return the table of addresses for a pyproject.toml."""
    return (
        f'\n[project.urls]\nRepository = "{address}"\nDocumentation = "{address}/blob/{tag}/docs/README.md"\n'
        f'Changelog = "{address}/blob/{tag}/CHANGELOG.md"\nIssues = "{address}/issues"\n'
    )


def prepare(project: Path, address: str, tag: str) -> None:
    """Write the addresses into the checkout."""
    for name in PROJECTS:
        file = project / name / "pyproject.toml"
        file.write_text(file.read_text("utf-8") + urls(address, tag), "utf-8")
        readme = project / name / "README.md"
        readme.write_text(absolute(readme.read_text("utf-8"), address, tag), "utf-8")


def main() -> int:
    """Prepare the checkout in the working folder."""
    address, tag = sys.argv[1:]
    faults = list(problems(Path(), tag))
    for problem in faults:
        print(problem, file=sys.stderr)
    if not faults:
        prepare(Path(), address, tag)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
