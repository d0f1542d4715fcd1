"""Scores the stored answers of evaluations again, on all cores: from tables of answers to a results file.

All answers of one task count or none: an answer that cannot be scored ends the rescoring of its evaluation, and is
named. A question whose metric ran out of time is scored once more when nothing else runs; if it runs out of time again,
the harness's value for that counts, as in an evaluation, and the results file names the question.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from leaderboard.scoring_again import questions_differ
from leaderboard.steward_block import StewardBlock
from leaderboard.suites import Suite
from workers.errors import RescoringRefused
from workers.evaluation.scoring_code import scored_parts
from workers.evaluation.shared_prefix.templates import compile_templates_once, confine_templates
from workers.evaluation.task_files import write_tasks
from workers.evaluation.task_loading import seed_language_detection
from workers.rescoring.asked_again import asked_otherwise, can_compare
from workers.rescoring.earlier_results import RescoredEvaluation, origin_of, read_earlier
from workers.rescoring.rescored_results import ScoredCode, aggregate, digests_here, results_file, versions
from workers.rescoring.scoring_pool import ScoringPool, TaskScores
from workers.rescoring.stored_answers import AnswersTable, open_table
from workers.rescoring.stored_docs import render_once
from workers.rescoring.stored_tasks import asked_differently, load_tasks, prompts_differ

_ANY_COMMIT = "0" * 40
"""The commit in task files from which no questions are loaded."""
MAX_REASONS = 5
"""The most reasons that a refusal names."""


class Rescorer:
    """Scores answers again for `suite` in several processes. A context manager: it ends them.

    `task_folder` holds other task files than those of the suite or the harness.
    """

    def __init__(self, suite: Suite, processes: int, task_folder: Path | None = None) -> None:
        self.suite = suite
        self.processes = processes
        self.task_folder = task_folder
        self._folder = ExitStack()
        self._loaded: dict[str, Any] = {}
        self._scored_code: ScoredCode = {}
        self._firsts: dict[str, Mapping[str, Any]] = {}
        self._pool: ScoringPool | None = None

    def __enter__(self) -> Rescorer:
        confine_templates()  # this process runs outside the workers' sandbox
        compile_templates_once()
        render_once()
        seed_language_detection()
        if self.suite.own and self.task_folder is None:
            folder = Path(self._folder.enter_context(TemporaryDirectory(prefix="steward-tasks-")))
            repo = self.suite.datasets[0].repo
            self.task_folder = write_tasks(self.suite, folder, repo=repo, revision=_ANY_COMMIT)
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.close()
        self._folder.close()

    def rescore(
        self,
        results: bytes,
        tables: Path,
        *,
        source: str,
        at: str,
        samples: Path | None = None,
        new_tables: Path | None = None,
    ) -> RescoredEvaluation:
        """Score the answers in `tables` (a file `{task}.parquet` for each task) of the evaluation with these results.

        `source` is the path of its results file in the results repo, `at` the time. With `samples`, each question's
        metrics are written to `{task}.jsonl` in that folder, and from these, with `new_tables`, a table with the new
        metrics of each task to that folder. Raises RescoringRefused.
        """
        harness, block = read_earlier(results)
        if block.evaluator is not None:
            raise RescoringRefused(f"{block.evaluator.name} evaluated it, and the suite is scored by lm-eval")
        opened = self._open(tables)
        self._check_counts(opened, harness)
        pool = self._load(opened)
        self._check_asked(harness, block, opened)
        scored = pool.score(opened, samples)
        _check_usable(scored)
        if samples is not None and new_tables is not None:
            pool.write_tables(tables, samples, new_tables)
        collected = aggregate(self._loaded, scored)
        timed_out = tuple(f"{task}:{number}" for task, scores in scored.items() for number in sorted(scores.timed_out))
        origin = origin_of(block, source, at, versions(), timed_out)
        graded = {task: each.graded for task, each in scored.items()}
        digests = digests_here(block.digests, self._scored_code, self.suite)
        data = results_file(self.suite, harness, block, digests, collected, graded, origin)
        count = sum(each.count for each in scored.values())
        return RescoredEvaluation(data, count, digests.scored if digests is not None else "", timed_out)

    def _open(self, tables: Path) -> dict[str, AnswersTable]:
        """Open the table of each task, in the pool's processes if they have started."""
        paths = [tables / f"{task}.parquet" for task in self.suite.tasks]
        if self._pool is not None:
            return self._pool.open(paths)
        return dict(zip(self.suite.tasks, map(open_table, paths, self.suite.tasks), strict=True))

    def _check_counts(self, tables: Mapping[str, AnswersTable], harness: Mapping[str, Any]) -> None:
        """Raise RescoringRefused if a table lacks answers, or a question that the suite withdraws was not asked."""
        counts = harness.get("n-samples")
        for task, table in tables.items():
            count = counts.get(task) if isinstance(counts, Mapping) else None
            expected = count.get("original") if isinstance(count, Mapping) else None
            if expected is not None and expected != len(table.questions):
                raise RescoringRefused(
                    f"{len(table.questions):,} answers to {task} are stored, and {expected:,} questions were asked"
                )
            if missing := self.suite.withdrawn(task) - set(table.questions):
                raise RescoringRefused(f"the suite withdraws question {min(missing)} of {task}, which was not asked")

    def _load(self, tables: Mapping[str, AnswersTable]) -> ScoringPool:
        """Make the tasks, and processes for them; keep those of the last evaluation if its questions are the same."""
        firsts = {task: table.first for task, table in tables.items()}
        if self._pool is not None and firsts == self._firsts:
            for task, table in tables.items():
                self._loaded["tasks"][task].take(table)
            return self._pool
        if self._pool is not None:
            self._pool.close()
        self._pool, self._firsts = None, {}
        self._loaded = load_tasks(self.suite, tables, self.task_folder)
        self._scored_code = {name: scored_parts(task) for name, task in self._loaded["tasks"].items()}
        self._pool, self._firsts = ScoringPool(self.suite, self.processes, self._loaded["tasks"]), firsts
        return self._pool

    def _check_asked(self, harness: Mapping[str, Any], block: StewardBlock, tables: Mapping[str, AnswersTable]) -> None:
        """Raise RescoringRefused if the suite asks other questions, or asks them in another way."""
        configs, digests = harness.get("configs"), block.digests
        if digests is not None and set(digests.tasks) != set(self._loaded["tasks"]):
            raise RescoringRefused("the suite scores other tasks than the evaluation answered")
        differing = asked_differently(
            configs if isinstance(configs, Mapping) else {}, self._loaded["tasks"], self.suite
        )
        reasons = [
            reason for task, fields in differing.items() for reason in self._reasons(task, fields, block, tables)
        ]
        reasons += questions_differ(block.datasets, self.suite)
        if not block.use_chat_template:  # a template may change the text
            reasons += prompts_differ(tables, self._loaded["tasks"])
        if reasons:
            raise RescoringRefused(f"the suite asks otherwise than the evaluation did: {_listed(reasons)}")

    def _reasons(
        self, name: str, fields: Mapping[str, str], block: StewardBlock, tables: Mapping[str, AnswersTable]
    ) -> list[str]:
        """Why a task with other `fields` in its configuration asks otherwise; none if its requests are the same."""
        task, digests = self._loaded["tasks"][name], block.digests
        if digests is None or block.use_chat_template or name not in tables:
            return [*fields.values()]  # the stored prompts are not comparable with what a task makes
        if not can_compare(fields, task.config.num_fewshot or 0):
            return [*fields.values()]
        difference = asked_otherwise(name, task, tables[name], digests.tasks[name].asked)
        return [*fields.values(), difference] if difference else []


def _check_usable(scored: Mapping[str, TaskScores]) -> None:
    reasons = [
        f"question {answer.question} of {task}: {answer.reason}"
        for task, scores in scored.items()
        for answer in scores.unusable
    ]
    if reasons:
        raise RescoringRefused(f"not all answers can be scored: {_listed(reasons)}")


def _listed(reasons: Collection[str]) -> str:
    more = len(reasons) - MAX_REASONS
    return "; ".join(islice(reasons, MAX_REASONS)) + (f"; and {more:,} more" if more > 0 else "")
