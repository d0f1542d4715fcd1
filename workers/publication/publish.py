"""Publishes an attempt: all its files in one commit to the model's details repo, at most once.

The answers to restricted benchmarks, and the log that may quote them, must not be public. They are committed first, to
a gated repo; so the outcome file in the details repo proves that both commits were made.

The commit names its parent, so that it never overwrites a concurrent commit. Before it, the repo is searched for the
outcome file of the same attempt: a worker, also a restarted one, thus recognises a commit whose answer it did not get.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from hub.client import Hub
from hub.errors import Busy, HubError, RateLimited, StaleParent, TooLarge, Transient
from hub.records import Change, DeleteFile, Repo, WriteFile, WriteLocalFile
from leaderboard.attempts import PUBLICATION_WAIT_SECONDS, Details
from leaderboard.details import (
    CARD,
    RESULTS_CONFIG,
    PublishedOutcome,
    attachment_path,
    log_path,
    outcome_path,
    parse_table_path,
    results_file,
    table_path,
)
from leaderboard.results import MAX_BYTES, ResultsFile, dump
from leaderboard.scores import ScoreErrors
from leaderboard.steward_block import StewardBlock, errors_in_block, with_block
from redis_state.attempts import MAX_LOG
from workers.common.hub_access import HubAccess
from workers.common.scrub import scrub
from workers.errors import EvaluationFailed, PublicationFailed
from workers.evaluation.evaluate import SAMPLES
from workers.publication.details import card, write_samples, write_scores
from workers.publication.evaluator_results import attachments, evaluator_row

if TYPE_CHECKING:
    from leaderboard.graded_answers import TaskAnswers
from workers.publication.spool import Publication, is_plain, read_spool

log = logging.getLogger(__name__)

T = TypeVar("T")
MAX_TRIES = 5
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 5.0, 60.0
"""Seconds between two tries while the Hub is away: each pause is twice the previous one, up to the last."""


def import_libraries() -> None:
    """Import the libraries of a publication that take a second to import.

    A worker calls this before it forks the processes of its jobs, so that none of them imports these again.
    """
    import pyarrow as pa
    import pyarrow.parquet

    import leaderboard.uncertainty  # noqa: F401  # numpy

    pa.array([0])  # pyarrow imports pandas with the first list, to recognise its types


def publish(publication: Publication, hub: HubAccess) -> Details:
    """Commit the publication and return its place on the Hub; wait while the Hub is away.

    Raises EvaluationFailed if the child left nothing that can be published, and PublicationFailed if the Hub refuses
    the commit, or stays away.
    """
    results = read_spool(publication)
    from leaderboard.uncertainty import standard_errors  # numpy is heavy, and needed only at the end of an attempt

    answers: dict[str, TaskAnswers | None] = {}
    with tempfile.TemporaryDirectory(prefix="steward-details-") as folder:
        tables = list(_tables(publication, results, answers, Path(folder)))
        results = _with_errors(results, standard_errors(answers, results.scores, publication.suite).normalised)
        files = [*_texts(publication, results), *_attachments(publication), *tables]
        try:
            with Hub(hub.endpoint, hub.token) as client:
                return wait_for_hub(lambda: _commit(client, publication, results, files), publication.wait)
        except HubError as error:
            raise PublicationFailed(f"{publication.repo}: {error}") from error


def wait_for_hub(commit: Callable[[], T], wait: Callable[[float], None]) -> T:
    """Return `commit()`, repeated while the Hub is away or limits calls, for PUBLICATION_WAIT_SECONDS. Raises HubError.

    The client's own retries end after some seconds, and the results are the work of hours.
    """
    give_up, pause = time.monotonic() + PUBLICATION_WAIT_SECONDS, FIRST_PAUSE_SECONDS
    while True:
        try:
            return commit()
        except (Transient, Busy, RateLimited) as error:
            seconds = max(pause, error.seconds) if isinstance(error, RateLimited) else pause
            if time.monotonic() + seconds > give_up:
                raise
            log.warning("the results are not published yet; the next try follows in %.0f s: %s", seconds, error)
        wait(seconds)
        pause = min(2 * pause, LAST_PAUSE_SECONDS)


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


def _attachments(publication: Publication) -> Iterator[WriteLocalFile]:
    """The files that the suite's evaluator attached; `read_spool` has checked them."""
    if publication.suite.evaluator is not None:
        for file in attachments(publication.plan.spool):
            yield WriteLocalFile(attachment_path(publication.plan.attempt, file.name), file)


def _tables(
    publication: Publication, results: ResultsFile, answers: dict[str, TaskAnswers | None], folder: Path
) -> Iterator[Change]:
    """Tables as files in `folder`: one for each task, whose graded questions are added to `answers`, and the scores."""
    from leaderboard.graded_answers import AnswerCollector

    for benchmark in publication.suite.benchmarks:
        for task in benchmark.tasks:
            samples, table = publication.plan.spool / SAMPLES / f"{task.name}.jsonl", folder / f"{task.name}.parquet"
            if not is_plain(samples):
                raise EvaluationFailed(f"the evaluation left no answers of {task.name}")
            collector = AnswerCollector(task.name, benchmark, publication.suite.withdrawn(task.name))
            as_row = evaluator_row if publication.suite.evaluator is not None else None
            write_samples(samples, table, benchmark.metrics, collector.add, as_row)
            answers[task.name] = collector.answers()
            yield WriteLocalFile(table_path(task.name, publication.time), table)
    scores = folder / f"{RESULTS_CONFIG}.parquet"
    write_scores(results, scores)
    yield WriteLocalFile(table_path(RESULTS_CONFIG, publication.time), scores)


def _commit(client: Hub, publication: Publication, results: ResultsFile, files: list[Change]) -> Details:
    """Commit to the details repo, unless an earlier try did; before that to the gated repo, if the suite needs one."""
    repo = create_details_repo(client, publication.repo, private=publication.private)
    if publication.suite.restricted:
        if (published := _earlier_publication(client, publication, repo, client.head(repo))) is not None:
            return published
        attempt = publication.plan.attempt
        restricted_paths = {log_path(attempt), *(file.path for file in _attachments(publication))}
        restricted_paths |= {table_path(task, publication.time) for task in publication.restricted_tasks}
        outcome = outcome_path(attempt)
        restricted = create_details_repo(client, publication.restricted_repo, private=publication.private)
        client.gate(restricted)
        of_restricted = [file for file in files if file.path in {outcome, *restricted_paths}]
        _commit_to(client, publication, restricted, results, of_restricted)
        files = [file for file in files if file.path not in restricted_paths]
    return _commit_to(client, publication, repo, results, files)


def create_details_repo(client: Hub, name: str, *, private: bool) -> Repo:
    """Create the repo if it does not exist; if `private`, make an existing one private, too."""
    repo = Repo("dataset", name)
    created = client.create_repo(repo, private=private, exist_ok=True)
    if private and not created:
        client.hide(repo)  # it was created while the model was public
    return repo


def _commit_to(
    client: Hub, publication: Publication, repo: Repo, results: ResultsFile, files: Sequence[Change]
) -> Details:
    """Commit to one repo, unless an earlier try did; read the repo again if its head moved meanwhile.

    An earlier try may have died between the commits to the gated repo and to the details repo. This try replaces its
    files in the gated repo, so that both repos hold the files of one time.
    """
    for tries_left in reversed(range(MAX_TRIES)):
        head = client.head(repo)
        published, here = _earlier_publication(client, publication, repo, head), results_file(publication.time)
        if published is not None and (repo.id == publication.repo or published.results_path == here):
            return published
        left = _tables_of(published, paths := [entry.path for entry in client.list_files(repo, head)])
        if repo.id == publication.repo and _holds_restricted(publication, paths):
            client.gate(repo)  # an earlier version, or an earlier suite, published these answers there
        future = [*(path for path in paths if path not in left), *(file.path for file in files)]
        readme = card(repo.id, future, results, publication.suite, publication.restricted_repo)
        changes = [*files, WriteFile(CARD, readme.encode()), *map(DeleteFile, left)]
        publication.confirm_current()
        try:
            commit = client.commit(repo, changes, _message(publication), parent=head)
        except StaleParent:
            if not tries_left:
                raise
            continue
        return Details(repo=repo.id, commit=commit.oid, results_path=here)
    raise AssertionError("the last try returns or raises")


def _tables_of(published: Details | None, paths: Iterable[str]) -> list[str]:
    """The tables among `paths` that were published with these details."""
    if published is None:
        return []
    tables = ((path, parse_table_path(path)) for path in paths)
    return [path for path, table in tables if table is not None and results_file(table[1]) == published.results_path]


def _holds_restricted(publication: Publication, paths: Iterable[str]) -> bool:
    """Whether there are tables of restricted tasks among these files."""
    return any(table[0] in publication.restricted_tasks for table in filter(None, map(parse_table_path, paths)))


def _earlier_publication(client: Hub, publication: Publication, repo: Repo, head: str) -> Details | None:
    """The details that an earlier try of the same attempt published with this version of the suite; None without one.

    Others may write to the repo: the caller replaces an outcome file that is not valid.
    """
    try:
        file = client.find_file(repo, outcome_path(publication.plan.attempt), head, max_bytes=MAX_BYTES)
        earlier = PublishedOutcome.model_validate_json(file.data) if file is not None else None
    except (TooLarge, ValidationError):
        return None
    if earlier is None:
        return None
    if earlier.suite_digest != publication.suite.digest:
        return None
    return Details(repo=repo.id, commit=head, results_path=earlier.results_path)


def _message(publication: Publication) -> str:
    plan = publication.plan
    return f"Add details of {plan.model} at {plan.revision[:8]} ({publication.suite.name}, {plan.attempt})"
