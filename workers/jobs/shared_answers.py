"""Shares the answers of one attempt with workers on other machines, by branches of the model's details repo.

An upload runs in its own thread while the child computes. An attempt never fails because of it: an error of an upload,
of any kind, is a line in the attempt's log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from workers.common.logs import BoundedLog
from workers.common.run_plan import RunProgress
from workers.jobs.background_call import AttemptStopped, BackgroundCall
from workers.jobs.made_branches import MadeBranches
from workers.publication.answer_branches import AnswerBranches

T = TypeVar("T")

FIRST_UPLOAD_SECONDS = 2.0
"""Seconds that the first upload is expected to take, if it is small."""
BYTES_PER_SECOND = 2_000_000
"""Bytes that an upload is expected to send in a second."""
LAST_UPLOAD_SECONDS = 20.0
"""Seconds that an upload may take when the attempt ends."""


def expected_upload_seconds(new_bytes: int, last_seconds: float) -> float:
    """Seconds that the next upload may take; `last_seconds` those of the last one, 0 if there was none."""
    return max(last_seconds or FIRST_UPLOAD_SECONDS, new_bytes / BYTES_PER_SECOND)


def saves_time(computing_seconds: float, upload_seconds: float) -> bool:
    """Whether the answers that are not uploaded took longer to compute than their upload would."""
    return computing_seconds > upload_seconds


class ComputingTime:
    """The seconds in which the child computed answers that are not uploaded; replayed answers do not count."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.began: float | None = None
        """The time of the child's first answer, or the beginning of the last upload."""
        self._computed = self._replayed = 0
        self._last = 0.0

    def observe(self, progress: RunProgress, now: float) -> None:
        """Note the progress that the child reports at the time `now`."""
        computed = progress.done - progress.replayed
        if self.began is None:
            self.began = self._last = now
        elif computed > self._computed:
            self.seconds += now - self._last
        if computed > self._computed or progress.replayed > self._replayed:
            self._last = now
        self._computed = max(self._computed, computed)
        self._replayed = max(self._replayed, progress.replayed)

    def restart(self, now: float) -> None:
        """Begin to count anew: an upload begins."""
        self.seconds, self.began = 0.0, now


class SharedAnswers:
    """The answers of an attempt in `journals`, which grow while its child runs.

    `made` remembers the branch for as long as it stays. `interval` are the seconds between two uploads, `is_current`
    says whether the attempt is still this worker's.
    """

    def __init__(
        self,
        branches: AnswerBranches,
        journals: Sequence[Path],
        made: MadeBranches,
        *,
        max_bytes: int,
        interval: float,
        is_current: Callable[[], bool],
        log: BoundedLog,
    ) -> None:
        self.branches = branches
        self.journals = journals
        self.made = made
        self.max_bytes = max_bytes
        self.interval = interval
        self.is_current = is_current
        self.log = log
        self.time = ComputingTime()
        self._upload: BackgroundCall[int] | None = None
        self._upload_began = self._last_seconds = 0.0
        self._uploaded = 0

    @property
    def has_answers(self) -> bool:
        """Whether the child has given answers."""
        return self.time.began is not None

    def fetch(self, folder: Path) -> None:
        """Download the answers of workers on other machines to `folder`."""
        try:
            fetched = self.branches.fetch(folder, self.max_bytes * len(self.journals))
        except OSError as error:
            self.log.say(f"answers of other machines cannot be stored: {error.strerror}")
            return
        for problem in fetched.problems:
            self.log.say(problem)
        if fetched.files:
            self.log.say(
                f"an earlier attempt on another machine left {fetched.size:,} bytes of answers: some of them are "
                "computed again, and if these agree, the others are used"
            )

    def observe(self, progress: RunProgress) -> None:
        """Note the child's progress."""
        if progress.done:
            self.time.observe(progress, time.monotonic())

    def poll(self) -> None:
        """Begin an upload if it is due, and log the end of the previous one."""
        if self._upload is not None:
            if self._upload.has_ended:
                self._note_end(self._upload)
        elif self.time.began is not None and time.monotonic() - self.time.began >= self.interval:
            self._try_to_begin()

    def hand_over(self, seconds: float) -> None:
        """Upload answers, if that saves time, within these seconds: another worker continues the attempt."""
        deadline = time.monotonic() + min(seconds, LAST_UPLOAD_SECONDS)
        if not self._wait(deadline):
            return
        self._try_to_begin()
        self._wait(deadline)

    def remove(self) -> None:
        """Delete the branches of this request, and some old ones that workers of this machine left."""
        deadline = time.monotonic() + LAST_UPLOAD_SECONDS
        self._wait(deadline)  # it would create the branch again
        removal = BackgroundCall(self._remove)
        removal.start()
        try:
            removal.wait(lambda: "late" if time.monotonic() > deadline else "")
        except AttemptStopped:
            self.log.say("there was no time to remove branches with answers")
        except Exception as error:  # noqa: BLE001  # boundary: the results are published
            self.log.say(f"branches with answers cannot be removed: {error}")

    def _remove(self) -> None:
        self.branches.remove()
        self.made.forget_request(self.branches.name)
        if abandoned := self.made.abandoned():
            self.made.forget(self.branches.remove_abandoned(abandoned))

    def _try_to_begin(self) -> None:
        """Call `_begin`; after an error, log it and try again after the interval."""
        try:
            self._begin()
        except Exception as error:  # noqa: BLE001  # boundary: the child computes on
            self.time.restart(time.monotonic())
            self.log.say(f"answers cannot be uploaded for other machines: {error}")

    def _begin(self) -> None:
        """Begin an upload, unless it would cost more than it saves."""
        new_bytes = sum(file.stat().st_size for file in self.journals) - self._uploaded
        if not saves_time(self.time.seconds, expected_upload_seconds(new_bytes, self._last_seconds)):
            return
        if not self.is_current():
            return
        self._upload_began = time.monotonic()
        self.time.restart(self._upload_began)
        self._upload = BackgroundCall(self._send)
        self._upload.start()

    def _send(self) -> int:
        self.made.note(self.branches.repo.id, self.branches.name)
        return self.branches.upload(self.journals, self.max_bytes)

    def _wait(self, deadline: float) -> bool:
        """Wait for the upload in progress, if there is one; return whether it has ended."""
        if self._upload is None:
            return True
        while not self._upload.has_ended:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        self._note_end(self._upload)
        return True

    def _note_end(self, upload: BackgroundCall[int]) -> None:
        self._upload = None
        self._last_seconds = time.monotonic() - self._upload_began
        try:
            size = upload.value()
        except Exception as error:  # noqa: BLE001  # boundary: the child computes on
            self.log.say(f"answers could not be uploaded for other machines: {error}")
            return
        self._uploaded += size
        if size:
            self.log.say(f"{size:,} bytes of answers were uploaded, with which another machine could go on")
