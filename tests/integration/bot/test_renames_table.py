"""Reports on pull requests that claim to rename a model, as a table of cases on one shared board."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from leaderboard.admission.facts import EarlierRequest
from leaderboard.renames import plan
from localhub.testing import LocalHub
from steward.testing.board import REQUESTS, BoardDriver
from steward.valkey import Valkey
from tests.support.board.renames import (
    FILES,
    NEW,
    OLD,
    RESULT_FILES,
    RESULTS,
    comments,
    done,
    look_at,
    open_pull,
    path,
    prepare,
    push_raw,
    rename_board,
    rename_world,
    request,
    requests_plan,
    result_path,
    results,
)
from tests.support.long import long_except

TWIN = path("ada/twin")


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey) -> Iterator[BoardDriver]:
    """A board with the requests and results of a few models, of which some were renamed since."""
    with LocalHub(tmp_path_factory.mktemp("hub"), rename_world()) as hub:
        prepare(hub)
        running = {path("ada/run"): request("ada/run", status="RUNNING", job_id="x")}
        broken = {path("ada/broken"): b"[1]"}
        with rename_board(hub, valkey, FILES | running | broken) as driver:
            flagged = EarlierRequest(path="", model="ada/solo", status="flagged")
            driver.context.flags = lambda models, _: (flagged,) if "ada/solo" in models else ()
            yield driver


Verdict = Literal["right", "step", "wrong"]
HEADINGS = {"right": "The rename is correct", "step": "A correct step of a rename", "wrong": "Not yet"}


@dataclass
class Case:
    """A pull request, and the verdict and text of the report that it gets."""

    name: str
    verdict: Verdict
    words: str
    files: dict[str, Any] = field(default_factory=dict)
    title: str = "Rename"
    repo: str = REQUESTS
    raw: dict[str, tuple[int, bytes | str | None]] = field(default_factory=dict)


RIGHT = done(requests_plan().files)
RESULTS_RIGHT = done(plan("results", OLD, NEW, RESULT_FILES).files)
MOVED, SCORES = path(NEW), result_path(NEW)


def pretty(files: dict[str, Any]) -> dict[str, Any]:
    """Return `files` with another order and indentation of their fields, as another tool may write them."""
    return {
        place: json.dumps(dict(reversed(json.loads(data).items())), indent=7).encode()
        if data is not None and place.endswith(".json")
        else data
        for place, data in files.items()
    }


def spoilt(change: Callable[[dict[str, Any]], object], where: str = MOVED, files: dict[str, Any] | None = None) -> Any:
    """Return a correct pull request in one file of which `change` altered the fields."""
    files_now = dict(files or RIGHT)
    inside = json.loads(files_now[where])
    change(inside)
    return files_now | {where: json.dumps(inside).encode()}


def without(*paths: str, files: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a correct pull request without its changes at `paths`."""
    return {place: data for place, data in (files or RIGHT).items() if place not in paths}


def rename(old: str, new: str, files: dict[str, bytes] | None = None) -> dict[str, Any]:
    """Return the file changes that rename the requests of `old` to `new`."""
    return done(requests_plan(old, new, files).files)


LINK, MODULE, EXECUTABLE = 0o120000, 0o160000, 0o100755
PLAIN = 0o100644
MANY: dict[str, tuple[int, bytes | str | None]] = {f"x/{n}.bin": (PLAIN, b"\0") for n in range(10_000)}
HEADLINE = f"Rename {OLD} to {NEW}"
OVER = {path(OLD): None, TWIN: request("ada/twin", params=1)}

CASES = [
    Case("all of it", "right", "no other: 3 files", RIGHT),
    Case("in another layout", "right", "no other", pretty(RIGHT)),
    Case("whatever it is called", "right", "same model", RIGHT, title="Update files"),
    Case("another title", "right", "`ada/lioness`", RIGHT, title="Rename bob/a to bob/b"),
    Case("all results", "right", "3 files", RESULTS_RIGHT, repo=RESULTS),
    Case("results in another layout", "right", "no other", pretty(RESULTS_RIGHT), repo=RESULTS),
    Case("in case alone", "right", "same model", rename("ada/Case", "ada/case")),
    Case("twins of one owner", "wrong", "cannot see that bob may write", rename("ada/twin", "ada/twin-two")),
    Case("one precision", "step", "Still to do: 2 files", {path(OLD): None, MOVED: RIGHT[MOVED]}),
    Case("all but the base", "step", "Still to do: 1 file", without(path("bob/cub"))),
    Case("the base alone", "step", "1 file", {path("bob/cub"): RIGHT[path("bob/cub")]}, title=HEADLINE),
    Case("one result", "step", "2 files", {result_path(OLD): None, SCORES: RESULTS_RIGHT[SCORES]}, repo=RESULTS),
    Case("a parameter", "wrong", "differs in params", spoilt(lambda it: it.update(params=70.1))),
    Case("a type", "wrong", "differs in params", spoilt(lambda it: it.update(params="7.1"))),
    Case("a status", "wrong", "differs in status", spoilt(lambda it: it.update(status="PENDING"))),
    Case("a new field", "wrong", "differs in more", spoilt(lambda it: it.update(more=None))),
    Case("a lost field", "wrong", "differs in note", spoilt(lambda it: it.pop("note"))),
    Case("our own account", "wrong", "differs in steward", spoilt(lambda it: it.update(steward={"attempt": 9}))),
    Case("the old name kept", "wrong", "differs in model", spoilt(lambda it: it.update(model=OLD))),
    Case("two changes", "wrong", "in params, revision", spoilt(lambda it: it.update(params=1, revision="x"))),
    Case(
        "a score",
        "wrong",
        "differs in results",
        spoilt(lambda it: it["results"]["task"].update({"acc,none": 0.99}), SCORES, RESULTS_RIGHT),
        repo=RESULTS,
    ),
    Case(
        "the commit of the weights",
        "wrong",
        "differs in config",
        spoilt(lambda it: it["config_general"].update(model_sha="b" * 40), SCORES, RESULTS_RIGHT),
        repo=RESULTS,
    ),
    Case(
        "another model's results",
        "wrong",
        "is not part of",
        RESULTS_RIGHT | {result_path("ada/solo"): results("ada/solo", 0.9)},
        repo=RESULTS,
    ),
    Case("a table", "wrong", "its bytes differ", RESULTS_RIGHT | {f"{NEW}/table.md": b"| b |\n"}, repo=RESULTS),
    Case("results copied", "wrong", "is not moved", without(result_path(OLD), files=RESULTS_RIGHT), repo=RESULTS),
    Case("two models", "wrong", "more than one model", RIGHT | rename("ada/twin", "ada/twin-two")),
    Case(
        "over another's",
        "wrong",
        "exists already",
        {path(OLD): None, TWIN: request("ada/twin", params=1)},
        f"Rename {OLD} to ada/twin",
    ),
    Case("another file", "wrong", "README.md is not part of", RIGHT | {"README.md": b"Mine.\n"}),
    Case("another file removed", "wrong", "README.md is not part of", RIGHT | {"README.md": None}),
    Case("another's request", "wrong", "ada/solo", RIGHT | {path("ada/solo"): request("ada/solo", params=1)}),
    Case("copied", "wrong", "is not moved", without(path(OLD))),
    Case("removed", "wrong", "is missing", {path(OLD): None}, title=HEADLINE),
    Case("no json", "wrong", "no JSON object", RIGHT | {MOVED: b"{"}),
    Case("binary", "wrong", "no JSON object", RIGHT | {MOVED: bytes(range(256))}),
    Case("look-alike", "wrong", "is not part of", RIGHT | {path("ada/l\u0456oness"): request(NEW)}),
    Case("other case", "wrong", "more than one model", RIGHT | {path("Ada/lioness"): request(NEW)}),
    Case("a typo", "wrong", "The Hub redirects ada/lion to ada/lioness", rename(OLD, "ada/lionness")),
    Case("to nobody", "wrong", "no model ada/nobody", rename("ada/solo", "ada/nobody")),
    Case("to another model", "wrong", "different weights", rename("ada/solo", "ada/puma")),
    Case("to a stranger's copy", "wrong", "cannot see", rename("ada/twin", "bob/twin")),
    Case("away from a flag", "wrong", "is flagged", rename("ada/solo", "ada/puma")),
    Case(
        "nothing to rename",
        "wrong",
        "This repo has no files of ada/zebra",
        {"x.txt": b"x"},
        title="Rename ada/zebra to ada/lioness",
    ),
    Case("the title alone", "wrong", "is not part of", {"x.txt": b"x"}, title=HEADLINE),
    Case(
        "while it runs",
        "wrong",
        "being evaluated right now",
        rename("ada/run", NEW, {path("ada/run"): request("ada/run", status="RUNNING", job_id="x")}),
    ),
    Case("unreadable", "wrong", "no JSON object", {path("ada/broken"): None, path("ada/brake"): b"[1]"}),
    Case("a symbolic link", "wrong", "no plain file", RIGHT, raw={MOVED: (LINK, b"README.md")}),
    Case("an executable", "wrong", "no plain file", RIGHT, raw={MOVED: (EXECUTABLE, RIGHT[MOVED])}),
    Case("a mode", "wrong", "README.md is not part", RIGHT, raw={"README.md": (EXECUTABLE, FILES["README.md"])}),
    Case("a submodule", "wrong", "sub is not part of", RIGHT, raw={"sub": (MODULE, "1" * 40)}),
    Case("a link beside it", "wrong", "is not part of", RIGHT, raw={"ada/link": (LINK, b"../README.md")}),
    Case("very many", "wrong", "more than 2,000 files", RIGHT, raw=MANY),
]
SOME = {
    "all of it", "all results", "in case alone", "twins of one owner", "all but the base", "one result", "a parameter",
    "a score", "a table", "over another's", "another's request", "copied", "no json", "look-alike", "a typo",
    "to another model", "while it runs", "a symbolic link", "a mode",
}  # fmt: skip
"""What `make test` tries: of each kind of change, one."""


@pytest.mark.parametrize("case", long_except(SOME, CASES, "one of fifty changes", name=lambda case: case.name))
def test_each_pull_request_has_its_verdict_and_its_reason(stand: BoardDriver, case: Case) -> None:
    """A correct rename, or a correct part of one, can be approved; otherwise the report names the fault."""
    number, _ = open_pull(stand, case.files, repo=case.repo, title=case.title)
    if case.raw:
        push_raw(stand, number, case.raw, repo=case.repo)
    look_at(stand, case.repo, number)
    (text,) = comments(stand, case.repo, number)
    assert HEADINGS[case.verdict] in text
    assert case.words in text
    assert ("/approve" in text) == (case.verdict != "wrong")
    look_at(stand, case.repo, number)
    assert len(comments(stand, case.repo, number)) == 1


def test_the_table_has_at_least_forty_cases() -> None:
    """The table has at least forty cases, each with a name of its own."""
    assert len({case.name for case in CASES}) == len(CASES) >= 40
