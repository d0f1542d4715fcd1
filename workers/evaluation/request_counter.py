"""Counts the answered requests of an evaluation, and measures its phases."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from typing import Any

from lm_eval.api.model import CacheHook
from lm_eval.tasks import TaskManager

from workers.common.run_plan import Report, RunProgress
from workers.errors import NotANumber
from workers.evaluation.digest_recorder import DigestRecorder
from workers.evaluation.shared_prefix.journal import AnswerJournal
from workers.evaluation.shared_prefix.portable_answers import PortableAnswers
from workers.evaluation.shared_prefix.trust import EngineRecord


class RequestCounter(CacheHook):  # type: ignore[misc]  # the harness has no types
    """Counts answered requests and measures phases; the harness's cache hook, which it calls for each answer."""

    def __init__(self, report: Report, dtype: str, digests: DigestRecorder | None = None) -> None:
        super().__init__(None)
        self.report = report
        self.dtype = dtype
        self.digests = digests or DigestRecorder()
        self.tasks: dict[str, Any] = {}
        self.engine_record: EngineRecord | None = None
        self.journal = AnswerJournal()
        self.portable_answers = PortableAnswers()
        self.done = self._total = 0
        self._began: dict[str, float] = {}

    def begin(self, phase: str) -> None:
        """Begin a phase of the results file and end the one before; `end` is the last."""
        self._began[phase] = time.monotonic()

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds that each phase took."""
        return {phase: round(end - start, 3) for (phase, start), (_, end) in pairwise(self._began.items())}

    @property
    def total(self) -> int:
        """Requests of all tasks; 0 before the prompts are made."""
        return sum(request.repeats for task in self.tasks.values() for request in task.instances or ())

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Count an answered request, and record its answer.

        `res` is text, or (log-likelihood, whether it is the most likely answer).

        Raises NotANumber: the harness would score the first choice as if the model had chosen it.
        """
        if isinstance(res, tuple) and not math.isfinite(res[0]):
            raise NotANumber(f"the log-likelihood of an answer is {res[0]} in {self.dtype}")
        if self.done == 0:
            self._total = self.total
        self.done += 1
        self.portable_answers.note(attr, req, res)
        replayed = min(self.journal.replayed + self.portable_answers.used, self.done)
        self.report(RunProgress("evaluate", self.done, self._total, replayed))
        if self.done == self._total:
            self.report(RunProgress("score", self.done, self._total, replayed))


class ReportingTaskManager(TaskManager):  # type: ignore[misc]  # the harness has no types
    """The harness's task manager; passes the loaded tasks to `counter`, which counts their requests.

    `shots` are the suite's: task → examples, as the command's --num_fewshot would set them for each task.
    """

    def __init__(self, counter: RequestCounter, shots: dict[str, int], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.counter = counter
        self.shots = shots

    def load(self, task_list: Any) -> Any:
        """Load tasks with their questions."""
        self.counter.report(RunProgress("prepare"))
        self.counter.begin("prepare")
        loaded = super().load(task_list)
        self.counter.tasks = loaded["tasks"]
        for name, task in loaded["tasks"].items():
            if name in self.shots:
                task.set_config(key="num_fewshot", value=self.shots[name])
        self.counter.digests.watch(loaded["tasks"])
        self.counter.begin("evaluate")
        return loaded
