"""A publication waits while the Hub does not answer, because its results took hours to compute."""

from __future__ import annotations

import pytest

from hub.errors import Busy, Denied, HubError, RateLimited, Transient, Unreachable
from leaderboard.attempts import PUBLICATION_WAIT_SECONDS
from leaderboard.backend_settings import SlurmBackend
from workers.jobs.background_call import AttemptStopped
from workers.publication import publish
from workers.publication.publish import wait_for_hub


class FailingCommit:
    """A commit that raises these errors before it succeeds; records the waits between its tries."""

    def __init__(self, *errors: HubError) -> None:
        self.errors = list(errors)
        self.waits: list[float] = []

    def __call__(self) -> str:
        """Raise the next error, or succeed."""
        if self.errors:
            raise self.errors.pop(0)
        return "committed"


def test_a_publication_waits_for_a_hub_that_is_away() -> None:
    """The worker tries to publish again after growing pauses, or after the time that the Hub's rate limit asks for."""
    commit = FailingCommit(
        Unreachable("no route"), Transient("502"), RateLimited("429", seconds=300, what="api"), Busy("409"),
        *(Unreachable("no route") for _ in range(3)),
    )  # fmt: skip
    assert wait_for_hub(commit, commit.waits.append) == "committed"
    assert commit.waits == [5, 10, 300, 40, 60, 60, 60]


def test_a_publication_that_may_not_be_made_ends_at_once() -> None:
    """If the Hub denies the write, the worker raises the error and does not try again."""
    commit = FailingCommit(Denied("403"))
    with pytest.raises(Denied):
        wait_for_hub(commit, commit.waits.append)
    assert commit.waits == []


def test_a_publication_waits_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the Hub is unreachable for longer than the limit, the worker raises the error."""
    monkeypatch.setattr(publish, "PUBLICATION_WAIT_SECONDS", 4.0)
    commit = FailingCommit(Unreachable("no route"))
    with pytest.raises(Unreachable):
        wait_for_hub(commit, commit.waits.append)


def test_a_run_of_a_backend_leaves_time_for_the_whole_wait() -> None:
    """A backend's run has enough time after its evaluation for the longest wait for the Hub."""
    backend, limit = SlurmBackend(kind="slurm", template="t", spool="s"), 8 * 3_600.0
    assert backend.seconds(limit) - backend.evaluation_seconds(limit) > PUBLICATION_WAIT_SECONDS


def test_a_worker_that_stops_does_not_wait_for_the_hub() -> None:
    """If the worker stops, the wait for the Hub ends with the reason."""

    def stop(_: float) -> None:
        raise AttemptStopped("handed-back")

    with pytest.raises(AttemptStopped, match="handed-back"):
        wait_for_hub(FailingCommit(Unreachable("no route")), stop)
