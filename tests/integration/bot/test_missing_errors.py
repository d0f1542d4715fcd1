"""`steward errors`: results that were published without standard errors get those that the worker would write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from typer.testing import CliRunner

from hub.budget import Commits
from hub.records import Repo
from leaderboard.details import table_path
from leaderboard.suites import parse_suite
from redis_state import clock
from steward.cli import app
from tests.support.board.board_driver import BOT, WORKER, BoardDriver
from tests.support.board.board_file import BOARD
from tests.support.units.details_samples import sample
from tests.support.workers.evaluation_inputs import plan, publication, write_spool
from workers.common.hub_access import HubAccess
from workers.publication.details import write_samples
from workers.publication.publish import publish

FIELDS = ("errors", "average_error", "influence", "benchmark_influences")
TASK = "starter_navigation"
BENCHMARK = "source: starter_navigation\n"
SUITE = (
    (Path(__file__).parents[3] / "leaderboard/suites/starter.yaml")
    .read_text()
    .replace(BENCHMARK, f"{BENCHMARK}    restricted: true\n")
)
"""One benchmark is restricted: its answers are in a gated repo of their own."""
Command = Callable[..., tuple[int, dict[str, Any]]]
OLDER = "ada/old/results_2024-01-01T00-00-00.000000.json"


@pytest.fixture
def command(stand: BoardDriver, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`steward errors --json` with these words, and the board's syncs after it: exit status and what it printed."""
    (tmp_path / "suite.yaml").write_text(SUITE)
    (tmp_path / "board.yaml").write_text(BOARD.replace("suite: starter", f"suite: {tmp_path / 'suite.yaml'}"))
    stand.context.suite = parse_suite(SUITE)
    for name, value in {
        "HF_ENDPOINT": stand.hub.url,
        "REDIS_URL": valkey_url,
        "STEWARD_BOARD": str(tmp_path / "board.yaml"),
        "STEWARD_BOT_TOKEN": BOT,
        "STEWARD_MIRRORS": str(tmp_path / "mirrors"),
    }.items():
        monkeypatch.setenv(name, value)
    stand.context.ledger.budget.limits = Commits(at_once=60, first_wait=0.0)

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        found = CliRunner().invoke(app, ["errors", "--json", *words])
        stand.time = clock.now() + 1
        stand.settle()
        assert found.output.endswith("}\n"), found.output
        return found.exit_code, json.loads(found.output.splitlines()[-1])

    return run


def evaluated(stand: BoardDriver, folder: Path) -> str:
    """A real worker's publication of an evaluation of ada/good, which finished; the path of its results."""
    job = stand.started()
    write_spool(folder)
    attempt = {"attempt": job.attempt, "model": job.model, "revision": job.revision, "suite_digest": job.suite_digest}
    repos = stand.context.board.repos
    made = publication(
        folder,
        repo=repos.details(job.model),
        restricted_repo=repos.restricted_details(job.model),
        suite=stand.context.suite,
        request=job.path,
        plan=plan(folder).model_copy(update=attempt),
    )
    stand.end(job, details=publish(made, HubAccess(stand.hub.url, WORKER)))
    assert stand.file(job.path)["status"] == "FINISHED"
    return str(stand.file(job.path)["steward"]["results"])


def results(stand: BoardDriver, path: str) -> dict[str, Any]:
    """A results file."""
    found: dict[str, Any] = json.loads(stand.context.hub.read_file(stand.context.results, path).data)
    return found


def put(stand: BoardDriver, files: dict[str, dict[str, Any]]) -> None:
    """Write results files as an earlier version did."""
    adds = [CommitOperationAdd(path, json.dumps(data, indent=2).encode()) for path, data in files.items()]
    stand.form.create_commit("board/results", adds, commit_message="Write", repo_type="dataset")


def table_of(stand: BoardDriver, path: str, data: bytes | None = None) -> bytes:
    """The table of TASK in the details of the results at `path`; `data` replaces it."""
    gpu, repo = HfApi(stand.hub.url, token=WORKER), stand.context.board.repos.restricted_details("ada/good")
    table = table_path(TASK, path.rpartition("results_")[2].removesuffix(".json"))
    there = stand.context.hub.read_file(Repo("dataset", repo), table).data
    if data is not None:
        adds = [CommitOperationAdd(table, data)]
        gpu.create_commit(repo, adds, commit_message="Replace", repo_type="dataset")
    return there


def other_answers(folder: Path) -> bytes:
    """A table of answers that are all right."""
    lines = [sample(doc_id=number) for number in range(4)]
    (folder / "samples.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    write_samples(folder / "samples.jsonl", folder / "table.parquet", ["acc_norm,none"])
    return (folder / "table.parquet").read_bytes()


def test_results_get_the_errors_that_the_worker_writes(stand: BoardDriver, tmp_path: Path, command: Command) -> None:
    """Answers that do not give the published score change nothing; the right ones give the worker's own errors."""
    path = evaluated(stand, tmp_path / "spool")
    (known,) = stand.context.scores.all()
    whole = results(stand, path)
    assert known.average_error and whole["steward"]["average_error"] == known.average_error
    without = {**whole, "steward": {name: value for name, value in whole["steward"].items() if name not in FIELDS}}
    older = {"results": whole["results"], "config": {"model_dtype": "torch.float32", "model_sha": "a" * 40}}
    put(stand, {path: without, OLDER: older})

    stand.context.redis.hdel(stand.context.keys.scores, known.path)
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
    status, report = command("--apply")
    assert (status, report["added"], report["left"]) == (0, [path], {})
    assert results(stand, path) == whole
    assert stand.context.scores.all() == [known]
    assert command("--apply")[1]["complete"] == 1
    commits = stand.form.list_repo_commits("board/results", repo_type="dataset")
    assert commits[0].title == "Add standard errors of ada/good"
