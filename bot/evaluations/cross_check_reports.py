"""The claim that a cross-check is about, and the reports about it that other workers left in the details repo."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import structlog
from pydantic import ValidationError

from bot.core.context import BoardContext
from bot.evaluations.samples import asked_questions
from hub.errors import Denied, Garbled, NotFound, TooLarge
from hub.records import Repo
from hub.retries import unless_gone
from leaderboard.attempts import Details
from leaderboard.cross_checks import (
    MAX_REPORT_BYTES,
    MAX_TRIES,
    CheckedQuestion,
    CrossCheckReport,
    WorkerPolicy,
    cross_check_id,
    draw_questions,
    report_path,
)
from leaderboard.details import table_path
from leaderboard.requests import Request
from leaderboard.results import ResultsFile
from leaderboard.sample_checks import question_counts
from redis_state.board.cross_checks import CrossCheckState, CrossCheckTry, StoredVote

log = structlog.get_logger()

NO_COUNTS = "the results do not say how many questions were asked, which other people's workers have to say"


class AnswersRefuted(Exception):
    """The published answers are not the model's, by other workers' computations; the message says more."""


class QuestionsNotCounted(AnswersRefuted):
    """The results do not say how many questions were asked, so none can be drawn."""


@dataclass(frozen=True)
class CrossCheckClaim:
    """The claim that the results of one attempt, as published in a details repo, are what the model gives."""

    context: BoardContext
    policy: WorkerPolicy
    request: Request
    repo: Repo
    details: Details
    results: ResultsFile

    @property
    def attempt(self) -> str:
        """The id of the attempt."""
        return self.results.block.attempt

    @cached_property
    def contents(self) -> str:
        """A digest of the contents of results and tables, which may be the same at a later commit. One call."""
        return self.contents_at(self.details.commit)

    def contents_at(self, commit: str) -> str:
        """The digest of these contents at `commit`; "" if there is no such commit. One call."""
        time = self.details.results_path.removeprefix("results_").removesuffix(".json")
        paths = [self.details.results_path, *(table_path(task, time) for task in self.context.suite.tasks)]
        entries = unless_gone(lambda: self.context.hub.paths_info(self.repo, paths, commit))
        if entries is None:
            return ""
        ids = json.dumps(sorted((path, entry.oid) for path, entry in entries.items()))
        return hashlib.sha256(ids.encode()).hexdigest()

    @property
    def key(self) -> str:
        """The key under which the check of these contents of this attempt is stored."""
        return f"{self.attempt}:{self.contents[:32]}"

    def check_id(self, number: int) -> str:
        """The id of the job of try `number`."""
        return cross_check_id(self.context.board.name, self.attempt, self.results.block.revision, number)

    def questions(self, nonce: str) -> tuple[CheckedQuestion, ...]:
        """The questions that are drawn with `nonce`. Raises QuestionsNotCounted."""
        sizes = question_counts(self.results.data, self.context.suite, asked_questions(self.results))
        if len(sizes) < len(self.context.suite.tasks):
            raise QuestionsNotCounted(NO_COUNTS)
        return draw_questions(nonce, self.attempt, sizes, self.policy.check.questions)


def begin_check(claim: CrossCheckClaim) -> CrossCheckState:
    """Begin a check: read which account committed the answers; draw a nonce, or reuse an earlier report's. Some calls.

    Raises HubError, such as Garbled while the Hub does not show which commit added the results.
    """
    entry = claim.context.hub.last_commit(claim.repo, claim.details.results_path, claim.details.commit)
    if entry is None:
        raise Garbled(f"The Hub does not say yet which commit brought {claim.details.results_path}.")
    worker = entry.authors[0] if entry.authors else ""
    now = claim.context.now()
    state = CrossCheckState(worker=worker, nonce=secrets.token_hex(16), since=now, restricted=_restricted_commit(claim))
    if not claim.policy.owns(worker) and claim.context.suite.evaluator is None:
        # Reports of other accounts do not count here: they may name a nonce of their own choice, without an order.
        earlier = [vote for vote in _reports(claim, range(1, MAX_TRIES + 1)) if claim.policy.owns(vote.account)]
        if earlier and (votes := _valid(earlier, earlier[0].report.nonce, claim)):
            tries = tuple(
                CrossCheckTry(number=vote.number, worker="", account=vote.account, queued=now) for vote in votes
            )
            state = state.model_copy(update={"nonce": votes[0].report.nonce, "tries": tries, "votes": votes})
    claim.context.cross_checks.put(claim.key, state)
    return state


def _restricted_commit(claim: CrossCheckClaim) -> str:
    """The present commit of the gated repo with answers to restricted benchmarks; "" if there is none to read."""
    if not claim.context.suite.restricted:
        return ""
    repo = Repo("dataset", claim.context.board.repos.restricted_details(claim.request.path.model))
    try:
        return unless_gone(lambda: claim.context.hub.head(repo)) or ""
    except Denied:
        return ""


def with_reports(claim: CrossCheckClaim, state: CrossCheckState) -> CrossCheckState:
    """`state` with the reports that came since, each read once. A report counts if the asked account committed it."""
    reported = {vote.number for vote in state.votes}
    asked = {attempt.number: attempt.account.casefold() for attempt in state.tries if attempt.number not in reported}
    reports = (vote for vote in _reports(claim, asked) if vote.account.casefold() == asked[vote.number])
    votes = _valid(reports, state.nonce, claim)
    if votes:
        state = state.with_votes(votes)
        claim.context.cross_checks.put(claim.key, state)
    return state


def _reports(claim: CrossCheckClaim, numbers: Iterable[int]) -> Iterator[StoredVote]:
    """The reports of these tries about this claim, with the accounts that committed them: a call, and four for each."""
    hub, repo, paths = claim.context.hub, claim.repo, {report_path(claim.check_id(n)): n for n in numbers}
    for path in sorted(hub.paths_info(repo, list(paths))) if paths else ():
        try:
            file = hub.read_file(repo, path, max_bytes=MAX_REPORT_BYTES)
            report = CrossCheckReport.model_validate_json(file.data)
            entry = hub.last_commit(repo, path, file.commit)
        except (NotFound, TooLarge, ValidationError) as error:
            log.warning("report of a cross-check cannot be read", path=path, error=str(error)[:200])
            continue
        account = entry.authors[0] if entry is not None and entry.authors else ""
        is_about_claim = (report.check, report.attempt) == (claim.check_id(paths[path]), claim.attempt)
        if account and is_about_claim and claim.contents_at(report.commit) == claim.contents:
            yield StoredVote(number=paths[path], account=account, report=report)
        else:
            log.warning("report of a cross-check does not count", path=path, account=account)


def _valid(votes: Iterable[StoredVote], nonce: str, claim: CrossCheckClaim) -> tuple[StoredVote, ...]:
    """Those of `votes` whose report answers the questions that are drawn with `nonce`, in the order of the tries."""
    questions = claim.questions(nonce)
    ordered = sorted(votes, key=lambda vote: vote.number)
    return tuple(vote for vote in ordered if vote.report.nonce == nonce and vote.report.answers_to(questions))
