"""Which answer journals an attempt uses, where it shares them, and when it uses or removes other machines' answers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from leaderboard.attempts import Outcome
from redis_state.attempts import AttemptProgress
from redis_state.jobs import EvaluationJob
from tests.support.workers.evaluation_inputs import plan
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunProgress
from workers.jobs.attempt import AttemptRun
from workers.jobs.attempt_evaluation import AttemptEvaluation
from workers.jobs.attempt_journals import AttemptJournals
from workers.jobs.journals import JournalStore
from workers.jobs.outcomes import outcome_of
from workers.jobs.worker_context import WorkerContext
from workers.publication.answer_branches import BranchName, FetchedAnswers
from workers.sandbox.stream import FailedMessage
from workers.sandbox.supervision import ChildExit

DIFFERS = FailedMessage(type="workers.errors.OfferedAnswersDiffer", text="a log-likelihood is 1 instead of 2")
OTHER = FailedMessage(type="workers.errors.NotANumber", text="nan")


@pytest.mark.parametrize(
    ("offered", "child_exit", "reason"),
    [
        (1, ChildExit(False, "evaluate", error=DIFFERS), "a log-likelihood is 1 instead of 2"),
        (1, ChildExit(False, "load", stopped="memory-limit"), "the child ended in the phase load"),
        (1, ChildExit(False, "start", signal=9), "the child ended in the phase start"),
        (1, ChildExit(False, "evaluate", error=OTHER), ""),  # the model's own failure
        (1, ChildExit(False, "load", stopped="cancelled"), ""),
        (1, ChildExit(True, "score"), ""),
        (0, ChildExit(False, "evaluate", error=DIFFERS), ""),  # no answers of other machines were in use
        (0, ChildExit(False, "load", stopped="memory-limit"), ""),
    ],
)
def test_answers_of_other_machines_never_end_an_attempt(
    tmp_path: Path, offered: int, child_exit: ChildExit, reason: str
) -> None:
    """If other machines' answers differ, or the child ends while it reads them, the worker drops them and logs why."""
    log = BoundedLog()
    context: Any = SimpleNamespace()
    journals = AttemptJournals(cast(WorkerContext, context), cast(EvaluationJob, None), log, lambda: True)
    journals.held = JournalStore(tmp_path / "journals", 4 << 30).open("a" * 64, 1)
    assert journals.held is not None
    (journals.held.folder / "offered-00").touch()
    dropped = journals.drop_offered(plan(tmp_path).model_copy(update={"offered": offered}), child_exit)
    assert dropped == bool(reason) and reason in log.text()
    assert (journals.held.offered == ()) == dropped
    journals.release()


class Branches:
    """A fake of the branches with shared answers, which counts reads and removals."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bool, bool]] = []
        self.read = self.removed = 0

    def open(self, repo: str, name: BranchName, *, is_private: bool, is_gated: bool) -> Branches:
        """Record the arguments and return the branch, as the gateway does."""
        self.asked.append((repo, name.request, is_private, is_gated))
        self.name = name
        return self

    def fetch(self, folder: Path, max_bytes: int) -> FetchedAnswers:
        """Write a file with the answers of one other machine."""
        self.read += 1
        (folder / "offered-00").write_bytes(b"answers")
        return FetchedAnswers(max_bytes, 0.0, [folder / "offered-00"], 7)

    def remove(self) -> None:
        """Count the removal."""
        self.removed += 1


def opened(
    folder: Path, branches: Branches, *, restricted: bool = False, private: bool = False, **settings: Any
) -> Any:
    """The journals of an attempt, and the plan that names them."""
    context: Any = SimpleNamespace(
        settings=SimpleNamespace(**{"work_dir": folder, "journal_bytes": 4 << 30, "share_seconds": 900.0} | settings),
        suite=SimpleNamespace(restricted=restricted),
        board=SimpleNamespace(
            repos=SimpleNamespace(details=lambda model: f"d/{model}", restricted_details=lambda model: f"r/{model}")
        ),
        hub_gateway=SimpleNamespace(answer_branches=branches.open),
        versions={},
        hardware="cpu",
    )
    job: Any = SimpleNamespace(attempt="0123456789ab-01234567-2", model="m", private=private, questions=0)
    journals = AttemptJournals(context, job, BoundedLog(), lambda: True)
    provisions: Any = SimpleNamespace(questions=SimpleNamespace(revisions={}))
    return journals, journals.name_in(plan(folder), provisions)


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("private", [False, True])
def test_answers_go_where_the_details_go(tmp_path: Path, restricted: bool, private: bool) -> None:
    """Shared answers go to the gated repo if benchmarks are restricted, to a private one if the model is private."""
    branches = Branches()
    journals, named = opened(tmp_path, branches, restricted=restricted, private=private)
    assert branches.asked == [("r/m" if restricted else "d/m", "0123456789ab", private, restricted)]
    assert (named.offered, len(journals.files(named)), len(journals.offered(named))) == (1, 2, 1)
    journals.release()


def test_answers_that_cannot_be_read_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If reading other machines' answers raises an error, the attempt logs it and continues without them."""

    def fail(*_: Any) -> None:
        raise ValueError("unexpected")

    monkeypatch.setattr(Branches, "fetch", fail)
    journals, named = opened(tmp_path, Branches())
    assert (named.offered, len(journals.files(named))) == (0, 1)
    assert "answers are not shared with other machines: unexpected" in journals.log.text()
    journals.release()


def test_the_journal_of_this_machine_goes_before_those_of_others(tmp_path: Path) -> None:
    """If this machine's journal has answers, the attempt fetches no others, and reuses those of its first start."""
    branches = Branches()
    journals, named = opened(tmp_path, branches)
    journals.files(named)[0].write_bytes(bytes(1_000))
    journals.release()
    again, named = opened(tmp_path, branches)
    assert branches.read == 1 and named.offered == 1
    again.release()


@pytest.mark.parametrize(
    ("is_offered", "has_answers", "is_removed"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_a_model_that_cannot_be_evaluated_leaves_no_answers(
    tmp_path: Path, is_offered: bool, has_answers: bool, is_removed: bool
) -> None:
    """After a model's failure, the worker removes shared answers from the Hub if it computed or fetched any."""
    branches = Branches()
    journals, _ = opened(tmp_path, branches)
    if not is_offered:
        journals.held.drop_offered()
    if has_answers:
        journals.observe(RunProgress("evaluate", 1, 9))
    journals.give_up()
    assert branches.removed == is_removed
    journals.release()


class Recorder:
    """A fake attempt that is also its own journals and heartbeat, and records what is reported to them."""

    def __init__(self) -> None:
        self.worker_context: Any = SimpleNamespace(secrets=(), versions={}, hardware="cpu")
        self.job = EvaluationJob.model_construct(
            attempt="0123456789ab-01234567-2", path="p", revision="0" * 40, suite="s", suite_digest="0"
        )
        self.log, self.replayed, self.given_up = BoundedLog(), 0, 0
        self.journals = self.heartbeat = self
        self.reported: list[AttemptProgress] = []

    def observe(self, progress: RunProgress) -> None:
        """Accept the child's progress, as the journals do."""

    def report(self, progress: AttemptProgress) -> None:
        """Record the progress, as the heartbeat does."""
        self.reported.append(progress)

    def give_up(self) -> None:
        """Count the call; the journals would remove the shared answers."""
        self.given_up += 1

    def _outcome(self, **end: Any) -> Outcome:
        return outcome_of(self.worker_context, self.job, started=0.0, phase="evaluate", **end)


def test_the_heartbeat_says_what_was_replayed() -> None:
    """The heartbeat reports the child's counts, among them the number of replayed answers."""
    recorder = Recorder()
    for progress in (RunProgress("evaluate", 5, 9, 3), RunProgress("score", 9, 9, 4)):
        AttemptEvaluation._report(cast(AttemptEvaluation, recorder), progress)
    assert recorder.reported == [AttemptProgress("evaluate", 5, 9, 3), AttemptProgress("score", 9, 9, 4)]
    assert recorder.replayed == 4


@pytest.mark.parametrize(
    ("child_exit", "cause", "given_up"),
    [
        (ChildExit(False, "evaluate", error=OTHER), "not-a-number", 1),
        (ChildExit(False, "evaluate", stopped="time-limit"), "time-limit", 0),
    ],
)
def test_shared_answers_stay_if_another_attempt_may_use_them(child_exit: ChildExit, cause: str, given_up: int) -> None:
    """The worker gives up shared answers after the model's own failure, but keeps them after a time limit."""
    recorder = Recorder()
    outcome = AttemptRun._failure(cast(AttemptRun, recorder), child_exit)
    assert outcome.failure is not None
    assert (outcome.failure.cause, recorder.given_up) == (cause, given_up)


@pytest.mark.parametrize("settings", [{"share_seconds": 0.0}, {"journal_bytes": 2 << 20}, {"journal_bytes": 0}])
def test_sharing_can_be_turned_off(tmp_path: Path, settings: dict[str, Any]) -> None:
    """If sharing is off or journals are too small for it, the attempt fetches no answers and its plan names none."""
    branches = Branches()
    journals, named = opened(tmp_path, branches, **settings)
    assert (branches.asked, named.answers, named.offered) == ([], "", 0)
    journals.hand_over()
    journals.remove_shared()
    journals.release()
