"""Plans of renames, and comparisons with pull requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.changes import FileChange
from leaderboard.rename_claims import models_in_diff
from leaderboard.rename_comparison import compare_with_plan, missing_facts
from leaderboard.rename_contents import moved_results, request_place, result_place, sanitised
from leaderboard.renames import FilePlan, RenamePlan, plan

OLD, NEW = "ada/lion", "ada/lioness"


def path(model: str, precision: str = "float16") -> str:
    """The path of a request file."""
    return f"{model}_eval_request_False_{precision}_Original.json"


def request(model: str, **more: Any) -> bytes:
    """A request file, as a front end writes it."""
    return json.dumps({"model": model, "base_model": "", "status": "FINISHED", "params": 7.1, **more}).encode()


def results(model: str, score: float = 0.5) -> bytes:
    """Return a results file with the model's name in the fields of both generations of the leaderboard."""
    fields = {
        "results": {"task": {"acc,none": score}},
        "config_general": {"model_name": model, "model_sha": "a" * 40},
        "config": {"model_name": model, "model_args": f"pretrained={model},dtype=float16", "batch_size": 1},
        "model_name": model,
        "model_name_sanitized": sanitised(model),
        "steward": {
            "model": model,
            "request": path(model),
            "attempt": "x",
            "rescored_from": {"results": f"{model}/results_2023-12-31T00-00-00.json", "suite": "starter"},
        },
    }
    return json.dumps(fields, indent=2).encode()


REQUESTS: dict[str, bytes] = {
    path(OLD): request(OLD, revision="main", note="é"),
    path(OLD, "4bit"): request(OLD),
    path("bob/cub"): request("bob/cub", base_model=OLD),
    path("bob/other"): request("bob/other", base_model="meta/base"),
}
RESULTS: dict[str, bytes] = {
    f"{OLD}/results_2024-01-01T00-00-00.json": results(OLD),
    f"{OLD}/picture.png": b"\x89PNG",
    "ada/lion-2/results_2024-01-01T00-00-00.json": results("ada/lion-2"),
}


def done(rename: RenamePlan, *, without: tuple[str, ...] = ()) -> tuple[list[FileChange], dict[str, bytes]]:
    """Return the changes of a pull request that follows the plan, except for the files `without`."""
    files = [file_plan for file_plan in rename.files if file_plan.path not in without]
    changes = [change for file_plan in files for change in changes_of(file_plan)]
    return changes, {file_plan.place: file_plan.data for file_plan in files}


def changes_of(file_plan: FilePlan) -> list[FileChange]:
    """Return one file's part of a diff as removed and added."""
    if not file_plan.moves:
        return [FileChange(file_plan.path, "changed")]
    return [FileChange(file_plan.path, "removed"), FileChange(file_plan.place, "added", "100644")]


def test_a_request_moves_as_it_is_spelled() -> None:
    """The new path of a request has the new name of the model, and keeps the spelling of the precision."""
    assert request_place(OLD, NEW, path(OLD, "gptq")) == path(NEW, "gptq")


def test_every_file_of_the_model_moves_and_every_name_of_it_changes() -> None:
    """A plan moves requests at all precisions, renames the base model in another model's request, and nothing else."""
    rename = plan("requests", OLD, NEW, REQUESTS)
    assert not rename.problems
    assert {(file_plan.path, file_plan.place) for file_plan in rename.files} == {
        (path(OLD), path(NEW)),
        (path(OLD, "4bit"), path(NEW, "4bit")),
        (path("bob/cub"), path("bob/cub")),
    }
    moved = next(file_plan for file_plan in rename.files if file_plan.path == path(OLD))
    assert json.loads(moved.data) == {**json.loads(REQUESTS[path(OLD)]), "model": NEW}
    assert json.loads(next(file_plan.data for file_plan in rename.files if not file_plan.moves))["base_model"] == NEW


def test_results_change_their_names_in_both_generations_and_no_score() -> None:
    """All files in the model's folder move and contain the new name; a model with a longer name stays."""
    rename = plan("results", OLD, NEW, RESULTS)
    assert {file_plan.place for file_plan in rename.files} == {
        f"{NEW}/results_2024-01-01T00-00-00.json",
        f"{NEW}/picture.png",
    }
    changed = json.loads(next(file_plan.data for file_plan in rename.files if file_plan.place.endswith(".json")))
    assert changed == json.loads(results(NEW))


def test_a_request_names_its_results_that_were_scored_again_under_the_new_name() -> None:
    """The paths of results before and after a rescoring change in the request; those of other models do not."""
    first, second, others = (f"results_2024-01-0{day}T00-00-00.json" for day in (1, 2, 3))
    ours = {"results": f"{OLD}/{second}", "rescored_from": f"{OLD}/{first}", "kept": {"results": f"bob/cub/{others}"}}
    moved = moved_results({**ours, "attempt": 1}, partial(result_place, OLD, NEW))
    assert moved == {"results": f"{NEW}/{second}", "rescored_from": f"{NEW}/{first}"}


def test_results_of_an_organisation_stay_where_a_model_without_one_has_its_name() -> None:
    """`lion/cub` is another model than `lion`, although its folder of results is inside that of `lion`."""
    own, others = "lion/results_2024-01-01T00-00-00.json", "lion/cub/results_2024-01-01T00-00-00.json"
    rename = plan("results", "lion", NEW, {own: results("lion"), others: results("lion/cub")})
    assert [(file_plan.path, file_plan.place) for file_plan in rename.files] == [
        (own, f"{NEW}/results_2024-01-01T00-00-00.json")
    ]


@pytest.mark.parametrize(
    ("old", "new", "files", "code"),
    [
        (OLD, OLD, REQUESTS, "same-name"),
        (OLD, "ada/../x", REQUESTS, "no-name"),
        (OLD, "ada/l\u0456on", REQUESTS, "no-name"),
        ("ada/unknown", NEW, REQUESTS, "nothing-to-rename"),
        (OLD, "bob/cub", {**REQUESTS, path("bob/cub"): request("bob/cub")}, "taken"),
        (OLD, NEW, {path(OLD): b"no json"}, "unreadable"),
        (OLD, NEW, {path(OLD): b"[1]"}, "unreadable"),
    ],
)
def test_what_cannot_be_renamed_says_why(old: str, new: str, files: Mapping[str, bytes], code: str) -> None:
    """A plan with a problem is refused whatever the pull request does."""
    rename = plan("requests", old, new, files)
    assert code in [problem.code for problem in rename.problems]
    assert compare_with_plan(rename, *done(rename)).verdict == "wrong"


@pytest.mark.parametrize("kind", ["requests", "results"])
def test_a_pull_request_that_does_the_plan_is_right_however_it_formats(kind: Any) -> None:
    """Exactly the planned files with the planned values are right, in any layout and order of members."""
    rename = plan(kind, OLD, NEW, REQUESTS if kind == "requests" else RESULTS)
    changes, contents = done(rename)
    assert compare_with_plan(rename, changes, contents).verdict == "exact"
    turned = {
        place: json.dumps(dict(reversed(json.loads(data).items())), indent=7).encode()
        if place.endswith(".json")
        else data
        for place, data in contents.items()
    }
    assert compare_with_plan(rename, changes, turned).verdict == "exact"


def test_a_part_of_the_plan_is_a_step_and_the_rest_is_named() -> None:
    """A correct but incomplete pull request is partial, not wrong, and the files that are left are listed."""
    rename = plan("requests", OLD, NEW, REQUESTS)
    comparison = compare_with_plan(rename, *done(rename, without=(path("bob/cub"), path(OLD, "4bit"))))
    assert comparison.verdict == "partial"
    assert {file_plan.path for file_plan in comparison.left} == {path("bob/cub"), path(OLD, "4bit")}
    assert compare_with_plan(rename, [], {}).verdict == "wrong"


def test_an_old_name_in_config_model_name_is_accepted_and_corrected() -> None:
    """The old name may stay in `config.model_name`, and is corrected; any other difference in `config` is wrong."""
    rename = plan("results", OLD, NEW, RESULTS)
    changes, contents = done(rename)
    place = f"{NEW}/results_2024-01-01T00-00-00.json"
    planned = json.loads(contents[place])

    def with_config(**changed: Any) -> dict[str, bytes]:
        return {**contents, place: json.dumps({**planned, "config": {**planned["config"], **changed}}).encode()}

    not_renamed = with_config(model_name=OLD)
    assert compare_with_plan(rename, changes, not_renamed).verdict == "exact"
    assert {where: dict(missing.fields) for where, missing in missing_facts(rename, not_renamed).items()} == {
        place: {"config": planned["config"]}
    }
    assert missing_facts(rename, contents) == {}
    for spoilt in (with_config(model_name="ada/other"), with_config(model_name=OLD, batch_size=2)):
        assert compare_with_plan(rename, changes, spoilt).verdict == "wrong"
        assert missing_facts(rename, spoilt) == {}


@pytest.mark.parametrize(("block", "are_missing"), [({}, True), ({"model": NEW}, True), (None, False), ("text", False)])
def test_facts_are_set_only_in_a_block_that_is_there(block: Any, are_missing: bool) -> None:
    """Members that a file's `steward` block lacks are set; a file without a block gets none."""
    rename = plan("results", OLD, NEW, RESULTS)
    _, contents = done(rename)
    place = f"{NEW}/results_2024-01-01T00-00-00.json"
    planned = json.loads(contents[place])
    present = {place: json.dumps({**planned, "steward": block}).encode()}
    missing = {name: value for name, value in planned["steward"].items() if name not in (block or {})}
    missing_by_place = {where: dict(facts.facts) for where, facts in missing_facts(rename, present).items()}
    assert missing_by_place == ({place: missing} if are_missing else {})


def wrong(changes: list[FileChange], contents: dict[str, bytes], name: str) -> None:
    """Change a correct pull request so that it has the fault `name`."""
    new = path(NEW)
    fields = json.loads(contents[new])
    match name:
        case "a changed score":
            contents[new] = json.dumps({**fields, "params": 7.2}).encode()
        case "a changed type":
            contents[new] = json.dumps({**fields, "params": "7.1"}).encode()
        case "an added field":
            contents[new] = json.dumps({**fields, "more": None}).encode()
        case "a lost field":
            contents[new] = json.dumps({key: value for key, value in fields.items() if key != "status"}).encode()
        case "the old name kept":
            contents[new] = json.dumps({**fields, "model": OLD}).encode()
        case "no json":
            contents[new] = b"{"
        case "not there":
            del contents[new]
        case "another file":
            changes.append(FileChange("README.md", "changed"))
        case "another file removed":
            changes.append(FileChange(path("bob/other"), "removed"))
        case "another model too":
            changes.append(FileChange(path("bob/other"), "renamed", "100644", path("bob/cub")))
        case "copied, not moved":
            changes.remove(FileChange(path(OLD), "removed"))
        case "removed, not moved":
            changes.remove(FileChange(new, "added", "100644"))
        case "an executable":
            changes[changes.index(FileChange(new, "added", "100644"))] = FileChange(new, "added", "100755")
        case "a symbolic link":
            changes[changes.index(FileChange(new, "added", "100644"))] = FileChange(new, "added", "120000")
        case "a submodule":
            changes.append(FileChange("sub", "added", "160000"))
        case "a case-only rename":
            changes.append(FileChange(path("Ada/lion"), "added", "100644"))
        case _:
            raise AssertionError(name)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a changed score", "content"),
        ("a changed type", "content"),
        ("an added field", "content"),
        ("a lost field", "content"),
        ("the old name kept", "content"),
        ("no json", "content"),
        ("not there", "content"),
        ("another file", "not-planned"),
        ("another file removed", "not-planned"),
        ("another model too", "not-planned"),
        ("copied, not moved", "not-moved"),
        ("removed, not moved", "lost"),
        ("an executable", "mode"),
        ("a symbolic link", "mode"),
        ("a submodule", "not-planned"),
        ("a case-only rename", "not-planned"),
    ],
)
def test_a_pull_request_that_does_anything_else_is_wrong(name: str, code: str) -> None:
    """A pull request with any change that is not planned is wrong, and a problem says which."""
    rename = plan("requests", OLD, NEW, REQUESTS)
    changes, contents = done(rename)
    wrong(changes, contents, name)
    comparison = compare_with_plan(rename, changes, contents)
    assert comparison.verdict == "wrong"
    assert code in [problem.code for problem in comparison.problems]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(name=st.sampled_from(["model", "base_model", "status", "params", "note", "new"]), value=VALUES)
def test_no_value_but_the_planned_one_is_right(name: str, value: Any) -> None:
    """A field is right only with the planned value and type."""
    rename = plan("requests", OLD, NEW, REQUESTS)
    changes, contents = done(rename)
    planned = json.loads(contents[path(NEW)])
    contents[path(NEW)] = json.dumps({**planned, name: value}).encode()
    same = name in planned and json.dumps(planned[name]) == json.dumps(value)
    assert compare_with_plan(rename, changes, contents).verdict == ("exact" if same else "wrong")


def test_a_plan_is_named_by_what_it_was_made_from() -> None:
    """The digest of a plan changes with its names, files and contents, and not with their order."""
    rename = plan("requests", OLD, NEW, REQUESTS)
    assert rename.digest == plan("requests", OLD, NEW, dict(reversed(REQUESTS.items()))).digest
    others = [
        plan("requests", OLD, "ada/puma", REQUESTS),
        plan("requests", OLD, NEW, {**REQUESTS, path(OLD): request(OLD)}),
        plan("requests", OLD, NEW, {path(OLD): REQUESTS[path(OLD)]}),
    ]
    assert len({rename.digest, *(other.digest for other in others)}) == 4


def test_what_a_diff_seems_to_rename_is_read_from_its_paths() -> None:
    """The old and the new model are found, whether git shows a rename or a removal and an addition."""
    plain = [FileChange(path(OLD), "removed"), FileChange(path(NEW), "added", "100644")]
    guessed = [FileChange(path(NEW), "renamed", "100644", path(OLD))]
    assert models_in_diff("requests", plain) == models_in_diff("requests", guessed) == ({OLD}, {NEW})
