"""Which results a cross-check trusts, and what it reports when the Hub does not answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hub.client import Hub
from hub.errors import Garbled, HubError, NotFound, TooLarge, Transient
from hub.records import FileEntry, LogEntry, Repo
from leaderboard.boards import Board
from leaderboard.cross_checks import CheckedQuestion, CrossCheckReport
from tests.support.units.details_samples import STARTER
from workers.common.hub_access import HubAccess
from workers.errors import PublicationFailed, TableRefused
from workers.jobs import cross_check as module
from workers.jobs import recorded_questions
from workers.jobs.cross_check import CrossCheckRun
from workers.jobs.provisions import TokenHubGateway
from workers.jobs.published_tables import PublishedTables, _has_table
from workers.jobs.recorded_attempt import CannotVerify, RecordedAttempt, RunFailed

SOURCE = STARTER.datasets[0]
BOARD = cast(Board, SimpleNamespace(attempt_seconds=8 * 3600, workers=None))
ON_MAIN, PINNED, ELSEWHERE = "a" * 40, "b" * 40, "c" * 40
TASK = STARTER.benchmarks[0].tasks[0].name


def strange(
    datasets: dict[str, str], monkeypatch: pytest.MonkeyPatch, *, copy: str = "", pinned: str | None = None
) -> str:
    """The reason why a cross-check rejects questions from these repos and commits; "" if it accepts them."""
    suite = STARTER.model_copy(update={"datasets": (SOURCE.model_copy(update={"revision": pinned}),)})
    gateway = TokenHubGateway(HubAccess("http://127.0.0.1:9", None), suite, Path(), moved={SOURCE.repo: copy})
    recorded = cast(RecordedAttempt, SimpleNamespace(block=SimpleNamespace(datasets=datasets)))

    def is_on_main(_: object, repo: str, commit: str, seconds: float) -> bool:
        if repo not in (SOURCE.repo, "board/copy", "mallory/easy"):
            raise NotFound("There is no such repo.", status=404)
        return commit == ON_MAIN

    monkeypatch.setattr(recorded_questions, "is_on_main", is_on_main)
    return recorded_questions.strange_questions(gateway, recorded, BOARD)


@pytest.mark.parametrize(
    ("datasets", "options", "words"),
    [
        ({SOURCE.repo: ON_MAIN}, {}, ""),
        ({SOURCE.repo: ON_MAIN}, {"copy": "board/copy"}, ""),
        ({"board/copy": ON_MAIN}, {"copy": "board/copy"}, ""),
        ({"board/copy": PINNED}, {"copy": f"board/copy@{PINNED}"}, ""),
        ({SOURCE.repo: PINNED}, {"pinned": PINNED}, ""),  # pinned by the suite, on any branch
        ({SOURCE.repo: ON_MAIN, "mallory/none": ELSEWHERE}, {}, ""),  # not used by the suite, so ignored
        ({SOURCE.repo: ELSEWHERE}, {}, "not on the main branch"),
        ({"board/copy": PINNED}, {"copy": "board/copy", "pinned": PINNED}, "not on the main branch"),
        ({"mallory/easy": ON_MAIN}, {}, "the board's are in"),
        ({"mallory/easy": ON_MAIN}, {"copy": "board/copy"}, "the board's are in board/copy"),
        ({}, {}, "do not record"),
    ],
)
def test_questions_are_those_of_the_board(
    datasets: dict[str, str], options: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check rejects questions from another repo or branch than the board's, and ignores a missing unused repo."""
    reason = strange(datasets, monkeypatch, **options)
    assert words in reason if words else not reason


class DatedHub:
    """A Hub client that lists commits of these ages in hours, the newest first."""

    def __init__(self, ages: Mapping[str, float]) -> None:
        self.ages = ages

    def __enter__(self) -> DatedHub:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def history(self, _: Repo) -> Iterator[LogEntry]:
        """Yield the commits."""
        for commit, hours in self.ages.items():
            yield LogEntry(commit, "", "", ("ada",), datetime.now(UTC) - timedelta(hours=hours))


@pytest.mark.parametrize(
    ("ages", "is_known"),
    [
        ({ON_MAIN: 0.5}, True),
        ({PINNED: 0.1, ON_MAIN: 300.0}, True),
        ({PINNED: 0.1, ELSEWHERE: 300.0}, False),  # a commit of a pull request, or an invented one
        ({PINNED: 14.6}, False),
        ({PINNED: 14.4}, None),
        ({PINNED: 0.1}, None),  # squashed since
        ({}, False),
    ],
)
def test_a_dataset_whose_history_was_squashed_blames_no_one(
    ages: dict[str, float], is_known: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If main has only commits newer than the evaluation, the check gives no verdict on a commit that is not on it.

    An evaluation takes at most 8 hours in this test, its publication half an hour, its check 6 hours.
    """
    access, seconds = HubAccess("http://127.0.0.1:9", None), recorded_questions.longest_ago(BOARD)
    monkeypatch.setattr(recorded_questions, "Hub", lambda *_: DatedHub(ages))
    if is_known is None:
        with pytest.raises(CannotVerify, match="history of that dataset was rewritten"):
            recorded_questions.is_on_main(access, SOURCE.repo, ON_MAIN, seconds)
    else:
        assert recorded_questions.is_on_main(access, SOURCE.repo, ON_MAIN, seconds) is is_known


class FailingHub:
    """A Hub client whose every read raises `error`."""

    def __init__(self, error: HubError) -> None:
        self.error = error

    def save_file(self, *_: object, **__: object) -> None:
        """Raise the error."""
        raise self.error

    def paths_info(self, *_: object) -> dict[str, FileEntry]:
        """Raise the error."""
        raise self.error


@pytest.mark.parametrize("error", [Transient("502"), Garbled("a page of a proxy, or half a file")])
def test_a_hub_that_does_not_send_the_table_blames_no_one(
    error: HubError, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If the table cannot be read from the Hub, the report has no verdict and names the problem as temporary."""
    recorded = cast(
        RecordedAttempt, SimpleNamespace(repo=Repo("dataset", "d/m"), commit=ON_MAIN, time="2026-01-01T00-00-00.000000")
    )
    tables = PublishedTables(cast(Hub, FailingHub(error)), recorded, Repo("dataset", "d/m-r"), tmp_path)
    order = SimpleNamespace(
        questions=(CheckedQuestion(TASK, 0),),
        attempt="0123456789ab-01234567-1",
        details=SimpleNamespace(commit=ON_MAIN),
        nonce="0" * 32,
        restricted="",
    )
    run = CrossCheckRun.__new__(CrossCheckRun)
    run._order, run._job = order, SimpleNamespace(attempt=order.attempt)  # type: ignore[assignment]
    run._worker_context = cast(
        Any, SimpleNamespace(suite=STARTER, secrets=(), versions={}, hardware="one GPU", settings=None, board=None)
    )
    monkeypatch.setattr(module, "token_hub_gateway", lambda *_: None)
    monkeypatch.setattr(module, "published_tables", lambda *_: SimpleContext(tables))
    monkeypatch.setattr(CrossCheckRun, "_recorded", lambda _: recorded)
    monkeypatch.setattr(module, "strange_questions", lambda *_: "")
    report = run._report()
    assert (report.answers, report.temporary) == ((), True)
    assert str(error) in report.problem


class AwayHub(DatedHub):
    """A Hub client whose first commits fail; later commits succeed."""

    def __init__(self, failures: int) -> None:
        self.failures, self.commits = failures, 0

    def head(self, _: Repo) -> str:
        """The newest commit."""
        return ON_MAIN

    def commit(self, *_: object, **__: object) -> None:
        """Fail, or count the commit."""
        if self.failures:
            self.failures -= 1
            raise Transient("502")
        self.commits += 1


@pytest.mark.parametrize("stops", [False, True])
def test_a_report_waits_for_a_hub_that_is_away(stops: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker publishes its report again until the Hub accepts it: a missing report counts as its failure."""
    hub = AwayHub(failures=3)
    monkeypatch.setattr(module, "Hub", lambda *_: hub)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=iter(range(1_000)).__next__, sleep=lambda _: None))
    run = CrossCheckRun.__new__(CrossCheckRun)
    run._access = HubAccess("http://127.0.0.1:9", None)
    run._order = cast(Any, SimpleNamespace(details=SimpleNamespace(repo="d/m")))
    run._worker_context = cast(Any, SimpleNamespace(stopping=lambda: stops))
    attempt = "0123456789ab-01234567-1"
    report = CrossCheckReport(check=attempt, attempt=attempt, commit=ON_MAIN, nonce="0" * 32)
    if stops:
        with pytest.raises(PublicationFailed, match="the worker stops"):
            run._publish(report)
    else:
        run._publish(report)
    assert hub.commits == (0 if stops else 1)


class SimpleContext:
    """A context manager that returns `value`."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __enter__(self) -> object:
        return self.value

    def __exit__(self, *_: object) -> None:
        return None


@pytest.mark.parametrize(
    ("error", "is_temporary"),
    [
        (Transient("502"), True),
        (ConnectionError("the Hub is away"), True),
        (CannotVerify("no weights"), False),
        (NotFound("There is no such repo.", status=404), False),
        (TableRefused("its table"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_only_a_hub_that_is_away_is_a_temporary_problem(error: Exception, is_temporary: bool) -> None:
    """Only an unreachable Hub is a temporary problem; any other would be the same for this worker ten minutes later."""
    assert module.is_temporary(error) is is_temporary
    wrapped = CannotVerify("the results cannot be read here")
    wrapped.__cause__ = error
    assert module.is_temporary(wrapped) is is_temporary


@pytest.mark.parametrize(("cause", "is_temporary"), [("gpu-fault", True), ("weights-pickled", False)])
def test_a_run_that_a_device_ended_is_tried_again(cause: str, is_temporary: bool) -> None:
    """A GPU fault during a check is temporary, so the check runs again; a failure of the model is not temporary."""
    assert module.is_temporary(RunFailed(cause, "RuntimeError: CUDA error")) is is_temporary


def test_a_repo_with_more_files_than_a_listing_may_have_ends_no_check() -> None:
    """The check asks only for the table's path, because the worker under check may have filled the gated repo."""

    def refuse(*_: object) -> None:
        raise TooLarge("more than 100,000 files")

    entry = FileEntry("quick/t.parquet", "0" * 40, 1)
    client = cast(Hub, SimpleNamespace(list_files=refuse, paths_info=lambda *_: {entry.path: entry}))
    assert _has_table(client, Repo("dataset", "d/m-r"), "main", entry.path)
