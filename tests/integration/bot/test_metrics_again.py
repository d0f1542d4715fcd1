"""Before publishing results, the bot recomputes the metrics of all samples from the stored answers with lm-eval."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from threading import Event
from typing import Any

import pytest

from bot.core.metrics_recomputer import CannotRecompute, MetricsRecomputer, RecomputedSamples
from hub.errors import HubError
from redis_state.board.sample_verdicts import RecomputedMetrics, published_as
from redis_state.jobs import EvaluationJob
from steward.harness_recompute import harness_recompute
from steward.testing.board import WORKER, BoardDriver
from steward.testing.waiting import wait_until
from tests.support.board.published_details import publish as publish_chosen
from tests.support.workers import rescoring_cases as cases
from tests.support.workers.evaluation_inputs import plan, publication
from tests.support.workers.rescoring_cases import SuiteVersion
from workers.common.hub_access import HubAccess
from workers.publication.publish import publish

pytestmark = pytest.mark.timeout(200)
TASK, METRIC = "starter_boolean_expressions", "acc_norm"
RESTRICTED = {"source: starter_navigation\n": "source: starter_navigation\n    restricted: true\n"}
ERRATA = [{"task": "starter_navigation", "question": 3, "reason": "two answers are right"}]


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> SuiteVersion:
    """A suite with a restricted benchmark, and with a question that does not count."""
    return cases.own(tmp_path_factory.mktemp("suite"), RESTRICTED, ERRATA)


@pytest.fixture(scope="module")
def evaluation(version: SuiteVersion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the harness's output of one evaluation by this suite."""
    (spool,) = cases.evaluate(tmp_path_factory.mktemp("evaluation"), version)
    return spool


@pytest.fixture
def computing(stand: BoardDriver, version: SuiteVersion) -> Iterator[BoardDriver]:
    """A board of this suite, whose bot recomputes metrics with the harness."""
    stand.context.suite = version.suite
    recomputer = MetricsRecomputer(harness_recompute(version.suite, 1, version.tasks))
    stand.context.recomputer = recomputer
    yield stand
    recomputer.close()


def end(stand: BoardDriver, version: SuiteVersion, spool: Path) -> EvaluationJob:
    """Publish `spool` as a worker's evaluation, and wait until the bot has recomputed its metrics; return the job."""
    job, repos = stand.started(), stand.context.board.repos
    attempt = {"attempt": job.attempt, "model": job.model, "revision": job.revision, "suite_digest": job.suite_digest}
    attempt_publication = publication(
        spool,
        repo=repos.details(job.model),
        restricted_repo=repos.restricted_details(job.model),
        suite=version.suite,
        request=job.path,
        plan=plan(spool).model_copy(update=attempt),
    )
    details = publish(attempt_publication, HubAccess(stand.hub.url, WORKER))
    stand.end(job, details=details)
    assert stand.file(job.path)["status"] == "RUNNING", "no sync waits for the harness"
    published = published_as(job.attempt, details)
    wait_until(lambda: stand.context.sample_verdicts.recomputed(published) is not None, seconds=150)
    stand.settle()
    return job


def checked(stand: BoardDriver, path: str) -> dict[str, Any]:
    """The facts about their check in the results of the request at `path`."""
    data = stand.context.hub.read_file(stand.context.results, stand.file(path)["steward"]["results"]).data
    facts: dict[str, Any] = json.loads(data)["steward"]["checked"]
    return facts


def forge(spool: Path) -> None:
    """Count a wrong answer as right, in the sample and in all that follows from it."""
    file = spool / "samples" / f"{TASK}.jsonl"
    samples = [json.loads(line) for line in file.read_text().splitlines()]
    next(sample for sample in samples if sample[METRIC] == 0.0)[METRIC] = 1.0
    file.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    results = json.loads((spool / "results.json").read_text())
    mean = sum(sample[METRIC] for sample in samples) / len(samples)
    results["results"][TASK][f"{METRIC},none"] = mean
    (spool / "results.json").write_text(json.dumps(results))


def test_honest_metrics_are_computed_again_and_published(
    computing: BoardDriver, version: SuiteVersion, evaluation: Path
) -> None:
    """The bot recomputes all samples, also of the restricted benchmark, except the excluded question, and publishes."""
    job = end(computing, version, evaluation)
    assert computing.file(job.path)["status"] == "FINISHED"
    facts = checked(computing, job.path)
    assert (facts["unchecked"], facts["not_recomputed"]) == ([], "")
    assert facts["samples"] == facts["recomputed"] + 1


def test_a_forged_metric_of_one_sample_is_found(
    computing: BoardDriver, version: SuiteVersion, evaluation: Path, tmp_path: Path
) -> None:
    """The bot refuses results with one forged sample metric and consistent totals, and sets the worker aside."""
    spool = tmp_path / "forged"
    copytree(evaluation, spool)
    forge(spool)
    job = end(computing, version, spool)
    file = computing.file(job.path)
    assert (file["status"], file["steward"]["failure"]["cause"]) == ("RERUN", "samples-differ")
    assert f"1 of 40 samples of {TASK} have other metrics" in file["steward"]["failure"]["message"]
    assert computing.context.set_aside.includes("w")


@pytest.mark.long("a second of a processor")
@pytest.mark.parametrize(("scored", "reason"), [(None, "no harness here"), ("0" * 64, "scores otherwise")])
def test_results_say_where_metrics_were_not_computed_again(stand: BoardDriver, scored: str | None, reason: str) -> None:
    """If the bot has no harness or one that scores differently, the results are published and name the reason."""

    def recompute(results: Path, tables: Path, samples: Path) -> RecomputedSamples:
        assert results.is_file()
        assert len(list(tables.iterdir())) == 6
        assert list(samples.iterdir()) == []
        if scored is None:
            raise CannotRecompute("no harness here")
        return RecomputedSamples(scored, ())

    stand.context.recomputer = recomputer = MetricsRecomputer(recompute)
    job = stand.started()
    details = publish_chosen(stand.hub.url, job, stand.context.suite)
    stand.end(job, details=details)
    published = published_as(job.attempt, details)
    wait_until(lambda: stand.context.sample_verdicts.recomputed(published) is not None, seconds=60)
    recomputer.close()
    stand.settle()
    assert stand.file(job.path)["status"] == "FINISHED"
    assert (reason in checked(stand, job.path)["not_recomputed"], checked(stand, job.path)["recomputed"]) == (True, 0)


def test_results_wait_until_their_metrics_are_computed_and_not_for_ever(stand: BoardDriver) -> None:
    """If a recomputation takes more than 2 hours, the results are published without it and say so."""
    stand.context.recomputer = MetricsRecomputer(_never)
    job = stand.started()
    details = publish_chosen(stand.hub.url, job, stand.context.suite)
    published = published_as(job.attempt, details)
    stand.context.sample_verdicts.note_began(published, now=stand.time)
    stand.time += 3 * 3600
    stand.end(job, details=details)
    assert stand.file(job.path)["status"] == "FINISHED"
    assert "more than 2 hours" in checked(stand, job.path)["not_recomputed"]
    assert stand.context.sample_verdicts.recomputed(published) is None


@pytest.mark.long("a board with a computation of its metrics once more")
def test_the_time_in_which_the_bot_was_down_does_not_count(stand: BoardDriver) -> None:
    """If the bot was down for three hours during a recomputation, the bot recomputes the metrics afterwards."""
    stand.context.recomputer = recomputer = MetricsRecomputer(_scored_otherwise)
    job = stand.started()
    details = publish_chosen(stand.hub.url, job, stand.context.suite)
    published = published_as(job.attempt, details)
    stand.context.sample_verdicts.note_began(published, now=stand.time)
    stand.time += 3 * 3600
    stand.schedule.tick()
    stand.end(job, details=details)
    wait_until(lambda: stand.context.sample_verdicts.recomputed(published) is not None, seconds=60)
    recomputer.close()
    stand.settle()
    assert "scores otherwise" in checked(stand, job.path)["not_recomputed"]


@pytest.mark.long("a board with a computation of its metrics once more")
def test_a_computation_that_ends_its_process_each_time_is_given_up(stand: BoardDriver) -> None:
    """If ten processes ended during a recomputation, the results are published without it and say so."""
    stand.context.recomputer = recomputer = MetricsRecomputer(_scored_otherwise)
    job = stand.started()
    details = publish_chosen(stand.hub.url, job, stand.context.suite)
    published = published_as(job.attempt, details)
    for _ in range(10):
        stand.context.sample_verdicts.note_began(published, now=stand.time)
    stand.end(job, details=details)
    wait_until(lambda: stand.context.sample_verdicts.recomputed(published) is not None, seconds=60)
    recomputer.close()
    stand.settle()
    assert stand.file(job.path)["status"] == "FINISHED"
    assert "its process ended 10 times" in checked(stand, job.path)["not_recomputed"]


@pytest.mark.long("a board with a computation of its metrics once more")
def test_a_computation_that_cannot_read_its_samples_is_no_ended_process(stand: BoardDriver) -> None:
    """The bot recomputes metrics even after it could not read the samples ten times."""

    def cannot_read(results: Path, tables: Path, samples: Path) -> RecomputedSamples:
        raise HubError("away")

    stand.context.recomputer = recomputer = MetricsRecomputer(cannot_read)
    job = stand.started()
    details = publish_chosen(stand.hub.url, job, stand.context.suite)
    published = published_as(job.attempt, details)
    stand.end(job, details=details)
    recomputer.close()
    for _ in range(10):
        stand.context.recomputer = recomputer = MetricsRecomputer(cannot_read)
        stand.context.mark(f"request:{job.path}")
        stand.settle()
        recomputer.close()
    stand.context.recomputer = recomputer = MetricsRecomputer(_scored_otherwise)
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    wait_until(lambda: stand.context.sample_verdicts.recomputed(published) is not None, seconds=60)
    recomputer.close()
    stand.settle()
    assert "scores otherwise" in checked(stand, job.path)["not_recomputed"]


@pytest.mark.long("a board with a computation of its metrics once more")
def test_the_time_in_which_others_are_computed_does_not_count(stand: BoardDriver) -> None:
    """The time limit of a recomputation starts only when the recomputations before it are done."""
    stand.context.recomputer = recomputer = MetricsRecomputer(_scored_otherwise)
    is_free = Event()

    def compute_another() -> None:
        is_free.wait(timeout=100)

    recomputer.start("another", compute_another)
    job = stand.started()
    details = publish_chosen(stand.hub.url, job, stand.context.suite)
    stand.end(job, details=details)
    stand.time += 3 * 3600
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    published = published_as(job.attempt, details)
    assert stand.context.sample_verdicts.began(published) is None
    is_free.set()
    wait_until(lambda: stand.context.sample_verdicts.recomputed(published) is not None, seconds=60)
    recomputer.close()
    stand.settle()
    assert "scores otherwise" in checked(stand, job.path)["not_recomputed"]


def _scored_otherwise(results: Path, tables: Path, samples: Path) -> RecomputedSamples:
    return RecomputedSamples("0" * 64, ())


def _never(results: Path, tables: Path, samples: Path) -> RecomputedSamples:
    raise AssertionError("nothing is computed in this test")


def test_an_unreadable_verdict_of_another_version_is_ignored(stand: BoardDriver) -> None:
    """The bot ignores a recomputation's verdict in Redis that does not validate, as one of another version."""
    verdicts = stand.context.sample_verdicts
    verdicts.note_recomputed("a", RecomputedMetrics(samples=3))
    assert verdicts.recomputed("a") == RecomputedMetrics(samples=3)
    stand.context.redis.hset(stand.context.keys.sample_verdict("a"), "recomputed", '{"samples": -1}')
    assert verdicts.recomputed("a") is None
