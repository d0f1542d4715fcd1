"""Reads the files that an evaluator other than lm-eval left in the spool, in the form of lm-eval's results and samples.

The files are checked by `leaderboard.evaluator_files`; each kind of problem is an error of its own, which decides the
cause of the failure.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from leaderboard.evaluator_contract import (
    ATTACHMENT_NAME,
    ATTACHMENTS,
    MAX_ATTACHMENTS,
    MAX_ATTACHMENTS_BYTES,
    MAX_FILE_BYTES,
    MAX_LINE_BYTES,
    RESULTS,
    SAMPLES,
    EvaluatorResults,
    EvaluatorSample,
)
from leaderboard.evaluator_files import (
    EvaluatorProblem,
    ProblemKind,
    TaskSamples,
    check_results,
    digest_parts,
    harness_results,
    parse_results,
    read_sample,
    samples_of,
)
from leaderboard.jsontext import JsonObject
from leaderboard.reasons import bounded
from leaderboard.steward_block import BLOCK, EvaluatorUse
from leaderboard.suites import Suite
from workers.common.run_plan import RunPlan
from workers.errors import (
    EvaluationFailed,
    EvaluatorContradiction,
    EvaluatorErrors,
    EvaluatorFilesInvalid,
    EvaluatorLeftNothing,
    EvaluatorOtherRun,
)
from workers.publication.details import SampleRow, json_text, mean_of, text_of

_ERRORS: Mapping[ProblemKind, type[EvaluationFailed]] = {
    "missing": EvaluatorLeftNothing,
    "invalid": EvaluatorFilesInvalid,
    "contradiction": EvaluatorContradiction,
    "other-run": EvaluatorOtherRun,
    "errors": EvaluatorErrors,
}
REPORTED = "evaluator"
"""The member of a results file that holds the evaluator's results.json."""


def read_evaluator_results(plan: RunPlan, suite: Suite) -> JsonObject:
    """The results of the evaluator of `plan`, in the form of lm-eval's, with a block. Raises EvaluationFailed."""
    results, samples = read_reports(plan, suite)
    parts = digest_parts(results, suite, samples, plan.revisions)
    return {
        "results": harness_results(results, suite, samples),
        REPORTED: results.model_dump(mode="json"),
        BLOCK: {
            "digests": parts.model_dump(mode="json"),
            "evaluator": evaluator_use(suite, samples).model_dump(mode="json"),
            "versions": results.versions,
        },
    }


def read_reports(plan: RunPlan, suite: Suite) -> tuple[EvaluatorResults, dict[str, TaskSamples]]:
    """The checked results.json that the evaluator of `plan` left, and its samples. Raises EvaluationFailed."""
    try:
        samples = {task: _collect(plan.spool, collector) for task, collector in samples_of(suite).items()}
        results = parse_results(_read(plan.spool / RESULTS))
        check_results(results, suite, samples, model=plan.model, revision=plan.revision, limit=plan.limit)
        attachments(plan.spool)
    except EvaluatorProblem as problem:
        raise evaluation_failed(problem) from problem
    return results, samples


def evaluation_failed(problem: EvaluatorProblem) -> EvaluationFailed:
    """The error that decides the cause of a failure with this problem."""
    return _ERRORS[problem.kind](str(problem))


class AnswerDigests(NamedTuple):
    """Digests of the parts of a sample that scoring does not change: all but its metrics and its target."""

    question: str
    prompt: bytes
    output: bytes
    error: bytes

    @classmethod
    def of(cls, sample: EvaluatorSample) -> AnswerDigests:
        """The digests of one sample."""
        texts = (hashlib.sha256(text.encode()).digest() for text in (sample.prompt, sample.output, sample.error))
        return cls(sample.question_digest, *texts)

    def difference(self, other: AnswerDigests) -> str:
        """The name of the first part that differs; "" if all are the same."""
        pairs = zip(self._fields, self, other, strict=True)
        return next((name for name, own, others in pairs if own != others), "")


def answer_digests(samples: Path) -> dict[int, AnswerDigests]:
    """The digests of each sample in a file that was checked, by its id."""
    parsed = (read_sample(line, samples.name) for line in sample_lines(samples))
    return {sample.id: AnswerDigests.of(sample) for sample in parsed}


def evaluator_use(suite: Suite, samples: Mapping[str, TaskSamples]) -> EvaluatorUse:
    """The suite's evaluator with its options, and how many of `samples` have no answer."""
    assert suite.evaluator is not None
    errors = sum(collected.errors for collected in samples.values())
    return EvaluatorUse(**suite.evaluator.identity.model_dump(), errors=errors, options=suite.evaluator.options)


def _collect(spool: Path, collector: TaskSamples) -> TaskSamples:
    path = spool / SAMPLES / f"{collector.task}.jsonl"
    if not _is_plain(path):
        raise EvaluatorProblem("missing", f"there is no file samples/{path.name}")
    for line in sample_lines(path):
        collector.add(line)
    return collector


def sample_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file of samples, each within its limit."""
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES):
            yield line


def _read(path: Path) -> bytes:
    if not _is_plain(path):
        raise EvaluatorProblem("missing", f"there is no file {path.name}")
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def _is_plain(path: Path) -> bool:
    """Whether neither the file nor its folder is a link: a link could lead to files of others."""
    return path.is_file() and not path.is_symlink() and not path.parent.is_symlink()


def attachments(spool: Path) -> list[Path]:
    """The files that the evaluator attached, by name. Raises EvaluatorProblem."""
    folder = spool / ATTACHMENTS
    if not folder.is_dir() or folder.is_symlink():
        return []
    with os.scandir(folder) as entries:
        files = sorted((Path(entry.path) for entry in islice(entries, MAX_ATTACHMENTS + 1)), key=lambda file: file.name)
    if len(files) > MAX_ATTACHMENTS:
        raise EvaluatorProblem("invalid", f"{ATTACHMENTS}/ has more than {MAX_ATTACHMENTS} files")
    for file in files:
        if not ATTACHMENT_NAME.fullmatch(file.name) or not _is_plain(file):
            words = "attachments are plain files, whose names have letters, digits, dots, dashes and underscores"
            raise EvaluatorProblem("invalid", f"{ATTACHMENTS}/{bounded(file.name, 100)}: {words}")
    if sum(file.stat().st_size for file in files) > MAX_ATTACHMENTS_BYTES:
        raise EvaluatorProblem("invalid", f"the files in {ATTACHMENTS}/ have more than {MAX_ATTACHMENTS_BYTES:,} bytes")
    return files


def evaluator_row(line: bytes, metrics: Sequence[str]) -> SampleRow:
    """A line of samples as a row of the table of answers. Raises EvaluatorFilesInvalid."""
    try:
        sample = read_sample(line, "a line of samples")
    except EvaluatorProblem as problem:
        raise evaluation_failed(problem) from problem
    details = {"error": sample.error} if sample.error else {}
    return {
        "doc_id": sample.id,
        "doc": json_text(sample.question or {}),
        "prompt": text_of(sample.prompt),
        "continuations": json_text([]),
        "target": text_of(sample.target),
        "responses": json_text([[sample.output]]),
        "answers": json_text([sample.output]),
        "filter": "",
        "metrics": json_text({**sample.metrics, **details}),
        "score": mean_of([sample.metrics.get(metric) for metric in metrics]),
    }
