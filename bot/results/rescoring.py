"""Scores of finished evaluations that are computed again from their stored answers, on an operator's command.

    survey          find the finished requests whose results are of another version of the suite, and their results of
                    earlier commits; read in clones
    read_earlier    read the results file of one of them
    save_tables     save its tables of answers as files: a call for each table, and one to four to find their commit
    (publish_rescored of workers.publication: write the tables with the new scores to the details repos)
    publish         stage its new results file beside the old one, and the request that names the new one, with the
                    ledger; comment once in its thread if a score changed. Of an earlier commit: the file alone

The scores themselves are computed by `workers.rescoring`, in a process that holds no token.

Race closed: the command dies halfway, or runs twice. The comment comes before the edits, and its marker names the
suite: the next run finds the request due, and the comment posted. A request with a staged edit is not due.
Race closed: the request is evaluated anew meanwhile. The edit requires the results that were read, and is void.
Race accepted: the edit is void after the comment was posted. The comment is true, and the newer evaluation has its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bot.core import comment_quota
from bot.core.context import BoardContext, request_key
from bot.core.render import render
from bot.ledger.edits import FieldEdit, PutFile
from bot.request_files.file_edits import digest_of, known_facts, transition_edit
from bot.results.contents import CONTENTS
from bot.results.details_tables import MAIN, MAX_TABLE, published_commit, repo_with_table
from bot.results.finished_requests import FinishedRequest, finished_requests, with_earlier_commits
from bot.results.scoreboard import SCORES_CHANGED
from hub.errors import BadRequest, Denied, NotFound, ThreadNotFound, TooLarge
from hub.records import Repo
from leaderboard.details import table_path
from leaderboard.effects import Effect, EffectMode
from leaderboard.evaluations import details_of
from leaderboard.predictions import PREDICTIONS
from leaderboard.results import MAX_BYTES, ResultsFile, file_time, parse_harness, read_results, results_time
from leaderboard.scores import BadResults
from leaderboard.steward_block import BLOCK, StewardBlock
from leaderboard.suites import Suite
from leaderboard.transitions import rescore_transition

MICROSECOND = 1e-6
RESCORED = "rescored"
"""Kind of the marker in the comment about other scores."""


class CannotRescore(Exception):
    """The scores of one evaluation cannot be computed again; the message says why."""


@dataclass(frozen=True)
class RescoringSurvey:
    """The finished requests that are `due` for a suite, and the numbers of those that are not.

    `current`: the results are of this suite. `old`: they are from before Steward, and have no answers that it can read.
    `changing`: an edit is staged. `unknown`: paths whose results are missing or cannot be read.
    """

    due: tuple[FinishedRequest, ...] = ()
    current: int = 0
    old: int = 0
    changing: int = 0
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoreChange:
    """A score before and now; `before` is None where the earlier suite had no such benchmark."""

    name: str
    before: float | None
    now: float


@dataclass(frozen=True)
class EarlierResults:
    """The results that a request has: the file's path, its content and its block."""

    path: str
    data: bytes
    block: StewardBlock

    def is_scored_as(self, suite: Suite, scored: str) -> bool:
        """Whether the scores are those of `suite`, computed by the scoring code with the digest `scored`."""
        digests = self.block.digests
        return self.block.suite_digest == suite.digest and digests is not None and digests.scored == scored

    @property
    def answers(self) -> str:
        """The path of the results whose evaluation gave the answers."""
        return self.block.rescored_from.results if self.block.rescored_from is not None else self.path


def survey(
    context: BoardContext,
    suite: Suite,
    *,
    models: Collection[str] = (),
    limit: int | None = None,
    same_suite: bool = False,
) -> RescoringSurvey:
    """Survey the evaluations of all finished requests, or those of `models`; list at most `limit` as due, in the
    order of their paths, those of earlier commits last.

    With `same_suite`, those with results of this suite are due too. Raises HubError and MirrorDamaged.
    """
    due, unknown, current, old, changing = list[FinishedRequest](), list[str](), 0, 0, 0
    for finished in with_earlier_commits(context, finished_requests(context, models)):
        if finished.request.path.precision == PREDICTIONS:
            continue  # they have no stored answers of a model
        if context.ledger.edits.is_pending(finished.path):
            changing += 1
        elif finished.made_with == suite.digest and not same_suite:
            current += 1
        elif finished.made_with:
            due.append(finished)
        elif finished.request.file.steward.results is None:
            old += 1
        else:
            unknown.append(finished.path)
    return RescoringSurvey(tuple(due[:limit]), current, old, changing, tuple(unknown))


def read_earlier(context: BoardContext, finished: FinishedRequest) -> EarlierResults:
    """The results of a request. One call. Raises CannotRescore and HubError."""
    path = finished.results
    try:
        file = context.hub.find_file(context.results, path, max_bytes=MAX_BYTES)
    except TooLarge:
        file = None
    if file is None:
        raise CannotRescore(f"{path} is not in the results repo, or is too large")
    data = file.data
    try:
        return EarlierResults(path, data, StewardBlock.model_validate(parse_harness(data).get(BLOCK)))
    except (BadResults, ValueError) as error:
        raise CannotRescore(f"{path} cannot be read: {error}") from error


def save_tables(
    context: BoardContext, finished: FinishedRequest, earlier: EarlierResults, suite: Suite, folder: Path
) -> dict[str, Repo]:
    """Save the table of the answers to each task as `{task}.parquet` in `folder`, read with the bot's token.

    Return the repo of each. Tables in a gated repo of restricted benchmarks are read on main. Raises CannotRescore and
    HubError.
    """
    model, seconds = finished.request.path.model, results_time(earlier.answers)
    if seconds is None:
        raise CannotRescore(f"{earlier.answers} has no time in its name, so its tables of answers are not known")
    details, repos = details_of(finished.request, context.board.repos.details), dict[str, Repo]()
    commit = published_commit(context, model, earlier.block.attempt)
    for benchmark in suite.benchmarks:
        for task in benchmark.tasks:
            path = table_path(task.name, file_time(seconds))
            where, revision = details, commit
            try:
                repo = repos[task.name] = repo_with_table(context, model, details, benchmark, path)
                where = repo.id
                with (folder / f"{task.name}.parquet").open("w+b") as file:
                    revision = commit if where == details else MAIN
                    context.hub.save_file(repo, path, revision, file, max_bytes=MAX_TABLE)
            except (NotFound, Denied, BadRequest):
                lost = f"{where} has no {path} at {revision[:8]}, or the bot may not read it"
                raise CannotRescore(f"{lost}: the repo may have been deleted or made private") from None
            except TooLarge:
                raise CannotRescore(f"{path} in {where} is too large") from None
    return repos


def changes(earlier: EarlierResults, now: ResultsFile) -> list[ScoreChange]:
    """The average and the benchmarks whose scores differ now, the average first; none if all are the same."""
    before = earlier.block
    scores = [ScoreChange("Average", before.average, now.scores.average)]
    scores += [ScoreChange(name, before.benchmarks.get(name), score) for name, score in now.scores.by_name.items()]
    return [score for score in scores if score.before is None or abs(score.before - score.now) > 1e-9]


def may_publish(context: BoardContext) -> bool:
    """Whether the board allows edits."""
    return context.effects.mode(Effect.EDIT) is EffectMode.ON


def publish(
    context: BoardContext, finished: FinishedRequest, earlier: EarlierResults, data: bytes, seconds: float
) -> list[ScoreChange] | None:
    """Comment if a score changed, then stage the results file `data` of the board's suite and the request that names
    it. Of an earlier commit, stage the file alone. Return the changed scores; None if the board holds edits back.
    `seconds` is the time of the rescoring, which names the file, and the new tables of answers.

    Raises CannotRescore if `data` is no valid results file of the board's suite, and HubError.
    """
    try:
        now = read_results(data, context.suite)
    except BadResults as error:
        raise CannotRescore(str(error)) from error
    if now.block.rescored_from is None or now.block.request != earlier.block.request:
        raise CannotRescore("the new results are not those of this evaluation")
    if not may_publish(context):
        return None
    model = finished.request.path.model
    path = f"{model}/results_{file_time(_naming_time(finished, seconds))}.json"
    changed = changes(earlier, now)
    if changed and not finished.commit:
        _report_changes(context, finished, earlier, now, path, changed)
    name = f"rescore {_scored_by(now)} {digest_of(finished.path)} {_short(earlier.path)}"
    line = f"Compute the scores of {model} again"
    # The request is not synced while this edit, whose subject it is, waits; so its end wakes the request, too.
    wake = (request_key(finished.path), SCORES_CHANGED, CONTENTS) if finished.commit else ()
    put = PutFile(id=f"{name} results", path=path, data=data, line=line, subject=finished.path, wake=wake)
    if finished.commit:
        context.effects.stage(context.results, put)
        return changed
    edit = _edit_of_request(context, finished, earlier, put, name)
    context.effects.stage(context.results, put)
    context.effects.stage(context.requests, edit)
    return changed


def _edit_of_request(
    context: BoardContext, finished: FinishedRequest, earlier: EarlierResults, put: PutFile, name: str
) -> FieldEdit:
    """The edit by which the request names the results file of `put`; it follows that file, and wakes the scores."""
    edit = transition_edit(
        context.board,
        finished.request,
        finished.file,
        rescore_transition(results=put.path, rescored_from=earlier.answers),
        name=name,
        line=put.line,
        known={key: value for key, value in known_facts(context, finished.request).items() if value is not None},
        rests_on=("status", "steward.results", "steward.attempt"),
        after=(put.id,),
    )
    return edit.model_copy(update={"wake": (*edit.wake, SCORES_CHANGED)})


def _naming_time(finished: FinishedRequest, seconds: float) -> float:
    """The time in the name of the new results. Those of an earlier commit follow the results that they replace, because
    readers take the newest results of a model for those of its newest commit."""
    replaced = results_time(finished.results) if finished.commit else None
    return seconds if replaced is None else replaced + MICROSECOND


def _scored_by(now: ResultsFile) -> str:
    """A short digest of the suite that the scores are of, and of the scoring code where it is known."""
    digests = now.block.digests
    return _short(f"{now.block.suite_digest} {digests.scored if digests is not None else ''}")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _report_changes(
    context: BoardContext,
    finished: FinishedRequest,
    earlier: EarlierResults,
    now: ResultsFile,
    path: str,
    changed: list[ScoreChange],
) -> None:
    """Comment once in the request's thread which scores changed; not about a gated or private model."""
    request, entry = finished.request, context.index.get(finished.path)
    thread = entry.thread or request.file.steward.thread
    is_public = entry.standing.access == "public" and request.file.steward.access in (None, "public")
    if thread is None or not is_public or request.path.private or context.board.threads == "never":
        return
    comment_quota.check(context, context.requests, "the thread")
    body = render(
        "rescored",
        model=request.path.model,
        precision=request.path.precision,
        suite=context.suite.name,
        rows=[{"name": change.name, "before": _shown(change.before), "now": _shown(change.now)} for change in changed],
        withdrawn=len(context.suite.errata),
        timed_out=len(now.block.rescored_from.timed_out) if now.block.rescored_from is not None else 0,
        new_url=context.address(context.results, path),
        old_url=context.address(context.results, earlier.path),
    )
    marker = context.marker(RESCORED, f"{_scored_by(now)} {_short(earlier.answers)} {finished.path}")
    try:
        context.effects.comment(context.requests, thread, body, marker, Effect.EDIT, asked=True)
    except (ThreadNotFound, Denied):
        return  # the thread was deleted or locked; the results file has the new scores


def _shown(score: float | None) -> str:
    return f"{score:.2f}" if score is not None else "–"
