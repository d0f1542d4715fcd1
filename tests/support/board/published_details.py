"""Commits to a details repo what a worker commits after a successful evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi

from benchmarks.sample_tables import sample_tables
from leaderboard.attempts import Details
from leaderboard.boards import parse_board
from leaderboard.details import PublishedOutcome, outcome_path
from leaderboard.results import dump
from leaderboard.scores import score
from leaderboard.steward_block import StewardBlock, scores_in_block, with_block
from leaderboard.suites import Suite
from redis_state.jobs import EvaluationJob
from steward.testing.board import BOARD, WORKER


def publish(
    url: str,
    job: EvaluationJob,
    suite: Suite,
    *,
    number: int = 0,
    harness: Mapping[str, Any] | None = None,
    errors: Mapping[str, Any] | None = None,
    accuracy: float = 0.75,
    forge: Callable[[dict[str, bytes]], None] = lambda _: None,
    branch: str = "main",
) -> Details:
    """Commit the details of `job` to the Hub at `url`; runs that end in the same second need different numbers.

    `harness` is what the harness writes beside the scores; `errors` are the block's standard errors. `forge` changes
    the files, by their paths, before they are committed. A `branch` other than main is created.
    """
    repo = parse_board(BOARD).repos.details(job.model)
    name = f"results_2026-11-24T12-00-00.{number:06}.json"
    fields: dict[str, Any] = {"attempt": job.attempt, "revision": job.revision, "suite": job.suite}
    fields["suite_digest"] = job.suite_digest
    raw = {task: {"acc_norm,none": accuracy, "exact_match,answer": 0.5} for task in (*suite.tasks, *suite.run)}
    more = {"request": job.path, "model": job.model, "precision": job.precision, "started": "", "ended": ""}
    block = StewardBlock(**fields, **more, **scores_in_block(score(raw, suite)), **(errors or {}))
    outcome = PublishedOutcome(**fields, path=job.path, started=1, ended=2, results_path=name)
    time = name.removeprefix("results_").removesuffix(".json")
    files = {
        **sample_tables(suite, raw, time),
        name: dump(with_block({"results": raw, **(harness or {})}, block)),
        outcome_path(job.attempt): outcome.model_dump_json().encode(),
    }
    forge(files)
    gpu = HfApi(url, token=WORKER)
    gpu.create_repo(repo, repo_type="dataset", exist_ok=True)
    if branch != "main":
        gpu.create_branch(repo, branch=branch, repo_type="dataset", exist_ok=True)
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    commit = gpu.create_commit(repo, operations, commit_message="Add details", repo_type="dataset", revision=branch)
    return Details(repo=repo, commit=commit.oid, results_path=name)
