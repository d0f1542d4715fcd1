"""Publishes an attempt: all its files in one commit to the model's details repo, at most once.

What must not be public, the answers to restricted benchmarks and the log that may quote them, is committed first, to a
gated repo of its own; so the outcome file in the details repo tells that both are there.

The commit names its parent, so that it never overwrites a concurrent commit. Before it, the repo is searched for the
outcome file of the same attempt: a worker, also a restarted one, thus recognises a commit whose answer it did not get.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hub.client import Hub
from hub.errors import HubError, StaleParent
from hub.records import Change, DeleteFile, Repo, WriteFile, WriteLocalFile
from leaderboard.attempts import Details
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
from leaderboard.jsontext import JsonObject
from leaderboard.result_digests import combine
from leaderboard.results import MAX_BYTES, ResultsFile, dump, file_time, parse_harness
from leaderboard.scores import BadResults, ScoreErrors, score
from leaderboard.steward_block import (
    BLOCK,
    StewardBlock,
    digest_parts,
    engine_use,
    errors_in_block,
    phase_seconds,
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
from workers.publication.evaluator_results import attachments, evaluator_row, read_evaluator_results

if TYPE_CHECKING:
    from leaderboard.uncertainty import TaskAnswers

MAX_TRIES = 5
OWN_VERSIONS = ("steward", "python")
"""The versions of the worker that concern results of an evaluator other than lm-eval, which names its own."""


@dataclass(frozen=True)
class Publication:
    """The facts of one attempt to publish, in addition to the files in the spool of `plan`.

    `repo` is the details dataset (`board.repos.details(model)`), `restricted_repo` that of the answers to restricted
    benchmarks, `request` the path of the request file, `precision`
    the request's. `revisions` come from `fetch_datasets`: dataset repo → commit. `log` is the child's log, which
    `publish` scrubs and cuts. Times are seconds since the epoch.
    """

    repo: str
    restricted_repo: str
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
    replayed: int = 0
    """Answers that an earlier attempt computed."""
    confirm_current: Callable[[], None] = lambda: None
    """Called right before the commit, because the Hub may have been away for long; raises if the attempt is void."""

    @property
    def restricted_tasks(self) -> frozenset[str]:
        """The tasks whose answers must not be public."""
        return frozenset(task.name for one in self.suite.benchmarks if one.restricted for task in one.tasks)

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
        files = [*_texts(publication, results), *_attachments(publication), *tables]
        try:
            with Hub(hub.endpoint, hub.token) as client:
                return _commit(client, publication, results, files)
        except HubError as error:
            raise PublicationFailed(f"{publication.repo}: {error}") from error


def read_spool(publication: Publication) -> ResultsFile:
    """Read and check the results that the child left, and add the `steward` block. Raises EvaluationFailed."""
    try:
        harness = _evaluation_results(publication)
        scores = score(harness["results"], publication.suite)
        parts = digest_parts(harness)
        reported = {
            "seconds": phase_seconds(harness),
            "engine": engine_use(harness),
            "digests": combine(parts, publication.suite) if parts is not None else None,
            **_evaluator_facts(publication, harness),
        }
        block = _block(publication, {**scores_in_block(scores), **reported})
        data = with_block(harness, block)
        dump(data)  # raises now if the results cannot be written as JSON
    except BadResults as error:
        raise EvaluationFailed(str(error)) from error
    return ResultsFile(block, scores, data)


def _evaluation_results(publication: Publication) -> JsonObject:
    """The results that the child left, in the form of lm-eval's."""
    if publication.suite.evaluator is not None:
        return read_evaluator_results(publication.plan, publication.suite)
    return parse_harness(read_plain_file(publication.plan.spool / RESULTS, MAX_BYTES))


def _evaluator_facts(publication: Publication, harness: JsonObject) -> dict[str, object]:
    """The evaluator, and the versions of what computed its results; nothing for lm-eval."""
    if publication.suite.evaluator is None:
        return {}
    own = {name: publication.versions[name] for name in OWN_VERSIONS if name in publication.versions}
    return {"evaluator": harness[BLOCK]["evaluator"], "versions": {**own, **harness[BLOCK]["versions"]}}


def read_plain_file(path: Path, limit: int) -> bytes:
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
            "replayed": publication.replayed,
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


def _attachments(publication: Publication) -> Iterator[WriteLocalFile]:
    """What the suite's evaluator attached; `read_spool` has checked it."""
    if publication.suite.evaluator is not None:
        for file in attachments(publication.plan.spool):
            yield WriteLocalFile(attachment_path(publication.plan.attempt, file.name), file)


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
            collector = AnswerCollector(task.name, benchmark, publication.suite.withdrawn(task.name))
            as_row = evaluator_row if publication.suite.evaluator is not None else None
            write_samples(samples, table, benchmark.metrics, collector.add, as_row)
            answers[task.name] = collector.answers()
            yield WriteLocalFile(table_path(task.name, publication.time), table)
    scores = folder / f"{RESULTS_CONFIG}.parquet"
    write_scores(results, scores)
    yield WriteLocalFile(table_path(RESULTS_CONFIG, publication.time), scores)


def _commit(client: Hub, publication: Publication, results: ResultsFile, files: list[Change]) -> Details:
    """Make the commit, unless an earlier try made it; first that of what must not be public, if there is such."""
    repo = create_details_repo(client, publication.repo, private=publication.private)
    if publication.suite.restricted:
        if (published := _earlier_publication(client, publication, repo, client.head(repo))) is not None:
            return published
        attempt = publication.plan.attempt
        hidden = {log_path(attempt), *(file.path for file in _attachments(publication))}
        hidden |= {table_path(task, publication.time) for task in publication.restricted_tasks}
        outcome = outcome_path(attempt)
        restricted = create_details_repo(client, publication.restricted_repo, private=publication.private)
        client.gate(restricted)
        of_restricted = [file for file in files if file.path in {outcome, *hidden}]
        _commit_to(client, publication, restricted, results, of_restricted)
        files = [file for file in files if file.path not in hidden]
    return _commit_to(client, publication, repo, results, files)


def create_details_repo(client: Hub, name: str, *, private: bool) -> Repo:
    """Create the repo where there is none; a private model's is private."""
    repo = Repo("dataset", name)
    created = client.create_repo(repo, private=private, exist_ok=True)
    if private and not created:
        client.hide(repo)  # it was created while the model was public
    return repo


def _commit_to(
    client: Hub, publication: Publication, repo: Repo, results: ResultsFile, files: Sequence[Change]
) -> Details:
    """Commit to one repo, unless an earlier try did; read the repo again if its head moved meanwhile.

    What an earlier try left in the gated repo, before it died on the way to the details repo, is replaced: both repos
    hold the files of one time.
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
