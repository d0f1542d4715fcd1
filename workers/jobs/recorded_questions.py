"""Whether the questions that published results record are those of the board.

Any account can have a repo with easier questions, or open a pull request on a dataset, whose commits can be read too.
"""

from __future__ import annotations

from itertools import islice

from hub.client import Hub
from hub.records import Repo
from leaderboard.attempts import PUBLICATION_WAIT_SECONDS
from leaderboard.boards import Board
from leaderboard.cross_checks import WorkerPolicy
from leaderboard.suites import dataset_sources
from redis_state.clock import now
from workers.common.hub_access import HubAccess
from workers.jobs.provisions import TokenHubGateway
from workers.jobs.recorded_attempt import CannotVerify, RecordedAttempt, gateway_as_recorded

MAX_COMMITS = 2_000
"""The most commits of a dataset among which that of the recorded questions is searched."""
OTHER_QUESTIONS = "its questions are those of {repo} at {commit}, which is not on the main branch"
REWRITTEN = "its questions are those of {repo} at {commit}, and the history of that dataset was rewritten since"
OTHER_REPO = "its questions are those of {repo}, and the board's are in {known}"


def strange_questions(gateway: TokenHubGateway, recorded: RecordedAttempt, board: Board) -> str:
    """Why the recorded repos and commits of the questions are missing or not to be trusted, or "".

    Repos that the suite does not use are ignored. Raises HubError and CannotVerify.
    """
    try:
        moved = gateway_as_recorded(gateway, recorded).moved
    except CannotVerify as error:
        return str(error)
    suite = gateway.suite
    for source, here in zip(suite.datasets, dataset_sources(suite, gateway.moved), strict=True):
        repo, _, commit = moved[source.repo].partition("@")
        if repo not in (source.repo, here.repo):
            return OTHER_REPO.format(repo=repo, known=here.repo)
        pinned = {known.revision for known in (source, here) if known.repo == repo}
        if commit not in pinned and not is_on_main(gateway.hub, repo, commit, longest_ago(board)):
            return OTHER_QUESTIONS.format(repo=repo, commit=commit[:8])
    return ""


def is_on_main(access: HubAccess, repo: str, commit: str, seconds: float) -> bool:
    """Whether the dataset `repo` has `commit` on its main branch. Raises HubError.

    Raises CannotVerify if main lacks it and has no commit from before the evaluation, which read its questions at most
    `seconds` ago: the owner has squashed the history meanwhile, and an honest worker's commit would look like an
    invented one.
    """
    dates = []
    with Hub(access.endpoint, access.token) as client:
        for entry in islice(client.history(Repo("dataset", repo)), MAX_COMMITS):
            if entry.oid == commit:
                return True
            dates.append(entry.date)
    oldest = dates[-1] if 0 < len(dates) < MAX_COMMITS else None
    if oldest is not None and now() - oldest.timestamp() < seconds:
        raise CannotVerify(REWRITTEN.format(repo=repo, commit=commit[:8]))
    return False


def longest_ago(board: Board) -> float:
    """The most seconds since an evaluation read its questions.

    Adds up the time limits of the evaluation, of its publication while the Hub is away, and of its cross-check.
    """
    hours = (board.workers or WorkerPolicy()).check.hours
    return board.attempt_seconds + PUBLICATION_WAIT_SECONDS + 3600 * hours
