"""The names that other programs and running boards depend on, and the record of the promised names.

    python -m tests.support.stable_interface     adds today's names to the record; run it at each release

docs/stability.md says what is promised. The record holds names of the generated pages, of the API and of metrics. It
only grows: a name leaves it by hand, when the version that removes it is released.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).parent / "stable_interface.json"
PAGES = (
    "commands.md",
    "diagnosis.md",
    "reference-cli.md",
    "reference-evaluator.md",
    "reference-files.md",
    "reference-settings.md",
    "submitting.md",
)

FLAT = ("diagnosis.md", "reference-settings.md", "submitting.md")
"""Pages whose headings are not promised: a name may move to another chapter."""
Names = dict[str, list[str]]
"""Page and heading, path of the API, or `metrics` → the names below it, sorted."""


def names_of_pages() -> Names:
    """The names in the generated pages: commands, options, settings, fields, paths on the Hub, causes and reasons."""
    by_chapter: dict[str, set[str]] = {}
    for page in PAGES:
        for chapter, names in _chapters(page):
            by_chapter.setdefault(f"{page}: {'' if page in FLAT else chapter}", set()).update(names)
    return {chapter: sorted(names) for chapter, names in by_chapter.items()}


def _chapters(page: str) -> Iterator[tuple[str, list[str]]]:
    """Each heading of a page, and each line below it with its names."""
    heading = part = ""
    for line in (ROOT / "docs" / page).read_text("utf-8").splitlines():
        if line.startswith("#"):
            heading, part = line.lstrip("# "), ""
        elif line.startswith("**") and line.endswith("**"):
            part = line.strip("*`")
        yield f"{heading}, {part}" if part else heading, _names(page, line)


def _names(page: str, line: str) -> list[str]:
    """Return the code in the first cell of a row, the parameter of an item, or the code of a reason."""
    if page == "submitting.md":
        return re.findall(r"\*\* · `([^`]+)`", line)
    if not line.startswith("|"):
        return re.findall(r"^- `([^`]+)`", line)
    coded = (re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:3])
    names = next(filter(None, coded), [])
    return [name for name in names if name.startswith("-")] if page == "reference-cli.md" else names


def names_of_server(client: httpx2.Client) -> Names:
    """The names in a web server's OpenAPI document and among its metrics."""
    document = client.get("/openapi.json").json()
    metrics = re.findall(r"^# TYPE (\w+)", client.get("/metrics").text, re.MULTILINE)
    return {**_operations(document), **_schemas(document), "metrics": sorted(set(metrics))}


def _operations(document: dict[str, Any]) -> Names:
    """`GET /api/…` → its parameters."""
    return {
        f"{method.upper()} {path}": sorted(each["name"] for each in operation.get("parameters", ()))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path.startswith("/api/")
    }


def _schemas(document: dict[str, Any]) -> Names:
    """Schema of an answer or of a body → its fields."""
    return {
        f"schema {name}": sorted(schema["properties"])
        for name, schema in document["components"]["schemas"].items()
        if "properties" in schema
    }


def recorded() -> dict[str, Any]:
    """The record: `names`, and `deprecated`, each `{heading}: {name}` with the version that announced its removal."""
    record: dict[str, Any] = json.loads(RECORD.read_text("utf-8"))
    return record


def missing(names: Names, *, server: bool) -> list[str]:
    """Return promised names that were removed without an announcement: of the server, or else of the pages."""
    record = recorded()
    return [
        f"{heading}: {name or 'all of it'}"
        for heading, promised in record["names"].items()
        if (".md: " not in heading) == server
        for name in ([""] if heading not in names else sorted(set(promised) - set(names[heading])))
        if f"{heading}: {name}" not in record["deprecated"]
    ]


def main() -> None:
    """Add today's names to the record."""
    from steward.valkey import Valkey
    from tests.support.board.fuzzed_server import fuzzed

    record = recorded() if RECORD.exists() else {"names": {}, "deprecated": {}}
    with (
        tempfile.TemporaryDirectory() as place,
        Valkey(Path(place) / "valkey") as valkey,
        fuzzed(valkey, Path(place)) as client,
    ):
        today = {**names_of_pages(), **names_of_server(client)}
    for heading, names in today.items():
        record["names"][heading] = sorted({*record["names"].get(heading, ()), *names})
    record["names"] = dict(sorted(record["names"].items()))
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
