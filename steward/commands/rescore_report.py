"""The report of `steward rescore`, as lines and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.results.rescoring import RescoringSurvey, ScoreChange
    from leaderboard.suites import Suite

SHOWN = 5
"""Questions that ran out of time, and changed scores, that the text output names for each evaluation."""


@dataclass
class EvaluationReport:
    """One evaluation: why it keeps its scores (`refused`), or what changed and how many answers were scored again.

    `is_alike`: the same suite and code scored it already. `is_earlier`: it is of an earlier commit of its request.
    """

    path: str
    is_earlier: bool = False
    is_alike: bool = False
    refused: str = ""
    answers: int = 0
    changed: list[ScoreChange] = field(default_factory=list)
    timed_out: list[str] = field(default_factory=list)
    written: str = ""
    """The file in the folder of --output; "" without one."""
    details_refused: str = ""
    """Why the details repos have no tables with the new scores."""


@dataclass
class RescoringReport:
    """The survey, and each evaluation that was due. `is_off`: the board holds edits back. `scored`: the digest of
    how this machine scores answers, once it is known."""

    suite: Suite
    survey: RescoringSurvey
    evaluations: list[EvaluationReport] = field(default_factory=list)
    is_off: bool = False
    scored: str = ""


def lines_of(evaluation: EvaluationReport) -> list[str]:
    if evaluation.refused:
        return [f"{evaluation.path}: keeps its scores, because {evaluation.refused}"]
    if evaluation.is_alike:
        return []
    lines = _score_lines(evaluation)
    if evaluation.timed_out:
        named, more = evaluation.timed_out[:SHOWN], len(evaluation.timed_out) - SHOWN
        words = f"{', '.join(named)}{f', and {more} more' if more > 0 else ''}"
        lines.append(f"  a metric ran out of time, which counts as a wrong answer: {words}")
    if evaluation.details_refused:
        lines.append(
            "  pages show the earlier verdicts of its answers, and say so, because no token here may write its "
            f"details repos (set STEWARD_WORKER_TOKEN): {evaluation.details_refused}"
        )
    return lines


def _score_lines(evaluation: EvaluationReport) -> list[str]:
    if not evaluation.changed:
        return [f"{evaluation.path}: the same scores from {evaluation.answers:,} answers"]
    shown = [f"{each.name} {_number(each.before)} → {_number(each.now)}" for each in evaluation.changed[: SHOWN + 1]]
    more = len(evaluation.changed) - len(shown)
    return [f"{evaluation.path}: {', '.join(shown)}{f', and {more} more' if more > 0 else ''}"]


def _number(score: float | None) -> str:
    return f"{score:.2f}" if score is not None else "–"


def as_json_text(report: RescoringReport, *, dry_run: bool) -> str:
    survey = report.survey
    evaluations: list[dict[str, Any]] = [
        {
            "path": each.path,
            "refused": each.refused or None,
            "alike": each.is_alike,
            "answers": each.answers,
            "changed": {change.name: [change.before, change.now] for change in each.changed},
            "timed_out": each.timed_out,
            "written": each.written or None,
            "details_refused": each.details_refused or None,
        }
        for each in report.evaluations
    ]
    return json.dumps(
        {
            "suite": report.suite.name,
            "digest": report.suite.digest,
            "due": [finished.name for finished in survey.due],
            "current": survey.current,
            "old": survey.old,
            "changing": survey.changing,
            "unknown": list(survey.unknown),
            "dry_run": dry_run,
            "off": report.is_off,
            "evaluations": evaluations,
        }
    )


def conclusion(report: RescoringReport, *, dry_run: bool) -> str:
    survey, refused = report.survey, [each for each in report.evaluations if each.refused]
    earlier = sum(each.is_earlier for each in refused)
    alike = sum(each.is_alike for each in report.evaluations)
    done = [each for each in report.evaluations if not each.refused and not each.is_alike]
    lines = [f"The suite is {report.suite.name}, digest {report.suite.digest[:12]}."]
    counts = (
        (survey.current + alike, "have scores of this suite."),
        (survey.old, "are from before Steward: their answers have another form, and they stay."),
        (survey.changing, "are being changed right now: try again in a minute."),
        (len(survey.unknown), "name results that are missing or unreadable: run `steward doctor`."),
        (len(refused) - earlier, "keep their scores, for the reasons above: `steward reevaluate` runs them."),
        (earlier, "of earlier commits keep the scores of the suite before, for the reasons above."),
    )
    lines += [f"{count:,} {words}" for count, words in counts if count]
    changed = sum(bool(each.changed) for each in done)
    if report.is_off:
        lines.append("Nothing was changed: edits are off or in shadow on this board; see `steward effects list`.")
    elif not survey.due:
        lines.append("There is nothing to do.")
    elif dry_run:
        lines.append(f"{len(done):,} were computed, {changed:,} with other scores. Nothing was written to the Hub.")
    else:
        lines.append(f"{len(done):,} get new results within minutes, {changed:,} of them other scores.")
    return "\n".join(lines)
