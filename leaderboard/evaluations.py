"""The evaluations that a board shows: each request with its results file.

A results file by Steward names its request. For older results, the newest file that fits a request counts as its
results. Steward's evaluations of earlier commits of the same request are shown as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from leaderboard.cross_checks import CrossCheckRecord, scores_note
from leaderboard.flags import FlagRecord
from leaderboard.removals import original_path
from leaderboard.requests import MAX_PARAMETERS, Request, RequestFile, Status
from leaderboard.results import parse_harness, read_block, read_results
from leaderboard.scores import BadResults, ScoreErrors, Scores, score
from leaderboard.steward_block import BLOCK
from leaderboard.steward_facts import StewardFacts
from leaderboard.suites import Suite

Key = tuple[str, str, str]
"""Model, precision and weight type, as in a request's path."""
_NO_FACTS = StewardFacts()
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class MeasuredResults:
    """The parts of a results file that a row needs. `request` is the path of its request, if the file names one."""

    path: str
    scores: Scores
    request: str = ""
    precision: str = ""
    revision: str = ""
    parameters: int = 0
    chat_template: bool | None = None
    """Whether the evaluation used the chat template; None if the file does not say."""
    errors: ScoreErrors = field(default_factory=ScoreErrors)
    asked: str = ""
    """The digest of its questions (`leaderboard.result_digests`), if the file names it."""
    fingerprint: str = ""
    """The beginnings of the digests `asked` and `scored`; "" if the file has none."""
    again: CrossCheckRecord | None = None
    """The cross-check of its answers; None for those of the operator's own workers."""
    note: str = ""
    """A sentence that warns readers of doubts about its scores; "" if there are none."""
    replayed: int = 0
    """Answers that an earlier attempt had computed."""

    @property
    def model(self) -> str:
        """The model, which is the file's folder."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True)
class OtherSuiteResults:
    """Results by Steward of another suite than the board's: the path of the file and of its request, and the commit."""

    path: str
    request: str
    revision: str


@dataclass(frozen=True)
class Evaluation:
    """A published evaluation: a request and its results."""

    request: Request
    measured: MeasuredResults

    @property
    def revision(self) -> str:
        """The evaluated commit, as far as it is known."""
        return self.measured.revision or revision_of(self.request)


@dataclass
class BoardSources:
    """The files of the board's repos by path. `results` holds all results files; `measured` those that were read."""

    requests: Mapping[str, Request] = field(default_factory=dict)
    measured: Mapping[str, MeasuredResults] = field(default_factory=dict)
    results: Collection[str] = ()
    flags: Collection[FlagRecord] | None = None
    """None if the board has no flags repo: rows of other programs then keep their own flags."""
    other_suites: Collection[OtherSuiteResults] = ()

    def commits_by_other_suites(self) -> dict[str, set[str]]:
        """Return the path of a request → the commits at which it has results of other suites."""
        commits: dict[str, set[str]] = {}
        for results in self.other_suites:
            if results.request.startswith(f"{results.path.rpartition('/')[0]}_eval_request_"):
                commits.setdefault(results.request, set()).add(results.revision)
        return commits


def is_results_path(path: str) -> bool:
    """Whether the file at `path` in the results repo is a results file that the board shows."""
    name = path.rpartition("/")[2]
    return name.startswith("results_") and name.endswith(".json") and original_path(path) is None


def measure(path: str, data: bytes, suite: Suite) -> MeasuredResults | None:
    """Read a results file as results of `suite`; None if it belongs to another suite or is unreadable."""
    try:
        if f'"{BLOCK}"'.encode() in data:
            results = read_results(data, suite)
            block = results.block
            return MeasuredResults(
                path,
                _slim(results.scores),
                request=block.request,
                precision=block.precision,
                revision=block.revision,
                parameters=_parameters(results.data),
                chat_template=block.use_chat_template,
                errors=block.score_errors,
                asked=block.digests.asked if block.digests is not None else "",
                fingerprint=block.digests.fingerprint if block.digests is not None else "",
                again=block.again,
                note=scores_note(block.again, block.doubted),
                replayed=block.replayed,
            )
        fields = parse_harness(data)
        scores = _slim(score(fields["results"], suite))
        precision, revision = _precision_and_commit(fields)
        return MeasuredResults(
            path, scores, precision=precision, revision=revision, parameters=_parameters(fields), chat_template=None
        )
    except BadResults:
        return None


def results_of_other_suite(path: str, data: bytes, suite: Suite) -> OtherSuiteResults | None:
    """Read the origin of a results file of another suite; None if it is of `suite`, or not written by Steward."""
    block = read_block(data) if f'"{BLOCK}"'.encode() in data else None
    if block is None or block.suite_digest == suite.digest:
        return None
    return OtherSuiteResults(path, block.request, block.revision)


def _slim(scores: Scores) -> Scores:
    """Drop the scores of tasks, which the table does not show, because ten thousand of these stay in memory."""
    return Scores(tuple(replace(benchmark, tasks=()) for benchmark in scores.benchmarks), scores.average)


def _precision_and_commit(fields: Mapping[str, Any]) -> tuple[str, str]:
    """Return precision and commit from the harness's own fields."""
    config = fields.get("config")
    config = config if isinstance(config, Mapping) else {}
    dtype, sha = config.get("model_dtype"), config.get("model_sha")
    precision = dtype.removeprefix("torch.")[:32] if isinstance(dtype, str) else ""
    return precision, sha[:40] if isinstance(sha, str) else ""


def _parameters(fields: Mapping[str, Any]) -> int:
    config = fields.get("config")
    count = config.get("model_num_parameters") if isinstance(config, Mapping) else None
    if not isinstance(count, int) or isinstance(count, bool):
        return 0
    return count if 0 < count < MAX_PARAMETERS else 0


def evaluations(sources: BoardSources) -> dict[Key, Evaluation]:
    """Return the evaluations that the board shows and whose results are readable."""
    by_model: dict[str, list[MeasuredResults]] = {}
    for _, measured in sorted(sources.measured.items()):
        by_model.setdefault(measured.model, []).append(measured)
    shown: dict[Key, Evaluation] = {}
    for _, request in sorted(sources.requests.items()):
        results = _results_of(request, sources.measured, by_model.get(request.path.model, ()))
        if results is not None:
            shown.setdefault(key_of_request(request), Evaluation(request, results))
    return shown


def earlier_evaluations(sources: BoardSources, newest: Mapping[Key, Evaluation]) -> dict[tuple[Key, str], Evaluation]:
    """Return Steward's evaluations of the requests in `newest` at earlier commits: the newest results of each commit.

    A request file names only its newest commit; the results files of earlier commits still name the request.
    """
    keys_by_path = {str(evaluation.request.path): key for key, evaluation in newest.items()}
    earlier: dict[tuple[Key, str], Evaluation] = {}
    for path, measured in sorted(sources.measured.items()):
        key = keys_by_path.get(measured.request)
        if key is None or measured.model != key[0] or path > newest[key].measured.path:
            continue
        if differ(measured.revision, newest[key].revision):
            earlier[key, measured.revision] = Evaluation(newest[key].request, measured)
    return earlier


def _results_of(
    request: Request, measured: Mapping[str, MeasuredResults], of_model: Iterable[MeasuredResults]
) -> MeasuredResults | None:
    """Return the results of a request: those that it names, or else the newest that fit it."""
    if not is_shown(request):
        return None
    if named := named_results(request):
        return measured.get(named)
    return next((results for results in reversed(list(of_model)) if _fits(results, request)), None)


def _fits(results: MeasuredResults, request: Request) -> bool:
    if results.request:
        return results.request == str(request.path)
    return results.precision in ("", request.path.precision) and not differ(revision_of(request), results.revision)


def differ(commit: str, other: str) -> bool:
    """Whether two revisions are certainly different commits; a branch name or an empty revision may be any commit."""
    return commit != other and bool(_COMMIT.fullmatch(commit) and _COMMIT.fullmatch(other))


def is_shown(request: Request) -> bool:
    """Whether a request has results that are public; results of private models are not."""
    facts = request.file.steward
    if facts.access == "private" or request.path.private:
        return False
    return request.status in (Status.FINISHED, Status.PENDING_NEW_EVAL) or facts.kept is not None


def slim(request: Request) -> Request:
    """Return the request without its text, and without its fields too if it has no results, to save memory."""
    if is_shown(request):
        return replace(request, raw="")
    file = RequestFile.model_construct(model=request.path.model, status=Status.FAILED.value, steward=_NO_FACTS)
    return Request(request.path, file, "")


def named_results(request: Request) -> str:
    """Return the path of the results file that a request names; '' for none."""
    facts = request.file.steward
    return facts.results or (facts.kept.results if facts.kept is not None else None) or ""


def details_of(request: Request, details: Callable[[str], str]) -> str:
    """Return the details repo of a request's results; after a rename it may still be that of the model's former name.

    `details` returns the repo of a model.
    """
    return request.file.steward.details or details(request.path.model)


def revision_of(request: Request) -> str:
    """Return the revision that a request file names."""
    return request.file.steward.revision or request.file.revision or ""


def evaluated_revision(request: Request) -> str:
    """Return the revision of the results that a request shows, as far as the file says it."""
    kept = request.file.steward.kept
    return kept.revision if kept is not None else revision_of(request)


def key_of_request(request: Request) -> Key:
    """Return the key of the evaluation that a request asks for."""
    return (request.path.model, request.path.precision, request.path.weight_type)
