"""When the answers of an attempt are uploaded for other machines."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hub.errors import Transient
from hub.records import Repo
from steward.testing.waiting import wait_until
from workers.common.hub_access import HubAccess
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunProgress
from workers.jobs import made_branches
from workers.jobs.made_branches import MadeBranches
from workers.jobs.shared_answers import ComputingTime, SharedAnswers, expected_upload_seconds, saves_time
from workers.publication.answer_branches import MAX_AGE_SECONDS, AnswerBranches, BranchName


@pytest.mark.parametrize(
    ("new_bytes", "last_seconds", "computing_seconds", "is_worth_it"),
    [
        (1_000, 0.0, 900.0, True),
        (1_000, 0.0, 1.9, False),  # the first upload is expected to take two seconds
        (1_000, 0.0, 2.1, True),
        (1_000, 300.0, 299.0, False),  # the last one was slow
        (1_000, 300.0, 301.0, True),
        (200_000_000, 1.0, 90.0, False),  # much to send
        (200_000_000, 1.0, 110.0, True),
        (0, 0.0, 0.0, False),  # nothing was computed: all was replayed
    ],
)
def test_an_upload_must_save_more_time_than_it_takes(
    new_bytes: int, last_seconds: float, computing_seconds: float, is_worth_it: bool
) -> None:
    """Answers are uploaded only if computing them took longer than the upload will."""
    assert saves_time(computing_seconds, expected_upload_seconds(new_bytes, last_seconds)) == is_worth_it


def test_only_the_time_of_computing_counts() -> None:
    """The time before the first answer and that of replayed answers do not count; an upload restarts the count."""
    time = ComputingTime()
    reports = [(50.0, 1, 0), (51.0, 2, 0), (60.0, 102, 100), (61.0, 103, 100), (64.0, 104, 100), (65.0, 90, 100)]
    for now, count, replayed in reports:
        time.observe(RunProgress("evaluate", count, 200, replayed), now)
    assert (time.began, time.seconds) == (50.0, 1.0 + 1.0 + 3.0)
    time.restart(70.0)
    time.observe(RunProgress("evaluate", 105, 200, 100), 74.0)
    assert (time.began, time.seconds) == (70.0, 10.0)


class Uploads:
    """A fake of the branches with shared answers, whose uploads wait for `may_end`."""

    repo = Repo("dataset", "lab/details")
    name = BranchName("0" * 12, "f" * 16, "1" * 8)

    def __init__(self) -> None:
        self.begun = self.removed = 0
        self.abandoned: dict[str, str] = {}
        self.may_end = threading.Event()
        self.error: Exception | None = None

    def upload(self, journals: Sequence[Path], max_bytes: int) -> int:
        """Count the upload, and wait."""
        self.begun += 1
        assert self.may_end.wait(20)
        if self.error is not None:
            raise self.error
        return min(max_bytes, sum(file.stat().st_size for file in journals))

    def remove(self) -> int:
        """Count the removal."""
        self.removed += 1
        if self.error is not None:
            raise self.error
        return 1

    def remove_abandoned(self, branches: dict[str, str]) -> list[str]:
        """Record the branches."""
        self.abandoned = branches
        return list(branches)


def sharing(folder: Path, uploads: Uploads, interval: float = 0.0, **options: Any) -> SharedAnswers:
    """The shared answers of an attempt that has computed for an hour."""
    (folder / "answers-0").write_bytes(b"answers")
    shared = SharedAnswers(
        cast(AnswerBranches, uploads), [folder / "answers-0"], MadeBranches(folder / "branches"), max_bytes=1_000,
        interval=interval,
        is_current=options.get("is_current", lambda: True), log=BoundedLog(),
    )  # fmt: skip
    shared.observe(RunProgress("evaluate", 1, 9))
    shared.time.seconds = options.get("seconds", 3_600.0)
    return shared


def test_one_upload_at_a_time_and_only_for_new_answers(tmp_path: Path) -> None:
    """No upload begins while another one runs, or if there are no new answers since the last one."""
    uploads = Uploads()
    shared = sharing(tmp_path, uploads)
    for _ in range(3):
        shared.poll()
    uploads.may_end.set()
    wait_until(lambda: shared.poll() or "7 bytes of answers were uploaded" in shared.log.text())
    shared.poll()
    assert uploads.begun == 1


@pytest.mark.parametrize(
    "options", [{"interval": 900.0}, {"seconds": 1.0}, {"is_current": lambda: False}], ids=["early", "cheap", "lost"]
)
def test_no_upload_without_need(tmp_path: Path, options: dict[str, Any]) -> None:
    """Nothing is uploaded before the interval is over, if computing takes a second, or if the attempt was lost."""
    uploads = Uploads()
    sharing(tmp_path, uploads, **options).poll()
    assert uploads.begun == 0


@pytest.mark.parametrize("error", [Transient("The Hub is away."), ValueError("The Hub is away.")])
def test_what_goes_wrong_is_a_line_in_the_log(error: Exception, tmp_path: Path) -> None:
    """A failed upload or removal is logged, and does not end the attempt."""
    uploads = Uploads()
    uploads.error = error
    uploads.may_end.set()
    shared = sharing(tmp_path, uploads)
    shared.hand_over(20)
    shared.remove()
    assert "could not be uploaded for other machines: The Hub is away." in shared.log.text()
    assert "cannot be removed: The Hub is away." in shared.log.text()


def test_an_upload_that_cannot_begin_is_a_line_in_the_log(tmp_path: Path) -> None:
    """An upload that cannot begin, here because its file is missing, is logged and raises no error."""
    shared = sharing(tmp_path, Uploads(), interval=0.0)
    (tmp_path / "answers-0").unlink()
    shared.poll()
    assert "cannot be uploaded for other machines" in shared.log.text()


def test_a_handed_back_attempt_leaves_its_answers_in_time(tmp_path: Path) -> None:
    """A stopping worker uploads at once, whatever the interval, unless the answers are cheap, and waits briefly."""
    uploads = Uploads()
    sharing(tmp_path, uploads, interval=900.0).hand_over(0.2)
    assert uploads.begun == 1
    uploads.may_end.set()
    sharing(tmp_path, uploads, interval=900.0, seconds=1.0).hand_over(20)
    assert uploads.begun == 1


def test_branches_are_removed_after_the_upload_that_takes_place(tmp_path: Path) -> None:
    """The worker removes a branch after a running upload has ended, which would otherwise create the branch again."""
    uploads = Uploads()
    shared = sharing(tmp_path, uploads)
    shared.poll()
    threading.Timer(0.2, uploads.may_end.set).start()
    shared.remove()
    assert (uploads.removed, "were uploaded" in shared.log.text()) == (1, True)


def test_a_branch_is_remembered_until_it_is_removed(tmp_path: Path) -> None:
    """A worker notes a branch from before its upload to its removal, which also removes branches older than a week."""
    uploads, branches = Uploads(), MadeBranches(tmp_path / "branches")
    uploads.may_end.set()
    uploads.error = Transient("The Hub is away.")
    shared = sharing(tmp_path, uploads)
    shared.hand_over(20)
    old, new = BranchName("1" * 12, "f" * 16, "2" * 8), BranchName("2" * 12, "f" * 16, "3" * 8)
    branches.note("lab/old", old)
    branches.note("lab/new", new)
    week_ago = time.time() - MAX_AGE_SECONDS - 60
    os.utime(tmp_path / "branches" / str(old), (week_ago, week_ago))
    os.utime(tmp_path / "branches" / str(new))  # the kernel's file times are real also under `make any-day`
    shared.remove()  # fails, too
    assert uploads.abandoned == {} and noted(tmp_path) == sorted(map(str, (uploads.name, old, new)))
    uploads.error = None
    shared.remove()
    assert uploads.abandoned == {str(old): "lab/old"} and noted(tmp_path) == [str(new)]


def test_no_more_branches_are_remembered_or_removed_than_the_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the limits, the worker forgets the oldest notes, and removes abandoned branches from the oldest on."""
    monkeypatch.setattr(made_branches, "MAX_NOTES", 3)
    monkeypatch.setattr(made_branches, "MAX_ABANDONED", 2)
    branches = MadeBranches(tmp_path / "branches")
    assert branches.abandoned() == {}
    for number in range(4):
        branch = BranchName(f"{number:012d}", "f" * 16, "1" * 8)
        branches.note(f"lab/{number}", branch)
        os.utime(tmp_path / "branches" / str(branch), (number + 1.0, number + 1.0))
    assert list(branches.abandoned().values()) == ["lab/1", "lab/2"]


def test_a_note_without_a_repo_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker drops a note without a repo, which a full disk cut off, and removes the other branches."""
    deleted = list[str]()
    client = SimpleNamespace(delete_branch=lambda repo, _: deleted.append(repo.id))
    branches = AnswerBranches(HubAccess("https://hub"), "lab/new", Uploads.name, is_private=False, is_gated=False)
    monkeypatch.setattr(branches, "_client", lambda: nullcontext(client))
    assert branches.remove_abandoned({"cut": "", "old": "lab/old"}) == ["cut", "old"]
    assert deleted == ["lab/old"]


def noted(folder: Path) -> list[str]:
    """The names of the branches that the worker has noted."""
    return sorted(note.name for note in (folder / "branches").iterdir())
