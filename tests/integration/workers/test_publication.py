"""Publication of an attempt on a real Hub: a single commit, made once, that other programs can read."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from leaderboard.details import PublishedOutcome, attachment_path, log_path, outcome_path, parse_table_path
from leaderboard.evaluator_contract import question_digest
from leaderboard.results import read_results
from leaderboard.steward_block import INFLUENCE_LENGTH
from leaderboard.suites import Suite
from localhub.testing import LocalHub
from tests.support.evaluators.suites import suite as suite_of_pairs
from tests.support.workers.evaluation_inputs import (
    DETAILS,
    MODEL,
    RESTRICTED_DETAILS,
    REVISION,
    STARTER,
    WORLD,
    access,
    publication,
    write_spool,
)
from workers.errors import EvaluationFailed, PublicationFailed
from workers.evaluation.evaluator_command import evaluator_command
from workers.jobs.background_call import AttemptStopped
from workers.publication.publish import publish

COMMIT = "POST /api/datasets/*/commit/*"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    """A separate Hub for each test, because tests count commits."""
    with LocalHub(tmp_path / "hub", WORLD) as running:
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The spool (output folder) of a finished child process."""
    write_spool(tmp_path / "spool")
    return tmp_path / "spool"


def read(hub: LocalHub, path: str, revision: str = "main") -> bytes:
    """Read a file of the details repo without a token."""
    folder = HfApi(hub.url, token=False).hf_hub_download(DETAILS, path, repo_type="dataset", revision=revision)
    return Path(folder).read_bytes()


def commits(hub: LocalHub) -> int:
    """The number of commits in the details repo after the initial one."""
    return len(HfApi(hub.url, token=False).list_repo_commits(DETAILS, repo_type="dataset")) - 1


def test_an_attempt_is_one_commit_with_all_that_belongs_to_it(hub: LocalHub, spool: Path) -> None:
    """One commit has results that the bot accepts, an outcome that names them, and a table for each task."""
    details = publish(publication(spool), access(hub))
    assert commits(hub) == 1
    results = read_results(read(hub, details.results_path, details.commit), STARTER)
    assert results.block.attempt == "0123456789ab-00000000-1"
    published = PublishedOutcome.model_validate_json(read(hub, outcome_path(results.block.attempt), details.commit))
    assert published.results_path == details.results_path
    files = HfApi(hub.url, token=False).list_repo_files(DETAILS, repo_type="dataset")
    assert len([file for file in files if file.endswith(".parquet")]) == len(STARTER.tasks) + 1


def test_results_name_the_standard_errors_of_their_scores(hub: LocalHub, spool: Path) -> None:
    """The published results have standard errors that the bot accepts, and the repo's card shows the average's."""
    details = publish(publication(spool), access(hub))
    errors = read_results(read(hub, details.results_path, details.commit), STARTER).block.score_errors
    assert errors.average == pytest.approx(math.hypot(*errors.benchmarks.values()) / len(STARTER.benchmarks))
    assert list(errors.benchmarks) == [benchmark.name for benchmark in STARTER.benchmarks]
    assert len(b64decode(errors.influence)) == 2 * INFLUENCE_LENGTH
    assert f" ± {errors.average:.2f}**" in read(hub, "README.md").decode()


def test_results_without_a_grade_of_each_question_are_published_without_errors(hub: LocalHub, spool: Path) -> None:
    """If a task's samples lack the metric, its benchmark and the average are published without a standard error."""
    file = spool / "samples" / f"{STARTER.tasks[0]}.jsonl"
    file.write_text(file.read_text().replace('"acc_norm": 0.0', '"acc_norm": null'))
    details = publish(publication(spool), access(hub))
    errors = read_results(read(hub, details.results_path, details.commit), STARTER).block.score_errors
    assert (len(errors.benchmarks), errors.average, errors.influence) == (len(STARTER.benchmarks) - 1, None, "")


def test_the_log_is_published_without_secrets(hub: LocalHub, spool: Path) -> None:
    """The published log holds neither the token nor a folder of the machine."""
    publish(publication(spool), access(hub))
    assert read(hub, log_path("0123456789ab-00000000-1")) == b"reading \xe2\x80\xa6/results.json as [hidden]\n"


def test_an_attempt_that_was_stopped_is_not_published(hub: LocalHub, spool: Path) -> None:
    """The worker makes no commit if the check right before it finds that the attempt was stopped."""
    publish(publication(spool), access(hub))

    def given_up() -> None:
        raise AttemptStopped("cancelled")

    late = replace(publication(spool, number=2, ended=1_795_525_200.0), confirm_current=given_up)
    with pytest.raises(AttemptStopped):
        publish(late, access(hub))
    assert commits(hub) == 1


def test_published_twice_is_published_once(hub: LocalHub, spool: Path) -> None:
    """A worker that was killed between the commit and its answer recognises its commit."""
    first = publish(publication(spool), access(hub))
    again = publish(publication(spool, ended=1_795_521_999.0), access(hub))
    assert again == first
    assert commits(hub) == 1


def test_what_was_published_with_another_suite_is_no_earlier_try(hub: LocalHub, spool: Path) -> None:
    """An earlier commit with another version of the suite does not count as this attempt's publication."""
    before = type(STARTER).model_validate(STARTER.model_dump() | {"version": STARTER.version + 1})
    assert before.digest != STARTER.digest
    publish(publication(spool, suite=before), access(hub))
    details = publish(publication(spool, ended=1_795_525_200.0), access(hub))
    assert json.loads(read(hub, details.results_path))["steward"]["suite_digest"] == STARTER.digest
    assert publish(publication(spool, ended=1_795_528_800.0), access(hub)) == details
    assert commits(hub) == 2


@pytest.mark.parametrize("fault", ["fail", "fail-after", "cut"])
def test_a_commit_whose_answer_is_lost_lands_once(hub: LocalHub, spool: Path, fault: str) -> None:
    """A publication is committed once, whether the Hub fails before or after the commit."""
    publish(publication(spool), access(hub))
    hub.state.faults.add(COMMIT, fault)  # type: ignore[arg-type]
    publish(publication(spool, number=2, ended=1_795_525_200.0), access(hub))
    assert commits(hub) == 2


def test_a_push_in_between_loses_nothing(hub: LocalHub, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a concurrent commit the card is generated again, and both commits are in the repo."""
    publish(publication(spool), access(hub))
    from hub.client import Hub

    listed = Hub.list_files

    def list_and_let_another_in(self: Hub, *arguments: object, **options: object) -> object:
        monkeypatch.setattr(Hub, "list_files", listed)
        files = listed(self, *arguments, **options)  # type: ignore[arg-type]
        publish(publication(spool, number=2, ended=1_795_525_200.0), access(hub))
        return files

    monkeypatch.setattr(Hub, "list_files", list_and_let_another_in)
    publish(publication(spool, number=3, ended=1_795_528_800.0), access(hub))
    card = read(hub, "README.md").decode()
    assert commits(hub) == 3
    assert all(f"split: 2026_11_24T1{hour}_00_00" in card for hour in (2, 3, 4))


def restricted_suite() -> tuple[Suite, set[str]]:
    """The starter suite with its first benchmark restricted, and the names of that benchmark's tasks."""
    first, *others = STARTER.benchmarks
    suite = STARTER.model_copy(update={"benchmarks": (first.model_copy(update={"restricted": True}), *others)})
    return suite, {task.name for task in first.tasks}


def tables(hub: LocalHub, repo: str) -> set[tuple[str, str]]:
    """Task and time of each table of answers in a repo."""
    files = HfApi(hub.url, token=access(hub).token).list_repo_files(repo, repo_type="dataset")
    parsed = filter(None, map(parse_table_path, files))
    return {(task, time) for task, time in parsed if task != "results"}


def test_only_restricted_answers_are_published_behind_a_gate(hub: LocalHub, spool: Path) -> None:
    """Restricted answers and the log go to a separate gated repo; public answers go to the details repo."""
    suite, secret = restricted_suite()
    details = publish(publication(spool, suite=suite), access(hub))
    assert (details.repo, read(hub, details.results_path) != b"") == (DETAILS, True)
    assert HfApi(hub.url, token=False).dataset_info(RESTRICTED_DETAILS).gated == "manual"
    assert {task for task, _ in tables(hub, RESTRICTED_DETAILS)} == secret
    assert {task for task, _ in tables(hub, DETAILS)} == set(STARTER.tasks) - secret
    attempt, names = (
        "0123456789ab-00000000-1",
        HfApi(hub.url, token=False).list_repo_files(DETAILS, repo_type="dataset"),
    )
    assert (outcome_path(attempt) in names, log_path(attempt) in names) == (True, False)
    assert (
        f"[a gated repo](/datasets/{RESTRICTED_DETAILS}): {suite.benchmarks[0].name}."
        in read(hub, "README.md").decode()
    )
    with pytest.raises(GatedRepoError):
        HfApi(hub.url, token=False).hf_hub_download(RESTRICTED_DETAILS, log_path(attempt), repo_type="dataset")


def write_evaluators_spool(spool: Path, questions: int = 4) -> None:
    """Write what an evaluator leaves in its spool: samples, results, and an attachment."""
    for folder in ("samples", "attachments"):
        (spool / folder).mkdir(parents=True)
    sample = {"question_digest": question_digest({}), "prompt": "?", "output": "!", "metrics": {"accuracy": 0.5}}
    lines = (json.dumps({"id": number, **sample}) + "\n" for number in range(questions))
    (spool / "samples" / "nearer.jsonl").write_text("".join(lines))
    results = {"contract": 1, "evaluator": {"name": "pairs", "version": "1.0"}, "model": MODEL, "revision": REVISION}
    results["tasks"] = {"nearer": {"questions": questions, "metrics": {"accuracy": 0.5}}}
    (spool / "results.json").write_text(json.dumps(results))
    (spool / "attachments" / "nearer.log").write_bytes(b"\x00 its own log")


@pytest.mark.parametrize("restricted", [False, True])
def test_an_evaluators_attachments_lie_beside_its_log(hub: LocalHub, tmp_path: Path, restricted: bool) -> None:
    """Attachments are published unchanged in the details repo, or for restricted benchmarks only in the gated repo."""
    write_evaluators_spool(tmp_path / "pairs")
    suite = suite_of_pairs()
    suite = suite.model_copy(
        update={"benchmarks": (suite.benchmarks[0].model_copy(update={"restricted": restricted}),)}
    )
    plan = publication(tmp_path / "pairs").plan.model_copy(update={"evaluator": evaluator_command(suite)})
    publish(publication(tmp_path / "pairs", suite=suite, plan=plan), access(hub))
    path = attachment_path(plan.attempt, "nearer.log")
    shown = HfApi(hub.url, token=False).list_repo_files(DETAILS, repo_type="dataset")
    assert (path in shown) == (log_path(plan.attempt) in shown) == (not restricted)
    repo = RESTRICTED_DETAILS if restricted else DETAILS
    file = HfApi(hub.url, token=access(hub).token).hf_hub_download(repo, path, repo_type="dataset")
    assert Path(file).read_bytes() == b"\x00 its own log"


def test_a_worker_killed_between_the_two_repos_publishes_nothing_twice(hub: LocalHub, spool: Path) -> None:
    """A restarted worker replaces what its earlier try left in the gated repo, and publishes nothing twice."""
    suite, secret = restricted_suite()

    def die() -> None:
        if tables(hub, RESTRICTED_DETAILS):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(publication(spool, suite=suite, confirm_current=die), access(hub))
    assert (tables(hub, DETAILS), {task for task, _ in tables(hub, RESTRICTED_DETAILS)}) == (set(), secret)
    for _ in range(2):
        publish(publication(spool, suite=suite, ended=1_795_525_200.0), access(hub))
    times = {time for _, time in tables(hub, DETAILS) | tables(hub, RESTRICTED_DETAILS)}
    assert len(times) == 1 and commits(hub) == 1
    assert {task for task, _ in tables(hub, RESTRICTED_DETAILS)} == secret


def test_a_repo_with_answers_that_became_restricted_is_gated(hub: LocalHub, spool: Path) -> None:
    """If a details repo has answers of a benchmark that is restricted now, the next publication gates the repo."""
    publish(publication(spool), access(hub))
    suite, _ = restricted_suite()
    publish(publication(spool, number=2, suite=suite, ended=1_795_525_200.0), access(hub))
    assert HfApi(hub.url, token=False).dataset_info(DETAILS).gated == "manual"


def test_answers_of_a_model_that_not_all_may_see_are_private(hub: LocalHub, spool: Path) -> None:
    """The repo of a private model is made private before the commit, also if it was public."""
    publish(publication(spool), access(hub))
    assert read(hub, "README.md")
    publish(publication(spool, number=2, ended=1_795_525_200.0, private=True), access(hub))
    with pytest.raises(RepositoryNotFoundError):
        HfApi(hub.url, token=False).dataset_info(DETAILS)
    fresh = f"{DETAILS}_2"
    publish(publication(spool, number=3, repo=fresh, private=True), access(hub))
    assert HfApi(hub.url, token=access(hub).token).dataset_info(fresh).private is True


def test_a_token_that_may_not_write_is_said_to_be_so(hub: LocalHub, spool: Path) -> None:
    """The error of a token without write access names the repo."""
    with pytest.raises(PublicationFailed, match="elsewhere/details"):
        publish(publication(spool, repo="elsewhere/details"), access(hub))


def test_a_spool_without_results_is_not_published(hub: LocalHub, tmp_path: Path) -> None:
    """A spool without results creates no repo."""
    with pytest.raises(EvaluationFailed, match=r"results\.json"):
        publish(publication(tmp_path), access(hub))
    assert not HfApi(hub.url, token=False).repo_exists(DETAILS, repo_type="dataset")


def test_a_link_in_the_spool_is_not_followed(hub: LocalHub, spool: Path, tmp_path: Path) -> None:
    """A link in the place of a result file is not followed."""
    answers = spool / "samples" / f"{STARTER.tasks[0]}.jsonl"
    answers.rename(tmp_path / "elsewhere.jsonl")
    answers.symlink_to(tmp_path / "elsewhere.jsonl")
    with pytest.raises(EvaluationFailed, match=STARTER.tasks[0]):
        publish(publication(spool), access(hub))


def test_a_linked_folder_in_the_spool_is_not_followed(hub: LocalHub, spool: Path, tmp_path: Path) -> None:
    """A link in the place of the samples' folder is not followed: it could lead to another child's files."""
    (spool / "samples").rename(tmp_path / "of-another-slot")
    (spool / "samples").symlink_to(tmp_path / "of-another-slot", target_is_directory=True)
    with pytest.raises(EvaluationFailed, match="left no answers"):
        publish(publication(spool), access(hub))


def test_a_nan_in_the_results_is_not_published(hub: LocalHub, spool: Path) -> None:
    """NaN in the results is refused, because JSON cannot express it."""
    text = (spool / "results.json").read_text().replace("0.5", "NaN", 1)
    (spool / "results.json").write_text(text)
    with pytest.raises(EvaluationFailed, match="NaN"):
        publish(publication(spool), access(hub))


LOAD = """
import json, sys
from datasets import load_dataset
repo, task = sys.argv[1:]
latest = load_dataset(repo, task, split="latest")
runs = load_dataset(repo, task)
scores = load_dataset(repo, split="latest")
print(json.dumps({"rows": latest.num_rows, "splits": sorted(runs), "score": latest["score"][:4],
                  "average": scores["normalised"][-1], "attempt": scores["attempt"][0]}))
"""


@pytest.mark.long("a second of a processor")
def test_datasets_reads_the_details_after_several_runs(hub: LocalHub, spool: Path, tmp_path: Path) -> None:
    """`datasets` loads each config by run and as `latest`; the scores are the default config."""
    publish(publication(spool), access(hub))
    publish(publication(spool, number=2, ended=1_795_525_200.0), access(hub))
    process = subprocess.run(
        [sys.executable, "-c", LOAD, DETAILS, "starter_navigation"],
        env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(process.stdout)
    assert report["rows"] == 4
    assert report["score"] == [0.0, 1.0, 0.0, 1.0]
    assert report["splits"] == ["2026_11_24T12_00_00.000000", "2026_11_24T13_00_00.000000", "latest"]
    assert report["attempt"] == "0123456789ab-00000000-2"
