"""The published record of an attempt: its results, the job that repeats it, and the versions that computed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hub.client import Hub
from hub.errors import HubError
from hub.records import Repo
from leaderboard.attempts import attempt_id
from leaderboard.boards import Board
from leaderboard.details import PublishedOutcome, outcome_path
from leaderboard.engines import EngineUse
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.results import MAX_BYTES, ResultsFile, read_results
from leaderboard.steward_block import BLOCK, StewardBlock, engine_use
from leaderboard.suites import Suite
from redis_state.jobs import EvaluationJob
from workers.common.hub_access import HubAccess
from workers.errors import WorkerError
from workers.jobs.provisions import TokenHubGateway
from workers.jobs.worker_context import WorkerContext


class CannotVerify(WorkerError):
    """This machine cannot run the attempt again; the message gives the reason."""


class RunFailed(CannotVerify):
    """The attempt was run again and failed. `cause` is the code of the failure's cause, `detail` how it showed."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"this time the evaluation failed: {cause} ({detail})")
        self.cause = cause
        self.detail = detail


@dataclass(frozen=True)
class RecordedAttempt:
    """One published attempt: its place on the Hub and its results."""

    repo: Repo
    commit: str
    results: ResultsFile
    time: str

    @property
    def block(self) -> StewardBlock:
        """The `steward` block of its results file."""
        return self.results.block


def find_details(board: Board, attempt: str, hub: HubAccess) -> str:
    """The details repo of `attempt`: its id identifies the request, which names the model. Raises CannotVerify."""
    try:
        with Hub(hub.endpoint, hub.token) as client:
            for entry in client.each_file(Repo("dataset", board.repos.requests)):
                parsed = parse_path(entry.path)
                if isinstance(parsed, RequestPath) and attempt_id(board.name, entry.path, "", 0)[:12] == attempt[:12]:
                    return board.repos.details(parsed.model)
    except HubError as error:
        raise CannotVerify(
            f"the requests of {board.repos.requests} cannot be listed ({error}); say --model org/name"
        ) from error
    raise CannotVerify(f"no request of the board {board.name} has an attempt {attempt}: look it up in its file")


def read_recorded(hub: HubAccess, details: str, attempt: str, suite: Suite) -> RecordedAttempt:
    """Read the published results of `attempt`. Raises CannotVerify."""
    repo = Repo("dataset", details)
    try:
        with Hub(hub.endpoint, hub.token) as client:
            head = client.head(repo)
            published = PublishedOutcome.model_validate_json(
                client.read_file(repo, outcome_path(attempt), head, max_bytes=MAX_BYTES).data
            )
            data = client.read_file(repo, published.results_path, head, max_bytes=MAX_BYTES).data
        results = read_results(data, suite)
    except (HubError, ValueError) as error:
        raise CannotVerify(f"{details} holds no results of {attempt} that can be checked here: {error}") from error
    time = published.results_path.removeprefix("results_").removesuffix(".json")
    return RecordedAttempt(repo, head, results, time)


def gateway_as_recorded(hub_gateway: TokenHubGateway, recorded: RecordedAttempt) -> TokenHubGateway:
    """The gateway with the questions' repos and commits that were recorded. Raises CannotVerify."""
    commits = recorded.block.datasets
    moved = {}
    for source in hub_gateway.suite.datasets:
        repo = hub_gateway.moved.get(source.repo, "").partition("@")[0] or source.repo
        if repo not in commits and len(commits) == len(hub_gateway.suite.datasets) == 1:
            (repo,) = commits
        if repo not in commits:
            raise CannotVerify(f"the results do not record the commit of the questions in {repo}")
        moved[source.repo] = f"{repo}@{commits[repo]}"
    return replace(hub_gateway, moved=moved)


def version_differences(block: StewardBlock, versions: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Package → its recorded version and the one on this machine, if they differ."""
    here = {name: versions.get(name, "missing") for name in block.versions}
    return {name: (then, here[name]) for name, then in block.versions.items() if here[name] != then}


def versions_here(worker_context: WorkerContext, results: Mapping[str, Any]) -> dict[str, str]:
    """The versions of what computed `results` on this machine: an evaluator names its own."""
    return {**worker_context.versions, **(results[BLOCK]["versions"] if worker_context.suite.evaluator else {})}


def engine_names(block: StewardBlock, results: Mapping[str, Any]) -> tuple[str, str]:
    """The engine or the evaluator of the recorded answers, and that of the answers in `results`."""
    if block.evaluator is not None:  # the results of another version are of another suite
        name = f"{block.evaluator.name} {block.evaluator.version}"
        return name, name
    return describe_engine(block.engine), describe_engine(engine_use(results))


def describe_engine(use: EngineUse | None) -> str:
    """The engine that gave the answers, with its version; two evaluations by one engine are equal digit for digit."""
    if use is None:
        return "harness"
    shared = f"shared-prefix {use.version}"
    answers = "harness" if use.engine == "harness" else shared
    if use.generation is None:
        return answers
    texts = shared if use.generation.answers else "harness"
    return answers if texts == answers else f"{answers} (texts: {texts})"


def recorded_job(
    block: StewardBlock, board: Board, *, precision: str = "", chat_template: bool | None = None
) -> EvaluationJob:
    """The job that produced the recorded results; in another `precision`, or with another `chat_template`, if given."""
    return EvaluationJob(
        board=board.name,
        attempt=block.attempt,
        path=block.request,
        model=block.model,
        revision=block.revision,
        precision=precision or block.precision,
        weight_type=block.weight_type,
        base_model=block.base_model,
        base_revision=block.base_revision,
        use_chat_template=block.use_chat_template if chat_template is None else chat_template,
        suite=block.suite,
        suite_digest=block.suite_digest,
    )
