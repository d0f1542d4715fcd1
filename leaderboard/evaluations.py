"""Which evaluations a board shows: its requests, and the results that stand for each of them.

A results file of ours names its request; of one from before us the newest that fits a request stands for it. What we
evaluated of it at earlier commits is shown beside it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from leaderboard.flags import FlagRecord
from leaderboard.removals import original_path
from leaderboard.requests import Request, RequestFile, Status, StewardFacts
from leaderboard.results import BLOCK, BadResults, Scores, parse_harness, read_results, score
from leaderboard.suites import Suite

Key = tuple[str, str, str]
"""Model, precision and weight type: what a request's path tells apart."""
_NO_FACTS = StewardFacts()
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class MeasuredResults:
    """A results file, as far as it makes a row. `request` is its request's path, where it names one."""

    path: str
    scores: Scores
    request: str = ""
    precision: str = ""
    revision: str = ""
    parameters: int = 0
    chat_template: bool | None = None
    """Whether it was made with the chat template; None where the file does not say."""

    @property
    def model(self) -> str:
        """Whose it is: that of its folder."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True)
class Evaluation:
    """A published evaluation: its request, and the results that stand for it."""

    request: Request
    measured: MeasuredResults

    @property
    def revision(self) -> str:
        """The commit that was evaluated, as far as it is known."""
        return self.measured.revision or revision_of(self.request)


@dataclass
class BoardSources:
    """What the board's repos hold, by path. `results` are all results files, of which some are `measured`."""

    requests: Mapping[str, Request] = field(default_factory=dict)
    measured: Mapping[str, MeasuredResults] = field(default_factory=dict)
    results: Collection[str] = ()
    flags: Collection[FlagRecord] | None = None
    """None where the board keeps no flags: then a row of others keeps its own."""


def is_results_path(path: str) -> bool:
    """Whether a file of the results repo is one that the board shows."""
    name = path.rpartition("/")[2]
    return name.startswith("results_") and name.endswith(".json") and original_path(path) is None


def measure(path: str, data: bytes, suite: Suite) -> MeasuredResults | None:
    """What a results file tells by `suite`; None where it is of another one, or in no form that can be read."""
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
            )
        fields = parse_harness(data)
        scores = _slim(score(fields["results"], suite))
        return MeasuredResults(
            path, scores, **_precision_and_commit(fields), parameters=_parameters(fields), chat_template=None
        )
    except BadResults:
        return None


def _slim(scores: Scores) -> Scores:
    """Without the tasks, of which the table tells nothing: ten thousand of these are kept in memory."""
    return Scores(tuple(replace(one, tasks=()) for one in scores.benchmarks), scores.average)


def _precision_and_commit(fields: Mapping[str, Any]) -> dict[str, str]:
    """Precision and commit, as the harness writes them."""
    config = fields.get("config")
    config = config if isinstance(config, Mapping) else {}
    dtype, sha = config.get("model_dtype"), config.get("model_sha")
    return {
        "precision": dtype.removeprefix("torch.")[:32] if isinstance(dtype, str) else "",
        "revision": sha[:40] if isinstance(sha, str) else "",
    }


def _parameters(fields: Mapping[str, Any]) -> int:
    config = fields.get("config")
    found = config.get("model_num_parameters") if isinstance(config, Mapping) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0


def evaluations(sources: BoardSources) -> dict[Key, Evaluation]:
    """The evaluations that the board shows, of those whose results can be read."""
    by_model: dict[str, list[MeasuredResults]] = {}
    for _, measured in sorted(sources.measured.items()):
        by_model.setdefault(measured.model, []).append(measured)
    found: dict[Key, Evaluation] = {}
    for _, request in sorted(sources.requests.items()):
        results = _results_of(request, sources.measured, by_model.get(request.path.model, ()))
        if results is not None:
            found.setdefault(key_of_request(request), Evaluation(request, results))
    return found


def earlier_evaluations(sources: BoardSources, found: Mapping[Key, Evaluation]) -> dict[tuple[Key, str], Evaluation]:
    """What we evaluated for the requests in `found` at other commits before: by commit, the newest results of each.

    A request's file tells only of its newest commit; the results of the earlier ones name it still.
    """
    asked = {str(one.request.path): key for key, one in found.items()}
    made: dict[tuple[Key, str], Evaluation] = {}
    for path, measured in sorted(sources.measured.items()):
        key = asked.get(measured.request)
        if key is None or measured.model != key[0] or path > found[key].measured.path:
            continue
        if differ(measured.revision, found[key].revision):
            made[key, measured.revision] = Evaluation(found[key].request, measured)
    return made


def _results_of(
    request: Request, measured: Mapping[str, MeasuredResults], of_model: Iterable[MeasuredResults]
) -> MeasuredResults | None:
    """The results that stand for a request: those that it names; for one from before us the newest that fit it."""
    if not is_shown(request):
        return None
    if named := named_results(request):
        return measured.get(named)
    return next((one for one in reversed(list(of_model)) if _fits(one, request)), None)


def _fits(one: MeasuredResults, request: Request) -> bool:
    if one.request:
        return one.request == str(request.path)
    return one.precision in ("", request.path.precision) and not differ(revision_of(request), one.revision)


def differ(one: str, other: str) -> bool:
    """Whether two revisions are known to be different commits: a branch, or none at all, may be any."""
    return one != other and bool(_COMMIT.fullmatch(one) and _COMMIT.fullmatch(other))


def is_shown(request: Request) -> bool:
    """Whether a request has results for everybody to see; those of a private model are nobody's business."""
    facts = request.file.steward
    if facts.access == "private" or request.path.private:
        return False
    return request.status in (Status.FINISHED, Status.PENDING_NEW_EVAL) or facts.kept is not None


def slim(request: Request) -> Request:
    """The request without its text; of one without results, of which a board has very many, only that it is there."""
    if is_shown(request):
        return replace(request, raw="")
    file = RequestFile.model_construct(model=request.path.model, status=Status.FAILED.value, steward=_NO_FACTS)
    return Request(request.path, file, "")


def named_results(request: Request) -> str:
    """The results file that a request names, '' for none."""
    facts = request.file.steward
    return facts.results or (facts.kept.results if facts.kept is not None else None) or ""


def revision_of(request: Request) -> str:
    """The commit that a request is about, as far as its file tells."""
    return request.file.steward.revision or request.file.revision or ""


def key_of_request(request: Request) -> Key:
    """Which evaluation a request asks for."""
    return (request.path.model, request.path.precision, request.path.weight_type)
