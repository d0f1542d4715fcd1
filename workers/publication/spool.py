"""Reads the results that a child left in its spool, and adds the `steward` block."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from leaderboard.jsontext import JsonObject
from leaderboard.result_digests import combine
from leaderboard.results import MAX_BYTES, ResultsFile, dump, file_time, parse_harness
from leaderboard.scores import BadResults, score
from leaderboard.steward_block import (
    BLOCK,
    StewardBlock,
    digest_parts,
    engine_use,
    phase_seconds,
    scores_in_block,
    with_block,
)
from leaderboard.suites import Suite
from redis_state.clock import iso
from workers.common.run_plan import RunPlan
from workers.errors import EvaluationFailed
from workers.evaluation.evaluate import RESULTS
from workers.publication.evaluator_results import read_evaluator_results

OWN_VERSIONS = ("steward", "python")
"""Versions of the worker that are recorded for an evaluator other than lm-eval, beside those that it names itself."""


@dataclass(frozen=True)
class Publication:
    """The facts of one attempt to publish, in addition to the files in the spool of `plan`.

    `repo` is the details dataset (`board.repos.details(model)`), `restricted_repo` that of the answers to restricted
    benchmarks, `request` the path of the request file, `precision` the request's. `revisions` come from
    `fetch_datasets`: dataset repo → commit. `log` is the child's log, which `publish` scrubs and cuts. Times are in
    seconds since the epoch.
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
    wait: Callable[[float], None] = time.sleep
    """Waits for some seconds while the Hub is away; raises if the attempt is void, or the worker stops."""

    @property
    def restricted_tasks(self) -> frozenset[str]:
        """The tasks whose answers must not be public."""
        return frozenset(
            task.name for benchmark in self.suite.benchmarks if benchmark.restricted for task in benchmark.tasks
        )

    @property
    def time(self) -> str:
        """The run's time as file names and splits write it."""
        return file_time(self.ended)


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
    """The evaluator and its versions, as members of the block; none for lm-eval."""
    if publication.suite.evaluator is None:
        return {}
    own = {name: publication.versions[name] for name in OWN_VERSIONS if name in publication.versions}
    return {"evaluator": harness[BLOCK]["evaluator"], "versions": {**own, **harness[BLOCK]["versions"]}}


def read_plain_file(path: Path, limit: int) -> bytes:
    """Read a file that the child wrote. Raises EvaluationFailed unless it is a plain file of at most `limit` bytes."""
    if not is_plain(path):
        raise EvaluationFailed(f"the evaluation left no {path.name}")
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise EvaluationFailed(f"{path.name} has more than {limit} bytes")
    return data


def is_plain(path: Path) -> bool:
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
