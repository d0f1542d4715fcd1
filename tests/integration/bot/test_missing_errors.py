"""`steward errors` adds the standard errors that a worker would write to results that lack them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from hub.records import Repo
from leaderboard.details import table_path
from steward.testing.board import WORKER, BoardDriver
from tests.support.board.operator_commands import Command, finish_evaluation, operator_command, use_suite
from tests.support.units.details_samples import sample
from tests.support.workers.evaluation_inputs import write_spool
from workers.publication.details import write_samples

FIELDS = ("errors", "average_error", "influence", "benchmark_influences")
TASK = "starter_navigation"
BENCHMARK = "source: starter_navigation\n"
SUITE = (
    (Path(__file__).parents[3] / "leaderboard/suites/starter.yaml")
    .read_text()
    .replace(BENCHMARK, f"{BENCHMARK}    restricted: true\n")
)
"""One benchmark is restricted: its answers are in a gated repo of their own."""
OLDER = "ada/old/results_2024-01-01T00-00-00.000000.json"


@pytest.fixture
def command(stand: BoardDriver, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`steward errors --json` on a board with this suite."""
    use_suite(stand, SUITE, tmp_path)
    return operator_command("errors", stand, valkey_url, tmp_path, monkeypatch)


def evaluated(stand: BoardDriver, folder: Path) -> str:
    """Publish a finished evaluation of ada/good with the worker's code, and return the path of its results."""
    write_spool(folder)
    job = finish_evaluation(stand, folder)
    return str(stand.file(job.path)["steward"]["results"])


def results(stand: BoardDriver, path: str) -> dict[str, Any]:
    """A results file."""
    contents: dict[str, Any] = json.loads(stand.context.hub.read_file(stand.context.results, path).data)
    return contents


def put(stand: BoardDriver, files: dict[str, dict[str, Any]]) -> None:
    """Commit results files, as an earlier version wrote them."""
    adds = [CommitOperationAdd(path, json.dumps(data, indent=2).encode()) for path, data in files.items()]
    stand.form.create_commit("board/results", adds, commit_message="Write", repo_type="dataset")


def table_of(stand: BoardDriver, path: str, data: bytes | None = None) -> bytes:
    """Return the table of TASK in the details of the results at `path`, and replace it by `data` if given."""
    gpu, repo = HfApi(stand.hub.url, token=WORKER), stand.context.board.repos.restricted_details("ada/good")
    table = table_path(TASK, path.rpartition("results_")[2].removesuffix(".json"))
    there = stand.context.hub.read_file(Repo("dataset", repo), table).data
    if data is not None:
        adds = [CommitOperationAdd(table, data)]
        gpu.create_commit(repo, adds, commit_message="Replace", repo_type="dataset")
    return there


def change_public_answers(stand: BoardDriver, path: str, data: bytes) -> None:
    """Change a published table on the main branch of the public details repo, as a worker could."""
    gpu, repo = HfApi(stand.hub.url, token=WORKER), stand.context.board.repos.details("ada/good")
    table = table_path("starter_web_of_lies", path.rpartition("results_")[2].removesuffix(".json"))
    assert stand.context.hub.paths_info(Repo("dataset", repo), [table])
    gpu.create_commit(repo, [CommitOperationAdd(table, data)], commit_message="Change", repo_type="dataset")


def other_answers(folder: Path) -> bytes:
    """A table in which all answers are right."""
    lines = [sample(doc_id=number) for number in range(4)]
    (folder / "samples.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    write_samples(folder / "samples.jsonl", folder / "table.parquet", ["acc_norm,none"])
    return (folder / "table.parquet").read_bytes()


def test_results_get_the_errors_that_the_worker_writes(stand: BoardDriver, tmp_path: Path, command: Command) -> None:
    """`errors --apply` writes the worker's own errors if the answers give the published score, and else nothing.

    The command reads a table that was changed after its publication as it was published.
    """
    path = evaluated(stand, tmp_path / "spool")
    (stored,) = stand.context.scores.all()
    whole = results(stand, path)
    assert stored.average_error and whole["steward"]["average_error"] == stored.average_error
    without = {**whole, "steward": {name: value for name, value in whole["steward"].items() if name not in FIELDS}}
    older = {"results": whole["results"], "config": {"model_dtype": "torch.float32", "model_sha": "a" * 40}}
    put(stand, {path: without, OLDER: older})

    stand.context.redis.hdel(stand.context.keys.scores, stored.path)
    stand.context.mark("scores")
    stand.settle()
    assert [each.average_error for each in stand.context.scores.all()] == [None]
    assert command() == (
        0,
        {"lacking": [path], "complete": 0, "older": 1, "pending": 0, "added": None, "left": {}},
    )

    right = table_of(stand, path, other_answers(tmp_path))
    status, report = command("--apply")
    repo = stand.context.board.repos.details("ada/good")
    sentence = f"the answers in {repo} do not give the published score of Navigation"
    assert (status, report["added"], report["left"]) == (1, [], {path: sentence})
    assert results(stand, path) == without

    table_of(stand, path, right)
    change_public_answers(stand, path, other_answers(tmp_path))
    status, report = command("--apply")
    assert (status, report["added"], report["left"]) == (0, [path], {})
    stated = {name: value for name, value in whole["steward"].items() if value is not None}
    assert results(stand, path) == {**whole, "steward": stated}, "an edit leaves out what has no value"
    assert stand.context.scores.all() == [stored]
    assert command("--apply")[1]["complete"] == 1
    commits = stand.form.list_repo_commits("board/results", repo_type="dataset")
    assert commits[0].title == "Add standard errors of ada/good"
