"""The journals of one attempt: those on this machine, and the answers that it shares with other machines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from redis_state.jobs import EvaluationJob
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunPlan, RunProgress
from workers.evaluation.shared_prefix.trust import OfferedAnswersDiffer
from workers.jobs.journals import (
    BRANCHES,
    HeldJournals,
    JournalsInUse,
    JournalStore,
    evaluation_identity,
    portable_identity,
)
from workers.jobs.made_branches import MadeBranches
from workers.jobs.provisions import Provisions
from workers.jobs.shared_answers import SharedAnswers
from workers.jobs.worker_context import WorkerContext
from workers.publication.answer_branches import BranchName
from workers.sandbox.supervision import ChildExit

GRACE_SHARE = 0.7
"""The share of the worker's grace period in which answers may be uploaded after its child has ended."""
READING_PHASES = ("start", "load")
"""The phases of a child until it has read the answers of other machines."""
STOPPED = ("cancelled", "handed-back", "time-limit")
"""Reasons to stop a child that also end the attempt here: no child runs after it."""


class AttemptJournals:
    """Opens an attempt's journals, once its evaluation is known; `is_current`: whether this worker still holds it.

    Without journals an attempt computes everything: on a full disk, or while another attempt uses them.
    """

    def __init__(
        self, worker_context: WorkerContext, job: EvaluationJob, log: BoundedLog, is_current: Callable[[], bool]
    ) -> None:
        self.worker_context = worker_context
        self.job = job
        self.log = log
        self.is_current = is_current
        self.held: HeldJournals | None = None
        self.shared: SharedAnswers | None = None

    def name_in(self, plan: RunPlan, provisions: Provisions) -> RunPlan:
        """Open the journals of `plan`'s evaluation, unless they are open, and name them in the plan.

        A trial, which asks a few questions of each benchmark, has none, nor has an evaluator other than lm-eval.
        """
        if plan.evaluator is not None:
            self.log.say("its evaluator keeps no journal: if this attempt is interrupted, the next one begins anew")
        if plan.evaluator is not None or self.job.questions:
            return plan
        context = self.worker_context
        questions = provisions.questions.revisions
        identity = evaluation_identity(plan, questions=questions, versions=context.versions, hardware=context.hardware)
        portable = portable_identity(plan, questions=questions, versions=context.versions)
        if self.held is not None and self.held.folder.name != identity:
            self.held.release()
            self.held = self.shared = None
        if self.held is None:
            self.held = self._open(identity, plan.copies)
            if self.held is None:
                return plan
            self._share(portable, self.held)
        journal = {"journal": identity, "journal_bytes": self.held.max_bytes}
        if self.shared is None:
            return plan.model_copy(update=journal)
        answers = {
            "answers": portable,
            "answers_bytes": self.held.answers_bytes,
            "offered": len(self.held.offered),
        }
        return plan.model_copy(update={**journal, **answers})

    @property
    def _root(self) -> Path:
        return self.worker_context.settings.work_dir.resolve() / "journals"

    def _open(self, identity: str, copies: int) -> HeldJournals | None:
        store = JournalStore(self._root, self.worker_context.settings.journal_bytes)
        try:
            journals = store.open(identity, copies)
        except JournalsInUse:
            self.log.say("another attempt of this evaluation runs on this machine; this one computes everything, too")
            return None
        except OSError as error:
            self.log.say(f"it has no journal: {error.strerror}")
            return None
        if journals is not None and journals.found_bytes:
            self.log.say(f"an earlier attempt left a journal of {journals.found_bytes:,} bytes: its answers are used")
        return journals

    def _share(self, identity: str, held: HeldJournals) -> None:
        """Share answers with other machines; read theirs, unless this machine has a journal of its own."""
        context, job, repos = self.worker_context, self.job, self.worker_context.board.repos
        if not (held.answers and context.settings.share_seconds):
            return
        is_gated = context.suite.restricted
        try:
            name = BranchName(job.attempt.partition("-")[0], identity[:16], held.writer())
            repo = repos.restricted_details(job.model) if is_gated else repos.details(job.model)
            branches = context.hub_gateway.answer_branches(repo, name, is_private=job.private, is_gated=is_gated)
            if branches is None:
                return
            self.shared = SharedAnswers(
                branches,
                held.answers,
                MadeBranches(self._root / BRANCHES),
                max_bytes=held.answers_bytes,
                interval=context.settings.share_seconds,
                is_current=self.is_current,
                log=self.log,
            )
            if not held.holds_answers:
                held.drop_offered()
                self.shared.fetch(held.folder)
        except Exception as error:  # noqa: BLE001  # boundary: the attempt computes all answers
            self.log.say(f"answers are not shared with other machines: {error}")
            self.shared = None

    # --- while a child runs

    def files(self, plan: RunPlan) -> tuple[Path, ...]:
        """The files that the child of `plan` may write to, in the order of its descriptors."""
        if self.held is None or not plan.journal:
            return ()
        return (*self.held.files, *(self.held.answers if plan.answers else ()))

    def offered(self, plan: RunPlan) -> tuple[Path, ...]:
        """The files that the child of `plan` may only read; their descriptors follow those of `files`."""
        return self.held.offered if self.held is not None and plan.offered else ()

    def observe(self, progress: RunProgress) -> None:
        """Note the child's progress."""
        if self.shared is not None:
            self.shared.observe(progress)

    def poll(self) -> None:
        """Upload answers if that is due."""
        if self.shared is not None:
            self.shared.poll()

    def drop_offered(self, plan: RunPlan, child_exit: ChildExit) -> bool:
        """Use no answers of other machines if the child of `plan` failed because of them; return whether it did.

        The child reports that a sample differs. A journal that was forged to take much memory ends the child while it
        reads.
        """
        if not plan.offered or child_exit.finished or child_exit.stopped in STOPPED:
            return False
        error = child_exit.error
        differs = error is not None and error.type.endswith(f".{OfferedAnswersDiffer.__name__}")
        if not differs and child_exit.phase not in READING_PHASES:
            return False
        reason = error.text if error is not None else f"the child ended in the phase {child_exit.phase}"
        self.log.say(f"the answers of other machines are not used, and all are computed here: {reason}")
        if self.held is not None:
            self.held.drop_offered()
        return True

    # --- the end

    def hand_over(self) -> None:
        """Upload answers, if that saves time: a later attempt continues from them, perhaps on another machine."""
        if self.shared is not None:
            self.shared.hand_over(self.worker_context.settings.grace_seconds * GRACE_SHARE)

    def remove_shared(self) -> None:
        """Remove the shared answers: the details are published."""
        if self.shared is not None:
            self.shared.remove()

    def give_up(self) -> None:
        """Remove the shared answers, if an attempt can have shared any: the model cannot be evaluated."""
        if self.shared is not None and self.held is not None and (self.shared.has_answers or self.held.offered):
            self.shared.remove()

    def remove(self) -> None:
        """Remove the journals: the evaluation has ended with results."""
        if self.held is not None:
            self.held.remove()

    def release(self) -> None:
        """Leave the journals to the next attempt."""
        if self.held is not None:
            self.held.release()
