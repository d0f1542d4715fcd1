"""Cross-checks: a few answers that a worker claims are computed again by a worker of another account.

They concern workers that the board's operator does not own. The bot draws the questions after it received the claimed
answers, so that no worker can know them before. One worker that agrees settles a claim. If one disagrees, a third
worker computes the same questions: the bot sets aside the one whose answers differ from those of the two others.

A worker forges a share s of its answers; k questions are drawn. At least one of the forged ones is among them with a
probability of 1 - (1 - s)^k, or a little more, because no question is drawn twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from leaderboard.attempts import ATTEMPT_ID, Details, attempt_id
from leaderboard.tiers import Tier

AccountName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,96}$")]
MAX_QUESTIONS = 64
MAX_TRIES = 6
"""The most jobs of one cross-check, each for another worker if there is one."""
MAX_TRIES_OF_WORKER = 3
MAX_REPORT_BYTES = 256 * 1024
MAX_SECONDS = 2 * 3600.0
"""Time limit of one job, including the download of the model."""
NONCE = r"^[0-9a-f]{32}$"


class CrossCheckPolicy(BaseModel):
    """How the answers of workers that the operator does not own are checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    questions: int = Field(
        default=8, ge=1, le=MAX_QUESTIONS, description="answers of an evaluation that another worker computes again"
    )
    hours: float = Field(
        default=6.0, gt=0, le=168, description="time after which results are published without the comparison"
    )


class WorkerPolicy(BaseModel):
    """Whose workers evaluate for the board."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    owned: tuple[AccountName, ...] = Field(
        default=(), description="Hub accounts, by name, of the workers that the operator owns; they are not checked"
    )
    check: CrossCheckPolicy = Field(default_factory=CrossCheckPolicy, description="for workers of other accounts")

    def owns(self, account: str) -> bool:
        """Whether the operator owns the workers of `account`."""
        return account.casefold() in {name.casefold() for name in self.owned}


class CheckedQuestion(NamedTuple):
    """A question, by its task and its number in the task."""

    task: str
    number: int


# --- drawing questions


def draw_questions(nonce: str, attempt: str, sizes: Mapping[str, int], count: int) -> tuple[CheckedQuestion, ...]:
    """Draw `count` of all questions of an attempt, each with the same probability, none twice.

    `sizes` is the number of questions of each task. The same arguments give the same questions on every machine.
    """
    tasks = sorted((task, size) for task, size in sizes.items() if size > 0)
    total = sum(size for _, size in tasks)
    drawn: dict[int, None] = {}
    step = 0
    while len(drawn) < min(count, total):
        digest = hashlib.sha256(f"{nonce}\n{attempt}\n{step}".encode()).digest()
        drawn[int.from_bytes(digest) % total] = None  # of 256 bits, so that the modulo bias is negligible
        step += 1
    return tuple(sorted(_question_at(index, tasks) for index in drawn))


def _question_at(index: int, tasks: Iterable[tuple[str, int]]) -> CheckedQuestion:
    for task, size in tasks:
        if index < size:
            return CheckedQuestion(task, index)
        index -= size
    raise IndexError(index)


# --- orders and reports


class CrossCheckOrder(BaseModel):
    """An order to a worker: compute these questions of an attempt, whose `details` are published, again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempt: str = Field(pattern=ATTEMPT_ID.pattern)
    details: Details
    restricted: str = Field(
        default="", pattern=r"^([0-9a-f]{40})?$", description="commit of the gated repo, if the suite needs one"
    )
    nonce: str = Field(pattern=NONCE)
    questions: tuple[CheckedQuestion, ...] = Field(min_length=1, max_length=MAX_QUESTIONS)


AnswerVerdict = Literal["agrees", "differs", "not-compared"]


class QuestionVerdict(BaseModel):
    """Whether the claimed answer to one question is the model's; `reason` says why not, or why it was not compared."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: str = Field(max_length=200, description="the task of the question")
    number: int = Field(ge=0, le=10**9, description="the number of the question in the task")
    verdict: AnswerVerdict = Field(description="whether the claimed answer is the model's")
    reason: str = Field(
        default="",
        max_length=500,
        description="why it is not, or was not compared; of an answer that is, that a metric is smaller than it gives",
    )

    @property
    def question(self) -> CheckedQuestion:
        """The question."""
        return CheckedQuestion(self.task, self.number)


class CrossCheckReport(BaseModel):
    """A worker's answer to an order, a file in a details repo; its author is the account of its commit on the Hub."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    check: str = Field(pattern=ATTEMPT_ID.pattern, description="id of the job")
    attempt: str = Field(pattern=ATTEMPT_ID.pattern, description="the attempt whose answers were compared")
    commit: str = Field(pattern=r"^[0-9a-f]{40}$", description="commit of the details that were compared")
    nonce: str = Field(pattern=NONCE, description="the random value from which the compared questions are drawn")
    answers: tuple[QuestionVerdict, ...] = Field(
        default=(), max_length=MAX_QUESTIONS, description="one for each question that was drawn"
    )
    problem: str = Field(default="", max_length=1_000, description="why nothing could be compared, if so")
    temporary: bool = Field(
        default=False,
        description="whether the problem may end by itself: the Hub did not answer as it should, or a device failed",
    )
    versions: dict[str, str] = Field(default_factory=dict, max_length=50, description="the worker's packages")
    hardware: str = Field(default="", max_length=200, description="the worker's devices")

    def with_verdict(self, verdict: AnswerVerdict) -> frozenset[CheckedQuestion]:
        """The questions with this verdict."""
        return frozenset(answer.question for answer in self.answers if answer.verdict == verdict)

    @property
    def compared(self) -> int:
        """The number of questions whose answers were compared."""
        return sum(answer.verdict != "not-compared" for answer in self.answers)

    def answers_to(self, questions: Collection[CheckedQuestion]) -> bool:
        """Whether the report answers exactly these questions, each once, or names the problem and answers none."""
        asked = sorted(answer.question for answer in self.answers)
        return asked == sorted(questions) or (bool(self.problem) and not asked)


def cross_check_id(board: str, attempt: str, revision: str, number: int) -> str:
    """The id of the job of try `number`, from 1, of the cross-check of `attempt` at the model commit `revision`."""
    return attempt_id(board, f"cross-check:{attempt}", revision, number)


def report_path(check: str) -> str:
    """The path in a details repo of the report of the job `check`."""
    return f"cross-checks/{check}.json"


# --- choosing a worker


@dataclass(frozen=True)
class AvailableWorker:
    """A running worker as it reports itself: the Hub account of its token, its tiers, and whether it is idle."""

    name: str
    account: str
    tiers: tuple[Tier, ...]
    idle: bool


def choose_worker(
    workers: Iterable[AvailableWorker],
    policy: WorkerPolicy,
    *,
    excluded: Collection[str],
    tried: Collection[str],
    tier: Tier,
) -> AvailableWorker | None:
    """Return the worker that computes next: one of the operator's own first, then an idle one; None without any.

    `excluded` are accounts: the one whose claim is checked, those that reported already, and those that are set aside.
    `tried` are workers that got the order already.
    """
    names = {name.casefold() for name in excluded}
    possible = [
        worker
        for worker in workers
        if worker.account and worker.account.casefold() not in names and worker.name not in tried
    ]
    return min(
        possible,
        key=lambda worker: (not policy.owns(worker.account), tier not in worker.tiers, not worker.idle, worker.name),
        default=None,
    )


# --- in the results file


CrossCheckStatus = Literal["agrees", "disputed", "not-compared"]


class CrossCheckRecord(BaseModel):
    """The cross-check of an evaluation's answers, as its results record it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    worker: str = Field(max_length=100, description="the Hub account that published the answers")
    status: CrossCheckStatus = Field(
        description="`disputed`: workers computed other answers, and no two of them the same; not decided"
    )
    by: tuple[str, ...] = Field(default=(), max_length=MAX_TRIES, description="the accounts that computed them again")
    questions: int = Field(default=0, ge=0, description="answers that were drawn")
    compared: int = Field(default=0, ge=0, description="those of them that could be compared")
    nonce: str = Field(default="", max_length=32, description="drawn after receipt; the questions follow from it")
    reason: str = Field(
        default="",
        max_length=1_000,
        description="why nothing was compared, what is disputed, or which metrics are smaller than their answers give",
    )
    at: str = Field(default="", max_length=40, description="when the bot settled that, before it published")


NOT_COMPARED = "No other worker computed some of its answers again: {reason}."
DISPUTED = "Workers disagree about some of its answers, and it is not decided which ones are the model's: {reason}."


def scores_note(again: CrossCheckRecord | None, doubted: str) -> str:
    """Return a sentence for readers of scores whose answers are in doubt; "" if nothing is in doubt."""
    if doubted or again is None or again.status == "agrees":
        return doubted
    return (DISPUTED if again.status == "disputed" else NOT_COMPARED).format(reason=again.reason.rstrip("."))
