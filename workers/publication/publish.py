"""Publishes an attempt: all its files in one commit to the model's details repo, at most once.

The commit names its parent, so that it never overwrites a concurrent commit. Before it, the repo is searched for the
outcome file of the same attempt: a worker, also a restarted one, thus recognises a commit whose answer it did not get.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hub.client import Hub
from hub.errors import HubError, StaleParent
from hub.records import Change, Repo, WriteFile, WriteLocalFile
from leaderboard.attempts import Details
from leaderboard.details import CARD, RESULTS_CONFIG, PublishedOutcome, log_path, outcome_path, results_file, table_path
from leaderboard.results import (
    MAX_BYTES,
    BadResults,
    ResultsFile,
    ScoreErrors,
    StewardBlock,
    dump,
    errors_in_block,
    file_time,
    parse_harness,
    phase_seconds,
    score,
    scores_in_block,
    with_block,
)
from leaderboard.suites import Suite
from redis_state.attempts import MAX_LOG
from redis_state.clock import iso
from workers.common.hub_access import HubAccess
from workers.common.run_plan import RunPlan
from workers.common.scrub import scrub
from workers.errors import EvaluationFailed, PublicationFailed
from workers.evaluation.evaluate import RESULTS, SAMPLES
from workers.publication.details import card, write_samples, write_scores

if TYPE_CHECKING:
    from leaderboard.uncertainty import TaskAnswers

MAX_TRIES = 5


@dataclass(frozen=True)
class Publication:
    """The facts of one attempt to publish, in addition to the files in the spool of `plan`.

    `repo` is the details dataset (`board.repos.details(model)`), `request` the path of the request file, `precision`
    the request's. `revisions` come from `fetch_datasets`: dataset repo → commit. `log` is the child's log, which
    `publish` scrubs and cuts. Times are seconds since the epoch.
    """

    repo: str
    plan: RunPlan
    suite: Suite
    request: str
    precision: str
    started: float
    ended: float
    revisions: dict[str, str]
    log: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    hardware: str = ""
    secrets: tuple[str, ...] = ()
    private: bool = False
    """Whether the repo must be private, because the model is."""
    confirm_current: Callable[[], None] = lambda: None
    """Called right before the commit, because the Hub may have been away for long; raises if the attempt is void."""

    @property
    def time(self) -> str:
        """The run's time as file names and splits write it."""
        return file_time(self.ended)


def publish(publication: Publication, hub: HubAccess) -> Details:
    """Commit the publication and return where. Raises EvaluationFailed if the child left nothing that can be published,
    and PublicationFailed if the Hub refuses the commit."""
    results = read_spool(publication)
    from leaderboard.uncertainty import standard_errors  # numpy is heavy, and needed only at the end of an attempt

    answers: dict[str, TaskAnswers | None] = {}
    with tempfile.TemporaryDirectory(prefix="steward-details-") as folder:
        tables = list(_tables(publication, results, answers, Path(folder)))
        results = _with_errors(results, standard_errors(answers, results.scores, publication.suite).normalised)
        files = [*_texts(publication, results), *tables]
        try:
            with Hub(hub.endpoint, hub.token) as client:
                return _commit(client, publication, results, files)
        except HubError as error:
            raise PublicationFailed(f"{publication.repo}: {error}") from error


def read_spool(publication: Publication) -> ResultsFile:
    """Read and check the results that the child left, and add the `steward` block. Raises EvaluationFailed."""
    try:
        harness = parse_harness(_read(publication.plan.spool / RESULTS, MAX_BYTES))
        scores = score(harness["results"], publication.suite)
        block = _block(publication, {**scores_in_block(scores), "seconds": phase_seconds(harness)})
        data = with_block(harness, block)
        dump(data)  # raises now if the results cannot be written as JSON
    except BadResults as error:
        raise EvaluationFailed(str(error)) from error
    return ResultsFile(block, scores, data)


def _read(path: Path, limit: int) -> bytes:
    """Read a file that the child wrote. Raises EvaluationFailed unless it is a plain file of at most `limit` bytes."""
    if not _is_plain(path):
        raise EvaluationFailed(f"the evaluation left no {path.name}")
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise EvaluationFailed(f"{path.name} has more than {limit} bytes")
    return data


def _is_plain(path: Path) -> bool:
    """Whether neither the file nor its folder is a link: a child's link could lead to another child's files."""
    return path.is_file() and not path.is_symlink() and not path.parent.is_symlink()


def _block(publication: Publication, results: dict[str, object]) -> StewardBlock:
    plan = publication.plan
    return StewardBlock.model_validate(
        {
            "attempt": plan.attempt,
            "request": publication.request,
            "model": plan.model,
            "revision": plan.revision,
            "precision": publication.precision,
            "weight_type": plan.weight_type,
            "base_model": plan.base_model,
            "base_revision": plan.base_revision,
            "use_chat_template": plan.use_chat_template,
            "batch_size": plan.batch_size,
            "suite": publication.suite.name,
            "suite_digest": publication.suite.digest,
            "datasets": publication.revisions,
            "started": iso(publication.started),
            "ended": iso(publication.ended),
            "versions": publication.versions,
            "hardware": publication.hardware,
            **results,
        }
    )


def _with_errors(results: ResultsFile, errors: ScoreErrors) -> ResultsFile:
    """`results` with the standard errors of their scores in the `steward` block."""
    block = StewardBlock.model_validate({**results.block.model_dump(), **errors_in_block(errors)})
    return ResultsFile(block, results.scores, with_block(results.data, block))


def _texts(publication: Publication, results: ResultsFile) -> Iterator[Change]:
    """The results, outcome and log files."""
    plan, time = publication.plan, publication.time
    published = PublishedOutcome(
        attempt=plan.attempt,
        path=publication.request,
        revision=plan.revision,
        suite=publication.suite.name,
        suite_digest=publication.suite.digest,
        started=publication.started,
        ended=publication.ended,
        results_path=results_file(time),
        versions=publication.versions,
        hardware=publication.hardware,
    )
    log = scrub(publication.log, publication.secrets).encode("utf-8", "replace")[-MAX_LOG:]
    yield WriteFile(results_file(time), dump(results.data))
    yield WriteFile(outcome_path(plan.attempt), published.model_dump_json(indent=2).encode())
    yield WriteFile(log_path(plan.attempt), log)


def _tables(
    publication: Publication, results: ResultsFile, answers: dict[str, TaskAnswers | None], folder: Path
) -> Iterator[Change]:
    """Tables as files in `folder`: one for each task, whose graded questions are added to `answers`, and the scores."""
    from leaderboard.uncertainty import AnswerCollector

    for benchmark in publication.suite.benchmarks:
        for task in benchmark.tasks:
            samples, table = publication.plan.spool / SAMPLES / f"{task.name}.jsonl", folder / f"{task.name}.parquet"
            if not _is_plain(samples):
                raise EvaluationFailed(f"the evaluation left no answers of {task.name}")
            collector = AnswerCollector(task.name, benchmark)
            write_samples(samples, table, benchmark.metrics, collector.add)
            answers[task.name] = collector.answers()
            yield WriteLocalFile(table_path(task.name, publication.time), table)
    scores = folder / f"{RESULTS_CONFIG}.parquet"
    write_scores(results, scores)
    yield WriteLocalFile(table_path(RESULTS_CONFIG, publication.time), scores)


def _commit(client: Hub, publication: Publication, results: ResultsFile, files: list[Change]) -> Details:
    """Make the commit, unless an earlier try made it; read the repo again if its head moved meanwhile."""
    repo = Repo("dataset", publication.repo)
    created = client.create_repo(repo, private=publication.private, exist_ok=True)
    if publication.private and not created:
        client.hide(repo)  # it was created while the model was public
    if publication.suite.restricted:
        client.gate(repo)
    for tries_left in reversed(range(MAX_TRIES)):
        head = client.head(repo)
        if (published := _earlier_publication(client, publication, repo, head)) is not None:
            return published
        paths = [entry.path for entry in client.list_files(repo, head)]
        readme = card(repo.id, [*paths, *(file.path for file in files)], results, publication.suite)
        publication.confirm_current()
        try:
            commit = client.commit(repo, [*files, WriteFile(CARD, readme.encode())], _message(publication), parent=head)
        except StaleParent:
            if not tries_left:
                raise
            continue
        return Details(repo=repo.id, commit=commit.oid, results_path=results_file(publication.time))
    raise AssertionError("the last try returns or raises")


def _earlier_publication(client: Hub, publication: Publication, repo: Repo, head: str) -> Details | None:
    """The details that an earlier try of the same attempt published with the same suite, which may have changed."""
    file = client.find_file(repo, outcome_path(publication.plan.attempt), head, max_bytes=MAX_BYTES)
    if file is None:
        return None
    earlier = PublishedOutcome.model_validate_json(file.data)
    if earlier.suite_digest != publication.suite.digest:
        return None
    return Details(repo=repo.id, commit=head, results_path=earlier.results_path)


def _message(publication: Publication) -> str:
    plan = publication.plan
    return f"Add details of {plan.model} at {plan.revision[:8]} ({publication.suite.name}, {plan.attempt})"
