"""A board with evaluated models, some of which were renamed on the Hub since."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.community import DiscussionComment

from leaderboard.rename_contents import sanitised
from leaderboard.renames import FilePlan, RenamePlan, plan
from localhub.git.repository import Author, RemoveFile, SetFile
from localhub.testing import HubWorld, LocalHub
from steward.testing.board import CONFIG, REQUESTS, BoardDriver
from steward.testing.hub import board_world
from steward.valkey import Valkey
from tests.support.board.pull_requests import board_on

RESULTS = "board/results"
OLD, NEW = "ada/lion", "ada/lioness"
MAYA = "hf_maya"
WEIGHTS = bytes(range(256)) * 8


def rename_world() -> HubWorld:
    """Return the world of the bot's tests, with the maintainer Maya, a model to be renamed, and others."""
    made = board_world().user("maya", MAYA)
    for name in ("ada/lion", "ada/twin", "ada/twin-two", "ada/solo", "ada/puma", "ada/Case", "bob/twin"):
        made.repo("model", name, {"README.md": "#", "config.json": CONFIG})
    return made


def prepare(hub: LocalHub) -> None:
    """Rename two of Ada's models on the Hub, and upload equal weights to the twins."""
    ada, bob = HfApi(hub.url, token="hf_ada"), HfApi(hub.url, token="hf_bob")
    ada.move_repo(OLD, NEW)
    ada.move_repo("ada/Case", "ada/case")
    for api, model in ((ada, "ada/twin"), (ada, "ada/twin-two"), (bob, "bob/twin"), (ada, NEW)):
        weights = WEIGHTS + (b"lion" if model == NEW else b"twin")
        name = "model.safetensors" if model != "ada/twin-two" else "renamed.safetensors"
        api.upload_file(path_or_fileobj=weights, path_in_repo=name, repo_id=model)


def maintained(stand: BoardDriver) -> HfApi:
    """Make Maya the board's maintainer; return her client."""
    maya = HfApi(stand.hub.url, token=MAYA)
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (stand.context.hub.user("maya").id,)})
    return maya


def path(model: str, precision: str = "float16") -> str:
    """Return the path of a request file."""
    return f"{model}_eval_request_False_{precision}_Original.json"


def request(model: str, precision: str = "float16", **more: Any) -> bytes:
    """Return a request file as a front end writes it."""
    made = {
        "model": model,
        "base_model": "",
        "revision": "main",
        "precision": precision,
        "weight_type": "Original",
        "status": "FINISHED",
        "params": 7.1,
        "submitted_time": "2026-01-01T00:00:00Z",
    }
    return json.dumps({**made, **more}).encode()


def results(model: str, score: float = 0.5) -> bytes:
    """Return a results file that names its model in the fields of both generations."""
    fields = {
        "results": {"task": {"acc,none": score}},
        "config_general": {"model_name": model, "model_sha": "a" * 40},
        "config": {"model_args": f"pretrained={model},dtype=float16", "batch_size": 1},
        "model_name": model,
        "model_name_sanitized": sanitised(model),
    }
    return json.dumps(fields, indent=2).encode()


def result_path(model: str, day: int = 1) -> str:
    """Return the path of a results file."""
    return f"{model}/results_2024-01-{day:02}T00-00-00.000000.json"


FILES: dict[str, bytes] = {
    path(OLD): request(OLD, note="é"),
    path(OLD, "4bit"): request(OLD, "4bit"),
    path("bob/cub"): request("bob/cub", base_model=OLD),
    path("bob/other"): request("bob/other", base_model="meta/base"),
    path("ada/solo"): request("ada/solo"),
    path("ada/twin"): request("ada/twin"),
    path("ada/Case"): request("ada/Case"),
    "README.md": b"Ours.\n",
}
RESULT_FILES: dict[str, bytes] = {
    result_path(OLD): results(OLD),
    result_path(OLD, 2): results(OLD, 0.6),
    f"{OLD}/table.md": b"| a |\n",
    result_path("ada/solo"): results("ada/solo"),
}


def fill_results(stand: BoardDriver, files: dict[str, bytes]) -> None:
    """Make `files` the only files of the results repo."""
    there = [file.path for file in stand.context.hub.list_files(stand.context.results) if file.path != ".gitattributes"]
    operations: list[Any] = [CommitOperationDelete(it) for it in there if it not in files]
    operations += [CommitOperationAdd(it, data) for it, data in files.items()]
    stand.form.create_commit(RESULTS, operations, commit_message="Begin", repo_type="dataset")


@contextmanager
def rename_board(hub: LocalHub, valkey: Valkey, files: dict[str, bytes] = FILES) -> Iterator[BoardDriver]:
    """Yield a board on `hub` and the emptied `valkey`, with `files` as its requests and RESULT_FILES as its results."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
        with board_on(hub, client, files) as driver:
            fill_results(driver, RESULT_FILES)
            yield driver


def requests_plan(old: str = OLD, new: str = NEW, files: dict[str, bytes] | None = None) -> RenamePlan:
    """Return the plan of the rename in the requests repo."""
    return plan("requests", old, new, {it: data for it, data in (files or FILES).items() if it.endswith(".json")})


def done(files: tuple[FilePlan, ...]) -> dict[str, Any]:
    """Return the changes of a pull request that follows the plan: path → contents, None: removed."""
    made: dict[str, Any] = {file.path: None for file in files if file.moves}
    return made | {file.place: file.data for file in files}


def open_pull(
    stand: BoardDriver, files: dict[str, Any], *, repo: str = REQUESTS, title: str = "Rename", who: HfApi | None = None
) -> tuple[int, str]:
    """Open a pull request, by default as Bob; return its number and head."""
    made = (who or stand.bob).create_commit(
        repo, operations(files), commit_message=title, repo_type="dataset", create_pr=True
    )
    return int(made.pr_num or 0), str(made.oid)


def push(stand: BoardDriver, number: int, files: dict[str, Any], *, repo: str = REQUESTS) -> str:
    """Push to Bob's pull request; return its head."""
    made = stand.bob.create_commit(
        repo, operations(files), commit_message="More", repo_type="dataset", revision=f"refs/pr/{number}"
    )
    return str(made.oid)


def operations(files: dict[str, Any]) -> list[Any]:
    """Return the operations of a commit of `files`."""
    return [CommitOperationDelete(it) if data is None else CommitOperationAdd(it, data) for it, data in files.items()]


def look_at(stand: BoardDriver, repo: str, number: int) -> None:
    """Sync the thread and every key that this marks."""
    stand.context.mark(f"thread:dataset/{repo}:{number}")
    stand.work()


def on_main(stand: BoardDriver, repo: str = REQUESTS) -> dict[str, str]:
    """Return path → id of every file on main except `.gitattributes`."""
    board = stand.context.requests if repo == REQUESTS else stand.context.results
    return {file.path: file.oid for file in stand.context.hub.list_files(board) if file.path != ".gitattributes"}


def comments(stand: BoardDriver, repo: str, number: int) -> list[str]:
    """Return the bot's comments in a thread, without escapes."""
    thread = stand.form.get_discussion_details(repo, number, repo_type="dataset")
    comments = [event for event in thread.events if isinstance(event, DiscussionComment)]
    own = [comment.content for comment in comments if comment.author == "steward-bot"]
    return [text.replace("\u200b", "").replace("\\", "") for text in own]


def push_raw(
    stand: BoardDriver, number: int, files: dict[str, tuple[int, bytes | str | None]], *, repo: str = REQUESTS
) -> str:
    """Push to a pull request by git: path → mode and contents, or an id (None: removed); return its head."""
    stored = stand.hub.state.repos.get("dataset", repo)
    assert stored is not None
    made: list[SetFile | RemoveFile] = []
    with stored.git.open() as git:
        for where, (mode, data) in files.items():
            oid = data if isinstance(data, str) or data is None else str(git.create_blob(data))
            made.append(RemoveFile(where) if oid is None else SetFile(where, oid, mode))
    made.sort(key=lambda file: isinstance(file, SetFile))
    author = Author("bob", "bob@users.noreply.huggingface.co")
    return stored.git.commit(f"refs/pr/{number}", made, None, author, "By git")
